#ifndef TIDEGATE_ADMIN_PERCENT_H
#define TIDEGATE_ADMIN_PERCENT_H

/* Percent: text of a URL as it was meant. */

#include <stdbool.h>

/* Decodes the text in place, once. False if it has a broken escape or %00, which no text of ours contains. */
bool percent_decode(char *text);

#endif
