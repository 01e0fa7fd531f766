/*
 * Log: one structured line for each thing worth telling.
 *
 * It promises that text of a peer stays one value in one line, and that lines of several threads never mix:
 * neither a line nor a write is longer than LOG_LINE_MAX, because the kernel writes that much to a pipe in
 * one piece. Fields for which there is no room are left out, and the line says so.
 */

#include "core/log.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/buf.h"
#include "core/clock.h"
#include "core/log_writer.h"
#include "core/text.h"

enum {
	LOG_LINE_MAX = PIPE_BUF, /* of a pipe, such as a container's standard output: atomic up to here */
	LOG_LINE_TAIL = 32,      /* room kept for `truncated` and the end of the line */
	LOG_PENDING_MAX = 65536, /* a turn that says more than this flushes before its end */
};

struct log {
	int fd;
	struct log_writer *writer; /* NULL: the lines go to fd at once */
	enum log_level level;
	enum log_format format;
	struct buf lines;
	uint64_t n_suppressed;
};

static const char *const level_names[] = {
	[LOG_DEBUG] = "debug",
	[LOG_INFO] = "info",
	[LOG_WARN] = "warn",
	[LOG_ERROR] = "error",
};

static const char *const level_columns[] = {
	[LOG_DEBUG] = " DEBUG ",
	[LOG_INFO] = " INFO  ",
	[LOG_WARN] = " WARN  ",
	[LOG_ERROR] = " ERROR ",
};

static const char *const format_names[] = {
	[LOG_FORMAT_TEXT] = "text",
	[LOG_FORMAT_JSON] = "json",
};

struct log *log_new(int fd, enum log_level level, enum log_format format)
{
	struct log *log = calloc(1, sizeof(*log));

	if (!log)
		return NULL;
	log->fd = fd;
	log->level = level;
	log->format = format;
	return log;
}

struct log *log_new_queued(struct log_writer *writer, enum log_level level, enum log_format format)
{
	struct log *log = log_new(-1, level, format);

	if (log)
		log->writer = writer;
	return log;
}

void log_free(struct log *log)
{
	if (!log)
		return;
	log_flush(log);
	buf_deinit(&log->lines);
	free(log);
}

void log_set_level(struct log *log, enum log_level level)
{
	log->level = level;
}

enum log_level log_get_level(const struct log *log)
{
	return log->level;
}

bool log_wants(const struct log *log, enum log_level level)
{
	return log && level >= log->level;
}

/* A value that consists of letters, digits and the characters of addresses and paths needs no quotes
 * in a text line. */
static bool is_word(const char *data, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (data[i] <= ' ' || data[i] > '~' || strchr("\"\\=", data[i]))
			return false;
	return len > 0;
}

static void put_string(struct log *log, const char *data, size_t len)
{
	static const char ellipsis[] = "\xe2\x80\xa6";
	char cut[LOG_VALUE_MAX + sizeof(ellipsis)];
	size_t n = text_cut(data, len, LOG_VALUE_MAX);

	if (n < len) {
		memcpy(cut, data, n);
		memcpy(cut + n, ellipsis, sizeof(ellipsis) - 1);
		data = cut;
		len = n + sizeof(ellipsis) - 1;
	}
	if (log->format == LOG_FORMAT_TEXT && is_word(data, len))
		buf_append(&log->lines, data, len);
	else
		buf_append_json_string(&log->lines, data, len);
}

static void put_field(struct log *log, const struct log_field *field)
{
	buf_printf(&log->lines, log->format == LOG_FORMAT_JSON ? ",\"%s\":" : " %s=", field->key);
	switch (field->kind) {
	case LOG_FIELD_STRING:
		put_string(log, field->value.string.data, field->value.string.len);
		break;
	case LOG_FIELD_INT:
		buf_printf(&log->lines, "%lld", (long long)field->value.i);
		break;
	case LOG_FIELD_UINT:
		buf_printf(&log->lines, "%llu", (unsigned long long)field->value.u);
		break;
	case LOG_FIELD_BOOL:
		buf_append_str(&log->lines, field->value.b ? "true" : "false");
		break;
	case LOG_FIELD_END:
		break;
	}
}

