/* The promises of config: what is taken, what is refused and in which words, and what the operator is shown.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "config/config.h"
#include "config/cpus.h"
#include "config/options.h"
#include "config/suggest.h"
#include "core/buf.h"
#include "route/access.h"
#include "route/route.h"

/* A folder of its own and what one load made of it. */
struct fixture {
	char folder[32];
	char file[64];
	struct config *config;
	struct buf error;
};

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	strcpy(f->folder, "/tmp/config.XXXXXX");
	if (!mkdtemp(f->folder))
		return -1;
	snprintf(f->file, sizeof(f->file), "%s/t.yaml", f->folder);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	unlink(f->file);
	rmdir(f->folder);
	config_free(f->config);
	buf_deinit(&f->error);
	free(f);
	return 0;
}

static void write_bytes(const char *path, const void *data, size_t len)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_int_equal(fwrite(data, 1, len, file), len);
	assert_int_equal(fclose(file), 0);
}

static int load(struct fixture *f, const char *file, const char *const *environment, const char *const *flags)
{
	struct config_args args = {.file = file, .flags = flags};
	char *none[] = {NULL};

	config_free(f->config);
	f->config = NULL;
	buf_reset(&f->error);
	return config_load(&args, environment ? (char *const *)environment : none, &f->config, &f->error);
}

static int load_yaml(struct fixture *f, const char *yaml)
{
	write_bytes(f->file, yaml, strlen(yaml));
	return load(f, f->file, NULL, NULL);
}

static void assert_loads(struct fixture *f, const char *yaml)
{
	int r = load_yaml(f, yaml);

	if (r)
		fail_msg("%d: %s", r, buf_text(&f->error));
}

/* The whole line, after the folder's name where it opens with a file. */
static void assert_error(struct fixture *f, const char *expected)
{
	const char *text = buf_text(&f->error);
	size_t len = strlen(f->folder);

	if (strncmp(text, f->folder, len) == 0)
		text += len + 1;
	assert_string_equal(text, expected);
}

static void assert_refuses(struct fixture *f, const char *yaml, const char *expected)
{
	assert_int_equal(load_yaml(f, yaml), CONFIG_BAD);
	assert_null(f->config);
	assert_error(f, expected);
}

static void assert_refuses_flag(struct fixture *f, const char *flag, const char *value, const char *expected)
{
	const char *flags[] = {flag, value, NULL};

	assert_int_equal(load(f, NULL, NULL, flags), CONFIG_BAD);
	assert_string_equal(buf_text(&f->error), expected);
}

static void assert_refuses_variable(struct fixture *f, const char *variable, const char *expected)
{
	const char *environment[] = {"PATH=/bin", variable, NULL};

	assert_int_equal(load(f, NULL, environment, NULL), CONFIG_BAD);
	assert_string_equal(buf_text(&f->error), expected);
}

static struct config *with_flag(struct fixture *f, const char *flag, const char *value)
{
	const char *flags[] = {flag, value, NULL};

	if (load(f, NULL, NULL, flags))
		fail_msg("%s %s: %s", flag, value, buf_text(&f->error));
	return f->config;
}

static void assert_channel(const struct config *config, const char *path, const char *channel)
{
	struct route_match match;
	char name[ROUTE_CHANNEL_MAX + 1];

	assert_int_equal(route_table_match(config->routes, path, strlen(path), &match), 0);
	route_channel(&match, 0, name);
	assert_string_equal(name, channel);
}

static void assert_no_route(const struct config *config, const char *path)
{
	struct route_match match;

	assert_int_equal(route_table_match(config->routes, path, strlen(path), &match), ROUTE_NOT_FOUND);
}

static bool prints(const struct config *config, const char *line)
{
	struct buf out = {0};
	bool found;

	config_print(config, NULL, &out);
	found = strstr(buf_text(&out), line) != NULL;
	if (!found)
		print_message("%s", buf_text(&out));
	buf_deinit(&out);
	return found;
}

static bool keeps_history(const struct config *config, const char *channel)
{
	return route_table_history(config->routes, slice_of(channel)) != NULL;
}

static void has_a_default_for_everything(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(load(f, NULL, NULL, NULL), 0);
	assert_string_equal(f->config->listen.host, "0.0.0.0");
	assert_int_equal(f->config->listen.port, 8080);
	assert_string_equal(f->config->admin.host, "127.0.0.1");
	assert_int_equal(f->config->admin.port, 9080);
	assert_string_equal(f->config->redis, "");
	assert_true(f->config->workers >= 1);
	assert_int_equal(f->config->log_level, LOG_INFO);
	assert_int_equal(f->config->log_format, LOG_FORMAT_TEXT);
	assert_int_equal(f->config->ping_interval_ms, 25000);
	assert_int_equal(f->config->pong_timeout_ms, 10000);
	assert_int_equal(f->config->shutdown_timeout_ms, 10000);
	assert_int_equal(f->config->message_bytes_max, 16384);
	assert_int_equal(f->config->event_bytes_max, 1048576);
	assert_int_equal(f->config->outbox_bytes_max, 1048576);
	assert_int_equal(f->config->subscriptions_max, 100);
	assert_int_equal(f->config->connections_per_address, CONFIG_AUTO);
	assert_int_equal(f->config->handshake_bytes_max, 8192);
	assert_int_equal(f->config->message_rate, 50);
	assert_int_equal(f->config->message_burst, 0);
	assert_int_equal(f->config->failures_max, 20);
	assert_null(f->config->trusted_proxies[0]);
	assert_string_equal(f->config->topics[2], "items");
	assert_channel(f->config, "/ws/cards", "cards");
	assert_channel(f->config, "/ws/cards/1", "cards:1");
	assert_channel(f->config, "/ws/execution", "execution");
	assert_channel(f->config, "/ws/execution/1", "execution:1");
	assert_channel(f->config, "/ws/items", "items");
	assert_channel(f->config, "/ws/items/1", "items:1");
	assert_int_equal(route_table_size(f->config->routes), 6);
}

static void takes_a_route_in_two_lines(void **state)
{
	struct fixture *f = *state;

	assert_loads(f, "routes:\n  - path: /ws/nova/{item_id}\n    channel: nova:{item_id}\n");
	assert_channel(f->config, "/ws/nova/7", "nova:7");
	assert_channel(f->config, "/ws/cards", "cards");
	assert_int_equal(route_table_size(f->config->routes), 7);
}

static void flag_beats_environment_beats_file(void **state)
{
	struct fixture *f = *state;
	const char *environment[] = {"TIDEGATE_WORKERS=3", "TIDEGATE_PING_INTERVAL=3s", NULL};
	const char *flags[] = {"--workers", "4", NULL};

	write_bytes(f->file, "workers: 2\nping_interval: 2s\nlog_level: debug\n", 46);
	assert_int_equal(load(f, f->file, environment, flags), 0);
	assert_int_equal(f->config->workers, 4);
	assert_int_equal(f->config->ping_interval_ms, 3000);
	assert_int_equal(f->config->log_level, LOG_DEBUG);
}

static void finds_its_file_by_variable(void **state)
{
	struct fixture *f = *state;
	char variable[96];
	const char *environment[] = {variable, NULL};

	snprintf(variable, sizeof(variable), "TIDEGATE_CONFIG=%s", f->file);
	write_bytes(f->file, "workers: 2\n", 11);
	assert_int_equal(load(f, NULL, environment, NULL), 0);
	assert_int_equal(f->config->workers, 2);
	strcpy(variable, "TIDEGATE_CONFIG=");
	assert_int_equal(load(f, NULL, environment, NULL), CONFIG_BAD);
	assert_error(f, "TIDEGATE_CONFIG: it is empty: leave it out for no file");
	assert_int_equal(load(f, "", NULL, NULL), CONFIG_BAD);
	assert_error(f, "--config: it is empty: leave it out for no file");
	assert_int_equal(load(f, "/nowhere/t.yaml", NULL, NULL), CONFIG_BAD);
	assert_error(f, "/nowhere/t.yaml: No such file or directory");
	assert_int_equal(load(f, "/dev/zero", NULL, NULL), CONFIG_BAD);
	assert_error(f, "/dev/zero: File too large");
	assert_int_equal(load(f, f->folder, NULL, NULL), CONFIG_BAD);
}

static void reads_durations(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(with_flag(f, "--ping-interval", "500ms")->ping_interval_ms, 500);
	assert_int_equal(with_flag(f, "--ping-interval", "7")->ping_interval_ms, 7000);
	assert_int_equal(with_flag(f, "--ping-interval", "2m")->ping_interval_ms, 120000);
	assert_int_equal(with_flag(f, "--ping-interval", "1h")->ping_interval_ms, 3600000);
	assert_int_equal(with_flag(f, "--shutdown-timeout", "0")->shutdown_timeout_ms, 0);
	static const char *const bad[] = {"s", "-1s", "+1s", " 1s", "1 s", "1.5s", "1S", "99ms", "2h",
		"99999999999999999999", "9999999999999999h"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		char expected[160];

		snprintf(expected, sizeof(expected),
			"--ping-interval: '%s' is not a duration from 100ms to 1h (such as 25s, 2m)", bad[i]);
		assert_refuses_flag(f, "--ping-interval", bad[i], expected);
	}
}

static void reads_sizes_and_numbers(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(with_flag(f, "--message-bytes-max", "4096")->message_bytes_max, 4096);
	assert_int_equal(with_flag(f, "--message-bytes-max", "4096B")->message_bytes_max, 4096);
	assert_int_equal(with_flag(f, "--message-bytes-max", "2KiB")->message_bytes_max, 2048);
	assert_int_equal(with_flag(f, "--outbox-bytes-max", "1GiB")->outbox_bytes_max, 1073741824);
	assert_refuses_flag(f, "--message-bytes-max", "2KB",
		"--message-bytes-max: '2KB' is not a size from 128B to 16MiB (such as 4096, 16KiB, 1MiB)");
	assert_refuses_flag(f, "--workers", "257", "--workers: '257' is not a number from 0 to 64");
	assert_refuses_flag(f, "--workers", "1s", "--workers: '1s' is not a number from 0 to 64");
	assert_refuses_flag(
		f, "--workers", "4294967297", "--workers: '4294967297' is not a number from 0 to 64");
	assert_refuses_flag(
		f, "--subscriptions-max", "0", "--subscriptions-max: '0' is not a number from 1 to 100000");
}

