/*
 * `tidegate status`: how a gateway is, and the others of its Redis, as a page for people.
 *
 * Colours are for terminals, and only where something is wrong or right at a glance. --json prints the answer
 * of the admin API as it came.
 */

#include "cli/cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/admin_client.h"
#include "cli/json_at.h"
#include "core/buf.h"
#include "protocol/json.h"

enum {
	TEXT_MAX_BYTES = 96,
	LABEL_WIDTH = 13,
};

enum colour {
	PLAIN,
	GOOD,
	BAD,
	BOLD,
	N_COLOURS,
};

struct page {
	struct slice status; /* of the node that was asked */
	struct slice nodes;  /* the whole answer of /nodes */
	bool colours;
};

static bool wants_colours(void)
{
	const char *no_color = getenv("NO_COLOR"); /* https://no-color.org */
	const char *terminal = getenv("TERM");

	return isatty(STDOUT_FILENO) && !(no_color && *no_color) && !(terminal && !strcmp(terminal, "dumb"));
}

static void paint(const struct page *page, enum colour colour, const char *text)
{
	static const char *const codes[N_COLOURS] = {"", "\033[32m", "\033[31m", "\033[1m"};

	if (page->colours && colour != PLAIN)
		printf("%s%s\033[0m", codes[colour], text);
	else
		fputs(text, stdout);
}

static void label(const char *text)
{
	printf("%-*s", LABEL_WIDTH, text);
}

/* 12,345,678 */
static const char *grouped(double value, char out[32])
{
	char digits[32];
	size_t len, n = 0;

	snprintf(digits, sizeof(digits), "%.0f", value);
	len = strlen(digits);
	for (size_t i = 0; i < len && n < 30; i++) {
		if (i && (len - i) % 3 == 0 && digits[i - 1] != '-')
			out[n++] = ',';
		out[n++] = digits[i];
	}
	out[n] = '\0';
	return out;
}

/* 1.2 MiB */
static const char *bytes(double value, char out[32])
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
	size_t i = 0;

	for (; value >= 1024 && i + 1 < sizeof(units) / sizeof(units[0]); i++)
		value /= 1024;
	snprintf(out, 32, i ? "%.1f %s" : "%.0f %s", value, units[i]);
	return out;
}

/* 3d 4h, 4h 5m, 5m 6s, 6s */
static const char *duration(double seconds, char out[32])
{
	unsigned long s = (unsigned long)seconds;

	if (s >= 86400)
		snprintf(out, 32, "%lud %luh", s / 86400, s / 3600 % 24);
	else if (s >= 3600)
		snprintf(out, 32, "%luh %lum", s / 3600, s / 60 % 60);
	else if (s >= 60)
		snprintf(out, 32, "%lum %lus", s / 60, s % 60);
	else
		snprintf(out, 32, "%lus", s);
	return out;
}

static const char *latency(struct slice status, const char *path, char out[32])
{
	struct slice value = json_at(status, path);

	if (!value.data || value.data[0] == 'n')
		snprintf(out, 32, "-");
	else
		snprintf(out, 32, "%.2f ms", json_number_at(status, path) * 1000);
	return out;
}

static bool is_true(struct slice text, const char *path)
{
	return json_is_true(json_at(text, path));
}

static void print_node(const struct page *page)
{
	struct slice s = page->status;
	char text[TEXT_MAX_BYTES], a[32], b[32];
	bool ready = is_true(s, "ready");

	label("node");
	paint(page, BOLD, json_text_at(s, "node", text, sizeof(text)));
	printf("  tidegate %s", json_text_at(s, "version", text, sizeof(text)));
	printf(" on %s, up %s\n", json_text_at(s, "host", text, sizeof(text)),
		duration(json_number_at(s, "uptime_seconds"), a));
	label("state");
	if (is_true(s, "draining"))
		paint(page, BAD, "draining");
	else
		paint(page, ready ? GOOD : BAD, ready ? "ready" : "not ready");
	printf(", %s ", json_text_at(s, "broker.kind", text, sizeof(text)));
	printf("%s", json_text_at(s, "broker.state", text, sizeof(text)));
	if (*json_text_at(s, "broker.address", text, sizeof(text)))
		printf(" at %s", text);
	if (*json_text_at(s, "broker.note", text, sizeof(text)))
		printf(" (%s)", text);
	if (ready && json_at(s, "redis_probe_seconds").data)
		printf(", probe %s", latency(s, "redis_probe_seconds", b));
	if (*json_text_at(s, "broker.reason", text, sizeof(text)))
		printf(": %s", text);
	putchar('\n');
}

