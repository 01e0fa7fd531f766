/* Gateway: the composition root; see the header. */

#include "app/gateway.h"

#include <errno.h>
#include <inttypes.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include <event2/event.h>
#include <libwebsockets.h>

#include "admin/admin.h"
#include "app/announcer.h"
#include "app/file_limit.h"
#include "app/gateway_private.h"
#include "app/keys.h"
#include "app/notify.h"
#include "app/warnings.h"
#include "auth/rehearsal.h"
#include "broker/memory_broker.h"
#include "broker/redis/tls.h"
#include "broker/redis/urls.h"
#include "broker/redis_broker.h"
#include "bus/bus.h"
#include "config/config.h"
#include "core/address_table.h"
#include "core/buf.h"
#include "core/clock.h"
#include "core/log.h"
#include "core/log_writer.h"
#include "core/tally.h"
#include "metrics/metrics.h"
#include "route/route.h"
#include "worker/worker.h"
#include "ws/listener.h"
#include "version.h"

enum {
	SAYING_MS = 2000,     /* for what is still to be said of connections that have ended */
	ANSWERS_MS = 500,     /* for the last answers of the admin listener to leave */
	WITHDRAW_MS = 500,    /* for the announcement to be taken back at the end */
	EXIT_BY_SIGNAL = 128, /* the shell's convention */
	LAST_LINES_MS = 100,  /* for the log to be written before an end at once */
	STOP_SLACK_MS = 5000, /* from the last client to the end of the process, on a busy machine */
};

static const int signals[N_SIGNALS] = {SIGTERM, SIGINT, SIGHUP};

static unsigned int on_reload_asked(void *arg, struct buf *out)
{
	struct gateway *gateway = arg;
	unsigned int status;

	notify_reloading(gateway->notify, clock_monotonic_us());
	status = reload_answer(&gateway->reload, "admin", shutdown_begun(&gateway->shutdown), out);
	notify_ready(gateway->notify);
	return status;
}

static void on_hangup(evutil_socket_t signal_number, short events, void *arg)
{
	struct gateway *gateway = arg;
	struct buf waiting = {0}, why = {0};

	(void)signal_number;
	(void)events;
	notify_reloading(gateway->notify, clock_monotonic_us());
	(void)reload_run(&gateway->reload, "SIGHUP", shutdown_begun(&gateway->shutdown), &waiting,
		&why); /* the log says it */
	notify_ready(gateway->notify);
	buf_deinit(&waiting);
	buf_deinit(&why);
}

static void on_end(evutil_socket_t signal_number, short events, void *arg)
{
	struct gateway *gateway = arg;
	const struct config *config = reload_config(&gateway->reload);
	/* Ctrl-C comes from a person at a terminal, with no load balancer in front of the gateway. */
	struct shutdown_times times = {signal_number == SIGINT ? 0 : config->drain_delay_ms,
		config->drain_time_ms, config->shutdown_timeout_ms};

	(void)events;
	if (!shutdown_ask(&gateway->shutdown, &times, signal_number == SIGTERM ? "SIGTERM" : "SIGINT")) {
		log_writer_wait(gateway->log_writer, LAST_LINES_MS);
		_exit(EXIT_BY_SIGNAL + (int)signal_number);
	}
	notify_stopping(gateway->notify,
		(times.delay_ms + times.spread_ms + times.timeout_ms + STOP_SLACK_MS) * 1000);
}

static void mask_hangup(int how)
{
	sigset_t hangup;

	sigemptyset(&hangup);
	sigaddset(&hangup, SIGHUP);
	pthread_sigmask(how, &hangup, NULL);
}

void gateway_hold_hangup(void)
{
	mask_hangup(SIG_BLOCK);
}

/* --- building --- */