static void reads_addresses(void **state)
{
	struct fixture *f = *state;
	static const struct {
		const char *text, *host;
		int port;
	} good[] = {{":8081", "0.0.0.0", 8081}, {"8081", "0.0.0.0", 8081}, {"[::]:8081", "::", 8081},
		{"localhost:1", "localhost", 1}, {"10.0.0.1:65535", "10.0.0.1", 65535}, {":0", "0.0.0.0", 0},
		{"[::1]:0", "::1", 0}, {"gate-1.example:80", "gate-1.example", 80}};
	static const char *const bad_host[] = {"::1:8080", "[::1:8080", "[]:1", "[localhost]:1",
		"256.0.0.1:1", "1.2.3:1", "a b:1", "a/b:1", "[::]", "[:1"};
	static const char *const bad_port[] = {
		":", "localhost", "localhost:", ":65536", ":-1", ":+1", ":1x", ": 1"};
	char expected[160];

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		struct config *config = with_flag(f, "--listen", good[i].text);

		assert_string_equal(config->listen.host, good[i].host);
		assert_int_equal(config->listen.port, good[i].port);
	}
	for (size_t i = 0; i < sizeof(bad_host) / sizeof(bad_host[0]); i++) {
		snprintf(expected, sizeof(expected),
			"--listen: '%s' is not an address (HOST:PORT, :PORT or [IPv6]:PORT)", bad_host[i]);
		assert_refuses_flag(f, "--listen", bad_host[i], expected);
	}
	for (size_t i = 0; i < sizeof(bad_port) / sizeof(bad_port[0]); i++) {
		snprintf(expected, sizeof(expected),
			"--listen: '%s' is not an address: the port is a number from 0 to 65535",
			bad_port[i]);
		assert_refuses_flag(f, "--listen", bad_port[i], expected);
	}
}

static void reads_lists(void **state)
{
	struct fixture *f = *state;
	char **proxies;

	proxies = with_flag(f, "--trusted-proxies", "10.0.0.0/8, ::1 ,fd00::/8")->trusted_proxies;
	assert_string_equal(proxies[0], "10.0.0.0/8");
	assert_string_equal(proxies[1], "::1");
	assert_string_equal(proxies[2], "fd00::/8");
	assert_null(proxies[3]);
	assert_null(with_flag(f, "--topics", "none")->topics[0]);
	assert_loads(f, "topics: none\n");
	assert_null(f->config->topics[0]);
	assert_loads(f, "topics: [a, b]\ntrusted_proxies:\n  - 10.0.0.1\n");
	assert_string_equal(f->config->topics[1], "b");
	assert_loads(f, "topics: []\n");
	assert_null(f->config->topics[0]);
	assert_refuses_flag(f, "--trusted-proxies", "10.0.0.0/33",
		"--trusted-proxies: '10.0.0.0/33' is not an IP address or a CIDR block (such as 10.0.0.0/8)");
	assert_refuses_flag(f, "--trusted-proxies", "10.0.0.1,",
		"--trusted-proxies: '' is not an IP address or a CIDR block (such as 10.0.0.0/8)");
	assert_refuses_flag(
		f, "--topics", "a,b:c", "--topics: 'b:c' is not a topic (1 to 128 of A-Z a-z 0-9 . _ ~ -)");
	assert_refuses_flag(f, "--topics", "a,b,a", "--topics: 'a' is not there once only");
	assert_refuses_flag(
		f, "--topics", "tg", "--topics: 'tg' is not free for a topic: it is Tidegate's own");
	assert_loads(f, "topics: a, b\n");
	assert_string_equal(f->config->topics[0], "a");
	assert_string_equal(f->config->topics[1], "b");
	assert_null(f->config->topics[2]);
	assert_refuses(f, "\ntopics: a,b:c\n",
		"t.yaml:2: topics: 'b:c' is not a topic (1 to 128 of A-Z a-z 0-9 . _ ~ -)");
	assert_refuses(f, "\ntopics: {a: b}\n", "t.yaml:2: topics is a list: [a, b], or one '- …' a line");
}

static void takes_no_more_items_than_a_list_has_room_for(void **state)
{
	struct fixture *f = *state;
	char list[3 * 300];
	char *end = list;

	for (int i = 0; i < 257; i++)
		end = stpcpy(end, i > 0 ? ",::" : "::");
	assert_refuses_flag(f, "--trusted-proxies", list, "--trusted-proxies: more than 256 in one list");
	list[strlen(list) - 3] = '\0';
	with_flag(f, "--trusted-proxies", list);
}

static void default_routes_can_be_off(void **state)
{
	struct fixture *f = *state;

	assert_loads(f, "default_routes: false\nroutes:\n- {path: /a, channel: a}\n");
	assert_int_equal(route_table_size(f->config->routes), 1);
	assert_no_route(f->config, "/ws/cards");
	assert_refuses(f, "default_routes: maybe\n",
		"t.yaml:1: default_routes: 'maybe' is not true or false (or on, off, yes, no)");
}

static void topics_make_routes(void **state)
{
	struct fixture *f = *state;

	with_flag(f, "--topics", "orders");
	assert_channel(f->config, "/ws/orders", "orders");
	assert_channel(f->config, "/ws/orders/1", "orders:1");
	assert_channel(f->config, "/ws/cards", "cards");
	assert_channel(f->config, "/ws/execution/1", "execution:1");
	assert_no_route(f->config, "/ws/cards/1");
	assert_no_route(f->config, "/ws/items");
}

static void a_route_of_the_file_replaces_a_default(void **state)
{
	struct fixture *f = *state;

	assert_loads(f, "routes:\n- path: /ws/execution/{run}\n  channels: [\"run:{run}\", runs]\n"
			"- path: /ws/cards\n  channel: board\n");
	assert_channel(f->config, "/ws/execution/1", "run:1");
	assert_channel(f->config, "/ws/cards", "board");
	assert_int_equal(route_table_size(f->config->routes), 6);
	assert_true(prints(f->config, "t.yaml:2\n"));
}

/* May a connection by this path subscribe to it, whom nobody knows? */
static bool may(const struct route_table *routes, const char *path, const char *channel)
{
	struct route_match match;

	assert_int_equal(route_table_match(routes, path, strlen(path), &match), 0);
	return access_may_subscribe(routes, &match, slice_of(channel));
}

static void says_who_may_subscribe(void **state)
{
	struct fixture *f = *state;
	const struct route_table *routes;

	assert_loads(f, "routes:\n"
			"- {path: /a, channel: a}\n"
			"- {path: /b, channel: b, subscribe: none}\n"
			"- {path: /c, channel: c, subscribe: [\"x:{id}\", b]}\n"
			"- {path: /d, channels: [], subscribe: any}\n");
	routes = f->config->routes;
	assert_true(may(routes, "/a", "b"));
	assert_false(may(routes, "/a", "x:1"));
	assert_false(may(routes, "/b", "a"));
	assert_true(may(routes, "/c", "x:1"));
	assert_false(may(routes, "/c", "a"));
	assert_true(may(routes, "/d", "cards:1"));
	assert_refuses(f, "routes:\n- path: /a\n  channel: a\n  subscribe: all\n",
		"t.yaml:4: subscribe is 'any', 'none' or a list of channels");
}

static void refuses_two_routes_of_one_shape_with_both_lines(void **state)
{
	assert_refuses(*state, "routes:\n- path: /a/{x}\n  channel: a\n\n- path: /a/{y}\n  channel: b\n",
		"t.yaml:5: path '/a/{y}' matches the same paths as '/a/{x}' in line 2");
}

static void refuses_bad_templates_where_they_stand(void **state)
{
	struct fixture *f = *state;

	assert_refuses(f, "routes:\n- path: /a/{id}\n  channel: a:{di}\n",
		"t.yaml:3: channel 'a:{di}': {di} is no variable of the path");
	assert_refuses(f, "routes:\n- path: /a/{id}/{id}\n  channel: a\n",
		"t.yaml:2: path '/a/{id}/{id}': {id} is in it twice");
	assert_refuses(f, "routes:\n- channel: a\n  path: a\n", "t.yaml:3: path 'a': a path starts with '/'");
	assert_refuses(f, "routes:\n- path: /a\n  channels:\n  - a\n  - a b\n",
		"t.yaml:5: channel 'a b': each part is a {variable} or 1 to 128 of A-Z a-z 0-9 . _ ~ -, not "
		"'.' or '..'");
	assert_refuses(f, "routes:\n- path: /a\n  channels:\n  - a\n  - b\n  - a\n",
		"t.yaml:6: channel 'a': it is there twice");
	assert_refuses(f, "routes:\n- path: /a\n  channel: a\n  subscribe:\n  - b\n  - tg:x\n",
		"t.yaml:6: channel 'tg:x': names that start with 'tg:' are reserved");
}

static void says_it_in_one_line_whatever_it_quotes(void **state)
{
	assert_refuses(*state, "routes:\n- path: /a\n  channel: \"{a\\n\\e[2J}\"\n",
		"t.yaml:3: channel '{a??[2J}': a variable's name is letters, digits and '_', not starting "
		"with a digit");
}

