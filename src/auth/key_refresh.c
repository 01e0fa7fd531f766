/* Key refresh: when keys are fetched from their URL; see the header. */

#include "auth/key_refresh.h"

bool key_refresh_is_due(const struct key_refresh *refresh, uint64_t now_ms)
{
	return !refresh->under_way && now_ms >= refresh->due_ms;
}

uint64_t key_refresh_wait_ms(const struct key_refresh *refresh, uint64_t now_ms)
{
	if (refresh->under_way)
		return UINT64_MAX;
	return now_ms >= refresh->due_ms ? 0 : refresh->due_ms - now_ms;
}

void key_refresh_begin(struct key_refresh *refresh, uint64_t now_ms)
{
	refresh->under_way = true;
	refresh->wanted = false;
	refresh->began_ms = now_ms;
}

/* A token may not make the next fetch come before this. */
static uint64_t soonest_ms(const struct key_refresh *refresh)
{
	return refresh->began_ms + KEY_REFRESH_APART_MS;
}

static uint64_t retry_wait_ms(struct key_refresh *refresh)
{
	refresh->retry_ms = refresh->retry_ms ? refresh->retry_ms * 2 : KEY_REFRESH_RETRY_MS;
	if (refresh->retry_ms > KEY_REFRESH_RETRY_MAX_MS)
		refresh->retry_ms = KEY_REFRESH_RETRY_MAX_MS;
	return refresh->retry_ms;
}

void key_refresh_end(struct key_refresh *refresh, bool good, uint64_t now_ms)
{
	refresh->under_way = false;
	if (good) {
		refresh->fetched_ms = now_ms;
		refresh->retry_ms = 0;
		refresh->due_ms = refresh->began_ms + KEY_REFRESH_MS;
	} else if (refresh->fetched_ms) {
		refresh->due_ms = soonest_ms(refresh);
	} else {
		refresh->due_ms = now_ms + retry_wait_ms(refresh);
	}
	if (refresh->wanted)
		key_refresh_want(refresh);
}

void key_refresh_want(struct key_refresh *refresh)
{
	refresh->wanted = true;
	if (!refresh->under_way && refresh->due_ms > soonest_ms(refresh))
		refresh->due_ms = soonest_ms(refresh);
}

void key_refresh_hurry(struct key_refresh *refresh)
{
	refresh->due_ms = 0;
}
