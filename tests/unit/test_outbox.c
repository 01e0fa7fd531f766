/* Outbox: what client/outbox.h promises. */

#include "client/outbox.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "client/outbox_queue.h"
#include "core/map.h"
#include "protocol/key_path.h"
#include "protocol/message.h"

#define NO_BOUND SIZE_MAX

/* Of all boxes. */
static uint64_t total;

/* However the messages left. */
static int counts_no_byte_that_left(void **state)
{
	(void)state;
	assert_int_equal(total, 0);
	return 0;
}

/* A message of so many bytes on the wire (3 to 127). */
static struct message *message_of(size_t frame_len)
{
	char text[128];
	struct message *message;

	memset(text, 'x', sizeof(text));
	message = message_from_text(text, frame_len - 2);
	assert_non_null(message);
	assert_int_equal(message->frame_len, frame_len);
	return message;
}

/* An event of a channel, with a key if there is one. */
static struct message *event_of(const char *channel, const char *key, size_t filler)
{
	const struct slice name = slice_of(channel);
	struct key_path path;
	struct message *message;
	char payload[512];
	const char *why;
	int len;

	assert_int_equal(key_path_parse(&path, "data.id", &why), 0);
	len = snprintf(payload, sizeof(payload),
		key ? "{\"type\":\"e\",\"data\":{\"f\":\"%0*d\",\"id\":\"%s\"}}"
		    : "{\"type\":\"e\",\"data\":{\"f\":\"%0*d\"}}",
		(int)filler, 0, key);
	assert_int_equal(message_from_event(message_channel(name), (struct slice){payload, (size_t)len},
				 (struct slice){0}, 0, 1, &message),
		0);
	message_set_key(message, &path);
	return message;
}

static unsigned int n_refs(struct message *message)
{
	return atomic_load(&message->n_refs);
}

static void push(struct outbox *box, struct message *message)
{
	assert_int_equal(outbox_push(box, message, NO_BOUND, &total), 0);
}

/* Takes out the oldest, which is this one, and gives its reference back. */
static void assert_pops(struct outbox *box, struct message *expected)
{
	struct message *message = outbox_pop(box);

	assert_ptr_equal(message, expected);
	message_unref(message);
}

/* The frames that it would send next are those of these messages. */
static void assert_holds(const struct outbox *box, struct message *const *expected, uint32_t n)
{
	struct iovec parts[200];
	size_t bytes = 0, sum = 0;

	assert_int_equal(box->n, n);
	assert_int_equal(outbox_peek(box, parts, 200, &bytes), n);
	for (uint32_t i = 0; i < n; i++) {
		assert_ptr_equal(parts[i].iov_base, expected[i]->frame);
		assert_int_equal(parts[i].iov_len, expected[i]->frame_len);
		sum += expected[i]->frame_len;
	}
	assert_int_equal(bytes, sum);
	assert_int_equal(box->bytes, sum);
}

static void hands_out_the_oldest_first(void **state)
{
	struct outbox box = {0};
	struct message *messages[100];

	(void)state;
	for (uint32_t i = 0; i < 100; i++) {
		messages[i] = message_of(10);
		push(&box, messages[i]);
	}
	assert_holds(&box, messages, 100);
	for (uint32_t i = 0; i < 100; i++) {
		assert_pops(&box, messages[i]);
		message_unref(messages[i]);
	}
	assert_true(outbox_empty(&box));
	assert_null(outbox_pop(&box));
	outbox_deinit(&box);
}

/* The ring turns many times over, at every fill that it can have while it grows. */
static void keeps_its_order_around_the_end_of_its_memory(void **state)
{
	struct outbox box = {0};
	struct message *messages[64];
	size_t pushed = 0, popped = 0;

	(void)state;
	for (size_t i = 0; i < 64; i++)
		messages[i] = message_of(3 + i);
	for (size_t fill = 1; fill <= 40; fill++) {
		for (size_t i = 0; i < fill + 3; i++)
			push(&box, messages[pushed++ % 64]);
		for (size_t i = 0; i < fill + 2; i++)
			assert_pops(&box, messages[popped++ % 64]);
		assert_int_equal(box.n, pushed - popped);
	}
	while (popped < pushed)
		assert_pops(&box, messages[popped++ % 64]);
	assert_int_equal(box.bytes, 0);
	for (size_t i = 0; i < 64; i++)
		message_unref(messages[i]);
	outbox_deinit(&box);
}

