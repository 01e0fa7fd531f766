/*
 * Redis URL: the address of a Redis and our user there, from one line that an operator wrote.
 *
 * It refuses a text that it does not understand, rather than connect to something else. The sentence that
 * says why repeats no part of the text, because any part of a mistyped URL may be the password.
 */

#include "broker/redis/url.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "broker/redis/url_text.h"
#include "core/buf.h"
#include "core/slice.h"
#include "core/text.h"

enum {
	REDIS_HOST_MAX = 255, /* of a name in DNS */
};

int redis_url_refuse(struct buf *error, const char *why)
{
	buf_append_str(error, why);
	return -EINVAL;
}

/* NUL cannot be in any of these strings, so it is refused. */
int redis_url_decode(struct slice text, struct buf *error, char **outp)
{
	char *out = malloc(text.len + 1);
	size_t n = 0;

	if (!out)
		return -ENOMEM;
	for (size_t i = 0; i < text.len; i++) {
		out[n] = text.data[i];
		if (text.data[i] == '%') {
			int byte = text_percent_byte(text.data + i, text.len - i);

			if (byte <= 0) {
				free(out);
				return redis_url_refuse(error,
					"a % in the Redis URL is not followed by two hex digits "
					"of a usable byte (write %25 for the character itself)");
			}
			out[n] = (char)byte;
			i += 2;
		}
		n++;
	}
	out[n] = '\0';
	*outp = out;
	return 0;
}

/* Digits only, no more than max. */
static bool url_number(struct slice text, long max, long *numberp)
{
	long number = 0;

	if (text.len == 0)
		return false;
	for (size_t i = 0; i < text.len; i++) {
		if (text.data[i] < '0' || text.data[i] > '9')
			return false;
		number = number * 10 + (text.data[i] - '0');
		if (number > max)
			return false;
	}
	*numberp = number;
	return true;
}

struct slice redis_url_until(struct slice text, const char *stops, struct slice *restp)
{
	size_t n = 0;

	while (n < text.len && !strchr(stops, text.data[n]))
		n++;
	*restp = (struct slice){text.data + n, text.len - n};
	return (struct slice){text.data, n};
}

/* The last @ counts: a raw one in a password is forgiven. */
int redis_url_take_login(struct redis_url *url, struct slice *authority, struct buf *error)
{
	const char *at = memrchr(authority->data, '@', authority->len);
	struct slice login, user, password;
	int r;

	if (!at)
		return 0;
	login = (struct slice){authority->data, (size_t)(at - authority->data)};
	*authority = (struct slice){at + 1, authority->len - login.len - 1};
	user = redis_url_until(login, ":", &password);
	if (password.len == 0)
		return redis_url_refuse(error,
			"the Redis URL has a user but no password: write user:password@ or :password@");
	password = (struct slice){password.data + 1, password.len - 1};
	if (password.len == 0)
		return redis_url_refuse(error, "the password in the Redis URL is empty");
	if (user.len) {
		r = redis_url_decode(user, error, &url->user);
		if (r < 0)
			return r;
	}
	return redis_url_decode(password, error, &url->password);
}

static int url_take_port(struct redis_url *url, struct slice rest, struct buf *error)
{
	long port = 0;

	if (rest.len == 0)
		return 0;
	if (rest.data[0] != ':' ||
		!url_number((struct slice){rest.data + 1, rest.len - 1}, UINT16_MAX, &port) || port == 0)
		return redis_url_refuse(error,
			"the port in the Redis URL is not a number from 1 to 65535 (a / ? or # in a "
			"password must be written as %2F %3F or %23)");
	url->port = (uint16_t)port;
	return 0;
}

int redis_url_take_host(
	struct redis_url *url, struct slice authority, uint16_t default_port, struct buf *error)
{
	struct slice host, rest;
	int r;

	url->port = default_port;
	if (authority.len && authority.data[0] == '[') {
		host = redis_url_until((struct slice){authority.data + 1, authority.len - 1}, "]", &rest);
		if (rest.len == 0)
			return redis_url_refuse(error, "the [ in the Redis URL has no ]");
		rest = (struct slice){rest.data + 1, rest.len - 1};
	} else {
		host = redis_url_until(authority, ":", &rest);
		if (rest.len && memchr(rest.data + 1, ':', rest.len - 1))
			return redis_url_refuse(
				error, "an IPv6 address in the Redis URL needs brackets: redis://[::1]:6379");
	}
	if (host.len == 0)
		return redis_url_refuse(error, "the Redis URL names no host");
	if (host.len > REDIS_HOST_MAX)
		return redis_url_refuse(error, "the host in the Redis URL is longer than 255 bytes");
	r = redis_url_decode(host, error, &url->host);
	if (r < 0)
		return r;
	for (const char *c = url->host; *c; c++)
		if ((unsigned char)*c <= ' ' || *c == 0x7f || *c == ';')
			return redis_url_refuse(error,
				"the host in the Redis URL contains a blank, a control character or a ; "
				"(several are parted by commas)");
	return url_take_port(url, rest, error);
}

