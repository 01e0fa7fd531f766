/*
 * Channel log: what channel_log/channel_log.h promises, a sentence each. Orders of events that nobody would
 * think of are the simulator's (tests/sim); what it found stands at the end of this file, by name.
 *
 * What the log says is written down, a word each, and compared:
 *
 *     5            entry 5 delivered                       r7:5+9      read 7 asked for, from 5, nine entries
 *     p            a plain event delivered                 live, gap…  a state, or the cause of a catch-up
 *     fork@5-2     resync, continuous, two retracted       epoch@9     resync, not continuous
 *     a=ok@5[6,7]  a answered, with entries 6 and 7        a=fork@9[]  a refused
 *
 * Tags: an entry n of branch b has the tag n * 10 + b. Branch 0 is the one that is there first.
 */

#include "channel_log/channel_log.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/buf.h"

enum {
	ENTRIES_MAX = 2000,
	JOINERS = 4,
};

struct joiner {
	struct channel_log_join join;
	char letter;
	bool left;
};

struct world {
	struct channel_log *log;
	struct channel_log_options options;
	struct buf said;
	uint64_t read; /* the newest */
	uint64_t now_ms;
	bool cannot_read;
	long n_bodies;
	size_t body_bytes;
	struct joiner joiners[JOINERS];
};

static void on_deliver(void *arg, const struct channel_log_entry *entry)
{
	struct world *world = arg;

	if (entry->offset)
		buf_printf(&world->said, "%llu ", (unsigned long long)entry->offset);
	else
		buf_printf(&world->said, "p ");
}

static void on_resync(void *arg, const struct channel_log_resync *resync)
{
	struct world *world = arg;

	buf_printf(&world->said, "%s@%llu", channel_log_reason_name(resync->reason),
		(unsigned long long)resync->position.offset);
	if (resync->continuous)
		buf_printf(&world->said, "-%llu", (unsigned long long)resync->retracted);
	buf_printf(&world->said, " ");
}

static int on_read(void *arg, uint64_t id, uint64_t from, uint32_t count)
{
	struct world *world = arg;

	if (world->cannot_read)
		return -ENOTCONN;
	world->read = id;
	buf_printf(&world->said, "r%llu:%llu+%u ", (unsigned long long)id, (unsigned long long)from, count);
	return 0;
}

static void on_answered(void *arg, struct channel_log_join *join, const struct channel_log_answer *answer)
{
	struct world *world = arg;
	const struct joiner *joiner = (const struct joiner *)join;

	buf_printf(&world->said, "%c=%s@%llu[", joiner->letter,
		answer->reason ? channel_log_reason_name(answer->reason) : "ok",
		(unsigned long long)answer->position.offset);
	for (uint32_t i = 0; i < answer->n_entries; i++)
		buf_printf(&world->said, "%s%llu", i ? "," : "",
			(unsigned long long)channel_log_answer_entry(answer, i)->offset);
	buf_printf(&world->said, "] ");
	assert_false(list_linked(&join->link));
}

static void on_state(void *arg, enum channel_log_state state, enum channel_log_cause cause)
{
	struct world *world = arg;

	buf_printf(
		&world->said, "%s ", cause ? channel_log_cause_name(cause) : channel_log_state_name(state));
}

static void on_release(void *arg, void *body)
{
	struct world *world = arg;

	assert_non_null(body);
	world->n_bodies--;
	free(body);
}

static bool wanted(void *arg, const struct channel_log_join *join)
{
	(void)arg;
	return !((const struct joiner *)join)->left;
}

static const struct channel_log_listener listener = {
	on_deliver, on_resync, on_read, on_answered, on_state, on_release, wanted};

static void *body(struct world *world)
{
	world->n_bodies++;
	return malloc(1); /* so that the sanitizer sees one that is lost, or given back twice */
}

static int setup(void **state)
{
	struct world *world = calloc(1, sizeof(*world));

	assert_non_null(world);
	world->options = channel_log_defaults;
	world->body_bytes = 100;
	world->log = channel_log_new(&world->options, &listener, world);
	assert_non_null(world->log);
	for (int i = 0; i < JOINERS; i++)
		world->joiners[i].letter = (char)('a' + i);
	*state = world;
	return 0;
}

static int teardown(void **state)
{
	struct world *world = *state;

	for (int i = 0; i < JOINERS; i++)
		channel_log_cancel(&world->joiners[i].join);
	channel_log_free(world->log);
	assert_int_equal(world->n_bodies, 0);
	buf_deinit(&world->said);
	free(world);
	return 0;
}

static void says(struct world *world, const char *expected)
{
	assert_string_equal(world->said.len ? buf_text(&world->said) : "", expected);
	buf_reset(&world->said);
}

static struct position at(char epoch, uint64_t offset, unsigned int branch)
{
	return (struct position){{{epoch}}, offset, offset ? offset * 10 + branch : 0};
}