static void print_server(const struct page *page, struct slice server)
{
	char address[TEXT_MAX_BYTES], text[TEXT_MAX_BYTES], a[32];
	bool ready = strcmp(json_text_at(server, "state", text, sizeof(text)), "ready") == 0;

	label("");
	printf("%-24s ", json_text_at(server, "address", address, sizeof(address)));
	paint(page, ready ? GOOD : BAD, ready ? "ready" : "away ");
	printf(", %s channels", grouped(json_number_at(server, "n_channels"), a));
	if (json_at(server, "probe_seconds").data)
		printf(", probe %s", latency(server, "probe_seconds", a));
	if (json_number_at(server, "n_reconnects") > 0)
		printf(", lost %s times", grouped(json_number_at(server, "n_reconnects"), a));
	if (*json_text_at(server, "master", text, sizeof(text)))
		printf(", named %s by %.0f of %.0f sentinels", text,
			json_number_at(server, "n_sentinels_voting"), json_number_at(server, "n_sentinels"));
	if (*json_text_at(server, "reason", text, sizeof(text)))
		printf(": %s", text);
	putchar('\n');
}

/* Of one server the line about the state says all, unless sentinels name it. */
static void print_servers(const struct page *page)
{
	struct slice servers = json_at(page->status, "broker.servers"), server;
	size_t pos = 0;

	if (is_true(page->status, "broker.urls_differ")) {
		label("");
		paint(page, BAD, "another gateway has another list of Redis servers, or another order");
		putchar('\n');
	}
	if (json_at(page->status, "broker.master").data)
		print_server(page, json_at(page->status, "broker"));
	while (json_is_array(servers) && json_array_next(servers, &pos, &server))
		print_server(page, server);
}

static void print_load(const struct page *page)
{
	struct slice s = page->status;
	char a[32], b[32], c[32];

	label("clients");
	printf("%s of %s connections, %s subscriptions, %s channels, %s queued\n",
		grouped(json_number_at(s, "connections"), a),
		grouped(json_number_at(s, "connections_max"), (char[32]){0}),
		grouped(json_number_at(s, "subscriptions"), b), grouped(json_number_at(s, "channels"), c),
		bytes(json_number_at(s, "queued_bytes"), (char[32]){0}));
	if (json_number_at(s, "presence_users") > 0) {
		label("presence");
		printf("%s users of channels are here\n", grouped(json_number_at(s, "presence_users"), a));
	}
	label("memory");
	printf("%s of %s, ", bytes(json_number_at(s, "memory.bytes"), a),
		bytes(json_number_at(s, "memory.max_bytes"), b));
	paint(page, strcmp(json_text_at(s, "memory.stage", c, sizeof(c)), "plenty") == 0 ? GOOD : BAD, c);
	putchar('\n');
	label("now");
	printf("%s events/s, %s messages/s, %s/s, delivery p50 %s, p99 %s\n",
		grouped(json_number_at(s, "pulse.events_per_second"), a),
		grouped(json_number_at(s, "pulse.messages_per_second"), b),
		bytes(json_number_at(s, "pulse.bytes_per_second"), c),
		latency(s, "pulse.delivery_p50_seconds", (char[32]){0}),
		latency(s, "pulse.delivery_p99_seconds", (char[32]){0}));
	label("since start");
	printf("%s events, %s messages, %s sent, %s dropped\n",
		grouped(json_number_at(s, "totals.events"), a),
		grouped(json_number_at(s, "totals.messages_sent"), b),
		bytes(json_number_at(s, "totals.sent_bytes"), c),
		grouped(json_number_at(s, "totals.messages_dropped"), (char[32]){0}));
	label("refused");
	printf("%s events, %s handshakes\n", grouped(json_number_at(s, "totals.events_dropped"), a),
		grouped(json_number_at(s, "totals.handshakes_refused"), b));
}

