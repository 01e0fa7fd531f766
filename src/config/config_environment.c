/*
 * Environment: options from TIDEGATE_… variables, and from files that TIDEGATE_…_FILE variables name.
 *
 * The second form is how orchestrators hand over secrets: a mounted file instead of a value that every
 * process listing shows. A misspelt variable would silently leave a default in place, so unknown variables
 * are refused, except for those that no operator wrote: Kubernetes sets TIDEGATE_SERVICE_HOST,
 * TIDEGATE_PORT_8080_TCP and their like in each pod beside a service named tidegate (or tidegate-redis, …).
 */
#include "config/loader.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "config/read_file.h"
#include "config/suggest.h"
#include "config/value.h"
#include "core/buf.h"

enum {
	SECRET_MAX = 65536, /* bytes of a file named by a variable */
	VARIABLE_MAX = 64,  /* bytes of a variable's name that may be one of ours */
};

static const char prefix[] = "TIDEGATE_";
static const char file_suffix[] = "_FILE";

static bool ends_with(const char *text, size_t len, const char *suffix)
{
	size_t n = strlen(suffix);

	return len >= n && memcmp(text + len - n, suffix, n) == 0;
}

/* "_PORT_8080_TCP", alone or with "_ADDR", "_PORT", "_PROTO" behind it. */
static bool names_port(const char *name)
{
	const char *found = strstr(name, "_PORT_");
	const char *protocol;

	if (!found)
		return false;
	protocol = found + 6 + strspn(found + 6, "0123456789");
	return protocol > found + 6 &&
	       (strncmp(protocol, "_TCP", 4) == 0 || strncmp(protocol, "_UDP", 4) == 0 ||
		       strncmp(protocol, "_SCTP", 5) == 0);
}

static bool is_made_by_kubernetes(const char *name, const char *value)
{
	size_t len = strlen(name);

	return ends_with(name, len, "_SERVICE_HOST") || strstr(name, "_SERVICE_PORT") ||
	       (ends_with(name, len, "_PORT") && strstr(value, "://")) || names_port(name);
}

static int refuse_unknown(struct loader *loader, const char *name)
{
	const char *known[N_OPTIONS + 1];
	char word[VARIABLE_MAX + 1] = "";
	const char *meant;
	size_t n = 0;

	for (; name[n] && n < VARIABLE_MAX; n++)
		word[n] = name[n] >= 'A' && name[n] <= 'Z' ? (char)(name[n] - 'A' + 'a') : name[n];
	for (size_t i = 0; i < N_OPTIONS; i++)
		known[i] = options[i].name;
	known[N_OPTIONS] = "config";
	meant = suggest(word, known, N_OPTIONS + 1);
	buf_append_str(loader->error, "environment: unknown variable ");
	value_quote(loader->error, name - strlen(prefix));
	if (meant) {
		buf_append_str(loader->error, ": did you mean TIDEGATE_");
		for (; *meant; meant++)
			buf_append_char(loader->error,
				*meant >= 'a' && *meant <= 'z' ? (char)(*meant - 'a' + 'A') : *meant);
		buf_append_char(loader->error, '?');
	}
	return CONFIG_BAD;
}

static int refuse_file(struct loader *loader, const struct option *option, const char *path, const char *why)
{
	source_describe(
		loader->config, option, (struct config_source){.kind = SOURCE_VARIABLE_FILE}, loader->error);
	buf_append_str(loader->error, ": ");
	value_quote(loader->error, path);
	buf_printf(loader->error, ": %s", why);
	return CONFIG_BAD;
}

static int set_from_file(struct loader *loader, const struct option *option, const char *path)
{
	struct buf text = {0};
	int r;

	r = read_file(path, SECRET_MAX, &text);
	if (r == -ENOMEM)
		goto out;
	if (r < 0) {
		r = refuse_file(loader, option, path, strerror(-r));
		goto out;
	}
	/* Editors and `echo` end a file with a newline that is not part of the secret. */
	while (text.len > 0 && (text.data[text.len - 1] == '\n' || text.data[text.len - 1] == '\r'))
		text.len--;
	if (memchr(text.data, '\0', text.len)) {
		r = refuse_file(loader, option, path, "there is a NUL byte in it");
		goto out;
	}
	r = -ENOMEM;
	if (buf_text(&text))
		r = loader_set_text(loader, option, (struct config_source){.kind = SOURCE_VARIABLE_FILE},
			buf_text(&text));
out:
	if (text.data)
		explicit_bzero(text.data, text.cap);
	buf_deinit(&text);
	return r;
}

/* Nobody should have to guess which of the two counts. */
static int refuse_both(struct loader *loader, const struct option *option)
{
	const struct config_source plain = {.kind = SOURCE_VARIABLE};
	const struct config_source file = {.kind = SOURCE_VARIABLE_FILE};

	source_describe(loader->config, option, plain, loader->error);
	buf_append_str(loader->error, " and ");
	source_describe(loader->config, option, file, loader->error);
	buf_append_str(loader->error, " are both set: leave one out");
	return CONFIG_BAD;
}

static int set_variable(struct loader *loader, const char *name, const char *value)
{
	size_t len = strlen(name);
	const struct option *option = option_by_variable(name, len);
	enum source_kind kind = SOURCE_VARIABLE;
	enum source_kind before;

	if (!option && ends_with(name, len, file_suffix)) {
		option = option_by_variable(name, len - strlen(file_suffix));
		kind = SOURCE_VARIABLE_FILE;
	}
	if (!option)
		return is_made_by_kubernetes(name - 1, value) ? 0 : refuse_unknown(loader, name);
	before = loader->config->sources->options[option_index(option)].kind;
	if (before != kind && (before == SOURCE_VARIABLE || before == SOURCE_VARIABLE_FILE))
		return refuse_both(loader, option);
	if (kind == SOURCE_VARIABLE_FILE)
		return set_from_file(loader, option, value);
	return loader_set_text(loader, option, (struct config_source){.kind = kind}, value);
}

int config_environment_load(struct loader *loader, char *const *environment)
{
	for (; environment && *environment; environment++) {
		const char *equals;
		char *name;
		int r;

		if (strncmp(*environment, prefix, strlen(prefix)) != 0)
			continue;
		equals = strchr(*environment, '=');
		if (!equals)
			continue; /* not a variable; execve lets anything through */
		name = strndup(*environment, (size_t)(equals - *environment));
		if (!name)
			return -ENOMEM;
		r = 0;
		if (strcmp(name, "TIDEGATE_CONFIG") != 0)
			r = set_variable(loader, name + strlen(prefix), equals + 1);
		free(name);
		if (r)
			return r;
	}
	return 0;
}
