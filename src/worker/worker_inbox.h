#ifndef TIDEGATE_WORKER_WORKER_INBOX_H
#define TIDEGATE_WORKER_WORKER_INBOX_H

/*
 * A worker's inbox: what other threads have posted, taken in turns.
 *
 * Mail goes before sockets, in its own order, until a turn has enough of it. Mail that comes without end
 * gives way to the sockets, and events that a worker cannot keep up with are passed over in their place.
 */

struct worker;

/* From now on the worker's loop takes mail. 0 or -ENOMEM. */
int worker_inbox_open(struct worker *worker);

/* Frees what lies in it. Accepts one that was not opened, or only half. */
void worker_inbox_close(struct worker *worker);

/* Sockets were served for a while: mail goes before the rest of them. To ask the kernel for mail would be
 * slow: it would tell of all sockets that are ready once more. */
void worker_inbox_pause(struct worker *worker);

/* Tells the operator now and then that events were passed over. */
void worker_inbox_log_passed(struct worker *worker);

#endif
