/*
 * Plan: words into numbers, all of them checked before anything is opened.
 *
 * Each option is a row: its name, what it takes, its help and the function that takes it. Each refusal is one
 * line that names the option.
 */

#include "bench/plan.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/event.h"
#include "bench/window.h"
#include "core/buf.h"

enum {
	CONNECTIONS_MAX = 1000000,
	CHANNELS_MAX = 1000000,
	PAYLOAD_MAX = 1 << 20, /* the gateway's own default bound for an event */
	RATE_MAX = 1000000,
	NUMBER_LEN = 10, /* of a 32-bit number, written out */
};

struct option_row {
	const char *name;
	const char *takes; /* NULL: nothing */
	int (*take)(struct plan *plan, const char *value);
	const char *help;
};

/* 0, or -1: no number between min and max. */
static int number(const char *value, double min, double max, double *outp)
{
	char *end;

	errno = 0;
	*outp = strtod(value, &end);
	return !*value || isspace((unsigned char)*value) || *end || errno || !isfinite(*outp) ||
			       *outp < min || *outp > max
		       ? -1
		       : 0;
}

static int whole(const char *value, double min, double max, uint32_t *outp)
{
	double d;

	if (number(value, min, max, &d) < 0 || d != (double)(uint32_t)d)
		return -1;
	*outp = (uint32_t)d; /* it fits: min and max of every caller do */
	return 0;
}

static int take_url(struct plan *plan, const char *value)
{
	int r;

	if (plan->n_urls == PLAN_URLS_MAX)
		return -1;
	r = ws_url_parse(&plan->urls[plan->n_urls], value);
	plan->n_urls += r == 0;
	return r;
}

/* No byte that would end a line of the request, or a word in it. */
static int check_line(const char *value)
{
	for (const char *c = value; *c; c++)
		if (*c <= ' ' || *c == 0x7f)
			return -1;
	return 0;
}

/* Room for the largest number, one {n} at most, and no byte that would end a request line. */
static int check_template(const char *value)
{
	const char *n = strstr(value, "{n}");

	if (strlen(value) + NUMBER_LEN >= PLAN_NAME_MAX || (n && strstr(n + 1, "{n}")))
		return -1;
	return check_line(value);
}

static int take_path(struct plan *plan, const char *value)
{
	plan->path = value;
	return value[0] == '/' ? check_template(value) : -1;
}

static int take_channel(struct plan *plan, const char *value)
{
	plan->channel = value;
	return *value ? check_template(value) : -1;
}

static int take_redis(struct plan *plan, const char *value)
{
	plan->redis = value;
	return 0;
}

static int take_token(struct plan *plan, const char *value)
{
	return ws_token_read(value, plan->token);
}

static int take_actions(struct plan *plan, const char *value)
{
	plan->actions = value;
	return *value ? check_line(value) : -1;
}

static int take_workers(struct plan *plan, const char *value)
{
	return whole(value, 1, PLAN_WORKERS_MAX, &plan->n_workers);
}

static int take_connections(struct plan *plan, const char *value)
{
	return whole(value, 1, CONNECTIONS_MAX, &plan->n_connections);
}

static int take_channels(struct plan *plan, const char *value)
{
	return whole(value, 1, CHANNELS_MAX, &plan->n_channels);
}

static int take_slow(struct plan *plan, const char *value)
{
	return whole(value, 0, CONNECTIONS_MAX, &plan->n_slow);
}

static int take_threads(struct plan *plan, const char *value)
{
	plan->processes = false;
	return whole(value, 1, PLAN_CROWDS_MAX, &plan->n_crowds);
}

static int take_processes(struct plan *plan, const char *value)
{
	plan->processes = true;
	return whole(value, 1, PLAN_CROWDS_MAX, &plan->n_crowds);
}

static int take_opening(struct plan *plan, const char *value)
{
	return whole(value, 1, CONNECTIONS_MAX, &plan->opening_max);
}

/* A count of addresses from 127.0.0.1 on, or A.B.C.D, or A.B.C.D-E. */
static int take_sources(struct plan *plan, const char *value)
{
	uint32_t first = INADDR_LOOPBACK, last, n;
	const char *dash = strchr(value, '-');
	char start[INET_ADDRSTRLEN];
	struct in_addr address;

	if (!strchr(value, '.')) {
		if (whole(value, 1, PLAN_SOURCES_MAX - 1, &n) < 0)
			return -1;
		last = first + n - 1;
	} else {
		n = (uint32_t)(dash ? (size_t)(dash - value) : strlen(value));
		if (n >= sizeof(start))
			return -1;
		memcpy(start, value, n);
		start[n] = '\0';
		if (inet_pton(AF_INET, start, &address) != 1)
			return -1;
		first = last = ntohl(address.s_addr);
		if (dash && (whole(dash + 1, first & 0xff, 255, &n) < 0))
			return -1;
		if (dash)
			last = (first & 0xffffff00) | n;
	}
	for (plan->n_sources = 0; first + plan->n_sources <= last; plan->n_sources++)
		plan->sources[plan->n_sources] = first + plan->n_sources;
	return 0;
}

