/*
 * Config print: the effective configuration and the help text, both from the table of options.
 *
 * `tidegate check` answers two questions of an operator: which value counts, and where does it come from?
 */
#include "config/config.h"

#include <string.h>

#include "auth/verifier.h"
#include "config/config_print.h"
#include "config/loader.h"
#include "config/options.h"
#include "config/value.h"
#include "core/buf.h"
#include "route/route.h"

enum {
	COLUMNS_MAX = 12, /* further ones are printed, but not aligned among themselves */
	GAP = 2,          /* spaces between columns */
};

/* The column of the cell behind this one, which ends at `end`. */
static size_t next_column(size_t column, const char *end)
{
	if (*end != '\t')
		return 0;
	return column < COLUMNS_MAX - 1 ? column + 1 : column;
}

/* Cells end with a tab, the last of a line with a newline. */
static void align(const char *cells, struct buf *out)
{
	size_t widths[COLUMNS_MAX] = {0};
	size_t column = 0;
	const char *cell;

	for (cell = cells; *cell; cell += strcspn(cell, "\t\n") + 1) {
		size_t len = strcspn(cell, "\t\n");

		if (len > widths[column])
			widths[column] = len;
		column = next_column(column, cell + len);
	}
	for (cell = cells, column = 0; *cell; cell += strcspn(cell, "\t\n") + 1) {
		size_t len = strcspn(cell, "\t\n");

		buf_append(out, cell, len);
		if (cell[len] == '\n')
			buf_append_char(out, '\n');
		else
			buf_printf(out, "%*s", (int)(widths[column] - len + GAP), "");
		column = next_column(column, cell + len);
	}
}

void source_describe(const struct config *config, const struct option *option, struct config_source source,
	struct buf *out)
{
	switch (source.kind) {
	case SOURCE_DEFAULT:
		buf_append_str(out, "default");
		break;
	case SOURCE_FILE:
		buf_printf(out, "%s:%u", config->sources->file, source.line);
		break;
	case SOURCE_VARIABLE:
	case SOURCE_VARIABLE_FILE:
		buf_append_str(out, "TIDEGATE_");
		option_variable(option, out);
		if (source.kind == SOURCE_VARIABLE_FILE)
			buf_append_str(out, "_FILE");
		break;
	case SOURCE_FLAG:
		option_flag(option, out);
		break;
	}
}

static void print_options(const struct config *config, struct buf *cells)
{
	for (size_t i = 0; i < N_OPTIONS; i++) {
		buf_printf(cells, "%s\t", options[i].name);
		option_print(&options[i], config, cells);
		buf_append_char(cells, '\t');
		source_describe(config, &options[i], config->sources->options[i], cells);
		if (i == OPTION_workers && config->sources->workers_counted)
			buf_append_str(cells, " (0: the CPUs that the process may use)");
		if (i == OPTION_single_thread && config->sources->thread_chosen)
			buf_append_str(cells, " (auto: true with one worker and one CPU)");
		buf_append_char(cells, '\n');
	}
}

void slow_describe(const struct config *config, const struct route *route, struct buf *out)
{
	const struct route_slow *slow = route_slow(route);
	size_t bytes_max = slow->bytes_max ? slow->bytes_max : config->outbox_bytes_max;

	buf_printf(out, "%s ", slow_policy_name(slow->policy));
	if (slow->key)
		buf_printf(out, "%s ", slow->key);
	value_size.print(&bytes_max, out);
	buf_append_char(out, ' ');
	if (slow->age_max_ms == SLOW_AGE_NONE)
		buf_append_str(out, "none");
	else
		value_duration.print(&slow->age_max_ms, out);
}

void history_describe(const struct route *route, struct buf *out)
{
	const struct route_history *history = route_history(route);

	if (!history->size) {
		buf_append_str(out, "off");
		return;
	}
	buf_printf(out, "%u ", history->size);
	value_duration.print(&history->ttl_ms, out);
	if (history->close_on_gap)
		buf_append_str(out, " close");
}

void actions_describe(const struct route *route, struct buf *out)
{
	const struct route_actions *actions = route_actions(route);

	if (!actions->stream) {
		buf_append_str(out, "off");
		return;
	}
	buf_printf(out, "%s ", actions->stream);
	value_duration.print(&actions->timeout_ms, out);
	buf_printf(out, " %u %u", actions->in_flight, actions->backlog);
}

void presence_describe(const struct route *route, struct buf *out)
{
	const struct route_presence *presence = route_presence(route);

	if (!presence->on) {
		buf_append_str(out, "off");
		return;
	}
	value_duration.print(&presence->grace_ms, out);
	buf_append_str(out, presence->list ? " list" : "");
	buf_append_str(out, presence->events ? " events" : "");
	if (presence->info)
		buf_printf(out, " info %s", presence->info);
}

void lifecycle_describe(const struct route *route, struct buf *out)
{
	const struct route_lifecycle *lifecycle = route_lifecycle(route);

	if (!lifecycle->stream) {
		buf_append_str(out, "off");
		return;
	}
	buf_printf(out, "%s %u", lifecycle->stream, lifecycle->size);
	if (lifecycle->events == LIFECYCLE_ALL)
		buf_append_str(out, " all");
	for (unsigned int i = 0; lifecycle->events != LIFECYCLE_ALL && i < N_LIFECYCLE_EVENTS; i++)
		if (lifecycle->events & LIFECYCLE_BIT(i))
			buf_printf(out, " %s", lifecycle_event_name((enum lifecycle_event)i));
}

