/*
 * Building: a large noun that cannot be built leaves nothing behind, whichever of its allocations fails.
 *
 * Each is built again and again, and each time the next allocation fails, until one build needs no more of
 * them. Afterwards as many blocks and descriptors are held as before. The linker puts the functions below in
 * the place of malloc() and its kin (--wrap) in our objects and in what is linked statically, and libevent is
 * handed them. Those inside libwebsockets are left out: it does not promise to survive without memory.
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <event2/event.h>

#include "app/gateway.h"
#include "auth/identity.h"
#include "auth/json_memory.h"
#include "auth/token_text.h"
#include "auth/verifier.h"
#include "bus/bus.h"
#include "client/client.h"
#include "client/clients.h"
#include "client/socket.h"
#include "config/config.h"
#include "core/address_table.h"
#include "core/buf.h"
#include "core/log_writer.h"
#include "metrics/metrics.h"
#include "route/rights.h"
#include "route/route.h"
#include "support/clients_world.h"
#include "worker/worker.h"
#include "ws/listener.h"
#include "ws/places.h"

struct lws_context;
struct lws_context_creation_info;
struct lws_vhost;

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *old, size_t size);
void *__real_reallocarray(void *old, size_t n, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
char *__real_strdup(const char *text);
char *__real_strndup(const char *text, size_t len);
void __real_free(void *memory);
struct lws_context *__real_lws_create_context(const struct lws_context_creation_info *info);
struct lws_vhost *__real_lws_create_vhost(
	struct lws_context *context, const struct lws_context_creation_info *info);
struct event_base *__real_event_base_new_with_config(const struct event_config *config);
struct event_base *__real_event_base_new(void);
int __real_worker_start(struct worker *worker);

void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *old, size_t size);
void *__wrap_reallocarray(void *old, size_t n, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);
char *__wrap_strdup(const char *text);
char *__wrap_strndup(const char *text, size_t len);
void __wrap_free(void *memory);
struct lws_context *__wrap_lws_create_context(const struct lws_context_creation_info *info);
struct lws_vhost *__wrap_lws_create_vhost(
	struct lws_context *context, const struct lws_context_creation_info *info);
struct event_base *__wrap_event_base_new_with_config(const struct event_config *config);
struct event_base *__wrap_event_base_new(void);
int __wrap_worker_start(struct worker *worker);

/* The linker's names leave no argument for a context. */
static atomic_bool failed;     /* the allocation has failed that was to */
static atomic_long n_live;     /* blocks that were allocated and not freed */
static atomic_long n_until;    /* the allocation that fails; from 0 down none does */
static atomic_int n_spared;    /* calls of a library that is not made to fail */
static atomic_long n_contexts; /* of libwebsockets, ever */

static bool fails(void)
{
	bool now = !atomic_load(&n_spared) && atomic_fetch_sub(&n_until, 1) == 1;

	if (now)
		atomic_store(&failed, true);
	return now;
}

static void *counted(void *memory)
{
	if (memory)
		atomic_fetch_add(&n_live, 1);
	return memory;
}

void *__wrap_malloc(size_t size)
{
	return fails() ? NULL : counted(__real_malloc(size));
}

void *__wrap_calloc(size_t n, size_t size)
{
	return fails() ? NULL : counted(__real_calloc(n, size));
}

void *__wrap_realloc(void *old, size_t size)
{
	void *memory = fails() ? NULL : __real_realloc(old, size);

	return old ? memory : counted(memory);
}

void *__wrap_reallocarray(void *old, size_t n, size_t size)
{
	void *memory = fails() ? NULL : __real_reallocarray(old, n, size);

	return old ? memory : counted(memory);
}

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
	return fails() ? NULL : counted(__real_aligned_alloc(alignment, size));
}

char *__wrap_strdup(const char *text)
{
	return fails() ? NULL : counted(__real_strdup(text));
}

char *__wrap_strndup(const char *text, size_t len)
{
	return fails() ? NULL : counted(__real_strndup(text, len));
}

