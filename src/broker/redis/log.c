/*
 * Redis log: the log of a channel as our library's functions keep it. See log.h.
 *
 *     tg:s:{cards}       stream: <offset>-<tag> d <payload>
 *     tg:m:{cards}       hash: epoch, offset and tag of the top, until when it is kept
 *     tg:i:{cards}:<key> id and epoch of what was published under this idempotency key
 *
 * The braces put all of them, and the pub/sub channel cards itself, into one slot of a cluster.
 */

#include "broker/redis/log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "broker/epoch_draw.h"
#include "broker/redis/library.h"
#include "broker/redis/number.h"
#include "broker/redis/reply.h"
#include "core/buf.h"
#include "metrics/metrics.h"

enum {
	N_KEYS = 3,
	VALUES_BEFORE_ENTRIES = 5, /* the root, epoch, offset, tag, the array of entries */
};

/* The caller, who waits for an answer. */
struct waiting {
	struct redis_log *log;
	void *arg;
	union {
		broker_log_published_fn published;
		broker_log_read_fn read;
	} done;
};

/* --- asking --- */

/* Appends one key and notes where it ends: the bytes move while there is more to come. */
static size_t key_append(struct buf *keys, const char *kind, struct slice name, const char *tail)
{
	buf_printf(keys, "tg:%s:{", kind);
	buf_append(keys, name.data, name.len);
	buf_append_str(keys, tail);
	return keys->len;
}

/* keys are what words->keys[] will point into. 0 or -ENOMEM. */
static int keys_make(
	struct buf *keys, struct redis_call_words *words, struct slice name, struct slice idempotency_key)
{
	size_t ends[N_KEYS];
	size_t start = 0;

	words->n_keys = idempotency_key.data ? 3 : 2;
	ends[0] = key_append(keys, "s", name, "}");
	ends[1] = key_append(keys, "m", name, "}");
	ends[2] = key_append(keys, "i", name, "}:");
	if (idempotency_key.data) {
		buf_append(keys, idempotency_key.data, idempotency_key.len);
		ends[2] = keys->len;
	}
	if (keys->failed)
		return -ENOMEM;
	for (size_t i = 0; i < words->n_keys; i++) {
		words->keys[i] = (struct slice){keys->data + start, ends[i] - start};
		start = ends[i];
	}
	return 0;
}

static void on_published(void *arg, int r, const struct redis_reply *reply);
static void on_read(void *arg, int r, const struct redis_reply *reply);

int redis_log_publish(struct redis_log *log, struct slice name, struct slice payload,
	const struct broker_log_options *options, broker_log_published_fn done, void *arg)
{
	const struct waiting waiting = {log, arg, {.published = done}};
	char maxlen[REDIS_NUMBER_MAX], ttl[REDIS_NUMBER_MAX], key_ttl[REDIS_NUMBER_MAX];
	struct epoch epoch; /* used if the log is not there yet */
	struct redis_call_words words = {.n_args = options->key.data ? 7 : 6};
	struct buf keys = {0};
	int r = keys_make(&keys, &words, name, options->key);

	epoch_draw(&epoch);
	words.args[0] = payload;
	words.args[1] = name;
	words.args[2] = redis_library_publish(log->library);
	/* One more than is promised: who stands behind the oldest needs to find the one before it. */
	words.args[3] = redis_number_write(maxlen, (uint64_t)options->size + 1);
	words.args[4] = redis_number_write(ttl, options->ttl_ms);
	words.args[5] = (struct slice){epoch.text, EPOCH_LETTERS};
	words.args[6] = redis_number_write(key_ttl, options->key_ttl_ms);
	if (r == 0)
		r = redis_library_call_with(log->library, REDIS_FUNCTION_PUBLISH, &words, on_published,
			&waiting, sizeof(waiting));
	buf_deinit(&keys);
	return r;
}

int redis_log_read(struct redis_log *log, struct slice name, uint64_t from, uint32_t count, uint64_t ttl_ms,
	broker_log_read_fn done, void *arg)
{
	const struct waiting waiting = {log, arg, {.read = done}};
	char first[REDIS_NUMBER_MAX], n[REDIS_NUMBER_MAX], ttl[REDIS_NUMBER_MAX], bytes[REDIS_NUMBER_MAX];
	struct epoch epoch; /* used if the log is not there yet */
	struct redis_call_words words = {.n_args = 5};
	struct buf keys = {0};
	int r = keys_make(&keys, &words, name, (struct slice){0});

	epoch_draw(&epoch);
	words.args[0] = redis_number_write(first, from);
	words.args[1] = redis_number_write(n, count);
	words.args[2] = (struct slice){epoch.text, EPOCH_LETTERS};
	words.args[3] = redis_number_write(ttl, ttl_ms);
	words.args[4] = redis_number_write(bytes, BROKER_LOG_READ_BYTES);
	if (r == 0)
		r = redis_library_call_with(
			log->library, REDIS_FUNCTION_READ, &words, on_read, &waiting, sizeof(waiting));
	buf_deinit(&keys);
	return r;
}

/*
 * The answer to a publication: {id, 0 or 1, epoch}, the epoch missing in what an older library remembered.
 */

static bool is_text(const struct redis_reply *reply, size_t i)
{
	return i < reply->n_values && reply->values[i].kind == REDIS_STRING;
}

