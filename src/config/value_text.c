/*
 * Value, texts: names, secrets, paths and the URLs of Redis.
 *
 * What may hold a secret is never quoted in a refusal.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "broker/redis/urls.h"
#include "config/config.h"
#include "config/value_private.h"
#include "core/buf.h"
#include "route/route.h"

enum {
	PREFIX_MAX = 64,  /* bytes of channel_prefix: with ROUTE_CHANNEL_MAX still a short name for Redis */
	TEXT_MAX = 512,   /* the claims of a token are compared with it */
	SECRET_MAX = 512, /* characters: a longer one is a file that was mistaken for a secret */
};

void value_text_print(const void *member, struct buf *out)
{
	const char *text = *(char *const *)member;

	buf_append_str(out, text[0] ? text : "none");
}

bool value_text_equal(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b) == 0;
}

void value_text_deinit(void *member)
{
	free(*(char **)member);
	*(char **)member = NULL;
}

static int prefix_parse(void *member, const char *const *texts, size_t n, const struct value_bounds *bounds,
	struct buf *error)
{
	const char *text = texts[0];

	(void)n;
	(void)bounds;
	if (strlen(text) > PREFIX_MAX)
		return value_refuse(error, text, "a prefix: it is longer than 64 bytes");
	for (const char *c = text; *c; c++)
		if (*c != ':' && *c != '.' && !route_id_valid(c, 1))
			return value_refuse(error, text, "a prefix: only A-Z a-z 0-9 . _ ~ - : may be in it");
	return value_replace(member, text);
}

/* A secret of characters that an Authorization header can carry. The error never quotes it. */
static int secret_parse(void *member, const char *const *texts, size_t n, const struct value_bounds *bounds,
	struct buf *error)
{
	size_t len = strlen(texts[0]);

	(void)n;
	(void)bounds;
	for (const char *c = texts[0]; *c && len <= SECRET_MAX; c++)
		if (*c <= ' ' || *c > '~')
			len = SECRET_MAX + 1;
	if (len <= SECRET_MAX)
		return value_replace(member, texts[0]);
	buf_printf(error, "it is not up to %d printable ASCII characters without spaces", SECRET_MAX);
	return CONFIG_BAD;
}

static void secret_print(const void *member, struct buf *out)
{
	buf_append_str(out, **(char *const *)member ? "***" : "none");
}

static void secret_deinit(void *member)
{
	char *text = *(char **)member;

	if (text)
		explicit_bzero(text, strlen(text));
	value_text_deinit(member);
}

/* Several are kept as they would be written in one line. */
static int redis_join(const char *const *texts, size_t n, struct buf *out, struct buf *error)
{
	for (size_t i = 0; i < n; i++) {
		if (n > 1 && !strstr(texts[i], "://")) {
			buf_append_str(error, "each of several Redis URLs starts with its scheme");
			return CONFIG_BAD;
		}
		if (i)
			buf_append_char(out, ',');
		buf_append_str(out, texts[i]);
	}
	return out->failed || !buf_text(out) ? -ENOMEM : 0;
}

/* The text itself never gets into the sentence: there may be a password in it. */
static int redis_parse(void *member, const char *const *texts, size_t n, const struct value_bounds *bounds,
	struct buf *error)
{
	struct redis_urls urls = {0};
	struct buf text = {0};
	int r;

	(void)bounds;
	if (n == 0) {
		buf_append_str(error, "it is empty: name a server, or say 'memory'");
		return CONFIG_BAD;
	}
	if (n == 1 && !texts[0][0])
		return value_replace(member, "");
	r = redis_join(texts, n, &text, error);
	if (r == 0)
		r = redis_urls_parse(buf_text(&text), &urls, error);
	redis_urls_deinit(&urls);
	if (r == 0)
		r = value_replace(member, buf_text(&text));
	if (text.data)
		explicit_bzero(text.data, text.cap);
	buf_deinit(&text);
	return r == -EINVAL ? CONFIG_BAD : r;
}

/* Prints the parsed URLs, so that an odd spelling cannot let a password slip through. */
static void redis_print(const void *member, struct buf *out)
{
	const char *text = *(char *const *)member;
	struct redis_urls urls = {0};
	struct buf ignored = {0};

	if (!text[0])
		buf_append_str(out, "memory");
	else if (redis_urls_parse(text, &urls, &ignored) == 0)
		redis_urls_print(&urls, out);
	redis_urls_deinit(&urls);
	buf_deinit(&ignored);
}

/* What it names is read at the start. */
static int path_parse(void *member, const char *const *texts, size_t n, const struct value_bounds *bounds,
	struct buf *error)
{
	(void)n;
	(void)bounds;
	(void)error;
	return value_replace(member, texts[0]);
}

/* Any text on one line. The error never quotes it: a secret may have been put into the wrong place. */
static int text_parse(void *member, const char *const *texts, size_t n, const struct value_bounds *bounds,
	struct buf *error)
{
	const char *text = texts[0];

	(void)n;
	(void)bounds;
	for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
		if (*c >= ' ' && *c != 0x7f && strlen(text) <= TEXT_MAX)
			continue;
		buf_printf(error, "it is not up to %d bytes of text on one line", TEXT_MAX);
		return CONFIG_BAD;
	}
	return value_replace(member, text);
}

/* What can stand before the '=' of a cookie and of a query without escapes. */
static int parameter_parse(void *member, const char *const *texts, size_t n,
	const struct value_bounds *bounds, struct buf *error)
{
	(void)n;
	(void)bounds;
	if (texts[0][0] && !route_id_valid(texts[0], strlen(texts[0])))
		return value_refuse(error, texts[0], "a name (1 to 128 of A-Z a-z 0-9 . _ ~ -)");
	return value_replace(member, texts[0]);
}

const struct value_type value_redis_url = {
	"URL", false, NULL, "memory", redis_parse, redis_print, value_text_equal, value_text_deinit};

const struct value_type value_prefix = {
	"TEXT", false, NULL, "none", prefix_parse, value_text_print, value_text_equal, value_text_deinit};

const struct value_type value_secret = {
	"TEXT", false, NULL, "none", secret_parse, secret_print, value_text_equal, secret_deinit};

const struct value_type value_path = {
	"PATH", false, NULL, "none", path_parse, value_text_print, value_text_equal, value_text_deinit};

const struct value_type value_text = {
	"TEXT", false, NULL, "none", text_parse, value_text_print, value_text_equal, value_text_deinit};

const struct value_type value_claim = {
	"NAME", false, NULL, NULL, text_parse, value_text_print, value_text_equal, value_text_deinit};

const struct value_type value_parameter = {
	"NAME", false, NULL, "none", parameter_parse, value_text_print, value_text_equal, value_text_deinit};