static void event_of(struct world *world, char epoch, uint64_t offset, unsigned int branch, unsigned int prev)
{
	struct envelope envelope = {
		{{epoch}}, offset, offset * 10 + branch, offset > 1 ? offset * 10 - 10 + prev : 0, {NULL, 0}};

	channel_log_event(world->log, &envelope, body(world), world->body_bytes);
}

static void event(struct world *world, uint64_t offset)
{
	event_of(world, 'A', offset, 0, 0);
}

/* Answers the newest read: entries [from, to] of branch 0, then up to the top of `branch`. */
static void answer_of(struct world *world, struct position top, uint64_t from, uint64_t to, uint64_t fork,
	unsigned int branch)
{
	struct channel_log_entry *entries = calloc(ENTRIES_MAX, sizeof(*entries));
	struct channel_log_read read = {top, entries, 0};

	assert_non_null(entries);
	for (uint64_t i = from; i <= to && i; i++)
		entries[read.n_entries++] = (struct channel_log_entry){
			i, i * 10 + (i > fork ? branch : 0), body(world), world->body_bytes};
	channel_log_answered(world->log, world->read, &read);
	free(entries);
}

/* Entries from `from` on, up to the top; from 0: none. */
static void answer(struct world *world, uint64_t from, uint64_t top)
{
	answer_of(world, at('A', top, 0), from, from ? top : 0, UINT64_MAX, 0);
}

static void join(struct world *world, char who, struct since since)
{
	struct channel_log_join *join = &world->joiners[who - 'a'].join;

	join->since = since;
	channel_log_join(world->log, join);
}

static void join_behind(struct world *world, char who, struct position position)
{
	join(world, who, (struct since){.kind = SINCE_POSITION, .position = position});
}

static void tick(struct world *world, uint64_t ms)
{
	world->now_ms += ms;
	channel_log_tick(world->log, world->now_ms);
}

/* LIVE at this offset, with what was said about it forgotten. */
static void go_live(struct world *world, uint64_t offset)
{
	channel_log_subscribe(world->log);
	channel_log_subscribed(world->log);
	answer(world, 0, offset);
	assert_int_equal(channel_log_state(world->log), CHANNEL_LOG_LIVE);
	buf_reset(&world->said);
}

/* --- beginning --- */

static void reads_only_after_the_acknowledgement(void **state)
{
	struct world *world = *state;

	assert_null(channel_log_position(world->log));
	channel_log_subscribe(world->log);
	event(world, 1);
	says(world, "subscribing ");
	channel_log_subscribed(world->log);
	says(world, "link r1:0+0 ");
	answer(world, 0, 7);
	says(world, "live ");
	assert_true(channel_log_position(world->log)->offset == 7);
	assert_false(channel_log_needs_tick(world->log));
}

static void delivers_what_follows_and_nothing_twice(void **state)
{
	struct world *world = *state;

	go_live(world, 0);
	event(world, 1);
	event(world, 2);
	event(world, 1);
	event(world, 2);
	event(world, 3);
	says(world, "1 2 3 ");
}

static void counts_an_entry_without_a_body_but_delivers_none(void **state)
{
	struct world *world = *state;
	struct envelope envelope = {{{'A'}}, 1, 10, 0, {NULL, 0}};

	go_live(world, 0);
	channel_log_event(world->log, &envelope, NULL, 0);
	event(world, 2);
	says(world, "2 ");
}

/* --- catching up --- */

static void reads_from_its_position_when_something_is_missing(void **state)
{
	struct world *world = *state;

	go_live(world, 5);
	event(world, 6);
	event(world, 9);
	says(world, "6 gap r2:6+1001 ");
	answer(world, 6, 9);
	says(world, "7 8 9 live ");
}

static void doubts_an_event_with_another_predecessor(void **state)
{
	struct world *world = *state;

	go_live(world, 5);
	event_of(world, 'A', 6, 1, 1);
	says(world, "fork r2:5+1001 ");
}

static void doubts_an_old_event_that_it_does_not_know(void **state)
{
	struct world *world = *state;

	go_live(world, 5);
	event(world, 4);
	says(world, "old r2:5+1001 ");
	answer(world, 5, 5);
	says(world, "live ");
}

static void keeps_what_comes_during_a_read_and_discards_what_the_read_had(void **state)
{
	struct world *world = *state;

	go_live(world, 5);
	event(world, 7);
	says(world, "gap r2:5+1001 ");
	event(world, 8);
	event_of(world, 'A', 8, 3, 3); /* of a branch that is dead: not looked at again */
	event(world, 9);
	event(world, 10);
	answer(world, 5, 8);
	says(world, "6 7 8 live 9 10 ");
}

static void discards_what_an_older_epoch_left_in_the_buffer(void **state)
{
	struct world *world = *state;

	go_live(world, 5);
	event_of(world, 'B', 1, 0, 0);
	event(world, 6);
	event_of(world, 'B', 2, 0, 0);
	says(world, "epoch r2:5+1001 ");
	answer_of(world, at('B', 1, 0), 0, 0, 0, 0);
	says(world, "epoch@1 live 2 ");
}