static void put_head(struct log *log, enum log_level level, const char *message)
{
	char time[CLOCK_TIMESTAMP_LEN];

	clock_format(clock_wall_ms(), time);
	if (log->format == LOG_FORMAT_TEXT) {
		buf_append(&log->lines, time, sizeof(time));
		buf_append_str(&log->lines, level_columns[level]);
		buf_append_str(&log->lines, message);
		return;
	}
	buf_append_str(&log->lines, "{\"time\":\"");
	buf_append(&log->lines, time, sizeof(time));
	buf_printf(&log->lines, "\",\"level\":\"%s\",\"msg\":", level_names[level]);
	buf_append_json_string(&log->lines, message, strlen(message));
}

void log_line(struct log *log, enum log_level level, const char *message, const struct log_field *fields)
{
	size_t line, before;

	if (!log_wants(log, level))
		return;
	line = log->lines.len;
	put_head(log, level, message);
	for (; fields->kind != LOG_FIELD_END; fields++) {
		before = log->lines.len;
		put_field(log, fields);
		if (log->lines.len - line <= LOG_LINE_MAX - LOG_LINE_TAIL)
			continue;
		log->lines.len = before;
		put_field(log, &(struct log_field){LOG_FIELD_BOOL, "truncated", {.b = true}});
		break;
	}
	buf_append_str(&log->lines, log->format == LOG_FORMAT_JSON ? "}\n" : "\n");
	if (log->lines.failed) {
		log->lines.failed = false; /* this line is lost; the lines before it are whole */
		log->lines.len = line;
	}
	if (level >= LOG_WARN || log->lines.len >= LOG_PENDING_MAX)
		log_flush(log);
}

static void write_lines(int fd, const char *data, size_t len)
{
	ssize_t n;

	for (; len > 0; len -= (size_t)n, data += n) {
		do
			n = write(fd, data, text_whole_lines(data, len < LOG_LINE_MAX ? len : LOG_LINE_MAX));
		while (n < 0 && errno == EINTR);
		if (n <= 0)
			return; /* the descriptor is full or closed */
	}
}

void log_flush(struct log *log)
{
	if (!log)
		return;
	if (log->writer)
		log_writer_add(log->writer, log->lines.data, log->lines.len);
	else
		write_lines(log->fd, log->lines.data, log->lines.len);
	buf_reset(&log->lines);
}

uint64_t log_n_suppressed(const struct log *log)
{
	return log ? log->n_suppressed : 0;
}

static int parse_word(const char *word, const char *const *names, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(word, names[i]) == 0)
			return (int)i;
	return -EINVAL;
}

int log_level_parse(const char *word, enum log_level *levelp)
{
	int r = parse_word(word, level_names, sizeof(level_names) / sizeof(*level_names));

	if (r < 0)
		return r;
	*levelp = (enum log_level)r;
	return 0;
}

int log_format_parse(const char *word, enum log_format *formatp)
{
	int r = parse_word(word, format_names, sizeof(format_names) / sizeof(*format_names));

	if (r < 0)
		return r;
	*formatp = (enum log_format)r;
	return 0;
}

const char *log_level_name(enum log_level level)
{
	return level_names[level];
}

const char *log_format_name(enum log_format format)
{
	return format_names[format];
}

struct log_field log_str(const char *key, const char *value)
{
	return log_mem(key, value ? value : "", value ? strlen(value) : 0);
}

bool log_limit_allow(struct log *log, struct log_limit *limit, uint64_t now_ms, uint64_t *suppressedp)
{
	if (now_ms - limit->started_ms >= limit->interval_ms) {
		limit->started_ms = now_ms;
		limit->used = 0;
	}
	if (limit->used >= limit->burst) {
		limit->suppressed++;
		if (log)
			log->n_suppressed++;
		return false;
	}
	limit->used++;
	*suppressedp = limit->suppressed;
	limit->suppressed = 0;
	return true;
}