static int take_window(struct plan *plan, const char *value)
{
	uint32_t n;

	if (whole(value, 1, WINDOW_MAX, &n) < 0)
		return -1;
	plan->window = n;
	plan->rate = 0;
	return 0;
}

static int take_rate(struct plan *plan, const char *value)
{
	plan->window = 0;
	return number(value, 0.01, RATE_MAX, &plan->rate);
}

static int take_duration(struct plan *plan, const char *value)
{
	return number(value, 0.01, 1e6, &plan->duration_s);
}

static int take_warmup(struct plan *plan, const char *value)
{
	return number(value, 0, 1e6, &plan->warmup_s);
}

static int take_payload(struct plan *plan, const char *value)
{
	uint32_t n;

	if (whole(value, EVENT_LEN_MIN, PAYLOAD_MAX, &n) < 0)
		return -1;
	plan->payload = n;
	return 0;
}

static int take_server_pid(struct plan *plan, const char *value)
{
	uint32_t pid;

	if (plan->n_servers == PLAN_SERVERS_MAX || whole(value, 1, INT32_MAX, &pid) < 0)
		return -1;
	plan->servers[plan->n_servers++] = (int)pid;
	return 0;
}

static int take_limit(struct plan *plan, const char *value)
{
	if (!strcmp(value, "each"))
		plan->limit = PLAN_LIMIT_EACH;
	else if (!strcmp(value, "coalesced"))
		plan->limit = PLAN_LIMIT_COALESCED;
	else if (!strcmp(value, "uring"))
		plan->limit = PLAN_LIMIT_URING;
	else
		return -1;
	return 0;
}

static int take_cpu(const char *value, int *cpup)
{
	uint32_t cpu;

	if (whole(value, 0, 1023, &cpu) < 0)
		return -1;
	*cpup = (int)cpu;
	return 0;
}

static int take_limit_cpu(struct plan *plan, const char *value)
{
	return take_cpu(value, &plan->limit_cpu);
}

static int take_client_cpu(struct plan *plan, const char *value)
{
	return take_cpu(value, &plan->client_cpu);
}

static int take_open_only(struct plan *plan, const char *value)
{
	(void)value;
	plan->open_only = true;
	return 0;
}

static int take_storm(struct plan *plan, const char *value)
{
	(void)value;
	plan->storm = true;
	return 0;
}

static int take_deflate(struct plan *plan, const char *value)
{
	(void)value;
	plan->deflate = true;
	return 0;
}

static int take_history(struct plan *plan, const char *value)
{
	(void)value;
	plan->history = true;
	return 0;
}

static int take_sse(struct plan *plan, const char *value)
{
	(void)value;
	plan->sse = true;
	return 0;
}

static int take_json(struct plan *plan, const char *value)
{
	(void)value;
	plan->json = true;
	return 0;
}

