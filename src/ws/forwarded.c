/* Forwarded: the hops of X-Forwarded-For and Forwarded; see the header. */

#include "ws/forwarded.h"

#include <arpa/inet.h>
#include <string.h>
#include <strings.h>

#include "http/request_head.h"

/* Without the quotes around it. An escape inside makes it no address. */
static struct slice unquote(struct slice text)
{
	if (text.len >= 2 && text.data[0] == '"' && text.data[text.len - 1] == '"')
		return http_trim((struct slice){text.data + 1, text.len - 2});
	return text;
}

/* Does an odd number of backslashes stand before it? */
static bool is_escaped(struct slice text, size_t at)
{
	size_t n = 0;

	while (n < at && text.data[at - n - 1] == '\\')
		n++;
	return n % 2;
}

/*
 * The offset of the last separator outside of quotes, or the end of the text. It searches from the end, which
 * the nearest proxy wrote: a quote that a client leaves open must not hide that part.
 */
static size_t find_last(struct slice text, char separator)
{
	bool quoted = false;

	for (size_t i = text.len; i-- > 0;) {
		if (text.data[i] == '"' && !is_escaped(text, i))
			quoted = !quoted;
		else if (text.data[i] == separator && !quoted)
			return i;
	}
	return text.len;
}

/* Cuts the text behind the last separator off the list, together with the separator. */
static struct slice cut_last(struct slice *list, char separator)
{
	size_t at = find_last(*list, separator);
	struct slice last = {list->data, list->len};

	if (at < list->len)
		last = (struct slice){list->data + at + 1, list->len - at - 1};
	list->len = at < list->len ? at : 0;
	return http_trim(last);
}

/* The value of "for" in "for=192.0.2.60;proto=http", or an empty one. */
static struct slice for_of(struct slice element)
{
	while (element.len) {
		struct slice pair = cut_last(&element, ';');

		if (pair.len > 4 && !strncasecmp(pair.data, "for=", 4))
			return http_trim((struct slice){pair.data + 4, pair.len - 4});
	}
	return (struct slice){0};
}

/* "[2001:db8::7]:443", "203.0.113.7:51008": cuts the port off. */
static struct slice without_port(struct slice text)
{
	const char *end;

	if (text.len && text.data[0] == '[') {
		end = memchr(text.data, ']', text.len);
		return end ? (struct slice){text.data + 1, (size_t)(end - text.data) - 1} : text;
	}
	end = text.len ? memchr(text.data, ':', text.len) : NULL;
	/* A second colon means an IPv6 address without brackets, which has no port. */
	if (end && !memchr(end + 1, ':', text.len - (size_t)(end - text.data) - 1))
		text.len = (size_t)(end - text.data);
	return text;
}

bool forwarded_last(struct slice *list, enum forwarded_form form, char out[INET6_ADDRSTRLEN])
{
	struct slice hop = {0};
	struct in6_addr address;

	while (list->len && !hop.len)
		hop = cut_last(list, ',');
	if (form == FORWARDED_ELEMENTS)
		hop = for_of(hop);
	hop = without_port(unquote(hop));
	if (!hop.len || hop.len >= INET6_ADDRSTRLEN)
		return false;
	memcpy(out, hop.data, hop.len);
	out[hop.len] = '\0';
	return inet_pton(AF_INET, out, &address) == 1 || inet_pton(AF_INET6, out, &address) == 1;
}