static void refuses_a_message_past_its_bound(void **state)
{
	struct outbox box = {0};
	struct message *ten = message_of(10), *one_more = message_of(3);

	(void)state;
	for (int i = 0; i < 3; i++)
		assert_int_equal(outbox_push(&box, ten, 32, &total), 0);
	assert_int_equal(box.bytes, 30);
	assert_int_equal(outbox_push(&box, one_more, 32, &total), OUTBOX_FULL);
	assert_int_equal(box.n, 3); /* as it was */
	assert_int_equal(box.bytes, 30);
	assert_int_equal(n_refs(one_more), 1);
	assert_int_equal(outbox_push(&box, one_more, 33, &total), 0); /* exactly the bound is within it */
	assert_int_equal(box.bytes, 33);
	assert_pops(&box, ten);
	assert_int_equal(box.bytes, 23); /* what is read makes room */
	assert_int_equal(outbox_push(&box, ten, 33, &total), 0);
	outbox_deinit(&box);
	message_unref(ten);
	message_unref(one_more);
}

static void refuses_a_reply_larger_than_its_bound_even_when_empty(void **state)
{
	struct outbox box = {0};
	struct message *message = message_of(100);

	(void)state;
	assert_int_equal(outbox_push(&box, message, 99, &total), OUTBOX_FULL);
	assert_true(outbox_empty(&box));
	assert_null(box.queue);
	message_unref(message);
}

/* Else who has a small bound could never get a large event. */
static void takes_an_event_larger_than_its_bound_where_no_other_waits(void **state)
{
	struct outbox box = {0};
	struct message *event = event_of("c", NULL, 100), *reply = message_of(10);
	struct message *both[] = {reply, event};
	size_t bound = event->frame_len - 1;

	(void)state;
	push(&box, reply);
	assert_int_equal(outbox_push(&box, event, bound, &total), 0);
	assert_holds(&box, both, 2);
	assert_int_equal(outbox_push(&box, event, bound, &total), OUTBOX_FULL);
	assert_int_equal(outbox_push(&box, reply, bound, &total), OUTBOX_FULL);
	assert_pops(&box, reply);
	assert_pops(&box, event);
	assert_int_equal(outbox_push(&box, event, bound, &total), 0);
	outbox_deinit(&box);
	message_unref(event);
	message_unref(reply);
}

/* Replies within the bound may not make room for more than it. */
static void an_event_within_the_bound_has_to_fit(void **state)
{
	struct outbox box = {0};
	struct message *event = event_of("c", NULL, 1), *reply = message_of(10);

	(void)state;
	push(&box, reply);
	assert_int_equal(outbox_push(&box, event, event->frame_len + 9, &total), OUTBOX_FULL);
	assert_int_equal(outbox_push(&box, event, event->frame_len + 10, &total), 0);
	outbox_deinit(&box);
	message_unref(event);
	message_unref(reply);
}

static void drops_the_oldest_event_and_nothing_else(void **state)
{
	struct outbox box = {0};
	struct message *reply = message_of(10);
	struct message *first = event_of("c", NULL, 1), *second = event_of("c", NULL, 2);
	struct message *left[] = {reply, reply, second, reply}, *last[] = {reply, reply, reply};

	(void)state;
	assert_null(outbox_oldest_event(&box));
	outbox_drop_oldest_event(&box);
	push(&box, reply);
	push(&box, first);
	push(&box, reply);
	push(&box, second);
	push(&box, reply);
	assert_ptr_equal(outbox_oldest_event(&box), first);
	outbox_drop_oldest_event(&box);
	assert_int_equal(n_refs(first), 1);
	assert_holds(&box, left, 4);
	assert_ptr_equal(outbox_oldest_event(&box), second);
	outbox_drop_oldest_event(&box);
	assert_int_equal(outbox_n_events(&box), 0);
	outbox_drop_oldest_event(&box);
	assert_holds(&box, last, 3);
	push(&box, first);
	assert_ptr_equal(outbox_oldest_event(&box), first);
	outbox_deinit(&box);
	message_unref(reply);
	message_unref(first);
	message_unref(second);
}