static void reads_once_more_when_more_came_than_it_keeps(void **state)
{
	struct world *world = *state;

	world->options.live_entries = 2;
	go_live(world, 5);
	event(world, 7);
	for (uint64_t i = 8; i < 20; i++)
		event(world, i);
	says(world, "gap r2:5+1001 ");
	answer(world, 5, 8);
	says(world, "6 7 8 overflow r3:8+1001 ");
	answer(world, 8, 19);
	says(world, "9 10 11 12 13 14 15 16 17 18 19 live ");
}

static void bounds_what_it_keeps_in_bytes(void **state)
{
	struct world *world = *state;

	world->options.live_bytes = 250;
	go_live(world, 5);
	event(world, 7);
	for (uint64_t i = 8; i < 11; i++)
		event(world, i);
	answer(world, 5, 7);
	says(world, "gap r2:5+1001 6 7 overflow r3:7+1001 ");
}

static void goes_on_page_by_page(void **state)
{
	struct world *world = *state;

	world->options.recover_entries = 3;
	go_live(world, 5);
	event(world, 11);
	says(world, "gap r2:5+4 ");
	answer_of(world, at('A', 11, 0), 5, 8, UINT64_MAX, 0);
	says(world, "6 7 8 r3:8+4 ");
	answer_of(world, at('A', 11, 0), 8, 11, UINT64_MAX, 0);
	says(world, "9 10 11 live ");
}

static void asks_for_fewer_where_they_are_large(void **state)
{
	struct world *world = *state;

	world->body_bytes = 10 << 10;
	go_live(world, 0);
	event(world, 1);
	event(world, 3);
	says(world, "1 gap r2:1+103 ");
}

static void tries_again_at_a_tick_what_could_not_be_sent(void **state)
{
	struct world *world = *state;

	go_live(world, 5);
	world->cannot_read = true;
	event(world, 7);
	event(world, 8); /* not kept: the read that is still to come will have it */
	says(world, "gap ");
	assert_true(channel_log_needs_tick(world->log));
	tick(world, 500);
	says(world, "");
	world->cannot_read = false;
	tick(world, 500);
	says(world, "r4:5+1001 ");
	channel_log_failed(world->log, world->read);
	tick(world, 500);
	says(world, "r5:5+1001 ");
	answer(world, 5, 8);
	says(world, "6 7 8 live ");
}

static void believes_nothing_that_no_log_can_say(void **state)
{
	struct world *world = *state;

	go_live(world, 5);
	event(world, 7);
	says(world, "gap r2:5+1001 ");
	answer(world, 4, 7); /* before what was asked for */
	says(world, "");
	tick(world, 500);
	says(world, "r3:5+1001 ");
	answer_of(world, at('A', 6, 0), 5, 7, UINT64_MAX, 0); /* past its own top */
	tick(world, 500);
	answer_of(world, at('A', 7, 4), 5, 7, UINT64_MAX, 0); /* two entries at its top */
	tick(world, 500);
	answer_of(world, (struct position){{{'A'}}, 7, 0}, 5, 6, UINT64_MAX, 0);
	says(world, "r4:5+1001 r5:5+1001 ");
	tick(world, 500);
	answer(world, 5, 7);
	says(world, "r6:5+1001 6 7 live ");
}

static void costs_a_few_reads_between_ticks_whatever_comes(void **state)
{
	struct world *world = *state;

	go_live(world, 5);
	for (int i = 0; i < 10; i++) {
		event_of(world, 'A', 9, 7, 7);
		if (channel_log_state(world->log) == CHANNEL_LOG_CATCHUP && world->said.len)
			answer(world, 5, 5);
		if (i == 2)
			says(world, "gap r2:5+1001 live gap r3:5+1001 live gap r4:5+1001 live ");
		else if (i == 3)
			says(world, "gap ");
	}
	says(world, "");
	tick(world, 500);
	says(world, "r5:5+1001 ");
}

/* --- the link --- */

static void stays_where_it_was_when_the_link_is_lost(void **state)
{
	struct world *world = *state;

	go_live(world, 5);
	event(world, 7);
	channel_log_lost(world->log);
	says(world, "gap r2:5+1001 stale ");
	answer(world, 5, 7); /* void */
	event(world, 8);
	says(world, "");
	channel_log_subscribe(world->log);
	channel_log_subscribed(world->log);
	says(world, "subscribing link r3:5+1001 ");
	answer(world, 5, 8);
	says(world, "6 7 8 live ");
}

static void reads_again_when_it_is_acknowledged_again(void **state)
{
	struct world *world = *state;

	channel_log_subscribe(world->log);
	channel_log_subscribed(world->log);
	channel_log_subscribed(world->log);
	says(world, "subscribing link r1:0+0 link r2:0+0 ");
	world->read = 1;
	answer(world, 0, 3);
	says(world, "");
	world->read = 2;
	answer(world, 0, 4);
	says(world, "live ");
	channel_log_subscribed(world->log);
	says(world, "link r3:4+1001 ");
}

