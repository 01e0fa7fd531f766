#ifndef TIDEGATE_HUB_BATCH_FORMS_H
#define TIDEGATE_HUB_BATCH_FORMS_H

/*
 * Batch forms: the batches of one flush in the forms other than the plain one.
 *
 * Each is made for the first subscriber of a channel whose peer takes that form. Its bytes do not move until
 * the flush is over, since sockets may read them until then.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buf.h"
#include "protocol/form.h"

struct hub_batch;
struct message;

/* The memory of the batches of one form. */
struct batch_room {
	struct message **messages;
	uint32_t n_messages;
	uint32_t capacity;
	struct buf bytes;
	bool reserved; /* in this flush */
};

/* Zeroed memory with a maker is ready for use; without a maker every batch stays plain. */
struct batch_forms {
	struct form_maker *maker;
	struct batch_room rooms[N_FORMS - 1];
};

void batch_forms_deinit(struct batch_forms *forms);

/*
 * Makes the batch in this form, which is not the plain one. If that is no better, or without memory, it is
 * the plain batch; a batch of no messages, without memory, where peers do not understand that. n_messages,
 * len: of all batches that are laid out in the flush.
 */
void batch_forms_make(struct batch_forms *forms, enum form form, const struct hub_batch *plain,
	uint32_t n_messages, size_t len, struct hub_batch *batch);

/* The flush is over: keeps memory for the next one, up to bytes_kept for each form. */
void batch_forms_forget(struct batch_forms *forms, size_t bytes_kept);

/* Makes one stretch of the batch's frames: a single frame as it is, several laid out in `bytes`, which has
 * room for them. */
void hub_batch_lay_out(struct hub_batch *batch, struct buf *bytes);

#endif
