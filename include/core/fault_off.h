#ifndef TIDEGATE_CORE_FAULT_OFF_H
#define TIDEGATE_CORE_FAULT_OFF_H

/*
 * Fault off: which mechanisms are switched off, so that tests/fault can show what would happen without them.
 *
 * It exists only in binaries that were built with -Dfault_controls=true. In all others FAULT_OFF() is false,
 * and the member that it would look at does not exist. The composition root reads the words once and hands
 * them down by value.
 */

#ifdef TIDEGATE_FAULT_CONTROLS

#include <stdbool.h>

struct fault_off {
#define FAULT_OFF_ROW(name, sentence) bool name;
#include "core/fault_off.def"
#undef FAULT_OFF_ROW
};

/* "probe,catch_up"; NULL or "": nothing is off. 0, or -EINVAL for a word that is no mechanism. */
int fault_off_parse(const char *text, struct fault_off *off);

/* holder has a member `struct fault_off fault_off`. */
#define FAULT_OFF(holder, name) ((holder)->fault_off.name)

#else

#define FAULT_OFF(holder, name) false

#endif

#endif
