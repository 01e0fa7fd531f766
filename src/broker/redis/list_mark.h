#ifndef TIDEGATE_BROKER_REDIS_LIST_MARK_H
#define TIDEGATE_BROKER_REDIS_LIST_MARK_H

/*
 * Redis list mark: do all gateways have the same list of servers, in the same order?
 *
 * A channel's server is decided by its place in the list, so gateways with different lists hear different
 * servers. They do not meet in the list of nodes either, which is on the first server of each. So each
 * gateway leaves the hash of its list on every server, and hears which one it finds there:
 *
 *     tg:{nodes}:urls    string: the hash of the one who was here last; it expires
 *
 * Behind it stands which other one was found lately, and when (in seconds since 1970): of many gateways with
 * one list only those hear the other list itself that come right behind it.
 *
 * A gateway of one server has no mark: that server may be part of somebody's list.
 */

#include <stdbool.h>
#include <stdint.h>

#include "core/buf.h"

struct log;
struct redis_link;
struct redis_urls;

struct redis_list_mark {
	struct log *log;
	struct buf key;
	char hash[9];     /* "": there is no list */
	char other[9];    /* that was found */
	uint64_t other_s; /* when it was found last, in seconds since 1970; 0: never */
};

/* 0 or -ENOMEM. The log is borrowed for its life; all links are freed before the mark is. */
int redis_list_mark_init(
	struct redis_list_mark *mark, struct log *log, const char *prefix, const struct redis_urls *urls);
void redis_list_mark_deinit(struct redis_list_mark *mark);

/* Leaves the hash there, and looks which one was there before. What cannot be sent is not. */
void redis_list_mark_leave(struct redis_list_mark *mark, struct redis_link *link);

/* Was another list found lately? */
bool redis_list_mark_differs(const struct redis_list_mark *mark);

#endif