static void refuses_unknown_keys(void **state)
{
	struct fixture *f = *state;

	assert_refuses(f, "routes:\n- path: /a\n  chanel: a\n",
		"t.yaml:3: unknown key 'chanel' in a route: did you mean 'channel'? (known: path, channel, "
		"channels, subscribe, auth, access, ids, slow, compression, history, actions, messages, "
		"presence, lifecycle, sse)");
	assert_refuses(f, "routes:\n- path: /a\n  \"qu\\nux\": a\n",
		"t.yaml:3: unknown key 'qu?ux' in a route (known: path, channel, channels, subscribe, auth, "
		"access, ids, slow, compression, history, actions, messages, presence, lifecycle, sse)");
	assert_int_equal(load_yaml(f, "\nlisten: :1\nping_intervall: 3s\n"), CONFIG_BAD);
	assert_non_null(strstr(buf_text(&f->error), "t.yaml:3: unknown key 'ping_intervall': did you mean "
						    "'ping_interval'? (known: listen, admin, "));
	assert_int_equal(load_yaml(f, "<<: {a: b}\n"), CONFIG_BAD);
	assert_int_equal(load_yaml(f, "[a]: b\n"), CONFIG_BAD);
}

static void refuses_a_key_twice(void **state)
{
	assert_refuses(*state, "workers: 1\nlisten: :1\nworkers: 2\n",
		"t.yaml:3: key 'workers' is there twice, first in line 1");
	assert_refuses(*state, "routes:\n- path: /a\n  channel: a\n  path: /b\n",
		"t.yaml:4: key 'path' in a route is there twice, first in line 2");
	assert_refuses(*state, "routes:\n- path: /a\n  channel: a\n  channels: [b]\n",
		"t.yaml:4: a route has 'channel' or 'channels', not both");
}

static void refuses_wrong_types(void **state)
{
	struct fixture *f = *state;

	assert_refuses(f, "- a\n", "t.yaml:1: the file is 'key: value' lines, with a space behind the colon");
	assert_refuses(
		f, "just text\n", "t.yaml:1: the file is 'key: value' lines, with a space behind the colon");
	assert_refuses(f, "workers: [1]\n", "t.yaml:1: workers is one text, not a list");
	assert_refuses(f, "workers:\n", "t.yaml:1: workers: it is empty: leave it out for what is default");
	assert_refuses(f, "routes: {path: /a}\n", "t.yaml:1: routes is a list: one '- path: …' a route");
	assert_refuses(f, "routes:\n- /a\n", "t.yaml:2: a route is '- path: …' and 'channel: …' below it");
	assert_refuses(f, "routes:\n- path: /a\n",
		"t.yaml:2: a route needs a 'channel' (or 'channels', which may be [])");
	assert_refuses(f, "routes:\n- channel: a\n", "t.yaml:2: a route needs a 'path'");
	assert_refuses(f, "routes:\n- path: /a/{id}\n  channels: [b, a:{id}]\n",
		"t.yaml:3: not YAML: found unexpected ':', while scanning a plain scalar that starts in line "
		"3; "
		"inside [ ] put quotes around what has {braces}");
	assert_refuses(f, "routes:\n- path: /a/{id}\n  channels: [b, {id}]\n",
		"t.yaml:3: channels is one text: put quotes around what has {braces}");
	assert_refuses(f, "redis: \"a\\0b\"\n", "t.yaml:1: redis has a NUL character in it");
}

static void refuses_what_is_not_yaml(void **state)
{
	struct fixture *f = *state;

	assert_refuses(f, "workers: 1\nlisten: [\n",
		"t.yaml:3: not YAML: did not find expected node content, while parsing a flow node that "
		"starts in line 3; is a [ or { not closed, or a text that starts with one without quotes?");
	assert_int_equal(load_yaml(f, "workers: 1\n\tlisten: a\n"), CONFIG_BAD);
	assert_non_null(strstr(buf_text(&f->error), "t.yaml:2: not YAML: "));
	assert_int_equal(load_yaml(f, "workers: 1\nlisten: \xff\n"), CONFIG_BAD);
	assert_non_null(strstr(buf_text(&f->error), "t.yaml:2: not YAML: "));
	assert_int_equal(load_yaml(f, "workers: *nobody\n"), CONFIG_BAD);
	assert_non_null(strstr(buf_text(&f->error), "t.yaml:1: not YAML: "));
	assert_refuses(f, "workers: 1\n---\nworkers: 2\n",
		"t.yaml:3: a second document starts here; one is all that is read");
}

static void assert_says_empty(struct fixture *f, int r)
{
	assert_int_equal(r, CONFIG_BAD);
	if (!strstr(buf_text(&f->error), ": it is empty: leave it out for "))
		fail_msg("%s", buf_text(&f->error));
}

