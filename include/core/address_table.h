#ifndef TIDEGATE_CORE_ADDRESS_TABLE_H
#define TIDEGATE_CORE_ADDRESS_TABLE_H

/*
 * Address table: how many connections each address has, and how fast it opens new ones.
 *
 * Who holds an IPv6 address holds 2^64 of them, so a /64 counts as one. There is one table for a process,
 * shared by its threads; a mutex is held for a moment when a connection comes and when it goes. An address is
 * in the table while it has a connection, and until the connections that it opened are forgotten: a second
 * later.
 *
 * An address over its bound still gets a few places for connections that are told so. When these are taken
 * too, further ones are not worth an answer.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <netinet/in.h>

struct address;
struct address_table;

enum {
	/* The bound that is for everybody in the open, where nobody has set one. */
	ADDRESS_AUTO = 1000,
	ADDRESS_NEW_MIN = 100,   /* new connections in a second, whatever the bound */
	ADDRESS_NEW_PART = 10,   /* of a larger bound: all are back after so many seconds */
	ADDRESS_TOLD_MAX = 16,   /* connections of one address at a time that are being told */
	ADDRESS_TIDY_MAX = 1024, /* addresses that one call forgets */
};

struct address_bound {
	unsigned int max;     /* connections of one address; 0: no bound */
	bool private_as_well; /* private addresses are bounded too: else they count as load balancers */
};

enum address_outcome {
	ADDRESS_MANY = 1, /* it has as many connections as it may have */
	ADDRESS_FAST,     /* it opens them faster than it may */
};

/* NULL when out of memory. */
struct address_table *address_table_new(void);
void address_table_free(struct address_table *table); /* accepts NULL; all have left */

/* The new bound holds for newcomers. */
void address_table_set_bound(struct address_table *table, const struct address_bound *bound);

/*
 * A connection comes from this address. named: a trusted proxy says so, and a private address is one of a
 * client. 0 with its address, or with NULL where it is not counted; -ENOMEM; or an outcome: with its address
 * if it has a place to be told, until it leaves; else NULL.
 */
int address_table_enter(struct address_table *table, const struct in6_addr *from, bool named, uint64_t now_ms,
	struct address **addressp);

/* The connection is gone. told: the outcome was not 0. Accepts NULL. */
void address_table_leave(struct address_table *table, struct address *address, bool told, uint64_t now_ms);

/* Forgets some addresses whose time is over. True if there may be more of them. */
bool address_table_tidy(struct address_table *table, uint64_t now_ms);

/* The addresses that it has memory for. */
size_t address_table_size(struct address_table *table);

#endif
