/* Lifecycle: which connections are open on this node, and which channels are occupied; see the header. */

#include "bus/lifecycle.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/broker.h"
#include "mail/session.h"
#include "metrics/metrics.h"
#include "protocol/close_reason.h"
#include "route/route.h"

enum {
	NAME_MAX_BYTES = ROUTE_CHANNEL_MAX + 2, /* '#', a channel, and a NUL; a number is shorter */
	DROP_LINES = 5,                         /* of the log in a minute */
};

#define CHANNEL '#' /* begins the name of a channel */

struct stream {
	struct list link; /* in lifecycle.streams */
	struct lifecycle *lifecycle;
	struct list dirty; /* things that are to be said, in the order in which they came and went */
	struct call *call; /* the one that is under way, or that is to be repeated */
	uint64_t n_calls;  /* so far */
	bool is_held;      /* others clear it up if this node dies */
	bool busy;         /* an answer is awaited */
	bool forgot;       /* Redis does not know all that was said before this name */
	uint32_t size;
	uint64_t not_before; /* of the next call */
	size_t len;
	char name[];
};

/* A connection, or a channel that somebody listens to. */
struct thing {
	struct map_entry entry;
	struct stream *stream;
	struct list dirty;   /* of its stream */
	struct list leaving; /* in lifecycle.leaving */
	uint64_t came_ms;
	uint64_t left_ms;
	uint16_t code;
	uint8_t reason; /* enum close_reason */
	uint8_t events;
	bool here;
	bool told;    /* the broker has it, as far as we know */
	bool put;     /* the same, under the present name */
	bool in_call; /* that is not answered yet */
	bool wanted;  /* a channel: somebody listens, while its end in another stream is to be said */
	uint32_t text_len;
	char *text; /* behind the name */
	char name[];
};

/* One call, until it is carried out. */
struct call {
	struct stream *stream;
	uint64_t number;
	uint64_t era;      /* of the name under which it was sent first: a repetition puts nothing anywhere */
	uint64_t sent_era; /* likewise, last */
	size_t n;
	struct {
		struct thing *thing;
		bool came, went; /* what is said of it: one or both */
		uint8_t events;  /* of the thing, when it was taken */
	} said[BROKER_SAID_MAX];
};

static bool is_channel(const struct thing *thing)
{
	return thing->name[0] == CHANNEL;
}

/* --- streams --- */

static struct stream *stream_get(struct lifecycle *lifecycle, struct slice name)
{
	struct stream *stream;

	for (struct list *link = lifecycle->streams.next; link != &lifecycle->streams; link = link->next) {
		stream = list_entry(link, struct stream, link);
		if (slice_equal((struct slice){stream->name, stream->len}, name))
			return stream;
	}
	stream = calloc(1, sizeof(*stream) + name.len);
	if (!stream)
		return NULL;
	stream->lifecycle = lifecycle;
	stream->len = name.len;
	memcpy(stream->name, name.data, name.len);
	list_init(&stream->dirty);
	list_push_back(&lifecycle->streams, &stream->link);
	return stream;
}

/* --- things --- */

static struct thing *thing_find(const struct lifecycle *lifecycle, struct slice name)
{
	struct map_entry *entry =
		map_find(&lifecycle->things, map_hash(name.data, name.len), name.data, name.len);

	return entry ? map_value(entry, struct thing, entry) : NULL;
}

/* NULL when out of memory. */
static struct thing *thing_new(struct stream *stream, struct slice name, struct slice text)
{
	struct thing *thing = calloc(1, sizeof(*thing) + name.len + 1 + text.len);

	if (!thing)
		return NULL;
	memcpy(thing->name, name.data, name.len);
	thing->text = thing->name + name.len + 1;
	thing->text_len = (uint32_t)text.len;
	if (text.len)
		memcpy(thing->text, text.data, text.len);
	thing->stream = stream;
	thing->entry = (struct map_entry){
		.hash = map_hash(name.data, name.len), .key = thing->name, .key_len = name.len};
	if (map_insert(&stream->lifecycle->things, &thing->entry) == 0)
		return thing;
	free(thing);
	return NULL;
}