/* What libyaml's scanner met is not what its user did. */
static void says_what_to_do_about_a_slip_in_yaml(void **state)
{
	static const char *const rows[][2] = {
		{"listen: :80\n\tadmin: :1\n", "t.yaml:2: not YAML: found a tab character that violates "
					       "indentation, while scanning a plain scalar that starts in "
					       "line 1; YAML is indented with spaces"},
		{"# \xc3\xa4\nroutes:\n\t- path: /a\n",
			"t.yaml:3: not YAML: found character that cannot start any "
			"token, while scanning for the next token that starts in "
			"line 3; it is a tab, and YAML is indented with spaces"},
		{"listen: @x\n",
			"t.yaml:1: not YAML: found character that cannot start any token, while scanning "
			"for the next token that starts in line 1; put quotes around the text"},
		{"channel_prefix: app1:\n",
			"t.yaml:1: not YAML: mapping values are not allowed in this context; "
			"put quotes around a text with ': ' in it or ':' at its end"},
		{"listen: { }\n", "t.yaml:1: listen is one text, not a mapping of keys"},
		{"listen:\n  host: a\n  port: 1\n", "t.yaml:2: listen is one text, not a mapping of keys"},
		{"listen: ~\n", "t.yaml:1: listen: it is empty: leave it out for what is default"},
		{"routes:\n- path: /a/{id}\n  channel: {id}\n",
			"t.yaml:3: channel is one text: put quotes around what has {braces}"},
		{"routes:\n- path: /a\n  channel: ~\n", "t.yaml:3: channel is empty"},
		{"routes:\n- path: /a\n  channels: [~]\n", "t.yaml:3: channels is empty"},
		{"routes:\n- path: null\n  channel: a\n", "t.yaml:2: path is empty"},
		{"listen:1\n", "t.yaml:1: the file is 'key: value' lines, with a space behind the colon"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_refuses(*state, rows[i][0], rows[i][1]);
}

static void merges_and_skips_what_is_the_writers_own(void **state)
{
	struct fixture *f = *state;
	const struct route *route;

	assert_loads(f, "x-slow: &slow {slow: drop_oldest, history: on}\nx-note: {any: [thing]}\nroutes:\n"
			"- {<<: *slow, path: /a, channel: a, history: off, x-owner: us}\n"
			"- {<<: [{compression: on, slow: disconnect}, *slow], path: /b, channel: b}\n"
			"- {<<: {compression: on}, <<: *slow, path: /c, channel: c}\n"
			"- {<<: [*slow, *slow], path: /d, channel: d}\n");
	route = route_table_get(f->config->routes, 0);
	assert_int_equal(route_slow(route)->policy, SLOW_DROP_OLDEST);
	assert_int_equal(route_history(route)->size, 0); /* what is written counts more, wherever it stands */
	route = route_table_get(f->config->routes, 1);
	assert_int_equal(route_slow(route)->policy, SLOW_DISCONNECT);
	assert_true(route_compresses(route) && route_history(route)->size == 1000);
	assert_true(route_compresses(route_table_get(f->config->routes, 2)));
	assert_int_equal(route_slow(route_table_get(f->config->routes, 2))->policy, SLOW_DROP_OLDEST);
	assert_loads(f, "<<: {workers: 3, log_level: debug}\nworkers: 4\n");
	assert_int_equal(f->config->workers, 4);
	assert_int_equal(f->config->log_level, LOG_DEBUG);
	assert_int_equal(
		load_yaml(f, "x-a: &a {compresion: on}\nroutes:\n- {<<: *a, path: /a, channel: a}\n"),
		CONFIG_BAD);
	assert_non_null(strstr(buf_text(&f->error), "t.yaml:1: unknown key 'compresion' in a route"));
	assert_refuses(
		f, "routes:\n- {<<: 3, path: /a}\n", "t.yaml:2: << takes a mapping, or a list of mappings");
	assert_refuses(f, "routes:\n- &a {<<: *a, path: /a, channel: a}\n",
		"t.yaml:2: too much is merged here with <<");
	assert_refuses(f, "x-a: &a {path: /a, path: /b}\nroutes:\n- {<<: *a, channel: a}\n",
		"t.yaml:1: key 'path' in a route is there twice, first in line 1");
}

static void refuses_an_empty_option(struct fixture *f, const struct option *option)
{
	struct buf text = {0};

	buf_printf(&text, "%s: # nothing\n", option->name);
	assert_says_empty(f, load_yaml(f, buf_text(&text)));
	buf_reset(&text);
	buf_append_str(&text, "TIDEGATE_");
	option_variable(option, &text);
	buf_append_char(&text, '=');
	assert_says_empty(f, load(f, NULL, (const char *[]){buf_text(&text), NULL}, NULL));
	text.len--;
	buf_printf(&text, "_FILE=%s", f->file);
	write_bytes(f->file, "\n", 1);
	assert_says_empty(f, load(f, NULL, (const char *[]){buf_text(&text), NULL}, NULL));
	buf_deinit(&text);
}

/* What a template that found nothing leaves behind, wherever it stands. */
static void refuses_an_empty_value(void **state)
{
	struct fixture *f = *state;

	for (size_t i = 0; i < N_OPTIONS; i++)
		refuses_an_empty_option(f, &options[i]);
	assert_refuses(f, "redis: ''\n",
		"t.yaml:1: redis: it is empty: leave it out for what is default, or say 'memory'");
	assert_refuses_flag(f, "--admin-token", "",
		"--admin-token: it is empty: leave it out for what is default, or say 'none'");
	assert_refuses(
		f, "routes:\n- path: /a\n  channels:\n", "t.yaml:3: channels is empty: write [] for none");
}

static void says_nothing_in_a_word(void **state)
{
	struct fixture *f = *state;
	const char *environment[] = {"TIDEGATE_REDIS=memory", "TIDEGATE_TOPICS=none",
		"TIDEGATE_TRUSTED_PROXIES=none", "TIDEGATE_CHANNEL_PREFIX=none", "TIDEGATE_ADMIN_TOKEN=none",
		NULL};
	const char *yaml =
		"redis: redis://h\ntrusted_proxies: ['::1']\nchannel_prefix: 'a:'\nadmin_token: t\n";

	write_bytes(f->file, yaml, strlen(yaml));
	assert_int_equal(load(f, f->file, environment, NULL), 0);
	assert_string_equal(f->config->redis, "");
	assert_string_equal(f->config->channel_prefix, "");
	assert_string_equal(f->config->admin_token, "");
	assert_null(f->config->topics[0]);
	assert_null(f->config->trusted_proxies[0]);
	assert_true(prints(f->config, "\nredis                    memory "));
}

static void takes_an_empty_file(void **state)
{
	assert_loads(*state, "");
	assert_loads(*state, "# nothing\n");
	assert_loads(*state, "---\n");
	assert_loads(*state, "routes:\n");
	assert_loads(*state, "redis: memory\n");
}

static void follows_aliases_but_not_into_themselves(void **state)
{
	struct fixture *f = *state;
	struct buf deep = {0};

	assert_loads(f, "topics: &t [a, b]\nping_interval: &d 3s\npong_timeout: *d\nroutes:\n"
			"- {path: /x, channels: *t}\n");
	assert_int_equal(f->config->pong_timeout_ms, 3000);
	assert_channel(f->config, "/x", "a");
	assert_refuses(f, "routes: &r [*r]\n", "t.yaml:1: a route is '- path: …' and 'channel: …' below it");
	assert_refuses(f, "routes:\n- &m\n  path: /a\n  channels: [*m]\n",
		"t.yaml:2: channels is one text, not a mapping of keys");
	assert_int_equal(load_yaml(f, "&a [*a]: b\n"), CONFIG_BAD);
	for (int i = 0; i < 2000; i++)
		buf_append_char(&deep, '[');
	assert_int_equal(load_yaml(f, buf_text(&deep)), CONFIG_BAD);
	buf_deinit(&deep);
}

static void refuses_unknown_flags_and_variables(void **state)
{
	struct fixture *f = *state;

	assert_refuses_flag(f, "--listne", "1", "unknown option '--listne': did you mean --listen?");
	assert_refuses_flag(
		f, "--ping_interval", "1", "unknown option '--ping_interval': did you mean --ping-interval?");
	assert_refuses_flag(f, "--colour", "1", "unknown option '--colour'");
	assert_refuses_flag(f, "--listen", NULL, "--listen: it needs a value");
	assert_refuses_variable(f, "TIDEGATE_LISTNE=:1",
		"environment: unknown variable 'TIDEGATE_LISTNE': did you mean TIDEGATE_LISTEN?");
	assert_refuses_variable(f, "TIDEGATE_COLOUR=1", "environment: unknown variable 'TIDEGATE_COLOUR'");
	assert_refuses_variable(f, "TIDEGATE_=1", "environment: unknown variable 'TIDEGATE_'");
	assert_refuses_variable(
		f, "TIDEGATE_WORKERS=many", "TIDEGATE_WORKERS: 'many' is not a number from 0 to 64");
	assert_true(config_is_flag("--ping-interval"));
	assert_false(config_is_flag("--ping_interval"));
	assert_false(config_is_flag("--config"));
	assert_false(config_is_flag("listen"));
}

static void lets_the_variables_of_kubernetes_be(void **state)
{
	struct fixture *f = *state;
	const char *environment[] = {"TIDEGATE_SERVICE_HOST=10.0.0.1", "TIDEGATE_SERVICE_PORT=8080",
		"TIDEGATE_SERVICE_PORT_WS=8080", "TIDEGATE_PORT=tcp://10.0.0.1:8080",
		"TIDEGATE_PORT_8080_TCP=tcp://10.0.0.1:8080", "TIDEGATE_PORT_8080_TCP_ADDR=10.0.0.1",
		"TIDEGATE_REDIS_SERVICE_HOST=10.0.0.2", "TIDEGATE_REDIS_PORT=tcp://10.0.0.2:6379",
		"TIDEGATE_REDIS_PORT_6379_TCP_PROTO=tcp", NULL};

	assert_int_equal(load(f, NULL, environment, NULL), 0);
	assert_refuses_variable(f, "TIDEGATE_PORT=8080", "environment: unknown variable 'TIDEGATE_PORT'");
}

static void reads_a_secret_from_a_file(void **state)
{
	struct fixture *f = *state;
	char variable[96];
	const char *environment[] = {variable, NULL, NULL};

	snprintf(variable, sizeof(variable), "TIDEGATE_REDIS_FILE=%s", f->file);
	write_bytes(f->file, "redis://:secret@127.0.0.1:6379/0\n", 33);
	assert_int_equal(load(f, NULL, environment, NULL), 0);
	assert_string_equal(f->config->redis, "redis://:secret@127.0.0.1:6379/0");
	assert_true(prints(f->config, "  TIDEGATE_REDIS_FILE\n"));

	environment[1] = "TIDEGATE_REDIS=redis://127.0.0.1";
	assert_int_equal(load(f, NULL, environment, NULL), CONFIG_BAD);
	assert_error(f, "TIDEGATE_REDIS and TIDEGATE_REDIS_FILE are both set: leave one out");
	write_bytes(f->file, "redis://\0", 9);
	environment[1] = NULL;
	assert_int_equal(load(f, NULL, environment, NULL), CONFIG_BAD);
	assert_refuses_variable(f, "TIDEGATE_REDIS_FILE=/nowhere",
		"TIDEGATE_REDIS_FILE: '/nowhere': No such file or directory");
}

static void never_shows_a_password(void **state)
{
	struct fixture *f = *state;
	static const char *const urls[] = {"redis://anna:s3cr3t@h:1/2", "redis://:s3cr3t@h",
		"redis://anna:s3cr3t%40x@h:1", "redis://anna:s3cr3t/@h:1", "redis://anna:s3cr3t@@h:1",
		"redis://anna:s3cr3t@h:port", "rediss//anna:s3cr3t@h", "redis://anna:s3cr3t@h:1/x",
		"anna:s3cr3t@h", "redis://h/0?password=s3cr3t"};

	for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
		const char *flags[] = {"--redis", urls[i], NULL};
		struct buf out = {0};

		if (load(f, NULL, NULL, flags) == 0)
			config_print(f->config, NULL, &out);
		if (strstr(buf_text(&out), "s3cr3t") || strstr(buf_text(&f->error), "s3cr3t"))
			fail_msg("%s: shown in '%s' or '%s'", urls[i], buf_text(&out), buf_text(&f->error));
		assert_true(out.len > 0 || f->error.len > 0);
		buf_deinit(&out);
	}
	with_flag(f, "--redis", urls[0]);
	assert_true(prints(f->config, "redis://anna:***@h:1/2 "));
}

static void never_shows_the_admin_token(void **state)
{
	struct fixture *f = *state;
	struct buf out = {0};

	assert_loads(f, "admin_token: sesame-4711\n");
	assert_string_equal(f->config->admin_token, "sesame-4711");
	config_print(f->config, NULL, &out);
	assert_null(strstr(buf_text(&out), "4711"));
	assert_non_null(strstr(buf_text(&out), "***"));
	buf_deinit(&out);
}

static void refuses_a_token_that_no_header_can_carry(void **state)
{
	static const char *const wrong[] = {"'open 4711'", "\"4711\\n\"", "\"4711\\xfc\""};
	struct fixture *f = *state;
	char yaml[64];

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		snprintf(yaml, sizeof(yaml), "admin_token: %s\n", wrong[i]);
		assert_int_equal(load_yaml(f, yaml), CONFIG_BAD);
		assert_null(strstr(buf_text(&f->error), "4711"));
	}
}

/* 0 or CONFIG_BAD. */
static int served(struct fixture *f, const char *yaml)
{
	int r;

	assert_loads(f, yaml);
	buf_reset(&f->error);
	r = config_check_served(f->config, &f->error);
	assert_int_equal(r, f->error.len ? CONFIG_BAD : 0);
	return r;
}

/* The warnings as `check` writes them, one a line. */
static const char *warned(struct fixture *f, const char *yaml)
{
	static char text[2048];
	struct config_warning warnings[CONFIG_WARNINGS_MAX];
	size_t n, len = 0;

	assert_int_equal(served(f, yaml), 0);
	n = config_warnings(f->config, warnings);
	text[0] = '\0';
	for (size_t i = 0; i < n; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s: %s: %s\n", warnings[i].what,
			warnings[i].message, warnings[i].remedy);
	return text;
}

#define SECRET "token_secret: 0123456789abcdef0123456789abcdef\n"

static void says_what_is_open_and_how_to_close_it(void **state)
{
	static const char everything[] =
		"anybody who reaches the public port may read every channel: set "
		"token_secret or token_keys, so that clients need a token; or auth: none, if it is "
		"meant to be open\n";
	struct fixture *f = *state;
	char expected[256];

	snprintf(expected, sizeof(expected), "0.0.0.0:8080: %s", everything);
	assert_string_equal(warned(f, ""), expected);
	snprintf(expected, sizeof(expected), "[::]:80: %s", everything);
	assert_string_equal(warned(f, "listen: '[::]:80'\n"), expected);
	assert_string_equal(warned(f, "listen: 127.0.0.1:80\n"), "");
	assert_string_equal(warned(f, "listen: localhost:80\n"), "");
	assert_string_equal(warned(f, "auth: none\n"), "");
	assert_string_equal(warned(f, "auth: optional\n"), "");
	assert_string_equal(
		warned(f, "default_routes: false\nroutes:\n- {path: /a, channel: a, auth: none}\n"), "");
	assert_non_null(strstr(warned(f, "routes:\n- {path: /a, channel: a, auth: none}\n"), "anybody"));
}