static void holds_no_memory_when_its_last_event_is_dropped(void **state)
{
	struct outbox box = {0};
	struct message *event = event_of("c", NULL, 1);

	(void)state;
	push(&box, event);
	outbox_drop_oldest_event(&box);
	assert_null(box.queue);
	assert_int_equal(box.bytes, 0);
	message_unref(event);
}

/* The way of latest_by_key: how many gave way for it. */
static int replace(struct outbox *box, struct message *message)
{
	int n = outbox_drop_same_key(box, message);

	push(box, message);
	return n;
}

static void a_newer_event_takes_the_place_of_one_with_its_key_at_the_end(void **state)
{
	struct outbox box = {0};
	struct message *a1 = event_of("c", "a", 1), *a2 = event_of("c", "a", 2);
	struct message *b = event_of("c", "b", 3), *other = event_of("d", "a", 4);
	struct message *none = event_of("c", NULL, 5), *reply = message_of(10);
	struct message *left[] = {b, other, none, none, reply, a2};

	(void)state;
	assert_int_equal(replace(&box, a1), 0);
	assert_int_equal(replace(&box, b), 0);
	assert_int_equal(replace(&box, other), 0); /* the key of another channel */
	assert_int_equal(replace(&box, none), 0);
	assert_int_equal(replace(&box, none), 0); /* without a key nothing is alike */
	assert_int_equal(replace(&box, reply), 0);
	assert_int_equal(replace(&box, a2), 1);
	assert_int_equal(n_refs(a1), 1);
	assert_holds(&box, left, 6);
	for (size_t i = 0; i < 6; i++)
		assert_pops(&box, left[i]);
	assert_int_equal(replace(&box, a1), 0); /* what was sent is not replaced any more */
	outbox_deinit(&box);
	message_unref(a1);
	message_unref(a2);
	message_unref(b);
	message_unref(other);
	message_unref(none);
	message_unref(reply);
}

/* They were queued while nobody knew yet that the client would be slow. */
static void of_those_queued_before_with_one_key_the_newest_stays(void **state)
{
	struct outbox box = {0};
	struct message *a1 = event_of("c", "a", 1), *a2 = event_of("c", "a", 2);
	struct message *b = event_of("c", "b", 3), *left[] = {a2, b};

	(void)state;
	push(&box, a1);
	push(&box, b);
	push(&box, a1);
	push(&box, a2);
	assert_int_equal(replace(&box, b), 3);
	assert_holds(&box, left, 2);
	outbox_deinit(&box);
	assert_int_equal(n_refs(a1), 1);
	message_unref(a1);
	message_unref(a2);
	message_unref(b);
}

/* Wherever it is in the queue's memory, and whatever waits around it. */
static void what_was_promised_does_not_give_way(void **state)
{
	struct outbox box = {0};
	struct message *promised = event_of("a", "1", 8), *newer = event_of("a", "1", 8);
	struct message *reply = message_of(20);
	const size_t bound = 2 * (size_t)newer->frame_len;

	(void)state;
	push(&box, reply);
	for (int i = 0; i < 20; i++)
		assert_int_equal(outbox_push_promised(&box, promised, &total), 0);
	assert_int_equal(outbox_promised_bytes(&box), 20 + 20 * (size_t)promised->frame_len);
	assert_false(outbox_drop_oldest_event(&box));
	assert_int_equal(outbox_drop_same_key(&box, newer), 0);
	assert_int_equal(outbox_push(&box, newer, bound, &total), 0);
	assert_int_equal(outbox_drop_same_key(&box, newer), 1);
	for (int i = 0; i < 2; i++)
		assert_int_equal(outbox_push(&box, newer, bound, &total), 0);
	assert_int_equal(outbox_push(&box, newer, bound, &total), OUTBOX_FULL);
	assert_ptr_equal(outbox_oldest_event(&box), promised);
	assert_pops(&box, reply);
	for (int i = 0; i < 20; i++)
		assert_pops(&box, promised);
	assert_int_equal(outbox_promised_bytes(&box), 0);
	assert_true(outbox_drop_oldest_event(&box));
	assert_true(outbox_drop_oldest_event(&box));
	assert_false(outbox_drop_oldest_event(&box));
	assert_true(outbox_empty(&box));
	assert_int_equal(n_refs(promised) + n_refs(newer) + n_refs(reply), 3);
	message_unref(promised);
	message_unref(newer);
	message_unref(reply);
}

