/* Redis list mark: do all gateways have the same list of servers? See list_mark.h. */

#include "broker/redis/list_mark.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "broker/redis/link.h"
#include "broker/redis/reply.h"
#include "broker/redis/urls.h"
#include "core/clock.h"
#include "core/log.h"

#define EXPIRES_SECONDS "30" /* six announcements */

enum {
	BELIEVED_S = 60,    /* for so long after another list was found the lists are said to differ */
	MARK_TEXT_MAX = 48, /* two hashes and a time */
};

int redis_list_mark_init(
	struct redis_list_mark *mark, struct log *log, const char *prefix, const struct redis_urls *urls)
{
	*mark = (struct redis_list_mark){.log = log};
	if (urls->n > 1)
		snprintf(mark->hash, sizeof(mark->hash), "%08x", redis_urls_hash(urls));
	buf_printf(&mark->key, "tg:{%snodes}:urls", prefix);
	return mark->key.failed ? -ENOMEM : 0;
}

void redis_list_mark_deinit(struct redis_list_mark *mark)
{
	buf_deinit(&mark->key);
}

bool redis_list_mark_differs(const struct redis_list_mark *mark)
{
	return mark->other_s && clock_wall_ms() / 1000 < mark->other_s + BELIEVED_S;
}

static void note(struct redis_list_mark *mark, const char *other, uint64_t found_s)
{
	bool is_news = !redis_list_mark_differs(mark);

	if (found_s <= mark->other_s)
		return;
	snprintf(mark->other, sizeof(mark->other), "%s", other);
	mark->other_s = found_s;
	if (is_news && redis_list_mark_differs(mark))
		log_error(mark->log, "another gateway has another list of Redis servers",
			log_str("redis_urls_hash", mark->hash), log_str("other", mark->other));
}

/* A refusal is that of the list of nodes, which says it; a Redis before 6.2 has no such SET. */
static void on_left(void *arg, const struct redis_reply *reply)
{
	struct redis_list_mark *mark = arg;
	uint64_t now_s = clock_wall_ms() / 1000, found_s = 0;
	char text[MARK_TEXT_MAX] = "", last[9] = "", other[9] = "";
	struct slice found;

	if (!reply || reply->values[0].kind == REDIS_ERROR)
		return;
	found = redis_reply_text(reply, 0);
	if (found.len >= sizeof(text))
		return;
	if (found.len)
		memcpy(text, found.data, found.len);
	if (sscanf(text, "%8s %8s %" SCNu64, last, other, &found_s) < 1)
		return;
	if (strcmp(last, mark->hash) != 0)
		note(mark, last, now_s);
	else if (found_s)
		note(mark, other, found_s < now_s ? found_s : now_s);
}

void redis_list_mark_leave(struct redis_list_mark *mark, struct redis_link *link)
{
	char text[MARK_TEXT_MAX];
	struct slice argv[] = {slice_of("SET"), buf_slice(&mark->key), {0}, slice_of("EX"),
		slice_of(EXPIRES_SECONDS), slice_of("GET")};

	if (!*mark->hash || !link)
		return;
	if (redis_list_mark_differs(mark))
		snprintf(text, sizeof(text), "%s %s %" PRIu64, mark->hash, mark->other, mark->other_s);
	else
		snprintf(text, sizeof(text), "%s", mark->hash);
	argv[2] = slice_of(text);
	(void)redis_link_ask(link, argv, sizeof(argv) / sizeof(*argv), on_left, mark);
}
