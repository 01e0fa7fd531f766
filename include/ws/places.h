#ifndef TIDEGATE_WS_PLACES_H
#define TIDEGATE_WS_PLACES_H

/*
 * Places: how many connections of the public port there may be, over all workers, from one address, of
 * one user.
 *
 * Some file descriptors are kept from clients, for the admin port, for Redis and for the files of a
 * reload. A few of these serve newcomers that find no place and have to be told so. When those are taken
 * too, the listeners rest and newcomers wait in the kernel.
 *
 * There is one struct places for a process, shared by its threads without a lock. Each connection holds one
 * place, of either kind, from accept to its end. While memory is short there are no seats for newcomers.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

struct address_table;
struct tally;

enum {
	PLACES_STANDING_REST = 24, /* newcomers that are being told; from this number on listeners rest */
	PLACES_STANDING_MAX = 40,  /* the most, when many workers accept at the same moment */
};

enum place {
	PLACE_NONE,
	PLACE_SEAT,     /* may become a client */
	PLACE_STANDING, /* will be told that all seats are taken */
};

struct places {
	struct address_table *addresses; /* counts them by where they come from; borrowed */
	struct tally *users;             /* and by whose they are; borrowed */
	_Atomic size_t max;              /* seats */
	_Atomic size_t n_seated;
	_Atomic size_t n_standing;
	_Atomic bool is_short; /* of memory: there are no seats */
	_Atomic bool resting;  /* the log has said that listeners rest, and not yet that they go on */
};

/* addresses, users: outlive the places. */
void places_init(struct places *places, size_t max, struct address_table *addresses, struct tally *users);

/* The new bound holds for newcomers; no connection is closed. */
void places_set_max(struct places *places, size_t max);
size_t places_max(const struct places *places);

void places_set_short(struct places *places, bool is_short);
bool places_is_short(const struct places *places);

/* Is there a place of either kind for another connection? */
bool places_have_room(const struct places *places);

/* Takes a seat if there is one, else a standing place, else none. */
enum place places_take(struct places *places);

/* Exchanges a standing place for a seat. False if there is no seat. */
bool places_sit(struct places *places);

/* The same even if all seats are taken: then there is one connection too many. */
void places_to_seat(struct places *places);

void places_leave(struct places *places, enum place place);

/* Is this news for the log? True for the first listener that rests, and for the first one that goes on. */
bool places_rest(struct places *places);
bool places_go_on(struct places *places);

#endif
