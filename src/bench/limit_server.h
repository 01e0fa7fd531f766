#ifndef TIDEGATE_BENCH_LIMIT_SERVER_H
#define TIDEGATE_BENCH_LIMIT_SERVER_H

/* Limit server: what the forked process runs. Private to limit*.c. */

struct plan;

/* Serves until the orders end. Takes over both descriptors. 0 or negative errno. */
int limit_serve(const struct plan *plan, int listen_fd, int orders_fd);

#endif
