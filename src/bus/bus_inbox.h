#ifndef TIDEGATE_BUS_BUS_INBOX_H
#define TIDEGATE_BUS_BUS_INBOX_H

/*
 * The bus' inbox: what workers post to the bus, and which part of the bus takes it.
 *
 * Posting is what bus_worker_listener() gives to the workers; all else is on the bus thread.
 */

struct bus;

/* From now on the bus' loop takes mail. 0 or -ENOMEM. */
int bus_inbox_open(struct bus *bus);

/* Its workers are on this thread, too: the loop takes their mail in the turn that brings it. */
void bus_inbox_share_loop(struct bus *bus);

/* Takes what lies in it now, without waiting for the loop. */
void bus_inbox_take(struct bus *bus);

/* Frees what lies in it. Accepts one that was not opened, or only half. */
void bus_inbox_close(struct bus *bus);

#endif
