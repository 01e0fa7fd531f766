/*
 * Report: figures into text; see the header.
 *
 * The JSON line's members are named like the table's rows and keep their names: scripts read them. What was
 * not measured is null there and "-" in the table.
 */

#include "bench/report.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "bench/figure.h"
#include "bench/plan.h"

enum {
	N_FIGURES = 58,
};

bool report_is_clean(const struct report *report)
{
	return !report->lost && !report->doubled && !report->reordered && !report->misdelivered &&
	       !report->closed && !report->late && !report->unrecovered;
}

static double per(const struct plan *plan, uint64_t from, uint64_t to, uint64_t n)
{
	return plan->n_servers && to >= from ? figure_ratio((double)(to - from), (double)n) : NAN;
}

static size_t opening_figures(const struct report *r, const struct plan *plan, struct figure *out)
{
	size_t n = 0;

	out[n++] = (struct figure){"connections", "connections", 0, (double)r->opened};
	out[n++] = (struct figure){"connections_deflate", NULL, 0, (double)r->deflated};
	out[n++] = (struct figure){
		"opened_per_s", "opened / s", 0, figure_ratio((double)r->opened, r->opening_s)};
	out[n++] = (struct figure){"opening_cpu_us", "server CPU us / connection opened", 2,
		per(plan, r->start.cpu_ns, r->opened_cost.cpu_ns, r->opened) / 1e3};
	out[n++] = (struct figure){"resident_bytes", "server resident bytes, connections open", 0,
		plan->n_servers ? (double)r->idle.resident_bytes : NAN};
	out[n++] = (struct figure){"resident_bytes_per_connection", "server resident bytes / connection", 0,
		per(plan, r->start.resident_bytes, r->idle.resident_bytes, r->opened)};
	return n;
}

static size_t rate_figures(const struct report *r, const struct plan *plan, struct figure *out)
{
	double cpu_us = per(plan, r->from.cpu_ns, r->to.cpu_ns, 1) / 1e3;
	size_t n = 0;

	out[n++] = (struct figure){"measured_s", "measured seconds", 1, r->measured_s};
	out[n++] = (struct figure){"events", NULL, 0, (double)r->published};
	out[n++] = (struct figure){"deliveries", NULL, 0, (double)r->delivered};
	out[n++] = (struct figure){
		"events_per_s", "events / s", 1, figure_ratio((double)r->published, r->measured_s)};
	out[n++] = (struct figure){
		"deliveries_per_s", "deliveries / s", 0, figure_ratio((double)r->delivered, r->measured_s)};
	out[n++] = (struct figure){"server_cpu_us_per_delivery", "server CPU us / delivery", 4,
		figure_ratio(cpu_us, (double)r->delivered)};
	out[n++] = (struct figure){
		"server_cpu_percent", "server CPU %", 1, figure_ratio(cpu_us / 1e4, r->measured_s)};
	out[n++] = (struct figure){"client_cpu_percent", "bench CPU %", 1,
		figure_ratio((double)r->client_ns / 1e7, r->measured_s)};
	out[n++] = (struct figure){"client_cpu_us_per_delivery", "bench CPU us / delivery", 4,
		figure_ratio((double)r->client_ns / 1e3, (double)r->delivered)};
	out[n++] = (struct figure){"bytes_per_delivery", "bytes / delivery", 1,
		figure_ratio((double)r->bytes, (double)r->delivered)};
	out[n++] = (struct figure){"deliveries_per_read", "deliveries / read", 1,
		figure_ratio((double)r->delivered, (double)r->reads)};
	out[n++] = (struct figure){"server_resident_end_bytes", "server resident bytes, at the end", 0,
		plan->n_servers ? (double)r->to.resident_bytes : NAN};
	return n;
}

static size_t latency_figures(const struct report *r, struct figure *out)
{
	const struct histogram *h = &r->latency;
	size_t n = 0;

	out[n++] = (struct figure){"latency_p50_us", "latency us p50", 0, (double)histogram_quantile(h, 0.5)};
	out[n++] = (struct figure){"latency_p90_us", "latency us p90", 0, (double)histogram_quantile(h, 0.9)};
	out[n++] =
		(struct figure){"latency_p99_us", "latency us p99", 0, (double)histogram_quantile(h, 0.99)};
	out[n++] = (struct figure){
		"latency_p999_us", "latency us p99.9", 0, (double)histogram_quantile(h, 0.999)};
	out[n++] = (struct figure){"latency_max_us", "latency us max", 0, (double)h->max};
	return n;
}