/* --- what cannot be repaired --- */

static void goes_back_to_the_newest_entry_in_common(void **state)
{
	struct world *world = *state;

	go_live(world, 5);
	for (uint64_t i = 6; i <= 9; i++)
		event(world, i);
	event_of(world, 'A', 9, 1, 1);
	says(world, "6 7 8 9 old r2:9+1001 ");
	answer_of(world, at('A', 9, 1), 9, 9, 7, 1);
	says(world, "r3:5+1005 ");
	answer_of(world, at('A', 9, 1), 5, 9, 7, 1);
	says(world, "fork@7-2 8 9 live ");
	event_of(world, 'A', 10, 1, 1);
	says(world, "10 ");
}

/* Its entries had to make room for others: their tags did not. */
static void goes_back_past_what_it_had_to_forget(void **state)
{
	struct world *world = *state;

	go_live(world, 5);
	for (uint64_t i = 6; i <= 8; i++)
		event(world, i);
	assert_true(channel_log_shrink(world->log));
	event(world, 9);
	assert_true(channel_log_shrink(world->log));
	assert_int_equal(channel_log_n_entries(world->log), 0);
	event(world, 10);
	says(world, "6 7 8 9 10 ");
	channel_log_subscribed(world->log);
	answer_of(world, at('A', 10, 1), 10, 10, 7, 1);
	says(world, "link r2:10+1001 r3:5+1006 ");
	answer_of(world, at('A', 10, 1), 5, 10, 7, 1);
	says(world, "fork@7-3 8 9 10 live ");
	event_of(world, 'A', 11, 1, 1);
	says(world, "11 ");
}

static void goes_back_at_once_to_a_top_that_it_knows(void **state)
{
	struct world *world = *state;

	go_live(world, 5);
	event(world, 6);
	event(world, 7);
	channel_log_subscribed(world->log);
	answer(world, 0, 6);
	says(world, "6 7 link r2:7+1001 fork@6-1 live ");
}

static void goes_to_the_top_when_nothing_is_in_common(void **state)
{
	struct world *world = *state;

	go_live(world, 5);
	event(world, 6);
	channel_log_subscribed(world->log);
	answer_of(world, at('A', 8, 1), 6, 8, 3, 1);
	answer_of(world, at('A', 8, 1), 5, 8, 3, 1);
	says(world, "6 link r2:6+1001 r3:5+1002 fork@8 live ");
}

static void goes_to_the_top_of_another_epoch(void **state)
{
	struct world *world = *state;

	go_live(world, 5);
	event_of(world, 'B', 1, 0, 0);
	answer_of(world, at('B', 1, 0), 0, 0, 0, 0);
	says(world, "epoch r2:5+1001 epoch@1 live ");
	event_of(world, 'B', 2, 0, 0);
	says(world, "2 ");
}

static void goes_to_the_top_of_a_log_that_forgot_where_it_was(void **state)
{
	struct world *world = *state;

	go_live(world, 5);
	channel_log_subscribed(world->log);
	answer(world, 8, 12);
	says(world, "link r2:5+1001 trimmed@12 live ");
	channel_log_subscribed(world->log);
	answer(world, 0, 13); /* the stream was deleted, the counter was not */
	says(world, "link r3:12+1001 trimmed@13 live ");
}

static void lets_nobody_skip_a_hole(void **state)
{
	struct world *world = *state;
	struct channel_log_entry entries[] = {
		{5, 50, NULL, 0}, {6, 60, NULL, 0}, {8, 80, NULL, 0}, {9, 90, NULL, 0}};
	struct channel_log_read read = {at('A', 9, 0), entries, 4};

	go_live(world, 5);
	channel_log_subscribed(world->log);
	entries[1].body = body(world);
	channel_log_answered(world->log, world->read, &read);
	says(world, "link r2:5+1001 6 r3:6+1001 ");
	read.entries = &entries[1];
	read.n_entries = 3;
	entries[1].body = NULL;
	channel_log_answered(world->log, world->read, &read);
	says(world, "trimmed@9 live ");
}

/* --- the tail --- */

static void waits_for_a_push_that_the_tail_check_overtook(void **state)
{
	struct world *world = *state;

	go_live(world, 5);
	channel_log_check(world->log);
	answer(world, 0, 6);
	says(world, "r2:0+0 ");
	tick(world, 500);
	event(world, 6);
	tick(world, 500);
	says(world, "6 ");
	assert_false(channel_log_needs_tick(world->log));
}

static void fetches_the_last_entry_when_its_push_was_lost(void **state)
{
	struct world *world = *state;

	go_live(world, 5);
	channel_log_check(world->log);
	answer(world, 0, 6);
	tick(world, 500);
	says(world, "r2:0+0 ");
	tick(world, 500);
	says(world, "tail r3:5+1001 ");
	answer(world, 5, 6);
	says(world, "6 live ");
}

