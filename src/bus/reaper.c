/* Reaper: clears up behind a node that has died; see the header. */

#include "bus/reaper.h"

#include <errno.h>
#include <string.h>

#include "bus/lifecycle.h"
#include "core/log.h"
#include "metrics/metrics.h"
#include "route/route.h"

static void ask_names(struct reaper *reaper);

static struct slice name_at(const struct reaper *reaper, size_t i)
{
	return (struct slice){reaper->names[i], reaper->lens[i]};
}

static struct slice dead_node(const struct reaper *reaper)
{
	return slice_of(reaper->node);
}

/* It is over, or fails: the claim on the node ends by itself. */
static void go_idle(struct reaper *reaper)
{
	reaper->node[0] = '\0';
}

static void give_up(struct reaper *reaper, int r)
{
	if (r != -ECANCELED)
		log_warn(reaper->log, "clearing up behind a dead node failed: it is tried again",
			log_slice("dead", dead_node(reaper)), log_str("reason", strerror(-r)));
	go_idle(reaper);
}

static void on_cleared(void *arg, int r)
{
	struct reaper *reaper = arg;

	if (r < 0) {
		give_up(reaper, r);
		return;
	}
	if (r == BROKER_HAD_ENDED) {
		go_idle(reaper);
		return;
	}
	metrics_add(reaper->metrics, METRIC_NODES_CLEARED, 1);
	log_info(reaper->log, "a gateway died: what it left in Redis is cleared up",
		log_slice("dead", dead_node(reaper)), log_uint("users", reaper->n_users),
		log_uint("connections", reaper->n_connections));
	go_idle(reaper);
}

static void on_let_go(void *arg, int r)
{
	struct reaper *reaper = arg;

	if (r < 0)
		give_up(reaper, r);
	else
		ask_names(reaper);
}

static void let_go(struct reaper *reaper)
{
	struct slice names[BROKER_HELD_MAX];
	int r;

	if (!reaper->n) { /* all were passed over */
		give_up(reaper, reaper->r);
		return;
	}
	for (size_t i = 0; i < reaper->n; i++)
		names[i] = name_at(reaper, i);
	r = broker_hold(reaper->broker, dead_node(reaper), false, names, reaper->n, on_let_go, reaper);
	if (r < 0)
		give_up(reaper, r);
}

static void clear_next(struct reaper *reaper);

/* Behind one name it cannot be cleared up, for its server is away or does not write: it remains held, and
 * those of other servers do not wait for it. */
static void pass_over(struct reaper *reaper, int r)
{
	size_t last = --reaper->n;

	if (reaper->at != last)
		memcpy(reaper->names[reaper->at], reaper->names[last], reaper->lens[last]);
	reaper->lens[reaper->at] = reaper->lens[last];
	reaper->cursor = 0;
	reaper->r = r;
}

static void on_failed(struct reaper *reaper, int r)
{
	if (r == -ECANCELED) {
		give_up(reaper, r);
		return;
	}
	pass_over(reaper, r);
	clear_next(reaper);
}

static void on_part(void *arg, int r, const struct broker_roll *roll)
{
	struct reaper *reaper = arg;

	if (r < 0) {
		on_failed(reaper, r);
		return;
	}
	reaper->n_users += roll->n_left;
	metrics_add(reaper->metrics, METRIC_PRESENCE_LEFT, roll->n_left);
	reaper->cursor = roll->cursor;
	reaper->at += reaper->cursor == 0;
	clear_next(reaper);
}

static void on_lost(void *arg, int r, const struct broker_said_answer *answer)
{
	struct reaper *reaper = arg;

	if (r < 0) {
		on_failed(reaper, r);
		return;
	}
	reaper->n_connections += answer->n_lost;
	metrics_add(reaper->metrics, METRIC_LIFECYCLE_LOST, answer->n_lost);
	reaper->cursor = answer->cursor;
	reaper->at += reaper->cursor == 0;
	clear_next(reaper);
}

static int clear_channel(struct reaper *reaper, struct slice channel)
{
	struct broker_presence place = {.node = dead_node(reaper)};

	presence_place(reaper->presence, channel, &place);
	return broker_clear_presence(reaper->broker, &place, reaper->cursor, on_part, reaper);
}

static int clear_stream(struct reaper *reaper, struct slice stream)
{
	const struct broker_session session = {
		.node = dead_node(reaper), .stream = stream, .size = ROUTE_LIFECYCLE_SIZE};

	return broker_say_lost(reaper->broker, &session, reaper->cursor, on_lost, reaper);
}

/* Of a newer gateway there may be more, of which we know nothing. */
static bool is_known(struct slice name)
{
	return name.data[0] == PRESENCE_HELD || name.data[0] == LIFECYCLE_HELD;
}

/* One call at a time: others are to be served meanwhile. */
static void clear_next(struct reaper *reaper)
{
	while (reaper->at < reaper->n) {
		struct slice name = name_at(reaper, reaper->at);
		struct slice rest = {name.data + 1, name.len - 1};
		int r;

		if (!is_known(name)) {
			reaper->at++;
			continue;
		}
		r = name.data[0] == PRESENCE_HELD ? clear_channel(reaper, rest) : clear_stream(reaper, rest);
		if (r == 0)
			return;
		pass_over(reaper, r);
	}
	let_go(reaper);
}

/* Nobody but gateways writes there, but everybody could. */
static bool is_name(struct slice name)
{
	return name.len > 1 && name.len <= PRESENCE_HELD_MAX;
}

/* Was it let go just now? Then a server that cannot write keeps it. */
static bool was_let_go(const struct reaper *reaper, struct slice name)
{
	for (size_t i = 0; i < reaper->n; i++)
		if (slice_equal(name_at(reaper, i), name))
			return true;
	return false;
}

static void on_names(void *arg, int r, const struct slice *names, size_t n)
{
	struct reaper *reaper = arg;

	for (size_t i = 0; r == 0 && i < n; i++)
		if (was_let_go(reaper, names[i]))
			r = -EAGAIN;
	reaper->n = reaper->at = reaper->cursor = 0;
	for (size_t i = 0; r == 0 && i < n; i++) {
		if (!is_name(names[i]))
			continue;
		memcpy(reaper->names[reaper->n], names[i].data, names[i].len);
		reaper->lens[reaper->n++] = (uint16_t)names[i].len;
	}
	if (r == 0 && reaper->n) {
		clear_next(reaper);
		return;
	}
	if (r == 0)
		r = broker_cleared(reaper->broker, dead_node(reaper), on_cleared, reaper);
	if (r < 0)
		give_up(reaper, r);
}

static void ask_names(struct reaper *reaper)
{
	int r = broker_hold_some(reaper->broker, dead_node(reaper), on_names, reaper);

	if (r < 0)
		give_up(reaper, r);
}

void reaper_begin(struct reaper *reaper, struct slice node)
{
	if (*reaper->node || node.len > PRESENCE_NODE_MAX)
		return;
	memcpy(reaper->node, node.data, node.len);
	reaper->node[node.len] = '\0';
	reaper->n = 0;
	reaper->n_users = reaper->n_connections = 0;
	ask_names(reaper);
}

struct slice reaper_busy(const struct reaper *reaper)
{
	return dead_node(reaper);
}