static int make_loop(struct gateway *gateway)
{
	gateway->base =
		gateway->single_thread ? worker_base_new(!FAULT_OFF(gateway, priorities)) : event_base_new();
	if (!gateway->base)
		return -ENOMEM;
	for (int i = 0; i < N_SIGNALS; i++) {
		gateway->signals[i] = evsignal_new(
			gateway->base, signals[i], signals[i] == SIGHUP ? on_hangup : on_end, gateway);
		if (!gateway->signals[i] || event_add(gateway->signals[i], NULL) < 0)
			return -ENOMEM;
	}
	mask_hangup(SIG_UNBLOCK);
	return shutdown_init(&gateway->shutdown, gateway->base);
}

static int make_redis(struct gateway *gateway, const struct broker_listener *listener, struct buf *error)
{
	const struct config *config = gateway->config;
	struct redis_urls urls;
	int r = redis_urls_parse(config->redis, &urls, error);

	if (r == 0 && redis_urls_want_tls(config->redis))
		r = redis_tls_new(&config->redis_tls, error, &gateway->redis_tls);
	if (r < 0) {
		redis_urls_deinit(&urls);
		return r;
	}
	struct redis_options options = {
		.urls = &urls,
		.tls = gateway->redis_tls,
		.channel_prefix = config->channel_prefix,
		.pubsub = config->redis_pubsub,
		.node_id = gateway->node_id,
		.seed = gateway->seed,
		.loads_library = config_wants_library(config),
		.payload_bytes_max = config->event_bytes_max,
#ifdef TIDEGATE_FAULT_CONTROLS
		.fault_off = gateway->fault_off,
#endif
	};
	r = redis_broker_new(
		gateway->base, &options, listener, gateway->log, &gateway->metrics, &gateway->broker);
	redis_urls_deinit(&urls);
	return r;
}

static int make_bus(struct gateway *gateway, struct buf *error)
{
	struct broker_listener listener;

	gateway->bus = bus_new(gateway->base, gateway->log, &gateway->metrics);
	if (!gateway->bus)
		return -ENOMEM;
	if (gateway->single_thread)
		bus_share_loop(gateway->bus);
	bus_set_node(gateway->bus, gateway->node_id, gateway->config->node_lease_ms);
	if (gateway->config->control && bus_set_controlled(gateway->bus) < 0)
		return -ENOMEM;
	bus_set_routes(gateway->bus, gateway->config->routes);
#ifdef TIDEGATE_FAULT_CONTROLS
	bus_set_fault_off(gateway->bus, &gateway->fault_off);
#endif
	listener = bus_broker_listener(gateway->bus);
	if (*gateway->config->redis)
		return make_redis(gateway, &listener, error);
	return memory_broker_new(gateway->base, &listener, &gateway->broker);
}

static void refuse_connection(void *arg, int fd, const struct in6_addr *peer)
{
	(void)peer;
	(void)arg;
	close(fd);
}

/* Does another process have the port? Workers share theirs, and would silently share that
 * of another gateway. */
static int claim_port(struct gateway *gateway, struct buf *error)
{
	struct listener *listener;
	int r = listener_new(gateway->base, gateway->config->listen.host, gateway->config->listen.port, false,
		refuse_connection, NULL, &listener, error);

	if (r == 0)
		listener_free(listener);
	return r;
}

static int make_workers(struct gateway *gateway, struct buf *error)
{
	const struct config *config = gateway->config;
	uint16_t port = config->listen.port;
	int r = claim_port(gateway, error);

	while (r == 0 && gateway->n_workers < config->workers) {
		struct worker_options options = {
			.index = gateway->n_workers,
			.base = gateway->single_thread ? gateway->base : NULL,
			.host = config->listen.host,
			.port = port,
			.config = config,
			.verifier = keys_verifier(gateway->keys),
			.tls_keys = certificates_keys(&gateway->certificates, CONFIG_PUBLIC),
			.places = &gateway->places,
			.log_writer = gateway->log_writer,
			.listener = bus_worker_listener(gateway->bus),
#ifdef TIDEGATE_FAULT_CONTROLS
			.fault_off = gateway->fault_off,
#endif
		};

		r = worker_new(&options, &gateway->workers[gateway->n_workers], error);
		if (r == 0)
			port = worker_port(gateway->workers[gateway->n_workers++]);
	}
	gateway->port = port;
	return r;
}

