/* Channel log: events, states and ticks; see the header. Reads are in catch_up.c, joins in joins.c. */

#include "channel_log/channel_log.h"

#include <stdlib.h>

#include "channel_log/channel_log_private.h"

enum {
	PAGE_MIN = 16,     /* entries a read asks for, however large they are */
	SUSPECT_TICKS = 2, /* a push overtaken by the tail check is here by then */
};

const struct channel_log_options channel_log_defaults = {
	.ring_entries = 256,
	.ring_bytes = 256 << 10,
	.live_entries = 1024,
	.live_bytes = 1 << 20,
	.recover_entries = 1000,
	.recover_bytes = 1 << 20,
	.widened_ms = 30000,
};

struct channel_log *channel_log_new(
	const struct channel_log_options *options, const struct channel_log_listener *listener, void *arg)
{
	struct channel_log *log = calloc(1, sizeof(*log));

	if (!log)
		return NULL;
	log->options = options;
	log->listener = listener;
	log->arg = arg;
	list_init(&log->joins);
	return log;
}

void channel_log_release(struct channel_log *log, void *body)
{
	if (body)
		log->listener->release(log->arg, body);
}

/* The ring's floor may have moved up. With a gap between the two the trail would name too old an entry. */
static void close_trail(struct channel_log *log)
{
	if (log->trail.n && log->ring.floor_offset > log->trail.first + log->trail.n)
		trail_clear(&log->trail);
}

void channel_log_forget(struct channel_log *log)
{
	struct channel_log_entry entry;

	while (ring_take_oldest(&log->ring, &entry))
		channel_log_release(log, entry.body);
	ring_reset(&log->ring, log->at.offset, log->at.tag);
	close_trail(log);
}

bool channel_log_remembers(const struct channel_log *log, uint64_t offset, uint64_t tag)
{
	return ring_knows(&log->ring, offset, tag) || trail_knows(&log->trail, offset, tag);
}

void channel_log_free(struct channel_log *log)
{
	struct live_event event;

	if (!log)
		return;
	channel_log_forget(log);
	trail_clear(&log->trail);
	while (live_buffer_take(&log->buffer, &event))
		channel_log_release(log, event.body);
	free(log);
}

void channel_log_enter(struct channel_log *log, enum channel_log_state state, enum channel_log_cause cause)
{
	log->state = state;
	log->listener->state(log->arg, state, cause);
}

void channel_log_subscribe(struct channel_log *log)
{
	if (log->state == CHANNEL_LOG_IDLE || log->state == CHANNEL_LOG_STALE)
		channel_log_enter(log, CHANNEL_LOG_SUBSCRIBING, CHANNEL_LOG_CAUSE_NONE);
}

void channel_log_subscribed(struct channel_log *log)
{
	catch_up_start(log, CHANNEL_LOG_CAUSE_LINK);
}

void channel_log_lost(struct channel_log *log)
{
	if (log->state == CHANNEL_LOG_IDLE)
		return;
	log->read.id = 0;
	channel_log_drop_buffer(log);
	channel_log_enter(log, CHANNEL_LOG_STALE, CHANNEL_LOG_CAUSE_NONE);
}

/* --- the ring --- */

void channel_log_fit(struct channel_log *log)
{
	uint32_t entries_max = log->options->ring_entries;
	size_t bytes_max = log->options->ring_bytes;
	struct channel_log_entry entry;

	if (log->widened) {
		entries_max += log->options->recover_entries;
		bytes_max += log->options->recover_bytes;
	}
	while (log->ring.n > entries_max || log->ring.bytes > bytes_max) {
		ring_take_oldest(&log->ring, &entry);
		channel_log_release(log, entry.body);
	}
	close_trail(log);
}

/* Notes how far back the log reaches, as the read shows. Entries before a hole cannot be replayed, so they
 * count as gone. */
static void note_kept_from(struct channel_log *log, const struct channel_log_read *read)
{
	uint32_t first = read->n_entries;

	while (first > 1 && read->entries[first - 2].offset + 1 == read->entries[first - 1].offset)
		first--;
	if (first && read->entries[first - 1].offset > log->read.from)
		log->kept_from = read->entries[first - 1].offset;
	else if (!first)
		log->kept_from = read->top.offset + 1;
}

