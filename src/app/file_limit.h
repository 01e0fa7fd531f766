#ifndef TIDEGATE_APP_FILE_LIMIT_H
#define TIDEGATE_APP_FILE_LIMIT_H

/*
 * File limit: how many files this process may have open, and with it how many clients.
 *
 * The limit that a process starts with is an accident of whoever started it: 1,024 from a shell or a newer
 * container runtime, a billion from an older one. Both are bad for us. The first refuses clients for no
 * reason. And libwebsockets makes tables of 16 bytes a file for each thread, written at the start; above ten
 * million it takes the number for an error and serves 2,560.
 */

#include <stdint.h>

struct log;

enum {
	FILE_LIMIT_ENOUGH = 1 << 18, /* taken where the hard limit allows it; 4 MiB of tables a thread */
	FILE_LIMIT_MAX = 1 << 20,    /* no more, even where it was asked for; 16 MiB a thread */
	FILE_LIMIT_SMALL = 1024,     /* below it the log has a warning */
	FILE_LIMIT_RESERVE = 96,     /* for all but connections of the public port, with two workers */
	FILE_LIMIT_WORKER = 8,       /* that each further worker has open, at most */
};

/* What the soft limit should be, given both. */
uint64_t file_limit_choose(uint64_t soft, uint64_t hard);

/*
 * How many of them may be connections of the public port: as many as are wanted (0: all), but for what the
 * gateway needs itself: its admin port, Redis, the files of a reload, newcomers that are refused, and what
 * each worker has open.
 */
uint64_t file_limit_connections(uint64_t files, unsigned int n_workers, uint64_t wanted);

/*
 * How many may be connections of the admin port: 32 where files are few, so that the reserve suffices. Where
 * there are many, as many as a crowd of backends that publish through it needs.
 */
unsigned int file_limit_admin(uint64_t files);

/* Says so in the log: so few, or fewer connections than are asked for. Not where the system says no limit. */
void file_limit_warn(struct log *log, uint64_t files, uint64_t connections_max);

/* Sets it. The limit that holds then; 0 where the system does not say. */
uint64_t file_limit_set(void);

#endif
