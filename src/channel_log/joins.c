/*
 * Joins: clients that want to hear the channel from a position on (R8).
 *
 * A join is answered only while LIVE, out of the ring. A join that the ring cannot answer waits
 * for one of two things:
 *
 * - a read, where its anchor is older than the ring. One read for all who wait, from the lowest offset wanted
 *   up to the ring, whose oldest entry has to be in it (else it is another branch). The ring keeps what was
 *   read for a while: the next ones will ask the same.
 * - a proof, where its anchor contradicts us: another epoch, another tag, or newer than what we have. Who is
 *   wrong? Only a read sent after the question can tell; before it nobody is refused for it. A question like
 *   that costs a client nothing, so they cause one read between two ticks.
 */

#include "channel_log/channel_log_private.h"

enum verdict {
	ANSWERED,
	WANTS_READ,
	WANTS_PROOF,
};

static enum verdict answer(struct channel_log *log, struct channel_log_join *join,
	enum channel_log_reason reason, const struct position *position, uint32_t n)
{
	struct channel_log_answer answer = {reason, *position, n, join->from_log, &log->ring};

	log->listener->answered(log->arg, join, &answer);
	return ANSWERED;
}

static enum verdict refuse(
	struct channel_log *log, struct channel_log_join *join, enum channel_log_reason reason)
{
	return answer(log, join, reason, &log->at, 0);
}

/* The lowest offset from which a replay is within its bounds, as far as the ring can tell. */
static uint64_t lowest_served(const struct channel_log *log)
{
	uint64_t n = log->options->recover_entries, offset = log->at.offset > n ? log->at.offset - n : 0;
	size_t bytes = log->ring.bytes;

	for (uint64_t i = log->ring.floor_offset + 1; i <= log->at.offset; i++) {
		if (i > offset && bytes <= log->options->recover_bytes)
			break;
		bytes -= ring_at(&log->ring, i)->bytes;
		if (offset < i)
			offset = i;
	}
	return offset;
}

/* Everything after `offset` is in the ring. */
static enum verdict replay(struct channel_log *log, struct channel_log_join *join, uint64_t offset,
	const struct position *position)
{
	uint64_t n = log->at.offset - offset;
	size_t bytes = 0;

	if (n > log->options->recover_entries)
		return refuse(log, join, CHANNEL_LOG_LIMIT);
	for (uint64_t i = offset + 1; i <= log->at.offset; i++)
		bytes += ring_at(&log->ring, i)->bytes;
	if (bytes > log->options->recover_bytes)
		return refuse(log, join, CHANNEL_LOG_LIMIT);
	return answer(log, join, CHANNEL_LOG_RECOVERED, position, (uint32_t)n);
}

/* The ring may reach further back than the log, which keeps a number of entries. So a ring that is too large
 * for a replay does not mean that the log is. */
static enum verdict serve_from_start(struct channel_log *log, struct channel_log_join *join)
{
	/* The place before the first entry, the only one in front of an entry that has an identity. */
	const struct position start = {.epoch = log->at.epoch};
	/* the log keeps the entries behind this one, as far as we know */
	uint64_t before = log->kept_from > 1 ? log->kept_from - 1 : 0;

	if (before > log->at.offset)
		before = log->at.offset; /* the entries that are kept are on their way to us */
	if (before >= log->ring.floor_offset && before >= lowest_served(log))
		return replay(log, join, before, &start);
	return join->unserved ? refuse(log, join, CHANNEL_LOG_LIMIT) : WANTS_READ;
}

/* The client says that the log had something else than we know. */
static enum verdict contradict(
	struct channel_log *log, struct channel_log_join *join, enum channel_log_reason reason)
{
	return log->proven > join->asked ? refuse(log, join, reason) : WANTS_PROOF;
}

/* Chooses, of the positions that the client named, the one of this log. Publishers may have given several
 * logs the same epoch; then a position that the ring knows is more likely meant. */
static void choose(const struct channel_log *log, struct since *since)
{
	for (uint32_t i = 0; i < since->n_others; i++) {
		const struct position *other = &since->others[i];
		bool ours = epoch_equal(&since->position.epoch, &log->at.epoch);

		if (ours && ring_knows(&log->ring, since->position.offset, since->position.tag))
			return;
		if (epoch_equal(&other->epoch, &log->at.epoch) &&
			(!ours || ring_knows(&log->ring, other->offset, other->tag)))
			since->position = *other;
	}
}

