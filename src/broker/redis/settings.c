/* Redis settings: the options of some servers, as a copy; see settings.h. */

#include "broker/redis/settings.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int redis_settings_init(struct redis_settings *settings, const struct redis_element *element,
	const struct redis_options *options)
{
	settings->options = *options;
	settings->options.urls = NULL; /* the caller's */
	settings->prefix = strdup(options->channel_prefix);
	settings->node_id = strdup(options->node_id);
	buf_printf(&settings->client_name, "tidegate-%s", options->node_id);
	if (!settings->prefix || !settings->node_id || !buf_text(&settings->client_name))
		return -ENOMEM;
	settings->options.channel_prefix = settings->prefix;
	settings->options.node_id = settings->node_id;
	return redis_element_copy(element, &settings->element);
}

void redis_settings_deinit(struct redis_settings *settings)
{
	redis_element_deinit(&settings->element);
	buf_deinit(&settings->client_name);
	free(settings->prefix);
	free(settings->node_id);
}
