#ifndef TIDEGATE_SUPPORT_CLIENTS_WORLD_H
#define TIDEGATE_SUPPORT_CLIENTS_WORLD_H

/*
 * A world of clients, for the tests of client/: one worker's clients over sockets made of memory, and time
 * that only passes when a test says so.
 *
 * A socket takes as many bytes as it has room for, watches the seam's rules, and writes down what went over
 * the wire. hears() reads that in words: "e7" is an event with the number 7, "pong#1" an answer with its id,
 * "subscribed(cards)", "error(forbidden)", "ping!" and "close:1012" are what they say.
 *
 * Each test gets a world of its own (CLIENTS_TEST), whose end looks at what is left behind.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "client/client.h"
#include "client/clients.h"
#include "core/buf.h"
#include "mail/action.h"
#include "mail/join.h"
#include "metrics/metrics.h"
#include "protocol/message.h"
#include "route/route.h"

#define WALL_MS UINT64_C(1767225600000)
#define CARDS   "/ws/cards"
#define KEY     "key"

#define CLIENTS_TEST(name) cmocka_unit_test_setup_teardown(name, clients_world_setup, clients_world_teardown)

enum {
	PEERS = 4,
	INTERESTS = 16,
	PING_MS = 25000,
	PONG_MS = 10000,
	AGE_MS = 1000,
	NARROW = 10, /* bytes: less than any event */
};

struct peer {
	struct client client;
	struct buf wire;
	size_t room;   /* bytes that it takes before it blocks */
	int broken;    /* errno of every send() */
	int keeps_not; /* errno of every keep() */
	bool wants_writable;
	uint32_t n_acked;
	uint32_t n_unacked;
	unsigned int n_sends;
	unsigned int n_keeps;
	unsigned int n_aborts;
	unsigned int n_silences;
	unsigned int n_finishes;
	unsigned int n_ready;
};

struct world {
	struct clients clients;
	struct metrics metrics;
	struct route_table *routes;
	struct peer peers[PEERS];
	struct buf said; /* interest, one word each */
	struct {
		char channel[32];
		uint64_t generation;
		bool wanted;
		bool urgent;
	} interests[INTERESTS];
	size_t n_interests;
	uint16_t era;          /* of the answers to joins */
	struct join *join;     /* that was asked for, and is not answered yet */
	struct action *action; /* the newest that went to a backend */
	unsigned int n_actions;
	uint64_t now_ms;
	uint64_t now_us; /* as writes see it */
	bool beginning;  /* inside client_init() */
	unsigned int n_identified;
	int unidentified; /* what identify() answers instead of an identity; 0: it gives one */
};

int clients_world_setup(void **state);
int clients_world_teardown(void **state);

void add_route(struct route_table *table, const char *path, const char *const *channels, size_t n, bool any);

/* Time, and the turns of the worker. */
void turn(struct world *world);
void pass(struct world *world, uint64_t ms);

/* A peer comes: held or not as client_init() says, or opened() with all its channels confirmed. */
int begin_from(struct world *world, struct peer *peer, const char *path, const char *remote);

/* With an identity: claims in JSON, with ' instead of ". NULL: anonymous. */
int begin_as(struct world *world, struct peer *peer, const char *path, const char *claims);
int begin(struct world *world, struct peer *peer, const char *path);
struct peer *opened(struct world *world, int i, const char *path);
struct peer *opened_as(struct world *world, int i, const char *path, const char *claims);

/* The broker confirms the channel, or all that are wanted. */
void confirm(struct world *world, const char *channel);
void confirm_all(struct world *world);

/* Events. keyed_event() has a key if that is not empty. publish_each() takes a turn for each of from..to. */
struct message *keyed_event(const char *channel, const char *key, int number, uint64_t arrived_ms);
struct message *event_of(const struct world *world, const char *channel, int number);
size_t event_len(void); /* of an event's frame */
void publish(struct world *world, const char *channel, int number);
void publish_each(struct world *world, const char *channel, int from, int to);

/* A peer says something; ask() takes the turn that answers it. */
void send_text(struct peer *peer, const char *text);
void ask(struct world *world, struct peer *peer, const char *text);
void ask_for(struct world *world, struct peer *peer, const char *verb, const char *channel);

/* The join that was asked for is the test's, which answers it; recover() answers with n events of cards. */
struct join *take_join(struct world *world);
void recover(struct world *world, struct peer *peer, uint32_t n, uint64_t arrived_ms);

/* The peer reads on: its socket has asked to be told. */
void writable(struct world *world, struct peer *peer);

/* What went over the wire since the last time is exactly this, in whole frames. */
void hears(struct peer *peer, const char *expected);

/* The length of the frame that begins at `at`; 0 when it is not all there. */
size_t frame_at(const struct buf *wire, size_t at, size_t *header_lenp);

/* Which channels were wanted (+) or no longer wanted (-) since the last time. */
void says(struct world *world, const char *expected);

#endif
