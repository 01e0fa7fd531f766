/* Percent: text of a URL as it was meant; see the header. */

#include "admin/percent.h"

#include <string.h>

#include "core/text.h"

bool percent_decode(char *text)
{
	const char *end = text + strlen(text);
	char *out = text;

	while (text < end) {
		int byte = *text == '%' ? text_percent_byte(text, (size_t)(end - text)) : *text;

		if (*text == '%' && byte <= 0)
			return false;
		text += *text == '%' ? 3 : 1;
		*out++ = (char)byte;
	}
	*out = '\0';
	return true;
}
