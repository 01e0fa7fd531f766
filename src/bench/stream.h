#ifndef TIDEGATE_BENCH_STREAM_H
#define TIDEGATE_BENCH_STREAM_H

/*
 * Stream: server-sent events as a client receives them, parsed where they lie.
 *
 * What comes in a block of lines takes the place of a frame: its data are a text, and a block without is a
 * sign of life. A gateway that shares one form of an event among all streams has it on one line.
 */

#include <stddef.h>

#include "ws_client/ws_opening.h"

struct server_frame;

/* The request; as ws_opening_write(). */
size_t stream_request_write(const struct ws_opening *opening, char out[WS_OPENING_MAX]);

/* As ws_opening_take(). */
long stream_answer_take(const unsigned char *data, size_t len, struct ws_opened *opened);

/* As server_frame_parse(). */
long stream_parse(const unsigned char *data, size_t n, size_t size_max, struct server_frame *frame);

#endif
