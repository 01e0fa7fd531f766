/* History: the channel log of one channel; see the header. */

#include "bus/history.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "broker/broker.h"
#include "channel_log/envelope.h"
#include "mail/join.h"
#include "metrics/metrics.h"
#include "protocol/message.h"
#include "protocol/reply.h"

struct history {
	struct histories *all;
	struct list link; /* in histories.all */
	struct channel_log *channel_log;
	struct channel_log_options options;
	struct list reads;      /* under way */
	struct list refused;    /* in histories.refused while its read could not be sent */
	struct list patient;    /* join.due of patient joins, in order of deadline_ms */
	struct list holding;    /* in histories.holding while it remembers entries */
	size_t bytes;           /* of them */
	uint32_t n_refused;     /* reads in a row that Redis has refused */
	uint64_t rest_until_ms; /* until then Redis is not asked again */
	struct position began;  /* the log's top when it was first read; zeroed before */
	void *arg;              /* the listener's */
	uint64_t ttl_ms;
	uint64_t hash;       /* of the channel */
	struct slice quoted; /* the channel as JSON, borrowed from the owner */
	size_t channel_len;
	char channel[];
};

/* A call to the broker. It outlives the history, which is NULL then. */
struct read {
	struct list link; /* in history.reads */
	struct histories *all;
	struct history *history;
	uint64_t id; /* of the log */
};

enum {
	US_PER_MS = 1000,
	FIT_EVENT = 8,      /* histories that may have to forget after one event, which brings one entry */
	FIT_TICK = 4096,    /* after a tick: some milliseconds */
	REST_MS = 500,      /* after the first refusal; twice as long after each further refusal */
	REST_MS_MAX = 5000, /* rights that were mended are noticed within it */
	/* Redis trims whole nodes of up to 100 entries: a log of 1,000 may hold that many more, and "start"
	 * asks for all. */
	TRIM_SLACK = 128,
};

static const enum metric catch_up_metrics[] = {
	[CHANNEL_LOG_CAUSE_LINK] = METRIC_CATCH_UPS_LINK,
	[CHANNEL_LOG_CAUSE_GAP] = METRIC_CATCH_UPS_GAP,
	[CHANNEL_LOG_CAUSE_FORK] = METRIC_CATCH_UPS_FORK,
	[CHANNEL_LOG_CAUSE_OLD] = METRIC_CATCH_UPS_OLD,
	[CHANNEL_LOG_CAUSE_EPOCH] = METRIC_CATCH_UPS_EPOCH,
	[CHANNEL_LOG_CAUSE_TAIL] = METRIC_CATCH_UPS_TAIL,
	[CHANNEL_LOG_CAUSE_JOIN] = METRIC_CATCH_UPS_JOIN,
	[CHANNEL_LOG_CAUSE_OVERFLOW] = METRIC_CATCH_UPS_OVERFLOW,
};

/* The reasons that a resync can have. */
static const enum metric resync_metrics[] = {
	[CHANNEL_LOG_TRIMMED] = METRIC_RESYNCS_TRIMMED,
	[CHANNEL_LOG_EPOCH] = METRIC_RESYNCS_EPOCH,
	[CHANNEL_LOG_FORK] = METRIC_RESYNCS_FORK,
};

static struct slice channel_of(const struct history *history)
{
	return (struct slice){history->channel, history->channel_len};
}

static struct message_channel hashed_channel_of(const struct history *history)
{
	return (struct message_channel){
		channel_of(history), history->hash, history->quoted, &history->all->clock};
}

/* Its log has changed. */
static void count_bytes(struct history *history)
{
	size_t bytes = channel_log_bytes(history->channel_log);

	history->all->bytes += bytes - history->bytes;
	history->bytes = bytes;
	if (!bytes)
		list_remove(&history->holding);
	else if (!list_linked(&history->holding))
		list_push_back(&history->all->holding, &history->holding);
}

/* A client has asked for entries of this history. */
static void note_use(struct history *history)
{
	if (!list_linked(&history->holding))
		return;
	list_remove(&history->holding);
	list_push_back(&history->all->holding, &history->holding);
}

/*
 * Together they remember no more than they may: those that nobody has asked for lately forget their entries,
 * n of them at most. One that cannot forget now goes behind the others. While the link is lost that is all of
 * them, and each event looks at a few.
 */