void __wrap_free(void *memory)
{
	if (memory)
		atomic_fetch_sub(&n_live, 1);
	__real_free(memory);
}

struct lws_context *__wrap_lws_create_context(const struct lws_context_creation_info *info)
{
	struct lws_context *context;

	atomic_fetch_add(&n_spared, 1);
	context = __real_lws_create_context(info);
	n_contexts += context != NULL;
	atomic_fetch_sub(&n_spared, 1);
	return context;
}

struct lws_vhost *__wrap_lws_create_vhost(
	struct lws_context *context, const struct lws_context_creation_info *info)
{
	struct lws_vhost *vhost;

	atomic_fetch_add(&n_spared, 1);
	vhost = __real_lws_create_vhost(context, info);
	atomic_fetch_sub(&n_spared, 1);
	return vhost;
}

struct event_base *__wrap_event_base_new_with_config(const struct event_config *config)
{
	struct event_base *base;

	atomic_fetch_add(&n_spared, 1);
	base = __real_event_base_new_with_config(config);
	atomic_fetch_sub(&n_spared, 1);
	return base;
}

struct event_base *__wrap_event_base_new(void)
{
	struct event_base *base;

	atomic_fetch_add(&n_spared, 1);
	base = __real_event_base_new();
	atomic_fetch_sub(&n_spared, 1);
	return base;
}

/* A gateway that got so far is built, and is told to end as soon as it serves. */
int __wrap_worker_start(struct worker *worker)
{
	atomic_store(&n_until, 0);
	raise(SIGTERM);
	return __real_worker_start(worker);
}

struct fixture {
	struct event_base *base;
	struct config *config;
	struct log_writer *log_writer;
	struct metrics metrics;
	struct address_table *addresses;
	struct places places;
	struct route_table *routes;
	int silent; /* where the log goes */
	struct verifier *verifier;
	struct buf token;
};

/* Without the eventfd that libwebsockets keeps of each context that was on a foreign loop. */
static long count_descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	long n = 0;

	assert_non_null(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n - n_contexts;
}

/* Builds and frees, if it could be built; negative if it could not. */
typedef int (*build_fn)(struct fixture *fixture);

static void leaves_nothing_behind(struct fixture *fixture, build_fn build)
{
	long live, descriptors, n = 0;

	assert_int_equal(build(fixture), 0); /* what the libraries keep for good is there from now on */
	live = atomic_load(&n_live);
	descriptors = count_descriptors();
	do {
		int r;

		atomic_store(&failed, false);
		atomic_store(&n_until, ++n);
		r = build(fixture);
		atomic_store(&n_until, 0);
		if (atomic_load(&n_live) != live || count_descriptors() != descriptors)
			fail_msg("allocation %ld fails: %ld blocks and %ld descriptors more than before (r "
				 "%d)",
				n, atomic_load(&n_live) - live, count_descriptors() - descriptors, r);
	} while (atomic_load(&failed));
	assert_true(n > 1);
}

static void refuse(void *arg, int fd, const struct in6_addr *peer)
{
	(void)peer;
	(void)arg;
	close(fd);
}

static int build_listener(struct fixture *fixture)
{
	struct buf error = {0};
	struct listener *listener = NULL;
	int r = listener_new(fixture->base, "127.0.0.1", 0, true, refuse, NULL, &listener, &error);

	buf_deinit(&error);
	listener_free(listener);
	return r;
}

static void a_listener_leaves_nothing_behind(void **state)
{
	leaves_nothing_behind(*state, build_listener);
}

static int build_bus(struct fixture *fixture)
{
	struct bus *bus = bus_new(fixture->base, NULL, &fixture->metrics);

	bus_free(bus);
	return bus ? 0 : -ENOMEM;
}

static void a_bus_leaves_nothing_behind(void **state)
{
	leaves_nothing_behind(*state, build_bus);
}

static void on_wish(void *arg, const struct wish *wish)
{
	(void)arg;
	(void)wish;
}

