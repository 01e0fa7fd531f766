/*
 * Access: the door of paths and the door of subscriptions are one; see route/access.h.
 *
 * The main test is a matrix: routes × identities × channels. What is right is computed by a model that
 * was written from the manual alone, as slowly and plainly as possible: it opens every path there is with
 * every identity, and notes which channels were joined.
 */

#include "route/access.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "auth/claims.h"
#include "auth/identity.h"
#include "core/buf.h"
#include "route/rights.h"
#include "route/route.h"

enum {
	LIST_MAX = 4,
	NAME_MAX_BYTES = 512,
	PARTS_MAX = 8,
	JOINED_MAX = 4000,
	NOW_MS = 1000000,
};

/* --- what is configured, and who comes ---------------------------------------------------------------- */

struct row {
	const char *path;
	const char *channels[LIST_MAX + 1];
	const char *subscribe[LIST_MAX + 1]; /* {"any"}: whatever another path joins */
	enum route_auth auth;
	enum route_access access;
	bool any_ids;
};

static const struct row rows[] = {
	{"/news", {"news"}, {"any"}, ROUTE_AUTH_NONE, ROUTE_ACCESS_ROUTE, false},
	{"/news/{id}", {"news:{id}", "news"}, {"any"}, ROUTE_AUTH_OPTIONAL, ROUTE_ACCESS_ROUTE, false},
	{"/news/secret", {"board"}, {"any"}, ROUTE_AUTH_REQUIRED, ROUTE_ACCESS_ROUTE, false},
	{"/me", {"user:{token.sub}"}, {"any"}, ROUTE_AUTH_REQUIRED, ROUTE_ACCESS_ROUTE, false},
	{"/team", {"team:{token.team}", "team:{token.team}:{token.sub}"}, {"none"}, ROUTE_AUTH_REQUIRED,
		ROUTE_ACCESS_ROUTE, false},
	{"/maybe/{id}", {"maybe:{id}:{token.sub}"}, {"any"}, ROUTE_AUTH_OPTIONAL, ROUTE_ACCESS_ROUTE, false},
	{"/run/{id}", {"run:{id}"}, {"any"}, ROUTE_AUTH_REQUIRED, ROUTE_ACCESS_TOKEN, false},
	{"/runs/{a}/{b}", {"run:{a}", "pair:{a}:{b}"}, {"run:{b}", "chat:{room}"}, ROUTE_AUTH_OPTIONAL,
		ROUTE_ACCESS_TOKEN, false},
	{"/twice/{a}", {"twice:{a}:{a}"}, {"none"}, ROUTE_AUTH_NONE, ROUTE_ACCESS_ROUTE, false},
	{"/both/{a}/{b}", {"left:{a}", "{b}:right"}, {"none"}, ROUTE_AUTH_REQUIRED, ROUTE_ACCESS_ROUTE,
		false},
	{"/long/{a}/{b}", {"long:{a}", "l:{a}:{a}:{b}"}, {"none"}, ROUTE_AUTH_REQUIRED, ROUTE_ACCESS_ROUTE,
		false},
	{"/wide/{a}", {"wide:{a}"}, {"none"}, ROUTE_AUTH_DEFAULT, ROUTE_ACCESS_ROUTE, true},
	{"/list/{a}", {"list:{a}"}, {"user:{token.sub}:{topic}", "list:{a}:{x}", "news"}, ROUTE_AUTH_REQUIRED,
		ROUTE_ACCESS_ROUTE, false},
	{"/shut", {"shut:{token.sub}"}, {"any"}, ROUTE_AUTH_DEFAULT, ROUTE_ACCESS_ROUTE, false},
	{"/nothing", {NULL}, {"any"}, ROUTE_AUTH_REQUIRED, ROUTE_ACCESS_TOKEN, false},
};

/* In names of channels a claim has been written as the manual says already: the model does not encode. */
struct person {
	const char *json; /* NULL: nobody knows */
	const char *sub, *team;
	const char *patterns[LIST_MAX + 1];
};

#define EXP "\"exp\":2000000000"

