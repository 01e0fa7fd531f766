#ifndef TIDEGATE_SUPPORT_LOG_TEXT_H
#define TIDEGATE_SUPPORT_LOG_TEXT_H

/* Log text: a log whose lines stay in memory, for a test to read. */

#include "core/buf.h"
#include "core/log.h"

struct log_text {
	struct log *log; /* at INFO */
	int fd;
	struct buf text;
};

void log_text_init(struct log_text *log);
void log_text_deinit(struct log_text *log);

/* All that was logged so far; good until it is asked again. */
const char *log_text_read(struct log_text *log);

/* How many lines of it have this text; "" is in every line. */
unsigned int log_text_count(struct log_text *log, const char *text);

#endif