static void says_which_paths_every_token_may_choose(void **state)
{
	struct fixture *f = *state;

	assert_string_equal(warned(f, SECRET "default_routes: false\nroutes:\n"
					     "- {path: '/a/{id}', channel: 'a:{id}'}\n"
					     "- {path: '/b/{id}', channel: 'b:{id}', access: route}\n"
					     "- {path: '/c/{id}', channel: 'c:{id}', access: token}\n"
					     "- {path: '/d/{id}', channel: 'd:{id}', auth: none}\n"
					     "- {path: '/e/{id}', channel: e}\n"
					     "- {path: '/f/{id}', channel: 'f:{id}', auth: optional}\n"),
		"/a/{id}, /f/{id}: whoever has a token may join every id of a path: say it in the route: "
		"access: "
		"token (only what the token lists) or access: route\n");
	assert_string_equal(warned(f, SECRET "default_routes: false\n"), "");
}

static void says_what_else_is_open(void **state)
{
	struct fixture *f = *state;

	assert_string_equal(warned(f, "auth: none\ntoken_query: token\norigins: ['*']\n"),
		"token_query: token: tokens stand in URLs, which proxies and browsers write down: "
		"Authorization, "
		"or the subprotocol tidegate.bearer, where the client can\n"
		"origins: *: pages of every site may connect: name them: origins: [same, "
		"https://app.example.com]\n");
	assert_int_equal(served(f, SECRET "token_cookie: tg\norigins: ['*']\n"), CONFIG_BAD);
	assert_non_null(strstr(
		buf_text(&f->error), "t.yaml:3: '*', 'null' and 'file://' do not go with token_cookie"));
	assert_int_equal(
		served(f, "token_keys: ['https://id.test/jwks']\ndefault_routes: false\n"), CONFIG_BAD);
	assert_non_null(strstr(buf_text(&f->error), "t.yaml:1: keys from a URL are somebody's"));
	assert_string_equal(
		warned(f, "token_keys: ['https://id.test/jwks']\ntoken_issuer: me\ndefault_routes: false\n"),
		"token_keys: https://id.test/jwks: tokens of the same issuer for other services are taken, "
		"too: "
		"token_audience: what aud of a token for this service holds\n");
	assert_string_equal(
		warned(f, "token_keys: ['https://id.test/jwks']\ntoken_issuer: me\ntoken_audience: "
			  "us\ndefault_routes: false\n"),
		"");
}

static void refuses_what_lets_nobody_in(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(served(f, "auth: required\n"), CONFIG_BAD);
	assert_non_null(strstr(buf_text(&f->error), "t.yaml:1: 'required' shuts everybody out"));
	assert_int_equal(served(f, "routes:\n- {path: /a, channel: a, auth: required}\n"), CONFIG_BAD);
	assert_non_null(strstr(buf_text(&f->error), "t.yaml:2: path '/a' lets nobody in without a token"));
	assert_int_equal(served(f, "routes:\n- {path: /a, channel: 'u:{token.sub}'}\n"), CONFIG_BAD);
	assert_int_equal(served(f, "routes:\n- {path: /a, channel: a, access: token}\n"), CONFIG_BAD);
	assert_int_equal(served(f, "routes:\n- {path: /a, channel: a, subscribe: ['u:{token.sub}']}\n"), 0);
	assert_int_equal(
		served(f, SECRET "auth: required\nroutes:\n- {path: /a, channel: 'u:{token.sub}'}\n"), 0);
}

static void wants_a_token_where_others_can_reach_the_admin_listener(void **state)
{
	static const char *const loopback[] = {
		"127.0.0.1:1", "127.8.9.10:1", "'[::1]:1'", "'[::ffff:127.0.0.1]:1'", "localhost:1"};
	static const char *const open[] = {"0.0.0.0:1", ":1", "10.0.0.1:1", "'[::]:1'", "'[fe80::1]:1'",
		"'[::ffff:10.0.0.1]:1'", "gateway:1", "localhost.example.org:1", "128.0.0.1:1"};
	struct fixture *f = *state;
	char yaml[128];

	for (size_t i = 0; i < sizeof(loopback) / sizeof(loopback[0]); i++) {
		snprintf(yaml, sizeof(yaml), "admin: %s\n", loopback[i]);
		assert_int_equal(served(f, yaml), 0);
	}
	for (size_t i = 0; i < sizeof(open) / sizeof(open[0]); i++) {
		snprintf(yaml, sizeof(yaml), "admin: %s\n", open[i]);
		assert_int_equal(served(f, yaml), CONFIG_BAD);
		assert_non_null(strstr(buf_text(&f->error), "TIDEGATE_ADMIN_TOKEN_FILE"));
		snprintf(yaml, sizeof(yaml), "admin: %s\nadmin_token: sesame\n", open[i]);
		assert_int_equal(served(f, yaml), 0);
	}
}

static void checks_the_channel_prefix(void **state)
{
	struct fixture *f = *state;

	assert_string_equal(with_flag(f, "--channel-prefix", "app.1:")->channel_prefix, "app.1:");
	assert_refuses_flag(f, "--channel-prefix", "app*",
		"--channel-prefix: 'app*' is not a prefix: only A-Z a-z 0-9 . _ ~ - : may be in it");
}

static void refuses_contradictions(void **state)
{
	struct fixture *f = *state;

	assert_refuses(f, "admin: :8080\n", "t.yaml:1: listen and admin have the same port");
	assert_refuses_flag(f, "--listen", ":9080", "--listen: listen and admin have the same port");
	assert_loads(f, "listen: 127.0.0.1:80\nadmin: 127.0.0.2:80\n");
	assert_loads(f, "listen: :0\nadmin: :0\n");
	assert_refuses(f, "event_bytes_max: 2MiB\n",
		"t.yaml:1: outbox_bytes_max is less than event_bytes_max: the largest event would disconnect "
		"its readers");
	assert_refuses(f, "proxy_protocol: true\n",
		"t.yaml:1: proxy_protocol lets in nobody but trusted_proxies, and there are none");
	assert_loads(f, "proxy_protocol: true\ntrusted_proxies: [10.0.0.1]\n");
	assert_refuses(f, "message_rate: 10\nmessage_burst: 100000\n",
		"t.yaml:2: message_burst is more than message_rate makes good in 71 minutes");
	assert_refuses(f, "message_rate: 1\nsubscriptions_max: 2148\n",
		"t.yaml:2: twice subscriptions_max, which message_burst is where it is not set, is more than "
		"message_rate makes good in 71 minutes");
	assert_loads(f, "message_rate: 10\nmessage_burst: 42949\n");
	assert_loads(f, "message_rate: 0\nmessage_burst: 100000\n");
	assert_refuses(f, "subscriptions_max: 1\nroutes:\n- path: /a\n  channels: [a, b]\n",
		"t.yaml:3: path '/a' joins 2 channels, subscriptions_max is 1");
}

static void prints_values_with_their_sources(void **state)
{
	struct fixture *f = *state;
	const char *environment[] = {"TIDEGATE_LISTEN=[::]:8000", NULL};
	const char *flags[] = {"--message-bytes-max", "2048", NULL};
	const char *yaml =
		"ping_interval: 90\nroutes:\n- path: /a/{id}\n  channels: [a, \"a:{id}\"]\n  "
		"subscribe: none\n  compression: on\n  history: {size: 50, ttl: 48h, on_gap: close}\n";
	char line[320];

	write_bytes(f->file, yaml, strlen(yaml));
	assert_int_equal(load(f, f->file, environment, flags), 0);
	snprintf(line, sizeof(line), "\nping_interval            90s                            %s:1\n",
		f->file);
	assert_true(prints(f->config, line));
	assert_true(prints(
		f->config, "listen                   [::]:8000                      TIDEGATE_LISTEN\n"));
	assert_true(prints(f->config,
		"\nmessage_bytes_max        2KiB                           --message-bytes-max\n"));
	assert_true(prints(f->config, "\ntrusted_proxies          none                           default\n"));
	assert_true(prints(f->config, "\nredis                    memory                         default\n"));
	snprintf(line, sizeof(line),
		"\n  /a/{id}                       a,a:{id}                  subscribe none  auth none  "
		"access "
		"route  slow disconnect 1MiB 10s  compression on   history 50 2d close  actions off  "
		"presence off  lifecycle off  sse off                            %s:3\n",
		f->file);
	assert_true(prints(f->config, line));
	assert_true(prints(f->config,
		"\n  /ws/cards                     cards                     subscribe "
		"any   auth none  access route  slow disconnect 1MiB "
		"10s  compression off  history off          actions off  presence off  lifecycle off  sse "
		"/sse/cards                     default\n"));
}

static void asks_who_it_is_where_a_route_says_so(void **state)
{
	struct fixture *f = *state;
	const struct route_table *routes;

	assert_loads(f, "routes:\n"
			"- {path: '/a/{id}', channel: 'a:{id}', auth: optional, access: token}\n"
			"- {path: /me, channel: 'user:{token.sub}', auth: required, "
			"subscribe: ['team:{token.https://a.test/team}:{room}']}\n"
			"- {path: /b, channel: b, auth: none, access: route}\n"
			"- {path: /c, channel: c}\n");
	routes = f->config->routes;
	assert_int_equal(route_auth(route_table_get(routes, 0)), ROUTE_AUTH_OPTIONAL);
	assert_int_equal(route_access(route_table_get(routes, 0)), ROUTE_ACCESS_TOKEN);
	assert_int_equal(route_auth(route_table_get(routes, 1)), ROUTE_AUTH_REQUIRED);
	assert_int_equal(route_access(route_table_get(routes, 1)), ROUTE_ACCESS_ROUTE);
	assert_int_equal(route_auth_written(route_table_get(routes, 2)), ROUTE_AUTH_NONE);
	assert_int_equal(route_auth_written(route_table_get(routes, 3)), ROUTE_AUTH_DEFAULT);
	assert_string_equal(route_table_claims(routes)[0], "sub");
	assert_string_equal(route_table_claims(routes)[1], "https://a.test/team");
	assert_null(route_table_claims(routes)[2]);
	assert_true(prints(f->config, "  auth optional  access token  slow "));
	assert_refuses(f, "routes:\n- path: /a\n  channel: a\n  auth: maybe\n",
		"t.yaml:4: auth is 'none', 'optional' or 'required'");
	assert_refuses(f, "routes:\n- path: /a\n  channel: a\n  auth: default\n",
		"t.yaml:4: auth is 'none', 'optional' or 'required'");
	assert_refuses(f, "routes:\n- path: /a\n  channel: a\n  access: all\n",
		"t.yaml:4: access is 'route' or 'token'");
	assert_refuses(f, "routes:\n- path: /a\n  channel: a\n  access: token\n  auth: none\n",
		"t.yaml:4: 'access: token' needs a token, and with 'auth: none' nobody is asked for one");
	assert_refuses(f, "routes:\n- path: /a\n  channels:\n  - a\n  - u:{token.sub}\n  auth: none\n",
		"t.yaml:5: channel 'u:{token.sub}': it needs a token, and with 'auth: none' nobody is asked "
		"for "
		"one");
	assert_refuses(f,
		"routes:\n- path: /a\n  channel: a\n  subscribe:\n  - u:{token.sub}\n  auth: none\n",
		"t.yaml:5: channel 'u:{token.sub}': it needs a token, and with 'auth: none' nobody is asked "
		"for "
		"one");
}

