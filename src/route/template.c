/*
 * Template: a path or a channel name with holes, split into parts.
 *
 * A variable fills a whole part, never a piece of it. Ids contain no separator, so a name that was made from
 * a template can be taken apart in only one way, and no two paths lead to the same channel by accident.
 */
#include "route/template.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/buf.h"
#include "route/names.h"

#define CLAIM_PREFIX "{token."

enum {
	CLAIM_MAX = 128, /* bytes of a claim's name: those that have to be URLs are longer than variables */
};

static bool is_claim(const char *text, size_t len)
{
	return len > sizeof(CLAIM_PREFIX) - 1 && memcmp(text, CLAIM_PREFIX, sizeof(CLAIM_PREFIX) - 1) == 0 &&
	       text[len - 1] == '}';
}

static bool is_claim_name(const char *text, size_t len)
{
	if (len == 0 || len > CLAIM_MAX)
		return false;
	for (size_t i = 0; i < len; i++)
		if (text[i] <= ' ' || text[i] > '~' || text[i] == '{')
			return false;
	return true;
}

static int claim_parse(struct template_part *part, const char *text, size_t len, struct buf *error)
{
	const char *name = text + sizeof(CLAIM_PREFIX) - 1;
	size_t name_len = len - sizeof(CLAIM_PREFIX); /* without the brace at the end */

	part->text = (struct slice){text + 1, len - 2};
	part->is_variable = true;
	if (!is_claim_name(name, name_len)) {
		buf_printf(error,
			"a claim's name in {token.NAME} is 1 to %d characters without spaces and braces",
			CLAIM_MAX);
		return ROUTE_BAD_TEMPLATE;
	}
	part->claim = strndup(name, name_len);
	return part->claim ? 0 : -ENOMEM;
}

static int part_parse(struct template_part *part, const char *text, size_t len, struct buf *error)
{
	part->variable = -1;
	if (is_claim(text, len))
		return claim_parse(part, text, len, error);
	if (len >= 2 && text[0] == '{' && text[len - 1] == '}') {
		part->text = (struct slice){text + 1, len - 2};
		part->is_variable = true;
		if (name_is_variable(part->text.data, part->text.len))
			return 0;
		buf_append_str(
			error, "a variable's name is letters, digits and '_', not starting with a digit");
		return ROUTE_BAD_TEMPLATE;
	}
	part->text = (struct slice){text, len};
	part->is_variable = false;
	if (route_id_valid(text, len))
		return 0;
	if (len == 0)
		buf_append_str(error, "it has an empty part");
	else if (memchr(text, '{', len) || memchr(text, '}', len))
		buf_append_str(error, "a {variable} must fill the whole part between two separators");
	else
		buf_printf(error,
			"each part is a {variable} or 1 to %d of A-Z a-z 0-9 . _ ~ -, not '.' or '..'",
			ROUTE_ID_MAX);
	return ROUTE_BAD_TEMPLATE;
}

/* A claim's name may hold separators: https://example.com/team. */
static const char *part_end(const char *text, char separator)
{
	const char *brace =
		strncmp(text, CLAIM_PREFIX, sizeof(CLAIM_PREFIX) - 1) == 0 ? strchr(text, '}') : NULL;

	return strchrnul(brace ? brace : text, separator);
}

static int parts_parse(struct template *template, const char *text, char separator, struct buf *error)
{
	for (;;) {
		const char *end = part_end(text, separator);
		int r;

		if (template->n_parts == ROUTE_SEGMENTS_MAX) {
			buf_printf(error, "it has more than %d parts", ROUTE_SEGMENTS_MAX);
			return ROUTE_BAD_TEMPLATE;
		}
		r = part_parse(&template->parts[template->n_parts], text, (size_t)(end - text), error);
		if (r)
			return r;
		template->n_parts++;
		if (!*end)
			return 0;
		text = end + 1;
	}
}

/* Finds this variable among the first n parts; NULL if it is not there. */
static const struct template_part *find_variable(const struct template *template, size_t n, struct slice name)
{
	for (size_t i = 0; i < n; i++) {
		const struct template_part *part = &template->parts[i];

		if (part->is_variable && part->text.len == name.len &&
			memcmp(part->text.data, name.data, name.len) == 0)
			return part;
	}
	return NULL;
}

