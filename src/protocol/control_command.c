/* Control command: what a backend or an operator wants done to connections; see the header. */

#include "protocol/control_command.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "core/text.h"
#include "protocol/json.h"

enum {
	DEPTH_MAX = 1, /* it has no member with members */
	MS_PER_S = 1000,
	NUMBER_MAX = 32, /* characters of a number that is read */
};

/* Later than any time in seconds that is meant: who means milliseconds is told so. */
#define SECONDS_MAX 1e11

enum member {
	MEMBER_CONN,
	MEMBER_USER,
	MEMBER_TOKEN,
	MEMBER_CHANNEL,
	MEMBER_ROUTE,
	MEMBER_DO,
	MEMBER_CODE,
	MEMBER_REASON,
	MEMBER_ISSUED_BEFORE,
	MEMBER_UNTIL,
	MEMBER_REPLY,
	N_MEMBERS,
};

_Static_assert((int)MEMBER_ROUTE + 1 == N_CONTROL_WHO, "the first members say who");

static const struct json_member all_members[N_MEMBERS] = {
	[MEMBER_CONN] = {.name = "conn"},
	[MEMBER_USER] = {.name = "user"},
	[MEMBER_TOKEN] = {.name = "token"},
	[MEMBER_CHANNEL] = {.name = "channel"},
	[MEMBER_ROUTE] = {.name = "route"},
	[MEMBER_DO] = {.name = "do"},
	[MEMBER_CODE] = {.name = "code"},
	[MEMBER_REASON] = {.name = "reason"},
	[MEMBER_ISSUED_BEFORE] = {.name = "issued_before"},
	[MEMBER_UNTIL] = {.name = "until"},
	[MEMBER_REPLY] = {.name = "reply"},
};

#define HAS(member) (1u << MEMBER_##member)

/* What each one is told. */
static const struct {
	const char *name;
	unsigned int who;   /* of these it takes one */
	unsigned int needs; /* beside it */
	unsigned int takes; /* besides */
	const char *form;
} rows[N_CONTROL_DO] = {
	[CONTROL_DISCONNECT] = {"disconnect", HAS(CONN) | HAS(USER) | HAS(TOKEN) | HAS(CHANNEL) | HAS(ROUTE),
		0, HAS(CODE) | HAS(REASON),
		"disconnect takes one of conn, user, token, channel and route; and code, and reason"},
	[CONTROL_SUBSCRIBE] = {"subscribe", HAS(CONN) | HAS(USER), HAS(CHANNEL), 0,
		"subscribe takes conn or user, and channel"},
	[CONTROL_UNSUBSCRIBE] = {"unsubscribe", HAS(CONN) | HAS(USER), HAS(CHANNEL), 0,
		"unsubscribe takes conn or user, and channel"},
	[CONTROL_REFRESH] = {"refresh", HAS(USER), 0, 0, "refresh takes user"},
	[CONTROL_REVOKE] = {"revoke", HAS(USER) | HAS(TOKEN), HAS(UNTIL), HAS(ISSUED_BEFORE),
		"revoke takes user with issued_before, or token; and until"},
};

const char *control_do_name(enum control_do what)
{
	return rows[what].name;
}

/* UTF-8 without control characters: no name has any, and a NUL would cut it. */
static bool is_clean(const char *bytes, size_t len)
{
	for (size_t i = 0; i < len;) {
		const unsigned char *at = (const unsigned char *)bytes + i;
		size_t n = text_utf8_sequence(at, len - i); /* 0: half a surrogate pair */

		if (n == 0 || *at < ' ' || *at == 0x7f)
			return false;
		i += n;
	}
	return true;
}

/* Leaves nothing of a text that was refused. */
static void clear(struct control_text *text)
{
	text->len = 0;
	text->bytes[0] = '\0';
}

/* 1 to max bytes; the text is empty otherwise. */
static bool read_text(struct slice value, size_t max, struct control_text *text)
{
	long len = json_is_string(value) ? json_unescape(value, text->bytes, max) : -1;

	if (len <= 0 || !is_clean(text->bytes, (size_t)len)) {
		clear(text);
		return false;
	}
	text->len = (size_t)len;
	text->bytes[len] = '\0';
	return true;
}

static bool read_number(struct slice value, double *numberp)
{
	char text[NUMBER_MAX + 1];

	if (!value.len || value.len > NUMBER_MAX || !(text_is_digit(value.data[0]) || value.data[0] == '-'))
		return false;
	memcpy(text, value.data, value.len);
	text[value.len] = '\0';
	*numberp = strtod(text, NULL);
	return isfinite(*numberp);
}

static bool read_seconds(struct slice value, int64_t *msp)
{
	double seconds;

	if (!read_number(value, &seconds) || seconds < 0 || seconds > SECONDS_MAX)
		return false;
	*msp = (int64_t)(seconds * MS_PER_S);
	return true;
}

static bool read_code(struct slice value, uint16_t *codep)
{
	double code;

	if (!json_is_integer(value) || !read_number(value, &code) || code < CONTROL_CODE_MIN ||
		code > CONTROL_CODE_MAX)
		return false;
	*codep = (uint16_t)code;
	return true;
}

/* NODE.NUMBER */
static bool read_conn(struct slice value, struct control_command *command)
{
	struct control_text *name = &command->name;
	const char *dot;
	uint64_t number = 0;

	if (!read_text(value, CONTROL_NAME_MAX, name))
		return false;
	dot = strrchr(name->bytes, '.');
	if (!dot || dot == name->bytes || dot - name->bytes > CONTROL_NODE_MAX || !dot[1])
		return false;
	for (const char *c = dot + 1; *c; c++)
		if (!text_is_digit(*c) || __builtin_mul_overflow(number, (uint64_t)10, &number) ||
			__builtin_add_overflow(number, (uint64_t)(*c - '0'), &number))
			return false;
	name->len = (size_t)(dot - name->bytes);
	name->bytes[name->len] = '\0';
	command->conn = number;
	return number != 0;
}

