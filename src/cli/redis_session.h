#ifndef TIDEGATE_CLI_REDIS_SESSION_H
#define TIDEGATE_CLI_REDIS_SESSION_H

/* Redis session: a Redis broker on a loop of its own, for a subcommand that listens or waits. */

struct broker;
struct broker_listener;
struct buf;
struct config;
struct event_base;
struct log;
struct redis_tls;

struct redis_session {
	struct event_base *base;
	struct broker *broker;
	struct redis_tls *tls; /* NULL: without TLS */
	struct log *log;       /* warnings of the broker, on standard error */
};

/*
 * `what` is part of the name under which Redis knows us. 0, or negative errno with one sentence appended to
 * error; close it in either case. The listener is called once the caller runs the loop.
 */
int redis_session_open(struct redis_session *session, const struct config *config, const char *what,
	const struct broker_listener *listener, struct buf *error);
void redis_session_close(struct redis_session *session);

#endif
