#ifndef TIDEGATE_MAIL_CENSUS_H
#define TIDEGATE_MAIL_CENSUS_H

/*
 * Census: a copy of what one worker knows about its clients and channels, for an operator.
 *
 * A question is answered on the worker's thread, in one go between two turns, so the work is bounded. All
 * connections are looked at, but only the top `limit` are copied. All matching channels are copied, with name
 * and number, because the largest ones are only known when the numbers of all workers are added up.
 *
 * Question and answer are plain data. They travel between threads and belong to one thread at a time.
 */

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/slice.h"
#include "protocol/transport.h"

struct disconnects;

enum census_subject {
	CENSUS_CHANNELS, /* all channels that have `text` in their name */
	CENSUS_CHANNEL,  /* the channel named `text`; n: its subscribers */
	/* the top connections on channel `text` and of route `route`, where these are not empty */
	CENSUS_CONNECTIONS,
	CENSUS_CONNECTION, /* the connection with this id, and its channels */
	CENSUS_DISCONNECTS,
};

enum census_order {
	CENSUS_BY_QUEUED, /* the connection with the most waiting bytes comes first */
	CENSUS_BY_OPENED, /* the newest connection comes first */
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
	uint64_t open_ms; /* how long it has been open */
	uint32_t n_received;
	uint32_t n_sent;
	uint32_t n_dropped;
	uint32_t queued_bytes;
	uint32_t n_subscriptions;
	uint32_t route_len;
	size_t route_at;   /* in census.text */
	const char *state; /* opening, open or closing; static */
	bool blocked;      /* its socket is full */
	bool aware;
	bool deflates;
	enum transport transport;
	char remote[INET6_ADDRSTRLEN];
};

/* The answer of one worker. Zeroed memory is an empty answer. */
struct census {
	int r;      /* 0 or -ENOMEM */
	uint64_t n; /* the number of matches, listed or not */
	uint32_t n_channels;
	uint32_t n_connections;
	struct census_channel *channels;
	struct census_connection *connections;
	struct disconnects *disconnects;
	struct buf text;
};

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
