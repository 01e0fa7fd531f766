/* Redis nodes: what the gateways of one Redis say of themselves to each other. See redis_nodes.h. */

#include "broker/redis_nodes.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/redis_error.h"
#include "broker/redis_link.h"
#include "core/log.h"

enum {
	ID_MAX = 64,            /* bytes; ours have 16 */
	TEXT_BYTES_MAX = 16384, /* of an announcement; ours have about a kilobyte */
	TEXT_DEPTH_MAX = 16,
	NUMBER_MAX = 21, /* digits of 2^64 - 1, and a NUL */
};

_Static_assert((int)BROKER_NODES_MAX < (int)REDIS_ARGS_MAX, "one MGET asks for all of them");

/* Who waits for the list. */
struct listing {
	struct redis_nodes *nodes;
	struct redis_link *link;
	broker_nodes_fn done;
	void *arg;
	size_t n;
	char ids[BROKER_NODES_MAX][ID_MAX + 1];
};

struct departing {
	broker_departed_fn done;
	void *arg;
};

static struct slice slice_of(const char *text)
{
	return (struct slice){text, strlen(text)};
}

static struct slice slice_of_buf(const struct buf *buf)
{
	return (struct slice){buf->data, buf->len};
}

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

/* It is said once. Rights may allow some of the commands and not others, so an answer proves nothing for the
 * next. */
static int note_refusal(struct redis_nodes *nodes, struct slice text)
{
	int r = redis_error_errno(text);

	if (r == -EACCES && !nodes->is_forbidden)
		log_warn(nodes->log,
			"redis does not let nodes announce themselves: /nodes shows this one alone",
			log_mem("reason", text.data, text.len),
			log_str("needs", "+set +sadd +smembers +mget +srem +del on ~tg:*"));
	nodes->is_forbidden |= r == -EACCES;
	return r;
}

/* The key of a node's announcement. */
static void append_key(const struct redis_nodes *nodes, struct slice id, struct buf *out)
{
	buf_append(out, nodes->set.data, nodes->set.len);
	buf_append_char(out, ':');
	buf_append(out, id.data, id.len);
}

/*
 * Announcing.
 */

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
	append_key(nodes, slice_of_buf(&nodes->id), &key);
	/* In this order: an id in the set always has an announcement, unless it has expired. */
	if (!key.failed)
		r = redis_link_ask(link,
			(struct slice[]){
				slice_of("SET"), slice_of_buf(&key), text, slice_of("PX"), slice_of(ttl)},
			5, on_announced, nodes);
	if (r == 0)
		r = redis_link_ask(link,
			(struct slice[]){
				slice_of("SADD"), slice_of_buf(&nodes->set), slice_of_buf(&nodes->id)},
			3, on_announced, nodes);
	buf_deinit(&key);
	return r;
}

static void on_departed(void *arg, const struct redis_reply *reply)
{
	struct departing *departing = arg;

	(void)reply; /* what was not removed expires */
	if (departing->done)
		departing->done(departing->arg);
	free(departing);
}

static void on_removed(void *arg, const struct redis_reply *reply)
{
	(void)arg;
	(void)reply; /* likewise; the next reader tries again */
}

int redis_nodes_depart(struct redis_nodes *nodes, struct redis_link *link, broker_departed_fn done, void *arg)
{
	struct departing *departing = malloc(sizeof(struct departing));
	struct buf key = {0};
	int r = -ENOMEM;

	append_key(nodes, slice_of_buf(&nodes->id), &key);
	if (departing && !key.failed) {
		*departing = (struct departing){done, arg};
		r = redis_link_ask(
			link, (struct slice[]){slice_of("DEL"), slice_of_buf(&key)}, 2, on_removed, NULL);
	}
	if (r == 0)
		r = redis_link_ask(link,
			(struct slice[]){
				slice_of("SREM"), slice_of_buf(&nodes->set), slice_of_buf(&nodes->id)},
			3, on_departed, departing);
	if (r < 0)
		free(departing);
	buf_deinit(&key);
	return r;
}

/*
 * Listing: SMEMBERS, then MGET of their announcements, then SREM of those that have none.
 */

