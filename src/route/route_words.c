/* Route words: what the configuration calls the choices of a route. */

#include "route/route.h"

#include <string.h>

static const char *const slow_policy_names[] = {
#define SLOW_POLICY(id, name, sentence) [SLOW_##id] = name,
#include "route/slow_policy.def"
#undef SLOW_POLICY
};

static const char *const lifecycle_event_names[] = {
#define LIFECYCLE_EVENT(id, name, sentence) [LIFECYCLE_##id] = name,
#include "route/lifecycle_event.def"
#undef LIFECYCLE_EVENT
};

static const char *const auth_names[] = {
	[ROUTE_AUTH_DEFAULT] = "default",
	[ROUTE_AUTH_NONE] = "none",
	[ROUTE_AUTH_OPTIONAL] = "optional",
	[ROUTE_AUTH_REQUIRED] = "required",
};

static const char *const access_names[] = {
	[ROUTE_ACCESS_DEFAULT] = "default",
	[ROUTE_ACCESS_ROUTE] = "route",
	[ROUTE_ACCESS_TOKEN] = "token",
};

/* The place of the word from the first on; n if it is not there. */
static size_t find_word(const char *const *words, size_t first, size_t n, const char *word)
{
	size_t i = first;

	while (i < n && strcmp(words[i], word) != 0)
		i++;
	return i;
}

const char *slow_policy_name(enum slow_policy policy)
{
	return slow_policy_names[policy];
}

bool slow_policy_parse(const char *name, enum slow_policy *policyp)
{
	size_t i = find_word(slow_policy_names, 0, N_SLOW_POLICIES, name);

	if (i == N_SLOW_POLICIES)
		return false;
	*policyp = (enum slow_policy)i;
	return true;
}

const char *lifecycle_event_name(enum lifecycle_event event)
{
	return lifecycle_event_names[event];
}

bool lifecycle_event_parse(const char *name, enum lifecycle_event *eventp)
{
	size_t i = find_word(lifecycle_event_names, 0, N_LIFECYCLE_EVENTS, name);

	if (i == N_LIFECYCLE_EVENTS)
		return false;
	*eventp = (enum lifecycle_event)i;
	return true;
}

const char *route_auth_name(enum route_auth auth)
{
	return auth_names[auth];
}

bool route_auth_parse(const char *name, enum route_auth *authp)
{
	size_t i = find_word(auth_names, ROUTE_AUTH_NONE, N_ROUTE_AUTHS, name);

	if (i == N_ROUTE_AUTHS)
		return false;
	*authp = (enum route_auth)i;
	return true;
}

const char *route_access_name(enum route_access access)
{
	return access_names[access];
}

bool route_access_parse(const char *name, enum route_access *accessp)
{
	size_t i = find_word(access_names, ROUTE_ACCESS_ROUTE, N_ROUTE_ACCESSES, name);

	if (i == N_ROUTE_ACCESSES)
		return false;
	*accessp = (enum route_access)i;
	return true;
}