int redis_url_take_db(struct redis_url *url, struct slice text, struct buf *error)
{
	long db = 0;

	if (text.len && !url_number(text, INT_MAX, &db))
		return redis_url_refuse(error, "the database in the Redis URL is not a number");
	url->db = (int)db;
	return 0;
}

static int url_parse_tcp(struct slice text, struct redis_url *url, struct buf *error)
{
	struct slice rest;
	struct slice authority = redis_url_until(text, "/?#", &rest);
	int r;

	r = redis_url_take_login(url, &authority, error);
	if (r < 0)
		return r;
	r = redis_url_take_host(url, authority, REDIS_PORT, error);
	if (r < 0 || rest.len == 0)
		return r;
	if (rest.data[0] != '/')
		return redis_url_refuse(
			error, "redis:// takes no options: only [user:password@]host[:port][/db]");
	return redis_url_take_db(url, (struct slice){rest.data + 1, rest.len - 1}, error);
}

static int url_parse_tls(struct slice text, struct redis_url *url, struct buf *error)
{
	url->tls = true;
	return url_parse_tcp(text, url, error);
}

static int url_parse_unix(struct slice text, struct redis_url *url, struct buf *error)
{
	struct slice rest, query;
	struct slice authority = redis_url_until(text, "/?#", &rest);
	struct slice path = redis_url_until(rest, "?", &query);
	int r;

	r = redis_url_take_login(url, &authority, error);
	if (r < 0)
		return r;
	if (authority.len || path.len < 2)
		return redis_url_refuse(error,
			"a Unix socket in the Redis URL needs an absolute path: unix:///run/redis.sock");
	r = redis_url_decode(path, error, &url->unix_path);
	if (r < 0)
		return r;
	if (strlen(url->unix_path) >= sizeof(((struct sockaddr_un *)NULL)->sun_path))
		return redis_url_refuse(error, "the socket's path in the Redis URL is longer than 107 bytes");
	if (query.len == 0)
		return 0;
	if (query.len < 5 || memcmp(query.data, "?db=", 4) != 0)
		return redis_url_refuse(error, "the only option of a Unix socket in the Redis URL is ?db=");
	return redis_url_take_db(url, (struct slice){query.data + 4, query.len - 4}, error);
}

int redis_url_parse(const char *text, struct redis_url *url, struct buf *error)
{
	static const struct {
		const char *scheme;
		int (*parse)(struct slice text, struct redis_url *url, struct buf *error);
	} schemes[] = {
		{"redis://", url_parse_tcp},
		{"rediss://", url_parse_tls},
		{"unix://", url_parse_unix},
		{"redis+unix://", url_parse_unix},
	};
	int r;

	*url = (struct redis_url){0};
	for (size_t i = 0; i < sizeof(schemes) / sizeof(*schemes); i++) {
		size_t len = strlen(schemes[i].scheme);

		if (strncasecmp(text, schemes[i].scheme, len) != 0)
			continue;
		r = schemes[i].parse(slice_of(text + len), url, error);
		if (r < 0)
			redis_url_deinit(url);
		return r;
	}
	return redis_url_refuse(error,
		"the Redis URL must start with redis://, rediss://, unix:// or redis+unix://, or with "
		"redis+sentinel:// or redis+cluster:// (rediss+… over TLS)");
}

static int url_copy_string(const char *from, char **top)
{
	*top = from ? strdup(from) : NULL;
	return from && !*top ? -ENOMEM : 0;
}

int redis_url_copy(const struct redis_url *from, struct redis_url *to)
{
	*to = (struct redis_url){.port = from->port, .db = from->db, .tls = from->tls};
	if (url_copy_string(from->host, &to->host) < 0 ||
		url_copy_string(from->unix_path, &to->unix_path) < 0 ||
		url_copy_string(from->user, &to->user) < 0 ||
		url_copy_string(from->password, &to->password) < 0) {
		redis_url_deinit(to);
		return -ENOMEM;
	}
	return 0;
}

void redis_url_deinit(struct redis_url *url)
{
	if (url->password)
		explicit_bzero(url->password, strlen(url->password));
	free(url->host);
	free(url->unix_path);
	free(url->user);
	free(url->password);
	*url = (struct redis_url){0};
}

void redis_url_describe(const struct redis_url *url, struct buf *out)
{
	if (url->unix_path) {
		buf_append_str(out, url->unix_path);
		if (url->db)
			buf_printf(out, "?db=%d", url->db);
		return;
	}
	if (!url->port) { /* it has no address yet, and is called by another name */
		buf_append_str(out, url->host);
		return;
	}
	buf_printf(out, strchr(url->host, ':') ? "[%s]:%u/%d" : "%s:%u/%d", url->host, url->port, url->db);
}
