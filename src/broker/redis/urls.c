/*
 * Redis URLs: which servers there are, from one line that an operator wrote. See urls.h.
 */

#include "broker/redis/urls.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "broker/redis/url_text.h"
#include "core/buf.h"
#include "core/slice.h"

static const char sentinel_needs_name[] =
	"redis+sentinel:// needs the name of the primary behind the hosts: redis+sentinel://s1,s2/NAME";

struct scheme {
	const char *text;
	enum redis_element_kind kind;
	bool tls;
};

/* Schemes of several hosts. */
static const struct scheme schemes[] = {
	{"redis+sentinel://", REDIS_SENTINEL, false},
	{"rediss+sentinel://", REDIS_SENTINEL, true},
	{"redis+cluster://", REDIS_CLUSTER, false},
	{"rediss+cluster://", REDIS_CLUSTER, true},
	{"redis://", REDIS_CLUSTER, false},
	{"rediss://", REDIS_CLUSTER, true},
};

static bool starts_with_scheme(const char *text)
{
	size_t n = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ+-.");

	return n > 0 && strncmp(text + n, "://", 3) == 0;
}

/* Behind the comma that separates this element from the next; NULL: it is the last one. */
static const char *next_element(const char *text)
{
	for (text = strchr(text, ','); text; text = strchr(text, ',')) {
		text++;
		text += strspn(text, " \t");
		if (starts_with_scheme(text))
			return text;
	}
	return NULL;
}

bool redis_urls_want_tls(const char *text)
{
	for (; text; text = next_element(text))
		if (strncasecmp(text, "rediss", strlen("rediss")) == 0)
			return true;
	return false;
}

/* --- one element --- */

void redis_element_deinit(struct redis_element *element)
{
	redis_url_deinit(&element->server);
	for (size_t i = 0; i < element->n_seeds; i++)
		redis_url_deinit(&element->seeds[i]);
	free(element->seeds);
	free(element->master);
	*element = (struct redis_element){0};
}

int redis_element_copy(const struct redis_element *from, struct redis_element *to)
{
	*to = (struct redis_element){.kind = from->kind};
	if (redis_url_copy(&from->server, &to->server) < 0)
		return -ENOMEM;
	to->seeds = calloc(from->n_seeds + 1, sizeof(*to->seeds)); /* never of nothing */
	to->master = from->master ? strdup(from->master) : NULL;
	if (!to->seeds || (from->master && !to->master))
		goto fail;
	for (; to->n_seeds < from->n_seeds; to->n_seeds++)
		if (redis_url_copy(&from->seeds[to->n_seeds], &to->seeds[to->n_seeds]) < 0)
			goto fail;
	return 0;
fail:
	redis_element_deinit(to);
	return -ENOMEM;
}

static int take_seed(
	struct redis_element *element, struct slice text, const struct scheme *scheme, struct buf *error)
{
	struct redis_url *seed = &element->seeds[element->n_seeds];
	int r = redis_url_take_host(
		seed, text, scheme->kind == REDIS_SENTINEL ? REDIS_SENTINEL_PORT : REDIS_PORT, error);

	element->n_seeds++; /* half made, too: it is freed with the element */
	seed->tls = scheme->tls;
	return r;
}

/* host[:port],host[:port]… */
static int take_seeds(
	struct redis_element *element, struct slice text, const struct scheme *scheme, struct buf *error)
{
	element->seeds = calloc(REDIS_SEEDS_MAX, sizeof(*element->seeds));
	if (!element->seeds)
		return -ENOMEM;
	for (;;) {
		struct slice rest, one = redis_url_until(text, ",", &rest);
		int r;

		if (element->n_seeds == REDIS_SEEDS_MAX)
			return redis_url_refuse(error, "the Redis URL has more than 32 hosts");
		r = take_seed(element, one, scheme, error);
		if (r < 0 || rest.len == 0)
			return r;
		text = (struct slice){rest.data + 1, rest.len - 1};
	}
}

