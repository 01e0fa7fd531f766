/*
 * Replay: runs a fuzz target over files, and over every prefix of each of them. Needs no fuzzer, so that the
 * corpus is a test of every build.
 */

#include "fuzz.h"

#include <dirent.h>
#include <string.h>

enum {
	INPUT_MAX = 65536,
};

/* From memory of exactly its size, for the sanitizers. */
static void replay(const uint8_t *data, size_t size)
{
	uint8_t *exact = malloc(size ? size : 1);

	PROMISE(exact);
	memcpy(exact, data, size);
	LLVMFuzzerTestOneInput(exact, size);
	free(exact);
}

static void replay_file(const char *folder, const char *name)
{
	static uint8_t data[INPUT_MAX];
	char path[4096];
	size_t size;
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	file = fopen(path, "rb");
	PROMISE(file);
	size = fread(data, 1, sizeof(data), file);
	fclose(file);
	for (size_t n = 0; n <= size; n++)
		replay(data, n);
}

int main(int argc, char **argv)
{
	struct dirent *entry;
	unsigned int n = 0;
	DIR *folder;

	PROMISE(argc == 2);
	folder = opendir(argv[1]);
	PROMISE(folder);
	for (entry = readdir(folder); entry; entry = readdir(folder)) {
		if (entry->d_name[0] == '.')
			continue;
		replay_file(argv[1], entry->d_name);
		n++;
	}
	closedir(folder);
	PROMISE(n > 0); /* an empty corpus proves nothing */
	printf("%u files, none broke a promise\n", n);
	return 0;
}
