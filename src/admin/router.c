/* Router: the table of endpoints, and the search for the endpoint of a request; see the header. */

#include "admin/router.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "admin/endpoints.h"
#include "admin/percent.h"
#include "admin/request.h"
#include "core/buf.h"

static const struct admin_endpoint endpoints[] = {
	{ADMIN_GET, ADMIN_ANYBODY, "/", admin_page},
	{ADMIN_GET, ADMIN_ANYBODY, "/dashboard.css", admin_page},
	{ADMIN_GET, ADMIN_ANYBODY, "/dashboard.js", admin_page},
	{ADMIN_GET, ADMIN_ANYBODY, "/try", admin_page_to_try},
	{ADMIN_GET, ADMIN_ANYBODY, "/try.js", admin_page},
	{ADMIN_GET, ADMIN_ANYBODY, "/live", admin_live},
	{ADMIN_GET, ADMIN_ANYBODY, "/ready", admin_ready},
	{ADMIN_GET, ADMIN_METRICS, "/metrics", admin_metrics},
	{ADMIN_GET, ADMIN_TOKEN, "/status", admin_status},
	{ADMIN_GET, ADMIN_TOKEN, "/config", admin_config},
	{ADMIN_GET, ADMIN_TOKEN, "/asyncapi.json", admin_asyncapi},
	{ADMIN_GET, ADMIN_TOKEN, "/nodes", admin_nodes},
	{ADMIN_GET, ADMIN_TOKEN, "/channels", admin_channels},
	{ADMIN_GET, ADMIN_TOKEN, "/channels/", admin_channel},
	{ADMIN_GET, ADMIN_TOKEN, "/connections", admin_connections},
	{ADMIN_GET, ADMIN_TOKEN, "/connections/", admin_connection},
	{ADMIN_GET, ADMIN_TOKEN, "/disconnects", admin_disconnects},
	{ADMIN_GET, ADMIN_TOKEN, "/tail", admin_tail},
	{ADMIN_POST, ADMIN_TOKEN, "/publish", admin_publish},
	{ADMIN_POST, ADMIN_TOKEN, "/control", admin_control},
	{ADMIN_POST, ADMIN_TOKEN, "/disconnect", admin_disconnect},
	{ADMIN_POST_BARE, ADMIN_TOKEN, "/reload", admin_reload},
};

static const size_t n_endpoints = sizeof(endpoints) / sizeof(endpoints[0]);

/* The text behind the endpoint's path, which may be ""; NULL if it is not this endpoint's path. */
static const char *argument_of(const struct admin_endpoint *endpoint, const char *path)
{
	size_t len = strlen(endpoint->path);
	bool takes_one = len > 1 && endpoint->path[len - 1] == '/';

	if (!takes_one)
		return strcmp(path, endpoint->path) ? NULL : "";
	if (strncmp(path, endpoint->path, len) != 0 || !path[len] || strchr(path + len, '/'))
		return NULL;
	return path + len;
}

/* Takes the NAME of the path; escaped, each of its bytes may be three. False if no NAME is as long
 * or spelt like that. */
static bool take_argument(struct admin_request *request, const char *argument)
{
	char name[3 * ADMIN_ARGUMENT_MAX + 1];

	if (strlen(argument) >= sizeof(name))
		return false;
	strcpy(name, argument);
	if (!percent_decode(name) || strlen(name) > ADMIN_ARGUMENT_MAX)
		return false;
	strcpy(request->argument, name);
	return true;
}

/* Answers 404 with a list of the endpoints. */
static void answer_not_found(struct admin_request *request)
{
	struct buf message = {0};

	buf_append_str(&message, "there are");
	for (size_t i = 0; i < n_endpoints; i++)
		buf_printf(&message, "%s %s%s", i ? "," : "", endpoints[i].method == ADMIN_GET ? "" : "POST ",
			endpoints[i].path);
	admin_answer_error(request, 404, "", "not_found",
		buf_text(&message) ? buf_text(&message) : "there is no such path");
	buf_deinit(&message);
}

const struct admin_endpoint *admin_route(
	struct admin_request *request, enum admin_method method, const char *path)
{
	const struct admin_endpoint *other = NULL;

	for (size_t i = 0; i < n_endpoints; i++) {
		const struct admin_endpoint *endpoint = &endpoints[i];
		const char *argument = argument_of(endpoint, path);

		if (!argument)
			continue;
		if ((endpoint->method != ADMIN_GET) == (method != ADMIN_GET) &&
			take_argument(request, argument))
			return endpoint;
		other = endpoint;
	}
	if (!other || (other->method != ADMIN_GET) == (method != ADMIN_GET))
		answer_not_found(request);
	else if (other->method != ADMIN_GET)
		admin_answer_error(request, 405, "Allow: POST\r\n", "bad_method", "this one wants POST");
	else
		admin_answer_error(request, 405, "Allow: GET, HEAD\r\n", "bad_method", "this one wants GET");
	return NULL;
}
