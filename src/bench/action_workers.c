/* Action workers: threads that answer; see the header. */

#include "bench/action_workers.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <hiredis.h>

#include "bench/action_load.h"
#include "bench/histogram.h"
#include "bench/plan.h"
#include "cli/redis_once.h"
#include "core/buf.h"
#include "core/clock.h"

enum {
	BATCH = 64, /* entries a read */
	KEY_MAX = 128,
	SENTENCE_MAX = 160,
	PING_NS = 5000000, /* between two pings */
};

#define NAME "bench-" /* how those of a benchmark begin */

struct action_worker {
	struct action_workers *all;
	redisContext *redis;
	pthread_t thread;
	bool runs;
	char name[32];
	char refusal[SENTENCE_MAX]; /* what Redis said to it; empty: nothing */
};

struct action_workers {
	const struct plan *plan;
	struct action_load *load;
	atomic_bool stop, measures;
	struct histogram pings;
	redisContext *redis; /* for questions */
	uint32_t n;
	struct action_worker list[PLAN_WORKERS_MAX + 1]; /* the last one pings */
};

/* True: it is an answer and no error. Frees it. */
static bool is_good(struct action_worker *worker, redisReply *reply)
{
	bool good = reply && reply->type != REDIS_REPLY_ERROR;

	if (!good && !worker->refusal[0])
		snprintf(worker->refusal, sizeof(worker->refusal), "%s",
			reply ? reply->str : worker->redis->errstr);
	freeReplyObject(reply);
	return good;
}

/* The value of a field of an entry; "" if it has none. */
static const char *field(const redisReply *entry, const char *name)
{
	const redisReply *fields = entry->element[1];

	for (size_t i = 0; i + 1 < fields->elements; i += 2)
		if (strcmp(fields->element[i]->str, name) == 0)
			return fields->element[i + 1]->str;
	return "";
}

/* Adds an entry's answer to an event. False: the entry is somebody else's. */
static bool answer(struct action_worker *worker, const redisReply *entry, struct buf *event)
{
	if (action_load_carry(worker->all->load, field(entry, "data")) < 0)
		return false;
	buf_printf(event, "%s{\"action\":\"%s\",\"data\":1}", event->len ? "," : "[", field(entry, "id"));
	return true;
}

/* Asks for it to be published. */
static void publish(struct action_worker *worker, const char *reply, struct buf *event)
{
	char log[KEY_MAX], meta[KEY_MAX];

	snprintf(log, sizeof(log), "tg:s:{%s}", reply);
	snprintf(meta, sizeof(meta), "tg:m:{%s}", reply);
	buf_append_char(event, ']');
	redisAppendCommand(worker->redis, "FCALL tidegate_publish 2 %s %s %b %s publish 1001 60000 benchrun",
		log, meta, event->data, event->len, reply);
}

/* Asks for all of them to be taken out, in one step; how many replies come. */
static int take_out(struct action_worker *worker, const char *const *entries, size_t n)
{
	const char *ack[BATCH + 3] = {"XACK", worker->all->plan->actions, "tidegate"};
	const char *del[BATCH + 2] = {"XDEL", worker->all->plan->actions};

	for (size_t i = 0; i < n; i++)
		ack[3 + i] = del[2 + i] = entries[i];
	redisAppendCommand(worker->redis, "MULTI");
	redisAppendCommandArgv(worker->redis, (int)n + 3, ack, NULL);
	redisAppendCommandArgv(worker->redis, (int)n + 2, del, NULL);
	redisAppendCommand(worker->redis, "EXEC");
	return 4;
}

/* Entries of one read that are not answered yet. */
struct unanswered {
	const redisReply *list[BATCH];
	size_t n;
	int n_commands;
};

/* Asks for the answers of those that go where the first one's goes, in one event, and forgets them. */
static void answer_some(
	struct action_worker *worker, struct unanswered *left, const char **names, size_t *n_namesp)
{
	const char *reply = field(left->list[0], "reply");
	struct buf event = {0};
	size_t kept = 0;

	for (size_t i = 0; i < left->n; i++) {
		const redisReply *entry = left->list[i];

		if (strcmp(field(entry, "reply"), reply) != 0)
			left->list[kept++] = entry;
		else if (answer(worker, entry, &event))
			names[(*n_namesp)++] = entry->element[0]->str;
	}
	left->n = kept;
	if (event.len) {
		publish(worker, reply, &event);
		left->n_commands++;
	}
	buf_deinit(&event);
}

/* False: Redis refused something. */
static bool work_off(struct action_worker *worker, const redisReply *answered)
{
	const redisReply *entries = answered->element[0]->element[1];
	const char *names[BATCH];
	struct unanswered left = {.n = entries->elements < BATCH ? entries->elements : BATCH};
	size_t n_names = 0;

	for (size_t i = 0; i < left.n; i++)
		left.list[i] = entries->element[i];
	while (left.n)
		answer_some(worker, &left, names, &n_names);
	left.n_commands += n_names ? take_out(worker, names, n_names) : 0;
	for (; left.n_commands > 0; left.n_commands--) {
		redisReply *reply = NULL;

		redisGetReply(worker->redis, (void **)&reply);
		if (!is_good(worker, reply))
			return false;
	}
	return true;
}

static void *work(void *arg)
{
	struct action_worker *worker = arg;
	bool goes_on = true;

	while (goes_on && !atomic_load_explicit(&worker->all->stop, memory_order_relaxed)) {
		redisReply *reply = redisCommand(worker->redis,
			"XREADGROUP GROUP tidegate %s COUNT %d BLOCK 100 STREAMS %s >", worker->name, BATCH,
			worker->all->plan->actions);

		if (reply && reply->type == REDIS_REPLY_ARRAY && reply->elements)
			goes_on = work_off(worker, reply);
		else if (!reply || reply->type != REDIS_REPLY_NIL) {
			is_good(worker, reply);
			return NULL;
		}
		freeReplyObject(reply);
	}
	return NULL;
}

