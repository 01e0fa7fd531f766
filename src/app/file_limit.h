#ifndef TIDEGATE_APP_FILE_LIMIT_H
#define TIDEGATE_APP_FILE_LIMIT_H

/*
 * File limit: how many files this process may have open, and with it how many clients.
 *
 * The limit that a process starts with depends on its starter: 1,024 from a shell or a newer container
 * runtime, a billion from an older one. Both are bad for us. The first refuses clients for no reason. With
 * the second, libwebsockets makes a table of 16 bytes a file for each thread, and above ten million files it
 * takes the number for an error and serves 2,560.
 */

#include <stdint.h>

struct log;

enum {
	FILE_LIMIT_ENOUGH = 1 << 18, /* taken if the hard limit allows it; 4 MiB of tables a thread */
	FILE_LIMIT_MAX = 1 << 20,    /* never more, even if connections_max wants it; 16 MiB a thread */
	FILE_LIMIT_SMALL = 1024,     /* below it the log has a warning */
	FILE_LIMIT_RESERVE = 96,     /* for all but connections of the public port, with two workers */
	FILE_LIMIT_WORKER = 8,       /* that each further worker has open, at most */
};

/* The soft limit that should be set, given both limits. */
uint64_t file_limit_choose(uint64_t soft, uint64_t hard);

/*
 * How many of the files may be connections of the public port: as many as are wanted (0: all), except
 * for those that the gateway needs itself: for its admin port, Redis, a reload, newcomers that are
 * refused, and for each worker.
 */
uint64_t file_limit_connections(uint64_t files, unsigned int n_workers, uint64_t wanted);

/*
 * How many of the files may be connections of the admin port: 32 if files are few, so that the reserve
 * suffices; more if there are many, for a crowd of backends that publish through it.
 */
unsigned int file_limit_admin(uint64_t files);

/* Says so in the log: so few, or fewer connections than are asked for. Not where the system says no limit. */
void file_limit_warn(struct log *log, uint64_t files, uint64_t connections_max);

/* Sets the limit, and returns the one that holds then; 0 if the system does not say. */
uint64_t file_limit_set(void);

#endif
