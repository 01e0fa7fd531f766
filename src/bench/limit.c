/* Limit: starting and ending the process; limit_server.c is what runs in it. */

#include "bench/limit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/limit_server.h"
#include "bench/plan.h"

static int listen_somewhere(uint16_t *portp)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int r;

	if (fd < 0)
		return -errno;
	if (bind(fd, (struct sockaddr *)&address, len) < 0 || listen(fd, SOMAXCONN) < 0 ||
		getsockname(fd, (struct sockaddr *)&address, &len) < 0) {
		r = -errno;
		close(fd);
		return r;
	}
	*portp = ntohs(address.sin_port);
	return fd;
}

static _Noreturn void child(const struct plan *plan, int listen_fd, int orders_fd)
{
	cpu_set_t cpus;

	prctl(PR_SET_PDEATHSIG, SIGKILL); /* it is of no use to anybody alone */
	signal(SIGINT, SIG_IGN);          /* Ctrl-C is the parent's to answer */
	if (plan->limit_cpu >= 0) {
		CPU_ZERO(&cpus);
		CPU_SET(plan->limit_cpu, &cpus);
		sched_setaffinity(0, sizeof(cpus), &cpus); /* the parent has tried that this CPU is there */
	}
	_exit(limit_serve(plan, listen_fd, orders_fd) < 0);
}

int limit_start(const struct plan *plan, struct limit *limit)
{
	int orders[2], listen_fd, r = 0;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, orders) < 0)
		return -errno;
	listen_fd = listen_somewhere(&limit->port);
	if (listen_fd < 0) {
		close(orders[0]);
		close(orders[1]);
		return listen_fd;
	}
	limit->pid = fork();
	if (limit->pid == 0) {
		close(orders[0]);
		child(plan, listen_fd, orders[1]);
	}
	if (limit->pid < 0)
		r = -errno;
	close(listen_fd);
	close(orders[1]);
	if (r < 0)
		close(orders[0]);
	limit->fd = orders[0];
	return r;
}

void limit_stop(struct limit *limit)
{
	if (limit->pid <= 0)
		return;
	kill(limit->pid, SIGKILL); /* it holds nothing that anybody needs */
	waitpid(limit->pid, NULL, 0);
	limit->pid = 0;
}
