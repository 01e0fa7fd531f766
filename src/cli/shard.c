/* `tidegate shard`: which of several Redis servers has a channel, or a key. */

#include "cli/cli.h"

#include <stdio.h>

#include "broker/redis/slot.h"
#include "broker/redis/urls.h"
#include "config/config.h"
#include "core/buf.h"

int cli_shard(const struct config *config, const char *name, bool is_key)
{
	struct redis_urls urls = {0};
	struct buf text = {0}, error = {0};
	unsigned int shard;
	int r = 1;

	if (!*config->redis) {
		fputs("tidegate: shard: redis is memory: there is no server\n", stderr);
		return 1;
	}
	if (redis_urls_parse(config->redis, &urls, &error) < 0) { /* out of memory: it was checked */
		fputs("tidegate: shard: out of memory\n", stderr);
		goto out;
	}
	buf_printf(&text, "%s%s", is_key ? "" : config->channel_prefix, name);
	shard = redis_slot(buf_slice(&text));
	if (urls.elements[0].kind != REDIS_CLUSTER) /* which knows itself who has the slot */
		shard = redis_slot_server(shard, (unsigned int)urls.n);
	buf_reset(&text);
	redis_element_describe(&urls.elements[urls.n > 1 ? shard : 0], &text);
	r = printf("%u %.*s\n", shard, (int)text.len, text.data) < 0;
out:
	redis_urls_deinit(&urls);
	buf_deinit(&text);
	buf_deinit(&error);
	return r;
}
