/*
 * Value: the types of options, from text and back to text.
 *
 * Numbers carry their unit ("25s", "16KiB"), because a bare number in a file is misread sooner or later; a
 * bare number counts as seconds or bytes. Printing gives back the text that an operator would write.
 */
#include "config/value.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "auth/jwks_fetch.h"
#include "auth/jwks_url.h"
#include "auth/verifier.h"
#include "broker/redis/tls.h"
#include "broker/redis/urls.h"
#include "config/config.h"
#include "core/buf.h"
#include "core/ip.h"
#include "core/log.h"
#include "http/origin.h"
#include "route/route.h"

enum {
	PREFIX_MAX = 64,  /* bytes of channel_prefix: with ROUTE_CHANNEL_MAX still a short name for Redis */
	HOST_MAX = 253,   /* RFC 1035 */
	TEXT_MAX = 512,   /* the claims of a token are compared with it */
	SECRET_MAX = 512, /* characters: a longer one is a file that was mistaken for a secret */
};

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

static int refuse(struct buf *error, const char *text, const char *what)
{
	value_quote(error, text);
	buf_printf(error, " is not %s", what);
	return CONFIG_BAD;
}

/* Replaces a string by a copy of the text. */
static int replace(char **stringp, const char *text)
{
	char *copy = strdup(text);

	if (!copy)
		return -ENOMEM;
	free(*stringp);
	*stringp = copy;
	return 0;
}

/* Numbers */

struct unit {
	const char *suffix;
	uint64_t factor;
	uint64_t printed_from; /* 0: whenever it leaves no fraction */
};

/* Smallest first; the empty suffix is how a bare number is read, and is never printed. */
static const struct unit time_units[] = {
	{"", 1000, 0},
	{"ms", 1, 0},
	{"s", 1000, 0},
	{"m", 60000, 0},
	{"h", 3600000, 0},
	{"d", 86400000, 2 * 86400000}, /* most people write one day as 24h */
	{0},
};
static const struct unit size_units[] = {{"", 1, 0}, {"B", 1, 0}, {"KiB", 1024, 0}, {"MiB", 1024 * 1024, 0},
	{"GiB", 1024 * 1024 * 1024, 0}, {0}};
static const struct unit no_units[] = {{"", 1, 0}, {0}};

/* --- numbers and their units --- */

static bool number_parse(const char *text, const struct unit *units, uint64_t *valuep)
{
	unsigned long long n;
	char *end;

	if (text[0] < '0' || text[0] > '9')
		return false; /* strtoull would take spaces and signs */
	errno = 0;
	n = strtoull(text, &end, 10);
	if (errno)
		return false;
	for (; units->suffix; units++)
		if (strcmp(end, units->suffix) == 0)
			return !__builtin_mul_overflow(n, units->factor, valuep);
	return false;
}

/* In the largest unit that leaves no fraction. */
static void number_print(uint64_t value, const struct unit *units, struct buf *out)
{
	const struct unit *best = &units[1];

	if (!value && units == time_units)
		best = &units[2]; /* as people write it: 0s */
	for (const struct unit *unit = best; unit->suffix; unit++)
		if (value % unit->factor == 0 && value >= unit->factor && value >= unit->printed_from)
			best = unit;
	buf_printf(out, "%llu%s", (unsigned long long)(value / best->factor), best->suffix);
}

static int bounded_parse(const char *text, const struct unit *units, const char *what, const char *examples,
	const struct value_bounds *bounds, uint64_t *valuep, struct buf *error)
{
	if (number_parse(text, units, valuep) && *valuep >= bounds->least && *valuep <= bounds->most)
		return 0;
	refuse(error, text, what);
	buf_append_str(error, " from ");
	if (units == no_units) {
		buf_printf(error, "%llu to %llu", (unsigned long long)bounds->least,
			(unsigned long long)bounds->most);
		return CONFIG_BAD;
	}
	number_print(bounds->least, units, error);
	buf_append_str(error, " to ");
	number_print(bounds->most, units, error);
	buf_printf(error, " (such as %s)", examples);
	return CONFIG_BAD;
}

static int duration_parse(void *member, const char *const *texts, size_t n, const struct value_bounds *bounds,
	struct buf *error)
{
	uint64_t ms;
	int r;