static void fit(struct histories *all, unsigned int n)
{
	while (n-- && all->bytes > (all->is_short ? 0 : HISTORIES_BYTES_MAX) && !list_empty(&all->holding)) {
		struct history *history = list_entry(all->holding.next, struct history, holding);

		if (channel_log_shrink(history->channel_log))
			count_bytes(history);
		else
			note_use(history);
	}
}

/*
 * Makes an entry as clients see it. Its time is that of the log, not of its arrival here, so it is the same
 * on every node and in every replay. An entry that cannot be sent (not JSON, larger than allowed) was
 * acknowledged nevertheless: a resync takes its place, for clients that know recovery. NULL when out of
 * memory; the entry then counts in the log, but is not delivered.
 */
static struct message *make_body(
	struct history *history, const struct position *at, struct slice payload, uint64_t arrived_us)
{
	char pos[POSITION_TEXT_MAX];
	const struct slice stands = {pos, position_format(at, pos)};
	struct message *message = NULL;
	int r = MESSAGE_NOT_JSON;

	if (payload.data)
		r = message_from_event(hashed_channel_of(history), payload, stands, at->tag / US_PER_MS,
			arrived_us, &message);
	if (r == MESSAGE_NOT_JSON)
		return reply_resync(channel_of(history), "dropped", false, 0, pos, at->tag / US_PER_MS);
	if (message)
		history->all->listener.made(history->arg, message);
	return message;
}

static size_t body_bytes(const struct message *message)
{
	return message ? sizeof(*message) + message->frame_len : 0;
}

/* --- what the channel log hands on --- */

static void on_deliver(void *arg, const struct channel_log_entry *entry)
{
	struct history *history = arg;

	if (!entry->body)
		return;
	if (message_is_event(entry->body))
		history->all->listener.deliver(history->arg, entry->body);
	else
		history->all->listener.dropped(history->arg, entry->body);
}

static void on_resync(void *arg, const struct channel_log_resync *resync)
{
	struct history *history = arg;

	metrics_add(history->all->metrics, resync_metrics[resync->reason], 1);
	log_warn(history->all->log, "resync", log_mem("channel", history->channel, history->channel_len),
		log_str("reason", channel_log_reason_name(resync->reason)),
		log_bool("continuous", resync->continuous), log_uint("retracted", resync->retracted));
	history->all->listener.resync(history->arg, resync);
}

/* --- reads --- */

/* Takes the read's entries out of the broker's words. NULL entries: out of memory. */
static struct channel_log_entry *make_entries(
	struct history *history, const struct position *top, const struct broker_log_entry *entries, size_t n)
{
	struct channel_log_entry *made = calloc(n ? n : 1, sizeof(*made));

	for (size_t i = 0; made && i < n; i++) {
		struct position at = {top->epoch, entries[i].offset, entries[i].tag};
		struct message *body = make_body(history, &at, entries[i].payload, 0);

		made[i] = (struct channel_log_entry){at.offset, at.tag, body, body_bytes(body)};
	}
	return made;
}

static void take_answer(struct history *history, uint64_t id, const struct position *top,
	const struct broker_log_entry *entries, size_t n_entries)
{
	struct channel_log_read read = {.top = *top, .n_entries = (uint32_t)n_entries};

	read.entries = make_entries(history, top, entries, n_entries);
	if (read.entries)
		channel_log_answered(history->channel_log, id, &read);
	else
		channel_log_failed(history->channel_log, id);
	free(read.entries);
}

/* A refusal that people have to mend (rights, a key that is no log) must not be caused twice a
 * second until they do. */
static void note_refusal(struct history *history, int r)
{
	uint64_t rest_ms;

	if (r != -EACCES && r != -EIO) {
		history->n_refused = 0;
		history->rest_until_ms = 0;
		return;
	}
	rest_ms = (uint64_t)REST_MS << (history->n_refused < 8 ? history->n_refused : 8);
	history->n_refused++;
	history->rest_until_ms = history->all->ticked_ms + (rest_ms < REST_MS_MAX ? rest_ms : REST_MS_MAX);
}

static void on_read(void *arg, int r, const struct position *top, const struct broker_log_entry *entries,
	size_t n_entries)
{
	struct read *read = arg;
	struct history *history = read->history;

	read->all->n_reads--;
	if (history) {
		list_remove(&read->link);
		note_refusal(history, r);
		if (r == 0)
			take_answer(history, read->id, top, entries, n_entries);
		else
			channel_log_failed(history->channel_log, read->id);
		history->all->listener.drained(history->arg);
		count_bytes(history);
		fit(read->all, FIT_EVENT);
	}
	histories_retry(read->all); /* another read may take the place of this one */
	free(read);
}