/* The user of all sentinels; the password is decoded into *secret, which is wiped by the caller. */
static int take_option(struct slice option, char **userp, char **secretp, struct buf *error)
{
	static const char user[] = "sentinel_user=", secret[] = "sentinel_password=";

	if (slice_starts(option, user) && !*userp && option.len > strlen(user))
		return redis_url_decode(
			(struct slice){option.data + strlen(user), option.len - strlen(user)}, error, userp);
	if (slice_starts(option, secret) && !*secretp && option.len > strlen(secret))
		return redis_url_decode(
			(struct slice){option.data + strlen(secret), option.len - strlen(secret)}, error,
			secretp);
	return redis_url_refuse(error, "the only options of redis+sentinel:// are sentinel_user=… and "
				       "sentinel_password=…, each once "
				       "and not empty (the primary's name stands before the ?)");
}

static int seeds_belong_to(struct redis_element *element, const char *user, const char *secret)
{
	for (size_t i = 0; i < element->n_seeds; i++) {
		element->seeds[i].user = user ? strdup(user) : NULL;
		element->seeds[i].password = strdup(secret);
		if ((user && !element->seeds[i].user) || !element->seeds[i].password)
			return -ENOMEM;
	}
	return 0;
}

/* ?name=value&name=value */
static int take_query(struct redis_element *element, struct slice query, struct buf *error)
{
	char *user = NULL, *secret = NULL;
	int r = 0;

	while (r == 0 && query.len) {
		struct slice rest;
		struct slice option =
			redis_url_until((struct slice){query.data + 1, query.len - 1}, "&", &rest);

		r = take_option(option, &user, &secret, error);
		query = rest;
	}
	if (r == 0 && user && !secret)
		r = redis_url_refuse(error, "sentinel_user needs a sentinel_password");
	if (r == 0 && secret)
		r = seeds_belong_to(element, user, secret);
	if (secret)
		explicit_bzero(secret, strlen(secret));
	free(user);
	free(secret);
	return r;
}

/* /NAME[/db][?…] */
static int take_sentinel_path(struct redis_element *element, struct slice text, struct buf *error)
{
	struct slice query, db, name;
	struct slice path = redis_url_until(text, "?#", &query);
	int r;

	if (query.len && query.data[0] == '#')
		return redis_url_refuse(error, "there is a # in the Redis URL: in a name write %23");
	if (path.len < 2)
		return redis_url_refuse(error, sentinel_needs_name);
	name = redis_url_until((struct slice){path.data + 1, path.len - 1}, "/", &db);
	if (name.len == 0)
		return redis_url_refuse(error, sentinel_needs_name);
	r = redis_url_decode(name, error, &element->master);
	if (r == 0 && db.len)
		r = redis_url_take_db(&element->server, (struct slice){db.data + 1, db.len - 1}, error);
	if (r == 0 && query.len)
		r = take_query(element, query, error);
	return r;
}

static int take_cluster_path(struct redis_element *element, struct slice text, struct buf *error)
{
	if (text.len && text.data[0] != '/')
		return redis_url_refuse(error, "the URL of a Redis Cluster takes no options: only "
					       "[user:password@]host[:port],host[:port]…");
	if (text.len > 1 && !(text.len == 2 && text.data[1] == '0'))
		return redis_url_refuse(error, "a cluster has no databases");
	if (element->server.password &&
		seeds_belong_to(element, element->server.user, element->server.password) < 0)
		return -ENOMEM;
	return 0;
}

static int element_parse_many(
	const struct scheme *scheme, struct slice text, struct redis_element *element, struct buf *error)
{
	struct slice rest;
	struct slice authority = redis_url_until(text, "/?#", &rest);
	int r;

	element->kind = scheme->kind;
	element->server.tls = scheme->tls;
	r = redis_url_take_login(&element->server, &authority, error);
	if (r == 0)
		r = take_seeds(element, authority, scheme, error);
	if (r < 0)
		return r;
	return scheme->kind == REDIS_SENTINEL ? take_sentinel_path(element, rest, error)
					      : take_cluster_path(element, rest, error);
}

/* Is that a comma between hosts? One in a password is not. */
static bool has_hosts(struct slice text)
{
	struct slice rest;
	struct slice authority = redis_url_until(text, "/?#", &rest);
	const char *at = memrchr(authority.data, '@', authority.len);
	const char *hosts = at ? at + 1 : authority.data;

	return memchr(hosts, ',', authority.len - (size_t)(hosts - authority.data)) != NULL;
}

