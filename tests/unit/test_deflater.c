/*
 * Deflater: what protocol/deflater.h promises, and protocol/form.h of the deflated form of a message, read
 * back with zlib as a peer would.
 */

#include "protocol/deflater.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <zlib.h>

#include "core/map.h"
#include "protocol/frame.h"
#include "protocol/key_path.h"
#include "protocol/message.h"

enum {
	TEXT_MAX = 1 << 20,
	THREADS = 2,
	ROUNDS = 300,
};

/* One peer's inflating state, which it keeps from message to message: context takeover as far as it knows. */
struct peer {
	z_stream stream;
	char *text;
	size_t len;
};

static void peer_init(struct peer *peer)
{
	*peer = (struct peer){.text = malloc(TEXT_MAX)};
	assert_non_null(peer->text);
	assert_int_equal(inflateInit2(&peer->stream, -MAX_WBITS), Z_OK);
}

static void peer_deinit(struct peer *peer)
{
	inflateEnd(&peer->stream);
	free(peer->text);
}

static void peer_read(struct peer *peer, struct slice payload)
{
	static const char tail[] = {0, 0, (char)0xff, (char)0xff};
	const struct slice parts[] = {payload, {tail, sizeof(tail)}};

	peer->stream.next_out = (unsigned char *)peer->text;
	peer->stream.avail_out = TEXT_MAX;
	for (int i = 0; i < 2; i++) {
		peer->stream.next_in = (unsigned char *)parts[i].data;
		peer->stream.avail_in = (uInt)parts[i].len;
		assert_int_equal(inflate(&peer->stream, Z_SYNC_FLUSH), Z_OK);
		assert_int_equal(peer->stream.avail_in, 0);
	}
	peer->len = TEXT_MAX - peer->stream.avail_out;
}

static void assert_text(const struct peer *peer, struct slice text)
{
	assert_int_equal(peer->len, text.len);
	assert_memory_equal(peer->text, text.data, text.len);
}

/* JSON of about this length: words that come again, digits that do not. */
static char *make_text(size_t len, unsigned int seed)
{
	char *text = malloc(len + 64);
	size_t n = 0;

	assert_non_null(text);
	n += (size_t)sprintf(text, "{\"type\":\"card_updated\",\"data\":{\"id\":\"card-%u\"", seed);
	for (unsigned int i = 0; n < len; i++)
		n += (size_t)sprintf(text + n, ",\"field_%u\":%u", i, (seed + i) * 2654435761u);
	strcpy(text + n, "}}");
	return text;
}

/* The low byte of a generator's word: nothing in it comes again. */
static char *make_noise(size_t len)
{
	char *noise = malloc(len);
	uint64_t state = 88172645463325252;

	assert_non_null(noise);
	for (size_t i = 0; i < len; i++) {
		state ^= state << 13;
		state ^= state >> 7;
		state ^= state << 17;
		noise[i] = (char)(state >> 24);
	}
	return noise;
}

static struct message *make_event(size_t len, unsigned int seed)
{
	char *text = make_text(len, seed);
	struct message *event = NULL;

	assert_int_equal(message_from_event(message_channel(slice_of("cards")), slice_of(text),
				 (struct slice){0}, 1, 77, &event),
		0);
	free(text);
	return event;
}

static void every_payload_inflates_by_itself_and_after_any_other(void **state)
{
	static const size_t lengths[] = {1, 40, 150, 4000, 70000, 300000};
	struct deflater *deflater = deflater_new(0);
	struct peer peer;

	(void)state;
	assert_non_null(deflater);
	peer_init(&peer);
	for (unsigned int i = 0; i < 30; i++) {
		char *text = make_text(lengths[i * 7 % 6], i);
		struct slice payload;

		if (deflater_run(deflater, slice_of(text), &payload) == 0) {
			assert_true(payload.len < strlen(text));
			/* A peer that came just now, and one that was here all the time. */
			if (i % 3 == 0)
				assert_int_equal(inflateReset(&peer.stream), Z_OK);
			peer_read(&peer, payload);
			assert_text(&peer, slice_of(text));
		} else {
			assert_true(strlen(text) < 100);
		}
		free(text);
	}
	peer_deinit(&peer);
	deflater_free(deflater);
}

