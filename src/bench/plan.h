#ifndef TIDEGATE_BENCH_PLAN_H
#define TIDEGATE_BENCH_PLAN_H

/*
 * Plan: what the user asked for, from the words of the command line.
 *
 * Everything else takes it read-only. A template is a text with at most one {n}, which stands for a channel's
 * number (a connection's number modulo --channels).
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ws_client/ws_token.h"
#include "ws_client/ws_url.h"

enum {
	PLAN_URLS_MAX = 16,
	PLAN_SERVERS_MAX = 16,
	PLAN_SOURCES_MAX = 256,
	PLAN_NAME_MAX = 256, /* a path or a channel, written out */
	PLAN_CROWDS_MAX = 64,
	PLAN_WORKERS_MAX = 64,

	PLAN_HELP = 1,  /* the help was printed; nothing is to be done */
	PLAN_WRONG = 2, /* one line was written to standard error */
};

enum plan_limit {
	PLAN_LIMIT_NONE,
	PLAN_LIMIT_EACH,      /* one send per event and client */
	PLAN_LIMIT_COALESCED, /* all events of one read in one send per client */
	PLAN_LIMIT_URING,     /* as each, but up to a thousand sends in one system call */
};

struct plan {
	struct ws_url urls[PLAN_URLS_MAX]; /* of the gateways; all with TLS, or none */
	uint32_t n_urls;
	const char *path;
	const char *channel;
	char own_path[64]; /* where neither was said; the plan is not copied */
	char own_channel[64];
	const char *redis;
	const char *actions;       /* the stream of what clients ask; NULL: events are measured */
	uint32_t n_workers;        /* of actions */
	char token[WS_TOKEN_SIZE]; /* that every connection shows; "" for none */

	uint32_t n_connections;
	uint32_t n_slow; /* of n_connections; the last ones */
	uint32_t n_channels;
	uint32_t n_crowds; /* the clients are spread over so many threads, or processes */
	bool processes;
	uint32_t opening_max;               /* handshakes under way at a time */
	uint32_t sources[PLAN_SOURCES_MAX]; /* IPv4, host byte order */
	uint32_t n_sources;                 /* 0: the kernel chooses */

	uint64_t window; /* events under way; 0: at a rate */
	double rate;     /* events a second */
	double duration_s;
	double warmup_s;
	size_t payload;

	int servers[PLAN_SERVERS_MAX]; /* process ids */
	uint32_t n_servers;
	enum plan_limit limit;
	int limit_cpu;  /* -1: any */
	int client_cpu; /* -1: any */
	bool open_only;
	bool storm; /* clients are cut off and come back; events go through the channels' logs */
	bool deflate;
	bool sse;     /* clients hear server-sent events */
	bool history; /* events are published through the logs of their channels */
	bool json;    /* nothing but the JSON line */
};

/* 0, PLAN_HELP or PLAN_WRONG. Strings are borrowed from argv. */
int plan_parse(struct plan *plan, int argc, char **argv);

/* The template with its {n} replaced; the length, less than PLAN_NAME_MAX (plan_parse() has
 * made sure of it). */
size_t plan_expand(const char *template, uint32_t n, char out[PLAN_NAME_MAX]);

/* The gateway of a connection: each channel has clients on all of them. */
const struct ws_url *plan_url(const struct plan *plan, uint32_t connection);

/* The local address of a connection that has to have one; there is one. */
uint32_t plan_source(const struct plan *plan, uint32_t connection);

static inline uint32_t plan_n_readers(const struct plan *plan)
{
	return plan->n_connections - plan->n_slow;
}

#endif
