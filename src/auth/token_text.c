/* Token text: tokens for people; see the header. */

#include "auth/token_text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "auth/base64.h"
#include "auth/claims_object.h"
#include "auth/json_object.h"
#include "auth/secret.h"
#include "auth/verifier.h"
#include "core/buf.h"

int token_text_sign(const char *secret, struct slice payload, struct buf *out, struct buf *error)
{
	static const char header[] = "{\"alg\":\"HS256\",\"typ\":\"JWT\"}";
	unsigned char signature[EVP_MAX_MD_SIZE];
	unsigned int len = 0;
	struct buf bytes = {0};
	size_t start = out->len;
	int r = secret_read("token_secret", secret, &bytes, error);

	if (r)
		return r < 0 ? r : TOKEN_TEXT_BAD;
	base64url_append(out, header, sizeof(header) - 1);
	buf_append_char(out, '.');
	base64url_append(out, payload.data, payload.len);
	if (out->failed || !HMAC(EVP_sha256(), bytes.data, (int)bytes.len, (unsigned char *)out->data + start,
				   out->len - start, signature, &len))
		r = -ENOMEM;
	buf_wipe(&bytes);
	if (r)
		return r;
	buf_append_char(out, '.');
	base64url_append(out, signature, len);
	return out->failed ? -ENOMEM : 0;
}

/* A part of the token, which is to be a JSON object. 0 and *objectp; -ENOMEM; TOKEN_TEXT_BAD: it is none. */
static int read_part(struct slice part, json_t **objectp)
{
	char bytes[TOKEN_BYTES_MAX];
	size_t len;
	int r;

	if (part.len > sizeof(bytes) || !base64url_decode(part, bytes, &len))
		return TOKEN_TEXT_BAD;
	r = json_object_read((struct slice){bytes, len}, objectp);
	return r <= 0 ? r : TOKEN_TEXT_BAD;
}

static int show(const char *name, struct slice part, struct buf *out)
{
	json_t *object = NULL;
	int r = read_part(part, &object);
	char *text;

	if (r)
		return r < 0 ? r : 0;
	text = json_dumps(object, JSON_COMPACT | JSON_ENSURE_ASCII);
	json_decref(object);
	if (!text)
		return -ENOMEM;
	buf_printf(out, "%-9s%s\n", name, text);
	free(text);
	return out->failed ? -ENOMEM : 0;
}

/* Finds the header and the payload. False: there are not three parts. */
static bool split(struct slice token, struct slice *headerp, struct slice *payloadp)
{
	const char *first = token.len ? memchr(token.data, '.', token.len) : NULL;
	const char *last = first ? memrchr(token.data, '.', token.len) : NULL;

	if (!first || first == last || memchr(first + 1, '.', (size_t)(last - first - 1)))
		return false;
	*headerp = (struct slice){token.data, (size_t)(first - token.data)};
	*payloadp = (struct slice){first + 1, (size_t)(last - first - 1)};
	return true;
}

int token_text_show(struct slice token, struct buf *out)
{
	struct slice header, payload;
	int r;

	if (!split(token, &header, &payload))
		return 0;
	r = show("header", header, out);
	return r ? r : show("payload", payload, out);
}

/* What is wrong with a part of the token, which is to be a JSON object; NULL: nothing. */
static const char *object_fault(struct slice part, json_t **objectp)
{
	char bytes[TOKEN_BYTES_MAX];
	size_t len;

	if (!base64url_decode(part, bytes, &len))
		return "a part is not base64url: it has padding (=), other letters (+ / or spaces), or its "
		       "end is cut off";
	if (json_object_read((struct slice){bytes, len}, objectp))
		return "its header or its payload is no JSON object that says each thing once";
	return NULL;
}

/* What is wrong with a payload that is an object. */
static const char *payload_fault(struct slice part)
{
	struct claims_object object;
	char bytes[TOKEN_BYTES_MAX];
	size_t len;

	(void)base64url_decode(part, bytes, &len);
	return claims_parse(bytes, len, &object)
		       ? "its payload has more than 256 members, or is nested deeper than 16"
		       : NULL;
}

static const char *header_fault(const json_t *header)
{
	const json_t *kid = json_object_get(header, "kid");

	if (!json_is_string(json_object_get(header, "alg")))
		return "its header has no alg";
	if (kid && !json_is_string(kid))
		return "the kid of its header is no text";
	if (json_object_get(header, "crit"))
		return "its header has crit, and no extension is known here";
	return NULL;
}

const char *token_text_fault(struct slice token)
{
	json_t *header = NULL, *payload = NULL;
	struct slice parts[2];
	const char *fault;

	if (token.len > TOKEN_BYTES_MAX)
		return "it is longer than 8,000 bytes";
	if (!split(token, &parts[0], &parts[1]))
		return "it has not three parts, with dots between them";
	fault = object_fault(parts[0], &header);
	if (!fault)
		fault = header_fault(header);
	if (!fault)
		fault = object_fault(parts[1], &payload);
	if (!fault)
		fault = payload_fault(parts[1]);
	json_decref(header);
	json_decref(payload);
	return fault ? fault : "its signature or nbf is not in the form that is wanted";
}
