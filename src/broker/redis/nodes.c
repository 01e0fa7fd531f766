/* Redis nodes: the announcements of the gateways of one Redis to each other. See nodes.h. */

#include "broker/redis/nodes.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/redis/errand.h"
#include "broker/redis/error.h"
#include "broker/redis/link.h"
#include "core/buf.h"
#include "core/log.h"
#include "protocol/json.h"

enum {
	ID_MAX = 64,            /* bytes; ours have 16 */
	TEXT_BYTES_MAX = 16384, /* of an announcement; ours have about a kilobyte */
	TEXT_DEPTH_MAX = 16,
	NUMBER_MAX = 21, /* digits of 2^64 - 1, and a NUL */
	CURSOR_MAX = 20, /* digits of 2^64 - 1 */
	PAGE = 100,      /* ids asked for at once; Redis may give some more */
	SEEN_MAX =
		20000, /* ids that are looked at for one list: a tenth of a second, most of it our waiting */
};

/*
 * A caller who waits for the list. Pages of the set come one after the other, and each id of a page is
 * asked for its announcement: as many questions under way as the page has ids, each with a bounded answer.
 */
struct listing {
	struct redis_nodes *nodes;
	struct redis_link *link;
	broker_nodes_fn done;
	void *arg;
	int r;
	char cursor[CURSOR_MAX + 1]; /* of the next page */
	size_t n_seen;               /* ids, of all pages */
	size_t n_asked;              /* not answered yet */
	size_t n_dead;
	struct slice dead[PAGE + 2]; /* SREM, the set, ids in texts of their own */
	size_t n_texts;
	size_t ends[BROKER_NODES_MAX]; /* where each ends in texts */
	struct buf texts;
};

/* An id whose announcement is asked for. */
struct question {
	struct listing *listing;
	size_t len;
	char id[];
};

struct withdrawal {
	broker_withdrawn_fn done;
	void *arg;
};

int redis_nodes_init(struct redis_nodes *nodes, struct log *log, const char *prefix, const char *id)
{
	*nodes = (struct redis_nodes){.log = log};
	buf_printf(&nodes->set, "tg:{%snodes}", prefix);
	buf_append_str(&nodes->id, id);
	return nodes->set.failed || nodes->id.failed ? -ENOMEM : 0;
}

void redis_nodes_deinit(struct redis_nodes *nodes)
{
	buf_deinit(&nodes->set);
	buf_deinit(&nodes->id);
}

/* The refusal is said once. Rights may allow some of the commands and not others, so an answer proves
 * nothing for the next. */
static int note_refusal(struct redis_nodes *nodes, struct slice text)
{
	int r = redis_error_errno(text);

	if (r == -EACCES && !nodes->forbidden)
		log_warn(nodes->log,
			"redis does not let nodes announce themselves: /nodes shows this one alone",
			log_slice("reason", text),
			log_str("needs", "+set +sadd +sscan +getrange +srem +del on ~tg:*"));
	nodes->forbidden |= r == -EACCES;
	return r;
}

/* The key of a node's announcement. */
static void append_key(const struct redis_nodes *nodes, struct slice id, struct buf *out)
{
	buf_append(out, nodes->set.data, nodes->set.len);
	buf_append_char(out, ':');
	buf_append(out, id.data, id.len);
}

/* --- announcing --- */

static void on_announced(void *arg, const struct redis_reply *reply)
{
	struct redis_nodes *nodes = arg;

	/* Without a reply the link is lost: it comes again with the next. */
	if (reply && reply->values[0].kind == REDIS_ERROR)
		note_refusal(nodes, redis_reply_text(reply, 0));
}

int redis_nodes_announce(
	struct redis_nodes *nodes, struct redis_link *link, struct slice text, uint64_t ttl_ms)
{
	char ttl[NUMBER_MAX];
	struct buf key = {0};
	int r = -ENOMEM;

	snprintf(ttl, sizeof(ttl), "%" PRIu64, ttl_ms);
	append_key(nodes, buf_slice(&nodes->id), &key);
	/* In this order: an id in the set always has an announcement, unless it has expired. */
	if (!key.failed)
		r = redis_ask(nodes->errands, link,
			(struct slice[]){
				slice_of("SET"), buf_slice(&key), text, slice_of("PX"), slice_of(ttl)},
			5, on_announced, nodes);
	if (r == 0)
		r = redis_ask(nodes->errands, link,
			(struct slice[]){slice_of("SADD"), buf_slice(&nodes->set), buf_slice(&nodes->id)}, 3,
			on_announced, nodes);
	buf_deinit(&key);
	return r;
}

