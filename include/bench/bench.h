#ifndef TIDEGATE_BENCH_BENCH_H
#define TIDEGATE_BENCH_BENCH_H

/*
 * Bench: the load generator that users can run against their own deployment.
 *
 * It opens connections, publishes through Redis, and measures how many events arrive, how late, and
 * whether any was lost, doubled or out of order. `--limit` runs the same load against a server that does
 * nothing but send, for comparison.
 */

/*
 * The subcommand; argv[0] is the word `bench` itself. Returns the exit status: 0; 1 if the run failed, an
 * event was lost, doubled or reordered, or an action lost or doubled; 2 after one line on standard error
 * for a wrong command line.
 */
int bench_main(int argc, char **argv);

#endif
