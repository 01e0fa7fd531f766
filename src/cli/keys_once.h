#ifndef TIDEGATE_SRC_CLI_KEYS_ONCE_H
#define TIDEGATE_SRC_CLI_KEYS_ONCE_H

/* Keys once: the keys behind the URL of token_keys, fetched as a gateway would. */

struct buf;
struct config;

/* Appends the text to out; without a URL nothing. 0; 1 with one sentence appended to error; or -ENOMEM. */
int keys_once(const struct config *config, struct buf *out, struct buf *error);

#endif
