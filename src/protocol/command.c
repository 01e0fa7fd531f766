/*
 * Command: a client's message, taken apart and checked. json_check() says whether it is JSON at all, jsmn
 * cuts it into at most COMMAND_TOKENS_MAX tokens, and the functions below read these.
 *
 * Two members of one name are refused at any level, because a reader behind us might take the other one.
 * Comparing each name with all others is quadratic, but only in 64.
 */

#include "protocol/command.h"

#include <assert.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define JSMN_STATIC
#define JSMN_STRICT
#include <jsmn.h>

#include "protocol/json.h"

/* What is read of an action, in the order of action_members[]. */
enum action_member {
	ACTION_TYPE,
	ACTION_ID,
	ACTION_DATA,
	ACTION_KEY,
	N_ACTION_MEMBERS,
};

static const struct json_member action_members[N_ACTION_MEMBERS] = {
	[ACTION_TYPE] = {.name = "type"},
	[ACTION_ID] = {.name = "id"},
	[ACTION_DATA] = {.name = "data"},
	[ACTION_KEY] = {.name = "key"},
};

struct tokens {
	const char *text;
	jsmntok_t all[COMMAND_TOKENS_MAX];
	int parents[COMMAND_TOKENS_MAX]; /* the container around each; -1 of the first */
	int n;
};

static const struct {
	const char *name;
	enum command_type type;
} types[] = {
	{"subscribe", COMMAND_SUBSCRIBE},
	{"unsubscribe", COMMAND_UNSUBSCRIBE},
	{"auth", COMMAND_AUTH},
	{"ping", COMMAND_PING},
	{"action", COMMAND_ACTION},
	{"presence", COMMAND_PRESENCE},
};

static const struct {
	const char *code;
	const char *message;
} errors[] = {
	[COMMAND_BAD_JSON] = {"bad_json",
		"A message is one JSON object with no more than 64 tokens and 8 levels and no name twice."},
	[COMMAND_MISSING_TYPE] = {"missing_type", "A message needs a \"type\" that is a string."},
	[COMMAND_UNKNOWN_TYPE] = {"unknown_type",
		"The type is none of subscribe, unsubscribe, auth, ping, presence and action."},
	[COMMAND_BAD_ID] = {"bad_id", "The \"id\" must be a string or an integer of at most 128 bytes."},
	[COMMAND_BAD_DATA] = {"bad_data", "The \"data\" must be an object."},
	[COMMAND_MISSING_CHANNEL] = {"missing_channel",
		"This needs \"data\" with a \"channel\" that is a string of 1 to 300 bytes."},
	[COMMAND_MISSING_TOKEN] = {"missing_token", "This needs \"data\" with a \"token\" that is a string."},
	[COMMAND_BAD_KEY] = {"bad_key", "The \"key\" must be a string of 1 to 64 bytes."},
};

const char *command_error_code(int outcome)
{
	assert(outcome >= COMMAND_BAD_JSON && outcome <= COMMAND_BAD_KEY);
	return errors[outcome].code;
}

const char *command_error_message(int outcome)
{
	assert(outcome >= COMMAND_BAD_JSON && outcome <= COMMAND_BAD_KEY);
	return errors[outcome].message;
}

/* A token as it stands in the text: jsmn leaves the quotes of strings out. */
static struct slice token_slice(const struct tokens *tokens, int i)
{
	const jsmntok_t *token = &tokens->all[i];
	int quote = token->type == JSMN_STRING;

	return (struct slice){
		tokens->text + token->start - quote, (size_t)(token->end - token->start + 2 * quote)};
}

/* In a text that json_check() let through, a string with a value behind it is a name. */
static bool is_name(const struct tokens *tokens, int i)
{
	return tokens->all[i].type == JSMN_STRING && tokens->all[i].size == 1;
}

static void find_parents(struct tokens *tokens)
{
	for (int i = 0; i < tokens->n; i++) {
		int parent = i - 1;

		while (parent >= 0 && tokens->all[parent].end < tokens->all[i].end)
			parent--;
		tokens->parents[i] = parent;
	}
}

static bool has_duplicate_names(const struct tokens *tokens)
{
	for (int i = 0; i < tokens->n; i++)
		for (int j = 0; is_name(tokens, i) && j < i; j++)
			if (is_name(tokens, j) && tokens->parents[i] == tokens->parents[j] &&
				json_string_equal(token_slice(tokens, i), token_slice(tokens, j)))
				return true;
	return false;
}

/* The token of this member's value in an object token; absent if the object has no member of that name. */
static int find_value(const struct tokens *tokens, int object, const char *name)
{
	for (int i = object + 1; i < tokens->n; i++)
		if (tokens->parents[i] == object && is_name(tokens, i) &&
			json_string_is(token_slice(tokens, i), name, strlen(name)))
			return i + 1;
	return -1;
}

/* In a JSON text no other value begins with an n. */
static bool is_null(const struct tokens *tokens, int i)
{
	return tokens->all[i].type == JSMN_PRIMITIVE && tokens->text[tokens->all[i].start] == 'n';
}

/* The same, but null counts as absent: encoders write it for members that were not given. */
static int find_given(const struct tokens *tokens, int object, const char *name)
{
	int i = find_value(tokens, object, name);

	return i < 0 || is_null(tokens, i) ? -1 : i;
}

static struct slice find_slice(const struct tokens *tokens, int object, const char *name)
{
	int i = find_given(tokens, object, name);

	return i < 0 ? (struct slice){0} : token_slice(tokens, i);
}