static const struct person people[] = {
	{NULL, NULL, NULL, {NULL}},
	{"{" EXP ",\"sub\":\"7\"}", "7", NULL, {NULL}},
	{"{" EXP ",\"sub\":\"auth0|5\",\"team\":7,\"channels\":[\"run:*\"]}", "auth0~7C5", "7", {"run:*"}},
	{"{" EXP ",\"sub\":\"..\",\"team\":\"a.b\",\"channels\":[\"run:7\",\"pair:7:*\",\"news:secret\"]}",
		"~2E~2E", "a.b", {"run:7", "pair:7:*", "news:secret"}},
	{"{" EXP
	 ",\"sub\":8,\"team\":null,\"channels\":[\"user:{sub}:*\",\"unknown:{sub}\",\"chat:7\",\"run:8\"]}",
		"8", NULL, {"user:8:*", "unknown:8", "chat:7", "run:8"}},
	{"{" EXP ",\"sub\":\"tg\",\"team\":\"\",\"channels\":[]}", "tg", NULL, {NULL}},
	{"{" EXP ",\"sub\":\"secret\",\"team\":\"news\",\"channels\":[\"*:*\"]}", "secret", "news", {"*:*"}},
};

#define LONG_ID                                                                                              \
	"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx" \
	"xxxxx"                                                                                              \
	"xxxxxxxxxxxxxxxxxxxxxxxx"

/* Ids of paths, parts of channels: those that people are called by, literals of templates, and one that
 * is in none of them. */
static const char *const ids[] = {
	"7", "auth0~7C5", "tg", "secret", "a%20b", LONG_ID, "8", "~2E~2E", "news", "a.b", "left", "fresh"};

/* What else stands in a channel that is asked for, so that each path to it is opened. */
static const char *const more_ids[] = {"right", "board", "user", "team", "maybe", "run", "pair", "chat",
	"twice", "long", "l", "wide", "list", "unknown"};

/* Every second one is also asked for with two parts behind it. */
static const char *const heads[] = {"news", "user", "board", "team", "run", "maybe", "chat", "pair", "left",
	"twice", "7", "l", "tg", "list", "wide", "unknown", "secret", "long", "shut"};

enum {
	N_ROWS = sizeof(rows) / sizeof(*rows),
	N_PEOPLE = sizeof(people) / sizeof(*people),
	N_COME_BY = 6, /* so many of the ids does somebody come by */
	N_IDS = sizeof(ids) / sizeof(*ids),
	N_ALL_IDS = N_IDS + sizeof(more_ids) / sizeof(*more_ids),
	N_HEADS = sizeof(heads) / sizeof(*heads),
};

/* --- the model ---------------------------------------------------------------------------------------- */

struct parts {
	char text[PARTS_MAX][NAME_MAX_BYTES];
	size_t n;
};

static struct parts split(const char *text, char separator)
{
	struct parts parts;
	size_t len = 0;

	parts.n = 1;
	parts.text[0][0] = '\0';
	for (; *text; text++) {
		if (*text == separator) {
			parts.text[parts.n++][0] = '\0';
			len = 0;
			continue;
		}
		parts.text[parts.n - 1][len++] = *text;
		parts.text[parts.n - 1][len] = '\0';
	}
	return parts;
}

static bool is_variable(const char *part)
{
	return part[0] == '{';
}

/* Does the path have this template's shape? If so, ids are bound by the names of the variables. */
struct bindings {
	char name[PARTS_MAX][NAME_MAX_BYTES];
	char id[PARTS_MAX][NAME_MAX_BYTES];
	size_t n;
};

static bool binds(const char *template, const char *path, struct bindings *bindings)
{
	struct parts wanted = split(template, '/'), given = split(path, '/');

	bindings->n = 0;
	if (wanted.n != given.n)
		return false;
	for (size_t i = 0; i < wanted.n; i++) {
		if (!is_variable(wanted.text[i])) {
			if (strcmp(wanted.text[i], given.text[i]) != 0)
				return false;
			continue;
		}
		strcpy(bindings->name[bindings->n], wanted.text[i]);
		strcpy(bindings->id[bindings->n++], given.text[i]);
	}
	return true;
}