	(void)n;
	r = bounded_parse(texts[0], time_units, "a duration", "25s, 2m", bounds, &ms, error);
	if (r == 0)
		*(uint64_t *)member = ms;
	return r;
}

static void duration_print(const void *member, struct buf *out)
{
	number_print(*(const uint64_t *)member, time_units, out);
}

static bool duration_equal(const void *a, const void *b)
{
	return *(const uint64_t *)a == *(const uint64_t *)b;
}

static int size_parse(void *member, const char *const *texts, size_t n, const struct value_bounds *bounds,
	struct buf *error)
{
	uint64_t bytes;
	int r;

	(void)n;
	r = bounded_parse(texts[0], size_units, "a size", "4096, 16KiB, 1MiB", bounds, &bytes, error);
	if (r == 0)
		*(size_t *)member = bytes;
	return r;
}

static void size_print(const void *member, struct buf *out)
{
	number_print(*(const size_t *)member, size_units, out);
}

static bool size_equal(const void *a, const void *b)
{
	return *(const size_t *)a == *(const size_t *)b;
}

static int count_parse(void *member, const char *const *texts, size_t n, const struct value_bounds *bounds,
	struct buf *error)
{
	uint64_t count;
	int r;

	(void)n;
	r = bounded_parse(texts[0], no_units, "a number", "", bounds, &count, error);
	if (r == 0)
		*(unsigned int *)member = (unsigned int)count;
	return r;
}

static void count_print(const void *member, struct buf *out)
{
	buf_printf(out, "%u", *(const unsigned int *)member);
}

static int count_or_auto_parse(void *member, const char *const *texts, size_t n,
	const struct value_bounds *bounds, struct buf *error)
{
	if (strcmp(texts[0], "auto") != 0)
		return count_parse(member, texts, n, bounds, error);
	*(unsigned int *)member = CONFIG_AUTO;
	return 0;
}

static void count_or_auto_print(const void *member, struct buf *out)
{
	if (*(const unsigned int *)member == CONFIG_AUTO)
		buf_append_str(out, "auto");
	else
		count_print(member, out);
}

static bool count_equal(const void *a, const void *b)
{
	return *(const unsigned int *)a == *(const unsigned int *)b;
}

/* Words */

/* --- words --- */

bool value_truth(const char *text, bool *valuep)
{
	static const struct {
		const char *word;
		bool value;
	} words[] = {
		{"true", true}, {"false", false}, {"on", true}, {"off", false}, {"yes", true}, {"no", false}};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strcasecmp(text, words[i].word) == 0) {
			*valuep = words[i].value;
			return true;
		}
	}
	return false;
}

static int bool_parse(void *member, const char *const *texts, size_t n, const struct value_bounds *bounds,
	struct buf *error)
{
	(void)n;
	(void)bounds;
	if (!value_truth(texts[0], member))
		return refuse(error, texts[0], "true or false (or on, off, yes, no)");
	return 0;
}

static void bool_print(const void *member, struct buf *out)
{
	buf_append_str(out, *(const bool *)member ? "true" : "false");
}

static bool bool_equal(const void *a, const void *b)
{
	return *(const bool *)a == *(const bool *)b;
}

static int log_level_value(void *member, const char *const *texts, size_t n,
	const struct value_bounds *bounds, struct buf *error)
{
	(void)n;
	(void)bounds;
	if (log_level_parse(texts[0], member) < 0)
		return refuse(error, texts[0], "debug, info, warn or error");
	return 0;
}

static void log_level_print(const void *member, struct buf *out)
{
	buf_append_str(out, log_level_name(*(const enum log_level *)member));
}

static bool log_level_equal(const void *a, const void *b)
{
	return *(const enum log_level *)a == *(const enum log_level *)b;
}

static int log_format_value(void *member, const char *const *texts, size_t n,
	const struct value_bounds *bounds, struct buf *error)
{
	(void)n;
	(void)bounds;
	if (log_format_parse(texts[0], member) < 0)
		return refuse(error, texts[0], "text or json");
	return 0;
}

static void log_format_print(const void *member, struct buf *out)
{
	buf_append_str(out, log_format_name(*(const enum log_format *)member));
}

static bool log_format_equal(const void *a, const void *b)
{
	return *(const enum log_format *)a == *(const enum log_format *)b;
}

/* Texts */

/* --- texts --- */

static void string_print(const void *member, struct buf *out)
{
	const char *text = *(char *const *)member;

	buf_append_str(out, text[0] ? text : "none");
}

