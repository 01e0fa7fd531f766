/* Fuzz control_command_parse(): what it takes is sound, whatever comes. */

#include "fuzz.h"

#include <string.h>

#include "core/text.h"
#include "protocol/control_command.h"

static void check_text(const struct control_text *text, size_t max)
{
	PROMISE(text->len <= max);
	PROMISE(strlen(text->bytes) == text->len);
	for (size_t i = 0; i < text->len;) {
		size_t n = text_utf8_sequence((const unsigned char *)text->bytes + i, text->len - i);

		PROMISE(n > 0 && (unsigned char)text->bytes[i] >= ' ');
		i += n;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct control_command command;
	const char *wrong = control_command_parse((struct slice){(const char *)data, size}, &command);

	check_text(&command.reply, CONTROL_NAME_MAX);
	if (wrong)
		return 0;
	PROMISE(command.what < N_CONTROL_DO && command.who < N_CONTROL_WHO);
	check_text(&command.name, CONTROL_NAME_MAX);
	check_text(&command.channel, CONTROL_NAME_MAX);
	check_text(&command.reason, CONTROL_REASON_MAX);
	PROMISE(command.name.len > 0);
	PROMISE((command.who == CONTROL_CONN) == (command.conn != 0));
	PROMISE(!command.code || (command.code >= CONTROL_CODE_MIN && command.code <= CONTROL_CODE_MAX));
	PROMISE(command.issued_before_ms >= 0 && command.until_ms >= 0);
	PROMISE(command.what == CONTROL_DISCONNECT || (!command.code && !command.reason.len));
	return 0;
}
