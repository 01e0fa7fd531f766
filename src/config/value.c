/*
 * Value: what the types of options have in common. Each type stands with its kind: in value_number,
 * value_word, value_text, value_address or value_list.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "config/config.h"
#include "config/value_private.h"
#include "core/buf.h"

/* Appends at most VALUE_QUOTED_MAX bytes of the text, with '?' for characters that could disturb a line. */
static void append_printable(struct buf *out, const char *text)
{
	for (size_t n = 0; text[n]; n++) {
		if (n == VALUE_QUOTED_MAX) {
			buf_append_str(out, "...");
			return;
		}
		buf_append_char(out, text[n] >= ' ' && text[n] <= '~' ? text[n] : '?');
	}
}

void value_quote(struct buf *out, const char *text)
{
	buf_append_char(out, '\'');
	append_printable(out, text);
	buf_append_char(out, '\'');
}

int value_refuse(struct buf *error, const char *text, const char *what)
{
	value_quote(error, text);
	buf_printf(error, " is not %s", what);
	return CONFIG_BAD;
}

int value_replace(char **stringp, const char *text)
{
	char *copy = strdup(text);

	if (!copy)
		return -ENOMEM;
	free(*stringp);
	*stringp = copy;
	return 0;
}