static void holes_cost_no_memory(void **state)
{
	struct outbox box = {0};
	struct message *oldest = event_of("c", "old", 1), *a = event_of("c", "a", 1);

	(void)state;
	push(&box, oldest);
	for (int i = 0; i < 100000; i++)
		replace(&box, a);
	assert_int_equal(box.n, 2);
	assert_true(box.queue->capacity <= 8);
	assert_true(box.queue->index.n_places <= 64);
	outbox_deinit(&box);
	message_unref(oldest);
	message_unref(a);
}

enum {
	KEYS = 30,
	STEPS = 20000,
};

/* An outbox that is easy to believe. */
struct model {
	struct message *messages[STEPS];
	uint32_t n;
};

static void model_remove(struct model *model, uint32_t i)
{
	memmove(&model->messages[i], &model->messages[i + 1],
		(model->n - i - 1) * sizeof(model->messages[0]));
	model->n--;
}

static void model_drop_like(struct model *model, const struct message *message)
{
	for (uint32_t i = 0; i < model->n; i++)
		if (message->key_len && model->messages[i] == message)
			model_remove(model, i--);
}

static void model_drop_event(struct model *model)
{
	for (uint32_t i = 0; i < model->n; i++) {
		if (message_is_event(model->messages[i])) {
			model_remove(model, i);
			return;
		}
	}
}

static void step(struct outbox *box, struct model *model, struct message *const *messages, int bias)
{
	struct message *message = messages[rand() % (KEYS + 2)];
	int what = rand() % 10;

	if (what < bias) {
		replace(box, message);
		model_drop_like(model, message);
		model->messages[model->n++] = message;
	} else if (what == 8) {
		outbox_drop_oldest_event(box);
		model_drop_event(model);
	} else if (what == 9) {
		push(box, messages[KEYS + 1]);
		model->messages[model->n++] = messages[KEYS + 1];
	} else if (model->n) {
		assert_pops(box, model->messages[0]);
		model_remove(model, 0);
	}
}

/* Keys, events without one, and replies come and go in every way that a seed makes up. */
static void behaves_as_a_list_that_is_searched(void **state)
{
	struct outbox box = {0};
	struct model *model = calloc(1, sizeof(*model));
	struct message *messages[KEYS + 2];
	char key[16];

	(void)state;
	srand(7);
	for (int i = 0; i < KEYS; i++) {
		snprintf(key, sizeof(key), "k%d", i);
		messages[i] = event_of(i % 2 ? "c" : "d", key, (size_t)i + 1);
	}
	messages[KEYS] = event_of("c", NULL, 1);
	messages[KEYS + 1] = message_of(10);
	for (int i = 0; i < STEPS; i++) {
		step(&box, model, messages, i / 1000 % 2 ? 6 : 4);
		assert_int_equal(box.n, model->n);
		if (model->n <= 200)
			assert_holds(&box, model->messages, model->n);
	}
	outbox_deinit(&box);
	for (int i = 0; i < KEYS + 2; i++) {
		assert_int_equal(n_refs(messages[i]), 1);
		message_unref(messages[i]);
	}
	free(model);
}

static void takes_references_never_copies(void **state)
{
	struct outbox a = {0}, b = {0};
	struct message *message = message_of(10);

	(void)state;
	push(&a, message);
	push(&b, message);
	push(&b, message);
	assert_int_equal(n_refs(message), 4);
	assert_holds(&a, &message, 1);
	assert_int_equal(n_refs(message), 4); /* a look is borrowed */
	assert_pops(&b, message);
	assert_int_equal(n_refs(message), 3);
	outbox_deinit(&a);
	outbox_deinit(&b);
	assert_int_equal(n_refs(message), 1); /* what was unread is given back */
	message_unref(message);
}