static void what_does_not_get_smaller_is_refused(void **state)
{
	static const size_t lengths[] = {0, 1, 2, 10, 100, 5000, 200000};
	struct deflater *deflater = deflater_new(0);
	struct slice payload;

	(void)state;
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		char *noise = make_noise(lengths[i] + 1);

		assert_int_equal(deflater_run(deflater, (struct slice){noise, lengths[i]}, &payload),
			DEFLATER_NO_GAIN);
		free(noise);
	}
	deflater_free(deflater);
}

/* Around where a payload is as long as its text, whatever comes back is shorter and whole. */
static void the_border_of_no_gain_is_sharp(void **state)
{
	struct deflater *deflater = deflater_new(0);
	unsigned int n_gains = 0, n_refused = 0;
	char *noise = make_noise(600);
	struct peer peer;

	(void)state;
	peer_init(&peer);
	for (size_t same = 0; same < 40; same++) {
		struct slice text = {noise, 300}, payload;

		memset(noise, 'x', same);
		if (deflater_run(deflater, text, &payload)) {
			n_refused++;
			continue;
		}
		n_gains++;
		assert_true(payload.len < text.len);
		peer_read(&peer, payload);
		assert_text(&peer, text);
	}
	assert_true(n_gains > 0 && n_refused > 0);
	free(noise);
	peer_deinit(&peer);
	deflater_free(deflater);
}

static void short_texts_are_not_tried(void **state)
{
	struct deflater *deflater = deflater_new(100);
	char same[101];
	struct slice payload;

	(void)state;
	memset(same, 'x', sizeof(same));
	assert_int_equal(deflater_run(deflater, (struct slice){same, 99}, &payload), DEFLATER_NO_GAIN);
	assert_int_equal(deflater_run(deflater, (struct slice){same, 100}, &payload), 0);
	deflater_free(deflater);
}

static struct form_maker maker_of(size_t deflate_bytes_min)
{
	struct form_maker maker;

	assert_int_equal(form_maker_init(&maker, deflate_bytes_min), 0);
	return maker;
}

static void a_twin_is_one_final_text_frame_with_the_first_reserved_bit(void **state)
{
	static const size_t lengths[] = {300, 3000, 200000}; /* headers of 2, 4 and 10 bytes */
	struct form_maker maker = maker_of(0);
	struct peer peer;

	(void)state;
	peer_init(&peer);
	for (size_t i = 0; i < 3; i++) {
		struct message *event = make_event(lengths[i], 5);
		struct message *twin = message_as(event, FORM_DEFLATED, &maker);
		unsigned char header[FRAME_HEADER_MAX];

		assert_ptr_not_equal(twin, event);
		assert_true(twin->frame_len < event->frame_len);
		assert_int_equal(twin->frame[0], 0xc1);
		assert_int_equal(
			frame_header_write(header, FRAME_TEXT, true, twin->frame_len - twin->header_len),
			twin->header_len);
		assert_memory_equal(header, twin->frame, twin->header_len);
		peer_read(&peer, message_text(twin));
		assert_text(&peer, message_text(event));
		message_unref(event);
	}
	peer_deinit(&peer);
	form_maker_deinit(&maker);
}

static void a_twin_is_made_once_and_is_its_own(void **state)
{
	struct form_maker maker = maker_of(0);
	struct message *event = make_event(500, 1);
	struct message *twin = message_as(event, FORM_DEFLATED, &maker);

	(void)state;
	assert_ptr_equal(message_as(event, FORM_DEFLATED, &maker), twin);
	assert_ptr_equal(message_as(twin, FORM_DEFLATED, &maker), twin);
	message_unref(event);
	form_maker_deinit(&maker);
}

static void what_does_not_get_smaller_is_its_own_twin(void **state)
{
	struct form_maker maker = maker_of(100000);
	struct message *event = make_event(500, 1);

	(void)state;
	assert_ptr_equal(message_as(event, FORM_DEFLATED, &maker), event);
	assert_ptr_equal(message_as(event, FORM_DEFLATED, &maker), event);
	message_unref(event);
	form_maker_deinit(&maker);
}

