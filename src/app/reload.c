/* Reload: the configuration, read anew while the gateway serves; see the header. */

#include "app/reload.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "admin/admin.h"
#include "app/certificates.h"
#include "app/file_limit.h"
#include "app/keys.h"
#include "app/memory_watch.h"
#include "broker/broker.h"
#include "bus/bus.h"
#include "config/config.h"
#include "core/address_table.h"
#include "core/buf.h"
#include "core/clock.h"
#include "core/log.h"
#include "core/tally.h"
#include "metrics/metrics.h"
#include "route/route.h"
#include "worker/worker.h"
#include "ws/places.h"

enum {
	MS_PER_SECOND = 1000,
};

void reload_init(struct reload *reload, const struct config *started, const struct config_args *args,
	char *const *environment)
{
	*reload = (struct reload){.started = started, .args = args, .environment = environment};
}

void reload_deinit(struct reload *reload)
{
	config_free(reload->newest);
	reload->newest = NULL;
	free(reload->refusal);
	reload->refusal = NULL;
}

const struct config *reload_config(const struct reload *reload)
{
	return reload->newest ? reload->newest : reload->started;
}

const char *reload_refusal(const struct reload *reload)
{
	return reload->refusal;
}

/* Without memory the sentence is lost, but the refusal still counts. */
static void remember_refusal(struct reload *reload, struct buf *why)
{
	free(reload->refusal);
	reload->refusal = why && buf_text(why) ? strdup(buf_text(why)) : NULL;
}

/* Prepares all workers, or none if one fails. */
static int prepare_workers(const struct reload_targets *to, const struct config *config,
	struct verifier *verifier, struct buf *why)
{
	int r = 0;

	for (unsigned int i = 0; r == 0 && i < to->n_workers; i++)
		r = worker_prepare(to->workers[i], config, verifier, why);
	for (unsigned int i = 0; r < 0 && i < to->n_workers; i++)
		worker_configure(to->workers[i], false);
	return r;
}

void reload_bound_places(struct places *places, const struct config *config)
{
	bool is_auto = config->connections_per_address == CONFIG_AUTO;
	const struct address_bound bound = {
		is_auto ? ADDRESS_AUTO : config->connections_per_address, !is_auto};

	address_table_set_bound(places->addresses, &bound);
	tally_set_max(places->users, config->connections_per_user);
}

/* As many clients as are asked for, or as the open files leave. */
static void set_places(const struct reload_targets *to, const struct config *config)
{
	size_t max = file_limit_connections(to->n_files, to->n_workers, config->connections_max);

	if (max < config->connections_max)
		file_limit_warn(to->log, to->n_files, max);
	places_set_max(to->places, max);
	reload_bound_places(to->places, config);
}

/* Nothing here can fail. */
static void apply(const struct reload_targets *to, const struct config *config)
{
	log_set_level(to->log, config->log_level);
	/* A client that hears a larger event must have room for it. */
	for (unsigned int i = 0; i < to->n_workers; i++)
		worker_configure(to->workers[i], true);
	set_places(to, config);
	memory_watch_configure(to->memory, config->memory_max);
	broker_set_payload_max(to->broker, config->event_bytes_max);
	broker_set_loads_library(to->broker, config_wants_library(config));
	bus_set_routes(to->bus, config->routes);
	admin_configure(to->admin, config->routes, config->event_bytes_max);
}

static int load_and_apply(struct reload *reload, struct buf *why)
{
	struct keys *keys = reload->targets.keys;
	struct config *loaded = NULL;
	int r = config_load(reload->args, reload->environment, &loaded, why);

	if (r == 0)
		r = config_check_served(loaded, why); /* the next start would refuse it */
	if (r == 0)
		r = keys_prepare(keys, loaded, why);
	if (r == 0)
		r = certificates_prepare(reload->targets.certificates, why);
	if (r == 0)
		r = prepare_workers(&reload->targets, loaded, keys_prepared(keys), why);
	certificates_apply(reload->targets.certificates, r == 0);
	if (r == 0) {
		apply(&reload->targets, loaded);
		keys_apply(keys, true);
		config_free(reload->newest);
		reload->newest = loaded;
		return 0;
	}
	keys_apply(keys, false);
	config_free(loaded);
	if (!why->len)
		buf_append_str(why, strerror(-r));
	return r < 0 ? r : RELOAD_BAD_CONFIG;
}