static void is_not_alarmed_by_a_tail_that_is_old(void **state)
{
	struct world *world = *state;

	go_live(world, 5);
	channel_log_check(world->log);
	event(world, 6);
	answer(world, 0, 5);
	says(world, "r2:0+0 6 ");
	assert_false(channel_log_needs_tick(world->log));
}

static void notices_another_entry_at_the_top(void **state)
{
	struct world *world = *state;

	go_live(world, 5);
	channel_log_check(world->log);
	answer_of(world, at('A', 5, 1), 0, 0, 0, 0);
	says(world, "r2:0+0 tail r3:5+1001 ");
	answer(world, 5, 5);
	channel_log_check(world->log);
	answer_of(world, at('B', 5, 0), 0, 0, 0, 0);
	says(world, "live r4:0+0 tail r5:5+1001 ");
}

/* --- joining --- */

static void answers_out_of_the_ring_without_a_read(void **state)
{
	struct world *world = *state;

	go_live(world, 5);
	for (uint64_t i = 6; i <= 9; i++)
		event(world, i);
	buf_reset(&world->said);
	join_behind(world, 'a', at('A', 5, 0));
	join_behind(world, 'b', at('A', 8, 0));
	join_behind(world, 'c', at('A', 9, 0));
	join(world, 'd', (struct since){.kind = SINCE_NOW});
	says(world, "a=ok@5[6,7,8,9] b=ok@8[9] c=ok@9[] d=ok@9[] ");
	join(world, 'a', (struct since){.kind = SINCE_MALFORMED});
	says(world, "a=format@9[] ");
}

static void holds_joins_until_it_is_live(void **state)
{
	struct world *world = *state;

	join(world, 'a', (struct since){.kind = SINCE_NOW});
	join_behind(world, 'b', at('A', 4, 0));
	join_behind(world, 'c', at('A', 3, 0));
	channel_log_cancel(&world->joiners[2].join);
	channel_log_subscribe(world->log);
	channel_log_subscribed(world->log);
	says(world, "subscribing link r1:4+1001 "); /* one read for the position and for those who wait */
	event(world, 7);
	answer(world, 4, 6);
	says(world, "live 7 a=ok@7[] b=ok@4[5,6,7] ");
}

static void reads_once_for_all_who_want_what_is_older(void **state)
{
	struct world *world = *state;

	go_live(world, 50);
	join_behind(world, 'a', at('A', 45, 0));
	says(world, "r2:45+6 ");
	join_behind(world, 'b', at('A', 47, 0));
	event(world, 51);
	answer(world, 45, 50);
	says(world, "51 a=ok@45[46,47,48,49,50,51] b=ok@47[48,49,50,51] ");
	join_behind(world, 'c', at('A', 46, 0)); /* the ring keeps it for a while */
	says(world, "c=ok@46[47,48,49,50,51] ");
}

static void reads_again_from_a_lower_offset_for_who_came_later(void **state)
{
	struct world *world = *state;

	go_live(world, 50);
	join_behind(world, 'a', at('A', 48, 0));
	join_behind(world, 'b', at('A', 46, 0));
	answer(world, 48, 50);
	says(world, "r2:48+3 a=ok@48[49,50] r3:46+3 ");
	answer_of(world, at('A', 50, 0), 46, 48, UINT64_MAX, 0);
	says(world, "b=ok@46[47,48,49,50] ");
}

static void reads_nothing_for_who_has_left(void **state)
{
	struct world *world = *state;

	go_live(world, 50);
	join_behind(world, 'a', at('A', 48, 0));
	join_behind(world, 'b', at('A', 46, 0));
	join_behind(world, 'c', at('A', 47, 0));
	world->joiners[1].left = true;
	answer(world, 48, 50);
	says(world, "r2:48+3 a=ok@48[49,50] b=ok@50[] r3:47+2 ");
	world->joiners[2].left = true;
	answer_of(world, at('A', 50, 0), 47, 48, UINT64_MAX, 0);
	says(world, "c=ok@50[] ");
}

static void narrows_the_ring_after_a_while(void **state)
{
	struct world *world = *state;

	world->options.ring_entries = 2;
	go_live(world, 50);
	join_behind(world, 'a', at('A', 40, 0));
	answer(world, 40, 50);
	assert_int_equal(channel_log_n_entries(world->log), 11);
	for (int i = 0; i < 60; i++)
		tick(world, 500);
	assert_int_equal(channel_log_n_entries(world->log), 11);
	tick(world, 500);
	assert_int_equal(channel_log_n_entries(world->log), 2);
	assert_int_equal(channel_log_bytes(world->log), 200);
	assert_false(channel_log_needs_tick(world->log));
}

