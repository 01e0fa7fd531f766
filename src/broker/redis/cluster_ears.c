/*
 * Redis cluster, ears: what the servers of its members say. Their channels' reports go to the cluster's
 * channels; what hints at another map makes the next question for it come sooner.
 */

#include "broker/redis/cluster_private.h"

#include <errno.h>
#include <string.h>

#include "broker/redis/error.h"
#include "broker/redis/reply.h"
#include "broker/redis/subscriber.h"

/* --- events and channels --- */

static void on_event(void *arg, struct slice name, struct slice payload)
{
	struct redis_member *member = arg;

	redis_cluster_channels_event(&member->cluster->channels, member, REDIS_CLASSIC, name, payload);
}

static void on_drained(void *arg)
{
	struct redis_member *member = arg;

	member->cluster->channels.events.drained(member->cluster->channels.events.arg);
}

static void on_subscribed(void *arg, struct slice name)
{
	struct redis_member *member = arg;

	redis_cluster_channels_subscribed(&member->cluster->channels, member, REDIS_CLASSIC, name);
}

static void on_lost(void *arg, struct slice name)
{
	struct redis_member *member = arg;

	redis_cluster_channels_lost(&member->cluster->channels, member, REDIS_CLASSIC, name);
}

static void on_sharded_event(void *arg, struct slice name, struct slice payload)
{
	struct redis_member *member = arg;

	redis_cluster_channels_event(&member->cluster->channels, member, REDIS_SHARDED, name, payload);
}

static void on_sharded_subscribed(void *arg, struct slice name)
{
	struct redis_member *member = arg;

	redis_cluster_channels_subscribed(&member->cluster->channels, member, REDIS_SHARDED, name);
}

static void on_sharded_lost(void *arg, struct slice name)
{
	struct redis_member *member = arg;

	redis_cluster_channels_lost(&member->cluster->channels, member, REDIS_SHARDED, name);
}

/* The server that has ended a subscription was told who has the slot now. */
static void on_gone(void *arg, struct slice name)
{
	struct redis_member *member = arg;
	struct redis_cluster *cluster = member->cluster;

	redis_cluster_channels_gone(&cluster->channels, member, name);
	if (!cluster->poll.next && !member->left_ms)
		cluster->poll.next = member;
	redis_map_poll_doubt(&cluster->poll);
}

/* --- errors --- */

/* Not from inside of what the answer came through: on the next turn of the poll timer, that is. */
static void on_erred(void *arg, struct slice error)
{
	struct redis_member *member = arg;
	struct redis_redirect redirect = redis_redirect_parse(error);

	if (redirect.kind == REDIS_REDIRECT_NONE && redis_error_is_unknown(error)) {
		redis_cluster_lacks_sharded(member, error);
		return;
	}
	if (redirect.kind == REDIS_REDIRECT_MOVED && !redirect.host.len)
		redirect.host = slice_of(member->at.host);
	redis_cluster_redirected(member->cluster, &redirect);
}

/* --- the server itself --- */

static void on_changed(void *arg, struct redis_server *server, const char *reason)
{
	struct redis_member *member = arg;
	struct redis_cluster *cluster = member->cluster;

	member->late = false;
	member->pinged_ms = 0;
	cluster->listener.changed(cluster->listener.arg, member->left_ms ? NULL : server, reason);
	if (redis_server_is_ready(server)) {
		redis_cluster_ask_sharded(member);
		return;
	}
	redis_cluster_channels_evacuate(&cluster->channels, member);
	redis_map_poll_doubt(&cluster->poll);
}

/* Addresses are given to others: what answers at that of a server of ours may be another Redis, which would
 * take our channels and logs. Where we have no right to ask, or it cannot tell yet, it is believed. */
static const char *on_slots(void *arg, const struct redis_reply *reply)
{
	struct redis_member *member = arg;
	struct redis_slot_map map = {0};
	const struct redis_slot_node *self;
	bool is_other;
	int r;

	if (reply->values[0].kind == REDIS_ERROR)
		return redis_error_errno(redis_reply_text(reply, 0)) == -EIO
			       ? "it is in no cluster: another Redis has the address of one of ours"
			       : NULL;
	r = redis_slot_map_read(&map, reply, slice_of(member->at.host));
	if (r == REDIS_SLOT_MAP_EMPTY)
		return "it is in cluster mode and knows of no slots: is it in our cluster?";
	self = r == 0 ? redis_slot_map_find(&map, slice_of(member->at.host), member->at.port) : NULL;
	is_other = self && *self->id && *member->at.id && strcmp(self->id, member->at.id) != 0;
	redis_slot_map_deinit(&map);
	return is_other ? "another Redis has the address of one of ours" : NULL;
}

static void on_measured(void *arg, struct redis_server *server, uint64_t took_us)
{
	struct redis_member *member = arg;

	member->cluster->listener.measured(member->cluster->listener.arg, server, took_us);
}

int redis_cluster_hear(struct redis_cluster *cluster, struct redis_member *member)
{
	const struct broker_listener events = {member, on_event, on_drained, on_subscribed, on_lost, NULL};
	const struct redis_server_listener listener = {
		.arg = member, .changed = on_changed, .measured = on_measured, .stranger = on_slots};
	const struct redis_sharded_listener sharded = {
		member, on_sharded_event, on_sharded_subscribed, on_sharded_lost, on_gone, on_erred};
	struct redis_url url = cluster->settings.element.server; /* its texts are borrowed: they are copied */
	int r;

	url.host = member->at.host;
	url.port = member->at.port;
	cluster->settings.options.seed += 7919; /* so that they do not dial in step */
	r = redis_server_new(cluster->base, &url, &cluster->settings.options, &events, &listener,
		cluster->log, cluster->metrics, &member->server);
	if (r == 0)
		redis_server_hear_sharded(member->server, &sharded);
	return r;
}
