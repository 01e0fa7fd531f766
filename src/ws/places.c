/* Places: counted by all workers at once; see the header. */

#include "ws/places.h"

void places_init(struct places *places, size_t max, struct address_table *addresses, struct tally *users)
{
	places->addresses = addresses;
	places->users = users;
	atomic_init(&places->max, max);
	atomic_init(&places->n_seated, 0);
	atomic_init(&places->n_standing, 0);
	atomic_init(&places->is_short, false);
	atomic_init(&places->resting, false);
}

void places_set_max(struct places *places, size_t max)
{
	atomic_store(&places->max, max);
}

size_t places_max(const struct places *places)
{
	return atomic_load(&places->max);
}

void places_set_short(struct places *places, bool is_short)
{
	atomic_store(&places->is_short, is_short);
}

bool places_is_short(const struct places *places)
{
	return atomic_load(&places->is_short);
}

/* The seats that newcomers may take. */
static size_t seats(const struct places *places)
{
	return places_is_short(places) ? 0 : atomic_load(&places->max);
}

bool places_have_room(const struct places *places)
{
	return atomic_load(&places->n_seated) < seats(places) ||
	       atomic_load(&places->n_standing) < PLACES_STANDING_REST;
}

static bool take(_Atomic size_t *n, size_t max)
{
	if (atomic_fetch_add(n, 1) < max)
		return true;
	atomic_fetch_sub(n, 1);
	return false;
}

enum place places_take(struct places *places)
{
	if (take(&places->n_seated, seats(places)))
		return PLACE_SEAT;
	return take(&places->n_standing, PLACES_STANDING_MAX) ? PLACE_STANDING : PLACE_NONE;
}

bool places_sit(struct places *places)
{
	if (!take(&places->n_seated, seats(places)))
		return false;
	atomic_fetch_sub(&places->n_standing, 1);
	return true;
}

void places_to_seat(struct places *places)
{
	atomic_fetch_add(&places->n_seated, 1);
	atomic_fetch_sub(&places->n_standing, 1);
}

void places_leave(struct places *places, enum place place)
{
	if (place == PLACE_SEAT)
		atomic_fetch_sub(&places->n_seated, 1);
	else if (place == PLACE_STANDING)
		atomic_fetch_sub(&places->n_standing, 1);
}

bool places_rest(struct places *places)
{
	return !atomic_exchange(&places->resting, true);
}

bool places_go_on(struct places *places)
{
	return atomic_load(&places->resting) && atomic_exchange(&places->resting, false);
}
