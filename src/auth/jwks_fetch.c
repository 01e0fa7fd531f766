/* JWKS fetch: the text behind one URL; see the header. */

#include "auth/jwks_fetch.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <curl/curl.h>
#include <event2/event.h>

#include "auth/jwks_url.h"
#include "core/buf.h"
#include "tls/tls_rehearsal.h"

struct jwks_fetch {
	struct event_base *base;
	char *url;
	char *ca; /* NULL: the authorities of the system */
	jwks_fetched_fn fetched;
	void *arg;
	CURLM *multi;
	struct event *timer; /* libcurl's */
	CURL *easy;          /* NULL: no fetch is under way */
	struct curl_slist *headers;
	struct buf body;
	bool too_large;
	char error[CURL_ERROR_SIZE];
};

/* --- how it ends --- */

static const char *why_status(long status)
{
	if (status >= 300 && status < 400)
		return "the server answered with a redirect, which is not followed: name the URL that it "
		       "leads to";
	return NULL;
}

/* Writes why there is no text. False: there is one. */
static bool explain(struct jwks_fetch *fetch, CURLcode code, struct buf *out)
{
	long status = 0;

	if (fetch->too_large) {
		buf_printf(out, "the answer is larger than %d KiB", JWKS_BYTES_MAX / 1024);
		return true;
	}
	if (code == CURLE_OPERATION_TIMEDOUT) {
		buf_printf(out, "no whole answer within %d s", JWKS_FETCH_MS / 1000);
		return true;
	}
	if (code == CURLE_SSL_CACERT_BADFILE) {
		buf_printf(out,
			"the authorities in %s cannot be read: install ca-certificates, or set token_keys_ca",
			fetch->ca ? fetch->ca : "the system's store");
		return true;
	}
	if (code != CURLE_OK) {
		buf_append_str(out, *fetch->error ? fetch->error : curl_easy_strerror(code));
		return true;
	}
	(void)curl_easy_getinfo(fetch->easy, CURLINFO_RESPONSE_CODE, &status);
	if (status == 200)
		return false;
	if (why_status(status))
		buf_append_str(out, why_status(status));
	else
		buf_printf(out, "the server answered with status %ld", status);
	return true;
}

static void drop_easy(struct jwks_fetch *fetch)
{
	if (!fetch->easy)
		return;
	(void)curl_multi_remove_handle(fetch->multi, fetch->easy);
	curl_easy_cleanup(fetch->easy);
	fetch->easy = NULL;
}

static void finish(struct jwks_fetch *fetch, CURLcode code)
{
	struct buf why = {0}, body;
	bool failed = explain(fetch, code, &why);
	const char *reason = buf_text(&why);

	drop_easy(fetch);
	body = fetch->body; /* ours, since fetched() may start the next fetch */
	fetch->body = (struct buf){0};
	if (failed)
		fetch->fetched(fetch->arg, (struct slice){0}, reason ? reason : "out of memory");
	else
		fetch->fetched(fetch->arg, buf_slice(&body), NULL);
	buf_deinit(&body);
	buf_deinit(&why);
}

static void look_for_end(struct jwks_fetch *fetch)
{
	CURLMsg *message;
	int n_left;

	while ((message = curl_multi_info_read(fetch->multi, &n_left)))
		if (message->msg == CURLMSG_DONE) {
			finish(fetch, message->data.result);
			return; /* there is one transfer at a time, and the message is gone with it */
		}
}

/* --- libcurl and the loop --- */

static void on_socket_ready(evutil_socket_t fd, short events, void *arg)
{
	struct jwks_fetch *fetch = arg;
	int what = (events & EV_READ ? CURL_CSELECT_IN : 0) | (events & EV_WRITE ? CURL_CSELECT_OUT : 0);
	int n_running;

	(void)curl_multi_socket_action(fetch->multi, fd, what, &n_running);
	look_for_end(fetch);
}

void jwks_fetch_nudge(struct jwks_fetch *fetch)
{
	int n_running;

	if (!fetch->easy)
		return;
	(void)curl_multi_socket_action(fetch->multi, CURL_SOCKET_TIMEOUT, 0, &n_running);
	look_for_end(fetch);
}

static void on_time(evutil_socket_t fd, short events, void *arg)
{
	(void)fd;
	(void)events;
	jwks_fetch_nudge(arg);
}

static int watch_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *socket)
{
	struct jwks_fetch *fetch = arg;
	short events = (short)((what & CURL_POLL_IN ? EV_READ : 0) | (what & CURL_POLL_OUT ? EV_WRITE : 0));
	struct event *event = socket;

	(void)easy;
	if (event)
		event_free(event);
	event = NULL;
	if (what != CURL_POLL_REMOVE) {
		event = event_new(fetch->base, fd, (short)(events | EV_PERSIST), on_socket_ready, fetch);
		/* Without memory the fetch ends by its timeout. */
		if (event && event_add(event, NULL) < 0) {
			event_free(event);
			event = NULL;
		}
	}
	(void)curl_multi_assign(fetch->multi, fd, event);
	return 0;
}

static int set_timer(CURLM *multi, long ms, void *arg)
{
	struct jwks_fetch *fetch = arg;
	struct timeval wait = {ms / 1000, ms % 1000 * 1000};

	(void)multi;
	if (ms < 0)
		event_del(fetch->timer);
	else
		(void)event_add(fetch->timer, &wait); /* without memory jwks_fetch_nudge() comes instead */
	return 0;
}

static size_t take_body(char *data, size_t size, size_t n, void *arg)
{
	struct jwks_fetch *fetch = arg;

	fetch->too_large |= fetch->body.len + size * n > JWKS_BYTES_MAX;
	if (fetch->too_large)
		return 0; /* ends the transfer */
	buf_append(&fetch->body, data, size * n);
	return fetch->body.failed ? 0 : size * n;
}

