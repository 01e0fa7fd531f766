/* JWKS fetch in a build without libcurl: it says so. See the header. */

#include "auth/jwks_fetch.h"

#include <errno.h>

#include "core/buf.h"

int jwks_fetch_check(const char *url, struct buf *error)
{
	(void)url;
	buf_append_str(error, "this build has no libcurl and fetches no keys from a URL: name a file");
	return JWKS_FETCH_BAD;
}

int jwks_fetch_new(struct event_base *base, const char *url, const char *ca, jwks_fetched_fn fetched,
	void *arg, struct jwks_fetch **fetchp, struct buf *error)
{
	(void)base;
	(void)ca;
	(void)fetched;
	(void)arg;
	(void)fetchp;
	return jwks_fetch_check(url, error);
}

int jwks_fetch_start(struct jwks_fetch *fetch)
{
	(void)fetch;
	return -EOPNOTSUPP;
}

void jwks_fetch_nudge(struct jwks_fetch *fetch)
{
	(void)fetch;
}

bool jwks_fetch_is_under_way(const struct jwks_fetch *fetch)
{
	(void)fetch;
	return false;
}

void jwks_fetch_free(struct jwks_fetch *fetch)
{
	(void)fetch;
}