static void says_trimmed_to_who_is_older_than_the_log(void **state)
{
	struct world *world = *state;

	go_live(world, 50);
	join_behind(world, 'a', at('A', 40, 0));
	join_behind(world, 'b', at('A', 44, 0));
	join_behind(world, 'c', at('A', 45, 0));
	answer(world, 45, 50);
	says(world, "r2:40+11 a=trimmed@50[] b=trimmed@50[] c=ok@45[46,47,48,49,50] ");
}

static void says_limit_without_a_read_to_who_is_too_far_behind(void **state)
{
	struct world *world = *state;

	go_live(world, 5000);
	join_behind(world, 'a', at('A', 3999, 0));
	says(world, "a=limit@5000[] ");
	join_behind(world, 'a', at('A', 4000, 0));
	says(world, "r2:4000+1001 ");
}

static void says_limit_to_who_would_be_sent_too_many_bytes(void **state)
{
	struct world *world = *state;

	world->options.recover_bytes = 300;
	go_live(world, 5);
	for (uint64_t i = 6; i <= 9; i++)
		event(world, i);
	buf_reset(&world->said);
	join_behind(world, 'a', at('A', 5, 0));
	join_behind(world, 'b', at('A', 6, 0));
	says(world, "a=limit@9[] b=ok@6[7,8,9] ");
}

static void refuses_for_a_contradiction_only_after_a_read(void **state)
{
	struct world *world = *state;

	go_live(world, 5);
	join_behind(world, 'a', at('B', 3, 0));
	says(world, "join r2:5+1001 ");
	join_behind(world, 'b', at('A', 5, 1)); /* asked after the read was sent: it proves nothing to b */
	answer(world, 5, 5);
	says(world, "live a=epoch@5[] ");
	tick(world, 500);
	says(world, "join r3:5+1001 ");
	answer(world, 5, 5);
	says(world, "live b=fork@5[] ");
}

static void catches_up_with_a_client_that_is_ahead(void **state)
{
	struct world *world = *state;

	go_live(world, 5);
	join_behind(world, 'a', at('A', 7, 0));
	answer(world, 5, 8);
	says(world, "join r2:5+1001 6 7 8 live a=ok@7[8] ");
}

static void is_read_once_a_tick_for_clients_that_contradict(void **state)
{
	struct world *world = *state;

	go_live(world, 5);
	join_behind(world, 'a', at('Z', 1, 0));
	answer(world, 5, 5);
	buf_reset(&world->said);
	join_behind(world, 'a', at('Z', 1, 0));
	event(world, 6); /* and delivers meanwhile */
	says(world, "6 ");
	tick(world, 500);
	answer(world, 6, 6);
	says(world, "join r3:6+1001 live a=epoch@6[] ");
}

static void serves_all_that_is_kept_from_the_start(void **state)
{
	struct world *world = *state;

	go_live(world, 3);
	join(world, 'a', (struct since){.kind = SINCE_START});
	answer(world, 1, 3);
	says(world, "r2:0+4 a=ok@0[1,2,3] ");
	join_behind(world, 'b', at('A', 0, 0));
	says(world, "b=ok@0[1,2,3] ");
}

/* As it comes in the URL of an endpoint that joins several channels. */
static void takes_of_several_positions_the_one_of_its_log(void **state)
{
	struct world *world = *state;
	const struct position others[] = {at('C', 4, 0), at('A', 4, 0), at('A', 2, 0)};

	go_live(world, 3);
	event(world, 4);
	event(world, 5);
	says(world, "4 5 ");
	join(world, 'a', (struct since){SINCE_POSITION, at('B', 9, 0), others, 3});
	says(world, "a=ok@4[5] ");
	join(world, 'b', (struct since){SINCE_POSITION, at('B', 9, 0), others, 1});
	says(world, "join r2:5+1001 ");
	answer(world, 5, 5);
	says(world, "live b=epoch@5[] ");
}

static void serves_from_the_start_of_a_trimmed_log(void **state)
{
	struct world *world = *state;

	join(world, 'a', (struct since){.kind = SINCE_START});
	channel_log_subscribed(world->log);
	answer(world, 48, 50);
	says(world, "link r1:0+1001 live a=ok@0[48,49,50] ");
	join_behind(world, 'b', at('A', 0, 0));
	says(world, "b=trimmed@50[] ");
}

static void doubts_itself_when_what_is_older_is_of_another_branch(void **state)
{
	struct world *world = *state;

	go_live(world, 50);
	join_behind(world, 'a', at('A', 48, 0));
	answer_of(world, at('A', 51, 1), 48, 51, 49, 1);
	says(world, "r2:48+3 fork r3:50+1001 ");
	answer_of(world, at('A', 51, 1), 50, 51, 49, 1);
	says(world, "fork@51 live r4:48+3 "); /* what the last one brought is kept */
	answer_of(world, at('A', 51, 1), 48, 50, 49, 1);
	says(world, "a=ok@48[49,50,51] ");
}

/* --- plain events --- */

