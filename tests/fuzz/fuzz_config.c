/* Fuzz the YAML file: it loads and can be told in our words, or there is one line that says why and where. */

#include "fuzz.h"

#include <string.h>

#include "config/loader.h"
#include "core/buf.h"
#include "protocol/json.h"
#include "route/route.h"

static void check_line(const struct buf *error)
{
	PROMISE(error->len > 2 && memcmp(error->data, "f:", 2) == 0);
	PROMISE(error->data[2] >= '1' && error->data[2] <= '9');
	for (size_t i = 0; i < error->len; i++)
		PROMISE((unsigned char)error->data[i] >= ' ' && error->data[i] != 0x7f);
}

/* As `tidegate check` and GET /config tell it. */
static void check_told(struct loader *loader)
{
	const struct config *config = loader->config;
	struct buf out = {0};
	bool is_object;

	for (size_t i = 0; i < N_OPTIONS; i++)
		if (config->sources->options[i].kind == SOURCE_DEFAULT)
			PROMISE(loader_set_text(loader, &options[i], (struct config_source){0},
					options[i].fallback) == 0);
	config_print(config, NULL, &out);
	PROMISE(out.len && !out.failed);
	buf_reset(&out);
	config_write(config, config, NULL, &out);
	PROMISE(json_check(out.data, out.len, 64, NULL, 0, &is_object) == 0 && is_object);
	buf_deinit(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct config *config = calloc(1, sizeof(*config));
	struct buf error = {0};
	struct loader loader = {config, &error};
	int r;

	PROMISE(config);
	config->sources = calloc(1, sizeof(*config->sources));
	config->routes = route_table_new();
	PROMISE(config->sources && config->routes);
	config->sources->file = strdup("f");
	r = config_file_load(&loader, "f", (const char *)data, size);
	PROMISE(r == 0 || r == CONFIG_BAD);
	PROMISE((r == 0) == (error.len == 0));
	if (r)
		check_line(&error);
	else
		check_told(&loader);
	config_free(config);
	buf_deinit(&error);
	return 0;
}
