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

/* What a reload of the same file would find: nothing is different, whichever is asked about the other. */
static void check_compared(
	const struct config *config, const struct config *again, const struct config *other)
{
	size_t n = route_table_size(config->routes);

	PROMISE(route_table_size(again->routes) == n);
	for (size_t i = 0; i < n; i++) {
		const struct route *route = route_table_get(config->routes, i);

		PROMISE(route_serves_alike(route, route_table_get(again->routes, i)));
		for (size_t j = 0; j < i; j++)
			PROMISE(!route_serves_alike(route, route_table_get(config->routes, j)));
	}
	for (size_t i = 0; i < N_OPTIONS; i++) {
		PROMISE(option_equal(&options[i], config, again));
		PROMISE(option_equal(&options[i], config, other) == option_equal(&options[i], other, config));
	}
}

/* As `tidegate check` and GET /config tell it. */
static void check_told(const struct config *config)
{
	struct buf out = {0};
	bool is_object;

	config_print(config, NULL, &out);
	PROMISE(out.len && !out.failed);
	buf_reset(&out);
	config_write(config, config, NULL, &out);
	PROMISE(json_check(out.data, out.len, 64, NULL, 0, &is_object) == 0 && is_object);
	buf_deinit(&out);
}

/* 0 and *configp with all that the text does not say; or CONFIG_BAD and error. */
static int load(const char *data, size_t size, struct config **configp, struct buf *error)
{
	struct config *config = calloc(1, sizeof(*config));
	struct loader loader = {config, error};
	int r;

	PROMISE(config);
	config->sources = calloc(1, sizeof(*config->sources));
	config->routes = route_table_new();
	PROMISE(config->sources && config->routes);
	config->sources->file = strdup("f");
	r = config_file_load(&loader, "f", data, size);
	PROMISE(r == 0 || r == CONFIG_BAD);
	PROMISE((r == 0) == (error->len == 0));
	for (size_t i = 0; r == 0 && i < N_OPTIONS; i++)
		if (config->sources->options[i].kind == SOURCE_DEFAULT)
			PROMISE(loader_set_text(&loader, &options[i], (struct config_source){0},
					options[i].fallback) == 0);
	*configp = config;
	return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct config *config, *again = NULL, *defaults = NULL;
	struct buf error = {0};
	int r = load((const char *)data, size, &config, &error);

	if (r) {
		check_line(&error);
	} else {
		check_told(config);
		PROMISE(load((const char *)data, size, &again, &error) == 0);
		PROMISE(load("", 0, &defaults, &error) == 0);
		check_compared(config, again, defaults);
		config_free(again);
		config_free(defaults);
	}
	config_free(config);
	buf_deinit(&error);
	return 0;
}