static int element_parse(const char *text, struct redis_element *element, struct buf *error)
{
	if (strncasecmp(text, "redis-sentinel://", 17) == 0 || strncasecmp(text, "sentinel://", 11) == 0)
		return redis_url_refuse(error, "redis-sentinel:// is written redis+sentinel://HOST/NAME");
	if (strncasecmp(text, "redis-cluster://", 16) == 0 || strncasecmp(text, "cluster://", 10) == 0)
		return redis_url_refuse(error, "redis-cluster:// is written redis+cluster://HOST");
	for (size_t i = 0; i < sizeof(schemes) / sizeof(*schemes); i++) {
		struct slice rest = slice_of(text);
		size_t len = strlen(schemes[i].text);

		if (strncasecmp(text, schemes[i].text, len) != 0)
			continue;
		rest = (struct slice){text + len, rest.len - len};
		if (strchr(schemes[i].text, '+') || has_hosts(rest))
			return element_parse_many(&schemes[i], rest, element, error);
	}
	return redis_url_parse(text, &element->server, error);
}

/* --- all of them --- */

static int append_element(struct redis_urls *urls, const char *text, size_t len, struct buf *error)
{
	struct redis_element *elements;
	char *copy;
	int r;

	if (urls->n == REDIS_ELEMENTS_MAX)
		return redis_url_refuse(error, "there are more than 64 Redis URLs");
	elements = reallocarray(urls->elements, urls->n + 1, sizeof(*elements));
	if (!elements)
		return -ENOMEM;
	urls->elements = elements;
	elements[urls->n++] = (struct redis_element){0};
	copy = strndup(text, len);
	if (!copy)
		return -ENOMEM;
	r = element_parse(copy, &elements[urls->n - 1], error);
	explicit_bzero(copy, len);
	free(copy);
	return r;
}

/* A cluster shares its channels out by itself. */
static int refuse_mixture(const struct redis_urls *urls, struct buf *error)
{
	for (size_t i = 0; urls->n > 1 && i < urls->n; i++)
		if (urls->elements[i].kind == REDIS_CLUSTER)
			return redis_url_refuse(error, "a Redis Cluster cannot be one of several in a list");
	return 0;
}

static int refuse_twins(const struct redis_urls *urls, struct buf *error)
{
	struct buf texts[2] = {{0}};
	int r = 0;

	for (size_t i = 0; r == 0 && i < urls->n; i++)
		for (size_t j = 0; r == 0 && j < i; j++) {
			buf_reset(&texts[0]);
			buf_reset(&texts[1]);
			redis_element_describe(&urls->elements[i], &texts[0]);
			redis_element_describe(&urls->elements[j], &texts[1]);
			if (texts[0].failed || texts[1].failed)
				r = -ENOMEM;
			else if (slice_equal(buf_slice(&texts[0]), buf_slice(&texts[1])))
				r = redis_url_refuse(error, "two of the Redis URLs name the same server");
		}
	buf_deinit(&texts[0]);
	buf_deinit(&texts[1]);
	return r;
}

int redis_urls_parse(const char *text, struct redis_urls *urls, struct buf *error)
{
	int r = 0;

	*urls = (struct redis_urls){0};
	while (r == 0 && text) {
		const char *next = next_element(text);
		size_t len = next ? (size_t)(next - text) : strlen(text);

		while (next && len && (text[len - 1] == ' ' || text[len - 1] == '\t' || text[len - 1] == ','))
			len--;
		r = append_element(urls, text, len, error);
		text = next;
	}
	if (r == 0)
		r = refuse_mixture(urls, error);
	if (r == 0)
		r = refuse_twins(urls, error);
	if (r < 0)
		redis_urls_deinit(urls);
	return r;
}

void redis_urls_deinit(struct redis_urls *urls)
{
	for (size_t i = 0; i < urls->n; i++)
		redis_element_deinit(&urls->elements[i]);
	free(urls->elements);
	*urls = (struct redis_urls){0};
}

/* --- what is said of them --- */

