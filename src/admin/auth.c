/* Auth: may this request be answered? See the header. */

#include "admin/auth.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>

static int digest(const char *text, size_t len, unsigned char out[ADMIN_DIGEST_BYTES])
{
	return EVP_Digest(text, len, out, NULL, EVP_sha256(), NULL) == 1 ? 0 : -EIO;
}

int admin_auth_init(struct admin_auth *auth, const char *token, bool metrics_public, const char *host)
{
	*auth = (struct admin_auth){.wants_token = *token, .metrics_public = metrics_public};
	snprintf(auth->host, sizeof(auth->host), "%s", host);
	return digest(token, strlen(token), auth->digest);
}

bool admin_auth_token(const struct admin_auth *auth, const char *authorization, size_t len)
{
	static const char scheme[] = "Bearer "; /* in upper or lower case, RFC 9110 */
	unsigned char given[ADMIN_DIGEST_BYTES];
	size_t skip = sizeof(scheme) - 1;

	if (len < skip || strncasecmp(authorization, scheme, skip) != 0)
		return false;
	while (skip < len && authorization[skip] == ' ')
		skip++;
	if (digest(authorization + skip, len - skip, given) < 0)
		return false;
	return CRYPTO_memcmp(given, auth->digest, ADMIN_DIGEST_BYTES) == 0;
}

/* Without the port, and without brackets. */
static void host_name(const char *host, char out[ADMIN_HOST_MAX + 1])
{
	size_t len = strcspn(host, ":");

	if (host[0] == '[') {
		host++;
		len = strcspn(host, "]");
	}
	if (len > ADMIN_HOST_MAX)
		len = ADMIN_HOST_MAX;
	memcpy(out, host, len);
	out[len] = '\0';
}

static bool ends_with(const char *text, const char *end)
{
	size_t len = strlen(text), n = strlen(end);

	return len >= n && strcasecmp(text + len - n, end) == 0;
}

bool admin_auth_host(const struct admin_auth *auth, const char *host)
{
	struct in6_addr address;
	char name[ADMIN_HOST_MAX + 1];

	host_name(host, name);
	if (inet_pton(AF_INET, name, &address) == 1 || inet_pton(AF_INET6, name, &address) == 1)
		return true;
	/* Names under these cannot be bought: RFC 6761, RFC 6762, and ICANN's promise for the third. */
	if (!strchr(name, '.') || ends_with(name, ".localhost") || ends_with(name, ".local") ||
		ends_with(name, ".internal"))
		return true;
	return strcasecmp(name, auth->host) == 0;
}

bool admin_auth_origin(const char *origin, const char *host)
{
	const char *authority = strstr(origin, "://");

	return authority && strcasecmp(authority + 3, host) == 0;
}
