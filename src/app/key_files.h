#ifndef TIDEGATE_APP_KEY_FILES_H
#define TIDEGATE_APP_KEY_FILES_H

/*
 * Key files: the texts in the files of token_keys, looked at now and then.
 *
 * A file that cannot be used any more leaves its last good text in force: it takes no key away, and it stands
 * in the way of no other file and of no URL. The log says what is wrong with it. On the bus thread.
 */

#include <stdbool.h>
#include <stddef.h>

struct buf;
struct config;
struct key_files;
struct log;
struct metrics;
struct verifier_keys;

/* Reads them all. Config, log and metrics are borrowed for its life. 0; CONFIG_BAD with one sentence appended
 * to error; or -ENOMEM. */
int key_files_new(const struct config *config, struct log *log, struct metrics *metrics,
	struct key_files **filesp, struct buf *error);
void key_files_free(struct key_files *files); /* accepts NULL */

/* Reads those that were changed since the last look. True if another text holds for one of them. */
bool key_files_look(struct key_files *files);

/* All of it together cannot be used, as the sentence in error says: the log has it, and the metric. */
void key_files_refuse(const struct key_files *files, struct buf *error);

/* How many there are, and the texts that hold; out has room for so many. Borrowed until the next look. */
size_t key_files_count(const struct key_files *files);
void key_files_list(const struct key_files *files, struct verifier_keys *out);

#endif