static void finish(struct listing *listing, int r, const struct slice *texts, size_t n)
{
	listing->done(listing->arg, r, texts, n);
	free(listing);
}

/* 0, or what was wrong with an answer that should be an array. */
static int check_array(struct redis_nodes *nodes, const struct redis_reply *reply)
{
	if (!reply)
		return -ETIMEDOUT;
	if (reply->values[0].kind == REDIS_ERROR)
		return note_refusal(nodes, redis_reply_text(reply, 0));
	return reply->values[0].kind == REDIS_ARRAY ? 0 : -EIO;
}

/* Other nodes are not trusted to write what we would. */
static bool text_is_sane(struct slice text)
{
	bool is_object;

	return text.len <= TEXT_BYTES_MAX &&
	       json_check(text.data, text.len, TEXT_DEPTH_MAX, NULL, 0, &is_object) == 0 && is_object;
}

static void remove_dead(struct listing *listing, const struct redis_reply *reply)
{
	struct slice argv[BROKER_NODES_MAX + 2] = {slice_of("SREM"), slice_of_buf(&listing->nodes->set)};
	size_t n = 2;

	for (size_t i = 0; i < listing->n; i++)
		if (i + 1 < reply->n_values && reply->values[i + 1].kind == REDIS_NIL)
			argv[n++] = slice_of(listing->ids[i]);
	if (n > 2)
		(void)redis_link_ask(listing->link, argv, n, on_removed, NULL);
}

static void on_announcements(void *arg, const struct redis_reply *reply)
{
	struct listing *listing = arg;
	struct slice texts[BROKER_NODES_MAX];
	size_t n = 0;
	int r = check_array(listing->nodes, reply);

	for (size_t i = 0; r == 0 && i < listing->n && i + 1 < reply->n_values; i++) {
		struct slice text = redis_reply_text(reply, i + 1);

		if (reply->values[i + 1].kind == REDIS_STRING && text_is_sane(text))
			texts[n++] = text;
	}
	if (r == 0)
		remove_dead(listing, reply);
	finish(listing, r, texts, n);
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

/* Keys into one buf, then words that point into it: it must not move any more. */
static int ask_announcements(struct listing *listing)
{
	struct slice argv[BROKER_NODES_MAX + 1] = {slice_of("MGET")};
	size_t at = 0;
	struct buf keys = {0};
	int r;

	for (size_t i = 0; i < listing->n; i++)
		append_key(listing->nodes, slice_of(listing->ids[i]), &keys);
	for (size_t i = 0; i < listing->n && !keys.failed; i++) {
		size_t len = listing->nodes->set.len + 1 + strlen(listing->ids[i]);

		argv[i + 1] = (struct slice){keys.data + at, len};
		at += len;
	}
	r = keys.failed ? -ENOMEM
			: redis_link_ask(listing->link, argv, listing->n + 1, on_announcements, listing);
	buf_deinit(&keys);
	return r;
}

static void on_members(void *arg, const struct redis_reply *reply)
{
	struct listing *listing = arg;
	int r = check_array(listing->nodes, reply);

	for (size_t i = 1; r == 0 && i < reply->n_values && listing->n < BROKER_NODES_MAX; i++) {
		struct slice id = redis_reply_text(reply, i);

		if (reply->values[i].kind == REDIS_STRING && id_is_sane(id)) {
			memcpy(listing->ids[listing->n], id.data, id.len);
			listing->ids[listing->n++][id.len] = '\0';
		}
	}
	if (r == 0 && listing->n)
		r = ask_announcements(listing);
	if (r < 0 || !listing->n)
		finish(listing, r, NULL, 0);
}

int redis_nodes_list(struct redis_nodes *nodes, struct redis_link *link, broker_nodes_fn done, void *arg)
{
	struct listing *listing = malloc(sizeof(struct listing));
	int r = -ENOMEM;

	if (listing) {
		listing->nodes = nodes;
		listing->link = link;
		listing->done = done;
		listing->arg = arg;
		listing->n = 0;
		r = redis_link_ask(link, (struct slice[]){slice_of("SMEMBERS"), slice_of_buf(&nodes->set)}, 2,
			on_members, listing);
	}
	if (r < 0)
		free(listing);
	return r;
}