/* All clients of a worker, and one of them, with the subscriptions of its route. */
static int build_client(struct fixture *fixture)
{
	static const struct socket_ops no_ops;
	static const struct client_limits limits = {.outbox_bytes_max = 1000, .subscriptions_max = 4};
	const struct clients_listener listener = {.wish = on_wish};
	struct clients clients;
	const struct in6_addr remote = IN6ADDR_LOOPBACK_INIT;
	struct client client = {0};
	struct route_match match;
	struct rights rights;
	int r = clients_init(
		&clients, &listener, &no_ops, &limits, fixture->routes, 1, 1, NULL, &fixture->metrics);

	if (r < 0)
		return r;
	assert_int_equal(route_table_match(fixture->routes, CARDS, strlen(CARDS), &match), 0);
	r = rights_init(&rights, fixture->routes, &match, NULL);
	if (r == 0)
		r = client_init(&client, &clients, &client, &rights, &remote);
	client_deinit(&client);
	clients_deinit(&clients);
	return r;
}

static void a_client_leaves_nothing_behind(void **state)
{
	leaves_nothing_behind(*state, build_client);
}

static int build_worker(struct fixture *fixture)
{
	const struct worker_options options = {
		.host = "127.0.0.1",
		.config = fixture->config,
		.places = &fixture->places,
		.log_writer = fixture->log_writer,
	};
	struct buf error = {0};
	struct worker *worker = NULL;
	int r = worker_new(&options, &worker, &error);

	buf_deinit(&error);
	worker_free(worker);
	return r;
}

static void a_worker_leaves_nothing_behind(void **state)
{
	leaves_nothing_behind(*state, build_worker);
}

static const char *const flags[] = {"--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--redis", "memory",
	"--workers", "1", "--drain-delay", "0", "--drain-time", "0", NULL};
static const struct config_args args = {.flags = flags};

static int load(struct config **configp)
{
	char *environment[] = {NULL};
	struct buf error = {0};
	int r = config_load(&args, environment, configp, &error);

	buf_deinit(&error);
	return r;
}

static int build_config(struct fixture *fixture)
{
	struct config *config = NULL;
	int r = load(&config);

	(void)fixture;
	config_free(config);
	return r;
}

static void a_configuration_leaves_nothing_behind(void **state)
{
	leaves_nothing_behind(*state, build_config);
}

#define SECRET "0123456789abcdef0123456789abcdef"
/* Longer than the first buffer of jansson's parser. */
#define LONG_USER "somebody-whose-name-is-longer-than-sixteen-letters-and-than-thirty-two"

/* The example of RFC 7515, appendix A.3: key and token are public. It has no `sub`. */
static const char jwk[] = "{\"kty\":\"EC\",\"crv\":\"P-256\",\"kid\":\"a\",\"x\":"
			  "\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\",\"y\":"
			  "\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}";
static const char token[] =
	"eyJhbGciOiJFUzI1NiJ9."
	"eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnV"
	"lfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";

static int build_verifier(struct verifier **verifierp)
{
	const struct verifier_keys keys = {.name = "jwk", .text = slice_of(jwk)};
	const char *const claims[] = {"http://example.com/is_root", NULL};
	const struct verifier_rules rules = {
		.secret = SECRET,
		.keys = &keys,
		.n_keys = 1,
		.claims = {.identity = {.user = "iss", .claims = claims}},
	};
	struct buf error = {0};
	int r = verifier_new(&rules, verifierp, &error);

	buf_deinit(&error);
	return r;
}

/* Who it says it is, or nobody: without memory a token is refused, for whatever reason. */
static int check_one(const struct verifier *verifier, const char *text, const char *user)
{
	struct verifier_thread *thread = verifier_thread_new();
	struct verifier_result result = {0};
	int r = thread ? verifier_check(verifier, thread, slice_of(text), INT64_C(1300819000000), &result)
		       : -ENOMEM;

	assert_true((r == 0) == (result.identity != NULL));
	if (r == 0)
		assert_string_equal(identity_user(result.identity), user);
	identity_free(result.identity);
	verifier_thread_free(thread);
	return r;
}