/* Its turn comes again when something has changed. */
static int refuse_read(struct history *history, int r)
{
	if (!list_linked(&history->refused))
		list_push_back(&history->all->refused, &history->refused);
	return r;
}

static int on_log_read(void *arg, uint64_t id, uint64_t from, uint32_t count)
{
	struct history *history = arg;
	struct histories *all = history->all;
	struct read *read;
	int r;

	if (history->rest_until_ms > all->ticked_ms)
		return -EAGAIN; /* the tick asks again */
	if (all->n_reads >= HISTORY_READS_MAX)
		return refuse_read(history, -EAGAIN);
	read = calloc(1, sizeof(*read));
	if (!read)
		return refuse_read(history, -ENOMEM);
	read->all = all;
	read->history = history;
	read->id = id;
	r = broker_log_read(all->broker, channel_of(history), from, count, history->ttl_ms, on_read, read);
	if (r < 0) {
		free(read);
		return refuse_read(history, r);
	}
	list_push_back(&history->reads, &read->link);
	all->n_reads++;
	metrics_add(all->metrics, METRIC_LOG_READS, 1);
	return 0;
}

static void on_state(void *arg, enum channel_log_state state, enum channel_log_cause cause)
{
	struct history *history = arg;
	struct histories *all = history->all;
	uint64_t suppressed;

	if (state == CHANNEL_LOG_LIVE && !history->began.epoch.text[0])
		history->began = *channel_log_position(history->channel_log);
	if (state == CHANNEL_LOG_LIVE)
		all->listener.live(history->arg);
	if (state != CHANNEL_LOG_CATCHUP)
		return;
	metrics_add(all->metrics, catch_up_metrics[cause], 1);
	if (cause == CHANNEL_LOG_CAUSE_LINK || cause == CHANNEL_LOG_CAUSE_JOIN)
		return; /* our entries were not in doubt */
	if (log_limit_allow(all->log, &all->repair_limit, all->ticked_ms, &suppressed))
		log_warn(all->log, "catching up", log_mem("channel", history->channel, history->channel_len),
			log_str("cause", channel_log_cause_name(cause)), log_uint("suppressed", suppressed));
}

static void on_release(void *arg, void *body)
{
	(void)arg;
	message_unref(body);
}

/* --- joins --- */

/* Copies the answer into the join: references, while the log's own are there. */
static void fill_answer(struct join *join, const struct channel_log_answer *answer)
{
	struct position end = answer->position;

	join->r = 0;
	join->reason = answer->reason;
	join->from_log = answer->from_log;
	position_format(&answer->position, join->pos);
	if (answer->n_entries) {
		const struct channel_log_entry *last =
			channel_log_answer_entry(answer, answer->n_entries - 1);

		end.offset = last->offset;
		end.tag = last->tag;
	}
	position_format(&end, join->end);
	if (!answer->n_entries)
		return;
	join->events = calloc(answer->n_entries, sizeof(*join->events));
	if (!join->events) {
		join->r = -ENOMEM;
		return;
	}
	for (uint32_t i = 0; i < answer->n_entries; i++) {
		const struct channel_log_entry *entry = channel_log_answer_entry(answer, i);

		if (entry->body)
			join->events[join->n_events++] = message_ref(entry->body);
	}
}

static void on_answered(void *arg, struct channel_log_join *waiting, const struct channel_log_answer *answer)
{
	struct history *history = arg;
	struct join *join = list_entry(waiting, struct join, waiting);

	list_remove(&join->due);
	if (join_is_abandoned(join)) {
		join->r = -EAGAIN;
	} else {
		note_use(history);
		fill_answer(join, answer);
	}
	history->all->listener.answered(history->arg, join);
}

static bool on_wanted(void *arg, const struct channel_log_join *waiting)
{
	(void)arg;
	return !join_is_abandoned(list_entry(waiting, struct join, waiting));
}

static const struct channel_log_listener log_listener = {
	.deliver = on_deliver,
	.resync = on_resync,
	.read = on_log_read,
	.answered = on_answered,
	.state = on_state,
	.release = on_release,
	.wanted = on_wanted,
};

/* --- all histories of a bus --- */

