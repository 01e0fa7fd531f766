/*
 * Fuzz redis_urls_parse(): the input is what stands at `redis:`. It is refused in one printable sentence, or
 * each element leads somewhere, can be copied, and can be told in one line.
 */

#include "fuzz.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "broker/redis/urls.h"
#include "core/buf.h"

static void check_line(const struct buf *text)
{
	PROMISE(text->len && !text->failed);
	for (size_t i = 0; i < text->len; i++)
		PROMISE((unsigned char)text->data[i] >= ' ' && text->data[i] != 0x7f);
}

static void check_element(const struct redis_element *element)
{
	struct redis_element copy;
	struct buf text = {0}, again = {0};

	PROMISE(element->kind != REDIS_SINGLE || !element->server.host != !element->server.unix_path);
	PROMISE(element->kind == REDIS_SINGLE || (element->n_seeds && !element->server.host));
	PROMISE((element->kind == REDIS_SENTINEL) == (element->master && *element->master));
	for (size_t i = 0; i < element->n_seeds; i++)
		PROMISE(element->seeds[i].host && *element->seeds[i].host && element->seeds[i].port);
	PROMISE(redis_element_copy(element, &copy) == 0);
	redis_element_describe(element, &text);
	redis_element_describe(&copy, &again);
	PROMISE(text.len && slice_equal(buf_slice(&text), buf_slice(&again)));
	buf_deinit(&text);
	buf_deinit(&again);
	redis_element_deinit(&copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);
	struct redis_urls urls;
	struct buf out = {0};
	int r;

	PROMISE(text);
	if (size)
		memcpy(text, data, size);
	text[size] = '\0';
	r = redis_urls_parse(text, &urls, &out);
	PROMISE(r == 0 || r == -EINVAL);
	PROMISE((r == 0) == (out.len == 0) && (r == 0) == (urls.n > 0));
	if (r == 0) {
		for (size_t i = 0; i < urls.n; i++)
			check_element(&urls.elements[i]);
		redis_urls_print(&urls, &out);
		(void)redis_urls_hash(&urls);
	}
	check_line(&out);
	(void)redis_urls_want_tls(text);
	redis_urls_deinit(&urls);
	buf_deinit(&out);
	free(text);
	return 0;
}
