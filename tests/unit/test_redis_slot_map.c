/* Redis slot map: what src/broker/redis/slot_map.h and redirect.h promise, of answers as Redis 7.0.15
 * and Valkey 8 give them. */

#include "broker/redis/slot_map.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "broker/redis/redirect.h"
#include "broker/redis/reply.h"
#include "core/buf.h"

struct reading {
	struct redis_slot_map map;
	int r;
};

static int on_reply(void *arg, const struct redis_reply *reply)
{
	struct reading *reading = arg;

	reading->r = redis_slot_map_read(&reading->map, reply, slice_of("10.0.0.9"));
	return 0;
}

/* Blanks stand for line ends. */
static void read_map(const char *text, struct reading *reading)
{
	struct redis_parser *parser;
	struct buf bytes = {0};

	*reading = (struct reading){.r = 99};
	for (; *text; text++)
		buf_append_str(&bytes, *text == ' ' ? "\r\n" : (char[]){*text, 0});
	buf_append_str(&bytes, "\r\n");
	assert_int_equal(redis_parser_new(300, &parser), 0);
	assert_int_equal(redis_parser_feed(parser, bytes.data, bytes.len, on_reply, reading), 0);
	redis_parser_free(parser);
	buf_deinit(&bytes);
}

static void belongs(const struct redis_slot_map *map, unsigned int slot, const char *host, uint16_t port)
{
	const struct redis_slot_node *node = redis_slot_map_owner(map, slot);

	if (!host) {
		assert_null(node);
		return;
	}
	assert_non_null(node);
	assert_string_equal(node->host, host);
	assert_int_equal(node->port, port);
}

#define TWO                                                                                                  \
	"*2 *4 :0 :8191 *4 $8 10.0.0.1 :7001 $2 id *0 *4 $8 10.0.0.4 :7004 $2 id *0 "                        \
	"*3 :8192 :16383 *4 $8 10.0.0.2 :7002 $2 id *0"

static void reads_who_has_which_slots(void **state)
{
	struct reading reading;

	(void)state;
	read_map(TWO, &reading);
	assert_int_equal(reading.r, 0);
	assert_int_equal(reading.map.n_nodes, 2);
	assert_int_equal(reading.map.nodes[0].n_slots, 8192);
	belongs(&reading.map, 0, "10.0.0.1", 7001);
	belongs(&reading.map, 8191, "10.0.0.1", 7001);
	belongs(&reading.map, 8192, "10.0.0.2", 7002);
	belongs(&reading.map, 16383, "10.0.0.2", 7002);
	redis_slot_map_deinit(&reading.map);
}

static void a_node_without_a_name_is_the_one_that_was_asked(void **state)
{
	struct reading reading;

	(void)state;
	read_map("*3 *3 :0 :9 *3 $0  :7001 $2 id *3 :10 :19 *3 $-1 :7002 $2 id "
		 "*3 :30 :39 *4 $1 ? :7003 $2 id *2 $2 ip $8 10.0.0.3",
		&reading);
	assert_int_equal(reading.r, 0);
	belongs(&reading.map, 0, "10.0.0.9", 7001);
	belongs(&reading.map, 10, "10.0.0.9", 7002);
	belongs(&reading.map, 20, NULL, 0);
	belongs(&reading.map, 30, "10.0.0.3", 7003);
	redis_slot_map_deinit(&reading.map);
}

static void a_node_without_a_usable_address_has_nothing(void **state)
{
	struct reading reading;

	(void)state;
	read_map("*4 *3 :40 :49 *3 $0  :0 $2 id *3 :0 :9 *3 $1 ? :7001 $2 id *3 :10 :19 *3 $3 a;b :0 $2 id "
		 "*3 :20 :29 *2 $1 a :7002",
		&reading);
	assert_int_equal(reading.r, 0);
	belongs(&reading.map, 0, NULL, 0);
	belongs(&reading.map, 10, NULL, 0);
	belongs(&reading.map, 40, NULL, 0); /* Grokzen/redis-py-cluster#190, redis/ioredis#1025 */
	belongs(&reading.map, 20, "a", 7002);
	redis_slot_map_deinit(&reading.map);
}

