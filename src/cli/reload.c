/* `tidegate reload`: a running gateway reads its configuration anew. */

#include "cli/cli.h"

#include <stdio.h>
#include <string.h>

#include "cli/admin_client.h"
#include "config/config.h"
#include "core/buf.h"
#include "protocol/json.h"

enum {
	ANSWER_DEPTH = 4,
};

/* Prints the names of options that the gateway cannot change while it runs. */
static void print_waiting(struct slice names)
{
	struct slice name;
	char text[64];
	size_t pos = 0;
	int n = 0;

	while (json_array_next(names, &pos, &name)) {
		long len = json_is_string(name) ? json_unescape(name, text, sizeof(text) - 1) : -1;

		if (len >= 0)
			printf("%s%.*s", n++ ? ", " : "waits for a restart: ", (int)len, text);
	}
	if (n)
		putchar('\n');
}

static int print_applied(const struct buf *answer)
{
	struct json_member waiting = {.name = "waits_for_restart"};
	bool is_object;

	puts("applied");
	if (json_check(answer->data ? answer->data : "", answer->len, ANSWER_DEPTH, &waiting, 1,
		    &is_object) == 0 &&
		json_is_array(waiting.value))
		print_waiting(waiting.value);
	return fflush(stdout) ? 1 : 0;
}

int cli_reload(const struct config *config)
{
	struct buf answer = {0}, why = {0};
	int status = admin_request_whole(config, "/reload", "", 0, &answer, &why);
	int r = 1;

	if (status == 200)
		r = print_applied(&answer);
	if (status != 200)
		fprintf(stderr, "tidegate: reload: %s\n", buf_text(&why) ? buf_text(&why) : "refused");
	buf_deinit(&answer);
	buf_deinit(&why);
	return r;
}
