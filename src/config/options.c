/*
 * Options: the table of options.def. An option is found by name, set from text, and printed as text.
 *
 * One row feeds everything that knows an option: file, variable, flag, help, `check`. What a type can do
 * is in value.h.
 */
#include "config/options.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "config/value.h"
#include "core/buf.h"

const struct option options[N_OPTIONS] = {
#define OPTION(name, member, type, fallback, least, most, effect, help)                                      \
	{#name, &value_##type, offsetof(struct config, member), fallback, least, most, OPTION_##effect, help},
#include "config/options.def"
#undef OPTION
};

/* Are both equal, apart from '_' in the key and '-' in the other? */
static bool is_dashed(const char *key, const char *dashed)
{
	for (; *key && *dashed; key++, dashed++)
		if (*dashed != (*key == '_' ? '-' : *key))
			return false;
	return *key == *dashed;
}

static char upper(char c)
{
	return c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
}

const struct option *option_by_key(const char *key)
{
	for (size_t i = 0; i < N_OPTIONS; i++)
		if (strcmp(options[i].name, key) == 0)
			return &options[i];
	return NULL;
}

const struct option *option_by_flag(const char *flag)
{
	if (strncmp(flag, "--", 2) != 0)
		return NULL;
	for (size_t i = 0; i < N_OPTIONS; i++)
		if (is_dashed(options[i].name, flag + 2))
			return &options[i];
	return NULL;
}

const struct option *option_by_variable(const char *name, size_t len)
{
	for (size_t i = 0; i < N_OPTIONS; i++) {
		const char *key = options[i].name;
		size_t n = 0;

		if (strlen(key) != len)
			continue;
		while (n < len && upper(key[n]) == name[n])
			n++;
		if (n == len)
			return &options[i];
	}
	return NULL;
}

void option_variable(const struct option *option, struct buf *out)
{
	for (const char *c = option->name; *c; c++)
		buf_append_char(out, upper(*c));
}

void option_flag(const struct option *option, struct buf *out)
{
	buf_append_str(out, "--");
	for (const char *c = option->name; *c; c++)
		buf_append_char(out, *c == '_' ? '-' : *c);
}

size_t option_index(const struct option *option)
{
	return (size_t)(option - options);
}

bool option_is_list(const struct option *option)
{
	return option->type->is_list;
}

bool option_may_be_listed(const struct option *option)
{
	return option->type->is_list || option->type == &value_redis_url;
}

const char *option_placeholder(const struct option *option)
{
	return option->type->placeholder;
}

static void *member(const struct option *option, struct config *config)
{
	return (char *)config + option->offset;
}

static const void *const_member(const struct option *option, const struct config *config)
{
	return (const char *)config + option->offset;
}

/*
 * An empty value is hardly ever meant: a template that had no value to fill in leaves it behind, or an empty
 * secret. It would silently make a gateway without Redis or without a token.
 */
static int refuse_empty(const struct option *option, struct buf *error)
{
	buf_append_str(error, "it is empty: leave it out for what is default");
	if (option->type->nothing)
		buf_printf(error, ", or say '%s'", option->type->nothing);
	return CONFIG_BAD;
}

int option_set(const struct option *option, struct config *config, const char *const *texts, size_t n,
	struct buf *error)
{
	static const char *const empty = "";
	const struct value_bounds bounds = {option->least, option->most};
	const char *nothing = option->type->nothing;

	if (n == 1 && !*texts[0])
		return refuse_empty(option, error);
	if (n == 1 && nothing && strcmp(texts[0], nothing) == 0) {
		texts = &empty;
		n = option_is_list(option) ? 0 : 1;
	}
	return option->type->parse(member(option, config), texts, n, &bounds, error);
}

static int set_split(const struct option *option, struct config *config, char *text, struct buf *error)
{
	const char *texts[VALUE_LIST_MAX];
	size_t n = 0;
	char *rest = text;

	while (rest) {
		char *item = strsep(&rest, ",");

		if (n == VALUE_LIST_MAX) {
			buf_printf(error, "more than %d in one list", VALUE_LIST_MAX);
			return CONFIG_BAD;
		}
		item += strspn(item, " \t");
		for (size_t len = strlen(item); len > 0 && strchr(" \t", item[len - 1]); len--)
			item[len - 1] = '\0';
		texts[n++] = item;
	}
	return option_set(option, config, texts, n, error);
}

int option_set_text(const struct option *option, struct config *config, const char *text, struct buf *error)
{
	char *copy;
	int r;

	if (!option_is_list(option))
		return option_set(option, config, &text, 1, error);
	copy = strdup(text);
	if (!copy)
		return -ENOMEM;
	r = set_split(option, config, copy, error);
	free(copy);
	return r;
}

void option_print(const struct option *option, const struct config *config, struct buf *out)
{
	option->type->print(const_member(option, config), out);
}

bool option_equal(const struct option *option, const struct config *a, const struct config *b)
{
	return option->type->equal(const_member(option, a), const_member(option, b));
}

void option_deinit(const struct option *option, struct config *config)
{
	if (option->type->deinit)
		option->type->deinit(member(option, config));
}
