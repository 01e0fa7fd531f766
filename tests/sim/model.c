/* Model: see the header. */

#include "model.h"

#include <string.h>

static int add(struct model *model, int parent, int epoch, uint64_t offset)
{
	model->nodes[model->n_nodes] = (struct node){parent, epoch, offset, false, false};
	return model->n_nodes++;
}

static void begin_epoch(struct model *model)
{
	int root = add(model, NO_NODE, model->n_epochs, 0);

	model->roots[model->n_epochs++] = root;
	model->primary = (struct copy){root, 1};
	model->used_ms = model->now_ms;
	model->set_ms = 0;
	model->expires_ms = model->now_ms + model->ttl_ms;
}

/* Publishing sets the expiry anew when a quarter is over: so it was set for a quarter longer than is
 * promised. */
void model_used(struct model *model, bool by_publication)
{
	uint64_t lives = model->ttl_ms + (model->expires_late ? 0 : model->ttl_ms / 4);

	model->used_ms = model->now_ms;
	if (by_publication && model->set_ms && model->now_ms - model->set_ms < model->ttl_ms / 4)
		return;
	model->set_ms = by_publication ? model->now_ms : model->expires_late ? model->set_ms : 0;
	model->expires_ms = model->now_ms + lives;
}

bool model_expire(struct model *model, uint64_t ms)
{
	model->now_ms += ms;
	return model->now_ms >= model->expires_ms;
}

void model_init(struct model *model, bool ignores_tags)
{
	model->now_ms = 1000;
	model->n_nodes = 0;
	model->n_epochs = 0;
	model->n_turns = 0;
	model->ignores_tags = ignores_tags;
	begin_epoch(model);
	model_sync(model);
}

static int append(struct model *model, struct copy *copy)
{
	const struct node *top = &model->nodes[copy->top];

	if (model->n_nodes == NODES_MAX)
		return NO_NODE;
	copy->top = add(model, copy->top, top->epoch, top->offset + 1);
	return copy->top;
}

int model_publish(struct model *model)
{
	if (model->n_nodes < NODES_MAX)
		model_used(model, true);
	return append(model, &model->primary);
}

int model_publish_to_former(struct model *model)
{
	return append(model, &model->former);
}

void model_trim(struct model *model, uint64_t n)
{
	uint64_t top = model->nodes[model->primary.top].offset;

	for (; n && model->primary.first <= top; n--, model->primary.first++)
		model->nodes[model_ancestor(model, model->primary.top, model->primary.first)].was_trimmed =
			true;
}

void model_delete(struct model *model, unsigned int what)
{
	uint64_t top = model->nodes[model->primary.top].offset, n = top + 1 - model->primary.first;
	int node = n ? model_ancestor(model, model->primary.top, model->primary.first + what % n) : NO_NODE;

	if (node == NO_NODE)
		return;
	model->nodes[node].is_deleted = true;
	model->nodes[node].was_trimmed = true;
}

void model_sync(struct model *model)
{
	model->replica = model->primary;
}

void model_fail_over(struct model *model)
{
	model->n_turns += model->primary.top != model->replica.top;
	model->former = model->primary;
	model->primary = model->replica;
}

void model_flush(struct model *model)
{
	if (model->n_epochs == EPOCHS_MAX || model->n_nodes == NODES_MAX)
		return;
	model->n_turns++;
	begin_epoch(model);
}

int model_ancestor(const struct model *model, int node, uint64_t offset)
{
	while (node != NO_NODE && model->nodes[node].offset > offset)
		node = model->nodes[node].parent;
	return node != NO_NODE && model->nodes[node].offset == offset ? node : NO_NODE;
}

int model_kept(const struct model *model, const struct copy *copy, uint64_t offset)
{
	int node = model_ancestor(model, copy->top, offset);

	return offset < copy->first || model->nodes[node].is_deleted ? NO_NODE : node;
}

bool model_has(const struct model *model, int node)
{
	return model->nodes[node].epoch == model->nodes[model->primary.top].epoch &&
	       model_ancestor(model, model->primary.top, model->nodes[node].offset) == node;
}

uint64_t model_tag(const struct model *model, int node)
{
	if (!model->nodes[node].offset)
		return 0;
	return model->ignores_tags ? 1 : (uint64_t)node + 1;
}

struct position model_position(const struct model *model, int node)
{
	struct position position = {.offset = model->nodes[node].offset, .tag = model_tag(model, node)};

	position.epoch.text[0] = (char)('A' + model->nodes[node].epoch);
	return position;
}

int model_find(const struct model *model, const struct position *position)
{
	int epoch = position->epoch.text[0] - 'A', node;

	if (epoch < 0 || epoch >= model->n_epochs)
		return NO_NODE;
	if (!position->offset)
		return model->roots[epoch];
	if (!model->ignores_tags) {
		node = (int)position->tag - 1;
		return node < model->n_nodes && model->nodes[node].offset == position->offset &&
				       model->nodes[node].epoch == epoch
			       ? node
			       : NO_NODE;
	}
	/* Without tags several may be meant: the one that is true now, else the newest. */
	node = model_ancestor(model, model->primary.top, position->offset);
	if (node != NO_NODE && model->nodes[node].epoch == epoch)
		return node;
	for (node = model->n_nodes - 1; node >= 0; node--)
		if (model->nodes[node].epoch == epoch && model->nodes[node].offset == position->offset)
			return node;
	return NO_NODE;
}