static void keeps_plain_events_in_their_place(void **state)
{
	struct world *world = *state;

	channel_log_plain(world->log, body(world), 1);
	says(world, "p "); /* nothing that it could be behind of */
	go_live(world, 5);
	channel_log_plain(world->log, body(world), 1);
	event(world, 6);
	event(world, 8);
	event(world, 9);
	channel_log_plain(world->log, body(world), 1);
	event(world, 10);
	says(world, "p 6 gap r2:6+1001 ");
	answer(world, 6, 8);
	says(world, "7 8 live 9 p 10 ");
	channel_log_subscribed(world->log);
	channel_log_plain(world->log, body(world), 1);
	channel_log_lost(world->log);
	says(world, "link r3:10+1001 p stale "); /* nothing would bring it back */
}

/* --- what the simulator found, shrunk --- */

/* After a failover to an empty replica a push of the dead branch came behind the read that denied it, with a
 * predecessor that both branches have. Only who knows where it stood when the tail was read can tell. */
static void notices_that_it_follows_a_dead_branch(void **state)
{
	struct world *world = *state;

	go_live(world, 0);
	event(world, 1);
	channel_log_check(world->log);
	answer(world, 0, 0);
	says(world, "1 r2:0+0 tail r3:1+1001 ");
	answer(world, 0, 0);
	says(world, "fork@0-1 live ");
}

/* The read that was to say where the log starts was answered by the ring itself. */
static void answers_start_when_the_ring_reaches_further_than_a_replay(void **state)
{
	struct world *world = *state;

	world->options.recover_entries = 3;
	go_live(world, 5);
	for (uint64_t i = 6; i <= 10; i++)
		event(world, i);
	buf_reset(&world->said);
	join(world, 'a', (struct since){.kind = SINCE_START});
	says(world, "r2:7+1 "); /* is it too much? */
	answer(world, 7, 10);
	says(world, "a=limit@10[] ");
	join(world, 'a', (struct since){.kind = SINCE_START});
	answer(world, 8, 10);
	says(world, "r3:7+1 a=ok@0[8,9,10] ");
}

/* What was known of the copy that is gone was told of the one that came back. */
static void answers_start_from_the_copy_that_is_there(void **state)
{
	struct world *world = *state;

	go_live(world, 50);
	join(world, 'a', (struct since){.kind = SINCE_START});
	answer(world, 49, 50);
	says(world, "r2:0+51 a=ok@0[49,50] ");
	channel_log_subscribed(world->log);
	answer(world, 0, 49);
	says(world, "link r3:50+1001 fork@49-1 live ");
	join(world, 'a', (struct since){.kind = SINCE_START});
	join_behind(world, 'b', at('A', 47, 0));
	answer(world, 47, 49);
	says(world, "r4:0+50 a=ok@0[47,48,49] b=ok@47[48,49] ");
}

/* The ring still had what the log had trimmed, and that was too much. */
static void answers_start_with_what_is_kept_however_much_it_remembers(void **state)
{
	struct world *world = *state;

	world->options.recover_bytes = 500;
	go_live(world, 0);
	for (uint64_t i = 1; i <= 10; i++)
		event(world, i);
	buf_reset(&world->said);
	join(world, 'a', (struct since){.kind = SINCE_START});
	answer(world, 7, 10);
	says(world, "r2:5+1 a=ok@0[7,8,9,10] ");
}

/* An entry that is larger than what the ring may still take has a tag all the same. */
static void knows_an_anchor_that_it_cannot_remember(void **state)
{
	struct world *world = *state;
	struct channel_log_entry entries[4];

	world->options.ring_bytes = 100;
	world->options.recover_bytes = 300;
	go_live(world, 10);
	join_behind(world, 'a', at('A', 7, 0));
	says(world, "r2:7+4 ");
	for (uint64_t i = 7; i <= 10; i++)
		entries[i - 7] = (struct channel_log_entry){i, i * 10, body(world), i == 7 ? 200 : 100};
	channel_log_answered(world->log, world->read, &(struct channel_log_read){at('A', 10, 0), entries, 4});
	says(world, "a=ok@7[8,9,10] ");
}

/* The time for which the ring stays wide ran out while the read that widens it was out. */
static void is_not_narrowed_under_its_own_read(void **state)
{
	struct world *world = *state;

	world->options.ring_entries = 2;
	go_live(world, 5);
	join_behind(world, 'a', at('A', 2, 0));
	for (int i = 0; i < 100; i++)
		tick(world, 500);
	answer(world, 2, 5);
	says(world, "r2:2+4 a=ok@2[3,4,5] ");
}

/* A tail check that came again and again reset the patience for an entry that never came. */
static void loses_patience_however_often_the_tail_is_checked(void **state)
{
	struct world *world = *state;

	go_live(world, 5);
	for (uint64_t top = 6; top < 8; top++) {
		channel_log_check(world->log);
		answer(world, 0, top);
		tick(world, 500);
	}
	says(world, "r2:0+0 r3:0+0 tail r4:5+1001 ");
}

