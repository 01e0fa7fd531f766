#ifndef TIDEGATE_ADMIN_ROLL_H
#define TIDEGATE_ADMIN_ROLL_H

/* Roll: which nodes are to answer a control command, and what they have answered. Pure. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/slice.h"

struct buf;

enum {
	ROLL_MAX = 512,       /* nodes; some more than are listed (BROKER_NODES_MAX) */
	ROLL_NODE_MAX = 64,   /* bytes of an id */
	ROLL_ERROR_MAX = 160, /* of what one says is wrong; ours are shorter */
};

struct roll_node {
	char id[ROLL_NODE_MAX + 1];
	bool answered;
	uint64_t n;
	char error[ROLL_ERROR_MAX + 1]; /* "": nothing is wrong */
};

struct roll {
	size_t n;
	struct roll_node nodes[ROLL_MAX];
};

/* This node is to answer. False: there are too many, or that is no id. */
bool roll_expect(struct roll *roll, struct slice id);

/* An answer as it came, JSON; nonsense counts for nothing. */
void roll_note(struct roll *roll, struct slice answer);

bool roll_is_complete(const struct roll *roll);

/* Of all that have answered. */
uint64_t roll_sum(const struct roll *roll);

/* Appends the members "n", "nodes" and "silent" of a JSON object, with a comma before each. */
void roll_write(const struct roll *roll, struct buf *out);

#endif
