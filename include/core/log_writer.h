#ifndef TIDEGATE_CORE_LOG_WRITER_H
#define TIDEGATE_CORE_LOG_WRITER_H

/*
 * Log writer: a thread that carries the lines of a process' logs to one descriptor.
 *
 * Whoever reads a log may stop reading: a pipe fills up, a terminal is held with Ctrl-S, a journal hangs, a
 * disk is full. Only the writer's thread waits for him then. The others find the queue full, and their lines
 * are lost, counted, and told of in a line of their own once lines flow again. The descriptor's flags stay as
 * they are: others may share it.
 *
 * Any thread may add lines; they are written in the order in which they came.
 */

#include <stddef.h>
#include <stdint.h>

#include "core/log.h"

struct log_writer;

enum {
	LOG_WRITER_QUEUE_BYTES = 1 << 20, /* some seconds of a busy start, should a reader pause for breath */
	LOG_WRITER_END_MS = 500,          /* for the last lines, and then nobody is waited for */
};

/* Writes to a descriptor of its own beside fd, which stays the caller's. format is for its own line. 0 or
 * negative errno. */
int log_writer_new(int fd, enum log_format format, struct log_writer **writerp);

/*
 * Writes what is queued, at most for LOG_WRITER_END_MS, and frees. A thread that is still kept waiting then
 * is left behind with what it needs, for the process to take along when it ends. Accepts NULL.
 */
void log_writer_free(struct log_writer *writer);

/* Whole lines, each with its end. Never waits: those for which there is no room are lost. */
void log_writer_add(struct log_writer *writer, const char *lines, size_t len);

/* Waits until all that was queued is written, at most so long: for a process that is about to end at once. */
void log_writer_wait(struct log_writer *writer, unsigned int ms);

/* Lines that were not written, for want of room or because of an error. NULL: none. */
uint64_t log_writer_n_lost(const struct log_writer *writer);

#endif
