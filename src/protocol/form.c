/* Form: the forms there are, and how each is made; see the header. */

#include "protocol/form.h"

#include <assert.h>
#include <errno.h>

#include "protocol/deflater.h"
#include "protocol/message.h"

int form_maker_init(struct form_maker *maker, size_t deflate_bytes_min)
{
	*maker = (struct form_maker){.deflater = deflater_new(deflate_bytes_min)};
	return maker->deflater ? 0 : -ENOMEM;
}

void form_maker_deinit(struct form_maker *maker)
{
	deflater_free(maker->deflater);
	buf_deinit(&maker->line);
	*maker = (struct form_maker){0};
}

void form_maker_configure(struct form_maker *maker, size_t deflate_bytes_min)
{
	deflater_set_min(maker->deflater, deflate_bytes_min);
}

/* docs/decisions/0007-deflate-is-ours.md */
static int make_deflated(struct form_maker *maker, const struct message *plain, struct form_bytes *bytes)
{
	int r = deflater_run(maker->deflater, message_text(plain), &bytes->body);

	if (r == DEFLATER_NO_GAIN)
		return FORM_LIKE_PLAIN;
	if (r == 0)
		bytes->head_len = frame_header_write(bytes->head, FRAME_TEXT, true, bytes->body.len);
	return r;
}

static int make_stream(
	struct form_maker *maker, const struct message *plain, struct slice pos, struct form_bytes *bytes)
{
	bytes->body = event_stream_line(message_text(plain), &maker->line);
	if (!bytes->body.data)
		return -ENOMEM;
	bytes->head_len = event_stream_head_write(bytes->head, pos, plain->retry_ms);
	bytes->is_text = true;
	bytes->tail = slice_of(EVENT_STREAM_TAIL);
	return 0;
}

static int make_sse(struct form_maker *maker, const struct message *plain, struct form_bytes *bytes)
{
	return make_stream(maker, plain, message_pos(plain), bytes);
}

/* For a peer that hears several channels: its positions (client/positions.h) are told apart from the
 * messages. */
static int make_sse_bare(struct form_maker *maker, const struct message *plain, struct form_bytes *bytes)
{
	return make_stream(maker, plain, (struct slice){0}, bytes);
}

static const struct {
	int (*make)(struct form_maker *maker, const struct message *plain, struct form_bytes *bytes);
	enum form single;
	size_t growth;
	bool plain_does;
} forms[N_FORMS] = {
#define FORM(id, make, single, growth, plain_does) [FORM_##id] = {make, FORM_##single, growth, plain_does},
#include "protocol/form.def"
#undef FORM
};

int form_make(struct form_maker *maker, enum form form, const struct message *plain, struct form_bytes *bytes)
{
	assert(form != FORM_PLAIN);
	*bytes = (struct form_bytes){0};
	return forms[form].make(maker, plain, bytes);
}

enum form form_single(enum form form)
{
	return forms[form].single;
}

size_t form_growth(enum form form)
{
	return forms[form].growth;
}

bool form_plain_does(enum form form)
{
	return forms[form].plain_does;
}
