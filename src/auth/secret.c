/* Secret: the bytes of a secret as it is configured; see the header. */

#include "auth/secret.h"

#include <errno.h>
#include <string.h>

#include "auth/base64.h"
#include "auth/pem_key.h"
#include "core/buf.h"

static const char base64[] = "base64:";

/* What is wrong with it; NULL: nothing. */
static const char *fault_of(struct slice text, struct buf *bytes)
{
	char *out = buf_reserve(bytes, text.len + 1);

	if (!out)
		return NULL;
	if (!slice_starts(text, base64))
		buf_append(bytes, text.data, text.len);
	else if (!base64_decode_any(
			 (struct slice){text.data + sizeof(base64) - 1, text.len - sizeof(base64) + 1}, out,
			 &bytes->len))
		return "is not base64 behind \"base64:\"";
	if (pem_looks(buf_slice(bytes)))
		return "holds a PEM key; name its file in token_keys";
	if (bytes->len < SECRET_BYTES_MIN)
		return "is shorter than 32 bytes, so it could be guessed from any token: make one with "
		       "openssl "
		       "rand -base64 32";
	return NULL;
}

int secret_read(const char *name, const char *text, struct buf *bytes, struct buf *error)
{
	const char *fault = fault_of(slice_of(text), bytes);

	if (bytes->failed) {
		buf_wipe(bytes);
		return -ENOMEM;
	}
	if (!fault)
		return 0;
	buf_printf(error, "%s %s", name, fault);
	buf_wipe(bytes);
	return SECRET_BAD;
}