static void compresses_where_a_route_says_so(void **state)
{
	struct fixture *f = *state;
	const char *yaml = "routes:\n- {path: /a, channel: a, compression: on}\n"
			   "- {path: /b, channel: b, compression: 'off'}\n- {path: /c, channel: c}\n";

	assert_int_equal(load_yaml(f, yaml), 0);
	assert_true(route_compresses(route_table_get(f->config->routes, 0)));
	assert_false(route_compresses(route_table_get(f->config->routes, 1)));
	assert_false(route_compresses(route_table_get(f->config->routes, 2)));
	assert_false(route_compresses(route_table_find(f->config->routes, "/ws/cards")));
	assert_refuses(f, "routes:\n- path: /a\n  channel: a\n  compression: gzip\n",
		"t.yaml:4: compression: 'gzip' is not true or false (or on, off, yes, no)");
	assert_refuses(f, "routes:\n- path: /a\n  channel: a\n  compression: [on]\n",
		"t.yaml:4: compression is one text, not a list");
}

#define HISTORY_ROUTE "routes:\n- path: /a/{id}\n  channel: a:{id}\n  history: "

static const struct route_history *with_history(struct fixture *f, const char *history)
{
	char yaml[256];

	snprintf(yaml, sizeof(yaml), HISTORY_ROUTE "%s\n", history);
	assert_loads(f, yaml);
	return route_history(route_table_get(f->config->routes, 0));
}

static void takes_any_ids_where_a_route_says_so(void **state)
{
	struct fixture *f = *state;

	assert_loads(f, "routes:\n- {path: '/a/{id}', channel: 'a:{id}', ids: any}\n"
			"- {path: '/b/{id}', channel: 'b:{id}', ids: plain}\n- {path: '/c/{id}', channel: "
			"'c:{id}'}\n");
	assert_channel(f->config, "/a/a%20b", "a:a%20b");
	assert_true(route_takes_any_ids(route_table_get(f->config->routes, 0)));
	assert_false(route_takes_any_ids(route_table_get(f->config->routes, 1)));
	assert_false(route_takes_any_ids(route_table_get(f->config->routes, 2)));
	assert_true(prints(f->config, "\n  /a/{id} (ids any) "));
	assert_refuses(
		f, "routes:\n- path: /a\n  channel: a\n  ids: wide\n", "t.yaml:4: ids is 'plain' or 'any'");
}

static void says_who_comes_and_goes_where_a_route_says_so(void **state)
{
	struct fixture *f = *state;
	const struct route_lifecycle *lifecycle;

	assert_int_equal(
		load_yaml(f, "redis: redis://db\nroutes:\n- {path: /a, channel: a, lifecycle: sessions}\n"
			     "- {path: /b, channel: b, lifecycle: {stream: ends, size: 5000, events: "
			     "[disconnected, vacated]}}\n- {path: /c, channel: c}\n"),
		0);
	lifecycle = route_lifecycle(route_table_get(f->config->routes, 0));
	assert_string_equal(lifecycle->stream, "sessions");
	assert_int_equal(lifecycle->events, LIFECYCLE_ALL);
	assert_int_equal(lifecycle->size, 100000);
	lifecycle = route_table_lifecycle(f->config->routes, slice_of("b"));
	assert_int_equal(
		lifecycle->events, LIFECYCLE_BIT(LIFECYCLE_DISCONNECTED) | LIFECYCLE_BIT(LIFECYCLE_VACATED));
	assert_int_equal(lifecycle->size, 5000);
	assert_null(route_lifecycle(route_table_get(f->config->routes, 2))->stream);
	assert_null(route_table_lifecycle(f->config->routes, slice_of("c")));
	assert_true(route_table_tells_lifecycle(f->config->routes));
	assert_true(prints(f->config, "  lifecycle sessions 100000 all  "));
	assert_true(prints(f->config, "  lifecycle ends 5000 disconnected vacated  "));
}

static void refuses_a_stream_of_actions_that_stands_in_braces(void **state)
{
	static const char *const streams[] = {"'{shop}:actions'", "'{shop'", "{stream: 'shop}'}"};
	char text[200];

	for (size_t i = 0; i < sizeof(streams) / sizeof(*streams); i++) {
		snprintf(text, sizeof(text),
			"redis: redis://db\nroutes:\n- {path: /a, channel: a, actions: %s}\n", streams[i]);
		assert_refuses(*state, text,
			"t.yaml:3: the stream of actions has no braces, which stand around it in other keys");
	}
}

static void refuses_a_lifecycle_that_cannot_be_said(void **state)
{
	static const struct {
		const char *routes, *sentence;
	} rows[] = {
		{"- {path: /a, channel: a, lifecycle: {stream: s, events: [conected]}}",
			"t.yaml:3: 'conected' is no event of lifecycle (known: connected, disconnected, "
			"occupied, vacated)"},
		{"- {path: /a, channel: a, lifecycle: {stream: s, events: []}}",
			"t.yaml:3: lifecycle without any event says nothing: leave 'events' out for all, or "
			"'lifecycle' "
			"for none"},
		{"- {path: /a, channel: a, lifecycle: {stream: s, events: [vacated, vacated]}}",
			"t.yaml:3: event 'vacated' is there twice"},
		{"- {path: /a, channel: a, lifecycle: {size: 1000}}",
			"t.yaml:3: lifecycle is the name of a stream, or 'stream: …' and more below it"},
		{"- {path: /a, channel: a, lifecycle: {stream: s, size: 5}}",
			"t.yaml:3: size: '5' is not a number from 1000 to 10000000"},
		{"- {path: /a, channel: a, lifecycle: 'x{y}'}",
			"t.yaml:3: the stream of lifecycle has no braces, which stand around it in other "
			"keys"},
		{"- {path: /a, channel: a, lifecycle: 'tg:x'}", "t.yaml:3: the stream of lifecycle does not "
								"begin with 'tg:', which is Tidegate's own"},
		{"- {path: /a, channel: a, lifecycle: ''}",
			"t.yaml:3: the stream of lifecycle is a key in Redis, of 1 to 200 bytes"},
		{"- {path: /a, channels: [], lifecycle: {stream: s, events: [occupied]}}",
			"t.yaml:3: lifecycle has events of channels only, and the route joins no channel"},
		{"- {path: /a, channel: a, lifecycle: s, actions: s}",
			"t.yaml:3: the stream of lifecycle is that of actions: its entries would be taken "
			"for actions"},
		{"- {path: /a, channel: a, actions: s}\n- {path: /b, channel: b, lifecycle: s}",
			"t.yaml:4: lifecycle: stream 's' is that of actions, here or in route '/a'"},
		{"- {path: /a, channel: a, lifecycle: s}\n- {path: /b, channel: a, lifecycle: t}",
			"t.yaml:4: lifecycle: route '/a' says it otherwise of channel 'a'"},
		{"- {path: /a, channel: a, lifecycle: s}\n- {path: /b, channel: b, lifecycle: {stream: s, "
		 "size: 1000}}",
			"t.yaml:4: lifecycle: route '/a' has another size for stream 's'"},
	};
	struct fixture *f = *state;
	char text[400];

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		snprintf(text, sizeof(text), "redis: redis://db\nroutes:\n%s\n", rows[i].routes);
		assert_refuses(f, text, rows[i].sentence);
	}
	assert_refuses(f, "\nroutes:\n- {path: /a, channel: a, lifecycle: s}\n",
		"t.yaml:3: lifecycle is a stream in Redis, and 'redis' names no server");
}

static void streams_where_a_route_says_so(void **state)
{
	struct fixture *f = *state;
	static const struct {
		const char *routes;
		const char *says; /* in what is printed, or why it is refused */
		bool refused;
	} rows[] = {
		{"[{path: /ws/b, channel: b}]", "  sse /sse/b  ", false},
		{"[{path: /ws/b, channel: b, sse: true}]", "  sse /sse/b  ", false},
		{"[{path: /ws/b, channel: b, sse: off}]", "  sse off", false},
		{"[{path: /b, channel: b}]", "  sse off", false},
		{"[{path: /b, channel: b, sse: /events/b}]", "  sse /events/b", false},
		{"[{path: '/ws/{a}/{b}', channel: '{a}:{b}', sse: '/e/{a}/x/{b}'}]", "  sse /e/{a}/x/{b}",
			false},
		{"[{path: /b, channel: b, sse: on}]", "'sse: on' is for paths below /ws/", true},
		{"[{path: /ws/b, channel: b, sse: maybe}]", "sse is 'on', 'off' or a path", true},
		{"[{path: /ws/b, channel: b, sse: /ws/b}]",
			"sse '/ws/b': it matches the same paths as '/ws/b'", true},
		{"[{path: /sse/b, channel: b}, {path: /ws/b, channel: b}]",
			"sse '/sse/b': it matches the same paths as '/sse/b'", true},
		{"[{path: /ws/b, channel: b}, {path: /sse/b, channel: b}]",
			"path '/sse/b': the event streams of '/ws/b' are there", true},
		{"[{path: /ws/b, channel: b}, {path: /c, channel: c, sse: /sse/b}]",
			"sse '/sse/b': the event streams of '/ws/b' are there", true},
		{"[{path: '/ws/{a}', channel: '{a}', sse: '/e/{b}'}]", "it needs the variables of '/ws/{a}'",
			true},
		{"[{path: '/ws/{a}/{b}', channel: '{a}', sse: '/e/{b}/{a}'}]", "in the same order", true},
		{"[{path: '/ws/{a}', channel: '{a}', sse: /e}]", "it needs the variables of '/ws/{a}'", true},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		char text[256];

		snprintf(text, sizeof(text), "routes: %s\n", rows[i].routes);
		assert_int_equal(load_yaml(f, text), rows[i].refused ? CONFIG_BAD : 0);
		if (rows[i].refused)
			assert_non_null(strstr(buf_text(&f->error), rows[i].says));
		else
			assert_true(prints(f->config, rows[i].says));
	}
}