/* Which of the members are there; or what is wrong with their number or names. */
static const char *note_members(
	struct slice text, const struct json_member members[N_MEMBERS], unsigned int *presentp)
{
	struct slice name, value;
	size_t pos = 0, n_known = 0, n = 0;

	*presentp = 0;
	for (unsigned int i = 0; i < N_MEMBERS; i++) {
		if (members[i].n > 1)
			return "a member is there twice: which one is meant?";
		n_known += members[i].n;
		*presentp |= members[i].n ? 1u << i : 0;
	}
	while (json_object_next(text, &pos, &name, &value))
		n++;
	return n == n_known ? NULL : "it has a member that is not known";
}

static const char *read_do(
	const struct json_member members[N_MEMBERS], unsigned int present, struct control_command *command)
{
	const struct slice word = members[MEMBER_DO].value;
	unsigned int rest = present & ~(HAS(DO) | HAS(REPLY));
	unsigned int what = 0, who;

	while (json_is_string(word) && what < N_CONTROL_DO &&
		!json_string_is(word, rows[what].name, strlen(rows[what].name)))
		what++;
	if (!json_is_string(word) || what == N_CONTROL_DO)
		return "do is one of disconnect, subscribe, unsubscribe, refresh, revoke";
	command->what = (enum control_do)what;
	who = rest & rows[what].who;
	if (__builtin_popcount(who) != 1 || (rest & rows[what].needs) != rows[what].needs ||
		rest & ~(who | rows[what].needs | rows[what].takes))
		return rows[what].form;
	command->who = (enum control_who)__builtin_ctz(who);
	return NULL;
}

static const char *read_who(const struct json_member members[N_MEMBERS], struct control_command *command)
{
	static const char *const sentences[N_CONTROL_WHO] = {
		[CONTROL_CONN] =
			"conn is NODE.NUMBER, as actions name a connection and the admin port lists it",
		[CONTROL_USER] = "user is a string of 1 to 255 bytes without control characters",
		[CONTROL_TOKEN] = "token is the jti of a token, 1 to 255 bytes without control characters",
		[CONTROL_CHANNEL] = "channel is the name of a channel",
		[CONTROL_ROUTE] = "route is the path of a route, as it is configured",
	};
	struct slice value = members[command->who].value;
	bool good = command->who == CONTROL_CONN ? read_conn(value, command)
						 : read_text(value, CONTROL_NAME_MAX, &command->name);

	return good ? NULL : sentences[command->who];
}

/* issued_before belongs to a user. */
static const char *read_times(
	const struct json_member members[N_MEMBERS], unsigned int present, struct control_command *command)
{
	if (command->what != CONTROL_REVOKE)
		return NULL;
	if (!(present & HAS(ISSUED_BEFORE)) != (command->who == CONTROL_TOKEN))
		return rows[CONTROL_REVOKE].form;
	if (present & HAS(ISSUED_BEFORE) &&
		!read_seconds(members[MEMBER_ISSUED_BEFORE].value, &command->issued_before_ms))
		return "issued_before is in seconds since 1970, like iat";
	if (!read_seconds(members[MEMBER_UNTIL].value, &command->until_ms))
		return "until is in seconds since 1970, like exp";
	return NULL;
}

static const char *read_rest(
	const struct json_member members[N_MEMBERS], unsigned int present, struct control_command *command)
{
	bool has_channel = rows[command->what].needs & HAS(CHANNEL);

	if (has_channel && !read_text(members[MEMBER_CHANNEL].value, CONTROL_NAME_MAX, &command->channel))
		return "channel is the name of a channel";
	if (present & HAS(CODE) && !read_code(members[MEMBER_CODE].value, &command->code))
		return "code is a number from 4000 to 4999";
	if (present & HAS(REASON) &&
		!read_text(members[MEMBER_REASON].value, CONTROL_REASON_MAX, &command->reason))
		return "reason is a string of 1 to 123 bytes without control characters";
	return read_times(members, present, command);
}

/* A channel of the clients', or one for answers; the others that begin with tg: are for nobody. */
static bool read_reply(struct slice value, struct control_text *reply)
{
	bool good =
		read_text(value, CONTROL_NAME_MAX, reply) &&
		(!slice_starts(control_slice(reply), "tg:") || slice_starts(control_slice(reply), "tg:c:"));

	if (!good)
		clear(reply);
	return good;
}

const char *control_command_parse(struct slice text, struct control_command *command)
{
	struct json_member members[N_MEMBERS];
	unsigned int present;
	const char *wrong;
	bool is_object;

	*command = (struct control_command){0};
	memcpy(members, all_members, sizeof(members));
	if (text.len > CONTROL_COMMAND_MAX)
		return "it is longer than 4,096 bytes";
	if (json_check(text.data, text.len, DEPTH_MAX, members, N_MEMBERS, &is_object) || !is_object)
		return "a command is a JSON object without arrays and objects in it";
	if (members[MEMBER_REPLY].n == 1 && !read_reply(members[MEMBER_REPLY].value, &command->reply))
		return "reply is the name of a channel, which does not begin with tg: unless with tg:c:";
	wrong = note_members(text, members, &present);
	if (!wrong)
		wrong = read_do(members, present, command);
	if (!wrong)
		wrong = read_who(members, command);
	return wrong ? wrong : read_rest(members, present, command);
}
