/*
 * Value, lists: several texts, each checked by itself.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "auth/jwks_fetch.h"
#include "auth/jwks_url.h"
#include "auth/verifier.h"
#include "config/config.h"
#include "config/value_private.h"
#include "core/buf.h"
#include "core/ip.h"
#include "http/origin.h"
#include "route/route.h"

static void list_free(char **list)
{
	for (size_t i = 0; list && list[i]; i++)
		free(list[i]);
	free(list);
}

static int list_replace(char ***listp, const char *const *texts, size_t n)
{
	char **list = calloc(n + 1, sizeof(*list));

	if (!list)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		list[i] = strdup(texts[i]);
		if (!list[i]) {
			list_free(list);
			return -ENOMEM;
		}
	}
	list_free(*listp);
	*listp = list;
	return 0;
}

static void list_print(const void *member, struct buf *out)
{
	char *const *list = *(char **const *)member;

	if (!list[0])
		buf_append_str(out, "none");
	for (size_t i = 0; list[i]; i++)
		buf_printf(out, i > 0 ? ",%s" : "%s", list[i]);
}

static bool list_equal(const void *a, const void *b)
{
	char *const *x = *(char **const *)a;
	char *const *y = *(char **const *)b;

	for (; *x && *y; x++, y++)
		if (strcmp(*x, *y) != 0)
			return false;
	return !*x && !*y;
}

static void list_deinit(void *member)
{
	list_free(*(char ***)member);
	*(char ***)member = NULL;
}

static bool network_valid(const char *text)
{
	const char *slash = strchrnul(text, '/');
	struct in6_addr address;
	uint64_t bits;
	bool ipv4;

	if (!ip_parse((struct slice){text, (size_t)(slash - text)}, &address, &ipv4))
		return false;
	return !*slash || (value_number(slash + 1, &bits) && bits <= (ipv4 ? 32 : 128));
}

static int networks_parse(void *member, const char *const *texts, size_t n, const struct value_bounds *bounds,
	struct buf *error)
{
	(void)bounds;
	for (size_t i = 0; i < n; i++)
		if (!network_valid(texts[i]))
			return value_refuse(
				error, texts[i], "an IP address or a CIDR block (such as 10.0.0.0/8)");
	return list_replace(member, texts, n);
}

static int origins_parse(void *member, const char *const *texts, size_t n, const struct value_bounds *bounds,
	struct buf *error)
{
	(void)bounds;
	for (size_t i = 0; i < n; i++)
		if (!origin_entry_is_valid(texts[i]))
			return value_refuse(error, texts[i],
				"an origin (such as https://app.example.com, https://*.example.com or same)");
	return list_replace(member, texts, n);
}

static int topics_parse(void *member, const char *const *texts, size_t n, const struct value_bounds *bounds,
	struct buf *error)
{
	(void)bounds;
	for (size_t i = 0; i < n; i++) {
		if (!route_id_valid(texts[i], strlen(texts[i])))
			return value_refuse(error, texts[i], "a topic (1 to 128 of A-Z a-z 0-9 . _ ~ -)");
		if (strcmp(texts[i], "tg") == 0)
			return value_refuse(error, texts[i], "free for a topic: it is Tidegate's own");
		for (size_t j = 0; j < i; j++)
			if (strcmp(texts[i], texts[j]) == 0)
				return value_refuse(error, texts[i], "there once only");
	}
	return list_replace(member, texts, n);
}

static int paths_parse(void *member, const char *const *texts, size_t n, const struct value_bounds *bounds,
	struct buf *error)
{
	size_t n_urls = 0;

	(void)bounds;
	for (size_t i = 0; i < n; i++) {
		if (!texts[i][0])
			return value_refuse(error, texts[i], "the name of a file, or a URL");
		if (!jwks_url_is_url(texts[i]))
			continue;
		/* The URL is not quoted: a password may stand in it. */
		if (jwks_fetch_check(texts[i], error))
			return CONFIG_BAD;
		if (n_urls++) {
			buf_append_str(error, "it has more than one URL");
			return CONFIG_BAD;
		}
	}
	return list_replace(member, texts, n);
}

static int algorithms_parse(void *member, const char *const *texts, size_t n,
	const struct value_bounds *bounds, struct buf *error)
{
	(void)bounds;
	if (n == 0) {
		buf_append_str(error, "it is empty: no token could be signed with any of it");
		return CONFIG_BAD;
	}
	for (size_t i = 0; i < n; i++)
		if (!verifier_knows_algorithm(texts[i]))
			return value_refuse(error, texts[i],
				"an algorithm of signatures (such as HS256, RS256, ES256, EdDSA)");
	return list_replace(member, texts, n);
}

const struct value_type value_networks = {
	"LIST", true, NULL, "none", networks_parse, list_print, list_equal, list_deinit};

const struct value_type value_origins = {
	"LIST", true, NULL, "none", origins_parse, list_print, list_equal, list_deinit};

const struct value_type value_topics = {
	"LIST", true, NULL, "none", topics_parse, list_print, list_equal, list_deinit};

const struct value_type value_paths = {
	"LIST", true, NULL, "none", paths_parse, list_print, list_equal, list_deinit};

const struct value_type value_algorithms = {
	"LIST", true, NULL, NULL, algorithms_parse, list_print, list_equal, list_deinit};
