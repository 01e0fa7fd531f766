#ifndef TIDEGATE_BENCH_INFLATER_H
#define TIDEGATE_BENCH_INFLATER_H

/*
 * Inflater: the head of the text in a compressed frame (RFC 7692, without context takeover).
 *
 * A gateway that compresses once sends the same bytes to every client. So the head of each recent frame is
 * kept beside its compressed bytes, and a frame is inflated once a thread, however many connections bring it.
 * Frames are compared whole, so a wrong byte in one client's copy is found.
 */

#include <stddef.h>
#include <stdint.h>

enum {
	INFLATER_HEAD_MAX = 128,
};

struct inflater;

/* NULL when out of memory. */
struct inflater *inflater_new(void);

/* Accepts NULL. */
void inflater_free(struct inflater *inflater);

/*
 * Points *headp to the first bytes of the text, at most INFLATER_HEAD_MAX, until the next call. Returns how
 * many, -EPROTO if the bytes are no deflate stream of whole blocks, -ENOMEM.
 */
int inflater_head(struct inflater *inflater, const unsigned char *data, size_t len, const char **headp);

#endif
