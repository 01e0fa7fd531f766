#ifndef TIDEGATE_HTTP_DATE_H
#define TIDEGATE_HTTP_DATE_H

/* Date: the time as HTTP writes it, "Sun, 06 Nov 1994 08:49:37 GMT" (RFC 9110 section 5.6.7). */

#include <stdint.h>

enum {
	HTTP_DATE_SIZE = 30, /* with the NUL */
};

void http_date(int64_t wall_ms, char out[HTTP_DATE_SIZE]);

#endif
