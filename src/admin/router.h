#ifndef TIDEGATE_ADMIN_ROUTER_H
#define TIDEGATE_ADMIN_ROUTER_H

/* Router: which endpoint a request is for. */

struct admin_request;

enum admin_method {
	ADMIN_GET,
	ADMIN_POST,      /* its body is read first, whole */
	ADMIN_POST_BARE, /* there need not be one */
};

/* Who may, where a token is set. */
enum admin_access {
	ADMIN_ANYBODY, /* probes, and what holds no data */
	ADMIN_METRICS, /* whoever has the token, or anybody if so configured */
	ADMIN_TOKEN,   /* whoever has the token */
};

struct admin_endpoint {
	enum admin_method method;
	enum admin_access access;
	const char *path; /* one that ends in '/' wants a word behind it */
	void (*answer)(struct admin_request *request);
};

/* NULL: the request is answered with 404, or 405 where the path is known. Else request->argument is set. */
const struct admin_endpoint *admin_route(
	struct admin_request *request, enum admin_method method, const char *path);

#endif
