/* File limit: how many files this process may have open; see the header. */

#include "app/file_limit.h"

#include <sys/resource.h>

#include "core/log.h"

enum {
	ADMIN_MIN = 32, /* it is part of FILE_LIMIT_RESERVE */
	ADMIN_MAX = 1024,
	ADMIN_SHARE = 32, /* the admin port gets one of this number of files */
};

uint64_t file_limit_choose(uint64_t soft, uint64_t hard)
{
	if (soft < FILE_LIMIT_ENOUGH)
		return hard < FILE_LIMIT_ENOUGH ? hard : FILE_LIMIT_ENOUGH;
	return soft < FILE_LIMIT_MAX ? soft : FILE_LIMIT_MAX;
}

unsigned int file_limit_admin(uint64_t files)
{
	if (files < ADMIN_SHARE * ADMIN_MIN)
		return ADMIN_MIN;
	return files < ADMIN_SHARE * ADMIN_MAX ? (unsigned int)(files / ADMIN_SHARE) : ADMIN_MAX;
}

uint64_t file_limit_connections(uint64_t files, unsigned int n_workers, uint64_t wanted)
{
	uint64_t reserve = FILE_LIMIT_RESERVE + file_limit_admin(files) - ADMIN_MIN +
			   (n_workers > 2 ? (n_workers - 2) * FILE_LIMIT_WORKER : 0);
	/* If so few files are left that no client would be served, clients get half of them. */
	uint64_t room = files > 2 * reserve ? files - reserve : files / 2;

	if (files == 0)
		room = FILE_LIMIT_MAX - reserve;
	return wanted && wanted < room ? wanted : room;
}

void file_limit_warn(struct log *log, uint64_t files, uint64_t connections_max)
{
	if (!files)
		return;
	log_warn(log, "few files may be open, and so few clients be served", log_uint("files", files),
		log_uint("connections_max", connections_max),
		log_str("remedy", "raise the hard limit: LimitNOFILE= of the unit, --ulimit nofile= of the "
				  "container, ulimit -Hn"));
}

uint64_t file_limit_set(void)
{
	struct rlimit files, wanted;

	if (getrlimit(RLIMIT_NOFILE, &files) < 0)
		return 0;
	wanted = files;
	wanted.rlim_cur = (rlim_t)file_limit_choose(files.rlim_cur, files.rlim_max);
	/* Every process may raise its soft limit up to the hard one. If a sandbox forbids even that,
	 * the old limit stays. */
	return setrlimit(RLIMIT_NOFILE, &wanted) < 0 ? files.rlim_cur : wanted.rlim_cur;
}