static int make_admin(struct gateway *gateway, struct buf *error)
{
	const struct config *config = gateway->config;
	struct admin_options options = {
		.base = gateway->base,
		.host = config->admin.host,
		.port = config->admin.port,
		.tls_keys = certificates_keys(&gateway->certificates, CONFIG_ADMIN),
		.tls_least = config->tls_min_version,
		.token = config->admin_token,
		.metrics_public = config->metrics_public,
		.connections_max = file_limit_admin(gateway->n_files),
		.node_id = gateway->node_id,
		.source = {gateway, gateway_say_live, gateway_say_ready, gateway_say_metrics, on_reload_asked,
			gateway_say_status, gateway_say_config, gateway_say_asyncapi},
		.bus = gateway->bus,
		.broker = gateway->broker,
		.routes = config->routes,
		.log = gateway->log,
		.metrics = &gateway->metrics,
		.event_bytes_max = config->event_bytes_max,
	};

	return admin_new(&options, &gateway->admin, error);
}

static int make_announcer(struct gateway *gateway)
{
	const struct announcer_source source = {gateway, gateway_beat, gateway_say_status};

	gateway->announcer = announcer_new(gateway->base, gateway->broker, &source);
	return gateway->announcer ? 0 : -ENOMEM;
}

static int make_memory_watch(struct gateway *gateway)
{
	const struct memory_party party = {gateway->bus, &gateway->places, gateway->workers,
		gateway->n_workers, gateway->log, &gateway->metrics};

	return memory_watch_init(&gateway->memory, gateway->base, &party, gateway->config->memory_max);
}

/* Draws a name and a seed that no other process has. */
static int make_identity(struct gateway *gateway)
{
	uint64_t random[2];

	if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random))
		return -errno;
	snprintf(gateway->node_id, sizeof(gateway->node_id), "%016" PRIx64, random[0]);
	gateway->seed = random[1];
	return 0;
}

#ifdef TIDEGATE_FAULT_CONTROLS
static int read_fault_off(struct gateway *gateway)
{
	const char *text = getenv("FAULT_OFF");
	int r = fault_off_parse(text, &gateway->fault_off);

	if (text && r == 0)
		log_warn(gateway->log, "mechanisms are switched off", log_str("mechanisms", text));
	return r;
}
#endif

/* --- the keys of tokens --- */

static void tell_keys(struct gateway *gateway, enum worker_keys_news news)
{
	/* Without memory a client that waits for a key comes again. */
	for (unsigned int i = 0; i < gateway->n_workers; i++)
		(void)worker_post_keys(gateway->workers[i], news, NULL);
}

static int on_keys_changed(void *arg, struct verifier *verifier)
{
	struct gateway *gateway = arg;
	int r = 0;

	for (unsigned int i = 0; i < gateway->n_workers; i++)
		if (worker_post_keys(gateway->workers[i], WORKER_KEYS_CHANGED, verifier) < 0)
			r = -ENOMEM;
	return r;
}

static void on_keys_fetching(void *arg)
{
	tell_keys(arg, WORKER_KEYS_FETCHING);
}

static void on_keys_fetched(void *arg)
{
	tell_keys(arg, WORKER_KEYS_FETCHED);
}

static void on_keys_wanted(void *arg)
{
	struct gateway *gateway = arg;

	keys_want(gateway->keys);
}

static void start_keys(struct gateway *gateway)
{
	const struct keys_listener changes = {gateway, on_keys_changed, on_keys_fetching, on_keys_fetched};
	const struct bus_keys_listener wishes = {gateway, on_keys_wanted};

	keys_start(gateway->keys, &changes);
	bus_set_keys(gateway->bus, &wishes);
}