static void *ping(void *arg)
{
	struct action_worker *worker = arg;
	const struct timespec pause = {0, PING_NS};
	bool goes_on = true;

	while (goes_on && !atomic_load_explicit(&worker->all->stop, memory_order_relaxed)) {
		uint64_t began_us = clock_monotonic_us();

		goes_on = is_good(worker, redisCommand(worker->redis, "PING"));
		if (atomic_load_explicit(&worker->all->measures, memory_order_relaxed))
			histogram_record(&worker->all->pings, clock_monotonic_us() - began_us);
		nanosleep(&pause, NULL);
	}
	return NULL;
}

static int begin(struct action_workers *workers, uint32_t i, void *(*run)(void *), struct buf *error)
{
	struct action_worker *worker = &workers->list[i];
	int r;

	worker->all = workers;
	snprintf(worker->name, sizeof(worker->name), NAME "%d-%u", (int)getpid(), i);
	worker->redis = redis_once_connect(workers->plan->redis, error);
	if (!worker->redis)
		return -ECONNREFUSED;
	r = pthread_create(&worker->thread, NULL, run, worker);
	if (r)
		buf_append_str(error, strerror(r));
	worker->runs = r == 0;
	return -r;
}

/* Entries that somebody waits for, or workers that are no benchmark's. */
static bool is_somebodys(struct action_workers *workers)
{
	redisReply *length = redisCommand(workers->redis, "XLEN %s", workers->plan->actions);
	redisReply *consumers =
		redisCommand(workers->redis, "XINFO CONSUMERS %s tidegate", workers->plan->actions);
	bool is = length && length->type == REDIS_REPLY_INTEGER && length->integer > 0;

	for (size_t i = 0; consumers && consumers->type == REDIS_REPLY_ARRAY && i < consumers->elements; i++)
		is = is || strncmp(consumers->element[i]->element[1]->str, NAME, strlen(NAME)) != 0;
	freeReplyObject(length);
	freeReplyObject(consumers);
	return is;
}

static int make_group(struct action_workers *workers, struct buf *error)
{
	redisReply *reply =
		redisCommand(workers->redis, "XGROUP CREATE %s tidegate 0 MKSTREAM", workers->plan->actions);
	int r = 0;

	if (!reply || (reply->type == REDIS_REPLY_ERROR && strncmp(reply->str, "BUSYGROUP", 9) != 0)) {
		buf_printf(error, "Redis refused the stream %s: %s", workers->plan->actions,
			reply ? reply->str : workers->redis->errstr);
		r = -EIO;
	}
	freeReplyObject(reply);
	return r;
}

static int claim_stream(struct action_workers *workers, struct buf *error)
{
	if (!is_somebodys(workers))
		return make_group(workers, error);
	buf_printf(error, "the stream %s has entries or workers already; a benchmark takes one of its own",
		workers->plan->actions);
	return -EBUSY;
}

int action_workers_start(const struct plan *plan, struct action_load *load, struct action_workers **workersp,
	struct buf *error)
{
	struct action_workers *workers = calloc(1, sizeof(*workers));
	int r = -ENOMEM;

	if (workers) {
		workers->plan = plan;
		workers->load = load;
		workers->n = plan->n_workers;
		workers->redis = redis_once_connect(plan->redis, error);
		r = workers->redis ? claim_stream(workers, error) : -ECONNREFUSED;
	}
	for (uint32_t i = 0; r == 0 && i <= workers->n; i++)
		r = begin(workers, i, i < workers->n ? work : ping, error);
	if (r == 0) {
		*workersp = workers;
		return 0;
	}
	if (workers)
		action_workers_stop(workers, error);
	action_workers_free(workers);
	return r;
}

void action_workers_measure(struct action_workers *workers)
{
	atomic_store(&workers->measures, true);
}

uint64_t action_workers_redis_cpu_us(struct action_workers *workers)
{
	static const char *const names[] = {"used_cpu_sys:", "used_cpu_user:"};
	redisReply *reply = redisCommand(workers->redis, "INFO cpu");
	double seconds = 0;

	for (size_t i = 0; reply && reply->str && i < sizeof(names) / sizeof(names[0]); i++) {
		const char *at = strstr(reply->str, names[i]);

		seconds += at ? strtod(at + strlen(names[i]), NULL) : 0;
	}
	freeReplyObject(reply);
	return (uint64_t)(seconds * 1e6);
}

int action_workers_stop(struct action_workers *workers, struct buf *error)
{
	int r = 0;

	atomic_store(&workers->stop, true);
	for (uint32_t i = 0; i <= workers->n; i++) {
		struct action_worker *worker = &workers->list[i];

		if (worker->runs)
			pthread_join(worker->thread, NULL);
		worker->runs = false;
		if (worker->refusal[0] && r == 0) {
			buf_printf(error, "Redis refused a worker: %s", worker->refusal);
			r = -EIO;
		}
	}
	return r;
}

const struct histogram *action_workers_pings(const struct action_workers *workers)
{
	return &workers->pings;
}

void action_workers_free(struct action_workers *workers)
{
	if (!workers)
		return;
	for (uint32_t i = 0; i <= workers->n; i++)
		if (workers->list[i].redis)
			redisFree(workers->list[i].redis);
	if (workers->redis)
		redisFree(workers->redis);
	free(workers);
}
