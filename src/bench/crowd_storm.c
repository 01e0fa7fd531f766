/* Crowd, in a storm: all are cut off at once, and each comes back with the position that it knows. */

#include "bench/peer.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "bench/plan.h"
#include "core/clock.h"

enum {
	ROUND_US = 50000, /* between two attempts of the same client */
	CUT_MAX = 64,     /* of a turn: the publisher must not wait long for its own */
};

static struct peer_memory *memory_of(const struct crowd *crowd, const struct peer *peer)
{
	return crowd->memories ? &crowd->memories[peer - crowd->peers] : NULL;
}

bool crowd_cut_off(struct crowd *crowd)
{
	/* As if the network were gone: nothing is said, and the port is free again. */
	const struct linger at_once = {.l_onoff = 1, .l_linger = 0};

	crowd->was_cut = true;
	for (int n = 0; n < CUT_MAX && crowd->n_cut < crowd->n_peers; n++) {
		struct peer *peer = &crowd->peers[crowd->n_cut++];

		if (peer->state != PEER_OPEN)
			continue;
		setsockopt(peer->wire.fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
		peer_end(crowd, peer);
	}
	return crowd->n_cut < crowd->n_peers;
}

void crowd_start_round(struct crowd *crowd)
{
	uint64_t now_us;

	if (!crowd->n_away || crowd->n_started < crowd->n_peers || crowd->n_cut < crowd->n_peers)
		return;
	now_us = clock_monotonic_us();
	if (now_us < crowd->round_us + ROUND_US)
		return;
	crowd->round_us = now_us;
	crowd->n_started = 0;
}

bool peer_comes_back(struct crowd *crowd, struct peer *peer)
{
	const struct peer_memory *memory = memory_of(crowd, peer);

	if (!memory || !memory->back_us)
		return false;
	if (peer->state == PEER_OPEN) {
		crowd_count(&crowd->counts.cut, 1);
	} else {
		crowd_count(&crowd->counts.put_off, 1);
		crowd->n_opening--;
	}
	peer->state = PEER_NEW;
	crowd->n_away++;
	return true;
}

void peer_comes(struct crowd *crowd, const struct peer *peer)
{
	const struct peer_memory *memory = memory_of(crowd, peer);

	crowd->n_away -= memory && memory->back_us;
}

bool peer_is_back(struct crowd *crowd, struct peer *peer)
{
	struct peer_memory *memory = memory_of(crowd, peer);
	bool is_back = memory && memory->back_us;

	if (memory)
		memory->back_us = crowd->now_us;
	return is_back;
}

void peer_add_since(const struct crowd *crowd, const struct peer *peer, char path[PEER_PATH_SIZE])
{
	const struct peer_memory *memory = memory_of(crowd, peer);
	size_t len = strlen(path);

	if (memory)
		snprintf(path + len, PEER_PATH_SIZE - len, "%csince=%s", strchr(path, '?') ? '&' : '?',
			*memory->position ? memory->position : "now");
}

/* Events have it at their end, and answers among their data. */
void peer_remember(struct crowd *crowd, struct peer *peer, const char *text, size_t len)
{
	static const char name[] = "\"pos\":\"";
	struct peer_memory *memory = memory_of(crowd, peer);
	const char *start = memory ? memmem(text, len, name, sizeof(name) - 1) : NULL, *end;

	if (!start)
		return;
	start += sizeof(name) - 1;
	end = memchr(start, '"', (size_t)(text + len - start));
	if (!end || (size_t)(end - start) >= sizeof(memory->position))
		return;
	memcpy(memory->position, start, (size_t)(end - start));
	memory->position[end - start] = '\0';
}

void peer_told(struct crowd *crowd, struct peer *peer, const char *text, size_t len)
{
	static const char answer[] = "{\"type\":\"subscribed\"", good[] = "\"recovered\":true";

	if (!crowd->memories || len < sizeof(answer) || memcmp(text, answer, sizeof(answer) - 1) != 0)
		return;
	peer_remember(crowd, peer, text, len);
	if (crowd->was_cut)
		crowd_count(memmem(text, len, good, sizeof(good) - 1) ? &crowd->counts.recovered
								      : &crowd->counts.unrecovered,
			1);
}

void peer_note_storm(struct crowd *crowd, struct peer *peer, uint64_t at_us)
{
	const struct peer_memory *memory = memory_of(crowd, peer);
	uint64_t to_us = atomic_load_explicit(&crowd->shared->storm_to_us, memory_order_relaxed);

	if (!memory || !crowd->was_cut)
		return;
	if (at_us < memory->back_us)
		crowd_count(&crowd->counts.replayed, 1);
	else if (at_us >= atomic_load_explicit(&crowd->shared->storm_from_us, memory_order_relaxed) &&
		 (!to_us || at_us < to_us)) {
		uint64_t came_us = crowd->came_us ? crowd->came_us : crowd->now_us;

		histogram_record(&crowd->storm_latency, came_us > at_us ? came_us - at_us : 0);
		histogram_record(&crowd->storm_read, crowd->now_us > at_us ? crowd->now_us - at_us : 0);
	}
}