/* clang-format off */
static const struct option_row rows[] = {
	{"url", "URL", take_url, "where a gateway listens; default ws://127.0.0.1:8080; wss://: its certificate is not checked; may be repeated"},
	{"path", "TEMPLATE", take_path, "the endpoint; {n} becomes the channel's number; default one of this run's own"},
	{"channel", "TEMPLATE", take_channel, "what it joins, such as items:{n}; both or neither"},
	{"redis", "URL", take_redis, "where to publish; default redis://127.0.0.1:6379"},
	{"actions", "STREAM", take_actions, "clients ask, by a --path that carries actions to this stream, and workers of ours answer"},
	{"workers", "N", take_workers, "of these workers; default 1"},
	{"connections", "N", take_connections, "how many clients; default 1000"},
	{"channels", "N", take_channels, "how many channels they are spread over, round robin; default 1"},
	{"token", "TOKEN|FILE", take_token, "what every client shows as Authorization: Bearer; a file keeps it out of `ps`"},
	{"sources", "N|A.B.C.D[-E]", take_sources,
		"local addresses to connect from, as one has ports for 28,000; N: 127.0.0.1 and up"},
	{"slow", "N", take_slow, "so many of the clients never read; default 0"},
	{"threads", "N", take_threads, "threads of the clients; default 1"},
	{"processes", "N", take_processes, "processes of the clients instead, each with the open files that one may have"},
	{"opening", "N", take_opening, "handshakes under way at a time; default 128"},
	{"window", "N", take_window, "events in flight: the next goes when all have the oldest; default 64"},
	{"rate", "R", take_rate, "events a second instead; latency counts from when an event was due"},
	{"duration", "SECONDS", take_duration, "of what is measured; default 10"},
	{"warmup", "SECONDS", take_warmup, "before it; default 2"},
	{"payload", "BYTES", take_payload, "of one event's whole JSON, at least 100; default 150"},
	{"history", NULL, take_history, "publish into the logs of channels whose route has a history; what is due at once for a channel, in one call"},
	{"deflate", NULL, take_deflate, "offer permessage-deflate"},
	{"sse", NULL, take_sse, "clients hear server-sent events; --path is that of the stream"},
	{"server-pid", "PID", take_server_pid, "a process to charge CPU and memory to; may be repeated"},
	{"open-only", NULL, take_open_only, "open the connections, measure that, publish nothing"},
	{"storm", NULL, take_storm,
		"at the end all clients are cut off at once and come back with their positions, while events go on through the channels' logs"},
	{"limit", "VARIANT", take_limit,
		"against a bare server of its own; each: one send per event and client; coalesced: per read and client; "
		"uring: as each, many in one call of io_uring"},
	{"limit-cpu", "N", take_limit_cpu, "pin that server to a CPU"},
	{"client-cpu", "N", take_client_cpu, "pin the bench itself to a CPU"},
	{"json", NULL, take_json, "print nothing but the JSON line"},
	{"help", NULL, NULL, "this page"},
};
/* clang-format on */

enum {
	N_ROWS = sizeof(rows) / sizeof(rows[0]),
};

static void print_help(void)
{
	fputs("Usage: tidegate bench [OPTION...]\n\n"
	      "Opens connections, publishes through Redis, and counts what arrives. Prints a table and, as "
	      "its last\n"
	      "line, JSON. Ends with 1 if an event was lost, doubled or reordered. With --actions clients "
	      "ask "
	      "instead,\nworkers answer through Redis, and it ends with 1 if an action was lost, or answered "
	      "or "
	      "carried out twice.\n\nOptions:\n",
		stdout);
	for (size_t i = 0; i < N_ROWS; i++) {
		char left[64];

		snprintf(left, sizeof(left), "--%s %s", rows[i].name, rows[i].takes ? rows[i].takes : "");
		printf("  %-24s %s\n", left, rows[i].help);
	}
}

/* One line, whatever the word is made of. */
static int refuse(const char *sentence, const char *word, const char *remark)
{
	struct buf line = {0};

	buf_printf(&line, "tidegate: bench: %s ", sentence);
	buf_append_json_string(&line, word, strlen(word));
	buf_printf(&line, " (%s)\n", remark ? remark : "try: tidegate bench --help");
	fputs(line.failed ? "tidegate: bench: out of memory\n" : buf_text(&line), stderr);
	buf_deinit(&line);
	return PLAN_WRONG;
}

static int refuse_value(const struct option_row *row, const char *value)
{
	char sentence[80];

	snprintf(sentence, sizeof(sentence), "--%s takes %s, not", row->name, row->takes);
	return refuse(sentence, value, row->help);
}

static int take_words(struct plan *plan, int argc, char **argv)
{
	struct option options[N_ROWS + 1] = {0};
	int r, index = 0;

	for (size_t i = 0; i < N_ROWS; i++)
		options[i] = (struct option){
			rows[i].name, rows[i].takes ? required_argument : no_argument, NULL, 1};
	opterr = 0;
	optind = 1;
	while ((r = getopt_long(argc, argv, ":", options, &index)) != -1) {
		if (r == ':')
			return refuse("a value is missing after", argv[optind - 1], NULL);
		if (r != 1)
			return refuse("unknown option", argv[optind - 1], NULL);
		if (!rows[index].take) {
			print_help();
			return PLAN_HELP;
		}
		if (rows[index].take(plan, optarg) < 0)
			return refuse_value(&rows[index], optarg);
	}
	return optind < argc ? refuse("unexpected word", argv[optind], NULL) : 0;
}

/*
 * Without a word about it nobody else's clients may hear of a measurement, nor may two measurements hear each
 * other: the channels are of this process alone.
 */
static void take_own_channels(struct plan *plan)
{
	snprintf(plan->own_path, sizeof(plan->own_path), "/%s/execution/bench-%d-{n}",
		plan->sse ? "sse" : "ws", (int)getpid());
	snprintf(plan->own_channel, sizeof(plan->own_channel), "execution:bench-%d-{n}", (int)getpid());
	plan->path = plan->path ? plan->path : plan->own_path;
	plan->channel = plan->channel ? plan->channel : plan->own_channel;
}

