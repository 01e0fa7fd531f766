#ifndef TIDEGATE_CLIENT_CENSUS_H
#define TIDEGATE_CLIENT_CENSUS_H

/*
 * Census: what one worker knows of its clients and channels, taken down for an operator.
 *
 * A question is answered on the worker's thread, in one go between two turns; so it is bounded. Of
 * connections only those at the top are copied, picked with a heap of `limit` while all are looked at. Of
 * channels all that match are copied, by name and number: only who has every worker's numbers can tell the
 * largest.
 *
 * Question and answer are plain data. They travel between threads and belong to one at a time.
 */

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/client.h"
#include "client/disconnects.h"
#include "core/buf.h"
#include "core/slice.h"

struct clients;

enum census_subject {
	CENSUS_CHANNELS,    /* all that have `text` in their name: channels */
	CENSUS_CHANNEL,     /* the one named `text`: n is how many subscribe to it */
	CENSUS_CONNECTIONS, /* on channel `text`, by route `route`, where these are not empty: the top ones */
	CENSUS_CONNECTION,  /* the one with this id, and its channels */
	CENSUS_DISCONNECT,  /* closes the one with this id; n is 1 if there is such a one */
	CENSUS_DISCONNECTS,
};

enum census_order {
	CENSUS_BY_QUEUED, /* who has most waiting for it comes first */
	CENSUS_BY_OPENED, /* who came last comes first */
};

enum {
	CENSUS_LIMIT_MAX = 1000,
	CENSUS_TEXT_MAX = 255, /* bytes of a channel's name, of a part of one, or of a route */
};

struct census_question {
	enum census_subject subject;
	enum census_order order;
	uint64_t id;
	uint32_t limit; /* 1 to CENSUS_LIMIT_MAX */
	size_t text_len;
	char text[CENSUS_TEXT_MAX + 1];
	char route[CENSUS_TEXT_MAX + 1];
};

struct census_channel {
	uint64_t hash;
	uint32_t n_subscribers;
	uint32_t name_len;
	size_t name_at; /* in census.text */
};

struct census_connection {
	uint64_t rank; /* larger comes first */
	uint64_t id;
	uint64_t open_ms; /* for so long */
	uint32_t n_received;
	uint32_t n_sent;
	uint32_t n_dropped;
	uint32_t queued_bytes;
	uint32_t n_subscriptions;
	uint32_t route_len;
	size_t route_at; /* in census.text */
	uint8_t state;   /* enum client_state */
	bool blocked;    /* its socket is full */
	bool aware;
	bool deflates;
	char remote[INET6_ADDRSTRLEN];
};

/* What one worker answers. Zeroed memory is an empty one. */
struct census {
	int r;      /* 0 or -ENOMEM */
	uint64_t n; /* all that match, also those that are not listed */
	uint32_t n_channels;
	uint32_t n_connections;
	struct census_channel *channels;
	struct census_connection *connections;
	struct disconnects *disconnects;
	struct buf text;
};

/* On the thread of the clients. */
void census_take(struct clients *clients, const struct census_question *question, struct census *census);

void census_deinit(struct census *census);

static inline struct slice census_channel_name(
	const struct census *census, const struct census_channel *channel)
{
	return (struct slice){census->text.data + channel->name_at, channel->name_len};
}

static inline struct slice census_route(
	const struct census *census, const struct census_connection *connection)
{
	return (struct slice){census->text.data + connection->route_at, connection->route_len};
}

#endif
