/*
 * Bench: the subcommand, from its words to its exit status.
 *
 * It prepares the process (descriptors, CPUs), starts the limit server if asked to, and hands over to the
 * run.
 */

#include "bench/bench.h"

#include <arpa/inet.h>
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "bench/limit.h"
#include "bench/limit_ring.h"
#include "bench/plan.h"
#include "bench/publisher.h"
#include "bench/run.h"
#include "bench/run_actions.h"
#include "bench/shared_memory.h"

enum {
	FILES_SPARE = 32, /* open besides the connections */
};

static int fail(const char *sentence)
{
	fprintf(stderr, "tidegate: bench: %s\n", sentence);
	return 1;
}

/* Every connection is an open file of its process; threads are of one. */
static int raise_files(const struct plan *plan)
{
	uint32_t n_processes = plan->processes ? plan->n_crowds : 1;
	uint32_t n = (plan->n_connections + n_processes - 1) / n_processes;
	struct rlimit files;
	char sentence[200];

	if (getrlimit(RLIMIT_NOFILE, &files) < 0)
		return fail(strerror(errno));
	files.rlim_cur = files.rlim_max;
	if (files.rlim_max < (rlim_t)n + FILES_SPARE) {
		snprintf(sentence, sizeof(sentence),
			"%u connections need %u open files, and a process may have no more than %lu "
			"(ulimit -Hn): more --processes",
			n, n + FILES_SPARE, (unsigned long)files.rlim_max);
		return fail(sentence);
	}
	return setrlimit(RLIMIT_NOFILE, &files) < 0 ? fail(strerror(errno)) : 0;
}

static int check_cpu(const char *option, int cpu)
{
	char sentence[80];
	cpu_set_t allowed;

	if (cpu < 0 || (sched_getaffinity(0, sizeof(allowed), &allowed) == 0 && CPU_ISSET(cpu, &allowed)))
		return 0;
	snprintf(sentence, sizeof(sentence), "%s: CPU %d is not one that we may run on", option, cpu);
	return fail(sentence);
}

static void pin(int cpu)
{
	cpu_set_t cpus;

	if (cpu < 0)
		return;
	CPU_ZERO(&cpus);
	CPU_SET(cpu, &cpus);
	sched_setaffinity(0, sizeof(cpus), &cpus); /* check_cpu() has seen that it may */
}

/* Before the limit server, which could not say it. */
static int check_uring(const struct plan *plan)
{
	struct limit_ring *ring;

	if (plan->limit != PLAN_LIMIT_URING)
		return 0;
	if (limit_ring_new(&ring) < 0)
		return fail("--limit uring: this kernel, or this build, has no io_uring");
	limit_ring_free(ring);
	return 0;
}

/* Turns the plan to the limit server, which is the one that pays from here on. */
static int aim_at_limit(struct plan *plan, struct limit *limit)
{
	struct sockaddr_in server = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int r = limit_start(plan, limit);

	if (r < 0)
		return fail(strerror(-r));
	if (!plan->json)
		fprintf(stderr, "tidegate: bench: limit server: pid %d, port %u\n", (int)limit->pid,
			limit->port);
	server.sin_port = htons(limit->port);
	memcpy(&plan->urls[0].server, &server, sizeof(server));
	plan->urls[0].server_len = sizeof(server);
	plan->n_urls = 1;
	plan->path = "/limit/{n}";
	plan->servers[0] = limit->pid;
	plan->n_servers = 1;
	return 0;
}

static int measure(struct run *run)
{
	int r = run_open(run);

	if (run->plan->open_only || run->plan->actions)
		return r;
	if (r == 0)
		r = run_prime(run);
	if (r == 0)
		r = run_load(run);
	return r == 0 ? run_drain(run) : r;
}

/* Exit status. */
static int run_and_report(const struct plan *plan, struct publisher *publisher)
{
	struct run *run = shared_memory_new(sizeof(*run)); /* of the processes of the clients, too */
	int status = 0;
	int r;

	if (!run)
		return fail("out of memory");
	r = run_init(run, plan, publisher);
	if (r == 0)
		r = measure(run);
	if (r < 0) {
		status = fail(buf_text(&run->error));
	} else if (plan->actions) {
		status = run_actions(run);
	} else {
		if (!plan->json)
			report_table(&run->report, plan, stdout);
		report_json(&run->report, plan, stdout);
		status = !report_is_clean(&run->report);
	}
	if (status && r == 0 && run->report.closed)
		fail(crowd_trouble(run->crowds[0]));
	run_deinit(run);
	shared_memory_free(run, sizeof(*run));
	return fflush(stdout) || ferror(stdout) ? 1 : status;
}

static int publish_and_run(const struct plan *plan, const struct limit *limit)
{
	struct publisher *publisher = NULL;
	struct buf error = {0};
	int status = 0;

	if (plan->limit)
		publisher = publisher_limit(plan, limit->fd);
	else if (!plan->open_only && !plan->actions)
		publisher = publisher_redis(plan, &error);
	if (!publisher && (plan->limit || !(plan->open_only || plan->actions)))
		status = fail(error.len ? buf_text(&error) : "out of memory");
	if (status == 0)
		status = run_and_report(plan, publisher);
	publisher_free(publisher);
	buf_deinit(&error);
	return status;
}

int bench_main(int argc, char **argv)
{
	struct limit limit = {0};
	struct plan plan;
	int status = plan_parse(&plan, argc, argv);

	if (status)
		return status == PLAN_HELP ? 0 : status;
	if (raise_files(&plan) || check_cpu("--limit-cpu", plan.limit_cpu) ||
		check_cpu("--client-cpu", plan.client_cpu) || check_uring(&plan) ||
		(plan.limit && aim_at_limit(&plan, &limit)))
		return 1;
	pin(plan.client_cpu);
	status = publish_and_run(&plan, &limit);
	limit_stop(&limit);
	return status;
}
