/*
 * Tree: what belongs to which template, found by walking its parts.
 *
 *	/ws/cards            root ─ "ws" ─┬─ "cards" (1)
 *	/ws/{topic}/all                   └─ {…} ─┬─ "all" (2)
 *	/ws/{topic}/{id}                          └─ {…} (3)
 *
 * Depth is bounded by ROUTE_SEGMENTS_MAX, so recursion is too.
 */
#include "route/tree.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "route/names.h"
#include "route/template.h"

static struct tree_node *node_new(const char *text, size_t len)
{
	struct tree_node *node = calloc(1, sizeof(*node) + len + 1);

	if (!node)
		return NULL;
	node->len = len;
	memcpy(node->text, text, len);
	return node;
}

struct tree_node *tree_new(void)
{
	return node_new("", 0);
}

void tree_free(struct tree_node *node)
{
	if (!node)
		return;
	for (size_t i = 0; i < node->n_literals; i++)
		tree_free(node->literals[i]);
	free(node->literals);
	tree_free(node->variable);
	tree_free(node->wide);
	free(node);
}

static int compare(const struct tree_node *node, struct slice text)
{
	size_t common = node->len < text.len ? node->len : text.len;
	int r = memcmp(node->text, text.data, common);

	if (r)
		return r;
	return node->len < text.len ? -1 : node->len > text.len;
}

/* The place of the literal among the children, or the place where it would have to go. */
static size_t literal_place(const struct tree_node *node, struct slice text)
{
	size_t low = 0;
	size_t high = node->n_literals;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (compare(node->literals[middle], text) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static struct tree_node *literal_child(const struct tree_node *node, struct slice text)
{
	size_t i;

	if (text.len == 0)
		return NULL;
	i = literal_place(node, text);
	if (i < node->n_literals && compare(node->literals[i], text) == 0)
		return node->literals[i];
	return NULL;
}

static struct tree_node *add_literal(struct tree_node *node, struct slice text)
{
	size_t i = literal_place(node, text);
	struct tree_node **grown;
	struct tree_node *child;

	grown = reallocarray(node->literals, node->n_literals + 1, sizeof(*grown));
	if (!grown)
		return NULL;
	node->literals = grown;
	child = node_new(text.data, text.len);
	if (!child)
		return NULL;
	memmove(&grown[i + 1], &grown[i], (node->n_literals - i) * sizeof(*grown));
	grown[i] = child;
	node->n_literals++;
	return child;
}

static struct tree_node *child_of(const struct tree_node *node, const struct template_part *part)
{
	if (!part->is_variable)
		return literal_child(node, part->text);
	return part->wide ? node->wide : node->variable;
}

static struct tree_node *add_child(struct tree_node *node, const struct template_part *part)
{
	if (!part->is_variable)
		return add_literal(node, part->text);
	*(part->wide ? &node->wide : &node->variable) = node_new("", 0);
	return child_of(node, part);
}

const void *tree_get(const struct tree_node *root, const struct template *template)
{
	const struct tree_node *node = root;

	for (size_t i = 0; node && i < template->n_parts; i++)
		node = child_of(node, &template->parts[i]);
	return node ? node->value : NULL;
}

int tree_set(struct tree_node *root, const struct template *template, const void *value)
{
	struct tree_node *node = root;

	for (size_t i = 0; i < template->n_parts; i++) {
		struct tree_node *child = child_of(node, &template->parts[i]);

		if (!child)
			child = add_child(node, &template->parts[i]);
		if (!child)
			return -ENOMEM;
		node = child;
	}
	node->value = value;
	return 0;
}

const void *tree_match(const struct tree_node *root, const struct slice *parts, size_t n)
{
	const struct tree_node *child;
	const void *value;

	if (n == 0)
		return root->value;
	child = literal_child(root, parts[0]);
	value = child ? tree_match(child, parts + 1, n - 1) : NULL;
	if (!value && root->variable && !name_is_wide(parts[0].data, parts[0].len))
		value = tree_match(root->variable, parts + 1, n - 1);
	if (!value && root->wide)
		value = tree_match(root->wide, parts + 1, n - 1);
	return value;
}
