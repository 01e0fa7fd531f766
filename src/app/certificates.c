/* Certificates: the keys of the ports that speak TLS; see the header. */

#include "app/certificates.h"

#include <errno.h>
#include <string.h>

#include <event2/event.h>

#include "admin/admin.h"
#include "core/buf.h"
#include "core/clock.h"
#include "core/log.h"
#include "metrics/metrics.h"
#include "tls/tls_keys.h"
#include "worker/worker.h"

enum {
	MS_PER_SECOND = 1000,
	DAY_MS = 24 * 60 * 60 * 1000,
	EXPIRY_DAYS = 14, /* the last that an operator hears of it before it is too late */
};

static const char *port_name(int port)
{
	return port == CONFIG_PUBLIC ? "public" : "admin";
}

struct tls_keys *certificates_keys(const struct certificates *certificates, enum config_port port)
{
	return certificates->ports[port].keys;
}

/* Before the files are read, so that a change meanwhile is seen at the next look. */
static bool look(struct certificates *certificates, int port)
{
	const struct tls_paths *paths = config_tls_paths(certificates->config, (enum config_port)port);
	const char *files[CERTIFICATE_FILES] = {paths->certificate, paths->key, paths->client_ca};
	bool moved = false;

	for (int i = 0; i < CERTIFICATE_FILES; i++)
		moved |= file_mark_look(&certificates->ports[port].marks[i], files[i]);
	return moved;
}

static int read_newest(struct certificates *certificates, int port, struct buf *error)
{
	struct certificate *certificate = &certificates->ports[port];

	tls_keys_unref(certificate->newest);
	return config_read_tls(certificates->config, (enum config_port)port, &certificate->newest, error);
}

int certificates_init(struct certificates *certificates, const struct config *config, struct buf *error)
{
	int r = 0;

	certificates->config = config;
	for (int port = 0; r == 0 && port < N_CONFIG_PORTS; port++) {
		struct certificate *certificate = &certificates->ports[port];

		look(certificates, port);
		r = read_newest(certificates, port, error);
		certificate->keys = certificate->newest;
		certificate->newest = NULL;
	}
	return r;
}

void certificates_deinit(struct certificates *certificates)
{
	if (certificates->timer)
		event_free(certificates->timer);
	for (int port = 0; port < N_CONFIG_PORTS; port++) {
		tls_keys_unref(certificates->ports[port].keys);
		tls_keys_unref(certificates->ports[port].newest);
	}
}

/* --- new keys --- */

/* False: there was no memory to tell all workers. Those who know already are told once more. */
static bool hand_out(const struct certificates_targets *to, int port, struct tls_keys *keys)
{
	bool told = true;

	if (port == CONFIG_ADMIN)
		admin_set_tls_keys(to->admin, keys);
	for (unsigned int i = 0; port == CONFIG_PUBLIC && i < to->n_workers; i++)
		told &= worker_post_tls_keys(to->workers[i], keys) == 0;
	return told;
}

static void tell_expiry(const struct certificates_targets *to, int port, const struct tls_keys *keys)
{
	metrics_set(to->metrics, port == CONFIG_PUBLIC ? METRIC_TLS_EXPIRY_PUBLIC : METRIC_TLS_EXPIRY_ADMIN,
		(uint64_t)(tls_keys_expire_ms(keys) / MS_PER_SECOND));
}

static void apply_newest(struct certificates *certificates, int port)
{
	const struct certificates_targets *to = &certificates->to;
	struct certificate *certificate = &certificates->ports[port];

	if (!certificate->newest || !hand_out(to, port, certificate->newest))
		return;
	tls_keys_unref(certificate->keys);
	certificate->keys = certificate->newest;
	certificate->newest = NULL;
	certificate->told_ms = 0;
	tell_expiry(to, port, certificate->keys);
	log_info(to->log, "tls certificate is read", log_str("listener", port_name(port)),
		log_str("path", config_tls_paths(certificates->config, (enum config_port)port)->certificate));
}

int certificates_prepare(struct certificates *certificates, struct buf *error)
{
	int r = 0;

	for (int port = 0; r == 0 && port < N_CONFIG_PORTS; port++) {
		look(certificates, port);
		r = read_newest(certificates, port, error);
	}
	return r;
}

void certificates_apply(struct certificates *certificates, bool go)
{
	for (int port = 0; port < N_CONFIG_PORTS; port++) {
		struct certificate *certificate = &certificates->ports[port];

		if (go)
			apply_newest(certificates, port);
		else
			tls_keys_unref(certificate->newest);
		if (!go)
			certificate->newest = NULL;
		certificate->unread |= !go;
	}
}

/* --- looking now and then --- */

static void read_changed(struct certificates *certificates, int port)
{
	struct certificate *certificate = &certificates->ports[port];
	struct buf error = {0};
	bool moved = look(certificates, port);

	/* It may be good in a moment: a certificate of tomorrow, or no memory. That is told once. */
	if (!moved && !certificate->unread)
		return;
	certificate->unread = read_newest(certificates, port, &error) != 0;
	if (certificate->unread && moved)
		log_error(certificates->to.log, "tls certificate refused, the old one goes on",
			log_str("listener", port_name(port)),
			log_str("reason", error.len ? buf_text(&error) : "out of memory"));
	buf_deinit(&error);
}

static void warn_of_expiry(struct certificates *certificates, int port)
{
	struct certificate *certificate = &certificates->ports[port];
	int64_t left_ms = tls_keys_expire_ms(certificate->keys) - (int64_t)clock_wall_ms();
	uint64_t now_ms = clock_monotonic_ms();
	const char *path;

	if (left_ms > (int64_t)EXPIRY_DAYS * DAY_MS ||
		(certificate->told_ms && now_ms - certificate->told_ms < DAY_MS))
		return;
	certificate->told_ms = now_ms;
	path = config_tls_paths(certificates->config, (enum config_port)port)->certificate;
	if (left_ms > 0)
		log_warn(certificates->to.log, "tls certificate expires soon",
			log_str("listener", port_name(port)), log_str("path", path),
			log_uint("days", (uint64_t)(left_ms / DAY_MS)));
	else
		log_warn(certificates->to.log, "tls certificate has expired",
			log_str("listener", port_name(port)), log_str("path", path));
}

static void on_timer(evutil_socket_t fd, short events, void *arg)
{
	struct certificates *certificates = arg;

	(void)fd;
	(void)events;
	for (int port = 0; port < N_CONFIG_PORTS; port++) {
		if (!certificates->ports[port].keys)
			continue;
		read_changed(certificates, port);
		apply_newest(certificates, port);
		warn_of_expiry(certificates, port);
	}
}

int certificates_watch(struct certificates *certificates, struct event_base *base,
	const struct certificates_targets *targets)
{
	const struct timeval interval = {FILE_LOOK_MS / MS_PER_SECOND, 0};

	certificates->to = *targets;
	for (int port = 0; port < N_CONFIG_PORTS; port++) {
		if (!certificates->ports[port].keys)
			continue;
		tell_expiry(targets, port, certificates->ports[port].keys);
		warn_of_expiry(certificates, port);
	}
	certificates->timer = event_new(base, -1, EV_PERSIST, on_timer, certificates);
	return certificates->timer && event_add(certificates->timer, &interval) == 0 ? 0 : -ENOMEM;
}