static bool string_equal(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b) == 0;
}

static void string_deinit(void *member)
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
		return refuse(error, text, "a prefix: it is longer than 64 bytes");
	for (const char *c = text; *c; c++)
		if (*c != ':' && *c != '.' && !route_id_valid(c, 1))
			return refuse(error, text, "a prefix: only A-Z a-z 0-9 . _ ~ - : may be in it");
	return replace(member, text);
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
		return replace(member, texts[0]);
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
	string_deinit(member);
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
		return replace(member, "");
	r = redis_join(texts, n, &text, error);
	if (r == 0)
		r = redis_urls_parse(buf_text(&text), &urls, error);
	redis_urls_deinit(&urls);
	if (r == 0)
		r = replace(member, buf_text(&text));
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
	return replace(member, texts[0]);
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
	return replace(member, text);
}

/* What can stand before the '=' of a cookie and of a query without escapes. */
static int parameter_parse(void *member, const char *const *texts, size_t n,
	const struct value_bounds *bounds, struct buf *error)
{
	(void)n;
	(void)bounds;
	if (texts[0][0] && !route_id_valid(texts[0], strlen(texts[0])))
		return refuse(error, texts[0], "a name (1 to 128 of A-Z a-z 0-9 . _ ~ -)");
	return replace(member, texts[0]);
}

/* What routes want that do not say */

static int auth_parse(void *member, const char *const *texts, size_t n, const struct value_bounds *bounds,
	struct buf *error)
{
	enum route_auth auth = ROUTE_AUTH_DEFAULT;

	(void)n;
	(void)bounds;
	if (strcmp(texts[0], "auto") != 0 && !route_auth_parse(texts[0], &auth))
		return refuse(error, texts[0], "auto, none, optional or required");
	*(enum route_auth *)member = auth;
	return 0;
}

static void auth_print(const void *member, struct buf *out)
{
	enum route_auth auth = *(const enum route_auth *)member;

	buf_append_str(out, auth == ROUTE_AUTH_DEFAULT ? "auto" : route_auth_name(auth));
}

static bool auth_equal(const void *a, const void *b)
{
	return *(const enum route_auth *)a == *(const enum route_auth *)b;
}

/* How far a Redis over TLS is checked */

static const char *const tls_verify_names[] = {
	[REDIS_TLS_FULL] = "full",
	[REDIS_TLS_CA] = "ca",
	[REDIS_TLS_OFF] = "off",
};

/* The place of a word among these; -1 if it is another. */
static int word_index(const char *const *words, size_t n, const char *word)
{
	for (size_t i = 0; i < n; i++)
		if (!strcmp(word, words[i]))
			return (int)i;
	return -1;
}

static int tls_verify_parse(void *member, const char *const *texts, size_t n,
	const struct value_bounds *bounds, struct buf *error)
{
	int i = word_index(tls_verify_names, sizeof(tls_verify_names) / sizeof(*tls_verify_names), texts[0]);

	(void)n;
	(void)bounds;
	if (i < 0)
		return refuse(error, texts[0], "full, ca or off");
	*(enum redis_tls_verify *)member = (enum redis_tls_verify)i;
	return 0;
}

static void tls_verify_print(const void *member, struct buf *out)
{
	buf_append_str(out, tls_verify_names[*(const enum redis_tls_verify *)member]);
}

static bool tls_verify_equal(const void *a, const void *b)
{
	return *(const enum redis_tls_verify *)a == *(const enum redis_tls_verify *)b;
}

/* The oldest TLS of a listener */

static const char *const tls_version_names[] = {
	[TLS_1_2] = "1.2",
	[TLS_1_3] = "1.3",
};

static int tls_version_parse(void *member, const char *const *texts, size_t n,
	const struct value_bounds *bounds, struct buf *error)
{
	int i = word_index(
		tls_version_names, sizeof(tls_version_names) / sizeof(*tls_version_names), texts[0]);

	(void)n;
	(void)bounds;
	if (i < 0)
		return refuse(error, texts[0], "1.2 or 1.3");
	*(enum tls_version *)member = (enum tls_version)i;
	return 0;
}

static void tls_version_print(const void *member, struct buf *out)
{
	buf_append_str(out, tls_version_names[*(const enum tls_version *)member]);
}