static void thing_rest(struct thing *thing)
{
	thing->stream->lifecycle->n_waiting -= list_linked(&thing->dirty);
	list_remove(&thing->dirty);
}

static void thing_free(struct thing *thing)
{
	struct lifecycle *lifecycle = thing->stream->lifecycle;

	lifecycle->n_unsaid -= !is_channel(thing) && !thing->here && !thing->told;
	thing_rest(thing);
	list_remove(&thing->leaving);
	map_remove(&lifecycle->things, &thing->entry);
	free(thing);
}

/* A channel that moved to another stream begins there once its end in the former one is said. */
static void thing_end(struct thing *thing)
{
	struct lifecycle *lifecycle = thing->stream->lifecycle;
	bool wanted = thing->wanted;
	char text[NAME_MAX_BYTES];
	struct slice channel = {text, thing->entry.key_len - 1};

	if (wanted)
		memcpy(text, thing->name + 1, channel.len);
	thing_free(thing);
	if (wanted)
		lifecycle_channel(lifecycle, channel, true, lifecycle->now_ms);
}

/* Is there something to say of it, or is it to be forgotten? Not while a call is about it. */
static void thing_settle(struct thing *thing)
{
	struct stream *stream = thing->stream;
	bool says = thing->here ? !thing->put : thing->told || !is_channel(thing);

	if (thing->in_call)
		return;
	if (!says) {
		thing_rest(thing);
		if (!thing->here)
			thing_end(thing);
	} else if (!list_linked(&thing->dirty)) {
		list_push_back(&stream->dirty, &thing->dirty);
		stream->lifecycle->n_waiting++;
	}
}

/* --- what happens --- */

static int session_came(struct lifecycle *lifecycle, const struct session_change *change, struct slice name)
{
	struct stream *stream = stream_get(lifecycle, session_change_stream(change));
	struct thing *thing = stream ? thing_new(stream, name, session_change_text(change)) : NULL;

	if (!thing)
		return -ENOMEM;
	stream->size = change->size;
	thing->events = (uint8_t)change->events;
	thing->here = true;
	thing->came_ms = lifecycle->now_ms;
	thing_settle(thing);
	return 0;
}

static void drop(struct lifecycle *lifecycle, struct thing *thing)
{
	uint64_t suppressed;

	metrics_add(lifecycle->metrics, METRIC_LIFECYCLE_DROPPED, 1);
	if (log_limit_allow(lifecycle->log, &lifecycle->drop_limit, lifecycle->now_ms, &suppressed))
		log_warn(lifecycle->log,
			"connections that came and went are not said: too many wait for Redis",
			log_mem("stream", thing->stream->name, thing->stream->len),
			log_uint("suppressed", suppressed));
	thing_free(thing);
}

static void session_went(
	struct lifecycle *lifecycle, const struct session_change *change, struct thing *thing)
{
	thing->here = false;
	thing->left_ms = lifecycle->now_ms;
	thing->code = change->code;
	thing->reason = (uint8_t)change->reason;
	lifecycle->n_unsaid += !thing->told;
	if (!thing->told && !thing->in_call && lifecycle->n_unsaid > LIFECYCLE_UNSAID_MAX)
		drop(lifecycle, thing);
	else
		thing_settle(thing);
}

int lifecycle_take(struct lifecycle *lifecycle, const struct session_change *change, uint64_t now_ms)
{
	char text[NAME_MAX_BYTES];
	struct slice name = {text, (size_t)snprintf(text, sizeof(text), "%" PRIu64, change->conn)};
	struct thing *thing;

	lifecycle->now_ms = now_ms;
	if (change->is_here)
		return session_came(lifecycle, change, name);
	thing = thing_find(lifecycle, name);
	if (thing) /* or there was no memory for it when it came */
		session_went(lifecycle, change, thing);
	return 0;
}

/* The broker remembers the events by which the end of a channel is told, and hears of it when they change. */
static void set_events(struct thing *thing, const struct route_lifecycle *said)
{
	uint8_t events = (uint8_t)(said->events & LIFECYCLE_CHANNELS);

	thing->put = thing->put && thing->events == events;
	thing->events = events;
}

static void channel_came(struct lifecycle *lifecycle, const struct route_lifecycle *said, struct slice name,
	struct thing *thing)
{
	struct stream *stream = stream_get(lifecycle, slice_of(said->stream));

