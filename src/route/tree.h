#ifndef TIDEGATE_SRC_ROUTE_TREE_H
#define TIDEGATE_SRC_ROUTE_TREE_H

/*
 * Tree: what belongs to which template, found by walking its parts.
 *
 * A node has literal children, sorted, at most one child for "any plain id" and one for "any id". Looking up
 * costs one binary search a part plus, where a literal leads nowhere, the way back to the variables beside
 * it: the most literal template wins, compared from the left. It allocates nothing and never visits a node
 * twice.
 */

#include <stddef.h>

#include "core/slice.h"

struct template;

struct tree_node {
	const void *value;           /* of the template that ends here; NULL: none does */
	struct tree_node **literals; /* sorted by text */
	size_t n_literals;
	struct tree_node *variable; /* plain ids only */
	struct tree_node *wide;     /* any id */
	size_t len;
	char text[]; /* the literal that leads here */
};

/* A root; NULL when out of memory. */
struct tree_node *tree_new(void);
void tree_free(struct tree_node *node); /* accepts NULL; the values stay the caller's */

/* The value of the template with this shape, or NULL. */
const void *tree_get(const struct tree_node *root, const struct template *template);

/* Sets it, in place of the value that was there. 0 or -ENOMEM. */
int tree_set(struct tree_node *root, const struct template *template, const void *value);

/* The value of the template that matches these parts best, or NULL. An empty part fits variables only. */
const void *tree_match(const struct tree_node *root, const struct slice *parts, size_t n);

#endif
