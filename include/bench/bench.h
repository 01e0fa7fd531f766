#ifndef TIDEGATE_BENCH_BENCH_H
#define TIDEGATE_BENCH_BENCH_H

/*
 * Bench: the load generator that users can run against their own deployment.
 *
 * It opens connections, publishes through Redis, and counts what arrives: how much, how late, and whether
 * anything was lost, doubled or out of order. `--limit` runs the same load against a server that does
 * nothing but send, so that a figure has something to stand beside.
 */

/*
 * The subcommand; argv[0] is the word `bench` itself. Returns the exit status: 0; 1 if the run failed or an
 * event was lost, doubled or reordered; 2 after one line on standard error for wrong words.
 */
int bench_main(int argc, char **argv);

#endif
