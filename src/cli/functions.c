/*
 * `tidegate functions`: the library of Redis functions, for people who load it by hand.
 *
 * Only the library goes to standard output, so it can be piped; its beginning says how, and so does a line on
 * standard error if that is a terminal.
 */

#include "cli/cli.h"

#include <stdio.h>
#include <unistd.h>

#include "broker/redis_broker.h"
#include "core/buf.h"

int cli_functions(void)
{
	struct buf library = {0};
	int r = 1;

	redis_broker_library(&library);
	if (!library.failed && fwrite(library.data, 1, library.len, stdout) == library.len)
		r = fflush(stdout) ? 1 : 0;
	buf_deinit(&library);
	if (r)
		fputs("tidegate: functions: cannot write the library\n", stderr);
	else if (isatty(STDOUT_FILENO))
		fputs("\ntidegate: load it with: tidegate functions | redis-cli -x FUNCTION LOAD REPLACE\n",
			stderr);
	return r;
}
