/* `tidegate config`: the settings of a running gateway, from its admin port; `check` shows the
 * settings of a file. */

#include "cli/cli.h"

#include <stdio.h>

#include "cli/admin_client.h"
#include "cli/json_at.h"
#include "core/buf.h"
#include "protocol/json.h"

enum {
	TEXT_MAX_BYTES = 512,
};

static void print_option(struct slice option)
{
	char name[TEXT_MAX_BYTES], value[TEXT_MAX_BYTES], source[TEXT_MAX_BYTES], later[TEXT_MAX_BYTES];

	printf("%-23s %-24s %s", json_text_at(option, "name", name, sizeof(name)),
		json_text_at(option, "value", value, sizeof(value)),
		json_text_at(option, "source", source, sizeof(source)));
	if (json_is_string(json_at(option, "after_restart")))
		printf("  (after a restart: %s)",
			json_text_at(option, "after_restart", later, sizeof(later)));
	putchar('\n');
}

static void print_key(struct slice key)
{
	char text[TEXT_MAX_BYTES];
	struct slice kid = json_at(key, "kid"), skipped = json_at(key, "skipped");

	printf("  %s", json_text_at(key, "source", text, sizeof(text)));
	printf("  %s", json_text_at(key, "kind", text, sizeof(text)));
	printf("  %.*s bits", (int)json_at(key, "bits").len, json_at(key, "bits").data);
	if (json_is_string(kid))
		printf("  kid %s", json_text_at(key, "kid", text, sizeof(text)));
	if (json_is_string(skipped))
		printf("  skipped: %s\n", json_text_at(key, "skipped", text, sizeof(text)));
	else
		printf("  %s\n", json_text_at(key, "algorithms", text, sizeof(text)));
}

/* A list of strings, with commas, "-" where it is empty; or one word. */
static void print_list(struct slice route, const char *member)
{
	struct slice list = json_at(route, member), item;
	char text[TEXT_MAX_BYTES];
	size_t pos = 0;
	int n = 0;

	if (!json_is_array(list)) {
		printf("%s", json_text_at(route, member, text, sizeof(text)));
		return;
	}
	for (; json_array_next(list, &pos, &item); n++)
		printf("%s%s", n ? "," : "", json_text_at(item, "", text, sizeof(text)));
	if (!n)
		putchar('-');
}

static void print_route(struct slice route)
{
	char text[TEXT_MAX_BYTES];

	printf("  %-30s  ", json_text_at(route, "path", text, sizeof(text)));
	print_list(route, "channels");
	printf("  subscribe ");
	print_list(route, "subscribe");
	printf("  auth %s", json_text_at(route, "auth", text, sizeof(text)));
	printf("  access %s", json_text_at(route, "access", text, sizeof(text)));
	printf("  ids %s", json_text_at(route, "ids", text, sizeof(text)));
	printf("  slow %s", json_text_at(route, "slow", text, sizeof(text)));
	printf("  compression %s", json_is_true(json_at(route, "compression")) ? "on" : "off");
	printf("  history %s", json_text_at(route, "history", text, sizeof(text)));
	printf("  sse %s", json_text_at(route, "sse", text, sizeof(text)));
	printf("  %s\n", json_text_at(route, "source", text, sizeof(text)));
}

static void print_all(struct slice answer, const char *member, void (*print)(struct slice item))
{
	struct slice list = json_at(answer, member), item;
	size_t pos = 0;

	while (json_is_array(list) && json_array_next(list, &pos, &item))
		print(item);
}

int cli_config(const struct config *config, bool as_json)
{
	struct buf answer = {0}, error = {0};
	int status = admin_request_whole(config, "/config", NULL, 0, &answer, &error);
	struct slice text = {answer.data, answer.len};
	int r = status != 200;

	if (r) {
		fprintf(stderr, "tidegate: config: %s\n",
			buf_text(&error) ? buf_text(&error) : "out of memory");
	} else if (!json_is_array(json_at(text, "options"))) {
		fputs("tidegate: config: what answers at the admin address is no gateway\n", stderr);
		r = 1;
	} else if (as_json) {
		fwrite(text.data, 1, text.len, stdout);
	} else {
		print_all(text, "options", print_option);
		puts("keys");
		print_all(text, "keys", print_key);
		puts("routes");
		print_all(text, "routes", print_route);
	}
	buf_deinit(&answer);
	buf_deinit(&error);
	return r || fflush(stdout) ? 1 : 0;
}
