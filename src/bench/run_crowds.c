/* Run, its crowds: each but the first has a thread of its own, or a process. */

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench/run_private.h"

/* What a thread is started with; it frees it. */
struct run_thread {
	struct run *run;
	uint32_t index;
};

static void turn_crowd(struct run *run, struct crowd *crowd)
{
	while (!atomic_load_explicit(&run->stop, memory_order_relaxed))
		if (crowd_turn(crowd, RUN_POLL_MS) < 0)
			break; /* its connections stand still, and the run will say so */
	crowd_end(crowd);
}

static void *thread_main(void *arg)
{
	struct run_thread *thread = arg;

	turn_crowd(thread->run, thread->run->crowds[thread->index]);
	free(thread);
	return NULL;
}

static int start_thread(struct run *run, uint32_t index)
{
	struct run_thread *thread = malloc(sizeof(*thread));
	int r;

	if (!thread)
		return -ENOMEM;
	*thread = (struct run_thread){run, index};
	r = pthread_create(&run->threads[index], NULL, thread_main, thread);
	if (r)
		free(thread);
	return -r;
}

static int start_process(struct run *run, uint32_t index)
{
	pid_t pid = fork();

	if (pid < 0)
		return -errno;
	if (pid > 0) {
		run->processes[index] = pid;
		return 0;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL); /* nobody is left who would stop it */
	turn_crowd(run, run->crowds[index]);
	crowd_free(run->crowds[index]);
	_exit(0);
}

int run_start_crowds(struct run *run)
{
	for (uint32_t i = 1; i < run->n_crowds; i++) {
		int r = run->plan->processes ? start_process(run, i) : start_thread(run, i);

		if (r < 0) {
			buf_append_str(&run->error, strerror(-r));
			return r;
		}
		run->n_running = i;
	}
	return 0;
}

/* Negative, with a sentence, if it did not end as it should. */
static int await_process(struct run *run, pid_t pid)
{
	int status = 0;

	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	buf_append_str(&run->error, "a process of the clients died");
	return -ECHILD;
}

int run_stop_crowds(struct run *run)
{
	int r = 0;

	atomic_store(&run->stop, true);
	for (; run->n_running; run->n_running--) {
		if (!run->plan->processes)
			pthread_join(run->threads[run->n_running], NULL);
		else if (await_process(run, run->processes[run->n_running]) < 0)
			r = -ECHILD;
	}
	if (run->n_crowds)
		crowd_end(run->crowds[0]);
	return r;
}

uint64_t run_client_ns(const struct run *run)
{
	struct server_cost others = {0};
	struct timespec cpu;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu);
	if (run->plan->processes) /* one that is not there any more is told of at the end */
		(void)server_cost_read(&run->processes[1], run->n_running, &others);
	return (uint64_t)cpu.tv_sec * 1000000000 + (uint64_t)cpu.tv_nsec + others.cpu_ns;
}