/* All parts exist now: makes known which of them are told of the end, of a new configuration, and of
 * certificates. 0 or -ENOMEM. */
static int introduce(struct gateway *gateway)
{
	const struct certificates_targets certificates = {
		gateway->admin, gateway->workers, gateway->n_workers, gateway->log, &gateway->metrics};
	const struct shutdown_party party = {
		gateway->workers, gateway->n_workers, gateway->seed, gateway->log, &gateway->metrics};

	shutdown_set_party(&gateway->shutdown, &party);
	gateway->reload.targets = (struct reload_targets){
		.bus = gateway->bus,
		.broker = gateway->broker,
		.admin = gateway->admin,
		.certificates = &gateway->certificates,
		.workers = gateway->workers,
		.n_workers = gateway->n_workers,
		.places = &gateway->places,
		.keys = gateway->keys,
		.memory = &gateway->memory,
		.n_files = gateway->n_files,
		.log = gateway->log,
		.metrics = &gateway->metrics,
	};
	return certificates_watch(&gateway->certificates, gateway->base, &certificates);
}

static int read_certificates(struct gateway *gateway, struct buf *error)
{
	int r = certificates_init(&gateway->certificates, gateway->config, error);

	return r == CONFIG_BAD ? -EINVAL : r;
}

static int gateway_make(struct gateway *gateway, struct buf *error)
{
	int r = make_identity(gateway);

#ifdef TIDEGATE_FAULT_CONTROLS
	if (r == 0)
		r = read_fault_off(gateway);
#endif

	if (r == 0)
		r = read_certificates(gateway, error);
	if (r == 0)
		r = make_loop(gateway);
	if (r == 0)
		r = make_bus(gateway, error);
	if (r == 0)
		r = keys_new(gateway->base, gateway->config, gateway->log, &gateway->metrics, &gateway->keys,
			error);
	if (r == 0)
		r = make_workers(gateway, error);
	if (r == 0)
		r = make_admin(gateway, error);
	if (r == 0)
		r = make_announcer(gateway);
	if (r == 0)
		bus_connect(gateway->bus, gateway->broker, gateway->workers, gateway->n_workers);
	if (r == 0)
		r = make_memory_watch(gateway);
	if (r == 0 && auth_rehearse() < 0) /* what cannot be checked here is refused when it comes */
		r = -ENOMEM;
	for (unsigned int i = 0; r == 0 && i < gateway->n_workers; i++)
		r = worker_start(gateway->workers[i]);
	if (r == 0)
		r = introduce(gateway);
	if (r == 0)
		start_keys(gateway);
	return r;
}

/* --- the service manager, and the end of all parts --- */

/* Without a word to the service manager it serves all the same. */
static void tell_manager(struct gateway *gateway)
{
	const struct notify_variables variables = {
		getenv("NOTIFY_SOCKET"), getenv("WATCHDOG_USEC"), getenv("WATCHDOG_PID")};
	const struct notify_source source = {gateway, gateway_is_live, gateway_describe};
	int r = notify_new(gateway->base, &variables, &source, &gateway->notify);

	if (r < 0)
		log_warn(gateway->log, "cannot notify the service manager",
			log_str("socket", variables.socket), log_str("reason", strerror(-r)));
	notify_ready(gateway->notify);
}

static void gateway_free(struct gateway *gateway)
{
	notify_free(gateway->notify);
	admin_free(gateway->admin);
	announcer_free(gateway->announcer);
	memory_watch_deinit(&gateway->memory);
	bus_fall_silent(gateway->bus);
	/* Before the workers: it cancels outstanding calls, and the bus passes the results
	 * on to the workers. */
	broker_free(gateway->broker);
	redis_tls_free(gateway->redis_tls);
	for (unsigned int i = 0; i < gateway->n_workers; i++)
		worker_free(gateway->workers[i]);
	address_table_free(gateway->addresses);
	tally_free(gateway->users);
	bus_free(gateway->bus);
	keys_free(gateway->keys);
	for (int i = 0; i < N_SIGNALS; i++)
		if (gateway->signals[i])
			event_free(gateway->signals[i]);
	shutdown_deinit(&gateway->shutdown);
	certificates_deinit(&gateway->certificates);
	if (gateway->base)
		event_base_free(gateway->base);
	reload_deinit(&gateway->reload);
	log_free(gateway->log);
	log_writer_free(gateway->log_writer);
	free(gateway);
}

