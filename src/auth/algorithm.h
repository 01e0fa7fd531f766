#ifndef TIDEGATE_SRC_AUTH_ALGORITHM_H
#define TIDEGATE_SRC_AUTH_ALGORITHM_H

/* Algorithm: how tokens may be signed, and with which kind of key; the rows are in algorithm.def. */

#include <stdbool.h>

#include "core/slice.h"

struct buf;

enum key_kind {
	KEY_UNKNOWN,
	KEY_SECRET,
	KEY_RSA,
	KEY_P256,
	KEY_P384,
	KEY_P521,
	KEY_ED25519,
};

enum algorithm {
#define ALGORITHM(id, name, kind, bits_min, usual) ALGORITHM_##id,
#include "auth/algorithm.def"
#undef ALGORITHM
	N_ALGORITHMS,
};

/* Several stand in an unsigned int, each as the bit 1 << algorithm. */

/* N_ALGORITHMS for a name that is none, compared as it is: nOnE and hs256 are none. */
enum algorithm algorithm_find(const char *name);

/* What is accepted where nothing is configured. */
unsigned int algorithms_usual(void);

/* What a key of this kind and size can be used for. */
unsigned int algorithms_of(enum key_kind kind, int bits);

/* "RS256,PS256". */
void algorithms_write(unsigned int set, struct buf *out);

/* "RSA", "EC P-256"; "" for KEY_UNKNOWN. */
const char *key_kind_name(enum key_kind kind);

#endif
