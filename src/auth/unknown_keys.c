/* Unknown keys: which keys, named by tokens, were asked for in vain; see the header. */

#include "auth/unknown_keys.h"

#include <string.h>

#include "auth/key_refresh.h"
#include "core/map.h"

bool unknown_keys_ask(struct unknown_keys *keys, struct slice name, uint64_t now_ms)
{
	uint64_t hash = map_hash(name.data, name.len) % UNKNOWN_KEYS_BITS;
	uint64_t bit = UINT64_C(1) << (hash % 64);
	size_t word = hash / 64;

	if ((keys->refused[word] & bit) && now_ms < keys->fetched_ms + KEY_REFRESH_APART_MS)
		return false;
	keys->asked[word] |= bit;
	return true;
}

bool unknown_keys_wish_is_due(const struct unknown_keys *keys, uint64_t now_ms)
{
	return now_ms >= keys->wish_ms;
}

/* Neither the wish nor the news of a fetch is sure to arrive, for want of memory: so it holds for a moment
 * only. */
void unknown_keys_wished(struct unknown_keys *keys, uint64_t now_ms)
{
	keys->wish_ms = now_ms + UNKNOWN_KEYS_AGAIN_MS;
}

void unknown_keys_begin(struct unknown_keys *keys)
{
	keys->wish_ms = 0;
	for (size_t i = 0; i < UNKNOWN_KEYS_WORDS; i++)
		keys->under_way[i] |= keys->asked[i];
	memset(keys->asked, 0, sizeof(keys->asked));
}

void unknown_keys_fetched(struct unknown_keys *keys, uint64_t now_ms)
{
	size_t n = 0;

	for (size_t i = 0; i < UNKNOWN_KEYS_WORDS; i++)
		n += (size_t)__builtin_popcountll(keys->under_way[i]);
	/* With so many bits a name would be refused because of those that strangers made up. */
	if (n > UNKNOWN_KEYS_BITS / 4)
		memset(keys->under_way, 0, sizeof(keys->under_way));
	memcpy(keys->refused, keys->under_way, sizeof(keys->refused));
	memset(keys->under_way, 0, sizeof(keys->under_way));
	keys->fetched_ms = now_ms;
}
