/*
 * Catch-up: reading the log from our position on, and finding out what became of that position.
 *
 *     the anchor is there           → deliver what follows it, page by page, until the top (R4)
 *     another entry in its place    → read back over the ring once; go back to the newest entry that the log
 *                                     and we have in common (R5), or to the top
 *     nothing in its place          → trimmed: to the top
 *     another epoch                 → to the top (R6)
 *
 * An event that came over pub/sub before a read was sent is in the read's answer, or in no log any more. So
 * the buffer begins anew with every read, and events that were buffered during the last read and are not
 * newer than its answer are discarded unseen (R7).
 */

#include "channel_log/channel_log_private.h"

enum {
	FRUITLESS_MAX = 3, /* reads between two ticks that found nothing; then messages of a dead branch cost
			      two reads a second and no more */
};

void catch_up_start(struct channel_log *log, enum channel_log_cause cause)
{
	bool may_wait = cause != CHANNEL_LOG_CAUSE_LINK && cause != CHANNEL_LOG_CAUSE_OVERFLOW;

	log->began = log->at;
	log->read.id = 0;
	log->suspect = (struct position){0};
	channel_log_drop_buffer(log);
	channel_log_enter(log, CHANNEL_LOG_CATCHUP, cause);
	if (may_wait && log->n_fruitless >= FRUITLESS_MAX)
		return;
	catch_up_send(log);
}

void catch_up_send(struct channel_log *log)
{
	uint64_t lowest = 0;

	channel_log_drop_buffer(log);
	if (log->positioned)
		channel_log_send(log, READ_CATCH_UP, log->at.offset, channel_log_page(log));
	/* one read for both: our position, and the entries that the joins want */
	else if (joins_lowest(log, &lowest))
		channel_log_send(log, READ_CATCH_UP, lowest, channel_log_page(log));
	else
		channel_log_send(log, READ_CATCH_UP, 0, 0);
}

/* Takes the top of the log as our position, whatever it was before. */
static void adopt(struct channel_log *log, struct channel_log_read *read)
{
	struct channel_log_entry entry;
	uint32_t n = read->n_entries;

	while (ring_take_newest(&log->ring, &entry))
		channel_log_release(log, entry.body);
	trail_clear(&log->trail);
	log->at = read->top;
	log->positioned = true;
	ring_reset(&log->ring, log->at.offset, log->at.tag);
	log->widened = !list_empty(&log->joins);
	log->widened_until_ms = 0;
	if (n && read->entries[n - 1].offset == log->at.offset)
		(void)channel_log_widen(log, read);
	channel_log_fit(log);
}

/* Ends the catch-up: hands on the events that came meanwhile, then serves the waiting joins. */
static void finish(struct channel_log *log)
{
	uint64_t read_up_to = log->at.offset;
	struct epoch left = log->began.epoch;
	struct live_event event;

	if (log->overflowed) {
		catch_up_start(log, CHANNEL_LOG_CAUSE_OVERFLOW);
		return;
	}
	if (!position_equal(&log->at, &log->began))
		log->n_fruitless = 0;
	else if (log->n_fruitless < FRUITLESS_MAX)
		log->n_fruitless++;
	channel_log_enter(log, CHANNEL_LOG_LIVE, CHANNEL_LOG_CAUSE_NONE);
	while (log->state == CHANNEL_LOG_LIVE && live_buffer_take(&log->buffer, &event)) {
		bool ours = epoch_equal(&event.epoch, &log->at.epoch);

		if (event.offset && (ours ? event.offset <= read_up_to : epoch_equal(&event.epoch, &left)))
			channel_log_release(log, event.body);
		else
			channel_log_examine(log, &event);
	}
	if (log->state == CHANNEL_LOG_LIVE)
		joins_serve(log);
}

/* Our position cannot be continued: tells the subscribers and goes on at the top. */
static void restart(struct channel_log *log, struct channel_log_read *read, enum channel_log_reason reason)
{
	struct channel_log_resync resync = {.reason = reason, .position = read->top};

	adopt(log, read);
	log->listener->resync(log->arg, &resync);
	finish(log);
}

