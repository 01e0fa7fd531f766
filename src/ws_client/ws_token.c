/* WS token: a word, or the text of a file; see the header. */

#include "ws_client/ws_token.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

/* A token begins with the bytes of {" in base64; all else is the name of a file that has it. */
int ws_token_read(const char *word, char token[WS_TOKEN_SIZE])
{
	size_t len = 0;
	FILE *file;

	if (strncmp(word, "ey", 2) == 0) {
		len = strlen(word);
		memcpy(token, word, len < WS_TOKEN_SIZE ? len : 0);
	} else {
		file = fopen(word, "re");
		if (!file)
			return -1;
		len = fread(token, 1, WS_TOKEN_SIZE, file);
		fclose(file);
	}
	while (len > 0 && len < WS_TOKEN_SIZE && isspace((unsigned char)token[len - 1]))
		len--;
	if (len == 0 || len >= WS_TOKEN_SIZE)
		return -1;
	token[len] = '\0';
	for (const char *c = token; *c; c++)
		if (*c <= ' ' || *c == 0x7f)
			return -1; /* it would end a line of the request */
	return 0;
}
