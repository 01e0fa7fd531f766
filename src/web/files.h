#ifndef TIDEGATE_WEB_FILES_H
#define TIDEGATE_WEB_FILES_H

/*
 * Files: what the public port serves beside WebSockets, as it was when this was built.
 *
 * A file that has the hash of its content in its name never changes, and may be kept for ever. The one
 * without is to be asked about each time, which costs no more than the question.
 */

#include "core/slice.h"

enum {
	WEB_CLIENT = 1, /* the JavaScript client */
	WEB_DEMO = 2,   /* the page of the demonstration, which uses that client */
};

struct web_file {
	const char *path; /* in the URL */
	unsigned int set; /* of the above; it is served with each of them */
	const char *type;
	const char *tag;      /* a hash of its content */
	const char *headers;  /* further header lines */
	const char *location; /* NULL; or it is elsewhere, and has no content */
	struct slice plain, gzip;
};

/* NULL if no file has this path. */
const struct web_file *web_file_find(struct slice path);

#endif
