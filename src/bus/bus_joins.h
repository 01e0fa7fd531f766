#ifndef TIDEGATE_BUS_BUS_JOINS_H
#define TIDEGATE_BUS_BUS_JOINS_H

/*
 * Joins on the bus' side: clients that say where they were, on their way to the history of their channel.
 *
 * How many are answered at once is bounded by what their clients have taken (bus/replays); where memory is
 * short, those that would read a log are turned away.
 */

struct bus;
struct credit;
struct join;

/* Hands it to the history of its channel, or turns it away. Takes it over. */
void bus_joins_take(struct bus *bus, struct join *join);

/* The answer of a join was queued for its client: others may have theirs. Takes over the credit. */
void bus_joins_spent(struct bus *bus, struct credit *credit);

#endif
