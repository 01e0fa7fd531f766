/*
 * Json verdict: says of texts, one a line in hexadecimal digits, what json_check() says, for
 * tests/integration/test_json.py to hold against another parser.
 *
 * A line of answer: "invalid", "deep", or "good"; behind "good" the member "a" of the outermost object if
 * there is one: how often, where it stands, and its bytes unescaped if it is a string.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/text.h"
#include "protocol/json.h"

enum {
	DEPTH_MAX = 128,
};

/* In place; returns the number of bytes. */
static size_t from_hex(char *line)
{
	size_t n = 0;

	for (const char *c = line; c[0] && c[1] && c[0] != '\n'; c += 2)
		line[n++] = (char)(text_hex_value((unsigned char)c[0]) << 4 |
				   text_hex_value((unsigned char)c[1]));
	return n;
}

static void print_string(struct slice value)
{
	char *out = malloc(value.len);
	long n = out ? json_unescape(value, out, value.len) : -1;

	if (n < 0)
		abort();
	putchar(' ');
	for (long i = 0; i < n; i++)
		printf("%02x", (unsigned int)(unsigned char)out[i]);
	free(out);
}

static void judge(const char *text, size_t len)
{
	struct json_member member = {.name = "a"};
	bool is_object;
	int r = json_check(text, len, DEPTH_MAX, &member, 1, &is_object);

	if (r) {
		puts(r == JSON_TOO_DEEP ? "deep" : "invalid");
		return;
	}
	fputs("good", stdout);
	if (is_object && member.n)
		printf(" %zu %zu %zu", member.n, (size_t)(member.value.data - text), member.value.len);
	if (is_object && json_is_string(member.value))
		print_string(member.value);
	putchar('\n');
}

int main(void)
{
	char *line = NULL;
	size_t size = 0;

	while (getline(&line, &size, stdin) > 0) {
		size_t len = from_hex(line);
		char *exact = malloc(len ? len : 1); /* of its size, for the sanitizers */

		if (!exact)
			abort();
		memcpy(exact, line, len);
		judge(exact, len);
		free(exact);
	}
	free(line);
	return 0;
}
