/* `tidegate action`: asks a backend for something as a client does, and prints its answer. */

#include "cli/cli.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/json_at.h"
#include "config/config.h"
#include "core/buf.h"
#include "core/clock.h"
#include "protocol/json.h"
#include "protocol/message.h"
#include "ws_client/ws_link.h"
#include "ws_client/ws_token.h"
#include "ws_client/ws_url.h"

enum {
	OPEN_TIMEOUT_MS = 5000,
	KEY_MAX = 64,       /* as a gateway takes it */
	SENTENCE_MAX = 512, /* of what a backend says went wrong */
	ID_DIGITS_MAX = 15,
	EXIT_UNKNOWN = 3, /* it may have been carried out */
};

struct asking {
	const struct cli_action *wanted;
	struct ws_url url;
	struct ws_link_options options;
	uint64_t timeout_ms; /* without an answer, or a further part of one */
	char token[WS_TOKEN_SIZE];
	struct buf id; /* as it stands in the message */
	struct buf message;
};

static int fail(const char *sentence, int status)
{
	fprintf(stderr, "tidegate: action: %s\n", sentence);
	return status;
}

/* --- what is asked --- */

/* Where a gateway with this configuration listens. */
static void own_url(const struct config *config, struct buf *out)
{
	const char *host = config->listen.host;

	if (!*host || !strcmp(host, "0.0.0.0"))
		host = "127.0.0.1";
	if (!strcmp(host, "::"))
		host = "::1";
	buf_printf(out, strchr(host, ':') ? "%s://[%s]:%u" : "%s://%s:%u",
		*config->tls.certificate ? "wss" : "ws", host, config->listen.port);
}

static int find_gateway(struct asking *asking, const struct config *config)
{
	struct buf url = {0};
	int r;

	if (asking->wanted->url)
		buf_append_str(&url, asking->wanted->url);
	else
		own_url(config, &url);
	r = buf_text(&url) && ws_url_parse(&asking->url, buf_text(&url)) == 0
		    ? 0
		    : fail("--url takes ws://HOST:PORT or wss://HOST:PORT, of a host that can be resolved",
			      EXIT_USAGE);
	buf_deinit(&url);
	return r;
}

/* A whole number is one in the message, too; all else a text. */
static void write_id(struct buf *out, const char *id)
{
	size_t n = strspn(id, "0123456789");

	if (n && !id[n] && n <= ID_DIGITS_MAX && (id[0] != '0' || n == 1))
		buf_append_str(out, id);
	else
		buf_append_json_string(out, id, strlen(id));
}

static bool is_path(const char *path)
{
	for (const char *c = path; *c; c++)
		if (!isgraph((unsigned char)*c) || *c == '#')
			return false;
	return path[0] == '/';
}

static int check_words(const struct cli_action *wanted)
{
	bool is_object;

	if (!is_path(wanted->path))
		return fail("the path begins with / and has no spaces: /ws/cards", EXIT_USAGE);
	if (json_check(wanted->json, strlen(wanted->json), MESSAGE_DEPTH_MAX, NULL, 0, &is_object))
		return fail("the second word is no JSON", EXIT_USAGE);
	if (wanted->key && (!*wanted->key || strlen(wanted->key) > KEY_MAX))
		return fail("--key takes 1 to 64 bytes", EXIT_USAGE);
	return 0;
}

static int prepare(struct asking *asking, const struct config *config)
{
	const struct cli_action *wanted = asking->wanted;
	struct buf error = {0};
	int r = check_words(wanted);

	if (r == 0)
		r = find_gateway(asking, config);
	if (r == 0 && wanted->token && ws_token_read(wanted->token, asking->token) < 0)
		r = fail("--token takes a token, or the name of a file that has one", EXIT_USAGE);
	if (r == 0 && config_duration(wanted->timeout, &asking->timeout_ms, &error))
		r = fail(buf_text(&error) ? buf_text(&error) : "--timeout takes a duration", EXIT_USAGE);
	buf_deinit(&error);
	if (r)
		return r;
	asking->options = (struct ws_link_options){
		.url = &asking->url,
		.path = wanted->path,
		.token = asking->token,
		.ca = wanted->ca,
		.timeout_ms = OPEN_TIMEOUT_MS,
	};
	write_id(&asking->id, wanted->id);
	buf_printf(&asking->message, "{\"type\":\"action\",\"id\":%s",
		buf_text(&asking->id) ? buf_text(&asking->id) : "");
	if (wanted->key) {
		buf_append_str(&asking->message, ",\"key\":");
		buf_append_json_string(&asking->message, wanted->key, strlen(wanted->key));
	}
	buf_printf(&asking->message, ",\"data\":%s}", wanted->json);
	return asking->id.failed || asking->message.failed ? fail("out of memory", 1) : 0;
}

