#ifndef TIDEGATE_CORE_LOG_WRITER_H
#define TIDEGATE_CORE_LOG_WRITER_H

/*
 * Log writer: a thread that carries the lines of all logs of a process to one descriptor.
 *
 * The reader of a log may stop reading: a pipe fills up, a terminal is held with Ctrl-S, a journal hangs, a
 * disk is full. Then only the writer's thread waits. The other threads find the queue full, and their lines
 * are lost and counted; once lines flow again, a line of the writer tells how many were lost. The
 * descriptor's flags stay as they are, since other processes may share it.
 *
 * Any thread may add lines; they are written in the order in which they came.
 */

#include <stddef.h>
#include <stdint.h>

#include "core/log.h"

struct log_writer;

enum {
	LOG_WRITER_QUEUE_BYTES = 1 << 20, /* some seconds of a busy start, in case the reader pauses */
	LOG_WRITER_END_MS = 500,          /* to write the last lines in; then the process ends without them */
};

/* Writes to a duplicate of fd, which stays the caller's. format: that of the writer's own line.
 * 0 or negative errno. */
int log_writer_new(int fd, enum log_format format, struct log_writer **writerp);

/*
 * Writes the queued lines, for LOG_WRITER_END_MS at most, and frees the writer. If its
 * thread is still waiting for the descriptor then, the thread stays behind with its memory
 * until the process ends. Accepts NULL.
 */
void log_writer_free(struct log_writer *writer);

/* lines: whole lines, each with its end. Never waits: lines for which there is no room are lost. */
void log_writer_add(struct log_writer *writer, const char *lines, size_t len);

/* Waits until all queued lines are written, but at most for this time: for a process that is about
 * to end at once. */
void log_writer_wait(struct log_writer *writer, unsigned int ms);

/* The number of lines that were lost, for want of room or because of an error; 0 for NULL. */
uint64_t log_writer_n_lost(const struct log_writer *writer);

#endif
