/* `tidegate disconnect`: one connection, closed through the admin port of its gateway or of another one. */

#include "cli/cli.h"

#include <stdio.h>
#include <string.h>

#include "cli/admin_client.h"
#include "core/buf.h"

enum {
	ID_DIGITS_MAX = 19, /* so many always fit into 64 bits */
};

/* Behind the node, if one is named. */
static const char *number_of(const char *id)
{
	const char *dot = strrchr(id, '.');

	return dot && dot != id ? dot + 1 : id;
}

int cli_disconnect(const struct config *config, const char *id)
{
	struct buf body = {0}, answer = {0}, error = {0};
	const char *number = number_of(id);
	size_t len = strspn(number, "0123456789");
	int status;

	if (number[len] || !len || len > ID_DIGITS_MAX) {
		fputs("tidegate: disconnect: the id of a connection is a number, conn= in the log, or "
		      "NODE.NUMBER\n",
			stderr);
		return EXIT_USAGE;
	}
	buf_append_str(&body, "{\"connection\":");
	if (number == id)
		buf_append_str(&body, id);
	else
		buf_append_json_string(&body, id, strlen(id));
	buf_append_char(&body, '}');
	status = admin_request_whole(config, "/disconnect", body.data, body.len, &answer, &error);
	if (status == 200)
		printf("disconnected %s\n", id);
	else
		fprintf(stderr, "tidegate: disconnect: %s\n",
			buf_text(&error) ? buf_text(&error) : "out of memory");
	buf_deinit(&body);
	buf_deinit(&answer);
	buf_deinit(&error);
	return status != 200;
}