bool channel_log_widen(struct channel_log *log, struct channel_log_read *read)
{
	uint32_t n_max = log->options->ring_entries + (log->widened ? log->options->recover_entries : 0);
	size_t bytes_max = log->options->ring_bytes + (log->widened ? log->options->recover_bytes : 0);
	bool fits = true;

	for (uint32_t i = read->n_entries; i-- > 0 && fits;) {
		struct channel_log_entry *entry = &read->entries[i];

		if (entry->offset != log->ring.floor_offset)
			continue;
		fits = log->ring.n < n_max && entry->bytes <= bytes_max - log->ring.bytes &&
		       ring_push_front(&log->ring, entry) == 0;
		if (fits)
			entry->body = NULL;
		else
			ring_know_floor(&log->ring, entry);
	}
	note_kept_from(log, read);
	return fits;
}

void channel_log_accept(struct channel_log *log, const struct channel_log_entry *entry)
{
	log->at.offset = entry->offset;
	log->at.tag = entry->tag;
	if (entry->body)
		log->listener->deliver(log->arg, entry);
	if (ring_push(&log->ring, entry) < 0) {
		channel_log_release(log, entry->body);
		channel_log_forget(log); /* without memory it is remembered less, not delivered less */
		return;
	}
	channel_log_fit(log);
}

/* --- the buffer --- */

static void deliver_plain(struct channel_log *log, void *body, size_t bytes)
{
	struct channel_log_entry entry = {.body = body, .bytes = bytes};

	log->listener->deliver(log->arg, &entry);
	channel_log_release(log, body);
}

void channel_log_drop_buffer(struct channel_log *log)
{
	struct live_event event;

	while (live_buffer_take(&log->buffer, &event)) {
		if (event.offset)
			channel_log_release(log, event.body);
		else
			deliver_plain(log, event.body, event.bytes);
	}
	log->overflowed = false;
}

/* R2. False: not kept, and need not be, because another read follows. */
static bool keep(struct channel_log *log, const struct live_event *event)
{
	if (log->state != CHANNEL_LOG_CATCHUP || !log->read.id || log->overflowed)
		return false;
	if (live_buffer_push(&log->buffer, event, log->options->live_entries, log->options->live_bytes) == 0)
		return true;
	channel_log_drop_buffer(log);
	log->overflowed = true;
	return false;
}

/* --- events --- */

void channel_log_examine(struct channel_log *log, const struct live_event *event)
{
	struct channel_log_entry entry = {event->offset, event->tag, event->body, event->bytes};
	enum channel_log_cause cause;

	if (!event->offset) {
		deliver_plain(log, event->body, event->bytes);
		return;
	}
	if (!epoch_equal(&event->epoch, &log->at.epoch)) {
		cause = CHANNEL_LOG_CAUSE_EPOCH;
	} else if (event->offset > log->at.offset + 1) {
		cause = CHANNEL_LOG_CAUSE_GAP;
	} else if (event->offset <= log->at.offset) {
		cause = ring_knows(&log->ring, event->offset, event->tag) ? CHANNEL_LOG_CAUSE_NONE
									  : CHANNEL_LOG_CAUSE_OLD;
	} else if (event->prev == log->at.tag) {
		channel_log_accept(log, &entry);
		return;
	} else {
		cause = CHANNEL_LOG_CAUSE_FORK;
	}
	/* The event was heard before, or was published before the read that now follows,
	 * which will have it. */
	channel_log_release(log, event->body);
	if (cause != CHANNEL_LOG_CAUSE_NONE)
		catch_up_start(log, cause);
}

void channel_log_event(struct channel_log *log, const struct envelope *envelope, void *body, size_t bytes)
{
	struct live_event event = {
		envelope->epoch, envelope->offset, envelope->tag, envelope->prev, body, bytes};

	if (log->state == CHANNEL_LOG_LIVE)
		channel_log_examine(log, &event);
	else if (!keep(log, &event))
		channel_log_release(log, body);
}