/* --- one fetch --- */

static int configure(struct jwks_fetch *fetch, CURL *easy)
{
	const char *schemes = jwks_url_is_plain(fetch->url) ? "http" : "https";
	const struct {
		CURLoption option;
		long value;
	} numbers[] = {
		{CURLOPT_FOLLOWLOCATION, 0}, {CURLOPT_TIMEOUT_MS, JWKS_FETCH_MS},
		{CURLOPT_MAXFILESIZE, JWKS_BYTES_MAX}, {CURLOPT_NOSIGNAL, 1},
		/* Or the loop would wait for a name server that does not answer, after the timeout. */
		{CURLOPT_QUICK_EXIT, 1}, {CURLOPT_SSL_VERIFYPEER, 1}, {CURLOPT_SSL_VERIFYHOST, 2},
		{CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_2}, {CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1},
		{CURLOPT_FORBID_REUSE, 1}, /* minutes pass until the next */
	};
	CURLcode r = curl_easy_setopt(easy, CURLOPT_URL, fetch->url);

	for (size_t i = 0; r == CURLE_OK && i < sizeof(numbers) / sizeof(*numbers); i++)
		r = curl_easy_setopt(easy, numbers[i].option, numbers[i].value);
	if (r == CURLE_OK)
		r = curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, schemes);
	if (r == CURLE_OK && fetch->ca)
		r = curl_easy_setopt(easy, CURLOPT_CAINFO, fetch->ca);
	if (r == CURLE_OK && fetch->ca) /* and nobody else is believed */
		r = curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
	if (r == CURLE_OK && jwks_url_is_local(fetch->url))
		r = curl_easy_setopt(easy, CURLOPT_PROXY, "");
	if (r == CURLE_OK)
		r = curl_easy_setopt(easy, CURLOPT_HTTPHEADER, fetch->headers);
	if (r == CURLE_OK)
		r = curl_easy_setopt(easy, CURLOPT_USERAGENT, "tidegate");
	return r == CURLE_OK ? 0 : -ENOMEM;
}

int jwks_fetch_start(struct jwks_fetch *fetch)
{
	if (fetch->easy)
		return -EALREADY;
	fetch->easy = curl_easy_init();
	if (!fetch->easy)
		return -ENOMEM;
	buf_reset(&fetch->body);
	fetch->too_large = false;
	*fetch->error = '\0';
	(void)curl_easy_setopt(fetch->easy, CURLOPT_ERRORBUFFER, fetch->error);
	(void)curl_easy_setopt(fetch->easy, CURLOPT_WRITEFUNCTION, take_body);
	(void)curl_easy_setopt(fetch->easy, CURLOPT_WRITEDATA, fetch);
	if (configure(fetch, fetch->easy) == 0 &&
		curl_multi_add_handle(fetch->multi, fetch->easy) == CURLM_OK)
		return 0;
	curl_easy_cleanup(fetch->easy);
	fetch->easy = NULL;
	return -ENOMEM;
}

bool jwks_fetch_is_under_way(const struct jwks_fetch *fetch)
{
	return fetch->easy != NULL;
}

/* --- building and ending --- */

int jwks_fetch_check(const char *url, struct buf *error)
{
	return jwks_url_check(url, error) == 0 ? 0 : JWKS_FETCH_BAD;
}

static int make_multi(struct jwks_fetch *fetch)
{
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return -ENOMEM;
	fetch->multi = curl_multi_init();
	fetch->timer = evtimer_new(fetch->base, on_time, fetch);
	fetch->headers = curl_slist_append(NULL, "Accept: application/jwk-set+json, application/json");
	if (!fetch->multi || !fetch->timer || !fetch->headers)
		return -ENOMEM;
	(void)curl_multi_setopt(fetch->multi, CURLMOPT_SOCKETFUNCTION, watch_socket);
	(void)curl_multi_setopt(fetch->multi, CURLMOPT_SOCKETDATA, fetch);
	(void)curl_multi_setopt(fetch->multi, CURLMOPT_TIMERFUNCTION, set_timer);
	(void)curl_multi_setopt(fetch->multi, CURLMOPT_TIMERDATA, fetch);
	return 0;
}

int jwks_fetch_new(struct event_base *base, const char *url, const char *ca, jwks_fetched_fn fetched,
	void *arg, struct jwks_fetch **fetchp, struct buf *error)
{
	struct jwks_fetch *fetch;
	int r = jwks_fetch_check(url, error);

	if (r)
		return r;
	fetch = calloc(1, sizeof(*fetch));
	if (!fetch)
		return -ENOMEM;
	fetch->base = base;
	fetch->fetched = fetched;
	fetch->arg = arg;
	fetch->url = strdup(url);
	fetch->ca = ca && *ca ? strdup(ca) : NULL;
	r = fetch->url && (!ca || !*ca || fetch->ca) ? make_multi(fetch) : -ENOMEM;
	if (r == 0 && tls_rehearse_client() < 0) /* libcurl speaks TLS by the same OpenSSL */
		r = -ENOMEM;
	if (r < 0) {
		jwks_fetch_free(fetch);
		return r;
	}
	*fetchp = fetch;
	return 0;
}

void jwks_fetch_free(struct jwks_fetch *fetch)
{
	if (!fetch)
		return;
	drop_easy(fetch);
	if (fetch->multi)
		(void)curl_multi_cleanup(fetch->multi);
	if (fetch->timer)
		event_free(fetch->timer);
	curl_slist_free_all(fetch->headers);
	buf_deinit(&fetch->body);
	free(fetch->url);
	free(fetch->ca);
	free(fetch);
}
