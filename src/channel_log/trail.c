/* Trail: the tags of the entries right below the ring; see the header. */

#include "channel_log/trail.h"

#include <stdlib.h>
#include <string.h>

#include "channel_log/ring.h"

enum {
	TRAIL_MAX = 64, /* tags; a failover loses what the replica lags behind */
};

uint64_t trail_tag(const struct trail *trail, uint64_t offset)
{
	return offset >= trail->first && offset - trail->first < trail->n ? trail->tags[offset - trail->first]
									  : 0;
}

/* As far as ring or trail know it; 0: unknown. */
static uint64_t tag_of(const struct trail *trail, const struct ring *ring, uint64_t offset)
{
	const struct channel_log_entry *entry = ring_at(ring, offset);

	if (entry)
		return entry->tag;
	return offset == ring->floor_offset && ring->floor_tag ? ring->floor_tag : trail_tag(trail, offset);
}

void trail_note(struct trail *trail, const struct ring *ring)
{
	uint64_t end = ring->floor_offset + ring->n, first = end;
	uint64_t tags[TRAIL_MAX];
	struct trail noted = {0};

	while (first > 1 && end - first < TRAIL_MAX && tag_of(trail, ring, first - 1)) {
		first--;
		tags[TRAIL_MAX - (end - first)] = tag_of(trail, ring, first);
	}
	noted.n = (uint32_t)(end - first);
	noted.first = first;
	noted.tags = noted.n ? malloc(noted.n * sizeof(*noted.tags)) : NULL;
	if (noted.tags)
		memcpy(noted.tags, tags + TRAIL_MAX - noted.n, noted.n * sizeof(*noted.tags));
	else
		noted = (struct trail){0};
	trail_clear(trail);
	*trail = noted;
}

bool trail_knows(const struct trail *trail, uint64_t offset, uint64_t tag)
{
	if (!offset)
		return trail->first == 1 && !tag;
	return tag && trail_tag(trail, offset) == tag;
}

void trail_cut(struct trail *trail, uint64_t offset)
{
	if (offset <= trail->first)
		trail_clear(trail);
	else if (offset - trail->first < trail->n)
		trail->n = (uint32_t)(offset - trail->first);
}

void trail_clear(struct trail *trail)
{
	free(trail->tags);
	*trail = (struct trail){0};
}
