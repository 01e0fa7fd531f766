/* Keys once: the keys behind the URL of token_keys; see the header. */

#include "cli/keys_once.h"

#include <errno.h>

#include <event2/event.h>

#include "auth/jwks_fetch.h"
#include "config/config.h"
#include "core/buf.h"

struct fetching {
	struct buf *out;
	struct buf *error;
	bool over;
};

static void on_fetched(void *arg, struct slice text, const char *reason)
{
	struct fetching *fetching = arg;

	if (reason)
		buf_append_str(fetching->error, reason);
	else
		buf_append(fetching->out, text.data, text.len);
	fetching->over = true;
}

static int fetch(struct event_base *base, const char *url, const char *ca, struct buf *out, struct buf *error)
{
	struct fetching fetching = {out, error, false};
	struct jwks_fetch *fetch = NULL;
	int r = jwks_fetch_new(base, url, ca, on_fetched, &fetching, &fetch, error);

	if (r == 0)
		r = jwks_fetch_start(fetch);
	while (r == 0 && !fetching.over)
		event_base_loop(base, EVLOOP_ONCE);
	jwks_fetch_free(fetch);
	if (r == 0 && out->failed)
		r = -ENOMEM;
	return r == 0 && error->len ? 1 : r;
}

int keys_once(const struct config *config, struct buf *out, struct buf *error)
{
	const char *url = config_keys_url(config);
	struct event_base *base;
	struct buf why = {0};
	int r;

	if (!url)
		return 0;
	base = event_base_new();
	if (!base)
		return -ENOMEM;
	r = fetch(base, url, config->token_keys_ca, out, &why);
	if (r > 0)
		buf_printf(error, "token_keys: %s: %s", url, buf_text(&why));
	event_base_free(base);
	buf_deinit(&why);
	return r;
}
