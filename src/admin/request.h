#ifndef TIDEGATE_ADMIN_REQUEST_H
#define TIDEGATE_ADMIN_REQUEST_H

/* Admin request: one request of the admin listener, from its headers to the last byte of its answer. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/list.h"
#include "http/chunked.h"
#include "http/request_head.h"
#include "mail/survey.h"
#include "ws/lws_linger.h"

struct admin;
struct admin_control;
struct admin_endpoint;
struct admin_publication;
struct admin_tail;
struct event;
struct lws;

enum {
	ADMIN_ARGUMENT_MAX =
		255, /* bytes of the NAME in /channels/NAME; as long as a channel's name may be */
};

enum admin_phase {
	ADMIN_READS_HEAD,
	ADMIN_READS_BODY,
	ADMIN_ANSWERS, /* at once or later; bytes that the caller still sends are read and dropped */
};

struct admin_request {
	struct admin *admin;
	struct list link; /* in admin.requests */
	struct lws *wsi;  /* NULL: the caller left while we wait for the broker */
	enum admin_phase phase;
	struct buf text;          /* the head as it came */
	struct request_head head; /* borrows it */
	const struct admin_endpoint *endpoint;
	uint64_t body_began_ms;
	struct chunked chunked;
	struct buf body;
	struct buf out;
	bool done;        /* nothing follows the bytes in out */
	bool half_closed; /* the caller says no more */
	struct lws_linger linger;
	bool waiting;                          /* for the broker to call back; the request lives until then */
	struct survey *survey;                 /* under way for it, or NULL */
	struct admin_publication *publication; /* likewise */
	struct admin_tail *tail;
	struct admin_control *control;         /* a command that it gives, or NULL */
	struct event *deadline;                /* until when the broker is waited for, or NULL */
	char argument[ADMIN_ARGUMENT_MAX + 1]; /* "" if the endpoint has no argument */
};

/* NULL when out of memory. */
struct admin_request *admin_request_new(struct admin *admin, struct lws *wsi);

void admin_request_free(struct admin_request *request);

/* The caller is gone, or was answered: freed now, or when the broker has called back. */
void admin_request_end(struct admin_request *request);

/* The broker has called back. True: the caller is still there. False: the request is freed. */
bool admin_request_resume(struct admin_request *request);

/* Sends the headers of an answer without an end; its body is appended to request->out. */
void admin_answer_stream(struct admin_request *request, const char *type);

/* The whole answer; it is sent and the connection ended. The body's memory stays the caller's. */
void admin_answer(struct admin_request *request, unsigned int status, const char *type, const char *headers,
	const struct buf *body);

/* 200 and the JSON text, with a newline added; 503 when it could not be built. Takes the body's memory. */
void admin_answer_json(struct admin_request *request, struct buf *body);

/* {"error":{"code":…,"message":…}}; code and message need no escaping. */
void admin_answer_error(struct admin_request *request, unsigned int status, const char *headers,
	const char *code, const char *message);

void admin_answer_no_memory(struct admin_request *request);

/* Of an answer that is no admin_answer_error(), and a refusal all the same. */
void admin_count_refused(const struct admin_request *request, unsigned int status);

/* A member of the query, percent-decoded, into out: its length; 0 when it is not there; or -1, and the
 * request is answered with 400, when it has no room. */
int admin_query_text(struct admin_request *request, const char *name, char *out, size_t size);

/* The same for a number within these bounds; *valuep keeps its value if the member is not there. 0, or -1
 * with the request answered. */
int admin_query_number(
	struct admin_request *request, const char *name, uint64_t least, uint64_t most, uint64_t *valuep);

/* Sends the question to the workers; done() gets the request. Answers it when that cannot be done. */
void admin_ask(struct admin_request *request, const struct census_question *question, survey_done_fn done);

/*
 * To be called first in that done(): the request goes on. False if a worker did not answer in time or had no
 * memory; the request is answered then.
 */
bool admin_asked(struct admin_request *request, const struct survey *survey);

#endif