void route_source_describe(const struct config *config, size_t i, struct buf *out)
{
	if (i < config->sources->n_route_lines)
		buf_printf(out, "%s:%u", config->sources->file, config->sources->route_lines[i]);
	else
		buf_append_str(out, "default");
}

static void print_route(const struct config *config, size_t i, struct buf *cells)
{
	const struct route *route = route_table_get(config->routes, i);

	buf_printf(cells, "  %s%s\t", route_path(route), route_takes_any_ids(route) ? " (ids any)" : "");
	for (size_t j = 0; j < route_n_channels(route); j++)
		buf_printf(cells, j > 0 ? ",%s" : "%s", route_channel_template(route, j));
	buf_append_str(cells, route_n_channels(route) > 0 ? "\t" : "-\t");
	buf_append_str(cells, "subscribe ");
	if (route_subscribes_any_route(route))
		buf_append_str(cells, "any");
	else if (route_n_subscribe(route) == 0)
		buf_append_str(cells, "none");
	for (size_t j = 0; j < route_n_subscribe(route); j++)
		buf_printf(cells, j > 0 ? ",%s" : "%s", route_subscribe_template(route, j));
	buf_printf(cells, "\tauth %s\taccess %s\tslow ", route_auth_name(route_auth(route)),
		route_access_name(route_access(route)));
	slow_describe(config, route, cells);
	buf_append_str(cells, route_compresses(route) ? "\tcompression on" : "\tcompression off");
	buf_append_str(cells, "\thistory ");
	history_describe(route, cells);
	buf_append_str(cells, "\tactions ");
	actions_describe(route, cells);
	buf_append_str(cells, "\tpresence ");
	presence_describe(route, cells);
	buf_append_str(cells, "\tlifecycle ");
	lifecycle_describe(route, cells);
	buf_printf(cells, "\tsse %s\t", route_sse(route) ? route_sse(route) : "off");
	route_source_describe(config, i, cells);
	buf_append_char(cells, '\n');
}

static void print_key(const struct verifier_key *key, struct buf *cells)
{
	buf_printf(cells, "  %s\t%s\t", key->source, *key->kind ? key->kind : "-");
	if (key->bits)
		buf_printf(cells, "%d bits\t", key->bits);
	else
		buf_append_str(cells, "-\t");
	if (key->kid) {
		buf_append_str(cells, "kid ");
		value_quote(cells, key->kid);
	} else {
		buf_append_str(cells, "no kid");
	}
	if (key->skipped)
		buf_printf(cells, "\tskipped: %s\n", key->skipped);
	else
		buf_printf(cells, "\t%s\n", key->algorithms);
}

/* Aligned, and cells is empty again. */
static void print_cells(struct buf *cells, struct buf *out)
{
	if (buf_text(cells))
		align(buf_text(cells), out);
	else
		out->failed = true; /* no memory for the cells: the text is not whole */
	buf_reset(cells);
}

void config_print(const struct config *config, const struct verifier *verifier, struct buf *out)
{
	struct buf cells = {0};

	print_options(config, &cells);
	print_cells(&cells, out);
	if (verifier) {
		buf_append_str(out, "keys\n");
		for (size_t i = 0; i < verifier_n_keys(verifier); i++) {
			struct verifier_key key = verifier_key(verifier, i);

			print_key(&key, &cells);
		}
		print_cells(&cells, out);
	}
	buf_append_str(out, "routes\n");
	for (size_t i = 0; i < route_table_size(config->routes); i++)
		print_route(config, i, &cells);
	print_cells(&cells, out);
	buf_deinit(&cells);
}

/* Is the option's name one of these words? */
static bool is_named(const char *names, const char *name)
{
	size_t len = strlen(name);

	if (strcmp(names, "*") == 0)
		return true;
	for (const char *at = names; (at = strstr(at, name)); at += len)
		if ((at == names || at[-1] == ' ') && (!at[len] || at[len] == ' '))
			return true;
	return false;
}

void config_help(const char *names, struct buf *out)
{
	buf_append_str(out, "  --config FILE\n"
			    "      the YAML file with options and routes (TIDEGATE_CONFIG)\n");
	for (size_t i = 0; i < N_OPTIONS; i++) {
		const struct option *option = &options[i];

		if (!is_named(names, option->name))
			continue;
		buf_append_str(out, "  ");
		option_flag(option, out);
		buf_printf(out, " %s\n      %s\n      default %s; TIDEGATE_", option_placeholder(option),
			option->help, option->fallback);
		option_variable(option, out);
		buf_append_char(out, '\n');
	}
}

void config_flags(const char *names, struct buf *out)
{
	if (!*names)
		return;
	buf_append_str(out, " --config");
	for (size_t i = 0; i < N_OPTIONS; i++) {
		if (!is_named(names, options[i].name))
			continue;
		buf_append_char(out, ' ');
		option_flag(&options[i], out);
	}
}

void config_flag_words(struct buf *out)
{
	for (size_t i = 0; i < N_OPTIONS; i++) {
		buf_append_char(out, '\t');
		option_flag(&options[i], out);
		buf_printf(out,
			")\n\t\tmapfile -t COMPREPLY < <(compgen -W '%s' -- "
			"\"$current\")\n\t\treturn\n\t\t;;\n",
			options[i].type->words ? options[i].type->words : options[i].fallback);
	}
}
