/* SPDX-License-Identifier: BSD-3-Clause */
/* Runs a fuzz harness over the files of its corpus, under any compiler; and over simple mutations
 * of each, so that short and bent input is tried too. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INPUT_BYTES_MAX 65536

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned long runs;
static size_t copies = 2000; /* bent ones of each file */

/* In memory of exactly its size, so that a sanitizer sees a byte too far. */
static void run_one(const uint8_t *data, size_t size)
{
	uint8_t *exact = malloc(size ? size : 1);

	if (exact == NULL)
		exit(1);
	memcpy(exact, data, size);
	LLVMFuzzerTestOneInput(exact, size);
	free(exact);
	runs++;
}

static void run_file(const char *path)
{
	static uint8_t data[INPUT_BYTES_MAX];
	FILE *f = fopen(path, "rb");
	size_t size = f != NULL ? fread(data, 1, sizeof(data), f) : 0;

	if (f == NULL)
		exit(1);
	fclose(f);
	run_one(data, size);
	for (size_t cut = 0; cut < size && cut < 600 && cut < copies; cut++)
		run_one(data, cut);
	srandom((unsigned int)size);
	for (unsigned int i = 0; i < copies && size > 0; i++) {
		size_t at = (size_t)random() % size;
		uint8_t before = data[at];

		data[at] = (uint8_t)random();
		run_one(data, size);
		if (i % 4 != 0)
			data[at] = before; /* else mutations pile up */
	}
}

int main(int argc, char **argv)
{
	struct dirent *entry;
	unsigned int files = 0;
	DIR *dir = argc >= 2 ? opendir(argv[1]) : NULL;

	/* Harnesses of whole machines take milliseconds for each. */
	if (argc == 3)
		copies = strtoul(argv[2], NULL, 10);
	if (dir == NULL)
		return 2;
	while ((entry = readdir(dir)) != NULL) {
		char path[4096];

		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s", argv[1], entry->d_name);
		run_file(path);
		files++;
	}
	closedir(dir);
	printf("%u files, %lu inputs\n", files, runs);
	return files == 0;
}