static bool tls_version_equal(const void *a, const void *b)
{
	return *(const enum tls_version *)a == *(const enum tls_version *)b;
}

/* --- addresses --- */

static bool host_is_name(const char *host)
{
	bool numeric = true;

	if (!host[0] || strlen(host) > HOST_MAX)
		return false;
	for (const char *c = host; *c; c++) {
		if (*c == '~' || *c == ':' || (*c != '.' && !route_id_valid(c, 1)))
			return false;
		numeric &= *c == '.' || (*c >= '0' && *c <= '9');
	}
	return !numeric;
}

static bool host_valid(const char *host, bool bracketed)
{
	struct in6_addr address;
	bool ipv4, is_ip = ip_parse(slice_of(host), &address, &ipv4);

	return bracketed ? is_ip && !ipv4 : (is_ip && ipv4) || host_is_name(host);
}

static int name_parse(void *member, const char *const *texts, size_t n, const struct value_bounds *bounds,
	struct buf *error)
{
	(void)n;
	(void)bounds;
	if (texts[0][0] && !host_valid(texts[0], strchr(texts[0], ':') != NULL))
		return refuse(error, texts[0], "a host name or an IP address");
	return replace(member, texts[0]);
}

/* Splits in place: "host:port", ":port", "port", "[v6]:port". */
static bool address_split(char *text, const char **hostp, const char **portp, bool *bracketedp)
{
	char *colon = strrchr(text, ':');
	size_t len;

	*bracketedp = text[0] == '[';
	*portp = colon ? colon + 1 : text;
	*hostp = "0.0.0.0";
	if (!colon)
		return true;
	*colon = '\0';
	len = strlen(text);
	if (*bracketedp && text[len - 1] != ']')
		return false;
	if (*bracketedp)
		text[len - 1] = '\0';
	if (len > 0)
		*hostp = text + (*bracketedp ? 1 : 0);
	return true;
}

static int address_parse(void *member, const char *const *texts, size_t n, const struct value_bounds *bounds,
	struct buf *error)
{
	struct config_address *address = member;
	const char *host, *port;
	uint64_t number;
	bool bracketed;
	char *copy;
	int r;

	(void)n;
	(void)bounds;
	copy = strdup(texts[0]);
	if (!copy)
		return -ENOMEM;
	if (!address_split(copy, &host, &port, &bracketed) || !host_valid(host, bracketed)) {
		r = refuse(error, texts[0], "an address (HOST:PORT, :PORT or [IPv6]:PORT)");
	} else if (!number_parse(port, no_units, &number) || number > UINT16_MAX) {
		r = refuse(error, texts[0], "an address: the port is a number from 0 to 65535");
	} else {
		r = replace(&address->host, host);
		if (r == 0)
			address->port = (uint16_t)number;
	}
	free(copy);
	return r;
}

static void address_print(const void *member, struct buf *out)
{
	const struct config_address *address = member;

	buf_printf(out, strchr(address->host, ':') ? "[%s]:%u" : "%s:%u", address->host, address->port);
}

static bool address_equal(const void *a, const void *b)
{
	const struct config_address *x = a;
	const struct config_address *y = b;

	return x->port == y->port && strcmp(x->host, y->host) == 0;
}

static void address_deinit(void *member)
{
	string_deinit(&((struct config_address *)member)->host);
}

/* Lists */

/* --- lists --- */

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
	return !*slash || (number_parse(slash + 1, no_units, &bits) && bits <= (ipv4 ? 32 : 128));
}

static int networks_parse(void *member, const char *const *texts, size_t n, const struct value_bounds *bounds,
	struct buf *error)
{
	(void)bounds;
	for (size_t i = 0; i < n; i++)
		if (!network_valid(texts[i]))
			return refuse(error, texts[i], "an IP address or a CIDR block (such as 10.0.0.0/8)");
	return list_replace(member, texts, n);
}

static int origins_parse(void *member, const char *const *texts, size_t n, const struct value_bounds *bounds,
	struct buf *error)
{
	(void)bounds;
	for (size_t i = 0; i < n; i++)
		if (!origin_entry_is_valid(texts[i]))
			return refuse(error, texts[i],
				"an origin (such as https://app.example.com, https://*.example.com or same)");
	return list_replace(member, texts, n);
}

