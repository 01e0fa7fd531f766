#ifndef TIDEGATE_BUS_CONTROL_H
#define TIDEGATE_BUS_CONTROL_H

/*
 * Control: what backends and operators want done to connections, heard on tg:control and carried out here.
 *
  * Each node follows that channel, and so carries out what was said while its link was lost. A node that
  * starts carries out what is said from then on, and of what was said before only the revocations. Who may
  * publish there is decided in Redis; what does not make sense is counted, logged and passed over. Who
  * wants an answer names a channel for it. On the bus thread.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bus/bus.h"
#include "bus/control_log.h"
#include "bus/own_channel.h"
#include "bus/revoking.h"
#include "core/list.h"
#include "core/log.h"

enum {
	CONTROL_ERRANDS_MAX = 10000, /* commands that are being carried out; more are refused */
};

struct control {
	struct bus *bus;
	char node[BUS_NODE_MAX + 1];
	struct own_channel commands;
	struct revoking revoking;
	struct control_log log;
	size_t n_errands;    /* commands that are being carried out */
	struct list awaited; /* awaited.link: answered revocations, until the handshakes know them */
	size_t n_awaited;
	bool followed;         /* every command is heard */
	uint64_t connected_ms; /* when the link was made */
	bool silent;           /* the broker is about to go */
	struct log_limit refused_limit;
	struct log_limit done_limit;
};

/* node: this one's id, at most BUS_NODE_MAX bytes. */
void control_init(struct control *control, struct bus *bus, const char *node);

void control_deinit(struct control *control); /* harmless on zeroed memory */

/* The workers have the newest revocations: of revoking_listener. */
void control_told(void *control);

/* Begins to follow the commands. */
void control_start(struct control *control);

/* The link to the broker was made, or lost. */
void control_connected(struct control *control, bool connected);

/* Carries out a command, as it was published. */
void control_take(struct control *control, struct slice payload);

/* The revocation that a command says. False: it says none. The name is borrowed. */
bool control_revocation(const struct control_command *command, struct revocation *revocation);

#endif
