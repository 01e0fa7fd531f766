#ifndef TIDEGATE_BROKER_REDIS_SESSION_H
#define TIDEGATE_BROKER_REDIS_SESSION_H

/*
 * Redis session: who comes and goes, as our library's functions say it in a stream.
 *
 *     sessions                 the stream
 *     tg:l:{sessions}:NODE     hash: what this node has, and its last call
 *     tg:o:{sessions}:PREFIX   hash: channels, and on how many nodes each is occupied
 *
 * The last one ends at the brace where there is no channel_prefix.
 */

#include "broker/broker.h"

struct redis_library;

/* As the functions of the broker. */
int redis_session_say(struct redis_library *library, const char *prefix, const struct broker_session *session,
	uint64_t call, bool forgot, const struct broker_said *said, size_t n, broker_said_fn done, void *arg);
int redis_session_say_lost(struct redis_library *library, const char *prefix,
	const struct broker_session *session, uint64_t cursor, broker_said_fn done, void *arg);

#endif
