/* `tidegate disconnect`: one connection of a gateway, closed through its admin port. */

#include "cli/cli.h"

#include <stdio.h>
#include <string.h>

#include "cli/admin_client.h"
#include "core/buf.h"

enum {
	ID_DIGITS_MAX = 19, /* so many always fit into 64 bits */
};

int cli_disconnect(const struct config *config, const char *id)
{
	struct buf body = {0}, answer = {0}, error = {0};
	size_t len = strspn(id, "0123456789");
	int status;

	if (id[len] || !len || len > ID_DIGITS_MAX) {
		fputs("tidegate: disconnect: the id of a connection is a number, conn= in the log\n", stderr);
		return EXIT_USAGE;
	}
	buf_printf(&body, "{\"connection\":%s}", id);
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
