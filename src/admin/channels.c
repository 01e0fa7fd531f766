/*
 * Channels: GET /channels and GET /channels/NAME.
 *
 * Each worker counts for itself; the numbers of a channel are added up here, and only then
 * the largest channels are known.
 */

#include "admin/endpoints.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "admin/admin_private.h"
#include "admin/request.h"
#include "bus/bus.h"
#include "channel_log/channel_log.h"
#include "core/map.h"
#include "core/top.h"
#include "protocol/message.h"
#include "route/route.h"

enum {
	CHANNELS_LIMIT = 100,          /* unless told otherwise */
	EVENTS_LIMIT = 10,             /* the same for events */
	EVENTS_LIMIT_MAX = 256,        /* the entries that the ring of a channel holds */
	EVENTS_BYTES_MAX = 256 * 1024, /* of one answer, the last event whole */
};

/* One channel of the node. */
struct sum {
	struct map_entry entry;
	uint64_t n_subscribers;
};

struct sums {
	struct map map;
	struct sum *all;
	size_t n;
};

static void add(struct sums *sums, struct slice name, const struct census_channel *channel)
{
	struct map_entry *found = map_find(&sums->map, channel->hash, name.data, name.len);
	struct sum *sum = found ? map_value(found, struct sum, entry) : &sums->all[sums->n];

	sum->n_subscribers += channel->n_subscribers;
	if (found)
		return;
	sum->entry = (struct map_entry){.hash = channel->hash, .key = name.data, .key_len = name.len};
	if (map_insert(&sums->map, &sum->entry) == 0)
		sums->n++;
	else
		*sum = (struct sum){0}; /* without memory the list is shorter: it is only for the eye */
}

/* Names stay the survey's. 0 or -ENOMEM. */
static int add_up(const struct survey *survey, struct sums *sums)
{
	size_t n_max = 0;

	*sums = (struct sums){0};
	for (unsigned int i = 0; i < survey->n_parts; i++)
		n_max += survey->parts[i].census.n_channels;
	sums->all = calloc(n_max + 1, sizeof(*sums->all));
	if (!sums->all)
		return -ENOMEM;
	for (unsigned int i = 0; i < survey->n_parts; i++) {
		const struct census *census = &survey->parts[i].census;

		for (uint32_t j = 0; j < census->n_channels; j++)
			add(sums, census_channel_name(census, &census->channels[j]), &census->channels[j]);
	}
	return 0;
}

/* The first letters as a number, so that among equal channels those that come first by name
 * are picked, or nearly. */
static uint64_t letters(const struct map_entry *entry)
{
	uint64_t value = 0;

	for (size_t i = 0; i < sizeof(value); i++)
		value = value << 8 | (i < entry->key_len ? (unsigned char)entry->key[i] : 0);
	return value;
}

/* Of this node, as the subscribers are: those of all nodes are in Redis, and would cost a call a channel. */
static void write_users(const struct admin *admin, struct slice name, struct buf *out)
{
	uint64_t n_users, n_anonymous;

	if (!route_table_presence(admin->routes, name))
		return;
	bus_count_users(admin->bus, name, &n_users, &n_anonymous);
	buf_printf(out, ",\"users\":%" PRIu64 ",\"anonymous\":%" PRIu64, n_users, n_anonymous);
}

static void write_channel(const struct admin *admin, const struct sum *sum, struct buf *out)
{
	struct slice name = {sum->entry.key, sum->entry.key_len};

	buf_append_str(out, "{\"channel\":");
	buf_append_json_string(out, name.data, name.len);
	buf_printf(out, ",\"subscribers\":%" PRIu64, sum->n_subscribers);
	write_users(admin, name, out);
	buf_printf(out, ",\"history\":%s}", route_table_history(admin->routes, name) ? "true" : "false");
}

/* The largest first, equal channels by name. */
static int compare_picks(const void *a, const void *b)
{
	const struct top_pick *x = a, *y = b;
	const struct map_entry *n = &((const struct sum *)x->item)->entry;
	const struct map_entry *m = &((const struct sum *)y->item)->entry;
	int r;

	if (x->rank != y->rank)
		return x->rank < y->rank ? 1 : -1;
	r = memcmp(n->key, m->key, n->key_len < m->key_len ? n->key_len : m->key_len);
	return r ? r : n->key_len < m->key_len ? -1 : n->key_len > m->key_len;
}

static void write_channels(
	const struct admin *admin, const struct sums *sums, struct top *top, struct buf *out)
{
	for (size_t i = 0; i < sums->n; i++)
		top_offer(top, sums->all[i].n_subscribers, letters(&sums->all[i].entry), &sums->all[i]);
	qsort(top->picks, top->n, sizeof(struct top_pick), compare_picks);
	buf_printf(out, "{\"total\":%zu,\"channels\":[", sums->n);
	for (uint32_t i = 0; i < top->n; i++) {
		if (i)
			buf_append_char(out, ',');
		write_channel(admin, top->picks[i].item, out);
	}
	buf_append_str(out, "]}");
}