	if (thing && thing->stream != stream) {
		thing->wanted = true; /* first its end is said elsewhere: thing_end() */
		return;
	}
	if (!thing && stream)
		thing = thing_new(stream, name, (struct slice){0});
	if (!thing)
		return; /* without memory it is not said, until somebody else listens */
	list_remove(&thing->leaving);
	stream->size = said->size;
	set_events(thing, said);
	thing->wanted = false;
	if (!thing->here)
		thing->came_ms = lifecycle->now_ms;
	thing->here = true;
	thing_settle(thing);
}

void lifecycle_channel(struct lifecycle *lifecycle, struct slice channel, bool is_here, uint64_t now_ms)
{
	const struct route_lifecycle *said;
	char text[NAME_MAX_BYTES];
	struct slice name = {text, channel.len + 1};
	struct thing *thing;

	if (!lifecycle->routes || channel.len > ROUTE_CHANNEL_MAX)
		return;
	lifecycle->now_ms = now_ms;
	text[0] = CHANNEL;
	memcpy(text + 1, channel.data, channel.len);
	thing = thing_find(lifecycle, name);
	if (!is_here) {
		if (thing)
			thing->wanted = false;
		if (!thing || !thing->here || list_linked(&thing->leaving))
			return;
		thing->left_ms = now_ms;
		list_push_back(&lifecycle->leaving, &thing->leaving);
		return;
	}
	said = route_table_lifecycle(lifecycle->routes, channel);
	if (said)
		channel_came(lifecycle, said, name, thing);
}

/* --- telling the broker --- */

static void tell(struct stream *stream);

static void thing_said(struct thing *thing, bool came, bool went, bool is_put)
{
	struct lifecycle *lifecycle = thing->stream->lifecycle;

	thing->in_call = false;
	if (came) {
		lifecycle->n_unsaid -= !is_channel(thing) && !thing->here && !thing->told;
		thing->told = true;
		thing->put = is_put;
	}
	if (went && !is_channel(thing)) {
		thing_free(thing);
		return;
	}
	if (went)
		thing->told = thing->put = false;
	thing_settle(thing);
}

static void call_done(struct call *call, const struct broker_said_answer *answer)
{
	struct stream *stream = call->stream;
	struct lifecycle *lifecycle = stream->lifecycle;
	bool is_present = call->era == lifecycle->era;

	metrics_add(lifecycle->metrics, METRIC_LIFECYCLE_ENTRIES, answer->n_entries);
	stream->forgot |= call->sent_era == lifecycle->era && answer->forgot;
	stream->call = NULL;
	lifecycle->n_calls--;
	for (size_t i = 0; i < call->n; i++) {
		struct thing *thing = call->said[i].thing;

		thing_said(thing, call->said[i].came, call->said[i].went,
			is_present && call->said[i].events == thing->events);
	}
	free(call);
}

static void on_said(void *arg, int r, const struct broker_said_answer *answer)
{
	struct call *call = arg;
	struct stream *stream = call->stream;

	stream->busy = false;
	if (r < 0) { /* it is repeated: nobody knows what became of it */
		metrics_add(stream->lifecycle->metrics, METRIC_LIFECYCLE_FAILED, 1);
		stream->not_before = stream->lifecycle->now_ms + LIFECYCLE_AGAIN_MS;
		return;
	}
	call_done(call, answer);
	tell(stream);
}

static uint64_t since(const struct lifecycle *lifecycle, uint64_t at_ms)
{
	return lifecycle->now_ms > at_ms ? lifecycle->now_ms - at_ms : 0;
}

/* What the call says of its things, which may be one or two words of each. */
static size_t write_call(const struct call *call, struct broker_said *said)
{
	const struct lifecycle *lifecycle = call->stream->lifecycle;
	size_t n = 0;

	for (size_t i = 0; i < call->n; i++) {
		const struct thing *thing = call->said[i].thing;
		struct broker_said word = {
			.is_here = true,
			.name = {thing->name, thing->entry.key_len},
			.age_ms = since(lifecycle, thing->came_ms),
			.events = call->said[i].events,
			.text = {thing->text, thing->text_len},
		};

		if (call->said[i].came)
			said[n++] = word;
		if (!call->said[i].went)
			continue;
		word.is_here = false;
		word.age_ms = since(lifecycle, thing->left_ms);
		word.code = thing->code;
		word.reason = is_channel(thing) ? "" : close_reason_word((enum close_reason)thing->reason);
		if (thing->put)
			word.text.len = 0; /* Redis remembers it */
		said[n++] = word;
	}
	return n;
}