static void log_address(struct gateway *gateway, const char *listener, const char *host, uint16_t port)
{
	struct buf address = {0};

	buf_printf(&address, strchr(host, ':') ? "[%s]:%u" : "%s:%u", host, port);
	log_info(gateway->log, "listening", log_str("listener", listener),
		log_str("address", buf_text(&address)));
	buf_deinit(&address);
}

static void log_start(struct gateway *gateway)
{
	const struct config *config = gateway->config;

	log_info(gateway->log, "tidegate starts", log_str("version", TIDEGATE_VERSION),
		log_str("node", gateway->node_id), log_uint("workers", gateway->n_workers),
		log_bool("single_thread", gateway->single_thread),
		log_str("broker", *config->redis ? "redis" : "memory"), log_uint("files", gateway->n_files),
		log_uint("connections_max", places_max(&gateway->places)),
		log_uint("memory_max", gateway->memory.stages.bytes_max),
		log_str("memory_of", gateway->memory.gauge.of_cgroup ? "cgroup" : "process"));
	if (gateway->n_files < FILE_LIMIT_SMALL || places_max(&gateway->places) < config->connections_max)
		file_limit_warn(gateway->log, gateway->n_files, places_max(&gateway->places));
	if (!*config->redis)
		log_info(gateway->log, "no redis is set: events stay in this process",
			log_str("remedy",
				"redis: redis://HOST:6379 where backends or other gateways take part"));
	warnings_log(gateway->log, config);
	log_address(gateway, "public", config->listen.host, worker_port(gateway->workers[0]));
	log_address(gateway, "admin", config->admin.host, admin_port(gateway->admin));
	log_flush(gateway->log);
}

/* --- running, and ending --- */

static void turn(struct gateway *gateway)
{
	event_base_loop(gateway->base, EVLOOP_ONCE);
	if (gateway->single_thread)
		worker_turn(gateway->workers[0]);
	admin_turn(gateway->admin);
	log_flush(gateway->log);
	metrics_set(&gateway->metrics, METRIC_LOG_SUPPRESSED, log_n_suppressed(gateway->log));
	metrics_set(&gateway->metrics, METRIC_LOG_LOST, log_writer_n_lost(gateway->log_writer));
}

static void loop(struct gateway *gateway)
{
	while (!gateway->shutdown.over)
		turn(gateway);
}

static void on_withdrawn(void *arg)
{
	struct gateway *gateway = arg;

	gateway->withdrawn = true;
}

/* Why its last connections ended is said, if Redis takes it in time. */
static void say_all(struct gateway *gateway)
{
	uint64_t deadline_ms = clock_monotonic_ms() + SAYING_MS;

	while (!bus_has_said_all(gateway->bus) && clock_monotonic_ms() < deadline_ms)
		turn(gateway);
}

/* The other nodes need not wait for our announcement to expire. */
static void withdraw(struct gateway *gateway)
{
	uint64_t deadline_ms = clock_monotonic_ms() + WITHDRAW_MS;

	announcer_free(gateway->announcer); /* or it would announce us again */
	gateway->announcer = NULL;
	bus_leave(gateway->bus);
	if (broker_withdraw(gateway->broker, on_withdrawn, gateway) < 0)
		return;
	/* The loop turns at least as often as the bus ticks. Publications from before are
	 * answered before, too. */
	while (!gateway->withdrawn && clock_monotonic_ms() < deadline_ms)
		turn(gateway);
}

