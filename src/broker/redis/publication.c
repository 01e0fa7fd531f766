/*
 * Redis publication: a PUBLISH, and the caller who waits for its answer. See publication.h.
 */

#include "broker/redis/publication.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "broker/redis/errand.h"
#include "broker/redis/error.h"
#include "broker/redis/link.h"
#include "core/clock.h"

struct publication {
	struct redis_publications *all;
	broker_published_fn done;
	void *arg;
	size_t name_len;
	char name[]; /* of the channel, for the log */
};

static int refusal(const struct publication *publication, struct slice text)
{
	struct redis_publications *all = publication->all;
	uint64_t suppressed;

	if (log_limit_allow(all->log, &all->refused_limit, clock_monotonic_ms(), &suppressed))
		log_warn(all->log, "redis refused a publication",
			log_str("command", all->sharded ? "SPUBLISH" : "PUBLISH"),
			log_mem("channel", publication->name, publication->name_len),
			log_slice("reason", text), log_uint("suppressed", suppressed));
	return redis_error_errno(text);
}

static void on_published(void *arg, const struct redis_reply *reply)
{
	struct publication *publication = arg;
	uint64_t n_receivers = 0;
	int r = 0;

	if (!reply)
		r = publication->all->cancelled ? -ECANCELED : -ETIMEDOUT;
	else if (reply->values[0].kind == REDIS_INTEGER)
		n_receivers = (uint64_t)reply->values[0].integer;
	else if (reply->values[0].kind == REDIS_ERROR)
		r = refusal(publication, redis_reply_text(reply, 0));
	else
		r = -EIO;
	if (publication->done)
		publication->done(publication->arg, r, n_receivers);
	free(publication);
}

int redis_publication_send(struct redis_publications *all, struct redis_link *link, struct slice name,
	struct slice payload, broker_published_fn done, void *arg)
{
	struct publication *publication = malloc(sizeof(*publication) + name.len);
	int r;

	if (!publication)
		return -ENOMEM;
	*publication = (struct publication){all, done, arg, name.len};
	memcpy(publication->name, name.data, name.len);
	r = redis_ask(all->errands, link,
		(struct slice[]){all->sharded ? (struct slice){"SPUBLISH", 8} : (struct slice){"PUBLISH", 7},
			name, payload},
		3, on_published, publication);
	if (r < 0)
		free(publication);
	return r;
}