/* Where clients ask anything of backends. */
static void print_actions(const struct page *page)
{
	struct slice s = page->status;
	double sent = json_number_at(s, "totals.actions_sent"),
	       refused = json_number_at(s, "totals.actions_refused");
	char a[32], b[32], c[32];

	if (!sent && !refused)
		return;
	label("actions");
	printf("%s answered of %s, %s timed out, %s refused, %s abandoned\n",
		grouped(json_number_at(s, "totals.actions_answered"), a), grouped(sent, b),
		grouped(json_number_at(s, "totals.actions_timed_out"), c), grouped(refused, (char[32]){0}),
		grouped(json_number_at(s, "totals.actions_abandoned"), (char[32]){0}));
}

/* Prints the configuration in force, and whether a newer one was refused, which an operator has to know. */
static void print_config(const struct page *page)
{
	struct slice s = page->status;
	char text[4 * TEXT_MAX_BYTES];

	label("config");
	printf("%s", *json_text_at(s, "config_file", text, sizeof(text)) ? text : "no file");
	if (*json_text_at(s, "last_reload.time", text, sizeof(text)))
		printf(", read at %s", text);
	if (json_at(s, "last_reload").data && !is_true(s, "last_reload.successful")) {
		fputs(", ", stdout);
		paint(page, BAD, "a newer one was refused");
		if (*json_text_at(s, "last_reload.reason", text, sizeof(text)))
			printf(": %s", text);
	}
	putchar('\n');
}

static void print_row(const struct page *page, struct slice node)
{
	char id[TEXT_MAX_BYTES], host[TEXT_MAX_BYTES], where[TEXT_MAX_BYTES], a[32], b[32], c[32], d[32];
	bool good = is_true(node, "ready");
	const char *state = is_true(node, "draining") ? "draining" : good ? "ready" : "not ready";

	/* The port distinguishes several gateways on one host. */
	snprintf(where, sizeof(where), "%.18s:%.0f", json_text_at(node, "host", host, sizeof(host)),
		json_number_at(node, "port"));
	printf("%-18.16s%-25.24s", json_text_at(node, "node", id, sizeof(id)), where);
	paint(page, good ? GOOD : BAD, state);
	printf("%*s%12s%12s%14s%12s%10s\n", (int)(10 - strlen(state)), "",
		grouped(json_number_at(node, "connections"), a),
		grouped(json_number_at(node, "pulse.events_per_second"), b),
		grouped(json_number_at(node, "pulse.messages_per_second"), c),
		latency(node, "pulse.delivery_p99_seconds", d),
		duration(json_number_at(node, "uptime_seconds"), (char[32]){0}));
}

static void print_nodes(const struct page *page)
{
	struct slice nodes = json_at(page->nodes, "nodes"), node;
	char message[2 * TEXT_MAX_BYTES];
	size_t pos = 0;

	printf("\n%-18s%-25s%-10s%12s%12s%14s%12s%10s\n", "NODE", "HOST", "STATE", "CONNECTIONS", "EVENTS/S",
		"MESSAGES/S", "P99", "UP");
	while (json_is_array(nodes) && json_array_next(nodes, &pos, &node))
		print_row(page, node);
	if (*json_text_at(page->nodes, "message", message, sizeof(message)))
		printf("%s\n", message);
}

/* The first of the list is the node that was asked, as it is now. */
static void print_page(struct slice answer)
{
	struct slice nodes = json_at(answer, "nodes");
	struct page page = {.nodes = answer, .colours = wants_colours()};
	size_t pos = 0;

	if (json_is_array(nodes))
		(void)json_array_next(nodes, &pos, &page.status);
	print_node(&page);
	print_servers(&page);
	print_load(&page);
	print_actions(&page);
	print_config(&page);
	print_nodes(&page);
}

int cli_status(const struct config *config, bool as_json)
{
	struct buf answer = {0}, error = {0};
	int status = admin_request_whole(config, "/nodes", NULL, 0, &answer, &error);
	int r = status != 200;

	if (r)
		fprintf(stderr, "tidegate: status: %s\n",
			buf_text(&error) ? buf_text(&error) : "out of memory");
	else if (as_json)
		fwrite(answer.data, 1, answer.len, stdout);
	else
		print_page(buf_slice(&answer));
	buf_deinit(&answer);
	buf_deinit(&error);
	return r || fflush(stdout) ? 1 : 0;
}