void histories_init(struct histories *histories, const struct history_listener *listener, struct log *log,
	struct metrics *metrics)
{
	*histories = (struct histories){.listener = *listener, .log = log, .metrics = metrics};
	histories->repair_limit = (struct log_limit){.burst = 5, .interval_ms = 60000};
	list_init(&histories->all);
	list_init(&histories->joins);
	list_init(&histories->refused);
	list_init(&histories->holding);
}

/* Gives a join back without an answer: r says why. */
static void refuse_join(struct histories *all, struct join *join, void *arg, int r)
{
	list_remove(&join->due);
	channel_log_cancel(&join->waiting);
	join->r = r;
	all->listener.answered(arg, join);
}

/* Gives joins back whose time is over; and joins that are abandoned, which would add up for as long as a log
 * cannot be read. */
static void give_back_due(struct histories *all, struct list *joins, uint64_t now_ms, int r)
{
	struct list *link = joins->next;

	while (link != joins) {
		struct join *join = list_entry(link, struct join, due);

		link = link->next;
		if (join->deadline_ms <= now_ms || join_is_abandoned(join))
			refuse_join(all, join, join->history->arg, r);
	}
}

/* Checks the tails that are due, as far as reads are allowed. A check that cannot be sent now stays due;
 * otherwise the same channels would miss theirs again and again. */
static void check_tails(struct histories *all)
{
	if (all->n_tails > all->n)
		all->n_tails = all->n;
	for (; all->n_tails && all->n_reads < HISTORY_READS_MAX; all->n_tails--) {
		struct history *history = list_entry(all->all.next, struct history, link);

		channel_log_check(history->channel_log);
		list_remove(&history->link);
		list_push_back(&all->all, &history->link);
	}
}

/* Adds the number of tails for this tick, so that all are checked within the cycle. */
static void owe_tails(struct histories *all, uint64_t elapsed_ms)
{
	if (FAULT_OFF(all, tail_check))
		return;
	all->n_tails += (all->n * elapsed_ms + HISTORY_TAIL_CYCLE_MS - 1) / HISTORY_TAIL_CYCLE_MS;
	check_tails(all);
}

void histories_set_short(struct histories *all, bool is_short)
{
	all->is_short = is_short;
	if (is_short)
		fit(all, FIT_TICK);
}

void histories_retry(struct histories *all)
{
	struct list *last = all->refused.prev; /* histories that are refused again come behind it */
	bool was_last = list_empty(&all->refused);

	while (!was_last && all->n_reads < HISTORY_READS_MAX) {
		struct history *history = list_entry(all->refused.next, struct history, refused);

		was_last = &history->refused == last;
		list_remove(&history->refused);
		if (!channel_log_needs_tick(history->channel_log))
			continue;
		channel_log_tick(history->channel_log, all->ticked_ms);
		all->listener.drained(history->arg);
	}
	check_tails(all);
}

void histories_tick(struct histories *all, uint64_t now_ms)
{
	give_back_due(all, &all->joins, now_ms, -EAGAIN);
	for (struct list *link = all->all.next; link != &all->all; link = link->next) {
		struct history *history = list_entry(link, struct history, link);

		give_back_due(all, &history->patient, now_ms, -ETIMEDOUT); /* they ask again */
		if (channel_log_needs_tick(history->channel_log)) {
			channel_log_tick(history->channel_log, now_ms);
			all->listener.drained(history->arg);
			count_bytes(history);
		}
	}
	fit(all, FIT_TICK);
	owe_tails(all, all->ticked_ms ? now_ms - all->ticked_ms : 0);
	all->ticked_ms = now_ms;
}

/* --- one history --- */

struct history *history_new(struct histories *all, struct message_channel channel, uint64_t ttl_ms, void *arg)
{
	struct history *history = calloc(1, sizeof(*history) + channel.name.len + 1);

	if (!history)
		return NULL;
	history->all = all;
	history->arg = arg;
	history->ttl_ms = ttl_ms;
	history->options = channel_log_defaults;
	history->options.recover_entries += TRIM_SLACK;
#ifdef TIDEGATE_FAULT_CONTROLS
	history->options.fault_off = all->fault_off;
#endif
	history->hash = channel.hash;
	history->quoted = channel.quoted;
	history->channel_len = channel.name.len;
	memcpy(history->channel, channel.name.data, channel.name.len);
	list_init(&history->reads);
	list_init(&history->patient);
	history->channel_log = channel_log_new(&history->options, &log_listener, history);
	if (!history->channel_log) {
		free(history);
		return NULL;
	}
	list_push_back(&all->all, &history->link);
	all->n++;
	channel_log_subscribe(history->channel_log);
	return history;
}

