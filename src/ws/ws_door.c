/* Ws door: connections that come in; see the header. */

#include "ws/ws_door.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client/clients.h"
#include "core/address_table.h"
#include "core/clock.h"
#include "core/log.h"
#include "http/request_head.h"
#include "ws/admission.h"
#include "ws/arrival.h"
#include "ws/listener.h"
#include "ws/lws_loop.h"
#include "ws/places.h"
#include "ws/tls.h"
#include "ws/trusted.h"
#include "ws/ws_request.h"
#include "ws/ws_server_private.h"

enum {
	REST_LINES = 2, /* of the log in a minute */
};

/* One worker logs it for all. */
static bool has_room(void *arg)
{
	struct ws_server *server = arg;

	if (!places_have_room(server->places))
		return false;
	if (places_go_on(server->places))
		log_info(server->log, "the public port takes connections again");
	return true;
}

static void rest(struct ws_server *server)
{
	uint64_t suppressed;

	listener_rest(server->listener, has_room);
	if (places_is_short(server->places))
		return; /* the log says that memory is short */
	if (atomic_load(&server->places->resting) ||
		!log_limit_allow(server->log, &server->rest_limit, clock_monotonic_ms(), &suppressed) ||
		!places_rest(server->places))
		return;
	log_warn(server->log, "the public port rests: all places for connections are taken",
		log_uint("connections_max", places_max(server->places)), log_uint("suppressed", suppressed),
		log_str("remedy", "more nodes, or a higher limit of open files (ulimit -n, LimitNOFILE)"));
}

static void adopt(struct ws_server *server, int fd, struct arrival *arrival)
{
	uint64_t n_created = server->n_created;
	struct lws *wsi;

	server->arriving = arrival->place;
	ws_tls_arriving(server->tls, arrival->named ? &arrival->peer : NULL);
	/* On failure lws closes the descriptor. */
	wsi = lws_adopt_descriptor_vhost(server->vhost,
		LWS_ADOPT_SOCKET | LWS_ADOPT_HTTP | LWS_ADOPT_ALLOW_SSL | LWS_ADOPT_FLAG_ACCEPTED,
		(lws_sock_file_fd_type){.sockfd = fd}, NULL, NULL);
	server->arriving = PLACE_NONE;
	ws_tls_arriving(server->tls, NULL);
	if (server->n_created == n_created) /* it never became a connection, so its end is not that of one */
		places_leave(server->places, arrival->place);
	if (wsi && ws_request_begin(wsi, arrival) == 0)
		return;
	arrival_end(arrival, server->places->addresses, server->clients->now_ms);
	if (!wsi)
		return;
	/* There is no memory to note its place in. */
	if (arrival->place == PLACE_STANDING)
		places_to_seat(server->places);
	lws_set_timeout(wsi, 1, LWS_TO_KILL_ASYNC);
}

/* It is not worth an answer. */
static void hang_up(struct ws_server *server, int fd, const struct arrival *arrival, enum refusal why)
{
	struct request_head none = {0};

	ws_request_note(server, &none, &arrival->peer, handshake_refusal(why));
	close(fd);
	places_leave(server->places, arrival->place);
}

/* It is known whom it comes from. Is it worth reading from? */
static void arrive(struct ws_server *server, int fd, struct arrival *arrival)
{
	int r = arrival_count_peer(
		arrival, server->places->addresses, server->rules.trusted, server->clients->now_ms);

	if (r == 0)
		adopt(server, fd, arrival);
	else
		hang_up(server, fd, arrival, r < 0 ? REFUSAL_OUT_OF_MEMORY : arrival->refusal);
}

static void on_admitted(void *arg, int fd, struct arrival *arrival, int outcome)
{
	struct ws_server *server = arg;

	ws_server_refresh_time(server);
	if (outcome == 0) {
		arrive(server, fd, arrival);
	} else if (outcome == ADMISSION_GONE) {
		close(fd);
		places_leave(server->places, arrival->place);
	} else {
		hang_up(server, fd, arrival, outcome < 0 ? REFUSAL_OUT_OF_MEMORY : REFUSAL_BAD_PROXY);
	}
}

static void welcome(struct ws_server *server, int fd, const struct in6_addr *peer, enum place place)
{
	struct arrival arrival = {.peer = *peer, .place = place};

	ws_server_refresh_time(server);
	if (!server->admission)
		arrive(server, fd, &arrival);
	else if (trusted_covers(server->rules.trusted, &arrival.peer))
		admission_begin(server->admission, fd, &arrival);
	else
		hang_up(server, fd, &arrival, REFUSAL_BAD_PROXY);
}

static void on_accept(void *arg, int fd, const struct in6_addr *peer)
{
	struct ws_server *server = arg;
	enum place place = places_take(server->places);

	if (place == PLACE_NONE)
		close(fd);
	else
		welcome(server, fd, peer, place);
	if (!places_have_room(server->places))
		rest(server);
	lws_loop_served(server->loop); /* with TLS its hello may be here, and costs 0.4 ms */
}

int ws_door_open(struct ws_server *server, const struct ws_server_options *options, struct buf *error)
{
	server->rest_limit = (struct log_limit){.burst = REST_LINES, .interval_ms = 60000};
	if (options->proxy_protocol) {
		server->admission = admission_new(options->base, on_admitted, server);
		if (!server->admission) {
			lws_loop_explain(error);
			return -ENOMEM;
		}
	}
	return listener_new(options->base, options->host, options->port, true, on_accept, server,
		&server->listener, error);
}
