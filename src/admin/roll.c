/* Roll: the nodes that are to answer, and their answers; see the header. */

#include "admin/roll.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/buf.h"
#include "core/text.h"
#include "protocol/json.h"
#include "protocol/message.h"

enum {
	NUMBER_MAX = 20, /* digits of 2^64 - 1 */
};

/* The one of this id, added if it is new. NULL: there are too many. */
static struct roll_node *node_of(struct roll *roll, struct slice id)
{
	struct roll_node *node = roll->nodes;

	for (size_t i = 0; i < roll->n; i++, node++)
		if (slice_is(id, node->id))
			return node;
	if (!id.len || id.len > ROLL_NODE_MAX || memchr(id.data, '\0', id.len) || roll->n == ROLL_MAX)
		return NULL;
	*node = (struct roll_node){0};
	memcpy(node->id, id.data, id.len);
	roll->n++;
	return node;
}

bool roll_expect(struct roll *roll, struct slice id)
{
	return node_of(roll, id);
}

/* 0 for what is no number that fits. */
static uint64_t number_of(struct slice value)
{
	char text[NUMBER_MAX + 1];

	if (!json_is_integer(value) || value.len > NUMBER_MAX || !text_is_digit(value.data[0]))
		return 0;
	memcpy(text, value.data, value.len);
	text[value.len] = '\0';
	return strtoull(text, NULL, 10);
}

static void note_error(struct roll_node *node, struct slice value)
{
	long len = json_is_string(value) ? json_unescape(value, node->error, ROLL_ERROR_MAX) : 0;

	node->error[len < 0 ? text_cut(node->error, ROLL_ERROR_MAX, ROLL_ERROR_MAX) : (size_t)len] = '\0';
}

void roll_note(struct roll *roll, struct slice answer)
{
	struct json_member members[] = {{.name = "node"}, {.name = "n"}, {.name = "error"}};
	struct roll_node *node;
	char id[ROLL_NODE_MAX];
	bool is_object;
	long len;

	if (json_check(answer.data, answer.len, MESSAGE_DEPTH_MAX, members, 3, &is_object) || !is_object)
		return;
	len = json_is_string(members[0].value) ? json_unescape(members[0].value, id, sizeof(id)) : -1;
	node = len > 0 ? node_of(roll, (struct slice){id, (size_t)len}) : NULL;
	if (!node)
		return;
	node->answered = true;
	node->n = number_of(members[1].value);
	note_error(node, members[2].value);
}

bool roll_is_complete(const struct roll *roll)
{
	for (size_t i = 0; i < roll->n; i++)
		if (!roll->nodes[i].answered)
			return false;
	return true;
}

uint64_t roll_sum(const struct roll *roll)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < roll->n; i++)
		sum += roll->nodes[i].n;
	return sum;
}

static void write_answer(const struct roll_node *node, struct buf *out)
{
	buf_append_str(out, "{\"node\":");
	buf_append_json_string(out, node->id, strlen(node->id));
	buf_printf(out, ",\"n\":%" PRIu64, node->n);
	if (*node->error) {
		buf_append_str(out, ",\"error\":");
		buf_append_json_string(out, node->error, strlen(node->error));
	}
	buf_append_char(out, '}');
}

void roll_write(const struct roll *roll, struct buf *out)
{
	const char *comma = "";

	buf_printf(out, ",\"n\":%" PRIu64 ",\"nodes\":[", roll_sum(roll));
	for (size_t i = 0; i < roll->n; i++) {
		if (!roll->nodes[i].answered)
			continue;
		buf_append_str(out, comma);
		write_answer(&roll->nodes[i], out);
		comma = ",";
	}
	buf_append_str(out, "],\"silent\":[");
	comma = "";
	for (size_t i = 0; i < roll->n; i++) {
		if (roll->nodes[i].answered)
			continue;
		buf_append_str(out, comma);
		buf_append_json_string(out, roll->nodes[i].id, strlen(roll->nodes[i].id));
		comma = ",";
	}
	buf_append_char(out, ']');
}