/* Likewise, where clients ask. */
static int check_actions(struct plan *plan)
{
	if (!plan->path)
		return refuse("where do clients ask? Say", "--path",
			"one whose route has actions: {stream: STREAM}");
	if (plan->limit || plan->open_only || plan->n_slow || plan->n_crowds > 1 || plan->sse || plan->storm)
		return refuse("nothing to do here have --limit, --open-only, --slow, --threads, "
			      "--processes, --sse and --storm beside",
			"--actions", NULL);
	return 0;
}

/* A window would wait for clients that are away. */
static int check_storm(const struct plan *plan)
{
	if (!plan->storm)
		return 0;
	if (plan->limit || plan->open_only || plan->n_slow || plan->sse || plan->deflate)
		return refuse(
			"nothing to do here have --limit, --open-only, --slow, --sse and --deflate beside",
			"--storm", NULL);
	return plan->window ? refuse("events go on at a --rate beside", "--storm", NULL) : 0;
}

/* What single options cannot see. */
static int check(struct plan *plan)
{
	if (plan->actions)
		return check_actions(plan);
	if (!plan->limit && !plan->open_only && !plan->path != !plan->channel)
		return refuse("one without the other is heard by nobody:",
			plan->path ? "--path" : "--channel", "say both, --path and --channel, or neither");
	take_own_channels(plan);
	if (plan->n_slow > plan->n_connections)
		return refuse("more clients are slow than there are:", "--slow", NULL);
	if (!plan->open_only && plan->n_channels > plan_n_readers(plan))
		return refuse("each channel needs a client that reads:", "--channels", NULL);
	if (plan->n_channels > 1 && !plan->limit && !strstr(plan->path, "{n}"))
		return refuse("several channels need {n} in", "--path", NULL);
	if (plan->n_channels > 1 && !plan->limit && !plan->open_only && !strstr(plan->channel, "{n}"))
		return refuse("several channels need {n} in", "--channel", NULL);
	if (plan->history && plan->limit)
		return refuse("nothing to do here has --limit beside", "--history", NULL);
	if (plan->sse && (plan->limit || plan->deflate))
		return refuse("nothing to do here have --limit and --deflate beside", "--sse", NULL);
	for (uint32_t i = 1; i < plan->n_urls; i++)
		if (plan->urls[i].tls != plan->urls[0].tls)
			return refuse("all of them are with TLS, or none:", "--url", NULL);
	if (plan->limit && plan->urls[0].tls)
		return refuse("the server that is the limit speaks no TLS:", "--limit", NULL);
	for (uint32_t i = 0; plan->n_sources && i < plan->n_urls; i++)
		if (plan->urls[i].server.ss_family != AF_INET)
			return refuse("source addresses are IPv4, and so must be", "--url", NULL);
	return check_storm(plan);
}

int plan_parse(struct plan *plan, int argc, char **argv)
{
	int r;

	*plan = (struct plan){
		.redis = "redis://127.0.0.1:6379",
		.n_connections = 1000,
		.n_channels = 1,
		.n_crowds = 1,
		.n_workers = 1,
		.opening_max = 128,
		.window = 64,
		.duration_s = 10,
		.warmup_s = 2,
		.payload = 150,
		.limit_cpu = -1,
		.client_cpu = -1,
	};
	r = take_words(plan, argc, argv);
	if (r == 0 && plan->n_urls == 0 && take_url(plan, "ws://127.0.0.1:8080") < 0)
		return refuse("cannot resolve", "127.0.0.1", NULL);
	return r ? r : check(plan);
}

size_t plan_expand(const char *template, uint32_t n, char out[PLAN_NAME_MAX])
{
	const char *hole = strstr(template, "{n}");

	if (!hole)
		return (size_t)snprintf(out, PLAN_NAME_MAX, "%s", template);
	return (size_t)snprintf(
		out, PLAN_NAME_MAX, "%.*s%u%s", (int)(hole - template), template, n, hole + 3);
}

const struct ws_url *plan_url(const struct plan *plan, uint32_t connection)
{
	/* Of one channel every n_channels-th: by the number alone they might all be of one gateway. */
	uint32_t n = connection % plan->n_channels + connection / plan->n_channels;

	return &plan->urls[n % plan->n_urls];
}

uint32_t plan_source(const struct plan *plan, uint32_t connection)
{
	return plan->sources[connection / plan->n_urls % plan->n_sources];
}
