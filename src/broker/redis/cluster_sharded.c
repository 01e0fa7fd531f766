/*
 * Redis cluster, sharded: do all servers know sharded channels? Those before Redis 7 do not. While there is
 * one of them, channels are heard and published the classic way.
 *
 * Each server is asked when it is ready, so that it is noticed when the last old one has been replaced. From
 * then on channels are heard in both ways, and published to as sharded ones once the other gateways have had
 * the time to notice, too. With `redis_pubsub: sharded` the classic way is given up after as long once more:
 * the others begin to publish at moments of their own.
 */

#include "broker/redis/cluster_private.h"
#include "broker/redis/error.h"
#include "broker/redis/reply.h"
#include "core/clock.h"

enum {
	ALL_NOTICE_MS = 10000, /* other gateways poll the map and dial again within a second or two */
};

static void publish_sharded(struct redis_cluster *cluster, bool sharded)
{
	struct list *head = &cluster->members.all;

	cluster->settings.options.sharded = sharded;
	cluster->sharded_ms = 0;
	for (struct list *at = head->next; at != head; at = at->next)
		redis_server_set_sharded(list_entry(at, struct redis_member, link)->server, sharded);
}

static bool all_know(const struct redis_cluster *cluster)
{
	const struct list *head = &cluster->members.all;

	for (const struct list *at = head->next; at != head; at = at->next)
		if (list_entry(at, struct redis_member, link)->lacks_sharded)
			return false;
	return true;
}

void redis_cluster_judge_sharded(struct redis_cluster *cluster)
{
	enum redis_pubsub wanted = cluster->settings.options.pubsub;

	if (wanted == REDIS_PUBSUB_CLASSIC || cluster->channels.hears[REDIS_SHARDED] || !all_know(cluster))
		return;
	log_info(cluster->log, "redis: all servers of this cluster know sharded channels now");
	cluster->sharded_ms = clock_monotonic_ms() + ALL_NOTICE_MS;
	redis_cluster_channels_hear(&cluster->channels, true, true);
}

void redis_cluster_tick_sharded(struct redis_cluster *cluster, uint64_t now_ms)
{
	if (!cluster->sharded_ms || now_ms < cluster->sharded_ms)
		return;
	if (cluster->settings.options.sharded) {
		cluster->sharded_ms = 0;
		redis_cluster_channels_hear(&cluster->channels, false, true);
		return;
	}
	publish_sharded(cluster, true);
	redis_cluster_channels_need_sharded(&cluster->channels);
	if (cluster->settings.options.pubsub == REDIS_PUBSUB_SHARDED)
		cluster->sharded_ms = now_ms + ALL_NOTICE_MS;
}

void redis_cluster_lacks_sharded(struct redis_member *member, struct slice why)
{
	struct redis_cluster *cluster = member->cluster;

	member->lacks_sharded = true;
	if (!cluster->channels.hears[REDIS_SHARDED])
		return;
	log_warn(cluster->log, "redis: this cluster knows no sharded channels", log_slice("reason", why));
	publish_sharded(cluster, false);
	redis_cluster_channels_hear(&cluster->channels, true, false);
}

/* Whatever else it says, that another has the slot or that we may not, it knows the command. */
static void on_asked(void *arg, const struct redis_reply *reply)
{
	struct redis_member *member = arg;

	if (!reply)
		return;
	if (reply->values[0].kind == REDIS_ERROR && redis_error_is_unknown(redis_reply_text(reply, 0))) {
		redis_cluster_lacks_sharded(member, redis_reply_text(reply, 0));
		return;
	}
	member->lacks_sharded = false;
	redis_cluster_judge_sharded(member->cluster);
}

void redis_cluster_ask_sharded(struct redis_member *member)
{
	const struct slice argv[] = {
		slice_of("SPUBLISH"), redis_server_probe_channel(member->server), slice_of("")};

	if (member->cluster->settings.options.pubsub != REDIS_PUBSUB_CLASSIC)
		(void)redis_server_ask(
			member->server, argv, 3, on_asked, member); /* or its link has no memory */
}
