#ifndef TIDEGATE_PROTOCOL_FORM_H
#define TIDEGATE_PROTOCOL_FORM_H

/*
 * Form: how the bytes of a message look that a peer gets.
 *
 * What the gateway makes first is plain: a text in a WebSocket frame. A peer that agreed to something else
 * gets another form of the same message. It is made once a node, when the first peer takes it, and shared as
 * the plain one is (message_as()), so queues, batches and sockets do not know one form from another. A
 * further form is a row of form.def, and a function in form.c.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/slice.h"
#include "protocol/event_stream.h"
#include "protocol/frame.h"

struct deflater;
struct message;

enum form {
#define FORM(id, make, single, growth, plain_does) FORM_##id,
#include "protocol/form.def"
#undef FORM
	N_FORMS,
};

enum {
	FORM_LIKE_PLAIN = 1, /* this message has no form of its own there: the plain one does as well */
};

/* What makes forms. Its state is large, so there is one for each thread. */
struct form_maker {
	struct deflater *deflater;
	struct buf line; /* a text that had to be copied to stand on one line */
};

/* Texts below deflate_bytes_min are not deflated. 0 or -ENOMEM. */
int form_maker_init(struct form_maker *maker, size_t deflate_bytes_min);
void form_maker_deinit(struct form_maker *maker); /* accepts zeroed memory */
void form_maker_configure(struct form_maker *maker, size_t deflate_bytes_min);

enum {
	FORM_HEAD_MAX = EVENT_STREAM_HEAD_MAX, /* that of a frame is shorter */
};

/* The bytes of a message in a form: the head, the body, the tail. */
struct form_bytes {
	unsigned char head[FORM_HEAD_MAX];
	size_t head_len;
	struct slice body; /* borrowed from the message, or from the maker until it makes the next one */
	bool is_text;      /* the body has each byte of the text where it was */
	struct slice tail; /* a constant */
};

/* Makes a form, other than the plain one, of a plain message. 0, FORM_LIKE_PLAIN or -ENOMEM. */
int form_make(
	struct form_maker *maker, enum form form, const struct message *plain, struct form_bytes *bytes);

/* The columns `single`, `growth` and `plain_does` of form.def. */
enum form form_single(enum form form);
size_t form_growth(enum form form);
bool form_plain_does(enum form form);

#endif
