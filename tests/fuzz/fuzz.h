#ifndef TIDEGATE_TESTS_FUZZ_H
#define TIDEGATE_TESTS_FUZZ_H

/*
 * Fuzz: what every target shares. A target takes bytes, calls one parser and holds what came out against what
 * was promised; a broken promise aborts. libFuzzer drives it (tests/fuzz/run.sh), or replay.c with files.
 */

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Not assert(): a target without its promises would find nothing and say so proudly. */
#define PROMISE(what)                                                                                        \
	do {                                                                                                 \
		if (!(what)) {                                                                               \
			fprintf(stderr, "%s:%d: broken: %s\n", __FILE__, __LINE__, #what);                   \
			abort();                                                                             \
		}                                                                                            \
	} while (0)

#endif