static void describe_seed(const struct redis_url *seed, struct buf *out)
{
	buf_printf(out, strchr(seed->host, ':') ? "[%s]:%u" : "%s:%u", seed->host, seed->port);
}

void redis_element_describe(const struct redis_element *element, struct buf *out)
{
	if (element->kind == REDIS_SINGLE) {
		redis_url_describe(&element->server, out);
		return;
	}
	if (element->master)
		buf_printf(out, "%s by ", element->master);
	else
		buf_append_str(out, "cluster of ");
	describe_seed(&element->seeds[0], out);
	if (element->server.db)
		buf_printf(out, "/%d", element->server.db);
}

/* Any byte may be in a text that was percent-decoded. */
static void print_bytes(struct slice text, struct buf *out)
{
	for (size_t i = 0; i < text.len; i++)
		buf_append_char(
			out, (unsigned char)text.data[i] < ' ' || text.data[i] == 0x7f ? '?' : text.data[i]);
}

static void print_text(const char *text, struct buf *out)
{
	print_bytes(slice_of(text), out);
}

static void print_login(const struct redis_url *url, struct buf *out)
{
	if (url->user)
		print_text(url->user, out);
	if (url->password)
		buf_append_str(out, ":***@");
}

static void print_seeds(const struct redis_element *element, struct buf *out)
{
	print_login(&element->server, out);
	for (size_t i = 0; i < element->n_seeds; i++) {
		if (i)
			buf_append_char(out, ',');
		describe_seed(&element->seeds[i], out);
	}
}

static void print_cluster(const struct redis_element *element, struct buf *out)
{
	buf_append_str(out, element->server.tls ? "rediss+cluster://" : "redis+cluster://");
	print_seeds(element, out);
}

static void print_sentinel(const struct redis_element *element, struct buf *out)
{
	buf_append_str(out, element->server.tls ? "rediss+sentinel://" : "redis+sentinel://");
	print_seeds(element, out);
	buf_append_char(out, '/');
	print_text(element->master, out);
	buf_printf(out, "/%d", element->server.db);
	if (!element->seeds[0].password)
		return;
	buf_append_char(out, '?');
	if (element->seeds[0].user) {
		buf_append_str(out, "sentinel_user=");
		print_text(element->seeds[0].user, out);
		buf_append_char(out, '&');
	}
	buf_append_str(out, "sentinel_password=***");
}

static void print_single(const struct redis_url *url, struct buf *out)
{
	struct buf where = {0};

	buf_append_str(out, url->unix_path ? "unix://" : url->tls ? "rediss://" : "redis://");
	print_login(url, out);
	redis_url_describe(url, &where);
	print_bytes(buf_slice(&where), out);
	buf_deinit(&where);
}

void redis_urls_print(const struct redis_urls *urls, struct buf *out)
{
	for (size_t i = 0; i < urls->n; i++) {
		if (i)
			buf_append_char(out, ',');
		if (urls->elements[i].kind == REDIS_SENTINEL)
			print_sentinel(&urls->elements[i], out);
		else if (urls->elements[i].kind == REDIS_CLUSTER)
			print_cluster(&urls->elements[i], out);
		else
			print_single(&urls->elements[i].server, out);
	}
}

/* FNV-1a: http://www.isthe.com/chongo/tech/comp/fnv/ */
static unsigned int hash_text(unsigned int hash, struct slice text)
{
	for (size_t i = 0; i < text.len; i++)
		hash = (hash ^ (unsigned char)text.data[i]) * 16777619u;
	return hash;
}

unsigned int redis_urls_hash(const struct redis_urls *urls)
{
	unsigned int hash = 2166136261u;
	struct buf text = {0};

	for (size_t i = 0; i < urls->n; i++) {
		const struct redis_element *element = &urls->elements[i];

		buf_reset(&text);
		/* A node may know other sentinels of the same primary, or other servers of the cluster. */
		if (element->kind == REDIS_CLUSTER)
			buf_append_str(&text, "cluster");
		else if (element->master)
			buf_printf(&text, "%s/%d", element->master, element->server.db);
		else
			redis_element_describe(element, &text);
		buf_append_char(&text, '\n');
		hash = hash_text(hash, buf_slice(&text));
	}
	buf_deinit(&text);
	return hash;
}