static int tokens_read(struct tokens *tokens, const char *text, size_t len)
{
	bool is_object;
	jsmn_parser parser;

	if (json_check(text, len, COMMAND_DEPTH_MAX, NULL, 0, &is_object))
		return COMMAND_BAD_JSON;
	jsmn_init(&parser);
	tokens->text = text;
	tokens->n = jsmn_parse(&parser, text, len, tokens->all, COMMAND_TOKENS_MAX);
	if (tokens->n <= 0)
		return COMMAND_BAD_JSON; /* more tokens than there is room for */
	find_parents(tokens);
	return has_duplicate_names(tokens) ? COMMAND_BAD_JSON : 0;
}

static int take_id(struct command *command, struct slice id)
{
	if (id.data && ((!json_is_string(id) && !json_is_integer(id)) || id.len > COMMAND_ID_MAX))
		return COMMAND_BAD_ID;
	command->id = id;
	return 0;
}

static int read_id(struct command *command, const struct tokens *tokens)
{
	return take_id(command, find_slice(tokens, 0, "id"));
}

static int read_type(struct command *command, const struct tokens *tokens)
{
	struct slice type = find_slice(tokens, 0, "type");

	if (!json_is_string(type))
		return COMMAND_MISSING_TYPE;
	for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++) {
		if (json_string_is(type, types[i].name, strlen(types[i].name))) {
			command->type = types[i].type;
			return 0;
		}
	}
	return COMMAND_UNKNOWN_TYPE;
}

static void read_history(struct command *command, const struct tokens *tokens, int data)
{
	int since = find_value(tokens, data, "since"), recover = find_value(tokens, data, "recover");

	/* null is no position: its client believes that it has said where it was. */
	if (since >= 0)
		command->since = token_slice(tokens, since);
	command->recover = recover >= 0 && slice_is(token_slice(tokens, recover), "true");
}

static bool has_channel(enum command_type type)
{
	return type == COMMAND_SUBSCRIBE || type == COMMAND_UNSUBSCRIBE || type == COMMAND_PRESENCE;
}

static int read_data(struct command *command, const struct tokens *tokens)
{
	int data = find_given(tokens, 0, "data");
	struct slice channel;
	long len;

	if (data < 0)
		return 0;
	if (tokens->all[data].type != JSMN_OBJECT)
		return COMMAND_BAD_DATA;
	command->data = token_slice(tokens, data);
	read_history(command, tokens, data);
	command->token = find_slice(tokens, data, "token");
	channel = find_slice(tokens, data, "channel");
	if (!channel.data || !has_channel(command->type))
		return 0;
	if (!json_is_string(channel) || channel.len == 2) /* the quotes alone */
		return COMMAND_MISSING_CHANNEL;
	len = json_unescape(channel, command->channel, COMMAND_CHANNEL_MAX);
	/* A text that is too long or has a NUL in it is no channel's name, and half of it must not become
	 * one. The client is told that it is forbidden, not that it is missing. */
	if (len < 0 || memchr(command->channel, '\0', (size_t)len))
		len = snprintf(command->channel, sizeof(command->channel), "?");
	command->channel[len] = '\0';
	command->channel_len = (size_t)len;
	return 0;
}

static struct slice given(const struct json_member *member)
{
	return slice_is(member->value, "null") ? (struct slice){0} : member->value;
}

static int read_key(struct command *command, struct slice key)
{
	long len;

	if (!key.data)
		return 0;
	len = json_is_string(key) ? json_unescape(key, command->key, COMMAND_KEY_MAX) : -1;
	if (len <= 0)
		return COMMAND_BAD_KEY;
	command->key_len = (size_t)len;
	return 0;
}

static int read_action(struct command *command, const struct json_member members[N_ACTION_MEMBERS])
{
	int r;

	for (size_t i = 0; i < N_ACTION_MEMBERS; i++)
		if (members[i].n > 1)
			return COMMAND_BAD_JSON;
	command->type = COMMAND_ACTION;
	command->data = members[ACTION_DATA].value;
	r = take_id(command, given(&members[ACTION_ID]));
	return r ? r : read_key(command, given(&members[ACTION_KEY]));
}

static int read_tokens(struct command *command, const char *text, size_t len)
{
	struct tokens tokens;
	int r = tokens_read(&tokens, text, len);

	if (r == 0)
		r = read_id(command, &tokens);
	if (r == 0)
		r = read_type(command, &tokens);
	if (r == 0)
		r = read_data(command, &tokens);
	if (r)
		return r;
	if ((command->type == COMMAND_UNSUBSCRIBE || command->type == COMMAND_PRESENCE) &&
		!command->channel_len)
		return COMMAND_MISSING_CHANNEL;
	if (command->type == COMMAND_AUTH && !json_is_string(command->token))
		return COMMAND_MISSING_TOKEN;
	return 0;
}

int command_parse(const char *text, size_t len, struct command *command)
{
	struct json_member members[N_ACTION_MEMBERS];
	bool is_object;

	command->type = COMMAND_PING;
	command->id = command->data = command->since = command->token = (struct slice){0};
	command->recover = false;
	command->channel[0] = '\0';
	command->channel_len = command->key_len = 0;
	memcpy(members, action_members, sizeof(members));
	if (len > INT_MAX ||
		json_check(text, len, COMMAND_ACTION_DEPTH_MAX, members, N_ACTION_MEMBERS, &is_object) ||
		!is_object)
		return COMMAND_BAD_JSON;
	if (json_is_string(members[ACTION_TYPE].value) &&
		json_string_is(members[ACTION_TYPE].value, "action", strlen("action")))
		return read_action(command, members);
	return read_tokens(command, text, len);
}