int redis_log_parse_published(const struct redis_reply *reply, struct position *id, bool *is_duplicatep)
{
	const struct redis_value *values = reply->values;

	*id = (struct position){0};
	if (values[0].kind != REDIS_ARRAY || !is_text(reply, 1) || reply->n_values < 3 ||
		values[2].kind != REDIS_INTEGER)
		return -EIO;
	if (position_id_parse(redis_reply_text(reply, 1), &id->offset, &id->tag))
		return -EIO;
	*is_duplicatep = values[2].integer != 0;
	if (*is_duplicatep && !is_text(reply, 3))
		return 0;
	return is_text(reply, 3) && epoch_parse(redis_reply_text(reply, 3), &id->epoch) == 0 ? 0 : -EIO;
}

static void log_nonsense(struct redis_log *log, const char *reason)
{
	metrics_add(log->metrics, METRIC_REDIS_BAD_MESSAGES, 1);
	redis_library_complain(log->library, reason);
}

static void on_published(void *arg, int r, const struct redis_reply *reply)
{
	struct waiting *waiting = arg;
	struct position id;
	bool is_duplicate = false;

	if (r == 0) {
		r = redis_log_parse_published(reply, &id, &is_duplicate);
		if (r < 0)
			log_nonsense(waiting->log, "tidegate_publish");
	}
	if (waiting->done.published)
		waiting->done.published(waiting->arg, r, r == 0 ? &id : NULL, is_duplicate);
	free(waiting);
}

/*
 * The answer to a read: {epoch, offset, tag, {{id, {'d', payload}}, …}}, laid flat.
 */

/* The value of field d among the fields, a flat array of names and values at i; absent when it cannot be
 * shown. */
static struct slice entry_payload(const struct redis_reply *reply, size_t i, size_t payload_bytes_max)
{
	const struct redis_value *fields = &reply->values[i];

	if (fields->kind != REDIS_ARRAY)
		return (struct slice){0};
	for (long long n = 0; n + 1 < fields->integer; n += 2) {
		size_t name = i + 1 + (size_t)n;

		if (!is_text(reply, name))
			break;
		if (reply->values[name].len == 1 && *redis_reply_text(reply, name).data == 'd' &&
			is_text(reply, name + 1) && reply->values[name + 1].len <= payload_bytes_max)
			return redis_reply_text(reply, name + 1);
	}
	return (struct slice){0};
}

/* False when what stands at i is not an entry behind the one before it. */
static bool entry_parse(const struct redis_reply *reply, size_t i, size_t payload_bytes_max, uint64_t before,
	struct broker_log_entry *entry)
{
	if (reply->values[i].kind != REDIS_ARRAY || reply->values[i].integer != 2 || !is_text(reply, i + 1) ||
		i + 2 >= reply->n_values)
		return false;
	if (position_id_parse(redis_reply_text(reply, i + 1), &entry->offset, &entry->tag))
		return false;
	entry->payload = entry_payload(reply, i + 2, payload_bytes_max);
	return entry->offset > before;
}

size_t redis_log_count(const struct redis_reply *reply)
{
	if (reply->n_values < VALUES_BEFORE_ENTRIES || reply->values[0].kind != REDIS_ARRAY ||
		reply->values[0].integer != 4 || reply->values[4].kind != REDIS_ARRAY ||
		reply->values[4].integer < 0)
		return 0;
	return (size_t)reply->values[4].integer;
}

static int top_parse(const struct redis_reply *reply, struct position *top)
{
	if (reply->values[0].kind != REDIS_ARRAY || reply->n_values < VALUES_BEFORE_ENTRIES)
		return -EIO;
	for (size_t i = 1; i <= 3; i++)
		if (!is_text(reply, i))
			return -EIO;
	if (epoch_parse(redis_reply_text(reply, 1), &top->epoch) ||
		position_number_parse(redis_reply_text(reply, 2), &top->offset) ||
		position_number_parse(redis_reply_text(reply, 3), &top->tag))
		return -EIO;
	return !top->offset == !top->tag ? 0 : -EIO;
}

int redis_log_parse_read(const struct redis_reply *reply, size_t payload_bytes_max, struct position *top,
	struct broker_log_entry *entries, size_t *n_entriesp, size_t *n_badp)
{
	size_t n_left = redis_log_count(reply);
	size_t i = VALUES_BEFORE_ENTRIES;
	uint64_t before = 0;

	*n_entriesp = *n_badp = 0;
	*top = (struct position){0};
	if (top_parse(reply, top) < 0 || reply->values[4].kind != REDIS_ARRAY)
		return -EIO;
	for (; n_left && i < reply->n_values; n_left--) {
		struct broker_log_entry *entry = &entries[*n_entriesp];

		if (entry_parse(reply, i, payload_bytes_max, before, entry)) {
			before = entry->offset;
			++*n_entriesp;
		} else {
			++*n_badp;
		}
		i = redis_reply_skip(reply, i);
	}
	return 0;
}

static void on_read(void *arg, int r, const struct redis_reply *reply)
{
	struct waiting *waiting = arg;
	struct broker_log_entry *entries = NULL;
	struct position top;
	size_t n = r == 0 ? redis_log_count(reply) : 0;
	size_t n_bad = 0;

	if (n) {
		entries = malloc(n * sizeof(*entries));
		if (!entries)
			r = -ENOMEM;
	}
	if (r == 0) {
		r = redis_log_parse_read(reply, waiting->log->payload_bytes_max, &top, entries, &n, &n_bad);
		if (r < 0 || n_bad)
			log_nonsense(waiting->log, r < 0 ? "tidegate_read" : "tidegate_read: an entry");
	}
	if (r == 0)
		waiting->done.read(waiting->arg, 0, &top, entries, n);
	else
		waiting->done.read(waiting->arg, r, NULL, NULL, 0);
	free(entries);
	free(waiting);
}
