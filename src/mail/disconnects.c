/* Disconnects: those that are remembered; see the header. */

#include "mail/disconnects.h"

uint32_t disconnects_kept(const struct disconnects *disconnects)
{
	return disconnects->n < DISCONNECTS_KEPT ? (uint32_t)disconnects->n : DISCONNECTS_KEPT;
}

const struct disconnect *disconnects_at(const struct disconnects *disconnects, uint32_t i)
{
	return &disconnects->last[(disconnects->n - 1 - i) % DISCONNECTS_KEPT];
}
