/*
 * Redis loader: the form in which a server has our functions. See loader.h.
 */

#include "broker/redis/loader.h"

#include <errno.h>
#include <string.h>

#include "broker/redis/error.h"
#include "broker/redis/link.h"

static void on_version(void *arg, const struct redis_reply *reply)
{
	const struct redis_value *value;
	struct redis_loader *loader = arg;
	struct slice error = {0};

	if (!reply)
		return;
	value = &reply->values[0];
	if (value->kind == REDIS_ERROR)
		error = redis_reply_text(reply, 0);
	/* A newer library serves us too, and the gateways that brought it. */
	if (value->kind == REDIS_INTEGER && value->integer >= redis_script_version()) {
		loader->listener.found(loader->listener.arg);
	} else if (!error.data || redis_error_is_missing(error)) {
		loader->listener.missing(loader->listener.arg);
	} else if (redis_error_is_unknown(error)) {
		loader->has_scripts = true;
		loader->listener.missing(loader->listener.arg);
	} else {
		loader->listener.failed(loader->listener.arg, "FCALL tidegate_version", error);
	}
}

static void on_loaded(void *arg, const struct redis_reply *reply)
{
	struct redis_loader *loader = arg;
	struct slice error;

	if (!reply)
		return;
	if (reply->values[0].kind != REDIS_ERROR) {
		loader->listener.found(loader->listener.arg);
		return;
	}
	error = redis_reply_text(reply, 0);
	if (redis_error_is_unknown(error)) {
		loader->has_scripts = true;
		loader->listener.missing(loader->listener.arg);
	} else {
		loader->listener.failed(loader->listener.arg, "FUNCTION LOAD", error);
	}
}

/* Without its sum a script is sent whole each time: dear, and it works. So no answer is a failure here. */
static void on_script(void *arg, const struct redis_reply *reply)
{
	const struct redis_loader_script *script = arg;
	struct redis_loader *loader = script->loader;

	if (!reply)
		return;
	if (reply->values[0].kind == REDIS_STRING && reply->values[0].len == REDIS_LOADER_SUM_DIGITS)
		memcpy(loader->sums[script->function], redis_reply_text(reply, 0).data,
			REDIS_LOADER_SUM_DIGITS);
	if (script->function == N_REDIS_FUNCTIONS - 1)
		loader->listener.found(loader->listener.arg);
}

static int load_scripts(struct redis_loader *loader, struct redis_link *link)
{
	int r = 0;

	for (int i = 0; i < N_REDIS_FUNCTIONS && r == 0; i++) {
		loader->awaited[i] = (struct redis_loader_script){loader, (enum redis_function)i};
		r = redis_link_ask(link,
			(struct slice[]){
				slice_of("SCRIPT"), slice_of("LOAD"), buf_slice(&loader->scripts[i])},
			3, on_script, &loader->awaited[i]);
	}
	return r;
}

int redis_loader_look(struct redis_loader *loader, struct redis_link *link)
{
	return redis_link_ask(link,
		(struct slice[]){slice_of("FCALL"), slice_of("tidegate_version"), slice_of("0")}, 3,
		on_version, loader);
}

int redis_loader_load(struct redis_loader *loader, struct redis_link *link)
{
	if (loader->has_scripts)
		return load_scripts(loader, link);
	return redis_link_ask(link,
		(struct slice[]){slice_of("FUNCTION"), slice_of("LOAD"), slice_of("REPLACE"),
			buf_slice(&loader->library)},
		4, on_loaded, loader);
}

void redis_loader_address(
	const struct redis_loader *loader, enum redis_function function, bool whole, struct slice words[2])
{
	const char *sum = loader->sums[function];

	if (!loader->has_scripts) {
		words[0] = slice_of("FCALL");
		words[1] = slice_of(redis_function_name(function));
	} else if (*sum && !whole) {
		words[0] = slice_of("EVALSHA");
		words[1] = slice_of(sum);
	} else {
		words[0] = slice_of("EVAL");
		words[1] = buf_slice(&loader->scripts[function]);
	}
}

void redis_loader_forget(struct redis_loader *loader)
{
	loader->has_scripts = false;
	memset(loader->sums, 0, sizeof(loader->sums));
}

int redis_loader_init(struct redis_loader *loader, const struct redis_loader_listener *listener)
{
	bool failed;

	*loader = (struct redis_loader){.listener = *listener};
	redis_script_library(&loader->library);
	failed = loader->library.failed;
	for (int i = 0; i < N_REDIS_FUNCTIONS; i++) {
		redis_script_of((enum redis_function)i, &loader->scripts[i]);
		failed |= loader->scripts[i].failed;
	}
	return failed ? -ENOMEM : 0;
}

void redis_loader_deinit(struct redis_loader *loader)
{
	buf_deinit(&loader->library);
	for (int i = 0; i < N_REDIS_FUNCTIONS; i++)
		buf_deinit(&loader->scripts[i]);
}
