/* Draft: the parts that all of the document is made of; see the header. */

#include "asyncapi/draft.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

json_t *draft_put(struct draft *draft, json_t *object, const char *name, json_t *value)
{
	if (json_object_set_new(object, name, value) == 0)
		return value;
	draft->failed = true;
	return NULL;
}

void draft_append(struct draft *draft, json_t *array, json_t *value)
{
	if (json_array_append_new(array, value) != 0)
		draft->failed = true;
}

json_t *draft_ref(const char *where, const char *name, const char *part)
{
	return json_pack("{s:o}", "$ref",
		json_sprintf("#/%s/%s%s%s", where, name, part ? "/messages/" : "", part ? part : ""));
}

/* Letters, digits and '-' as they are, and '_' for each run of other bytes. */
static size_t write_name(const char *text, char *name, size_t room)
{
	size_t len = 0;

	for (; *text && len < room; text++) {
		bool plain = isalnum((unsigned char)*text) || *text == '-';

		if (plain || (len > 0 && name[len - 1] != '_'))
			name[len++] = plain ? *text : '_';
	}
	while (len > 0 && name[len - 1] == '_')
		len--;
	return len;
}

void draft_name(const json_t *object, const char *prefix, const char *text, char name[DRAFT_NAME_MAX])
{
	size_t begin = (size_t)snprintf(name, DRAFT_NAME_MAX, "%s", prefix);
	size_t end = begin + write_name(text, name + begin, DRAFT_NAME_MAX - begin - 16);

	name[end] = '\0';
	for (unsigned int n = 2; json_object_get(object, name); n++)
		snprintf(name + end, DRAFT_NAME_MAX - end, "_%u", n);
}

/* {"address": …, "parameters": {…}} from the address as it was written so far. */
struct address {
	char text[DRAFT_NAME_MAX];
	size_t len;
	json_t *parameters;
};

static void append(struct address *address, const char *text, size_t len)
{
	if (len >= sizeof(address->text) - address->len)
		len = sizeof(address->text) - address->len - 1;
	memcpy(address->text + address->len, text, len);
	address->len += len;
	address->text[address->len] = '\0';
}

/* Takes the variable that begins at `variable`, behind its brace. */
static void add_parameter(struct draft *draft, struct address *address, const char *variable, size_t len)
{
	static const char token[] = "token.";
	bool of_token = strncmp(variable, token, sizeof(token) - 1) == 0;
	size_t begin = address->len;
	char name[DRAFT_NAME_MAX];

	append(address, variable, len);
	snprintf(name, sizeof(name), "%s", address->text + begin);
	if (of_token) {
		address->text[begin + sizeof(token) - 2] = '_';
		name[sizeof(token) - 2] = '_';
	}
	draft_put(draft, address->parameters, name,
		json_pack("{s:s}", "description",
			of_token ? "A claim of the connection's token: bytes outside A-Z a-z 0-9 . _ - stand "
				   "as ~XX."
				 : "An id: 1 to 128 bytes of A-Z a-z 0-9 . _ ~ -, as they stand after "
				   "decoding %XX once."));
}

json_t *draft_address(struct draft *draft, const char *prefix, const char *template)
{
	struct address address = {.parameters = json_object()};
	json_t *made;

	append(&address, prefix, strlen(prefix));
	while (*template) {
		size_t len = strcspn(template, "{");

		append(&address, template, len);
		template += len;
		if (*template) {
			len = strcspn(template, "}");
			append(&address, "{", 1);
			add_parameter(draft, &address, template + 1, len - 1);
			append(&address, "}", 1);
			template += len + 1;
		}
	}
	made = json_pack("{s:s, s:o}", "address", address.text, "parameters", address.parameters);
	if (made && json_object_size(address.parameters) == 0)
		json_object_del(made, "parameters");
	return made;
}
