#ifndef TIDEGATE_CORE_LOG_H
#define TIDEGATE_CORE_LOG_H

/*
 * Log: one structured line for each thing worth telling, as text or as JSON.
 *
 * A line is a level, a fixed message that operators can search for, and named fields. Bytes that came from a
 * peer go into a field, never into the message: fields are escaped (control characters, DEL, C1, U+2028/9,
 * invalid UTF-8) and cut at LOG_VALUE_MAX bytes, so no client can forge or flood a line.
 *
 * Each thread owns one struct log; nothing in it is locked. Lines are collected in the thread's buffer and
 * written by log_flush(), which each loop calls once per turn; WARN and ERROR flush at once. A write(2)
 * carries whole lines, so lines of several threads never mix. A thread that must not wait for the reader of
 * its log hands the lines to a log_writer instead.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/slice.h"

enum {
	LOG_VALUE_MAX = 128, /* bytes of one string value, before escaping (docs/limits.md, The log) */
};

enum log_level {
	LOG_DEBUG,
	LOG_INFO,
	LOG_WARN,
	LOG_ERROR,
};

enum log_format {
	LOG_FORMAT_TEXT, /* 2026-01-01T00:00:00.000Z INFO  message key=value key="quoted value" */
	LOG_FORMAT_JSON, /* {"time":"…","level":"info","msg":"…","key":…} */
};

enum log_field_kind {
	LOG_FIELD_END,
	LOG_FIELD_STRING,
	LOG_FIELD_INT,
	LOG_FIELD_UINT,
	LOG_FIELD_BOOL,
};

/* Borrows its strings for the length of the call that it is handed to. */
struct log_field {
	enum log_field_kind kind;
	const char *key;
	union {
		struct {
			const char *data;
			size_t len;
		} string;
		int64_t i;
		uint64_t u;
		bool b;
	} value;
};

struct log;
struct log_writer;

/* Writes to fd, which stays the caller's. NULL when out of memory. */
struct log *log_new(int fd, enum log_level level, enum log_format format);

/* Hands its lines to the writer, which stays the caller's and outlives the log. NULL when out of memory. */
struct log *log_new_queued(struct log_writer *writer, enum log_level level, enum log_format format);

/* Flushes, then frees. Accepts NULL. */
void log_free(struct log *log);

void log_set_level(struct log *log, enum log_level level);
enum log_level log_get_level(const struct log *log);

/* Is the level on? Not for a NULL log. */
bool log_wants(const struct log *log, enum log_level level);

/*
 * Adds one line, if the level is on. Fields end with LOG_FIELD_END. The time is the wall clock. A line that
 * cannot be written is lost: a gateway does not stop for its log. With a NULL log it does nothing.
 */
void log_line(struct log *log, enum log_level level, const char *message, const struct log_field *fields);

void log_flush(struct log *log);

/* The number of lines of this log that log_limit_allow() held back; 0 for a NULL log. */
uint64_t log_n_suppressed(const struct log *log);

/* "debug" … "error", "text" / "json": 0, or -EINVAL for any other word. */
int log_level_parse(const char *word, enum log_level *levelp);
int log_format_parse(const char *word, enum log_format *formatp);
const char *log_level_name(enum log_level level);
const char *log_format_name(enum log_format format);

static inline struct log_field log_mem(const char *key, const char *data, size_t len)
{
	return (struct log_field){LOG_FIELD_STRING, key, {.string = {data, len}}};
}

static inline struct log_field log_slice(const char *key, struct slice value)
{
	return log_mem(key, value.data, value.len);
}

/* NULL prints as an empty string. */
struct log_field log_str(const char *key, const char *value);

static inline struct log_field log_int(const char *key, int64_t value)
{
	return (struct log_field){LOG_FIELD_INT, key, {.i = value}};
}

static inline struct log_field log_uint(const char *key, uint64_t value)
{
	return (struct log_field){LOG_FIELD_UINT, key, {.u = value}};
}

static inline struct log_field log_bool(const char *key, bool value)
{
	return (struct log_field){LOG_FIELD_BOOL, key, {.b = value}};
}

/* Fields are evaluated only for a level that is on. */
#define LOG_FIELDS(...) ((const struct log_field[]){__VA_ARGS__ __VA_OPT__(, ){0}})
#define log_at(log, level, message, ...)                                                                     \
	(log_wants(log, level) ? log_line(log, level, message, LOG_FIELDS(__VA_ARGS__)) : (void)0)
#define log_debug(log, message, ...) log_at(log, LOG_DEBUG, message, __VA_ARGS__)
#define log_info(log, message, ...)  log_at(log, LOG_INFO, message, __VA_ARGS__)
#define log_warn(log, message, ...)  log_at(log, LOG_WARN, message, __VA_ARGS__)
#define log_error(log, message, ...) log_at(log, LOG_ERROR, message, __VA_ARGS__)

/*
 * Bounds the lines of a site that a peer can trigger at will: `burst` lines an interval; the others are
 * counted. Zeroed memory plus the two settings is a fresh limit. Time is handed in.
 */
struct log_limit {
	uint32_t burst;
	uint32_t interval_ms;
	uint64_t started_ms;
	uint32_t used;
	uint64_t suppressed;
};

/*
 * True when the line may be written; *suppressedp is then the number of lines that were held back since
 * the last written one, for the line's own "suppressed" field. The log counts all lines that were held
 * back; it may be NULL.
 */
bool log_limit_allow(struct log *log, struct log_limit *limit, uint64_t now_ms, uint64_t *suppressedp);

#endif