/* The more literal template wins, compared from the left. */
static bool is_more_literal(const char *a, const char *b)
{
	struct parts left = split(a, '/'), right = split(b, '/');

	for (size_t i = 0; i < left.n; i++)
		if (is_variable(left.text[i]) != is_variable(right.text[i]))
			return is_variable(right.text[i]);
	return false;
}

static const struct row *find_row(const char *path, struct bindings *bindings)
{
	const struct row *best = NULL;

	for (size_t i = 0; i < N_ROWS; i++)
		if (binds(rows[i].path, path, bindings) &&
			(!best || is_more_literal(rows[i].path, best->path)))
			best = &rows[i];
	if (best)
		binds(best->path, path, bindings);
	return best;
}

/* What a part of a template stands for; NULL: nothing, so nothing has that name; "*": any id. */
static const char *meaning(const char *part, const struct bindings *bindings, const struct person *person)
{
	if (!is_variable(part))
		return part;
	if (strcmp(part, "{token.sub}") == 0)
		return person->sub;
	if (strcmp(part, "{token.team}") == 0)
		return person->team;
	for (size_t i = 0; i < bindings->n; i++)
		if (strcmp(bindings->name[i], part) == 0)
			return bindings->id[i];
	return "*";
}

/* "" if it has none. */
static void name_of(const char *template, const struct bindings *bindings, const struct person *person,
	char name[NAME_MAX_BYTES])
{
	struct parts parts = split(template, ':');

	name[0] = '\0';
	for (size_t i = 0; i < parts.n; i++) {
		const char *text = meaning(parts.text[i], bindings, person);

		if (!text) {
			name[0] = '\0';
			return;
		}
		strcat(strcat(name, i ? ":" : ""), text);
	}
}

static bool is_name(const char *name)
{
	return name[0] && strlen(name) <= 255 && strncmp(name, "tg:", 3) != 0;
}

/* Is the name one of this pattern, in which "*" is any one part? */
static bool matches(const char *pattern, const char *name)
{
	struct parts wanted = split(pattern, ':'), given = split(name, ':');

	if (wanted.n != given.n)
		return false;
	for (size_t i = 0; i < wanted.n; i++)
		if (strcmp(wanted.text[i], "*") != 0 && strcmp(wanted.text[i], given.text[i]) != 0)
			return false;
	return true;
}

static bool token_lists(const struct person *person, const char *name)
{
	for (size_t i = 0; person->patterns[i]; i++)
		if (matches(person->patterns[i], name))
			return true;
	return false;
}

/* Opens a path. False: refused. */
static bool opens(const struct row *row, const struct bindings *bindings, const struct person *person,
	char names[LIST_MAX][NAME_MAX_BYTES], size_t *n)
{
	static const struct person nobody = {0};
	const struct person *seen =
		row->auth == ROUTE_AUTH_NONE || row->auth == ROUTE_AUTH_DEFAULT ? &nobody : person;

	*n = 0;
	if (row->auth == ROUTE_AUTH_REQUIRED && !person->json)
		return false;
	for (size_t i = 0; i < bindings->n; i++)
		if (!row->any_ids && strchr(bindings->id[i], '%'))
			return false;
	for (size_t i = 0; row->channels[i]; i++) {
		name_of(row->channels[i], bindings, seen, names[*n]);
		if (!is_name(names[*n]))
			return false;
		if (row->access == ROUTE_ACCESS_TOKEN && !token_lists(seen, names[*n]))
			return false;
		++*n;
	}
	return true;
}

struct joined {
	char names[JOINED_MAX][NAME_MAX_BYTES];
	size_t n;
};

static bool has_joined(const struct joined *joined, const char *name)
{
	for (size_t i = 0; i < joined->n; i++)
		if (strcmp(joined->names[i], name) == 0)
			return true;
	return false;
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(a, b);
}

