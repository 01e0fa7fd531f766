#ifndef TIDEGATE_CORE_PRIORITY_H
#define TIDEGATE_CORE_PRIORITY_H

/*
 * Priority: in which order a loop serves what is ready at the same time. A loop without priorities has only
 * one, and setting another fails there, which does no harm.
 *
 * As long as something of an earlier priority is ready, nothing of a later one is served. So only what cannot
 * come without end goes before the last: ticks, timers, signals, and answers to requests that were accepted
 * with the last.
 */

enum priority {
	PRIORITY_FIRST,
	PRIORITY_DEFAULT, /* libevent's: the middle */
	PRIORITY_LAST,    /* sockets of clients, and whatever else may come without end */
	N_PRIORITIES,
};

#endif
