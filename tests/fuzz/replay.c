/* Runs a fuzz target on each of its seeds, without libFuzzer: what was found once stays found, under any compiler. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <dirent.h>
#include <errno.h>

#include "tests/fuzz/fuzz.h"

#define SEED_MAX (1 << 20)

static int is_seed(const struct dirent *e)
{
	return e->d_name[0] != '.';
}

static bool run(const char *dir, const char *name)
{
	char path[1024];
	sf_auto_free uint8_t *room = malloc(SEED_MAX);
	sf_auto_free uint8_t *exact = NULL;
	sf_auto_file FILE *f = NULL;
	size_t n;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "re");
	if (!f || !room)
		return false;
	n = fread(room, 1, SEED_MAX, f);
	exact = malloc(n ? n : 1);
	if (!exact || ferror(f))
		return false;
	memcpy(exact, room, n);
	LLVMFuzzerTestOneInput(exact, n);
	return true;
}

/* fuzz_xml (or libtool's lt-fuzz_xml) runs tests/fuzz/seeds/xml. */
int main(void)
{
	const char *name = strstr(program_invocation_short_name, "fuzz_");
	struct dirent **seeds = NULL;
	char dir[512];
	int n, i, failed = 0;

	snprintf(dir, sizeof(dir), "%s/tests/fuzz/seeds/%s", TOP_SRCDIR, name ? name + 5 : "");
	n = scandir(dir, &seeds, is_seed, alphasort);
	if (!name || n <= 0) {
		printf("Bail out! no seeds in %s\n", dir);
		return EXIT_FAILURE;
	}
	printf("1..%d\n", n);
	for (i = 0; i < n; i++) {
		bool ok = run(dir, seeds[i]->d_name);

		printf("%s %d - %s\n", ok ? "ok" : "not ok", i + 1, seeds[i]->d_name);
		fflush(stdout);
		failed += !ok;
		free(seeds[i]);
	}
	free(seeds);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
