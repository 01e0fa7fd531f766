/* Redis revocations: what the gateways remember together of tokens that count no more. See revocations.h. */

#include "broker/redis/revocations.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/redis/errand.h"
#include "broker/redis/error.h"
#include "broker/redis/link.h"
#include "core/clock.h"

enum {
	PAGE = 500,      /* asked for at once; Redis may give some more */
	PAGE_MAX = 4096, /* that one answer may have: a small set comes whole */
	CURSOR_MAX = 20, /* digits of 2^64 - 1 */
	SCORE_MAX = 40,  /* characters of a number */
	TEXT_MAX = 300,  /* bytes of a text; ours have fewer */
};

/* A caller who reads the set, page by page. */
struct listing {
	struct redis_revocations *revocations;
	struct redis_link *link;
	broker_revocations_fn each;
	void *arg;
	char cursor[CURSOR_MAX + 1];
};

int redis_revocations_init(struct redis_revocations *revocations, struct log *log, const char *prefix)
{
	*revocations = (struct redis_revocations){
		.log = log, .refused_limit = {.burst = 2, .interval_ms = 60 * 1000}};
	buf_printf(&revocations->set, "tg:{%srevoked}", prefix);
	return revocations->set.failed ? -ENOMEM : 0;
}

void redis_revocations_deinit(struct redis_revocations *revocations)
{
	buf_deinit(&revocations->set);
}

/* 0, or why the answer is none. */
static int check(struct redis_revocations *revocations, const struct redis_reply *reply, const char *command)
{
	struct slice text;
	uint64_t suppressed;

	if (!reply)
		return revocations->cancelled ? -ECANCELED : -ETIMEDOUT;
	if (reply->values[0].kind != REDIS_ERROR)
		return 0;
	text = redis_reply_text(reply, 0);
	if (log_limit_allow(revocations->log, &revocations->refused_limit, clock_monotonic_ms(), &suppressed))
		log_warn(revocations->log, "redis refused to keep or to tell revocations",
			log_str("command", command), log_slice("key", buf_slice(&revocations->set)),
			log_slice("reason", text),
			log_str("needs", "+zscan +zadd +zrem +zremrangebyscore on ~tg:*"),
			log_uint("suppressed", suppressed));
	return redis_error_errno(text);
}

/* --- writing --- */

static void on_added(void *arg, const struct redis_reply *reply)
{
	(void)check(arg, reply, "ZADD"); /* what was not added is added after the next connect */
}

static void on_removed(void *arg, const struct redis_reply *reply)
{
	(void)check(arg, reply, "ZREM");
}

static void on_expired(void *arg, const struct redis_reply *reply)
{
	(void)check(arg, reply, "ZREMRANGEBYSCORE");
}

static struct slice write_score(double seconds, char out[SCORE_MAX])
{
	return (struct slice){out, (size_t)snprintf(out, SCORE_MAX, "%.3f", seconds)};
}

int redis_revocations_add(struct redis_revocations *revocations, struct redis_link *link,
	const struct broker_revocation *revocation)
{
	char score[SCORE_MAX];
	const struct slice words[] = {slice_of("ZADD"), buf_slice(&revocations->set),
		write_score(revocation->until_seconds, score), revocation->text};

	return redis_ask(revocations->errands, link, words, 4, on_added, revocations);
}

int redis_revocations_remove(
	struct redis_revocations *revocations, struct redis_link *link, struct slice text)
{
	const struct slice words[] = {slice_of("ZREM"), buf_slice(&revocations->set), text};

	return redis_ask(revocations->errands, link, words, 3, on_removed, revocations);
}

int redis_revocations_expire(
	struct redis_revocations *revocations, struct redis_link *link, double now_seconds)
{
	char score[SCORE_MAX];
	const struct slice words[] = {slice_of("ZREMRANGEBYSCORE"), buf_slice(&revocations->set),
		slice_of("-inf"), write_score(now_seconds, score)};

	return redis_ask(revocations->errands, link, words, 4, on_expired, revocations);
}

/* --- reading --- */

static int ask_page(struct listing *listing);

/* {cursor, {text, score, …}}, laid flat. How many texts, or -EIO. */
static long read_page(
	struct listing *listing, const struct redis_reply *reply, struct broker_revocation some[PAGE_MAX])
{
	char score[SCORE_MAX + 1];
	struct slice cursor;
	long n = 0;

	if (reply->n_values < 3 || reply->values[1].kind != REDIS_STRING ||
		reply->values[1].len > CURSOR_MAX || reply->values[2].kind != REDIS_ARRAY ||
		!reply->values[1].len)
		return -EIO;
	cursor = redis_reply_text(reply, 1);
	memcpy(listing->cursor, cursor.data, cursor.len);
	listing->cursor[cursor.len] = '\0';
	for (size_t i = 3; i + 1 < reply->n_values && n < PAGE_MAX; i += 2) {
		struct slice number = redis_reply_text(reply, i + 1);

		if (reply->values[i].kind != REDIS_STRING || reply->values[i].len > TEXT_MAX ||
			number.len > SCORE_MAX)
			continue;
		memcpy(score, number.data, number.len);
		score[number.len] = '\0';
		some[n++] = (struct broker_revocation){redis_reply_text(reply, i), strtod(score, NULL)};
	}
	return n;
}

static void on_page(void *arg, const struct redis_reply *reply)
{
	struct listing *listing = arg;
	struct broker_revocation *some = NULL;
	int r = check(listing->revocations, reply, "ZSCAN");
	long n = 0;
	bool goes_on;

	if (r == 0)
		some = malloc(PAGE_MAX * sizeof(*some));
	if (r == 0)
		n = some ? read_page(listing, reply, some) : -ENOMEM;
	if (n < 0)
		r = (int)n;
	goes_on = r == 0 && strcmp(listing->cursor, "0") != 0;
	listing->each(listing->arg, r, some, r == 0 ? (size_t)n : 0, !goes_on);
	free(some);
	if (goes_on && (r = ask_page(listing)) < 0)
		listing->each(listing->arg, r, NULL, 0, true);
	if (!goes_on || r < 0)
		free(listing);
}

static int ask_page(struct listing *listing)
{
	char count[SCORE_MAX];
	const struct slice words[] = {slice_of("ZSCAN"), buf_slice(&listing->revocations->set),
		slice_of(listing->cursor), slice_of("COUNT"),
		{count, (size_t)snprintf(count, sizeof(count), "%d", PAGE)}};

	return redis_ask(listing->revocations->errands, listing->link, words, 5, on_page, listing);
}

int redis_revocations_list(
	struct redis_revocations *revocations, struct redis_link *link, broker_revocations_fn each, void *arg)
{
	struct listing *listing = malloc(sizeof(*listing));
	int r;

	if (!listing)
		return -ENOMEM;
	*listing = (struct listing){revocations, link, each, arg, "0"};
	r = ask_page(listing);
	if (r < 0)
		free(listing);
	return r;
}