static int check_tokens(struct fixture *fixture)
{
	int r = check_one(fixture->verifier, token, "joe");

	return r ? r : check_one(fixture->verifier, buf_text(&fixture->token), LONG_USER);
}

static void a_token_leaves_nothing_behind(void **state)
{
	static const char payload[] =
		"{\"iss\":\"" LONG_USER "\",\"exp\":1300819380,\"http://example.com/is_root\":\"" LONG_USER
		"\"}";
	struct fixture *fixture = *state;
	struct buf error = {0};

	assert_int_equal(build_verifier(&fixture->verifier), 0);
	assert_int_equal(token_text_sign(SECRET, slice_of(payload), &fixture->token, &error), 0);
	leaves_nothing_behind(fixture, check_tokens);
	verifier_unref(fixture->verifier);
	buf_deinit(&fixture->token);
}

static int build_keys(struct fixture *fixture)
{
	struct verifier *verifier = NULL;
	int r = build_verifier(&verifier);

	(void)fixture;
	assert_true((r == 0) == (verifier != NULL));
	for (size_t i = 0; verifier && i < verifier_n_keys(verifier); i++)
		assert_true(i > 0 || !verifier_key(verifier, i).skipped);
	verifier_unref(verifier);
	return r;
}

static void a_verifier_leaves_nothing_behind(void **state)
{
	leaves_nothing_behind(*state, build_keys);
}

static int build_gateway(struct fixture *fixture)
{
	char *environment[] = {NULL};
	int errors = dup(STDERR_FILENO), r;

	dup2(fixture->silent, STDERR_FILENO); /* each time it says why it cannot start */
	r = -gateway_run(fixture->config, &args, environment);
	dup2(errors, STDERR_FILENO);
	close(errors);
	return r;
}

static void a_gateway_leaves_nothing_behind(void **state)
{
	leaves_nothing_behind(*state, build_gateway);
}

static int setup(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	assert_non_null(fixture);
	fixture->base = event_base_new();
	assert_non_null(fixture->base);
	assert_int_equal(load(&fixture->config), 0);
	fixture->silent = open("/dev/null", O_WRONLY | O_CLOEXEC);
	assert_int_equal(log_writer_new(fixture->silent, LOG_FORMAT_TEXT, &fixture->log_writer), 0);
	fixture->addresses = address_table_new();
	assert_non_null(fixture->addresses);
	places_init(&fixture->places, 100, fixture->addresses, NULL);
	fixture->routes = route_table_new();
	add_route(fixture->routes, CARDS, (const char *const[]){"cards", "cards:1"}, 2, false);
	*state = fixture;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;

	route_table_unref(fixture->routes);
	log_writer_free(fixture->log_writer);
	close(fixture->silent);
	config_free(fixture->config);
	address_table_free(fixture->addresses);
	event_base_free(fixture->base);
	free(fixture);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_listener_leaves_nothing_behind, setup, teardown),
		cmocka_unit_test_setup_teardown(a_bus_leaves_nothing_behind, setup, teardown),
		cmocka_unit_test_setup_teardown(a_configuration_leaves_nothing_behind, setup, teardown),
		cmocka_unit_test_setup_teardown(a_client_leaves_nothing_behind, setup, teardown),
		cmocka_unit_test_setup_teardown(a_worker_leaves_nothing_behind, setup, teardown),
		cmocka_unit_test_setup_teardown(a_token_leaves_nothing_behind, setup, teardown),
		cmocka_unit_test_setup_teardown(a_verifier_leaves_nothing_behind, setup, teardown),
		cmocka_unit_test_setup_teardown(a_gateway_leaves_nothing_behind, setup, teardown),
	};

	event_set_mem_functions(__wrap_malloc, __wrap_realloc, __wrap_free);
	json_memory_begin();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
