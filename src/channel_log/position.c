/* Position: its one spelling, read and written; see the header. */

#include "channel_log/position.h"

#include <assert.h>
#include <string.h>

#include "core/text.h"

static bool is_epoch_char(char c)
{
	return text_is_digit(c) || text_is_alpha(c);
}

/* Cuts the text at the first `at`: head is the part before it, text becomes the part behind it. */
static int cut(struct slice *text, char at, struct slice *head)
{
	const char *found = text->len ? memchr(text->data, at, text->len) : NULL;

	if (!found)
		return POSITION_MALFORMED;
	*head = (struct slice){text->data, (size_t)(found - text->data)};
	*text = (struct slice){found + 1, text->len - head->len - 1};
	return 0;
}

int epoch_parse(struct slice text, struct epoch *epoch)
{
	if (text.len < 1 || text.len > EPOCH_MAX)
		return POSITION_MALFORMED;
	for (size_t i = 0; i < text.len; i++)
		if (!is_epoch_char(text.data[i]))
			return POSITION_MALFORMED;
	*epoch = (struct epoch){0};
	memcpy(epoch->text, text.data, text.len);
	return 0;
}

int position_number_parse(struct slice text, uint64_t *numberp)
{
	uint64_t number = 0;

	if (text.len < 1 || text.len > POSITION_NUMBER_DIGITS || (text.len > 1 && text.data[0] == '0'))
		return POSITION_MALFORMED;
	for (size_t i = 0; i < text.len; i++) {
		if (!text_is_digit(text.data[i]))
			return POSITION_MALFORMED;
		number = number * 10 + (uint64_t)(text.data[i] - '0');
	}
	if (number > POSITION_NUMBER_MAX)
		return POSITION_MALFORMED;
	*numberp = number;
	return 0;
}

int position_id_parse(struct slice text, uint64_t *offsetp, uint64_t *tagp)
{
	struct slice offset;

	if (cut(&text, '-', &offset) || position_number_parse(offset, offsetp) ||
		position_number_parse(text, tagp))
		return POSITION_MALFORMED;
	return *offsetp && *tagp ? 0 : POSITION_MALFORMED;
}

int position_parse(struct slice text, struct position *position)
{
	struct slice epoch, offset;

	if (cut(&text, '.', &epoch) || epoch_parse(epoch, &position->epoch))
		return POSITION_MALFORMED;
	if (cut(&text, '.', &offset) || position_number_parse(offset, &position->offset) ||
		position_number_parse(text, &position->tag))
		return POSITION_MALFORMED;
	return !position->offset == !position->tag ? 0 : POSITION_MALFORMED;
}

/* Behind a dot. Returns where it ends. */
static char *put_number(char *out, uint64_t number)
{
	char digits[POSITION_NUMBER_DIGITS];
	size_t at = sizeof(digits);

	assert(number <= POSITION_NUMBER_MAX);
	do
		digits[--at] = (char)('0' + number % 10);
	while (number /= 10);
	*out++ = '.';
	memcpy(out, digits + at, sizeof(digits) - at);
	return out + sizeof(digits) - at;
}

/* By hand: each entry of a log has one, for which printf(3) takes four times as long. */
size_t position_format(const struct position *position, char out[POSITION_TEXT_MAX])
{
	size_t epoch_len = strnlen(position->epoch.text, EPOCH_MAX);
	char *end;

	memcpy(out, position->epoch.text, epoch_len);
	end = put_number(out + epoch_len, position->offset);
	end = put_number(end, position->tag);
	*end = '\0';
	return (size_t)(end - out);
}

struct since since_parse(struct slice text)
{
	struct since since = {.kind = SINCE_POSITION};

	if (slice_is(text, "now"))
		return (struct since){.kind = SINCE_NOW};
	if (slice_is(text, "start"))
		return (struct since){.kind = SINCE_START};
	if (position_parse(text, &since.position))
		return (struct since){.kind = SINCE_MALFORMED};
	return since;
}

/* "cards=E.102.T". The name says nothing that the position does not: its epoch is that of one log. */
static int named_position_parse(struct slice text, struct position *position)
{
	struct slice name;

	if (cut(&text, '=', &name) || !name.len)
		return POSITION_MALFORMED;
	return position_parse(text, position);
}

struct since since_parse_list(struct slice text, struct position *others, uint32_t n_max)
{
	struct since since = {.kind = SINCE_POSITION, .others = others};
	struct slice element;
	bool more;

	if (!text.len || !memchr(text.data, '=', text.len))
		return since_parse(text);
	more = cut(&text, ',', &element) == 0;
	if (named_position_parse(more ? element : text, &since.position))
		return (struct since){.kind = SINCE_MALFORMED};
	while (more) {
		more = cut(&text, ',', &element) == 0;
		if (since.n_others == n_max ||
			named_position_parse(more ? element : text, &others[since.n_others++]))
			return (struct since){.kind = SINCE_MALFORMED};
	}
	return since;
}