/* Every publisher is told the outcome, even if that is "not known". */
static void answer_publishers(struct gateway *gateway)
{
	uint64_t deadline_ms = clock_monotonic_ms() + ANSWERS_MS;

	admin_give_up(gateway->admin);
	while (admin_is_answering(gateway->admin) && clock_monotonic_ms() < deadline_ms)
		turn(gateway);
}

/* libevent's own messages would bypass the log on their way to standard error, and could block there. */
static void ignore(int severity, const char *message)
{
	(void)severity;
	(void)message;
}

/* 0 or negative errno. Even on failure there is a log to tell it, unless there is no memory for one. */
static int make_places(struct gateway *gateway)
{
	const struct config *config = gateway->config;
	size_t max = file_limit_connections(gateway->n_files, config->workers, config->connections_max);

	gateway->addresses = address_table_new();
	gateway->users = tally_new();
	places_init(&gateway->places, max, gateway->addresses, gateway->users);
	if (!gateway->addresses || !gateway->users)
		return -ENOMEM;
	reload_bound_places(&gateway->places, config);
	return 0;
}

static int make_log(struct gateway *gateway)
{
	const struct config *config = gateway->config;
	int r = log_writer_new(STDERR_FILENO, config->log_format, &gateway->log_writer);

	event_set_log_callback(ignore);
	gateway->log = r < 0 ? log_new(STDERR_FILENO, config->log_level, config->log_format)
			     : log_new_queued(gateway->log_writer, config->log_level, config->log_format);
	return r == 0 && !gateway->log ? -ENOMEM : r;
}

/* Where there is not even the memory for a log. */
static void say_no_memory(void)
{
	fputs("tidegate: cannot start: Cannot allocate memory\n", stderr);
}

static void tell_failure(struct gateway *gateway, int r, const struct buf *error)
{
	if (!gateway->log) {
		say_no_memory();
		return;
	}
	log_error(gateway->log, "cannot start",
		log_mem("reason", error->len ? error->data : strerror(-r),
			error->len ? error->len : strlen(strerror(-r))));
}

int gateway_run(const struct config *config, const struct config_args *args, char *const *environment)
{
	struct gateway *gateway = aligned_alloc(_Alignof(struct gateway), sizeof(*gateway));
	struct buf error = {0};
	int r;

	if (!gateway) {
		say_no_memory();
		return 1;
	}
	memset(gateway, 0, sizeof(*gateway));
	gateway->config = config;
	gateway->single_thread = config->single_thread == CONFIG_SWITCH_ON;
	gateway->process.started_us = clock_wall_ms() * 1000;
	metrics_set(&gateway->metrics, METRIC_RELOAD_SUCCESSFUL, 1);
	metrics_set(&gateway->metrics, METRIC_RELOAD_TIMESTAMP, clock_wall_ms() / 1000);
	reload_init(&gateway->reload, config, args, environment);
	gateway->started_ms = clock_monotonic_ms();
	r = make_log(gateway);
	gateway->n_files = file_limit_set(); /* before libwebsockets looks at it */
	if (r == 0)
		r = make_places(gateway);
	signal(SIGPIPE, SIG_IGN);
	/* Only one arena: arenas of workers would grow page by page, with a system call each,
	 * and keep more memory. */
	mallopt(M_ARENA_MAX, 1);
	lws_set_log_level(0, NULL); /* our own lines tell what peers do */
	if (r == 0)
		r = gateway_make(gateway, &error);
	if (r == 0) {
		log_start(gateway);
		tell_manager(gateway);
		loop(gateway);
		say_all(gateway);
		withdraw(gateway);
		answer_publishers(gateway);
		log_info(gateway->log, "tidegate ends");
	} else {
		tell_failure(gateway, r, &error);
	}
	buf_deinit(&error);
	gateway_free(gateway);
	return r ? 1 : 0;
}