/* The same once they are sorted: it is asked millions of times. */
static bool could_join(const struct joined *joined, const char *name)
{
	return bsearch(name, joined->names, joined->n, sizeof(joined->names[0]), compare_names) != NULL;
}

static void open_and_note(const char *path, const struct person *person, struct joined *joined)
{
	char names[LIST_MAX][NAME_MAX_BYTES];
	struct bindings bindings;
	const struct row *row = find_row(path, &bindings);
	size_t n;

	if (!row || !opens(row, &bindings, person, names, &n))
		return;
	for (size_t i = 0; i < n; i++) {
		if (has_joined(joined, names[i]))
			continue;
		assert_true(joined->n < JOINED_MAX);
		strcpy(joined->names[joined->n++], names[i]);
	}
}

static const char *id(size_t i)
{
	return i < N_IDS ? ids[i] : more_ids[i - N_IDS];
}

/* Calls fn with each path of this template that can be made of the first ids. At most two variables. */
static void each_path(const char *template, size_t n_ids, void (*fn)(void *arg, const char *path), void *arg)
{
	struct parts parts = split(template, '/');
	char path[NAME_MAX_BYTES];

	for (size_t turn = 0; turn < n_ids * n_ids; turn++) {
		size_t choice[2] = {turn % n_ids, turn / n_ids}, n = 0;

		path[0] = '\0';
		for (size_t i = 1; i < parts.n; i++)
			strcat(strcat(path, "/"),
				is_variable(parts.text[i]) ? id(choice[n++]) : parts.text[i]);
		if ((n < 1 && choice[0]) || (n < 2 && choice[1]))
			continue; /* the same path again */
		fn(arg, path);
	}
}

static bool model_may(const struct row *row, const struct bindings *bindings, const struct person *person,
	const struct joined *joined, const char *channel)
{
	char name[NAME_MAX_BYTES], own[LIST_MAX][NAME_MAX_BYTES];
	bool is_any = row->subscribe[0] && strcmp(row->subscribe[0], "any") == 0;
	bool is_list = !is_any && strcmp(row->subscribe[0], "none") != 0, its = false;
	size_t n;

	if (!is_name(channel) || !opens(row, bindings, person, own, &n))
		return false;
	for (size_t i = 0; i < n; i++)
		its |= strcmp(own[i], channel) == 0;
	for (size_t i = 0; is_list && row->subscribe[i]; i++) {
		name_of(row->subscribe[i], bindings, person, name);
		/* A variable that is not the path's matches any id that the route takes. */
		its |= name[0] && matches(name, channel) && (row->any_ids || !strchr(channel, '%'));
	}
	if (row->access == ROUTE_ACCESS_TOKEN)
		its &= token_lists(person, channel);
	return its || (is_any && (could_join(joined, channel) || token_lists(person, channel)));
}

/* --- the matrix --------------------------------------------------------------------------------------- */

static struct identity *identify(const char *json)
{
	static const char *const claims[] = {"sub", "team", "https://example.com/team", NULL};
	const struct claims_rules rules = {
		.identity = {.user = "sub", .channels = "channels", .claims = claims}};
	struct identity *identity = NULL;

	assert_int_equal(claims_read(slice_of(json), &rules, NOW_MS, &identity), 0);
	return identity;
}

static struct route_table *build_table(void)
{
	struct route_table *table = route_table_new();
	struct buf error = {0};

	assert_non_null(table);
	for (size_t i = 0; i < N_ROWS; i++) {
		struct route_spec spec = {.path = rows[i].path,
			.channels = rows[i].channels,
			.auth = rows[i].auth,
			.access = rows[i].access,
			.any_ids = rows[i].any_ids};

		while (rows[i].channels[spec.n_channels])
			spec.n_channels++;
		spec.subscribe_any_route = strcmp(rows[i].subscribe[0], "any") == 0;
		if (!spec.subscribe_any_route && strcmp(rows[i].subscribe[0], "none") != 0) {
			spec.subscribe = rows[i].subscribe;
			while (rows[i].subscribe[spec.n_subscribe])
				spec.n_subscribe++;
		}
		assert_int_equal(route_table_add(table, &spec, &error), 0);
	}
	buf_deinit(&error);
	return table;
}

