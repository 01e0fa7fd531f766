/* Log text: see the header. */

#include "support/log_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

void log_text_init(struct log_text *log)
{
	*log = (struct log_text){.fd = memfd_create("log", MFD_CLOEXEC)};
	assert_true(log->fd >= 0);
	log->log = log_new(log->fd, LOG_INFO, LOG_FORMAT_TEXT);
	assert_non_null(log->log);
}

void log_text_deinit(struct log_text *log)
{
	log_free(log->log);
	close(log->fd);
	buf_deinit(&log->text);
}

const char *log_text_read(struct log_text *log)
{
	char part[4096];
	ssize_t n;

	log_flush(log->log);
	buf_reset(&log->text);
	while ((n = pread(log->fd, part, sizeof(part), (off_t)log->text.len)) > 0)
		buf_append(&log->text, part, (size_t)n);
	assert_int_equal(n, 0);
	return buf_text(&log->text);
}

unsigned int log_text_count(struct log_text *log, const char *text)
{
	const char *line = log_text_read(log), *end;
	unsigned int n = 0;

	for (; (end = strchr(line, '\n')); line = end + 1)
		n += memmem(line, (size_t)(end - line), text, strlen(text)) != NULL;
	return n;
}