static int topics_parse(void *member, const char *const *texts, size_t n, const struct value_bounds *bounds,
	struct buf *error)
{
	(void)bounds;
	for (size_t i = 0; i < n; i++) {
		if (!route_id_valid(texts[i], strlen(texts[i])))
			return refuse(error, texts[i], "a topic (1 to 128 of A-Z a-z 0-9 . _ ~ -)");
		if (strcmp(texts[i], "tg") == 0)
			return refuse(error, texts[i], "free for a topic: it is Tidegate's own");
		for (size_t j = 0; j < i; j++)
			if (strcmp(texts[i], texts[j]) == 0)
				return refuse(error, texts[i], "there once only");
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
			return refuse(error, texts[i], "the name of a file, or a URL");
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
			return refuse(error, texts[i],
				"an algorithm of signatures (such as HS256, RS256, ES256, EdDSA)");
	return list_replace(member, texts, n);
}

const struct value_type value_types[N_VALUE_TYPES] = {
	[VALUE_ADDRESS] = {"ADDRESS", false, NULL, NULL, address_parse, address_print, address_equal,
		address_deinit},
	[VALUE_REDIS_URL] = {"URL", false, NULL, "memory", redis_parse, redis_print, string_equal,
		string_deinit},
	[VALUE_PREFIX] = {"TEXT", false, NULL, "none", prefix_parse, string_print, string_equal,
		string_deinit},
	[VALUE_WORKERS] = {"NUMBER", false, NULL, NULL, count_parse, count_print, count_equal, NULL},
	[VALUE_COUNT] = {"NUMBER", false, NULL, NULL, count_parse, count_print, count_equal, NULL},
	[VALUE_COUNT_OR_AUTO] = {"NUMBER", false, NULL, NULL, count_or_auto_parse, count_or_auto_print,
		count_equal, NULL},
	[VALUE_LOG_LEVEL] = {"LEVEL", false, "debug info warn error", NULL, log_level_value, log_level_print,
		log_level_equal, NULL},
	[VALUE_LOG_FORMAT] = {"FORMAT", false, "text json", NULL, log_format_value, log_format_print,
		log_format_equal, NULL},
	[VALUE_DURATION] = {"DURATION", false, NULL, NULL, duration_parse, duration_print, duration_equal,
		NULL},
	[VALUE_SIZE] = {"SIZE", false, NULL, NULL, size_parse, size_print, size_equal, NULL},
	[VALUE_NETWORKS] = {"LIST", true, NULL, "none", networks_parse, list_print, list_equal, list_deinit},
	[VALUE_ORIGINS] = {"LIST", true, NULL, "none", origins_parse, list_print, list_equal, list_deinit},
	[VALUE_TOPICS] = {"LIST", true, NULL, "none", topics_parse, list_print, list_equal, list_deinit},
	[VALUE_SECRET] = {"TEXT", false, NULL, "none", secret_parse, secret_print, string_equal,
		secret_deinit},
	[VALUE_PATH] = {"PATH", false, NULL, "none", path_parse, string_print, string_equal, string_deinit},
	[VALUE_NAME] = {"NAME", false, NULL, "none", name_parse, string_print, string_equal, string_deinit},
	[VALUE_TLS_VERIFY] = {"WORD", false, "full ca off", NULL, tls_verify_parse, tls_verify_print,
		tls_verify_equal, NULL},
	[VALUE_AUTH] = {"WORD", false, "auto none optional required", NULL, auth_parse, auth_print,
		auth_equal, NULL},
	[VALUE_PATHS] = {"LIST", true, NULL, "none", paths_parse, list_print, list_equal, list_deinit},
	[VALUE_ALGORITHMS] = {"LIST", true, NULL, NULL, algorithms_parse, list_print, list_equal,
		list_deinit},
	[VALUE_TEXT] = {"TEXT", false, NULL, "none", text_parse, string_print, string_equal, string_deinit},
	[VALUE_CLAIM] = {"NAME", false, NULL, NULL, text_parse, string_print, string_equal, string_deinit},
	[VALUE_PARAMETER] = {"NAME", false, NULL, "none", parameter_parse, string_print, string_equal,
		string_deinit},
	[VALUE_TLS_VERSION] = {"VERSION", false, "1.2 1.3", NULL, tls_version_parse, tls_version_print,
		tls_version_equal, NULL},
	[VALUE_BOOL] = {"BOOL", false, "true false", NULL, bool_parse, bool_print, bool_equal, NULL},
};
