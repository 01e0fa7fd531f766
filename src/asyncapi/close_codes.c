/* Close codes: a message for each, from the tables that the gateway itself closes by. */

#include "asyncapi/draft.h"

#include <stdio.h>
#include <string.h>

struct row {
	int code;
	const char *reason;
};

/* 1000 is the peer's own, and 1006 is never sent. */
static const struct row rows[] = {
#define CLOSE_REASON(id, word, code, told, sentence) {code, told ? told : sentence},
#include "protocol/close_reason.def"
#undef CLOSE_REASON
#define REFUSAL(id, status, reason, close, code, message, headers) {close, code},
#include "ws/refusal.def"
#undef REFUSAL
};

static bool is_sent(int code)
{
	return code != 0 && code != 1000 && code != 1006;
}

/* The list of reasons of this code's message, which is made if it is not there. */
static json_t *reasons_of(struct draft *draft, int code)
{
	char name[DRAFT_NAME_MAX];
	json_t *message;

	snprintf(name, sizeof(name), "close_%d", code);
	message = json_object_get(draft->messages, name);
	if (!message)
		message = draft_put(draft, draft->messages, name,
			json_pack("{s:o, s:s, s:{s:s, s:{s:{s:i}, s:{s:[]}}}}", "summary",
				json_sprintf("The gateway closes the connection with code %d", code),
				"contentType", "application/octet-stream", "payload", "type", "object",
				"properties", "code", "const", code, "reason", "enum"));
	message = json_object_get(json_object_get(message, "payload"), "properties");
	return json_object_get(json_object_get(message, "reason"), "enum");
}

static bool has(const json_t *reasons, const char *reason)
{
	for (size_t i = 0; i < json_array_size(reasons); i++)
		if (strcmp(json_string_value(json_array_get(reasons, i)), reason) == 0)
			return true;
	return false;
}

static void add_row(struct draft *draft, const struct row *row)
{
	json_t *reasons = reasons_of(draft, row->code);

	if (!has(reasons, row->reason))
		draft_append(draft, reasons, json_string(row->reason));
}

void draft_add_close_codes(struct draft *draft)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (is_sent(rows[i].code))
			add_row(draft, &rows[i]);
}
