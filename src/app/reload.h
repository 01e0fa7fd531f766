#ifndef TIDEGATE_APP_RELOAD_H
#define TIDEGATE_APP_RELOAD_H

/*
 * Reload: reads the configuration anew while the gateway serves.
 *
 * File, environment and flags are read and checked as at the start. A mistake refuses the whole
 * configuration, with a sentence, and the old one stays in force. A valid configuration is handed to
 * bus, broker, admin listener and workers; no connection ends because of it. Options that only the next
 * start can change are named.
 *
 * On the bus thread. Owns the configuration that is in force.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct admin;
struct broker;
struct buf;
struct bus;
struct certificates;
struct config;
struct config_args;
struct keys;
struct log;
struct metrics;
struct places;
struct worker;

/* The parts that the newest configuration is handed to; borrowed. */
struct reload_targets {
	struct bus *bus;
	struct broker *broker;
	struct admin *admin;
	struct certificates *certificates;
	struct worker *const *workers;
	unsigned int n_workers;
	struct places *places;
	struct memory_watch *memory;
	struct keys *keys;
	uint64_t n_files; /* that may be open */
	struct log *log;
	struct metrics *metrics;
};

struct reload {
	const struct config_args *args; /* the words of the command line; borrowed */
	char *const *environment;       /* likewise */
	const struct config *started;   /* the configuration that the process was started with; borrowed */
	struct config *newest;          /* NULL if that one is still in force */
	char *refusal;                  /* why the last one was refused; NULL if it was not */
	struct reload_targets targets;
};

enum reload_refusal {
	RELOAD_BAD_CONFIG = 1, /* a sentence says what is wrong with it */
	RELOAD_DRAINING = 2,   /* the process is about to end */
};

/* Sets how many connections an address, and a user, may have. */
void reload_bound_places(struct places *places, const struct config *config);

void reload_init(struct reload *reload, const struct config *started, const struct config_args *args,
	char *const *environment);
void reload_deinit(struct reload *reload);

/* The configuration in force. Borrowed until the next reload. */
const struct config *reload_config(const struct reload *reload);

/* Why a newer configuration was refused, as one sentence; NULL if the newest one is in force. Borrowed until
 * the next reload. */
const char *reload_refusal(const struct reload *reload);

/*
 * Reads and applies the configuration. asked_by: for the log, "SIGHUP" or "admin". 0, with the names of the
 * options that wait for a restart appended to waiting, comma-separated; or an outcome above or negative
 * errno, with a sentence appended to why. Log and metrics tell the same.
 */
int reload_run(
	struct reload *reload, const char *asked_by, bool draining, struct buf *waiting, struct buf *why);

/* The same, with the result as one JSON object for the caller. Returns the HTTP status. */
unsigned int reload_answer(struct reload *reload, const char *asked_by, bool draining, struct buf *out);

#endif
