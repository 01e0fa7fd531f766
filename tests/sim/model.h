#ifndef TIDEGATE_SIM_MODEL_H
#define TIDEGATE_SIM_MODEL_H

/*
 * Model: the log of one channel as Redis has it, with everything that ever was in it.
 *
 * Entries are a tree: a stale replica that is promoted grows another branch from an older entry. The root of
 * an epoch is the place before its first entry. Nothing is forgotten, so the truth about any entry that
 * anybody ever saw can be asked for.
 */

#include <stdbool.h>
#include <stdint.h>

#include "channel_log/position.h"

enum {
	NODES_MAX = 320,
	EPOCHS_MAX = 16,
	NO_NODE = -1,
};

struct node {
	int parent; /* NO_NODE: a root */
	int epoch;
	uint64_t offset;
	bool was_trimmed; /* was it ever gone while it was on the branch? */
	bool is_deleted;
};

/* What one server has. */
struct copy {
	int top;        /* a node, or the root while it is empty */
	uint64_t first; /* the oldest offset that it keeps */
};

struct model {
	struct node nodes[NODES_MAX];
	int n_nodes;
	int roots[EPOCHS_MAX];
	int n_epochs;
	struct copy primary;
	struct copy replica;  /* as it was when it last heard from the primary */
	struct copy former;   /* of a primary that has another in its place and does not know it */
	unsigned int n_turns; /* failovers and flushes: what was true may no longer be */
	uint64_t now_ms;
	uint64_t used_ms;    /* published to or read last */
	uint64_t expires_ms; /* as the library in Redis sets it */
	uint64_t set_ms;     /* when a publication set it */
	uint32_t ttl_ms;
	bool expires_late; /* the control: as it was set before publishers counted milliseconds */
	bool ignores_tags; /* the control: everybody is told the same tag for everything */
};

void model_init(struct model *model, bool ignores_tags);
int model_publish(struct model *model);           /* the new node, or NO_NODE when the run is long enough */
int model_publish_to_former(struct model *model); /* likewise, where it will not last */
void model_trim(
	struct model *model, uint64_t n); /* forgets the n oldest, the newest too if they are so few */
void model_delete(struct model *model, unsigned int what); /* one that is kept */
void model_sync(struct model *model);
void model_fail_over(struct model *model); /* the primary becomes the former one */
void model_flush(struct model *model);
void model_used(struct model *model, bool by_publication); /* what that does to its expiry */
bool model_expire(struct model *model, uint64_t ms);       /* time passes: is it gone? */

/* The entry at this offset of this copy, if it keeps it and nobody deleted it; else NO_NODE. */
int model_kept(const struct model *model, const struct copy *copy, uint64_t offset);
int model_ancestor(const struct model *model, int node, uint64_t offset); /* its own, too; else NO_NODE */
bool model_has(const struct model *model, int node);                      /* on the primary's branch */

/* As the outside is told. */
uint64_t model_tag(const struct model *model, int node);
struct position model_position(const struct model *model, int node);
int model_find(const struct model *model, const struct position *position); /* NO_NODE: never was */

#endif
