/* Orders: hands what is to be done to connections to the workers; see bus/bus.h. */

#include "bus/bus.h"

#include <errno.h>

#include "bus/bus_private.h"
#include "mail/order.h"
#include "worker/worker.h"

/* Workers count their connections in steps of their number (clients_init()). */
static bool may_have(const struct bus *bus, unsigned int worker, const struct order_text *text)
{
	return text->target != ORDER_CONNECTION || !text->conn || (text->conn - 1) % bus->n_workers == worker;
}

int bus_order(struct bus *bus, const struct order_text *text, order_done_fn done, void *arg)
{
	struct order *order = order_new(text, bus->n_workers, done, arg);

	if (!order)
		return -ENOMEM;
	for (unsigned int i = 0; i < bus->n_workers; i++)
		if (may_have(bus, i, text) && worker_post_order(bus->workers[i], &order->parts[i]) < 0)
			order->r = -ENOMEM;
	if (order->n_away == 0)
		order_finish(order);
	return 0;
}