/* The broker ends a read after so many bytes: the end of it is not the end of what is in common. */
static void reads_on_when_reading_back_was_cut_short(void **state)
{
	struct world *world = *state;

	go_live(world, 1);
	for (uint64_t i = 2; i <= 6; i++)
		event(world, i);
	channel_log_subscribed(world->log);
	answer_of(world, at('A', 6, 1), 6, 6, 4, 1);
	answer_of(world, at('A', 6, 1), 1, 3, 4, 1);
	says(world, "2 3 4 5 6 link r2:6+1001 r3:1+1006 r4:3+1004 ");
	answer_of(world, at('A', 6, 1), 3, 6, 4, 1);
	says(world, "fork@4-2 5 6 live ");
}

/* The same for those who wait: who is out of reach is told so, who is not is read for again. */
static void reads_again_when_the_read_for_joins_was_cut_short(void **state)
{
	struct world *world = *state;

	world->options.recover_bytes = 300;
	go_live(world, 20);
	join_behind(world, 'a', at('A', 10, 0));
	join_behind(world, 'b', at('A', 17, 0));
	answer_of(world, at('A', 20, 0), 10, 14, UINT64_MAX, 0);
	says(world, "r2:10+11 a=limit@20[] r3:17+4 ");
	answer(world, 17, 20);
	says(world, "b=ok@17[18,19,20] ");
}

static void frees_nothing(void **state)
{
	(void)state;
	channel_log_free(NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(reads_only_after_the_acknowledgement),
		TEST(delivers_what_follows_and_nothing_twice),
		TEST(counts_an_entry_without_a_body_but_delivers_none),
		TEST(reads_from_its_position_when_something_is_missing),
		TEST(doubts_an_event_with_another_predecessor),
		TEST(doubts_an_old_event_that_it_does_not_know),
		TEST(keeps_what_comes_during_a_read_and_discards_what_the_read_had),
		TEST(discards_what_an_older_epoch_left_in_the_buffer),
		TEST(reads_once_more_when_more_came_than_it_keeps),
		TEST(bounds_what_it_keeps_in_bytes),
		TEST(goes_on_page_by_page),
		TEST(asks_for_fewer_where_they_are_large),
		TEST(tries_again_at_a_tick_what_could_not_be_sent),
		TEST(believes_nothing_that_no_log_can_say),
		TEST(costs_a_few_reads_between_ticks_whatever_comes),
		TEST(stays_where_it_was_when_the_link_is_lost),
		TEST(reads_again_when_it_is_acknowledged_again),
		TEST(goes_back_to_the_newest_entry_in_common),
		TEST(goes_back_at_once_to_a_top_that_it_knows),
		TEST(goes_back_past_what_it_had_to_forget),
		TEST(goes_to_the_top_when_nothing_is_in_common),
		TEST(goes_to_the_top_of_another_epoch),
		TEST(goes_to_the_top_of_a_log_that_forgot_where_it_was),
		TEST(lets_nobody_skip_a_hole),
		TEST(waits_for_a_push_that_the_tail_check_overtook),
		TEST(fetches_the_last_entry_when_its_push_was_lost),
		TEST(is_not_alarmed_by_a_tail_that_is_old),
		TEST(notices_another_entry_at_the_top),
		TEST(answers_out_of_the_ring_without_a_read),
		TEST(holds_joins_until_it_is_live),
		TEST(reads_once_for_all_who_want_what_is_older),
		TEST(reads_again_from_a_lower_offset_for_who_came_later),
		TEST(reads_nothing_for_who_has_left),
		TEST(narrows_the_ring_after_a_while),
		TEST(says_trimmed_to_who_is_older_than_the_log),
		TEST(says_limit_without_a_read_to_who_is_too_far_behind),
		TEST(says_limit_to_who_would_be_sent_too_many_bytes),
		TEST(refuses_for_a_contradiction_only_after_a_read),
		TEST(catches_up_with_a_client_that_is_ahead),
		TEST(is_read_once_a_tick_for_clients_that_contradict),
		TEST(serves_all_that_is_kept_from_the_start),
		TEST(takes_of_several_positions_the_one_of_its_log),
		TEST(serves_from_the_start_of_a_trimmed_log),
		TEST(doubts_itself_when_what_is_older_is_of_another_branch),
		TEST(keeps_plain_events_in_their_place),
		TEST(notices_that_it_follows_a_dead_branch),
		TEST(answers_start_when_the_ring_reaches_further_than_a_replay),
		TEST(answers_start_from_the_copy_that_is_there),
		TEST(answers_start_with_what_is_kept_however_much_it_remembers),
		TEST(knows_an_anchor_that_it_cannot_remember),
		TEST(is_not_narrowed_under_its_own_read),
		TEST(loses_patience_however_often_the_tail_is_checked),
		TEST(reads_on_when_reading_back_was_cut_short),
		TEST(reads_again_when_the_read_for_joins_was_cut_short),
		cmocka_unit_test(frees_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