static void note_applied(const struct reload_targets *to, const char *asked_by, struct buf *waiting)
{
	metrics_add(to->metrics, METRIC_RELOADS_APPLIED, 1);
	metrics_set(to->metrics, METRIC_RELOAD_SUCCESSFUL, 1);
	metrics_set(to->metrics, METRIC_RELOAD_TIMESTAMP, clock_wall_ms() / MS_PER_SECOND);
	log_info(to->log, "configuration applied", log_str("asked_by", asked_by));
	if (waiting->len)
		log_warn(to->log, "configuration: some options wait for a restart",
			log_mem("options", waiting->data, waiting->len));
}

static void note_refused(const struct reload_targets *to, const char *asked_by, struct buf *why)
{
	metrics_add(to->metrics, METRIC_RELOADS_REFUSED, 1);
	metrics_set(to->metrics, METRIC_RELOAD_SUCCESSFUL, 0);
	log_error(to->log, "configuration refused, the old one goes on", log_str("asked_by", asked_by),
		log_mem("reason", why->data, why->len));
}

int reload_run(
	struct reload *reload, const char *asked_by, bool draining, struct buf *waiting, struct buf *why)
{
	const struct reload_targets *to = &reload->targets;
	int r;

	if (draining) {
		buf_append_str(why, "the gateway is about to end");
		log_warn(to->log, "configuration not read: the gateway is about to end",
			log_str("asked_by", asked_by));
		return RELOAD_DRAINING;
	}
	r = load_and_apply(reload, why);
	if (r) {
		note_refused(to, asked_by, why);
		remember_refusal(reload, why);
		return r;
	}
	remember_refusal(reload, NULL);
	config_restart_needed(reload->started, reload->newest, waiting);
	note_applied(to, asked_by, waiting);
	return 0;
}

/* "listen, redis" as a JSON array. */
static void append_names(struct buf *out, const struct buf *names)
{
	const char *name = names->data, *end = names->data + names->len;

	buf_append_char(out, '[');
	while (names->len && name < end) {
		const char *comma = memchr(name, ',', (size_t)(end - name));
		size_t len = (size_t)((comma ? comma : end) - name);

		buf_append_json_string(out, name, len);
		if (!comma)
			break;
		buf_append_char(out, ',');
		name = comma + sizeof(", ") - 1;
	}
	buf_append_char(out, ']');
}

static unsigned int append_refusal(struct buf *out, int r, const struct buf *why)
{
	const char *code = r == RELOAD_DRAINING ? "draining" : r < 0 ? "unavailable" : "bad_config";

	buf_printf(out, "{\"error\":{\"code\":\"%s\",\"message\":", code);
	buf_append_json_string(out, why->data, why->len);
	buf_append_str(out, "}}");
	return r == RELOAD_DRAINING ? 409 : r < 0 ? 503 : 400;
}

unsigned int reload_answer(struct reload *reload, const char *asked_by, bool draining, struct buf *out)
{
	struct buf waiting = {0}, why = {0};
	int r = reload_run(reload, asked_by, draining, &waiting, &why);
	unsigned int status = 200;

	if (r) {
		status = append_refusal(out, r, &why);
	} else {
		buf_append_str(out, "{\"result\":\"applied\",\"waits_for_restart\":");
		append_names(out, &waiting);
		buf_append_char(out, '}');
	}
	buf_deinit(&waiting);
	buf_deinit(&why);
	return status;
}
