/* Fuzz command_parse(): its outcome is one of the table, and what it hands out stands in the text and is
 * sound. */

#include "fuzz.h"

#include <stdbool.h>
#include <string.h>

#include "protocol/command.h"
#include "protocol/json.h"

static void check_slice(struct slice slice, const char *text, size_t size)
{
	bool is_object;

	if (!slice.data)
		return;
	PROMISE(slice.data > text && slice.data + slice.len < text + size);
	PROMISE(json_check(slice.data, slice.len, COMMAND_ACTION_DEPTH_MAX, NULL, 0, &is_object) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	struct command command;
	bool is_object;
	int r = command_parse(text, size, &command);

	PROMISE(r >= 0 && r <= COMMAND_BAD_KEY);
	PROMISE(r == 0 || (command_error_code(r) && command_error_message(r)));
	check_slice(command.id, text, size);
	check_slice(command.data, text, size);
	check_slice(command.since, text, size);
	check_slice(command.token, text, size);
	PROMISE(command.data.data || (!command.since.data && !command.recover));
	PROMISE(!command.id.data || json_is_string(command.id) || json_is_integer(command.id));
	PROMISE(command.type == COMMAND_ACTION || !command.data.data || json_is_object(command.data));
	PROMISE(command.key_len <= COMMAND_KEY_MAX && (!command.key_len || command.type == COMMAND_ACTION));
	PROMISE(command.channel_len <= COMMAND_CHANNEL_MAX);
	PROMISE(strlen(command.channel) == command.channel_len);
	if (r)
		return 0;
	PROMISE(json_check(text, size,
			command.type == COMMAND_ACTION ? COMMAND_ACTION_DEPTH_MAX : COMMAND_DEPTH_MAX, NULL,
			0, &is_object) == 0 &&
		is_object);
	PROMISE(command.type != COMMAND_AUTH || json_is_string(command.token));
	PROMISE(command.type != COMMAND_UNSUBSCRIBE || command.channel_len > 0);
	return 0;
}