static int number_variables(struct template *path, struct buf *error)
{
	int n = 0;

	for (size_t i = 0; i < path->n_parts; i++) {
		struct template_part *part = &path->parts[i];

		if (!part->is_variable)
			continue;
		if (part->claim) {
			buf_append_str(error, "{token.NAME} stands in channels only");
			return ROUTE_BAD_TEMPLATE;
		}
		if (find_variable(path, i, part->text)) {
			buf_printf(error, "{%.*s} is in it twice", (int)part->text.len, part->text.data);
			return ROUTE_BAD_TEMPLATE;
		}
		part->variable = n++;
		part->wide = true;
	}
	if (n > ROUTE_VARIABLES_MAX) {
		buf_printf(error, "it has more than %d variables", ROUTE_VARIABLES_MAX);
		return ROUTE_BAD_TEMPLATE;
	}
	return 0;
}

int template_parse_path(struct template *template, const char *text, struct buf *error)
{
	int r;

	*template = (struct template){.text = strdup(text)};
	if (!template->text)
		return -ENOMEM;
	if (template->text[0] != '/') {
		buf_append_str(error, "a path starts with '/'");
		return ROUTE_BAD_TEMPLATE;
	}
	if (strlen(text) > ROUTE_PATH_MAX) {
		buf_printf(error, "it is longer than %d bytes", ROUTE_PATH_MAX);
		return ROUTE_BAD_TEMPLATE;
	}
	if (!template->text[1])
		return 0; /* the root: no segments */
	r = parts_parse(template, template->text + 1, '/', error);
	if (r)
		return r;
	return number_variables(template, error);
}

static int bind_variables(
	struct template *channel, const struct template *path, bool may_be_free, bool wide, struct buf *error)
{
	for (size_t i = 0; i < channel->n_parts; i++) {
		struct template_part *part = &channel->parts[i];
		const struct template_part *of_path;

		if (!part->is_variable || part->claim)
			continue;
		part->wide = wide;
		of_path = find_variable(path, path->n_parts, part->text);
		if (of_path) {
			part->variable = of_path->variable;
			continue;
		}
		if (!may_be_free) {
			buf_printf(error, "{%.*s} is no variable of the path", (int)part->text.len,
				part->text.data);
			return ROUTE_BAD_TEMPLATE;
		}
		if (find_variable(channel, i, part->text)) {
			/* It would mean "the same id twice", but each free variable matches any id. */
			buf_printf(error, "{%.*s} is in it twice", (int)part->text.len, part->text.data);
			return ROUTE_BAD_TEMPLATE;
		}
	}
	return 0;
}

/* Can it become a valid name with any ids? If only some ids spoil it, the match will find that. */
static int check_name(const struct template *channel, struct buf *error)
{
	const struct template_part *first = &channel->parts[0];
	size_t shortest = channel->n_parts - 1;

	for (size_t i = 0; i < channel->n_parts; i++)
		shortest += channel->parts[i].is_variable ? 1 : channel->parts[i].text.len;
	if (shortest > ROUTE_CHANNEL_MAX) {
		buf_printf(error, "it is longer than %d bytes", ROUTE_CHANNEL_MAX);
		return ROUTE_BAD_TEMPLATE;
	}
	if (channel->n_parts > 1 && !first->is_variable && first->text.len == 2 &&
		memcmp(first->text.data, "tg", 2) == 0) {
		buf_append_str(error, "names that start with 'tg:' are reserved");
		return ROUTE_BAD_TEMPLATE;
	}
	return 0;
}

int template_parse_channel(struct template *template, const char *text, const struct template *path,
	bool may_be_free, bool wide, struct buf *error)
{
	int r;

	*template = (struct template){.text = strdup(text)};
	if (!template->text)
		return -ENOMEM;
	r = parts_parse(template, template->text, ':', error);
	if (r)
		return r;
	r = bind_variables(template, path, may_be_free, wide, error);
	if (r)
		return r;
	return check_name(template, error);
}

bool template_same_shape(const struct template *a, const struct template *b)
{
	bool same = a->n_parts == b->n_parts;

	for (size_t i = 0; same && i < a->n_parts; i++) {
		const struct template_part *one = &a->parts[i], *other = &b->parts[i];

		same = one->is_variable == other->is_variable && one->wide == other->wide &&
		       (one->is_variable || slice_equal(one->text, other->text));
	}
	return same;
}

bool template_has_claims(const struct template *template)
{
	for (size_t i = 0; i < template->n_parts; i++)
		if (template->parts[i].claim)
			return true;
	return false;
}

void template_deinit(struct template *template)
{
	for (size_t i = 0; i < ROUTE_SEGMENTS_MAX; i++) /* also the one that was refused and is not counted */
		free(template->parts[i].claim);
	free(template->text);
	*template = (struct template){0};
}