static size_t loss_figures(const struct report *r, struct figure *out)
{
	size_t n = 0;

	out[n++] = (struct figure){"events_all", "events, whole run", 0, (double)r->published_all};
	out[n++] = (struct figure){"deliveries_all", "deliveries, whole run", 0, (double)r->delivered_all};
	out[n++] = (struct figure){"lost", "lost", 0, (double)r->lost};
	out[n++] = (struct figure){"doubled", "doubled", 0, (double)r->doubled};
	out[n++] = (struct figure){"reordered", "reordered", 0, (double)r->reordered};
	out[n++] = (struct figure){"misdelivered", "misdelivered", 0, (double)r->misdelivered};
	out[n++] = (struct figure){"foreign", NULL, 0, (double)r->foreign};
	out[n++] = (struct figure){"late", NULL, 0, (double)r->late};
	out[n++] = (struct figure){"behind", NULL, 0, (double)r->behind};
	out[n++] = (struct figure){"closed", "closed by the server", 0, (double)r->closed};
	out[n++] = (struct figure){"slow_closed", NULL, 0, (double)r->slow_closed};
	return n;
}

static size_t storm_figures(const struct report *r, const struct plan *plan, struct figure *out)
{
	const struct histogram *h = &r->storm_latency;
	size_t n = 0;

	if (!plan->storm)
		return 0;
	out[n++] = (struct figure){"storm_s", "storm: seconds until all were back", 2, r->storm_s};
	out[n++] = (struct figure){"storm_cut", "storm: cut off", 0, (double)r->cut};
	out[n++] = (struct figure){"storm_put_off", "storm: attempts that failed", 0, (double)r->put_off};
	out[n++] = (struct figure){"storm_recovered", "storm: recovered", 0, (double)r->recovered};
	out[n++] = (struct figure){"storm_unrecovered", "storm: not recovered", 0, (double)r->unrecovered};
	out[n++] = (struct figure){"storm_replayed", "storm: events replayed", 0, (double)r->replayed};
	out[n++] = (struct figure){"storm_deliveries", "storm: deliveries", 0, (double)r->storm_delivered};
	out[n++] = (struct figure){"storm_cpu_us", "storm: server CPU us / connection", 2,
		per(plan, r->storm_from.cpu_ns, r->storm_to.cpu_ns, r->cut) / 1e3};
	out[n++] = (struct figure){"storm_resident_bytes", "storm: server resident bytes, all back", 0,
		plan->n_servers ? (double)r->storm_to.resident_bytes : NAN};
	out[n++] = (struct figure){
		"storm_latency_p50_us", "storm: latency us p50", 0, (double)histogram_quantile(h, 0.5)};
	out[n++] = (struct figure){
		"storm_latency_p99_us", "storm: latency us p99", 0, (double)histogram_quantile(h, 0.99)};
	out[n++] = (struct figure){"storm_latency_max_us", "storm: latency us max", 0, (double)h->max};
	out[n++] = (struct figure){"storm_read_p99_us", "storm: latency us p99, until it was read", 0,
		(double)histogram_quantile(&r->storm_read, 0.99)};
	out[n++] = (struct figure){"storm_publish_p99_us", "storm: published late by us p99", 0,
		(double)histogram_quantile(&r->storm_publish, 0.99)};
	return n;
}

static size_t figures(const struct report *report, const struct plan *plan, struct figure out[N_FIGURES])
{
	size_t n = opening_figures(report, plan, out);

	if (plan->open_only)
		return n;
	n += rate_figures(report, plan, out + n);
	n += latency_figures(report, out + n);
	n += storm_figures(report, plan, out + n);
	return n + loss_figures(report, out + n);
}

void report_progress(const struct report_second *second, FILE *out)
{
	fprintf(out, "%6.1f s  %-8s  %" PRIu64 " open  %.0f events/s  %.0f deliveries/s\n", second->at_s,
		second->phase, second->open, second->events, second->deliveries);
}

void report_table(const struct report *report, const struct plan *plan, FILE *out)
{
	struct figure list[N_FIGURES];
	size_t n = figures(report, plan, list);

	figures_table(list, n, out);
}

static const char *target(const struct plan *plan)
{
	static const char *const names[] = {
		[PLAN_LIMIT_NONE] = "gateway",
		[PLAN_LIMIT_EACH] = "limit-each",
		[PLAN_LIMIT_COALESCED] = "limit-coalesced",
		[PLAN_LIMIT_URING] = "limit-uring",
	};

	return names[plan->limit];
}

void report_json(const struct report *report, const struct plan *plan, FILE *out)
{
	struct figure list[N_FIGURES];
	size_t n = figures(report, plan, list);

	fprintf(out, "{\"target\":\"%s\",\"clean\":%s,\"channels\":%u,\"slow\":%u,\"payload\":%zu,",
		target(plan), report_is_clean(report) ? "true" : "false", plan->n_channels, plan->n_slow,
		plan->payload);
	fprintf(out, "\"gateways\":%u,\"processes\":%u,", plan->n_urls, plan->processes ? plan->n_crowds : 1);
	fprintf(out, "\"window\":%" PRIu64 ",\"rate\":%g", plan->window, plan->rate);
	figures_json(list, n, out);
	fputs("}\n", out);
}
