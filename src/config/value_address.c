/*
 * Value, addresses: where something listens, and the names of hosts.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "config/config.h"
#include "config/value_private.h"
#include "core/buf.h"
#include "core/ip.h"
#include "route/route.h"

enum {
	HOST_MAX = 253, /* RFC 1035 */
};

static bool host_is_name(const char *host)
{
	bool numeric = true;

	if (!host[0] || strlen(host) > HOST_MAX)
		return false;
	for (const char *c = host; *c; c++) {
		if (*c == '~' || *c == ':' || (*c != '.' && !route_id_valid(c, 1)))
			return false;
		numeric &= *c == '.' || (*c >= '0' && *c <= '9');
	}
	return !numeric;
}

static bool host_valid(const char *host, bool bracketed)
{
	struct in6_addr address;
	bool ipv4, is_ip = ip_parse(slice_of(host), &address, &ipv4);

	return bracketed ? is_ip && !ipv4 : (is_ip && ipv4) || host_is_name(host);
}

static int name_parse(void *member, const char *const *texts, size_t n, const struct value_bounds *bounds,
	struct buf *error)
{
	(void)n;
	(void)bounds;
	if (texts[0][0] && !host_valid(texts[0], strchr(texts[0], ':') != NULL))
		return value_refuse(error, texts[0], "a host name or an IP address");
	return value_replace(member, texts[0]);
}

/* Splits in place: "host:port", ":port", "port", "[v6]:port". */
static bool address_split(char *text, const char **hostp, const char **portp, bool *bracketedp)
{
	char *colon = strrchr(text, ':');
	size_t len;

	*bracketedp = text[0] == '[';
	*portp = colon ? colon + 1 : text;
	*hostp = "0.0.0.0";
	if (!colon)
		return true;
	*colon = '\0';
	len = strlen(text);
	if (*bracketedp && text[len - 1] != ']')
		return false;
	if (*bracketedp)
		text[len - 1] = '\0';
	if (len > 0)
		*hostp = text + (*bracketedp ? 1 : 0);
	return true;
}

static int address_parse(void *member, const char *const *texts, size_t n, const struct value_bounds *bounds,
	struct buf *error)
{
	struct config_address *address = member;
	const char *host, *port;
	uint64_t number;
	bool bracketed;
	char *copy;
	int r;

	(void)n;
	(void)bounds;
	copy = strdup(texts[0]);
	if (!copy)
		return -ENOMEM;
	if (!address_split(copy, &host, &port, &bracketed) || !host_valid(host, bracketed)) {
		r = value_refuse(error, texts[0], "an address (HOST:PORT, :PORT or [IPv6]:PORT)");
	} else if (!value_number(port, &number) || number > UINT16_MAX) {
		r = value_refuse(error, texts[0], "an address: the port is a number from 0 to 65535");
	} else {
		r = value_replace(&address->host, host);
		if (r == 0)
			address->port = (uint16_t)number;
	}
	free(copy);
	return r;
}

static void address_print(const void *member, struct buf *out)
{
	const struct config_address *address = member;

	buf_printf(out, strchr(address->host, ':') ? "[%s]:%u" : "%s:%u", address->host, address->port);
}

static bool address_equal(const void *a, const void *b)
{
	const struct config_address *x = a;
	const struct config_address *y = b;

	return x->port == y->port && strcmp(x->host, y->host) == 0;
}

static void address_deinit(void *member)
{
	value_text_deinit(&((struct config_address *)member)->host);
}

const struct value_type value_address = {
	"ADDRESS", false, NULL, NULL, address_parse, address_print, address_equal, address_deinit};

const struct value_type value_name = {
	"NAME", false, NULL, "none", name_parse, value_text_print, value_text_equal, value_text_deinit};
