/* Algorithm: how tokens may be signed, and with which kind of key; see the header. */

#include "auth/algorithm.h"

#include <string.h>

#include "core/buf.h"

static const struct {
	const char *name;
	enum key_kind kind;
	int bits_min;
	bool usual;
} algorithms[N_ALGORITHMS] = {
#define ALGORITHM(id, name, kind, bits_min, usual) {name, kind, bits_min, usual},
#include "auth/algorithm.def"
#undef ALGORITHM
};

enum algorithm algorithm_find(const char *name)
{
	unsigned int i = 0;

	while (i < N_ALGORITHMS && strcmp(algorithms[i].name, name) != 0)
		i++;
	return (enum algorithm)i;
}

unsigned int algorithms_usual(void)
{
	unsigned int set = 0;

	for (unsigned int i = 0; i < N_ALGORITHMS; i++)
		set |= algorithms[i].usual ? 1u << i : 0;
	return set;
}

unsigned int algorithms_of(enum key_kind kind, int bits)
{
	unsigned int set = 0;

	for (unsigned int i = 0; i < N_ALGORITHMS; i++)
		if (algorithms[i].kind == kind && bits >= algorithms[i].bits_min)
			set |= 1u << i;
	return set;
}

void algorithms_write(unsigned int set, struct buf *out)
{
	const char *comma = "";

	for (unsigned int i = 0; i < N_ALGORITHMS; i++)
		if (set & 1u << i) {
			buf_printf(out, "%s%s", comma, algorithms[i].name);
			comma = ",";
		}
}

const char *key_kind_name(enum key_kind kind)
{
	static const char *const names[] = {
		[KEY_UNKNOWN] = "",
		[KEY_SECRET] = "secret",
		[KEY_RSA] = "RSA",
		[KEY_P256] = "EC P-256",
		[KEY_P384] = "EC P-384",
		[KEY_P521] = "EC P-521",
		[KEY_ED25519] = "Ed25519",
	};

	return names[kind];
}