static void give_joins_back(struct history *history, int r)
{
	struct list *link = history->all->joins.next;

	while (link != &history->all->joins) {
		struct join *join = list_entry(link, struct join, due);

		link = link->next;
		if (join->history == history)
			refuse_join(history->all, join, history->arg, r);
	}
	while (!list_empty(&history->patient))
		refuse_join(
			history->all, list_entry(history->patient.next, struct join, due), history->arg, r);
}

bool history_is_live(const struct history *history)
{
	return channel_log_state(history->channel_log) == CHANNEL_LOG_LIVE;
}

bool history_began_with(const struct history *history, const struct envelope *entry)
{
	return epoch_equal(&history->began.epoch, &entry->epoch) && entry->offset <= history->began.offset;
}

bool history_began_ahead_of(const struct history *history, const struct position *heard)
{
	bool is_same_log = epoch_equal(&history->began.epoch, &heard->epoch);

	return history->began.offset > (is_same_log ? heard->offset : 0);
}

uint64_t history_began_at(const struct history *history)
{
	return history->began.offset;
}

void history_set_ttl(struct history *history, uint64_t ttl_ms)
{
	history->ttl_ms = ttl_ms;
}

/* Subscribers will not get all entries that were published while the channel had a history. */
static void announce_gap(struct history *history)
{
	struct channel_log_resync resync = {
		.reason = CHANNEL_LOG_TRIMMED, .position = *channel_log_position(history->channel_log)};

	on_resync(history, &resync);
}

bool history_end(struct history *history, bool give_up, bool *subscribedp)
{
	bool catching_up = channel_log_state(history->channel_log) == CHANNEL_LOG_CATCHUP;
	bool owed = channel_log_position(history->channel_log) && !history_is_live(history);

	if ((catching_up || owed) && !give_up)
		return false;
	*subscribedp = catching_up || history_is_live(history);
	if (catching_up)
		channel_log_lost(history->channel_log); /* hands on the plain events at least */
	if (owed)
		announce_gap(history);
	give_joins_back(history, -ENOENT);
	history_free(history);
	return true;
}

void history_free(struct history *history)
{
	if (!history)
		return;
	give_joins_back(history, -EAGAIN);
	while (!list_empty(&history->reads)) {
		struct read *read = list_entry(history->reads.next, struct read, link);

		list_remove(&read->link);
		read->history = NULL; /* its answer finds no history */
	}
	list_remove(&history->link);
	list_remove(&history->refused);
	list_remove(&history->holding);
	history->all->bytes -= history->bytes;
	history->all->n--;
	channel_log_free(history->channel_log);
	free(history);
}

void history_subscribed(struct history *history)
{
	history->rest_until_ms = 0; /* another link may have other rights */
	channel_log_subscribed(history->channel_log);
}

void history_lost(struct history *history)
{
	channel_log_lost(history->channel_log);
	channel_log_subscribe(history->channel_log);
}

int history_event(struct history *history, struct slice payload, uint64_t wall_ms, uint64_t arrived_us)
{
	struct envelope envelope;
	struct message *message;
	int r = envelope_parse(payload, &envelope);

	if (r == ENVELOPE_MALFORMED)
		return MESSAGE_NOT_JSON;
	if (r == ENVELOPE_NONE) {
		r = message_from_event(hashed_channel_of(history), payload, (struct slice){0}, wall_ms,
			arrived_us, &message);
		if (r == 0)
			history->all->listener.made(history->arg, message);
		if (r == 0)
			channel_log_plain(history->channel_log, message, body_bytes(message));
		return r;
	}
	message = make_body(history, &(struct position){envelope.epoch, envelope.offset, envelope.tag},
		envelope.payload, arrived_us);
	r = !message ? -ENOMEM : message_is_event(message) ? 0 : MESSAGE_NOT_JSON;
	channel_log_event(history->channel_log, &envelope, message, body_bytes(message));
	count_bytes(history);
	fit(history->all, FIT_EVENT);
	return r;
}

void history_join(struct history *history, struct join *join, uint64_t now_ms)
{
	join->history = history;
	join->waiting.since = join->since;
	list_push_back(join->patient ? &history->patient : &history->all->joins, &join->due);
	join->deadline_ms = now_ms + HISTORY_JOIN_MS;
	channel_log_join(history->channel_log, &join->waiting);
}

const struct channel_log *history_channel_log(const struct history *history)
{
	return history->channel_log;
}