struct matrix {
	struct route_table *table;
	const struct person *person;
	struct joined joined; /* by whatever path, as this person */
	size_t n_asked, n_allowed, n_entered, n_refused;
};

static void note_path(void *arg, const char *path)
{
	struct matrix *matrix = arg;

	open_and_note(path, matrix->person, &matrix->joined);
}

static void ask(struct matrix *matrix, const struct rights *rights, const struct row *row,
	const struct bindings *bindings, const char *path, const char *channel)
{
	bool expected = model_may(row, bindings, matrix->person, &matrix->joined, channel);

	matrix->n_asked++;
	matrix->n_allowed += expected;
	if (rights_may_subscribe(rights, slice_of(channel)) != expected)
		fail_msg("%s by %s: %s should be %s",
			matrix->person->json ? matrix->person->json : "anonymous", path, channel,
			expected ? "allowed" : "forbidden");
}

static void ask_all(struct matrix *matrix, const struct rights *rights, const struct row *row,
	const struct bindings *bindings, const char *path)
{
	char channel[NAME_MAX_BYTES];

	for (size_t i = 0; i < N_HEADS; i++) {
		ask(matrix, rights, row, bindings, path, heads[i]);
		for (size_t j = 0; j < N_IDS; j++) {
			snprintf(channel, sizeof(channel), "%s:%s", heads[i], ids[j]);
			ask(matrix, rights, row, bindings, path, channel);
			snprintf(channel, sizeof(channel), "%s:right", ids[j]);
			ask(matrix, rights, row, bindings, path, channel);
			for (size_t k = 0; i % 2 && k < N_IDS; k++) {
				snprintf(channel, sizeof(channel), "%s:%s:%s", heads[i], ids[j], ids[k]);
				ask(matrix, rights, row, bindings, path, channel);
			}
		}
	}
}

/* Comes in by a path, or should not. */
static void come_by(void *arg, const char *path)
{
	struct matrix *matrix = arg;
	const struct person *person = matrix->person;
	char names[LIST_MAX][NAME_MAX_BYTES];
	struct route_match match;
	struct bindings bindings;
	struct rights rights;
	const struct row *row = find_row(path, &bindings);
	bool is_asked = row->auth == ROUTE_AUTH_OPTIONAL || row->auth == ROUTE_AUTH_REQUIRED, in;
	size_t n;
	int r = route_table_match(matrix->table, path, strlen(path), &match);

	if (r == 0)
		r = rights_init(&rights, matrix->table, &match,
			is_asked && person->json ? identify(person->json) : NULL);
	in = opens(row, &bindings, person, names, &n);
	if (in != (r == 0))
		fail_msg("%s by %s should %sget in", person->json ? person->json : "anonymous", path,
			in ? "" : "not ");
	matrix->n_entered += in;
	matrix->n_refused += !in;
	if (r)
		return;
	rights_match(&rights, &match);
	assert_int_equal(route_n_channels(match.route), n);
	for (size_t i = 0; i < n; i++) {
		char name[ROUTE_CHANNEL_MAX + 1];

		route_channel(&match, i, name);
		assert_string_equal(name, names[i]);
	}
	if (is_asked || !person->json)
		ask_all(matrix, &rights, row, &bindings, path);
	rights_deinit(&rights);
}

static void a_socket_gives_what_paths_give(void **state)
{
	struct matrix *matrix = calloc(1, sizeof(*matrix));

	(void)state;
	assert_non_null(matrix);
	matrix->table = build_table();
	for (size_t i = 0; i < N_PEOPLE; i++) {
		matrix->person = &people[i];
		matrix->joined.n = 0;
		for (size_t j = 0; j < N_ROWS; j++)
			each_path(rows[j].path, N_ALL_IDS, note_path, matrix);
		qsort(matrix->joined.names, matrix->joined.n, sizeof(matrix->joined.names[0]), compare_names);
		for (size_t j = 0; j < N_ROWS; j++)
			each_path(rows[j].path, N_COME_BY, come_by, matrix);
	}
	print_message("%zu asked, %zu allowed, %zu entered, %zu refused\n", matrix->n_asked,
		matrix->n_allowed, matrix->n_entered, matrix->n_refused);
	assert_true(matrix->n_allowed > 100 && matrix->n_asked > 10 * matrix->n_allowed);
	assert_true(matrix->n_entered > 100 && matrix->n_refused > 100);
	route_table_unref(matrix->table);
	free(matrix);
}

