#ifndef TIDEGATE_BROKER_REDIS_LOADER_H
#define TIDEGATE_BROKER_REDIS_LOADER_H

/*
 * Redis loader: the form in which a server has our functions. It looks for them, loads them, and says how a
 * function is called.
 *
 * Redis 7 and newer take them as one library, whose version can be asked for. A server that knows no
 * functions gets each of them as a script; calls then name its sum, or bring its text.
 */

#include <stdbool.h>

#include "broker/redis/script.h"
#include "core/buf.h"
#include "core/slice.h"

struct redis_link;

enum {
	REDIS_LOADER_SUM_DIGITS = 40, /* digits of a script's sum */
};

/* The answer to what was asked last. Nothing is said when the link is lost before it comes. */
struct redis_loader_listener {
	void *arg;
	void (*found)(void *arg);   /* the functions are there, as new as ours or newer */
	void (*missing)(void *arg); /* they are to be loaded; in another form than before, perhaps */
	void (*failed)(void *arg, const char *command, struct slice error); /* the server refuses */
};

/* One function, for the answer to the load of its script. */
struct redis_loader_script {
	struct redis_loader *loader;
	enum redis_function function;
};

struct redis_loader {
	struct redis_loader_listener listener;
	bool has_scripts; /* the server knows no functions */
	struct buf library;
	struct buf scripts[N_REDIS_FUNCTIONS];
	struct redis_loader_script awaited[N_REDIS_FUNCTIONS];
	char sums[N_REDIS_FUNCTIONS][REDIS_LOADER_SUM_DIGITS + 1]; /* "": the server has no such script */
};

int redis_loader_init(
	struct redis_loader *loader, const struct redis_loader_listener *listener); /* 0, -ENOMEM */
void redis_loader_deinit(struct redis_loader *loader); /* harmless on zeroed memory */

/* Another server may answer from now on. */
void redis_loader_forget(struct redis_loader *loader);

/* Asks whether the functions are there; loads them. As redis_link_ask(); the listener hears the answer. */
int redis_loader_look(struct redis_loader *loader, struct redis_link *link);
int redis_loader_load(struct redis_loader *loader, struct redis_link *link);

/* The first two words of a call. whole: with the text of the script, because the server did not know its
 * sum. */
void redis_loader_address(
	const struct redis_loader *loader, enum redis_function function, bool whole, struct slice words[2]);

#endif