static void holds_no_memory_when_empty(void **state)
{
	struct outbox box = {0};
	struct message *message = message_of(10);

	(void)state;
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < 20; i++)
			push(&box, message);
		assert_non_null(box.queue);
		while (!outbox_empty(&box))
			message_unref(outbox_pop(&box));
		assert_null(box.queue);
		assert_int_equal(box.bytes, 0);
	}
	push(&box, message);
	outbox_deinit(&box);
	assert_null(box.queue);
	outbox_deinit(&box);
	push(&box, message); /* it is an empty one again, not a dead one */
	outbox_deinit(&box);
	message_unref(message);
}

static void counts_the_bytes_of_all_boxes(void **state)
{
	struct outbox a = {0}, b = {0};
	struct message *ten = message_of(10), *event = event_of("cards", "1", 8);

	(void)state;
	for (int i = 0; i < 20; i++) /* past what its first memory holds */
		push(&a, ten);
	push(&b, event);
	push(&b, ten);
	assert_int_equal(total, 210 + event->frame_len);
	assert_int_equal(outbox_drop_same_key(&b, event), 1);
	assert_int_equal(total, 210);
	push(&b, event);
	outbox_drop_oldest_event(&b);
	assert_int_equal(total, 210);
	outbox_deinit(&a);
	assert_int_equal(total, 10);
	outbox_deinit(&b);
	assert_int_equal(total, 0);
	message_unref(ten);
	message_unref(event);
}

static void knows_what_was_replayed_until_it_is_empty(void **state)
{
	struct outbox box = {0};
	struct message *event = event_of("cards", NULL, 8);

	(void)state;
	outbox_note_replay(&box, 7); /* nothing is in it: nothing to know */
	assert_int_equal(outbox_replayed_us(&box), 0);
	push(&box, event);
	outbox_note_replay(&box, 7);
	outbox_note_replay(&box, 5);
	for (int i = 0; i < 20; i++)
		push(&box, event);
	assert_int_equal(outbox_replayed_us(&box), 7);
	outbox_deinit(&box);
	assert_int_equal(outbox_replayed_us(&box), 0);
	message_unref(event);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(hands_out_the_oldest_first, counts_no_byte_that_left),
		cmocka_unit_test_teardown(
			keeps_its_order_around_the_end_of_its_memory, counts_no_byte_that_left),
		cmocka_unit_test_teardown(refuses_a_message_past_its_bound, counts_no_byte_that_left),
		cmocka_unit_test_teardown(
			refuses_a_reply_larger_than_its_bound_even_when_empty, counts_no_byte_that_left),
		cmocka_unit_test_teardown(
			takes_an_event_larger_than_its_bound_where_no_other_waits, counts_no_byte_that_left),
		cmocka_unit_test_teardown(an_event_within_the_bound_has_to_fit, counts_no_byte_that_left),
		cmocka_unit_test_teardown(drops_the_oldest_event_and_nothing_else, counts_no_byte_that_left),
		cmocka_unit_test_teardown(
			holds_no_memory_when_its_last_event_is_dropped, counts_no_byte_that_left),
		cmocka_unit_test_teardown(a_newer_event_takes_the_place_of_one_with_its_key_at_the_end,
			counts_no_byte_that_left),
		cmocka_unit_test_teardown(
			of_those_queued_before_with_one_key_the_newest_stays, counts_no_byte_that_left),
		cmocka_unit_test_teardown(what_was_promised_does_not_give_way, counts_no_byte_that_left),
		cmocka_unit_test_teardown(holes_cost_no_memory, counts_no_byte_that_left),
		cmocka_unit_test_teardown(behaves_as_a_list_that_is_searched, counts_no_byte_that_left),
		cmocka_unit_test_teardown(takes_references_never_copies, counts_no_byte_that_left),
		cmocka_unit_test_teardown(holds_no_memory_when_empty, counts_no_byte_that_left),
		cmocka_unit_test(counts_the_bytes_of_all_boxes),
		cmocka_unit_test(knows_what_was_replayed_until_it_is_empty),
	};

	map_seed();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
