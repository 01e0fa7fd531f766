/*
 * Fuzz credential_find(): the input is a request. Whatever stands in it, what comes out is of the head or of
 * the text beside it, a place that is closed gives nothing away, and a place that is opened takes nothing
 * from one before it.
 */

#include "fuzz.h"

#include <stdbool.h>
#include <string.h>

#include "auth/credential.h"
#include "http/request_head.h"

static bool is_within(struct slice inner, const char *data, size_t size)
{
	return inner.data >= data && inner.data + inner.len <= data + size;
}

static void check(
	const struct request_head *head, const char *data, size_t size, const struct credential_rules *rules)
{
	static struct credential found, narrow;
	static const struct credential_rules closed = {0};
	int r = credential_find(head, rules, &found), without = credential_find(head, &closed, &narrow);

	PROMISE(r == 0 || r == CREDENTIAL_NONE || r == CREDENTIAL_BAD);
	PROMISE(without != 0 || narrow.place <= CREDENTIAL_SUBPROTOCOL);
	if (r == 0)
		PROMISE(is_within(found.token, data, size) ||
			is_within(found.token, found.text, sizeof(found.text)));
	if (r == 0 && found.place == CREDENTIAL_COOKIE)
		PROMISE(!memchr(found.token.data, ';', found.token.len) && head->n[HTTP_COOKIE] > 0);
	if (r == 0 && (found.place == CREDENTIAL_QUERY || found.place == CREDENTIAL_TICKET))
		PROMISE(found.token.len < head->query.len);
	if (without != CREDENTIAL_NONE)
		PROMISE(r == without && narrow.place == found.place);
	if (without == 0)
		PROMISE(slice_equal(found.token, narrow.token));
	if (without != CREDENTIAL_NONE && narrow.place == CREDENTIAL_SUBPROTOCOL)
		PROMISE(credential_in_subprotocols(head));
}

/* The log has a word for it. */
static void check_names(void)
{
	for (int i = 0; i < N_CREDENTIAL_PLACES; i++)
		PROMISE(credential_place_name((enum credential_place)i)[0]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct credential_rules rules[] = {
		{.cookie = "tg"}, {.query = "token"}, {.cookie = "tg", .query = "token", .tickets = true}};
	char *text = malloc(size + 1); /* of its own length: what reads too far is found */
	struct request_head head;
	size_t used;

	PROMISE(text);
	check_names();
	if (size)
		memcpy(text, data, size);
	if (request_head_parse(&head, text, size, REQUEST_HEAD_BYTES, &used) == 0)
		for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
			check(&head, text, size, &rules[i]);
	free(text);
	return 0;
}
