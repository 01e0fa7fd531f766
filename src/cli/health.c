/*
 * `tidegate health`: does the gateway of this configuration live?
 *
 * For a container's HEALTHCHECK, which has no curl at hand. It asks /live, not /ready: an answer of no has
 * the container restarted, and a gateway whose Redis is away is better left alone.
 */

#include "cli/cli.h"

#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "cli/admin_client.h"
#include "config/config.h"
#include "core/buf.h"

enum {
	TIMEOUT_SECONDS = 3, /* a bus thread that does not come round in this time is stuck */
};

/* One timer for the whole of it: resolving, connecting, the answer. */
static void on_alarm(int signal_number)
{
	static const char line[] = "tidegate: health: no answer in time\n";

	(void)signal_number;
	if (write(STDERR_FILENO, line, sizeof(line) - 1) < 0)
		_exit(1); /* there is no reader; the exit code says the same */
	_exit(1);
}

static void ignore_body(void *arg, const char *data, size_t len)
{
	(void)arg;
	(void)data;
	(void)len;
}

int cli_health(const struct config *config)
{
	struct buf error = {0};
	int status;

	signal(SIGALRM, on_alarm);
	alarm(TIMEOUT_SECONDS);
	status = admin_request_send(config, "/live", NULL, 0, ignore_body, NULL, &error);
	if (status < 0)
		fprintf(stderr, "tidegate: health: %s\n", buf_text(&error));
	else if (status != 200)
		fprintf(stderr, "tidegate: health: /live answered %d\n", status);
	buf_deinit(&error);
	return status != 200;
}
