/* Token text: tokens for people; see the header. */

#include "auth/token_text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "auth/base64.h"
#include "auth/secret.h"
#include "auth/token.h"
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
	secret_deinit(&bytes);
	if (r)
		return r;
	buf_append_char(out, '.');
	base64url_append(out, signature, len);
	return out->failed ? -ENOMEM : 0;
}

static int show(const char *name, const json_t *object, struct buf *out)
{
	char *text;

	if (!object)
		return 0;
	text = json_dumps(object, JSON_COMPACT | JSON_ENSURE_ASCII);
	if (!text)
		return -ENOMEM;
	buf_printf(out, "%-9s%s\n", name, text);
	free(text);
	return out->failed ? -ENOMEM : 0;
}

int token_text_show(struct slice text, struct buf *out)
{
	struct token token;
	int r = token_parse(text, &token);

	r = r < 0 ? r : show("header", token.header, out);
	if (r == 0)
		r = show("payload", token.payload, out);
	token_deinit(&token);
	return r;
}
