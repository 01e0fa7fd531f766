#ifndef TIDEGATE_SRC_CLIENT_LEASE_H
#define TIDEGATE_SRC_CLIENT_LEASE_H

/*
 * Lease: how long a client may stay, because its token ends.
 *
 * Who speaks tidegate.v1 is told LEASE_TOLD_MS before (token_expiring) and may show a newer token in
 * band. Who does not is closed with 4001 once the token has ended: at its own moment within the leeway
 * that clocks are given, so that those whose tokens were made together do not come back together.
 *
 * A client with an identity has a lease from client_init() on; it runs from client_open() to the end.
 */

#include <stdbool.h>
#include <stdint.h>

struct client;
struct clients;

enum {
	LEASE_TOLD_MS = 60000,    /* before its end: time for a page to fetch another token */
	LEASE_RENEW_MS = 1000,    /* between two tokens of a connection: a signature costs up to 0.1 ms */
	LEASE_REFRESH_MS = 30000, /* for a fresh token to come once a backend has asked for one */
};

/* 0, also for an anonymous client, which has none; or -ENOMEM. */
int lease_init(struct client *client);
void lease_deinit(struct client *client); /* also of a client without one */

/* The client is open, or its identity is another: it ends when that ends. */
void lease_run(struct client *client);

/* The client closes: nothing is due any more. */
void lease_stop(struct client *client);

/*
 * A backend wants to see a fresh token, one that is made from now on: the client is told, if it speaks
 * tidegate.v1, and closed after LEASE_REFRESH_MS without one. False: it has none to renew.
 */
bool lease_refresh(struct client *client);

/* May it show a token now? Notes that it did. */
bool lease_may_renew(struct client *client);

/* How long its token is good still; UINT64_MAX: for ever. */
uint64_t lease_left_ms(const struct client *client);

/* Tells and closes those whose time has come. */
void lease_tick(struct clients *clients);

#endif
