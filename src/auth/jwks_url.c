/* JWKS URL: where keys may be fetched from; see the header. */

#include "auth/jwks_url.h"

#include <string.h>
#include <strings.h>

#include "core/buf.h"
#include "core/ip.h"
#include "core/slice.h"

static const char plain[] = "http://", secure[] = "https://";

bool jwks_url_is_url(const char *text)
{
	return strstr(text, "://") != NULL;
}

/* What stands between the scheme and the path; empty for a scheme that is not ours. */
static struct slice authority_of(const char *url)
{
	size_t skip = !strncasecmp(url, secure, sizeof(secure) - 1) ? sizeof(secure) - 1
		      : !strncasecmp(url, plain, sizeof(plain) - 1) ? sizeof(plain) - 1
								    : strlen(url);

	return (struct slice){url + skip, strcspn(url + skip, "/?#")};
}

/* Without the port and the brackets. */
static struct slice host_of(const char *url)
{
	struct slice host = authority_of(url);
	const char *end;

	if (host.len && *host.data == '[') {
		end = memchr(host.data, ']', host.len);
		return (struct slice){host.data + 1, end ? (size_t)(end - host.data) - 1 : 0};
	}
	end = memchr(host.data, ':', host.len);
	return (struct slice){host.data, end ? (size_t)(end - host.data) : host.len};
}

static int refuse(struct buf *error, const char *why)
{
	buf_append_str(error, why);
	return JWKS_URL_BAD;
}

int jwks_url_check(const char *url, struct buf *error)
{
	struct slice authority = authority_of(url);

	for (const char *c = url; *c; c++)
		if (*c <= ' ' || *c > '~')
			return refuse(error, "a URL of keys has no spaces and no letters beyond ASCII");
	if (!authority.len || !host_of(url).len)
		return refuse(error, "a URL of keys is https://HOST/PATH");
	if (memchr(authority.data, '@', authority.len))
		return refuse(error, "a URL of keys has no user and no password: keys are public");
	if (strchr(url, '#'))
		return refuse(error, "a URL of keys has no fragment (#)");
	if (strlen(url) > JWKS_URL_MAX)
		return refuse(error, "a URL of keys has at most 2048 bytes");
	return 0;
}

bool jwks_url_is_plain(const char *url)
{
	return !strncasecmp(url, plain, sizeof(plain) - 1);
}

bool jwks_url_is_local(const char *url)
{
	struct slice host = host_of(url);

	return ip_is_loopback(host) ||
	       (host.len == strlen("localhost") && !strncasecmp(host.data, "localhost", host.len));
}