static enum verdict serve_from_position(struct channel_log *log, struct channel_log_join *join)
{
	const struct position *since = &join->since.position;

	choose(log, &join->since);
	if (!epoch_equal(&since->epoch, &log->at.epoch))
		return contradict(log, join, CHANNEL_LOG_EPOCH);
	if (ring_knows(&log->ring, since->offset, since->tag))
		return replay(log, join, since->offset, since);
	if (since->offset >= ring_oldest_known(&log->ring))
		return contradict(log, join, CHANNEL_LOG_FORK);
	if (log->kept_from > 1 && since->offset < log->kept_from)
		return refuse(log, join, CHANNEL_LOG_TRIMMED);
	if (since->offset < lowest_served(log) || join->unserved)
		return refuse(log, join, CHANNEL_LOG_LIMIT);
	return WANTS_READ;
}

static enum verdict judge(struct channel_log *log, struct channel_log_join *join)
{
	switch (join->since.kind) {
	case SINCE_NOW:
		return answer(log, join, CHANNEL_LOG_RECOVERED, &log->at, 0);
	case SINCE_START:
		return serve_from_start(log, join);
	case SINCE_POSITION:
		return serve_from_position(log, join);
	case SINCE_MALFORMED:
		break;
	}
	return refuse(log, join, CHANNEL_LOG_FORMAT);
}

static bool wanted(const struct channel_log *log, const struct channel_log_join *join)
{
	return !log->listener->wanted || log->listener->wanted(log->arg, join);
}

static enum verdict serve(struct channel_log *log, struct channel_log_join *join)
{
	enum verdict verdict =
		wanted(log, join) ? judge(log, join) : answer(log, join, CHANNEL_LOG_RECOVERED, &log->at, 0);

	if (verdict == WANTS_READ) /* a join that was answered may be gone */
		join->from_log = true;
	return verdict;
}

/* The offset that a join would have read from; false if no read would help it. lowest: lowest_served(). */
static bool wants_from(const struct channel_log *log, const struct channel_log_join *join, uint64_t lowest,
	uint64_t *offsetp)
{
	if (join->since.kind == SINCE_START) {
		*offsetp = lowest;
		return true;
	}
	if (join->since.kind != SINCE_POSITION)
		return false;
	*offsetp = join->since.position.offset;
	return !log->positioned || (*offsetp < ring_oldest_known(&log->ring) &&
					   epoch_equal(&join->since.position.epoch, &log->at.epoch));
}

bool joins_lowest(const struct channel_log *log, uint64_t *offsetp)
{
	bool found = false;
	uint64_t lowest = lowest_served(log), from;

	for (const struct list *link = log->joins.next; link != &log->joins; link = link->next) {
		const struct channel_log_join *join = list_entry(link, struct channel_log_join, link);

		if (!wants_from(log, join, lowest, &from) || !wanted(log, join))
			continue;
		if (!found || from < *offsetp)
			*offsetp = from;
		found = true;
	}
	return found;
}

/* A page below the ring, its oldest known entry included: a long way down takes several. */
static void ask(struct channel_log *log)
{
	uint64_t oldest = ring_oldest_known(&log->ring), page = channel_log_page(log), from;

	if (log->read.id || !joins_lowest(log, &from))
		return;
	if (oldest >= page && from < oldest + 1 - page)
		from = oldest + 1 - page;
	log->widened = true;
	log->widened_until_ms = 0;
	channel_log_send(log, READ_JOINS, from, from < oldest ? oldest - from + 1 : 1);
}

static void prove(struct channel_log *log)
{
	if (log->doubted)
		return;
	log->doubted = true;
	catch_up_start(log, CHANNEL_LOG_CAUSE_JOIN);
}

static void follow_up(struct channel_log *log, bool wants_read, bool wants_proof)
{
	if (wants_proof)
		prove(log);
	if (wants_read && log->state == CHANNEL_LOG_LIVE)
		ask(log);
}