static void on_channels(void *arg, const struct survey *survey)
{
	struct admin_request *request = arg;
	struct buf body = {0};
	struct sums sums = {0};
	struct top top = {0};

	if (!admin_asked(request, survey))
		return;
	if (top_init(&top, survey->question.limit) < 0 || add_up(survey, &sums) < 0)
		body.failed = true;
	else
		write_channels(request->admin, &sums, &top, &body);
	map_deinit(&sums.map);
	free(sums.all);
	top_deinit(&top);
	admin_answer_json(request, &body);
}

void admin_channels(struct admin_request *request)
{
	struct census_question question = {.subject = CENSUS_CHANNELS};
	uint64_t limit = CHANNELS_LIMIT;
	int len = admin_query_text(request, "match", question.text, sizeof(question.text));

	if (len < 0 || admin_query_number(request, "limit", 1, CENSUS_LIMIT_MAX, &limit) < 0)
		return;
	question.text_len = (size_t)len;
	question.limit = (uint32_t)limit;
	admin_ask(request, &question, on_channels);
}

/* The newest first. */
static void write_events(const struct channel_log *channel_log, uint32_t limit, struct buf *out)
{
	const struct channel_log_entry *entry;
	size_t start = out->len;

	for (uint32_t i = 0, n = 0; n < limit && out->len - start < EVENTS_BYTES_MAX &&
				    (entry = channel_log_recent(channel_log, i));
		i++) {
		struct slice text;

		if (!entry->body || !message_is_event(entry->body))
			continue; /* an entry that cannot be sent to clients */
		text = message_text(entry->body);
		if (n++)
			buf_append_char(out, ',');
		buf_append(out, text.data, text.len);
	}
}

/* `channel_log` is NULL where nobody listens, for then the node does not follow it. */
static void write_history(
	const struct route_history *history, const struct channel_log *channel_log, struct buf *out)
{
	const struct position *at = channel_log ? channel_log_position(channel_log) : NULL;
	char pos[POSITION_TEXT_MAX];

	buf_printf(out, "{\"size\":%u,\"ttl_seconds\":%" PRIu64 ",\"state\":\"%s\",\"pos\":",
		history ? history->size : 0, history ? history->ttl_ms / 1000 : 0,
		channel_log_state_name(channel_log ? channel_log_state(channel_log) : CHANNEL_LOG_IDLE));
	if (at) {
		position_format(at, pos);
		buf_printf(out, "\"%s\"", pos);
	} else {
		buf_append_str(out, "null");
	}
	buf_printf(out, ",\"remembered\":%u}", channel_log ? channel_log_n_entries(channel_log) : 0);
}

static void on_channel(void *arg, const struct survey *survey)
{
	struct admin_request *request = arg;
	struct slice name = {survey->question.text, survey->question.text_len};
	const struct route_history *history = route_table_history(request->admin->routes, name);
	struct bus_view view = {0};
	struct buf body = {0};
	uint64_t n = 0;

	if (!admin_asked(request, survey))
		return;
	for (unsigned int i = 0; i < survey->n_parts; i++)
		n += survey->parts[i].census.n;
	/* a channel that is not here has no listener and no log */
	(void)bus_look(request->admin->bus, name, &view);
	buf_append_str(&body, "{\"channel\":");
	buf_append_json_string(&body, name.data, name.len);
	buf_printf(&body, ",\"subscribers\":%" PRIu64, n);
	write_users(request->admin, name, &body);
	buf_printf(&body, ",\"subscribed\":%s,\"history\":", view.subscribed ? "true" : "false");
	if (view.channel_log || history)
		write_history(history, view.channel_log, &body);
	else
		buf_append_str(&body, "null");
	buf_append_str(&body, ",\"events\":[");
	if (view.channel_log)
		write_events(view.channel_log, survey->question.limit, &body);
	buf_append_str(&body, "]}");
	admin_answer_json(request, &body);
}

void admin_channel(struct admin_request *request)
{
	struct census_question question = {.subject = CENSUS_CHANNEL};
	uint64_t limit = EVENTS_LIMIT;

	question.text_len = strlen(request->argument);
	if (!route_channel_valid(request->argument, question.text_len)) {
		admin_answer_error(request, 400, "", "bad_channel", "that is not the name of a channel");
		return;
	}
	if (admin_query_number(request, "limit", 1, EVENTS_LIMIT_MAX, &limit) < 0)
		return;
	strcpy(question.text, request->argument);
	question.limit = (uint32_t)limit;
	admin_ask(request, &question, on_channel);
}
