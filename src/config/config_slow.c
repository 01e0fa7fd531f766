/* Config slow: what a route does about clients that read too slowly; see the header. */

#include "config/config_slow.h"

#include <string.h>

#include "config/options.h"
#include "config/reader.h"
#include "core/buf.h"

struct slow_draft {
	struct route_slow *slow;
	unsigned int key_line; /* 0: there is no key */
};

static int refuse_policy(struct reader *reader, unsigned int line, const char *name)
{
	struct buf *error = reader->loader->error;

	reader_open_line(reader, line);
	value_quote(error, name);
	buf_append_str(error, " is no policy for slow clients (known: ");
	for (size_t i = 0; i < N_SLOW_POLICIES; i++)
		buf_printf(error, i > 0 ? ", %s" : "%s", slow_policy_name((enum slow_policy)i));
	buf_append_char(error, ')');
	return CONFIG_BAD;
}

static int read_policy(struct reader *reader, const yaml_node_t *value, void *arg)
{
	struct slow_draft *draft = arg;
	const char *name;
	int r = reader_text(reader, value, "policy", &name);

	if (r == 0 && !slow_policy_parse(name, &draft->slow->policy))
		r = refuse_policy(reader, reader_line(value), name);
	return r;
}

static int read_key(struct reader *reader, const yaml_node_t *value, void *arg)
{
	struct slow_draft *draft = arg;

	draft->key_line = reader_line(value);
	return reader_text(reader, value, "key", &draft->slow->key);
}

static int read_bytes(struct reader *reader, const yaml_node_t *value, void *arg)
{
	const struct option *option = &options[OPTION_outbox_bytes_max];
	const struct value_bounds bounds = {option->least, option->most};
	struct slow_draft *draft = arg;

	return reader_value(reader, value, "bytes", &value_size, &draft->slow->bytes_max, &bounds);
}

static int read_age(struct reader *reader, const yaml_node_t *value, void *arg)
{
	static const struct value_bounds bounds = {SLOW_AGE_MS_MIN, SLOW_AGE_MS_MAX};
	struct slow_draft *draft = arg;

	if (reader_is(value, "none")) {
		draft->slow->age_max_ms = SLOW_AGE_NONE;
		return 0;
	}
	return reader_value(reader, value, "age", &value_duration, &draft->slow->age_max_ms, &bounds);
}

static const struct reader_row rows[] = {
	{"policy", read_policy},
	{"key", read_key},
	{"bytes", read_bytes},
	{"age", read_age},
};

static int read_rows(struct reader *reader, const yaml_node_t *value, struct slow_draft *draft)
{
	if (value->type != YAML_MAPPING_NODE)
		return reader_refuse(
			reader, reader_line(value), "slow is a policy, or 'policy: …' and more below it");
	return reader_rows(reader, value, " in slow", rows, sizeof(rows) / sizeof(rows[0]), draft);
}

/* A word alone is the policy. */
int config_slow_read(
	struct reader *reader, const yaml_node_t *value, struct route_slow *slow, unsigned int *key_linep)
{
	struct slow_draft draft = {.slow = slow};
	int r = value->type == YAML_SCALAR_NODE && !reader_is_null(value) ? read_policy(reader, value, &draft)
									  : read_rows(reader, value, &draft);

	if (r)
		return r;
	if (slow->policy == SLOW_LATEST_BY_KEY && !slow->key)
		return reader_refuse(reader, reader_line(value),
			"latest_by_key needs a 'key': the path of a member, such as data.id");
	if (slow->policy != SLOW_LATEST_BY_KEY && slow->key)
		return reader_refuse(reader, draft.key_line, "'key' goes with policy latest_by_key only");
	if (slow->key)
		*key_linep = draft.key_line;
	return 0;
}
