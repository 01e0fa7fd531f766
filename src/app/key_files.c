/* Key files: the texts in the files of token_keys; see the header. */

#include "app/key_files.h"

#include <errno.h>
#include <stdlib.h>

#include "auth/jwks_url.h"
#include "auth/verifier.h"
#include "config/config.h"
#include "core/buf.h"
#include "core/file_mark.h"
#include "core/log.h"
#include "metrics/metrics.h"

struct key_file {
	const char *path; /* of the config */
	struct file_mark mark;
	struct buf text; /* the last one that could be used */
};

struct key_files {
	const struct config *config;
	struct log *log;
	struct metrics *metrics;
	size_t n_files;
	struct key_file files[];
};

/* What changes after the look, while the file is read, is seen at the next look. */
static int read_again(const struct key_files *files, struct key_file *file, struct buf *error)
{
	struct buf text = {0};
	int r = config_read_keys(files->config, file->path, &text, error);

	if (r) {
		buf_wipe(&text);
		return r;
	}
	buf_wipe(&file->text);
	file->text = text;
	return 0;
}

int key_files_new(const struct config *config, struct log *log, struct metrics *metrics,
	struct key_files **filesp, struct buf *error)
{
	struct key_files *files;
	size_t n = 0;
	int r = 0;

	while (config->token_keys[n])
		n++;
	files = calloc(1, sizeof(*files) + n * sizeof(*files->files));
	if (!files)
		return -ENOMEM;
	files->config = config;
	files->log = log;
	files->metrics = metrics;
	for (size_t i = 0; r == 0 && i < n; i++) {
		struct key_file *file = &files->files[files->n_files];

		if (jwks_url_is_url(config->token_keys[i]))
			continue;
		files->n_files++;
		file->path = config->token_keys[i];
		(void)file_mark_look(&file->mark, file->path);
		r = read_again(files, file, error);
	}
	if (r) {
		key_files_free(files);
		return r;
	}
	*filesp = files;
	return 0;
}

void key_files_free(struct key_files *files)
{
	if (!files)
		return;
	for (size_t i = 0; i < files->n_files; i++)
		buf_wipe(&files->files[i].text);
	free(files);
}

void key_files_refuse(const struct key_files *files, struct buf *error)
{
	metrics_add(files->metrics, METRIC_KEYS_FILES_REFUSED, 1);
	log_error(files->log, "key files refused, the old keys go on",
		log_str("reason", error->len && buf_text(error) ? buf_text(error) : "out of memory"));
}

bool key_files_look(struct key_files *files)
{
	bool changed = false;

	for (size_t i = 0; i < files->n_files; i++) {
		struct key_file *file = &files->files[i];
		struct buf error = {0};
		int r;

		if (!file_mark_look(&file->mark, file->path))
			continue;
		r = read_again(files, file, &error);
		if (r)
			key_files_refuse(files, &error);
		if (r == -ENOMEM)
			file->mark = (struct file_mark){0}; /* the next look tries again */
		changed |= r == 0;
		buf_deinit(&error);
	}
	return changed;
}

size_t key_files_count(const struct key_files *files)
{
	return files->n_files;
}

void key_files_list(const struct key_files *files, struct verifier_keys *out)
{
	for (size_t i = 0; i < files->n_files; i++)
		out[i] = (struct verifier_keys){
			.name = files->files[i].path, .text = buf_slice(&files->files[i].text)};
}
