#ifndef TIDEGATE_SRC_ROUTE_TREE_H
#define TIDEGATE_SRC_ROUTE_TREE_H

/*
 * Tree: finds the value of a template by walking its parts.
 *
 * A node has sorted literal children, at most one child for "any plain id" and at most one for "any id". A
 * look-up costs one binary search for each part and, if a literal leads nowhere, the way back to the
 * variables beside it: the most literal template wins, compared from the left. A look-up allocates nothing
 * and never visits a node twice.
 */

#include <stddef.h>

#include "core/slice.h"

struct template;

struct tree_node {
	const void *value;           /* the value of the template that ends here; NULL if no template does */
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