static void on_withdrawn(void *arg, const struct redis_reply *reply)
{
	struct withdrawal *withdrawal = arg;

	(void)reply; /* an announcement that was not removed expires */
	if (withdrawal->done)
		withdrawal->done(withdrawal->arg);
	free(withdrawal);
}

static void on_removed(void *arg, const struct redis_reply *reply)
{
	(void)arg;
	(void)reply; /* an id that was not removed expires too; the next reader tries again */
}

int redis_nodes_withdraw(
	struct redis_nodes *nodes, struct redis_link *link, broker_withdrawn_fn done, void *arg)
{
	struct withdrawal *withdrawal = malloc(sizeof(*withdrawal));
	struct buf key = {0};
	int r = -ENOMEM;

	append_key(nodes, buf_slice(&nodes->id), &key);
	if (withdrawal && !key.failed) {
		*withdrawal = (struct withdrawal){done, arg};
		r = redis_ask(nodes->errands, link, (struct slice[]){slice_of("DEL"), buf_slice(&key)}, 2,
			on_removed, NULL);
	}
	if (r == 0)
		r = redis_ask(nodes->errands, link,
			(struct slice[]){slice_of("SREM"), buf_slice(&nodes->set), buf_slice(&nodes->id)}, 3,
			on_withdrawn, withdrawal);
	if (r < 0)
		free(withdrawal);
	buf_deinit(&key);
	return r;
}

/*
 * Listing: SSCAN, then GETRANGE of each one's announcement, then SREM of those that have none, and the next
 * page.
 *
 * Anybody who may write to Redis can put ids into the set, and texts of any length where announcements should
 * be. So no answer may be large, and the list ends when it is long enough.
 */

static void finish(struct listing *listing)
{
	struct slice texts[BROKER_NODES_MAX];
	bool whole = strcmp(listing->cursor, "0") == 0;
	size_t start = 0;

	if (listing->texts.failed)
		listing->r = -ENOMEM;
	for (size_t i = 0; i < listing->n_texts; i++) {
		texts[i] = (struct slice){listing->texts.data + start, listing->ends[i] - start};
		start = listing->ends[i];
	}
	if (listing->r < 0)
		listing->done(listing->arg, listing->r, NULL, 0);
	else
		listing->done(listing->arg, whole ? 0 : BROKER_NODES_PARTIAL, texts, listing->n_texts);
	buf_deinit(&listing->texts);
	free(listing);
}

/* Checks that an answer is of this kind. 0 or negative errno. */
static int check_answer(struct redis_nodes *nodes, const struct redis_reply *reply, enum redis_kind kind)
{
	if (!reply)
		return -ETIMEDOUT;
	if (reply->values[0].kind == REDIS_ERROR)
		return note_refusal(nodes, redis_reply_text(reply, 0));
	return reply->values[0].kind == kind ? 0 : -EIO;
}

/* Other writers may write anything. */
static bool text_is_sane(struct slice text)
{
	bool is_object;

	return text.len <= TEXT_BYTES_MAX &&
	       json_check(text.data, text.len, TEXT_DEPTH_MAX, NULL, 0, &is_object) == 0 && is_object;
}

static void take_text(struct listing *listing, struct slice text)
{
	size_t start = 0;

	if (listing->n_texts == BROKER_NODES_MAX || !text_is_sane(text))
		return;
	/* A scan may name an id twice. */
	for (size_t i = 0; i < listing->n_texts; start = listing->ends[i++])
		if (listing->ends[i] - start == text.len &&
			memcmp(listing->texts.data + start, text.data, text.len) == 0)
			return;
	buf_append(&listing->texts, text.data, text.len);
	listing->ends[listing->n_texts++] = listing->texts.len;
}

static void remove_dead(struct listing *listing)
{
	listing->dead[0] = slice_of("SREM");
	listing->dead[1] = buf_slice(&listing->nodes->set);
	if (listing->n_dead)
		(void)redis_ask(listing->nodes->errands, listing->link, listing->dead, listing->n_dead + 2,
			on_removed, NULL);
	while (listing->n_dead)
		free((char *)listing->dead[1 + listing->n_dead--].data);
}

static int ask_page(struct listing *listing);

static void page_is_over(struct listing *listing)
{
	bool goes_on = listing->r == 0 && strcmp(listing->cursor, "0") != 0 && listing->n_seen < SEEN_MAX &&
		       listing->n_texts < BROKER_NODES_MAX;

	remove_dead(listing);
	if (goes_on)
		listing->r = ask_page(listing);
	if (!goes_on || listing->r < 0)
		finish(listing);
}