/* Back to an entry of ours that the log still has. */
static void rewind_to(struct channel_log *log, uint64_t offset)
{
	struct channel_log_resync resync = {
		.reason = CHANNEL_LOG_FORK, .continuous = true, .retracted = log->at.offset - offset};
	const struct channel_log_entry *newest;
	struct channel_log_entry entry;

	while (log->ring.floor_offset + log->ring.n > offset && ring_take_newest(&log->ring, &entry))
		channel_log_release(log, entry.body);
	newest = ring_at(&log->ring, offset);
	log->at.offset = offset;
	if (newest)
		log->at.tag = newest->tag;
	else if (offset == log->ring.floor_offset && log->ring.floor_tag)
		log->at.tag = log->ring.floor_tag;
	else
		log->at.tag = trail_tag(&log->trail, offset);
	if (offset <= log->ring.floor_offset)
		ring_reset(&log->ring, offset, log->at.tag);
	trail_cut(&log->trail, offset);
	resync.position = log->at;
	log->listener->resync(log->arg, &resync);
}

/* Our position is in the log: delivers the entries that the read has behind it. */
static void follow(struct channel_log *log, struct channel_log_read *read)
{
	uint64_t before = log->at.offset;

	for (uint32_t i = 0; i < read->n_entries; i++) {
		struct channel_log_entry entry = read->entries[i];

		if (entry.offset != log->at.offset + 1)
			continue;
		read->entries[i].body = NULL;
		channel_log_accept(log, &entry);
	}
	if (log->at.offset == read->top.offset)
		finish(log);
	else if (log->at.offset > before || log->read.from < before)
		catch_up_send(log); /* the next page */
	else
		restart(log, read, CHANNEL_LOG_TRIMMED); /* the log has a hole: single entries were deleted */
}

/* The newest entry that we and the log have in common. */
static bool in_common(const struct channel_log *log, const struct channel_log_read *read, uint64_t *offsetp)
{
	if (channel_log_remembers(log, read->top.offset, read->top.tag)) {
		*offsetp = read->top.offset;
		return true;
	}
	for (uint32_t i = read->n_entries; i-- > 0;) {
		*offsetp = read->entries[i].offset;
		if (channel_log_remembers(log, *offsetp, read->entries[i].tag))
			return true;
	}
	/* The place before the first entry is no entry, but everybody has it in common. */
	*offsetp = 0;
	return channel_log_remembers(log, 0, 0) &&
	       (!read->top.offset || (read->n_entries && read->entries[0].offset == 1));
}

static bool is_trimmed(const struct channel_log *log, const struct channel_log_read *read)
{
	return read->top.offset > log->at.offset &&
	       (!read->n_entries || read->entries[0].offset > log->at.offset);
}

/* The read may have ended right at this common entry: there may be more behind it. */
static bool is_cut(const struct channel_log_read *read, uint64_t common)
{
	return read->n_entries > 1 && read->entries[read->n_entries - 1].offset == common &&
	       common < read->top.offset;
}

static void read_back(struct channel_log *log, uint64_t from)
{
	channel_log_drop_buffer(log);
	channel_log_send(log, READ_BACK, from, log->at.offset - from + channel_log_page(log));
}

static uint64_t oldest_known(const struct channel_log *log)
{
	uint64_t oldest = ring_oldest_known(&log->ring);

	return log->trail.n && log->trail.first < oldest ? log->trail.first : oldest;
}

void catch_up_answered(struct channel_log *log, struct channel_log_read *read)
{
	uint64_t oldest = oldest_known(log), common;

	log->proven = log->n_reads;
	log->kept_from = 0; /* another copy of the log may reach further back */
	if (!log->positioned || FAULT_OFF(log->options, catch_up)) {
		adopt(log, read);
		finish(log);
	} else if (!epoch_equal(&read->top.epoch, &log->at.epoch)) {
		restart(log, read, CHANNEL_LOG_EPOCH);
	} else if (in_common(log, read, &common)) {
		if (common < log->at.offset && is_cut(read, common)) {
			read_back(log, common);
			return;
		}
		if (common < log->at.offset)
			rewind_to(log, common);
		follow(log, read);
	} else if (log->read.kind == READ_BACK) {
		restart(log, read, CHANNEL_LOG_FORK);
	} else if (is_trimmed(log, read)) {
		restart(log, read, CHANNEL_LOG_TRIMMED);
	} else if (oldest < log->at.offset) {
		read_back(log, oldest);
	} else {
		restart(log, read, CHANNEL_LOG_FORK);
	}
}