/* A proxy before a managed cluster: which of its servers answers there is not to be told by an id. */
static void an_address_of_several_ids_has_none(void **state)
{
	struct reading reading;

	(void)state;
	read_map("*4 *3 :0 :9 *3 $1 a :1 $2 i1 *3 :10 :19 *3 $1 a :1 $2 i2 *3 :20 :29 *3 $1 a :1 $2 i1 "
		 "*3 :30 :39 *3 $1 b :1 $2 i1",
		&reading);
	assert_int_equal(reading.r, 0);
	assert_int_equal(reading.map.n_nodes, 2);
	assert_true(reading.map.nodes[0].is_shared);
	assert_string_equal(reading.map.nodes[0].id, "");
	assert_false(reading.map.nodes[1].is_shared);
	assert_string_equal(reading.map.nodes[1].id, "i1");
	redis_slot_map_deinit(&reading.map);
}

static void nonsense_is_no_map(void **state)
{
	static const struct {
		const char *text;
		int r;
	} rows[] = {
		{"*0", REDIS_SLOT_MAP_EMPTY},
		{"-ERR", -EIO},
		{"$2 OK", -EIO},
		{"*1 :7", -EIO},
		{"*1 *3 :5 :4 *2 $1 a :1", -EIO},
		{"*1 *3 :0 :16384 *2 $1 a :1", -EIO},
		{"*1 *3 :-1 :5 *2 $1 a :1", -EIO},
		{"*1 *2 :0 :5", -EIO},
		{"*1 *3 :0 :5 $1 a", -EIO},
		{"*1 *3 :0 :5 *2 $1 a :65536", -EIO},
		{"*2 *3 :0 :5 *2 $1 a :1 *3 :9 :5 *2 $1 a :1", -EIO},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct reading reading;

		print_message("%s\n", rows[i].text);
		read_map(rows[i].text, &reading);
		assert_int_equal(reading.r, rows[i].r);
		assert_null(reading.map.nodes);
	}
}

static void counts_what_has_moved_and_takes_corrections(void **state)
{
	struct reading before, after;

	(void)state;
	read_map(TWO, &before);
	read_map("*2 *3 :0 :8189 *2 $8 10.0.0.1 :7001 *3 :8190 :16000 *2 $8 10.0.0.2 :7002", &after);
	assert_int_equal(redis_slot_map_n_moved(&before.map, &after.map), 2);
	assert_int_equal(redis_slot_map_n_moved(&before.map, &before.map), 0);
	assert_int_equal(redis_slot_map_n_unserved(&before.map), 0);
	assert_int_equal(redis_slot_map_n_unserved(&after.map), 383);
	assert_int_equal(redis_slot_map_patch(&before.map, 8191, slice_of("10.0.0.2"), 7002), 0);
	assert_int_equal(redis_slot_map_patch(&before.map, 8190, slice_of("10.0.0.7"), 7007), 0);
	belongs(&before.map, 8190, "10.0.0.7", 7007);
	assert_int_equal(before.map.nodes[0].n_slots, 8190);
	assert_int_equal(redis_slot_map_n_moved(&before.map, &after.map), 1);
	assert_int_equal(redis_slot_map_patch(&before.map, 16384, slice_of("a"), 1), -EIO);
	assert_int_equal(redis_slot_map_patch(&before.map, 1, slice_of(""), 1), -EIO);
	assert_int_equal(redis_slot_map_patch(&before.map, 1, slice_of("a b"), 1), -EIO);
	redis_slot_map_deinit(&before.map);
	redis_slot_map_deinit(&after.map);
}

/* Redis makes ranges of slots that are beside each other and have one owner. This is the most that three
 * servers for each slot, with all they can say, come to. */
