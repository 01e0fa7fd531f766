#ifndef TIDEGATE_WS_PLACES_H
#define TIDEGATE_WS_PLACES_H

/*
 * Places: how many connections of the public port there may be, over all workers.
 *
 * Descriptors that clients cannot have are left for the admin port, for Redis and for the files of a reload.
 * A few of them are for newcomers that find no place and are told so. Where those are taken too, the
 * listeners rest and newcomers wait in the kernel.
 *
 * One for a process, shared by its threads without a lock. Each connection holds a place of one kind from
 * accept to its end.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

enum {
	PLACES_STANDING_REST = 24, /* newcomers being told: from there on listeners rest */
	PLACES_STANDING_MAX = 40,  /* as many, when many workers accept at one moment */
};

enum place {
	PLACE_NONE,
	PLACE_SEAT,     /* may become a client */
	PLACE_STANDING, /* is to be told that all seats are taken */
};

struct places {
	_Atomic size_t max; /* seats */
	_Atomic size_t n_seated;
	_Atomic size_t n_standing;
	_Atomic bool is_resting; /* the log has a line on it that no other has followed */
};

void places_init(struct places *places, size_t max);

/* Holds for newcomers; nobody is sent away. */
void places_set_max(struct places *places, size_t max);
size_t places_max(const struct places *places);

/* Is there one of either kind for another connection? */
bool places_have_room(const struct places *places);

/* A seat; else to stand; else none. */
enum place places_take(struct places *places);

/* From standing to a seat. False: there is none. */
bool places_sit(struct places *places);

/* The same where there may be none: one too many. */
void places_to_seat(struct places *places);

void places_leave(struct places *places, enum place place);

/* Whether this is news: the first listener that rests, the first one that goes on. */
bool places_rest(struct places *places);
bool places_go_on(struct places *places);

#endif
