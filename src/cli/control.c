/* `tidegate control`: a command about connections, to all gateways, through the admin port of one. */

#include "cli/cli.h"

#include <stdio.h>
#include <string.h>

#include "cli/admin_client.h"
#include "cli/json_at.h"
#include "config/config.h"
#include "core/buf.h"
#include "core/clock.h"
#include "protocol/json.h"

enum {
	MS_PER_SECOND = 1000,
	NODE_SIZE = 80,
	SENTENCE_SIZE = 200,
};

static void append_time(struct buf *out, const char *name, uint64_t ms)
{
	buf_printf(out, ",\"%s\":%llu.%03u", name, (unsigned long long)(ms / MS_PER_SECOND),
		(unsigned int)(ms % MS_PER_SECOND));
}

/* The times of a revocation: tokens that are made until now, for so long from now on. */
static int append_times(const struct cli_control *wanted, struct buf *out, struct buf *error)
{
	uint64_t now_ms = clock_wall_ms(), for_ms = 0;

	if (!wanted->lasts)
		return 0;
	if (strcmp(wanted->lasts, "0") != 0 && config_duration(wanted->lasts, &for_ms, error)) {
		buf_append_str(error, " (--for)");
		return EXIT_USAGE;
	}
	if (wanted->has_user)
		append_time(out, "issued_before", now_ms);
	append_time(out, "until", for_ms ? now_ms + for_ms : 0);
	return 0;
}

static int write_command(const struct cli_control *wanted, struct buf *out, struct buf *error)
{
	buf_append_str(out, "{\"do\":");
	buf_append_json_string(out, wanted->what, strlen(wanted->what));
	for (size_t i = 0; i < wanted->n_members; i++) {
		const struct cli_control_member *member = &wanted->members[i];

		buf_printf(out, ",\"%s\":", member->name);
		if (member->is_number)
			buf_append_str(out, member->value);
		else
			buf_append_json_string(out, member->value, strlen(member->value));
	}
	if (append_times(wanted, out, error))
		return EXIT_USAGE;
	buf_append_char(out, '}');
	return 0;
}

/* What some nodes did not do. Returns for how many it is so. */
static unsigned int tell_failures(struct slice answer)
{
	struct slice nodes = json_at(answer, "nodes"), silent = json_at(answer, "silent"), item;
	char node[NODE_SIZE], sentence[SENTENCE_SIZE];
	unsigned int n = 0;
	size_t pos = 0;

	while (nodes.data && json_array_next(nodes, &pos, &item)) {
		if (!*json_text_at(item, "error", sentence, sizeof(sentence)))
			continue;
		fprintf(stderr, "tidegate: control: %s: %s\n", json_text_at(item, "node", node, sizeof(node)),
			sentence);
		n++;
	}
	for (pos = 0; silent.data && json_array_next(silent, &pos, &item); n++)
		fprintf(stderr, "tidegate: control: %.*s does not answer\n", (int)item.len, item.data);
	return n;
}

static unsigned int count(struct slice array)
{
	struct slice item;
	unsigned int n = 0;
	size_t pos = 0;

	while (array.data && json_array_next(array, &pos, &item))
		n++;
	return n;
}

static int tell(const struct cli_control *wanted, struct slice answer)
{
	unsigned int n_answered = count(json_at(answer, "nodes"));

	if (wanted->as_json)
		printf("%.*s", (int)answer.len, answer.data);
	else
		printf("%s: %.0f connections, %u of %u nodes\n", wanted->what, json_number_at(answer, "n"),
			n_answered, n_answered + count(json_at(answer, "silent")));
	return tell_failures(answer) ? 1 : 0;
}

int cli_control(const struct config *config, const struct cli_control *wanted)
{
	struct buf body = {0}, answer = {0}, error = {0};
	int r = write_command(wanted, &body, &error);
	int status = 0;

	if (r == 0)
		status = admin_request_whole(config, "/control", body.data, body.len, &answer, &error);
	if (status == 200)
		r = tell(wanted, (struct slice){answer.data, answer.len});
	else
		fprintf(stderr, "tidegate: control: %s\n",
			buf_text(&error) ? buf_text(&error) : "out of memory");
	buf_deinit(&body);
	buf_deinit(&answer);
	buf_deinit(&error);
	return status == 200 ? r : status == 400 ? EXIT_USAGE : r ? r : 1;
}
