#ifndef TIDEGATE_ADMIN_PERCENT_H
#define TIDEGATE_ADMIN_PERCENT_H

/* Percent: text of a URL as it was meant. */

#include <stdbool.h>

/* Decodes it in place, once. False: a broken escape, or %00, which no text of ours holds. */
bool percent_decode(char *text);

#endif
