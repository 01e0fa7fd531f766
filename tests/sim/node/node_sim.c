/*
 * Node sim: one node under many orders of events; see node.h. What a peer may not see: an entry twice, out of
 * order, or missing without a word; an answer that is not kept; anything before the answer that it waits for.
 *
 * Usage: node_sim [SEEDS [FIRST [VERBOSE]]]. Exit code: 0 nothing found, 1 something found.
 */

#include <stdio.h>
#include <stdlib.h>

#include "core/map.h"
#include "node.h"

enum {
	STEPS = 200,
	QUIET_ROUNDS = 120,
	PRINTED_MAX = 3,
	TICK_MS = 500,
};

/* How often each may come next. */
static const struct {
	const char *name;
	unsigned int weight;
} kinds[] = {
	{"publish", 20},
	{"push", 24},
	{"subscribe", 6},
	{"execute a read", 8},
	{"answer a read", 8},
	{"turn the bus", 12},
	{"turn the worker", 16},
	{"come", 8},
	{"leave", 3},
	{"take", 8},
	{"cut", 1},
	{"link", 4},
	{"reload", 2},
	{"pass", 3},
};

enum {
	N_KINDS = sizeof(kinds) / sizeof(kinds[0]),
};

/* splitmix64 */
static uint64_t draw(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}

static unsigned int draw_kind(uint64_t *state)
{
	unsigned int total = 0, left, kind = 0;

	for (unsigned int i = 0; i < N_KINDS; i++)
		total += kinds[i].weight;
	left = (unsigned int)(draw(state) % total);
	while (left >= kinds[kind].weight)
		left -= kinds[kind++].weight;
	return kind;
}

static void take_step(struct node *node, unsigned int kind, unsigned int what)
{
	static const size_t rooms[] = {0, 150, 700, SIZE_MAX};
	struct peer *peer = &node->peers[what / 8 % NODE_PEERS];

	switch (kind) {
	case 0:
		node_publish(node);
		break;
	case 1:
		node_push(node);
		break;
	case 2:
		node_subscribe(node);
		break;
	case 3:
		node_execute(node);
		break;
	case 4:
		node_answer(node);
		break;
	case 5:
		node_turn_bus(node);
		break;
	case 6:
		node_turn_worker(node, 1 + what % 5);
		break;
	case 7:
		peer_come(node, peer);
		break;
	case 8:
		peer_leave(peer);
		break;
	case 9:
		peer_take(node, peer, rooms[what % 4]);
		break;
	case 10:
		node_cut(node);
		break;
	case 11:
		node_link(node);
		break;
	case 12:
		node_reload(node);
		break;
	default:
		node_pass(node, TICK_MS * (1 + what % 4));
		break;
	}
}

static void calm_down(struct node *node)
{
	node_link(node);
	for (unsigned int round = 0; round < QUIET_ROUNDS; round++) {
		node_subscribe(node);
		node_push(node);
		node_execute(node);
		node_answer(node);
		node_turn_bus(node);
		node_turn_worker(node, NODE_QUEUE);
		for (int i = 0; i < NODE_PEERS; i++) {
			peer_take(node, &node->peers[i], SIZE_MAX);
			peer_read(node, &node->peers[i]);
		}
		if (round % 2)
			node_pass(node, TICK_MS);
	}
	for (int i = 0; i < NODE_PEERS; i++)
		peer_is_complete(node, &node->peers[i]);
}

static void run(struct node *node, uint64_t seed, bool is_verbose)
{
	uint64_t state = seed;

	node_init(node, draw(&state));
	node->is_verbose = is_verbose;
	for (unsigned int i = 0; i < STEPS && !*node->complaint; i++) {
		unsigned int kind = draw_kind(&state), what = (unsigned int)draw(&state) % 64;

		if (is_verbose)
			printf("%4u  %s (%u)\n", i, kinds[kind].name, what);
		take_step(node, kind, what);
		for (int j = 0; j < NODE_PEERS; j++)
			peer_read(node, &node->peers[j]);
	}
	if (!*node->complaint)
		calm_down(node);
	node_deinit(node);
}

int main(int argc, char **argv)
{
	uint64_t n = argc > 1 ? strtoull(argv[1], NULL, 10) : 2000,
		 first = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
	uint64_t n_failed = 0;
	struct node *node = aligned_alloc(64, (sizeof(struct node) + 63) & ~(size_t)63);

	map_seed();
	for (uint64_t seed = first; node && seed < first + n; seed++) {
		run(node, seed, argc > 3);
		if (*node->complaint && n_failed++ < PRINTED_MAX)
			printf("seed %llu: %s\n", (unsigned long long)seed, node->complaint);
	}
	printf("%llu seeds from %llu: %llu with violations\n", (unsigned long long)n,
		(unsigned long long)first, (unsigned long long)n_failed);
	free(node);
	return n_failed > 0;
}