static void keeps_a_history_where_a_route_says_so(void **state)
{
	struct fixture *f = *state;
	const struct route_history *history = with_history(f, "on");

	assert_int_equal(history->size, 1000);
	assert_true(history->ttl_ms == 86400000);
	assert_false(history->close_on_gap);
	assert_true(prints(f->config, "  history 1000 24h  "));
	assert_true(keeps_history(f->config, "a:7"));
	assert_false(keeps_history(f->config, "cards"));
	assert_true(prints(f->config,
		"  history off       actions off  presence off  lifecycle off  sse /sse/cards         "
		"            default\n"));
	history = with_history(f, "{size: 1000000, ttl: 365d, on_gap: close}");
	assert_int_equal(history->size, 1000000);
	assert_true(history->ttl_ms == ROUTE_HISTORY_TTL_MS_MAX);
	assert_true(history->close_on_gap);
	assert_true(prints(f->config, "  history 1000000 365d close  "));
	history = with_history(f, "\n    ttl: 30s\n    on_gap: ignore\n    size: 1");
	assert_int_equal(history->size, 1);
	assert_true(history->ttl_ms == 30000);
	assert_false(history->close_on_gap);
	assert_int_equal(with_history(f, "{}")->size, 1000);
	assert_int_equal(with_history(f, "off")->size, 0);
	assert_loads(f, "");
	for (size_t i = 0; i < route_table_size(f->config->routes); i++)
		assert_int_equal(route_history(route_table_get(f->config->routes, i))->size, 0);
}

/* on and off of routes, true and false of options: nobody remembers which is which. */
static void takes_either_spelling_of_a_truth(void **state)
{
	struct fixture *f = *state;
	static const char *const words[][2] = {{"true", "false"}, {"on", "off"}, {"yes", "no"},
		{"True", "False"}, {"ON", "OFF"}, {"Yes", "No"}};
	char text[160];

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		for (int j = 0; j < 2; j++) {
			const struct route *route;
			bool on = j == 0;

			snprintf(text, sizeof(text), "io_uring: %s\n" HISTORY_ROUTE "%s\n  compression: %s\n",
				words[i][j], words[i][j], words[i][j]);
			assert_loads(f, text);
			route = route_table_get(f->config->routes, 0);
			assert_int_equal(f->config->io_uring, on);
			assert_int_equal(route_history(route)->size, on ? 1000 : 0);
			assert_int_equal(route_compresses(route), on);
			assert_int_equal(with_flag(f, "--metrics-public", words[i][j])->metrics_public, on);
			snprintf(text, sizeof(text), "TIDEGATE_DEFAULT_ROUTES=%s", words[i][j]);
			assert_int_equal(load(f, NULL, (const char *[]){text, NULL}, NULL), 0);
			assert_int_equal(f->config->default_routes, on);
		}
	}
}

static void refuses_what_history_is_not(void **state)
{
	static const char which[] = "history is 'on', 'off', or 'size: …', 'ttl: …' and 'on_gap: …' below it";
	static const struct {
		const char *history;
		const char *error;
	} rows[] = {
		{"always", which},
		{"1000", which},
		{"", which},
		{"[on]", which},
		{"{size: 0}", "size: '0' is not a number from 1 to 1000000"},
		{"{size: 1000001}", "size: '1000001' is not a number from 1 to 1000000"},
		{"{size: [1]}", "size is one text, not a list"},
		{"{ttl: 29s}", "ttl: '29s' is not a duration from 30s to 365d (such as 25s, 2m)"},
		{"{ttl: 366d}", "ttl: '366d' is not a duration from 30s to 365d (such as 25s, 2m)"},
		{"{on_gap: drop}", "on_gap is 'ignore' or 'close'"},
		{"{on_gap: [close]}", "on_gap is one text, not a list"},
		{"{szie: 1}",
			"unknown key 'szie' in history: did you mean 'size'? (known: size, ttl, on_gap)"},
		{"{ttl: 1h, ttl: 2h}", "key 'ttl' in history is there twice, first in line 4"},
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char yaml[256], line[256];

		snprintf(yaml, sizeof(yaml), HISTORY_ROUTE "%s\n", rows[i].history);
		snprintf(line, sizeof(line), "t.yaml:4: %s", rows[i].error);
		assert_refuses(f, yaml, line);
	}
}

/* Where it says so, though the route has another key whose line could be blamed. */
static void refuses_a_history_that_cannot_be_kept(void **state)
{
	struct fixture *f = *state;

	assert_refuses(f,
		HISTORY_ROUTE "on\n- path: /b/{x}\n  channels: [c, \"a:{x}\"]\n"
			      "  history: {size: 9}\n  slow: {policy: latest_by_key, key: k}\n",
		"t.yaml:7: history: route '/a/{id}' has another one for channel 'a:{x}'");
	assert_refuses(f, "routes:\n- path: /a\n  channels: []\n  history: on\n",
		"t.yaml:4: path '/a': it has a history, but joins no channel to keep one of");
	assert_refuses(f,
		HISTORY_ROUTE "on\n- path: /b\n  channel: b\n  slow: {policy: latest_by_key, key: k}\n"
			      "- path: /c\n  channel: b\n  history: on\n"
			      "  slow: {policy: latest_by_key, key: l}\n",
		"t.yaml:11: key 'l': another route has key 'k' for channel 'b'");
}

#define SLOW_ROUTE "routes:\n- path: /a\n  channel: a\n  slow: "

static const struct route_slow *with_slow(struct fixture *f, const char *slow)
{
	char yaml[256];

	snprintf(yaml, sizeof(yaml), SLOW_ROUTE "%s\n", slow);
	assert_loads(f, yaml);
	return route_slow(route_table_get(f->config->routes, 0));
}

static void says_what_happens_to_slow_clients(void **state)
{
	struct fixture *f = *state;
	const struct route_slow *slow;

	assert_int_equal(with_slow(f, "drop_oldest")->policy, SLOW_DROP_OLDEST);
	slow = with_slow(f, "{policy: latest_by_key, key: data.id, bytes: 64KiB, age: 2s}");
	assert_int_equal(slow->policy, SLOW_LATEST_BY_KEY);
	assert_string_equal(slow->key, "data.id");
	assert_int_equal(slow->bytes_max, 65536);
	assert_true(slow->age_max_ms == 2000);
	assert_true(prints(f->config, " slow latest_by_key data.id 64KiB 2s "));
	slow = with_slow(f, "\n    age: none");
	assert_int_equal(slow->policy, SLOW_DISCONNECT);
	assert_int_equal(slow->bytes_max, 0);
	assert_null(slow->key);
	assert_true(slow->age_max_ms == SLOW_AGE_NONE);
	assert_true(prints(f->config, " slow disconnect 1MiB none "));
	with_slow(f, "drop_oldest\noutbox_bytes_max: 2MiB");
	assert_true(prints(f->config, " slow drop_oldest 2MiB 10s "));
}

static void refuses_what_slow_is_not(void **state)
{
	static const struct {
		const char *slow;
		const char *error;
	} rows[] = {
		{"latest_by_key", "latest_by_key needs a 'key': the path of a member, such as data.id"},
		{"{policy: latest_by_key}",
			"latest_by_key needs a 'key': the path of a member, such as data.id"},
		{"{key: a}", "'key' goes with policy latest_by_key only"},
		{"{policy: latest}",
			"'latest' is no policy for slow clients (known: disconnect, drop_oldest, "
			"latest_by_key)"},
		{"no", "'no' is no policy for slow clients (known: disconnect, drop_oldest, latest_by_key)"},
		{"[drop_oldest]", "slow is a policy, or 'policy: …' and more below it"},
		{"{policy: [a]}", "policy is one text, not a list"},
		{"{polcy: a}", "unknown key 'polcy' in slow: did you mean 'policy'? (known: policy, key, "
			       "bytes, age)"},
		{"{age: 1s, age: 2s}", "key 'age' in slow is there twice, first in line 4"},
		{"{policy: latest_by_key, key: a..b}", "key 'a..b' has an empty name in it"},
		{"{policy: latest_by_key, key: [a]}", "key is one text, not a list"},
		{"{bytes: 1KiB}",
			"bytes: '1KiB' is not a size from 4KiB to 1GiB (such as 4096, 16KiB, 1MiB)"},
		{"{age: 99ms}", "age: '99ms' is not a duration from 100ms to 1h (such as 25s, 2m)"},
		{"{age: [1s]}", "age is one text, not a list"},
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char yaml[256], line[256];

		snprintf(yaml, sizeof(yaml), SLOW_ROUTE "%s\n", rows[i].slow);
		snprintf(line, sizeof(line), "t.yaml:4: %s", rows[i].error);
		assert_refuses(f, yaml, line);
	}
	assert_refuses(f,
		SLOW_ROUTE "{policy: latest_by_key, key: a}\n- path: /b\n  channels: [x, a]\n  slow:\n"
			   "    policy: latest_by_key\n    key: b\n",
		"t.yaml:9: key 'b': another route has key 'a' for channel 'a'");
}

