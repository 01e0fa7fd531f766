/* Order: what is to be done to connections; see the header. */

#include "mail/order.h"

#include <stdlib.h>

/* 0 or -1: out of memory. */
static int copy_text(struct order *order, const struct order_text *text)
{
	char *at = malloc(text->name.len + text->channel.len + text->words.len + 1);

	order->text = *text;
	order->bytes = at;
	if (!at)
		return -1;
	order->text.name = slice_keep(text->name, &at);
	order->text.channel = slice_keep(text->channel, &at);
	if (text->words.data)
		order->text.words = slice_keep(text->words, &at);
	return 0;
}

struct order *order_new(const struct order_text *text, unsigned int n_parts, order_done_fn done, void *arg)
{
	struct order *order = calloc(1, sizeof(*order) + n_parts * sizeof(struct order_part));

	if (!order)
		return NULL;
	if (copy_text(order, text) < 0) {
		free(order);
		return NULL;
	}
	order->done = done;
	order->arg = arg;
	order->n_parts = n_parts;
	for (unsigned int i = 0; i < n_parts; i++) {
		order->parts[i].mail.kind = BUS_ORDER;
		order->parts[i].order = order;
	}
	return order;
}

void order_send(struct order_part *part)
{
	part->order->n_away++;
}

void order_finish(struct order *order)
{
	uint64_t n = 0;

	for (unsigned int i = 0; i < order->n_parts; i++) {
		n += order->parts[i].n;
		free(order->parts[i].carrier);
	}
	if (order->done)
		order->done(order->arg, order->r, n);
	free(order->bytes);
	free(order);
}

void order_return(struct order_part *part)
{
	if (--part->order->n_away == 0)
		order_finish(part->order);
}