static void a_twin_outlives_its_event_by_a_reference(void **state)
{
	struct form_maker maker = maker_of(0);
	struct message *event = make_event(500, 1);
	struct message *twin = message_ref(message_as(event, FORM_DEFLATED, &maker));
	struct peer peer;

	(void)state;
	message_unref(event);
	peer_init(&peer);
	peer_read(&peer, message_text(twin));
	assert_memory_equal(peer.text, "{\"type\":\"card_updated\"", 22);
	assert_string_equal(twin->channel, "cards");
	peer_deinit(&peer);
	message_unref(twin);
	form_maker_deinit(&maker);
}

static void a_twin_has_the_key_and_channel_of_its_event(void **state)
{
	struct form_maker maker = maker_of(0);
	struct message *event = make_event(500, 1), *other = make_event(500, 2);
	struct message *twin;
	struct key_path path;
	const char *why;

	(void)state;
	assert_int_equal(key_path_parse(&path, "data.id", &why), 0);
	message_set_key(event, &path);
	message_set_key(other, &path);
	twin = message_as(event, FORM_DEFLATED, &maker);
	assert_true(event->key_len > 0);
	assert_true(message_is_event(twin));
	assert_int_equal(twin->arrived_us, 77);
	assert_true(twin->channel_hash == map_hash("cards", 5));
	assert_true(message_same_key(event, twin));
	assert_true(message_same_key(twin, event));
	assert_true(!message_same_key(twin, message_as(other, FORM_DEFLATED, &maker)));
	message_unref(event);
	message_unref(other);
	form_maker_deinit(&maker);
}

struct race {
	struct message *event;
	atomic_int n_ready;
	struct message *seen[THREADS];
};

struct racer {
	struct race *race;
	int index;
	pthread_t thread;
};

static void *race(void *arg)
{
	struct racer *racer = arg;
	struct form_maker maker = maker_of(0);

	atomic_fetch_add(&racer->race->n_ready, 1);
	while (atomic_load(&racer->race->n_ready) < THREADS)
		; /* together */
	racer->race->seen[racer->index] = message_as(racer->race->event, FORM_DEFLATED, &maker);
	assert_int_equal(racer->race->seen[racer->index]->frame[0], 0xc1);
	message_unref(racer->race->event);
	form_maker_deinit(&maker);
	return NULL;
}

/* Under the thread sanitizer too; what is not freed or freed twice the address sanitizer finds. */
static void threads_that_ask_together_get_the_same_twin(void **state)
{
	(void)state;
	for (unsigned int round = 0; round < ROUNDS; round++) {
		struct race shared = {.event = make_event(300, round)};
		struct racer racers[THREADS];

		for (int i = 0; i < THREADS; i++) {
			racers[i] = (struct racer){.race = &shared, .index = i};
			message_ref(shared.event);
			assert_int_equal(pthread_create(&racers[i].thread, NULL, race, &racers[i]), 0);
		}
		for (int i = 0; i < THREADS; i++)
			pthread_join(racers[i].thread, NULL);
		assert_ptr_equal(shared.seen[0], shared.seen[1]);
		message_unref(shared.event);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_payload_inflates_by_itself_and_after_any_other),
		cmocka_unit_test(what_does_not_get_smaller_is_refused),
		cmocka_unit_test(the_border_of_no_gain_is_sharp),
		cmocka_unit_test(short_texts_are_not_tried),
		cmocka_unit_test(a_twin_is_one_final_text_frame_with_the_first_reserved_bit),
		cmocka_unit_test(a_twin_is_made_once_and_is_its_own),
		cmocka_unit_test(what_does_not_get_smaller_is_its_own_twin),
		cmocka_unit_test(a_twin_outlives_its_event_by_a_reference),
		cmocka_unit_test(a_twin_has_the_key_and_channel_of_its_event),
		cmocka_unit_test(threads_that_ask_together_get_the_same_twin),
	};

	map_seed();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