static void says_what_needs_a_restart(void **state)
{
	struct fixture *f = *state;
	struct config *running;
	struct buf names = {0};

	with_flag(f, "--redis", "redis://:one@h:1");
	running = f->config;
	f->config = NULL;
	assert_loads(f, "redis: redis://:two@h:1\nlog_level: debug\ntopics: [a]\nlisten: :1\n");
	assert_int_equal(config_restart_needed(running, f->config, &names), 2);
	assert_string_equal(buf_text(&names), "listen, redis");
	assert_int_equal(config_restart_needed(running, running, &names), 0);
	buf_deinit(&names);
	config_free(running);
}

static void make_file(const char *root, const char *folder, const char *name, const char *text)
{
	char path[256];
	char *slash;

	snprintf(path, sizeof(path), "%s%s/%s", root, folder, name);
	for (slash = strchr(path + strlen(root) + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		mkdir(path, 0700);
		*slash = '/';
	}
	write_bytes(path, text, strlen(text));
}

static void remove_tree(const char *root)
{
	char command[64];

	snprintf(command, sizeof(command), "rm -r %s", root);
	assert_int_equal(system(command), 0);
}

static void counts_no_more_cpus_than_the_quota_pays_for(void **state)
{
	char root[] = "/tmp/cpus.XXXXXX";
	unsigned int all = cpus_allowed("/nowhere");

	(void)state;
	assert_true(all >= 1);
	assert_non_null(mkdtemp(root));
	make_file(root, "/proc/self", "cgroup", "0::/a/b\n");
	assert_int_equal(cpus_allowed(root), all);
	make_file(root, "/sys/fs/cgroup/a/b", "cpu.max", "max 100000\n");
	assert_int_equal(cpus_allowed(root), all);
	make_file(root, "/sys/fs/cgroup/a", "cpu.max", "190000 100000\n");
	assert_int_equal(cpus_allowed(root), 1); /* the group above counts, fractions do not */
	make_file(root, "/sys/fs/cgroup/a", "cpu.max", "10000 100000\n");
	assert_int_equal(cpus_allowed(root), 1); /* at least one */
	make_file(root, "/sys/fs/cgroup/a", "cpu.max", "9900000 100000\n");
	assert_int_equal(cpus_allowed(root), all < 99 ? all : 99);
	make_file(root, "/proc/self", "cgroup", "0::/\n");
	make_file(root, "/sys/fs/cgroup", "cpu.max", "100000 100000\n");
	assert_int_equal(
		cpus_allowed(root), 1); /* as in a container: its group is the root of what it sees */
	make_file(root, "/proc/self", "cgroup", "5:cpuset:/\n4:cpu,cpuacct:/docker/x\nrubbish\n:\n");
	assert_int_equal(cpus_allowed(root), all);
	make_file(root, "/sys/fs/cgroup/cpu", "cpu.cfs_quota_us", "150000\n");
	make_file(root, "/sys/fs/cgroup/cpu", "cpu.cfs_period_us", "100000\n");
	assert_int_equal(cpus_allowed(root), 1);
	make_file(root, "/sys/fs/cgroup/cpu", "cpu.cfs_quota_us", "-1\n");
	assert_int_equal(cpus_allowed(root), all);
	remove_tree(root);
}

static void suggests_only_what_is_near(void **state)
{
	static const char *const known[] = {"path", "channel", "channels"};

	(void)state;
	assert_string_equal(suggest("chanel", known, 3), "channel");
	assert_string_equal(suggest("channals", known, 3), "channels");
	assert_string_equal(suggest("pth", known, 3), "path");
	assert_null(suggest("colour", known, 3));
	assert_null(suggest("", known, 3));
	assert_null(suggest("channelchannelchannelchannelchannelchannel", known, 3));
}

/* The file of the repository, found from where this one was compiled; NULL when that is gone. */
static char *repository_file(const char *name)
{
	char path[512];
	FILE *file;
	char *text = NULL;
	size_t size = 0;

	snprintf(path, sizeof(path), "%.*s%s", (int)(strlen(__FILE__) - strlen("tests/unit/test_config.c")),
		__FILE__, name);
	file = fopen(path, "r");
	if (!file)
		return NULL;
	if (getdelim(&text, &size, '\0', file) < 0)
		fail_msg("%s cannot be read", path);
	fclose(file);
	return text;
}

/* What deploy/tidegate.yaml marks with a star: a packaged gateway has a Redis, and drains. */
static bool is_marked_in_the_example(size_t option)
{
	return option == OPTION_redis || option == OPTION_drain_delay || option == OPTION_drain_time;
}

static void the_example_has_every_default(void **state)
{
	struct fixture *f = *state;
	char *yaml = repository_file("deploy/tidegate.yaml");
	struct config *defaults;

	if (!yaml)
		skip();
	assert_int_equal(load(f, NULL, NULL, NULL), 0);
	defaults = f->config;
	f->config = NULL;
	assert_loads(f, yaml);
	for (size_t i = 0; i < N_OPTIONS; i++) {
		char key[64];

		snprintf(key, sizeof(key), "\n%s: ", options[i].name);
		if (!strstr(yaml, key))
			fail_msg("%s is not in the example", options[i].name);
		if (option_equal(&options[i], defaults, f->config) == is_marked_in_the_example(i))
			fail_msg("%s is not what the example says of it", options[i].name);
	}
	config_free(defaults);
	assert_true(keeps_history(f->config, "cards"));
	assert_true(keeps_history(f->config, "execution:7"));
	assert_false(keeps_history(f->config, "cards:7"));
	free(yaml);
}

static void the_manual_has_every_option(void **state)
{
	char *manual = repository_file("docs/configuration.md");
	struct buf row = {0};

	(void)state;
	if (!manual)
		skip();
	for (size_t i = 0; i < N_OPTIONS; i++) {
		buf_reset(&row);
		buf_printf(&row, "| `%s` | ", options[i].name);
		buf_printf(&row, "`%s` | ", options[i].fallback);
		buf_printf(&row, "%s | %s |", options[i].effect == OPTION_RELOAD ? "reload" : "restart",
			options[i].help);
		if (!strstr(manual, buf_text(&row)))
			fail_msg("the manual has no row '%s'", buf_text(&row));
	}
	buf_deinit(&row);
	free(manual);
}

static void help_names_every_option(void **state)
{
	struct buf out = {0};

	(void)state;
	config_help("*", &out);
	assert_non_null(strstr(buf_text(&out), "  --config FILE\n"));
	assert_non_null(strstr(buf_text(&out), "  --ping-interval DURATION\n"));
	assert_non_null(strstr(buf_text(&out), "default 25s; TIDEGATE_PING_INTERVAL\n"));
	buf_deinit(&out);
}

#define with_folder(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_folder(has_a_default_for_everything),
		with_folder(takes_a_route_in_two_lines),
		with_folder(flag_beats_environment_beats_file),
		with_folder(finds_its_file_by_variable),
		with_folder(reads_durations),
		with_folder(reads_sizes_and_numbers),
		with_folder(reads_addresses),
		with_folder(reads_lists),
		with_folder(takes_no_more_items_than_a_list_has_room_for),
		with_folder(default_routes_can_be_off),
		with_folder(topics_make_routes),
		with_folder(a_route_of_the_file_replaces_a_default),
		with_folder(says_who_may_subscribe),
		with_folder(refuses_two_routes_of_one_shape_with_both_lines),
		with_folder(refuses_bad_templates_where_they_stand),
		with_folder(says_it_in_one_line_whatever_it_quotes),
		with_folder(refuses_unknown_keys),
		with_folder(refuses_a_key_twice),
		with_folder(refuses_wrong_types),
		with_folder(refuses_what_is_not_yaml),
		with_folder(says_what_to_do_about_a_slip_in_yaml),
		with_folder(merges_and_skips_what_is_the_writers_own),
		with_folder(refuses_an_empty_value),
		with_folder(says_nothing_in_a_word),
		with_folder(takes_an_empty_file),
		with_folder(follows_aliases_but_not_into_themselves),
		with_folder(refuses_unknown_flags_and_variables),
		with_folder(lets_the_variables_of_kubernetes_be),
		with_folder(reads_a_secret_from_a_file),
		with_folder(never_shows_a_password),
		with_folder(never_shows_the_admin_token),
		with_folder(refuses_a_token_that_no_header_can_carry),
		with_folder(says_what_is_open_and_how_to_close_it),
		with_folder(says_which_paths_every_token_may_choose),
		with_folder(says_what_else_is_open),
		with_folder(refuses_what_lets_nobody_in),
		with_folder(wants_a_token_where_others_can_reach_the_admin_listener),
		with_folder(checks_the_channel_prefix),
		with_folder(refuses_contradictions),
		with_folder(prints_values_with_their_sources),
		with_folder(asks_who_it_is_where_a_route_says_so),
		with_folder(compresses_where_a_route_says_so),
		with_folder(takes_any_ids_where_a_route_says_so),
		with_folder(keeps_a_history_where_a_route_says_so),
		with_folder(says_who_comes_and_goes_where_a_route_says_so),
		with_folder(refuses_a_stream_of_actions_that_stands_in_braces),
		with_folder(refuses_a_lifecycle_that_cannot_be_said),
		with_folder(streams_where_a_route_says_so),
		with_folder(takes_either_spelling_of_a_truth),
		with_folder(refuses_what_history_is_not),
		with_folder(refuses_a_history_that_cannot_be_kept),
		with_folder(says_what_happens_to_slow_clients),
		with_folder(refuses_what_slow_is_not),
		with_folder(says_what_needs_a_restart),
		cmocka_unit_test(counts_no_more_cpus_than_the_quota_pays_for),
		cmocka_unit_test(suggests_only_what_is_near),
		with_folder(the_example_has_every_default),
		cmocka_unit_test(the_manual_has_every_option),
		cmocka_unit_test(help_names_every_option),
	};

	return cmocka_run_group_tests_name("config", tests, NULL, NULL);
}
