/*
 * Value, words: types of which all words are known.
 */

#include <string.h>

#include "broker/redis/tls.h"
#include "config/config.h"
#include "config/value_private.h"
#include "core/buf.h"
#include "core/log.h"
#include "route/route.h"

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
		return value_refuse(error, texts[0], "true or false (or on, off, yes, no)");
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
		return value_refuse(error, texts[0], "debug, info, warn or error");
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
		return value_refuse(error, texts[0], "text or json");
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

/* What routes want that do not say */

static int auth_parse(void *member, const char *const *texts, size_t n, const struct value_bounds *bounds,
	struct buf *error)
{
	enum route_auth auth = ROUTE_AUTH_DEFAULT;

	(void)n;
	(void)bounds;
	if (strcmp(texts[0], "auto") != 0 && !route_auth_parse(texts[0], &auth))
		return value_refuse(error, texts[0], "auto, none, optional or required");
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
		return value_refuse(error, texts[0], "full, ca or off");
	*(enum redis_tls_verify *)member = (enum redis_tls_verify)i;
	return 0;
}

/* A switch that may find its position by itself */

static int switch_parse(void *member, const char *const *texts, size_t n, const struct value_bounds *bounds,
	struct buf *error)
{
	enum config_switch *position = member;
	bool on = false;

	(void)n;
	(void)bounds;
	if (!strcmp(texts[0], "auto"))
		*position = CONFIG_SWITCH_AUTO;
	else if (value_truth(texts[0], &on))
		*position = on ? CONFIG_SWITCH_ON : CONFIG_SWITCH_OFF;
	else
		return value_refuse(error, texts[0], "auto, true or false");
	return 0;
}

static void switch_print(const void *member, struct buf *out)
{
	static const char *const names[] = {
		[CONFIG_SWITCH_AUTO] = "auto", [CONFIG_SWITCH_ON] = "true", [CONFIG_SWITCH_OFF] = "false"};

	buf_append_str(out, names[*(const enum config_switch *)member]);
}

static bool switch_equal(const void *a, const void *b)
{
	return *(const enum config_switch *)a == *(const enum config_switch *)b;
}

/* How a Redis Cluster is heard */

static const char *const pubsub_names[] = {
	[REDIS_PUBSUB_AUTO] = "auto",
	[REDIS_PUBSUB_BOTH] = "both",
	[REDIS_PUBSUB_SHARDED] = "sharded",
	[REDIS_PUBSUB_CLASSIC] = "classic",
};

static int pubsub_parse(void *member, const char *const *texts, size_t n, const struct value_bounds *bounds,
	struct buf *error)
{
	int i = word_index(pubsub_names, sizeof(pubsub_names) / sizeof(*pubsub_names), texts[0]);

	(void)n;
	(void)bounds;
	if (i < 0)
		return value_refuse(error, texts[0], "auto, both, sharded or classic");
	*(enum redis_pubsub *)member = (enum redis_pubsub)i;
	return 0;
}

static void pubsub_print(const void *member, struct buf *out)
{
	buf_append_str(out, pubsub_names[*(const enum redis_pubsub *)member]);
}

static bool pubsub_equal(const void *a, const void *b)
{
	return *(const enum redis_pubsub *)a == *(const enum redis_pubsub *)b;
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
		return value_refuse(error, texts[0], "1.2 or 1.3");
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

const struct value_type value_bool = {
	"BOOL", false, "true false", NULL, bool_parse, bool_print, bool_equal, NULL};

const struct value_type value_switch = {
	"WORD", false, "auto true false", NULL, switch_parse, switch_print, switch_equal, NULL};

const struct value_type value_log_level = {"LEVEL", false, "debug info warn error", NULL, log_level_value,
	log_level_print, log_level_equal, NULL};

const struct value_type value_log_format = {
	"FORMAT", false, "text json", NULL, log_format_value, log_format_print, log_format_equal, NULL};

const struct value_type value_auth = {
	"WORD", false, "auto none optional required", NULL, auth_parse, auth_print, auth_equal, NULL};

const struct value_type value_pubsub = {
	"WORD", false, "auto both sharded classic", NULL, pubsub_parse, pubsub_print, pubsub_equal, NULL};
const struct value_type value_tls_verify = {
	"WORD", false, "full ca off", NULL, tls_verify_parse, tls_verify_print, tls_verify_equal, NULL};

const struct value_type value_tls_version = {
	"VERSION", false, "1.2 1.3", NULL, tls_version_parse, tls_version_print, tls_version_equal, NULL};
