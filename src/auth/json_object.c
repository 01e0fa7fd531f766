/* JSON object: a stranger's text that is one; see the header. */

#include "auth/json_object.h"

#include <errno.h>

#include <jansson.h>

#include "auth/json_memory.h"

int json_object_read(struct slice json, json_t **objectp)
{
	json_error_t error;
	json_t *object;

	json_memory_watch();
	object = json_loadb(json.data, json.len, JSON_REJECT_DUPLICATES, &error);
	if (json_memory_failed()) {
		json_decref(object);
		return -ENOMEM;
	}
	if (!json_is_object(object)) {
		json_decref(object);
		return JSON_OBJECT_BAD;
	}
	*objectp = object;
	return 0;
}
