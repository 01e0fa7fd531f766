#ifndef TIDEGATE_APP_ANNOUNCER_H
#define TIDEGATE_APP_ANNOUNCER_H

/*
 * Announcer: tells the other nodes about this one, every few seconds, and at once when Redis is there:
 * whoever asks all nodes as soon as this one is ready counts on its answer.
 *
 * An announcement expires a few rounds later, so a node that ends without a word disappears from
 * the lists of the others.
 */

struct announcer;
struct broker;
struct buf;
struct event_base;

enum {
	ANNOUNCER_MS = 5000,
	ANNOUNCER_AGAIN_MS = 1000, /* after a try that failed: one costs the whole status */
	ANNOUNCER_TTL_MS = 15000,  /* two may be missed */
	ANNOUNCER_LOOK_MS = 100,   /* between two looks whether Redis has come, or come back */
};

struct announcer_source {
	void *arg;
	/* Called every ANNOUNCER_LOOK_MS: a good moment for work that is done now and then. */
	void (*beat)(void *arg);
	void (*status)(void *arg, struct buf *out); /* one JSON object */
};

/* The broker outlives it. NULL when out of memory. */
struct announcer *announcer_new(
	struct event_base *base, struct broker *broker, const struct announcer_source *source);
void announcer_free(struct announcer *announcer); /* accepts NULL */

#endif