void channel_log_plain(struct channel_log *log, void *body, size_t bytes)
{
	struct live_event event = {.body = body, .bytes = bytes};

	if (!keep(log, &event))
		deliver_plain(log, body, bytes);
}

/* --- reads --- */

uint32_t channel_log_page(const struct channel_log *log)
{
	size_t each = log->ring.n ? log->ring.bytes / log->ring.n : 0;
	uint32_t n = log->options->recover_entries;

	if (each && log->options->recover_bytes / each < n)
		n = (uint32_t)(log->options->recover_bytes / each);
	if (n < PAGE_MIN && n < log->options->recover_entries)
		n = log->options->recover_entries < PAGE_MIN ? log->options->recover_entries : PAGE_MIN;
	return n + 1; /* the anchor comes along */
}

void channel_log_send(struct channel_log *log, enum read_kind kind, uint64_t from, uint64_t count)
{
	log->read.id = ++log->n_reads;
	log->read.kind = kind;
	log->read.from = from;
	log->read.stood_at = log->at.offset;
	if (log->listener->read(log->arg, log->read.id, from, (uint32_t)count) < 0)
		log->read.id = 0;
}

/* Can a log look like that? Other answers are not believed. */
static bool is_plausible(const struct channel_log_read *read, uint64_t from)
{
	uint64_t before = from ? from - 1 : 0;

	if (!read->top.offset != !read->top.tag || !read->top.epoch.text[0])
		return false;
	for (uint32_t i = 0; i < read->n_entries; i++) {
		const struct channel_log_entry *entry = &read->entries[i];

		if (entry->offset <= before || entry->offset > read->top.offset || !entry->tag)
			return false;
		if (entry->offset == read->top.offset && entry->tag != read->top.tag)
			return false;
		before = entry->offset;
	}
	return true;
}

static void take_answer(struct channel_log *log, struct channel_log_read *read)
{
	if (log->state != CHANNEL_LOG_LIVE) {
		catch_up_answered(log, read);
		return;
	}
	channel_log_compare_top(log, &read->top);
	if (log->state == CHANNEL_LOG_LIVE)
		joins_answered(log, read);
}

void channel_log_answered(struct channel_log *log, uint64_t id, const struct channel_log_read *read)
{
	struct channel_log_read taken = *read;

	if (id && id == log->read.id) {
		log->read.id = 0;
		if (is_plausible(read, log->read.from))
			take_answer(log, &taken);
	}
	for (uint32_t i = 0; i < read->n_entries; i++)
		channel_log_release(log, read->entries[i].body); /* the bodies that nobody took */
}

void channel_log_failed(struct channel_log *log, uint64_t id)
{
	if (!id || id != log->read.id)
		return;
	log->read.id = 0;
	/* The next read brings the entries; plain events would wait for as long as reads fail. */
	if (log->state == CHANNEL_LOG_CATCHUP)
		channel_log_drop_buffer(log);
}

/* --- time --- */

void channel_log_check(struct channel_log *log)
{
	if (log->state == CHANNEL_LOG_LIVE && !log->read.id)
		channel_log_send(log, READ_TAIL, 0, 0);
}

void channel_log_compare_top(struct channel_log *log, const struct position *top)
{
	bool ours = epoch_equal(&top->epoch, &log->at.epoch);

	if (ours && top->offset > log->at.offset) { /* likely on its way to us */
		if (!log->suspect.offset) {
			log->suspect = *top;
			log->suspect_ticks = 0;
		}
		return;
	}
	if (ours && top->offset >= log->read.stood_at &&
		(ring_knows(&log->ring, top->offset, top->tag) ||
			top->offset < ring_oldest_known(&log->ring)))
		return; /* was the top when it was read */
	catch_up_start(log, CHANNEL_LOG_CAUSE_TAIL);
}

static void look_at_suspect(struct channel_log *log)
{
	bool reached = log->suspect.offset <= log->at.offset;
	bool known = ring_knows(&log->ring, log->suspect.offset, log->suspect.tag);

	if (!log->suspect.offset)
		return;
	if (reached && (known || log->suspect.offset < ring_oldest_known(&log->ring)))
		log->suspect.offset = 0;
	else if (reached || ++log->suspect_ticks >= SUSPECT_TICKS)
		catch_up_start(log, CHANNEL_LOG_CAUSE_TAIL);
}