/* --- one cost ----------------------------------------------------------------------------------------- */

/* What is counted: each time that the door asks something of a part of the name, of the identity or of
 * the table. */
static unsigned int n_steps;

bool __real_name_is_wide(const char *part, size_t len);
bool __wrap_name_is_wide(const char *part, size_t len);
struct slice __real_identity_claim(const struct identity *identity, const char *name);
struct slice __wrap_identity_claim(const struct identity *identity, const char *name);
bool __real_identity_lists(const struct identity *identity, struct slice channel);
bool __wrap_identity_lists(const struct identity *identity, struct slice channel);
const void *__real_tree_match(const void *root, const struct slice *parts, size_t n);
const void *__wrap_tree_match(const void *root, const struct slice *parts, size_t n);

bool __wrap_name_is_wide(const char *part, size_t len)
{
	n_steps++;
	return __real_name_is_wide(part, len);
}

struct slice __wrap_identity_claim(const struct identity *identity, const char *name)
{
	n_steps++;
	return __real_identity_claim(identity, name);
}

bool __wrap_identity_lists(const struct identity *identity, struct slice channel)
{
	n_steps++;
	return __real_identity_lists(identity, channel);
}

const void *__wrap_tree_match(const void *root, const struct slice *parts, size_t n)
{
	n_steps++;
	return __real_tree_match(root, parts, n);
}

static struct rights rights_by(struct route_table *table, const char *path, const char *json)
{
	struct route_match match;
	struct rights rights;

	assert_int_equal(route_table_match(table, path, strlen(path), &match), 0);
	assert_int_equal(rights_init(&rights, table, &match, json ? identify(json) : NULL), 0);
	return rights;
}

static unsigned int steps_to_refuse(const struct rights *rights, const char *channel)
{
	n_steps = 0;
	assert_false(rights_may_subscribe(rights, slice_of(channel)));
	return n_steps;
}

/* Who is told nothing by the answer must not be told by the time that it takes either. */
static void a_forbidden_channel_takes_as_many_steps_as_an_unknown_one(void **state)
{
	static const char *const unknown[] = {"nobody", "who:7", "who:7:8"};
	static const char *const forbidden[][6] = {{"boards", "news~", "users", "tg"},
		{"user:8", "user:auth0~7C5", "team:7", "run:7", "run:8", "chat:1"},
		{"team:7:8", "maybe:7:8", "maybe:8:8", "pair:7:8", "twice:7:8", "user:8:mail"}};
	struct route_table *table = build_table();
	struct rights rights[] = {rights_by(table, "/news/1", NULL),
		rights_by(table, "/news/1", people[1].json), rights_by(table, "/list/1", people[1].json)};

	(void)state;
	assert_int_equal(steps_to_refuse(&rights[0], "board"), steps_to_refuse(&rights[0], "nobody"));
	for (size_t i = 0; i < sizeof(rights) / sizeof(*rights); i++) {
		for (size_t j = 0; j < 3; j++) {
			unsigned int n = steps_to_refuse(&rights[i], unknown[j]);

			for (size_t k = 0; k < 6 && forbidden[j][k]; k++)
				assert_int_equal(steps_to_refuse(&rights[i], forbidden[j][k]), n);
		}
		rights_deinit(&rights[i]);
	}
	route_table_unref(table);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_socket_gives_what_paths_give),
		cmocka_unit_test(a_forbidden_channel_takes_as_many_steps_as_an_unknown_one),
	};

	return cmocka_run_group_tests_name("access", tests, NULL, NULL);
}
