#ifndef TIDEGATE_WS_CLIENT_WS_TOKEN_H
#define TIDEGATE_WS_CLIENT_WS_TOKEN_H

/* WS token: what a client shows, as a word of the command line: the token itself, or the file that has it. */

enum {
	WS_TOKEN_SIZE = 8001, /* as long as a gateway takes them, with NUL */
};

/* 0, or -1: no such file, or no token. */
int ws_token_read(const char *word, char token[WS_TOKEN_SIZE]);

#endif
