#ifndef TIDEGATE_MAIL_ACTION_H
#define TIDEGATE_MAIL_ACTION_H

/*
 * Action: what a client asks of a backend, on its way from its worker to the bus.
 *
 *     client ── action ──► bus ── entry of a stream ──► a backend
 *     client ◄─ action_answer ── bus ◄── reply channel ──┘
 *
 * The bus keeps no list of them: an action's id names its connection, so an answer finds the worker, and the
 * worker knows who waits.
 */

#include <stdbool.h>
#include <stdint.h>

#include "core/list.h"
#include "core/slice.h"
#include "mail/bus_mail.h"

struct message;

/* What a backend gets to see; see struct broker_action. */
struct action_text {
	struct slice stream, user, route, vars, key, data;
};

struct action {
	struct bus_mail mail;
	struct list link; /* the bus' own, until Redis is asked */
	uint64_t conn;    /* the connection's number */
	uint64_t number;  /* of the action on its worker */
	uint64_t timeout_ms;
	uint32_t backlog;
	struct action_text text; /* points into bytes */
	char bytes[];
};

/* The text is copied, the numbers are the caller's to fill. NULL: out of memory. To be freed with free(). */
struct action *action_new(const struct action_text *text);

/* What became of an action. */
struct action_answer {
	uint64_t conn;
	uint64_t number;
	int r;             /* 0: a backend's answer; otherwise no backend got it, and why: see broker_act() */
	bool more;         /* further parts follow */
	struct slice data; /* JSON; absent: none */
	struct slice code, message; /* of a backend's error: JSON strings; absent: it is none */
	struct message *event;      /* in which the slices lie; NULL without any */
};

#endif