static void call_send(struct call *call)
{
	struct broker_said said[BROKER_SAID_MAX];
	struct stream *stream = call->stream;
	struct lifecycle *lifecycle = stream->lifecycle;
	const struct broker_session session = {.node = slice_of(lifecycle->node),
		.stream = {stream->name, stream->len},
		.size = stream->size};
	int r;

	call->sent_era = lifecycle->era;
	stream->busy = true;
	r = broker_say(lifecycle->broker, &session, call->number, stream->forgot, said,
		write_call(call, said), on_said, call);
	if (r == 0)
		return;
	stream->busy = false;
	metrics_add(lifecycle->metrics, METRIC_LIFECYCLE_FAILED, 1);
	stream->not_before = lifecycle->now_ms + LIFECYCLE_AGAIN_MS;
}

/* Takes what is to be said, as much as one call may have. */
static void fill(struct call *call)
{
	struct stream *stream = call->stream;
	size_t n_words = 0;

	while (!list_empty(&stream->dirty) && n_words + 2 <= BROKER_SAID_MAX) {
		struct thing *thing = list_entry(stream->dirty.next, struct thing, dirty);

		call->said[call->n].thing = thing;
		call->said[call->n].came = thing->here ? !thing->put : !thing->told;
		call->said[call->n].went = !thing->here;
		call->said[call->n].events = thing->events;
		n_words += call->said[call->n].came + call->said[call->n].went;
		call->n++;
		thing_rest(thing);
		thing->in_call = true;
	}
}

static void hold(struct stream *stream);

/* May it say something now? */
static bool stream_may(const struct stream *stream)
{
	const struct lifecycle *lifecycle = stream->lifecycle;

	return !stream->busy && *lifecycle->node && lifecycle->now_ms < lifecycle->until_ms &&
	       lifecycle->now_ms >= stream->not_before;
}

static void tell(struct stream *stream)
{
	struct lifecycle *lifecycle = stream->lifecycle;
	struct call *call = stream->call;

	if (!stream_may(stream) || (!call && list_empty(&stream->dirty)))
		return;
	if (!stream->is_held) {
		hold(stream);
		return;
	}
	if (!call) {
		call = calloc(1, sizeof(*call));
		if (!call)
			return;
		call->stream = stream;
		call->era = lifecycle->era;
		call->number = ++stream->n_calls;
		stream->call = call;
		lifecycle->n_calls++;
		fill(call);
	}
	call_send(call);
}

/* --- what is held --- */

struct holding {
	struct stream *stream;
	uint64_t era;
};

static void on_held(void *arg, int r)
{
	struct holding *holding = arg;
	struct stream *stream = holding->stream;
	bool is_present = holding->era == stream->lifecycle->era;

	free(holding);
	stream->busy = false;
	if (r < 0)
		stream->not_before = stream->lifecycle->now_ms + LIFECYCLE_AGAIN_MS;
	else if (is_present)
		stream->is_held = true;
	if (r == 0)
		tell(stream);
}

static void hold(struct stream *stream)
{
	struct lifecycle *lifecycle = stream->lifecycle;
	char text[PRESENCE_HELD_MAX] = {LIFECYCLE_HELD};
	struct slice name = {text, stream->len + 1};
	struct holding *holding = malloc(sizeof(*holding));
	int r;

	if (!holding)
		return;
	*holding = (struct holding){stream, lifecycle->era};
	memcpy(text + 1, stream->name, stream->len);
	stream->busy = true;
	r = broker_hold(lifecycle->broker, slice_of(lifecycle->node), true, &name, 1, on_held, holding);
	if (r < 0)
		on_held(holding, r);
}

/* --- time --- */

