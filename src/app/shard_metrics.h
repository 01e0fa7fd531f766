#ifndef TIDEGATE_APP_SHARD_METRICS_H
#define TIDEGATE_APP_SHARD_METRICS_H

/*
 * Shard metrics: what is measured of each Redis server, as Prometheus text. A server has its rows only as
 * long as it is one of the broker's, so no series speaks of a server that nobody uses any more.
 */

struct broker;
struct buf;
struct metrics;

void shard_metrics_write(const struct broker *broker, struct buf *out);

/* The gauges of the sentinels, of all servers together. */
void shard_metrics_look(const struct broker *broker, struct metrics *now);

#endif
