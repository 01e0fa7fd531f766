#ifndef TIDEGATE_ADMIN_ROUTER_H
#define TIDEGATE_ADMIN_ROUTER_H

/* Router: finds the endpoint that a request is for. */

struct admin_request;

enum admin_method {
	ADMIN_GET,
	ADMIN_POST,      /* its body is read first, whole */
	ADMIN_POST_BARE, /* a body is optional */
};

/* Who may call an endpoint if a token is set. */
enum admin_access {
	ADMIN_ANYBODY, /* anybody: probes, and pages without data */
	ADMIN_METRICS, /* with the token, or anybody if metrics_public */
	ADMIN_TOKEN,   /* with the token */
};

struct admin_endpoint {
	enum admin_method method;
	enum admin_access access;
	const char *path; /* a path that ends in '/' takes a word behind it */
	void (*answer)(struct admin_request *request);
};

/* NULL if there is no endpoint: the request is answered with 404, or with 405 if the path exists. Otherwise
 * request->argument is set. */
const struct admin_endpoint *admin_route(
	struct admin_request *request, enum admin_method method, const char *path);

#endif