void joins_serve(struct channel_log *log)
{
	bool wants[WANTS_PROOF + 1] = {false};
	struct list waiting = {&waiting, &waiting};

	while (!list_empty(&log->joins)) {
		struct channel_log_join *join = list_entry(log->joins.next, struct channel_log_join, link);
		enum verdict verdict;

		list_remove(&join->link); /* the answer may free it */
		verdict = serve(log, join);
		if (FAULT_OFF(log->options, single_flight) && verdict == ANSWERED)
			channel_log_forget(log);
		wants[verdict] = true;
		if (verdict != ANSWERED)
			list_push_back(&waiting, &join->link);
	}
	while (!list_empty(&waiting)) {
		struct list *link = waiting.next;

		list_remove(link);
		list_push_back(&log->joins, link);
	}
	follow_up(log, wants[WANTS_READ], wants[WANTS_PROOF]);
}

/* The read has our oldest entry, or the log has nothing that old any more: its entries lead
 * up to the ring. */
static bool leads_to_us(const struct channel_log *log, const struct channel_log_read *read)
{
	uint64_t oldest = ring_oldest_known(&log->ring);

	return !read->n_entries || read->entries[read->n_entries - 1].offset >= oldest;
}

/* But at our oldest place it has another entry. */
static bool is_fork(const struct channel_log *log, const struct channel_log_read *read)
{
	uint64_t oldest = ring_oldest_known(&log->ring);

	for (uint32_t i = 0; i < read->n_entries; i++)
		if (read->entries[i].offset == oldest)
			return !ring_knows(&log->ring, oldest, read->entries[i].tag);
	return false;
}

/*
 * The read was cut before it reached our ring: a client at this offset or before it would be sent too many
 * bytes. At least the lowest join is served by now, so the next read is shorter.
 */
static uint64_t too_far(const struct channel_log *log, const struct channel_log_read *read)
{
	size_t bytes = 0;

	for (uint32_t i = read->n_entries; i-- > 0;) {
		bytes += read->entries[i].bytes;
		if (bytes > log->options->recover_bytes && read->entries[i].offset > log->read.from)
			return read->entries[i].offset - 1;
	}
	return log->read.from;
}

/* A join that waited for this read must not wait for another one: it is served with its
 * entries, or refused. */
static void mark_unserved(struct channel_log *log, uint64_t from, uint64_t to)
{
	uint64_t lowest = lowest_served(log), wanted;

	if (FAULT_OFF(log->options, single_flight))
		return; /* the next read is for the next of them */
	for (struct list *link = log->joins.next; link != &log->joins; link = link->next) {
		struct channel_log_join *join = list_entry(link, struct channel_log_join, link);

		/* A join that came after the read was sent needs another read, because this one may
		 * be out of date. */
		join->unserved = join->asked < log->n_reads && wants_from(log, join, lowest, &wanted) &&
				 wanted >= from && wanted <= to;
	}
}

void joins_answered(struct channel_log *log, struct channel_log_read *read)
{
	if (log->read.kind != READ_JOINS) {
		joins_serve(log); /* some may have waited for this read to be out of the way */
		return;
	}
	if (is_fork(log, read)) {
		catch_up_start(log, CHANNEL_LOG_CAUSE_FORK);
		return;
	}
	if (leads_to_us(log, read)) {
		bool fits = channel_log_widen(log, read);

		/* If an entry does not fit, a replay from it or from an older one would be too large. */
		mark_unserved(log, fits ? log->read.from : 0, UINT64_MAX);
	} else {
		mark_unserved(log, 0, too_far(log, read));
	}
	joins_serve(log);
}

void channel_log_join(struct channel_log *log, struct channel_log_join *join)
{
	enum verdict verdict;
	uint64_t from;

	join->asked = log->n_reads;
	join->unserved = false;
	join->from_log = false;
	list_init(&join->link);
	if (log->state != CHANNEL_LOG_LIVE) {
		join->from_log = wants_from(log, join, 0, &from);
		list_push_back(&log->joins, &join->link);
		return;
	}
	verdict = serve(log, join);
	if (FAULT_OFF(log->options, single_flight) && verdict == ANSWERED)
		channel_log_forget(log);
	if (verdict == ANSWERED)
		return;
	list_push_back(&log->joins, &join->link);
	follow_up(log, verdict == WANTS_READ, verdict == WANTS_PROOF);
}

void channel_log_cancel(struct channel_log_join *join)
{
	list_remove(&join->link);
}

const struct channel_log_entry *channel_log_answer_entry(const struct channel_log_answer *answer, uint32_t i)
{
	const struct ring *ring = answer->ring;

	return ring_at(ring, ring->floor_offset + ring->n - answer->n_entries + i + 1);
}