static void reads_a_map_in_which_each_slot_is_a_range(void **state)
{
	struct redis_parser *parser;
	struct reading reading = {.r = 99};
	struct buf text = {0};

	(void)state;
	buf_printf(&text, "*%d\r\n", REDIS_SLOTS);
	for (unsigned int slot = 0; slot < REDIS_SLOTS; slot++) {
		buf_printf(&text, "*5\r\n:%u\r\n:%u\r\n", slot, slot);
		for (unsigned int i = 0; i < 3; i++)
			buf_printf(&text,
				"*4\r\n$1\r\n?\r\n:%u\r\n$2\r\nid\r\n"
				"*4\r\n$2\r\nip\r\n$8\r\n10.0.0.1\r\n$8\r\nhostname\r\n$0\r\n\r\n",
				7000 + slot % 2 + 2 * i);
	}
	assert_false(text.failed);
	assert_int_equal(redis_parser_new(300, &parser), 0);
	assert_int_equal(redis_parser_feed(parser, text.data, text.len, on_reply, &reading), 0);
	assert_int_equal(reading.r, 0);
	assert_int_equal(reading.map.n_nodes, 2);
	belongs(&reading.map, 16382, "10.0.0.1", 7000);
	belongs(&reading.map, 16383, "10.0.0.1", 7001);
	redis_slot_map_deinit(&reading.map);
	redis_parser_free(parser);
	buf_deinit(&text);
}

/* The parts of a cluster of 1,000 and no more: what comes behind them is nobody's. */
static void takes_no_more_servers_than_a_cluster_has(void **state)
{
	struct redis_slot_map map = {0};

	(void)state;
	for (unsigned int i = 0; i < REDIS_SLOT_NODES_MAX; i++)
		assert_int_equal(redis_slot_map_patch(&map, i, slice_of("a"), (uint16_t)(i + 1)), 0);
	assert_int_equal(redis_slot_map_patch(&map, 1, slice_of("a"), 60000), -EIO);
	assert_int_equal(redis_slot_map_patch(&map, 1, slice_of("A"), 1), 0);
	redis_slot_map_deinit(&map);
}

static void knows_where_a_command_was_sent_on_to(void **state)
{
	static const struct {
		const char *text;
		enum redis_redirect_kind kind;
		unsigned int slot;
		const char *host;
		uint16_t port;
	} rows[] = {
		{"MOVED 10010 127.0.0.1:7003", REDIS_REDIRECT_MOVED, 10010, "127.0.0.1", 7003},
		{"MOVED 0 ::1:7003", REDIS_REDIRECT_MOVED, 0, "::1", 7003},
		{"MOVED 5 :7003", REDIS_REDIRECT_MOVED, 5, "", 7003},
		{"ASK 16383 redis-1.local:6379", REDIS_REDIRECT_ASK, 16383, "redis-1.local", 6379},
		{"ASK 16384 a:6379", REDIS_REDIRECT_CLUSTERDOWN, 0, "", 0},
		{"MOVED 1 a", REDIS_REDIRECT_CLUSTERDOWN, 0, "", 0},
		{"MOVED 1 a:0", REDIS_REDIRECT_CLUSTERDOWN, 0, "", 0},
		{"MOVED  a:1", REDIS_REDIRECT_CLUSTERDOWN, 0, "", 0},
		{"MOVED ", REDIS_REDIRECT_CLUSTERDOWN, 0, "", 0},
		{"TRYAGAIN Multiple keys request during rehashing of slot", REDIS_REDIRECT_TRYAGAIN, 0, "",
			0},
		{"CLUSTERDOWN Hash slot not served", REDIS_REDIRECT_CLUSTERDOWN, 0, "", 0},
		{"READONLY You can't write against a read only replica.", REDIS_REDIRECT_READONLY, 0, "", 0},
		{"ERR unknown command", REDIS_REDIRECT_NONE, 0, "", 0},
		{"ASKING", REDIS_REDIRECT_NONE, 0, "", 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct redis_redirect redirect = redis_redirect_parse(slice_of(rows[i].text));

		print_message("%s\n", rows[i].text);
		assert_int_equal(redirect.kind, rows[i].kind);
		assert_int_equal(redirect.slot, rows[i].slot);
		assert_true(slice_is(redirect.host, rows[i].host));
		assert_int_equal(redirect.port, rows[i].port);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_who_has_which_slots),
		cmocka_unit_test(reads_a_map_in_which_each_slot_is_a_range),
		cmocka_unit_test(a_node_without_a_name_is_the_one_that_was_asked),
		cmocka_unit_test(a_node_without_a_usable_address_has_nothing),
		cmocka_unit_test(an_address_of_several_ids_has_none),
		cmocka_unit_test(nonsense_is_no_map),
		cmocka_unit_test(counts_what_has_moved_and_takes_corrections),
		cmocka_unit_test(takes_no_more_servers_than_a_cluster_has),
		cmocka_unit_test(knows_where_a_command_was_sent_on_to),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