static void end_leaves(struct lifecycle *lifecycle)
{
	while (!list_empty(&lifecycle->leaving)) {
		struct thing *thing = list_entry(lifecycle->leaving.next, struct thing, leaving);

		if (thing->left_ms + LIFECYCLE_VACANT_MS > lifecycle->now_ms)
			return;
		list_remove(&thing->leaving);
		thing->here = false;
		thing_settle(thing);
	}
}

void lifecycle_tick(struct lifecycle *lifecycle, uint64_t now_ms)
{
	lifecycle->now_ms = now_ms;
	end_leaves(lifecycle);
	for (struct list *link = lifecycle->streams.next; link != &lifecycle->streams; link = link->next)
		tell(list_entry(link, struct stream, link));
	map_tidy(&lifecycle->things);
	metrics_set(lifecycle->metrics, METRIC_LIFECYCLE_WAITING, lifecycle->n_waiting);
}

bool lifecycle_has_said_all(const struct lifecycle *lifecycle)
{
	return lifecycle->n_waiting == 0 && lifecycle->n_calls == 0;
}

bool lifecycle_is_active(const struct lifecycle *lifecycle)
{
	return !lifecycle_has_said_all(lifecycle) || !list_empty(&lifecycle->leaving);
}

/* --- routes, and the name --- */

/* What a route no longer says of its channels, or says elsewhere, ends now. */
void lifecycle_configure(struct lifecycle *lifecycle, const struct route_table *routes)
{
	struct map_entry *next;

	lifecycle->routes = routes && route_table_tells_lifecycle(routes) ? routes : NULL;
	for (struct map_entry *e = map_next(&lifecycle->things, NULL); e; e = next) {
		struct thing *thing = map_value(e, struct thing, entry);
		struct slice channel = {thing->name + 1, thing->entry.key_len - 1};
		const struct route_lifecycle *said;

		next = map_next(&lifecycle->things, e);
		thing->wanted = false;
		if (!is_channel(thing) || !thing->here)
			continue;
		said = lifecycle->routes ? route_table_lifecycle(routes, channel) : NULL;
		if (said && slice_equal(slice_of(said->stream),
				    (struct slice){thing->stream->name, thing->stream->len})) {
			set_events(thing, said);
			thing_settle(thing);
			continue;
		}
		list_remove(&thing->leaving);
		thing->here = false;
		thing->left_ms = lifecycle->now_ms;
		thing_settle(thing);
	}
}

void lifecycle_set_node(struct lifecycle *lifecycle, const char *node, uint64_t until_ms)
{
	struct map_entry *next;

	lifecycle->until_ms = until_ms;
	if (strcmp(lifecycle->node, node) == 0)
		return;
	lifecycle->era++;
	snprintf(lifecycle->node, sizeof(lifecycle->node), "%s", node);
	for (struct list *link = lifecycle->streams.next; link != &lifecycle->streams; link = link->next) {
		struct stream *stream = list_entry(link, struct stream, link);

		stream->is_held = stream->forgot = false;
		stream->not_before = 0;
	}
	for (struct map_entry *e = map_next(&lifecycle->things, NULL); e; e = next) {
		struct thing *thing = map_value(e, struct thing, entry);

		next = map_next(&lifecycle->things, e);
		thing->put = false;
		thing_settle(thing);
	}
}

void lifecycle_init(struct lifecycle *lifecycle, struct log *log, struct metrics *metrics)
{
	*lifecycle = (struct lifecycle){.log = log, .metrics = metrics};
	lifecycle->drop_limit = (struct log_limit){.burst = DROP_LINES, .interval_ms = 60000};
	list_init(&lifecycle->streams);
	list_init(&lifecycle->leaving);
}

void lifecycle_deinit(struct lifecycle *lifecycle)
{
	struct map_entry *next;

	for (struct map_entry *e = map_next(&lifecycle->things, NULL); e; e = next) {
		next = map_next(&lifecycle->things, e);
		thing_free(map_value(e, struct thing, entry));
	}
	map_deinit(&lifecycle->things);
	while (list_linked(&lifecycle->streams)) {
		struct stream *stream = list_entry(lifecycle->streams.next, struct stream, link);

		list_remove(&stream->link);
		free(stream->call);
		free(stream);
	}
}
