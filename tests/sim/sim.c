/*
 * Sim: the channel log under a million orders of events.
 *
 * Each seed is one small world with its own faults (world.h says what is checked). The first failures are
 * shrunk to the few steps that they need and printed with their seed; the same seed always does the same.
 * With a control switched on a mechanism is missing, and failures must be found.
 *
 * Exit code: 0 nothing found, 1 something found (with a control: the other way round), 2 wrong option.
 */

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "shrink.h"
#include "world.h"

enum {
	PRINTED_MAX = 3, /* failures told in full */
};

struct order {
	uint64_t first;
	uint64_t n_seeds;
	bool has_verbose;
	uint64_t verbose; /* this one only, told step by step */
	struct control control;
};

static const char usage[] =
	"Usage: sim [--seeds N] [--first S] [--verbose SEED] [--ignore-tags] [--no-tail-check]\n"
	"           [--late-expiry] [--short-ttl] [--no-poll] [--stay]\n"
	"\n"
	"  --seeds N        so many runs; 100000\n"
	"  --first S        the first seed; 1\n"
	"  --verbose SEED   only this one, step by step\n"
	"  --ignore-tags    control: compare offsets and epochs only; must find violations\n"
	"  --no-tail-check  control: nobody looks for the last entry; must find violations\n"
	"  --late-expiry    control: the expiry is refreshed when a quarter of it is over; must find "
	"violations\n"
	"  --short-ttl      control: a ttl below the round of the tail check; must find violations\n"
	"  --no-poll        control: nobody asks who has the slot; must find violations\n"
	"  --stay           control: channels do not follow their slot; must find violations\n";

static bool read_number(const char *text, uint64_t *numberp)
{
	char *end;

	*numberp = strtoull(text, &end, 10);
	return *text && !*end;
}

static bool read_order(struct order *order, int argc, char **argv)
{
	static const struct option options[] = {
		{"seeds", required_argument, NULL, 's'},
		{"first", required_argument, NULL, 'f'},
		{"verbose", required_argument, NULL, 'v'},
		{"ignore-tags", no_argument, NULL, 't'},
		{"no-tail-check", no_argument, NULL, 'r'},
		{"late-expiry", no_argument, NULL, 'l'},
		{"short-ttl", no_argument, NULL, 'e'},
		{"no-poll", no_argument, NULL, 'p'},
		{"stay", no_argument, NULL, 'y'},
		{NULL, 0, NULL, 0},
	};
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == 't')
			order->control.ignores_tags = true;
		else if (option == 'r')
			order->control.no_tails = true;
		else if (option == 'l')
			order->control.late_expiry = true;
		else if (option == 'e')
			order->control.short_ttl = true;
		else if (option == 'p')
			order->control.no_polls = true;
		else if (option == 'y')
			order->control.stays = true;
		else if (option == 'v')
			order->has_verbose = true;
		if (option == '?' || (option == 's' && !read_number(optarg, &order->n_seeds)) ||
			(option == 'f' && !read_number(optarg, &order->first)) ||
			(option == 'v' && !read_number(optarg, &order->verbose)))
			return false;
	}
	return optind == argc;
}

static void print_failure(const struct script *script, const struct control *control)
{
	struct script small = *script;
	struct statistics ignored = {0};
	struct world world;

	shrink(&small, control);
	world_run(&world, &small, control, &ignored, false);
	printf("\n%s: %s\n", verdict_name(world.verdict), world.complaint);
	script_print(&small, stdout);
}

static void print_statistics(const struct statistics *statistics)
{
	printf("%" PRIu64 " delivered, %" PRIu64 " reads\ncatch-ups:", statistics->n_delivered,
		statistics->n_reads);
	for (int i = 1; i < CAUSES; i++)
		printf(" %s %" PRIu64, channel_log_cause_name((enum channel_log_cause)i),
			statistics->n_causes[i]);
	printf("\nanswers:");
	for (int i = 0; i < REASONS; i++)
		printf(" %s %" PRIu64, channel_log_reason_name((enum channel_log_reason)i),
			statistics->n_answers[i]);
	printf("\nresyncs:");
	for (int i = 1; i < REASONS; i++)
		printf(" %s %" PRIu64, channel_log_reason_name((enum channel_log_reason)i),
			statistics->n_resyncs[i]);
	printf(", %" PRIu64 " of them continuous\n", statistics->n_continuous);
}

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static uint64_t run_all(const struct order *order)
{
	struct statistics statistics = {0};
	uint64_t n_failed = 0;
	double began = seconds();

	for (uint64_t i = 0; i < order->n_seeds; i++) {
		struct script script;
		struct world world;

		script_draw(&script, order->first + i);
		if (world_run(&world, &script, &order->control, &statistics, false) == VERDICT_FINE)
			continue;
		if (n_failed++ < PRINTED_MAX)
			print_failure(&script, &order->control);
	}
	print_statistics(&statistics);
	printf("%" PRIu64 " seeds from %" PRIu64 ": %" PRIu64 " with violations, %.1f s\n", order->n_seeds,
		order->first, n_failed, seconds() - began);
	return n_failed;
}

static uint64_t run_one(const struct order *order)
{
	struct statistics statistics = {0};
	struct script script;
	struct world world;

	script_draw(&script, order->verbose);
	world_run(&world, &script, &order->control, &statistics, true);
	printf("%s: %s\n", verdict_name(world.verdict), world.verdict ? world.complaint : "no violation");
	return world.verdict != VERDICT_FINE;
}

int main(int argc, char **argv)
{
	struct order order = {.first = 1, .n_seeds = 100000};
	bool is_control, failed;

	if (!read_order(&order, argc, argv)) {
		fputs(usage, stderr);
		return 2;
	}
	failed = (order.has_verbose ? run_one(&order) : run_all(&order)) > 0;
	is_control = order.control.ignores_tags || order.control.no_tails || order.control.late_expiry ||
		     order.control.short_ttl || order.control.no_polls || order.control.stays;
	return failed != is_control;
}
