/* What our patches of libwebsockets promise about TLS (deploy/patches/libwebsockets). */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>
#include <libwebsockets.h>
#include <openssl/ssl.h>

static int watched_fd = -1;
static unsigned int n_closed;

/* Only this test's own calls and those of the static library come here. */
SSL *__wrap_SSL_new(SSL_CTX *context);
int __real_close(int fd);
int __wrap_close(int fd);

SSL *__wrap_SSL_new(SSL_CTX *context)
{
	(void)context;
	return NULL;
}

int __wrap_close(int fd)
{
	n_closed += fd == watched_fd;
	return __real_close(fd);
}

static int callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t len)
{
	(void)wsi;
	(void)reason;
	(void)user;
	(void)in;
	(void)len;
	return 0;
}

static void without_memory_for_tls_a_socket_is_closed_once(void **state)
{
	const struct lws_protocols protocols[] = {{.name = "any", .callback = callback}, {0}};
	struct lws_context_creation_info info = {
		.port = CONTEXT_PORT_NO_LISTEN_SERVER,
		.protocols = protocols,
		.options = LWS_SERVER_OPTION_EXPLICIT_VHOSTS | LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT |
			   LWS_SERVER_OPTION_CREATE_VHOST_SSL_CTX,
		.gid = (gid_t)-1,
		.uid = (uid_t)-1,
	};
	struct lws_context *context;
	struct lws_vhost *vhost;
	int ends[2];

	(void)state;
	lws_set_log_level(0, NULL);
	context = lws_create_context(&info);
	assert_non_null(context);
	vhost = lws_create_vhost(context, &info);
	assert_non_null(vhost);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	watched_fd = ends[0];
	assert_null(lws_adopt_socket_vhost(vhost, ends[0]));
	assert_int_equal(n_closed, 1);
	watched_fd = -1;
	close(ends[1]);
	lws_context_destroy(context);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_memory_for_tls_a_socket_is_closed_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