/* The id is to be removed from the set. Without memory the next list does it. */
static void note_dead(struct listing *listing, struct slice id)
{
	char *copy = listing->n_dead < PAGE ? malloc(id.len) : NULL;

	if (!copy)
		return;
	memcpy(copy, id.data, id.len);
	listing->dead[2 + listing->n_dead++] = (struct slice){copy, id.len};
}

static void on_announcement(void *arg, const struct redis_reply *reply)
{
	struct question *question = arg;
	struct listing *listing = question->listing;
	int r = check_answer(listing->nodes, reply, REDIS_STRING);

	if (r == 0 && reply->values[0].len)
		take_text(listing, redis_reply_text(reply, 0));
	else if (r == 0) /* GETRANGE of a key that is not there */
		note_dead(listing, (struct slice){question->id, question->len});
	else if (r != -EIO) /* otherwise the key is no string, and not ours */
		listing->r = r;
	free(question);
	if (--listing->n_asked == 0)
		page_is_over(listing);
}

static bool id_is_sane(struct slice id)
{
	if (!id.len || id.len > ID_MAX)
		return false;
	for (size_t i = 0; i < id.len; i++)
		if (id.data[i] <= ' ' || id.data[i] > '~')
			return false;
	return true;
}

static int ask_announcement(struct listing *listing, struct slice id)
{
	struct question *question = malloc(sizeof(*question) + id.len);
	char last[NUMBER_MAX];
	struct buf key = {0};
	int r = -ENOMEM;

	snprintf(last, sizeof(last), "%d", TEXT_BYTES_MAX); /* one byte more than is taken */
	append_key(listing->nodes, id, &key);
	if (question && !key.failed) {
		question->listing = listing;
		question->len = id.len;
		memcpy(question->id, id.data, id.len);
		r = redis_ask(listing->nodes->errands, listing->link,
			(struct slice[]){
				slice_of("GETRANGE"), buf_slice(&key), slice_of("0"), slice_of(last)},
			4, on_announcement, question);
	}
	if (r < 0)
		free(question);
	else
		listing->n_asked++;
	buf_deinit(&key);
	return r;
}

/* {cursor, {id, …}}, laid flat. 0, or -EIO. */
static int take_cursor(struct listing *listing, const struct redis_reply *reply)
{
	struct slice cursor;

	if (reply->n_values < 3 || reply->values[1].kind != REDIS_STRING ||
		reply->values[2].kind != REDIS_ARRAY)
		return -EIO;
	cursor = redis_reply_text(reply, 1);
	if (!cursor.len || cursor.len > CURSOR_MAX)
		return -EIO;
	memcpy(listing->cursor, cursor.data, cursor.len);
	listing->cursor[cursor.len] = '\0';
	return 0;
}

static void on_page(void *arg, const struct redis_reply *reply)
{
	struct listing *listing = arg;
	int r = check_answer(listing->nodes, reply, REDIS_ARRAY);

	if (r == 0)
		r = take_cursor(listing, reply);
	listing->n_asked = 1; /* this one: no page is over while it is being asked for */
	for (size_t i = 3; r == 0 && i < reply->n_values; i++) {
		struct slice id = redis_reply_text(reply, i);

		listing->n_seen++;
		if (reply->values[i].kind == REDIS_STRING && id_is_sane(id))
			r = ask_announcement(listing, id);
		else if (reply->values[i].kind == REDIS_STRING)
			note_dead(listing, id);
	}
	if (r < 0)
		listing->r = r;
	if (--listing->n_asked == 0)
		page_is_over(listing);
}

static int ask_page(struct listing *listing)
{
	char count[NUMBER_MAX];

	snprintf(count, sizeof(count), "%d", PAGE);
	return redis_ask(listing->nodes->errands, listing->link,
		(struct slice[]){slice_of("SSCAN"), buf_slice(&listing->nodes->set),
			slice_of(listing->cursor), slice_of("COUNT"), slice_of(count)},
		5, on_page, listing);
}

int redis_nodes_list(struct redis_nodes *nodes, struct redis_link *link, broker_nodes_fn done, void *arg)
{
	struct listing *listing = calloc(1, sizeof(*listing));
	int r = -ENOMEM;

	if (listing) {
		listing->nodes = nodes;
		listing->link = link;
		listing->done = done;
		listing->arg = arg;
		listing->cursor[0] = '0';
		r = ask_page(listing);
	}
	if (r < 0)
		free(listing);
	return r;
}