static void narrow(struct channel_log *log, uint64_t now_ms)
{
	if (!log->widened || (log->read.id && log->read.kind == READ_JOINS))
		return;
	if (!log->widened_until_ms) {
		log->widened_until_ms = now_ms + log->options->widened_ms;
	} else if (now_ms >= log->widened_until_ms) {
		log->widened = false;
		log->kept_from = 0;
		channel_log_fit(log);
		ring_tighten(&log->ring);
	}
}

void channel_log_tick(struct channel_log *log, uint64_t now_ms)
{
	log->n_fruitless = 0;
	log->doubted = false;
	narrow(log, now_ms);
	if (log->state == CHANNEL_LOG_LIVE)
		look_at_suspect(log);
	if (log->state == CHANNEL_LOG_LIVE)
		joins_serve(log);
	else if (log->state == CHANNEL_LOG_CATCHUP && !log->read.id)
		catch_up_send(log);
}

bool channel_log_shrink(struct channel_log *log)
{
	if (log->state != CHANNEL_LOG_LIVE || log->read.id)
		return false;
	log->widened = false;
	log->kept_from = 0;
	trail_note(&log->trail, &log->ring);
	channel_log_forget(log);
	ring_tighten(&log->ring);
	return true;
}

bool channel_log_needs_tick(const struct channel_log *log)
{
	return (log->state == CHANNEL_LOG_CATCHUP && !log->read.id) || log->suspect.offset || log->widened ||
	       log->doubted || log->n_fruitless || !list_empty(&log->joins);
}

/* --- questions --- */

enum channel_log_state channel_log_state(const struct channel_log *log)
{
	return log->state;
}

const struct position *channel_log_position(const struct channel_log *log)
{
	return log->positioned ? &log->at : NULL;
}

const struct channel_log_entry *channel_log_recent(const struct channel_log *log, uint32_t i)
{
	return i < log->ring.n ? ring_at(&log->ring, log->at.offset - i) : NULL;
}

uint32_t channel_log_n_entries(const struct channel_log *log)
{
	return log->ring.n;
}

size_t channel_log_bytes(const struct channel_log *log)
{
	return log->ring.bytes;
}

const char *channel_log_state_name(enum channel_log_state state)
{
	static const char *const names[] = {
		[CHANNEL_LOG_IDLE] = "idle",
		[CHANNEL_LOG_SUBSCRIBING] = "subscribing",
		[CHANNEL_LOG_CATCHUP] = "catchup",
		[CHANNEL_LOG_LIVE] = "live",
		[CHANNEL_LOG_STALE] = "stale",
	};

	return names[state];
}

const char *channel_log_cause_name(enum channel_log_cause cause)
{
	static const char *const names[] = {
		[CHANNEL_LOG_CAUSE_NONE] = "none",
		[CHANNEL_LOG_CAUSE_LINK] = "link",
		[CHANNEL_LOG_CAUSE_GAP] = "gap",
		[CHANNEL_LOG_CAUSE_FORK] = "fork",
		[CHANNEL_LOG_CAUSE_OLD] = "old",
		[CHANNEL_LOG_CAUSE_EPOCH] = "epoch",
		[CHANNEL_LOG_CAUSE_TAIL] = "tail",
		[CHANNEL_LOG_CAUSE_JOIN] = "join",
		[CHANNEL_LOG_CAUSE_OVERFLOW] = "overflow",
	};

	return names[cause];
}

const char *channel_log_reason_name(enum channel_log_reason reason)
{
	static const char *const names[] = {
		[CHANNEL_LOG_RECOVERED] = "recovered",
		[CHANNEL_LOG_TRIMMED] = "trimmed",
		[CHANNEL_LOG_EPOCH] = "epoch",
		[CHANNEL_LOG_FORK] = "fork",
		[CHANNEL_LOG_LIMIT] = "limit",
		[CHANNEL_LOG_FORMAT] = "format",
	};

	return names[reason];
}
