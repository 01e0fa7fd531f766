#ifndef TIDEGATE_BENCH_RUN_ACTIONS_H
#define TIDEGATE_BENCH_RUN_ACTIONS_H

/* Run, actions: a measurement of what goes the other way: client, gateway, Redis, worker, and back. */

struct run;

/* Once all connections are open: asks, answers, measures, and prints the report. The exit status: 1 where
 * one was lost or doubled, or where the run failed, after one line on standard error. */
int run_actions(struct run *run);

#endif