/* --- what is answered --- */

enum member {
	TYPE,
	ID,
	DATA,
	MORE,
	CHANNEL,
	N_MEMBERS,
};

/* Whether anybody knows what became of it. */
static int tell_error(struct slice text)
{
	char code[64], sentence[SENTENCE_MAX];

	json_text_at(text, "data.code", code, sizeof(code));
	fprintf(stderr, "tidegate: action: %s: %s\n", code,
		json_text_at(text, "data.message", sentence, sizeof(sentence)));
	return strcmp(code, "timeout") != 0 && strcmp(code, "unknown") != 0 && strcmp(code, "too_long") != 0
		       ? 1
		       : EXIT_UNKNOWN;
}

static int print_part(struct slice data)
{
	if (data.data && (fwrite(data.data, 1, data.len, stdout) != data.len || putchar('\n') == EOF))
		return -EIO;
	return fflush(stdout) ? -EIO : 0;
}

/* -EINPROGRESS: a part; -EAGAIN: not ours; else the exit status. Answers to others are none of ours. Nor
 * are events, which may look like anything, and alone have a channel. */
static int take_message(const struct asking *asking, struct slice text)
{
	struct json_member members[N_MEMBERS] = {[TYPE] = {.name = "type"},
		[ID] = {.name = "id"},
		[DATA] = {.name = "data"},
		[MORE] = {.name = "more"},
		[CHANNEL] = {.name = "channel"}};
	bool is_object;

	if (json_check(text.data, text.len, MESSAGE_DEPTH_MAX + 1, members, N_MEMBERS, &is_object) ||
		!is_object || members[CHANNEL].n || !slice_equal(members[ID].value, buf_slice(&asking->id)))
		return -EAGAIN;
	if (slice_is(members[TYPE].value, "\"error\""))
		return tell_error(text);
	if (!slice_is(members[TYPE].value, "\"reply\""))
		return -EAGAIN;
	if (print_part(members[DATA].value) < 0)
		return fail("standard output takes no more", 1);
	return json_is_true(members[MORE].value) ? -EINPROGRESS : 0;
}

static int hear(struct asking *asking, struct ws_link *link)
{
	struct buf error = {0};
	uint64_t deadline_ms = 0;
	int status = -EINPROGRESS;

	while (status < 0) {
		struct slice text;
		uint64_t now_ms = clock_monotonic_ms();
		int r;

		if (status == -EINPROGRESS)
			deadline_ms = now_ms + asking->timeout_ms;
		r = now_ms < deadline_ms ? ws_link_receive(link, deadline_ms - now_ms, &text, &error)
					 : -ETIMEDOUT;
		if (r == -ETIMEDOUT)
			status = fail("no answer in time (--timeout)", EXIT_UNKNOWN);
		else if (r < 0)
			status = fail(buf_text(&error) ? buf_text(&error) : "out of memory", EXIT_UNKNOWN);
		else
			status = take_message(asking, text);
	}
	buf_deinit(&error);
	return status;
}

/* A gateway says why it refuses; what is before it may say anything. */
static void append_why(struct buf *error, struct slice said)
{
	char code[64], sentence[SENTENCE_MAX];

	if (*json_text_at(said, "data.code", code, sizeof(code)))
		buf_printf(error, ": %s: %s", code,
			json_text_at(said, "data.message", sentence, sizeof(sentence)));
}

static int ask(struct asking *asking)
{
	struct ws_link *link = NULL;
	struct buf said = {0}, error = {0};
	int r = ws_link_open(&asking->options, &link, &said, &error);
	int status;

	append_why(&error, buf_slice(&said));
	if (r < 0)
		status = fail(buf_text(&error) ? buf_text(&error) : "out of memory", 1);
	else if (ws_link_send(link, buf_slice(&asking->message), &error) < 0)
		status = fail(buf_text(&error) ? buf_text(&error) : "out of memory", EXIT_UNKNOWN);
	else
		status = hear(asking, link);
	ws_link_close(link);
	buf_deinit(&said);
	buf_deinit(&error);
	return status;
}

int cli_action(const struct config *config, const struct cli_action *wanted)
{
	struct asking asking = {.wanted = wanted};
	int status = prepare(&asking, config);

	if (status == 0)
		status = ask(&asking);
	explicit_bzero(asking.token, sizeof(asking.token));
	buf_deinit(&asking.id);
	buf_deinit(&asking.message);
	return status;
}
