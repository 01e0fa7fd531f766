#ifndef TIDEGATE_SIM_SHRINK_H
#define TIDEGATE_SIM_SHRINK_H

/* Shrink: leaves out of a failing script what it fails without. */

#include "world.h"

/* The script must fail; it still fails in the same way afterwards, with no step to spare. */
void shrink(struct script *script, const struct control *control);

#endif
