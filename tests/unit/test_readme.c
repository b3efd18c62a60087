/* README's "How a job ends" is what the table says: compares the two, or with --write puts the table into README. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdio.h>
#include <string.h>

#include "common/base/text.h"
#include "common/base/verdict.h"
#include "tests/unit/tap.h"

#define README TOP_SRCDIR "/README.md"
#define BEGIN "<!-- generated from common/base/verdict.c: begin -->\n"
#define END "<!-- generated from common/base/verdict.c: end -->\n"
#define CURE "make -C " TOP_BUILDDIR " tests/unit/test_readme && " TOP_BUILDDIR "/tests/unit/test_readme --write"

static void print_signals(struct sf_buf *b, enum sf_class c)
{
	const char *when = sf_class_when(c);
	struct sf_verdict_row row;
	size_t i;

	sf_buf_puts(b, when ? when : "");
	for (i = 0; sf_verdict_row(i, &row); i++) {
		if (row.class != c)
			continue;
		if (b->data[b->len - 1] != ' ')
			sf_buf_puts(b, "<br>");
		sf_verdict_describe(&row, "`", b);
	}
}

static char *section(void)
{
	sf_auto_buf struct sf_buf b = SF_BUF_INIT;
	enum sf_class c;

	sf_buf_puts(&b, BEGIN "| class | when | what Slurm sees |\n|---|---|---|\n");
	for (c = 0; c < SF_CLASS_COUNT; c++) {
		sf_buf_printf(&b, "| `%s` | ", sf_class_name(c));
		print_signals(&b, c);
		sf_buf_printf(&b, " | %s |\n", sf_class_outcome(c));
	}
	sf_buf_puts(&b, END);
	return sf_buf_take(&b);
}

static char *slurp(const char *path)
{
	sf_auto_file FILE *f = fopen(path, "r");
	sf_auto_buf struct sf_buf b = SF_BUF_INIT;
	char chunk[4096];
	size_t n;

	while (f && (n = fread(chunk, 1, sizeof(chunk), f)) > 0)
		sf_buf_add(&b, chunk, n);
	return f ? sf_buf_take(&b) : NULL;
}

/* Where the section stands in README; false when it has no such place. */
static bool find(char *readme, char **from, char **to)
{
	*from = strstr(readme, BEGIN);
	*to = *from ? strstr(*from, END) : NULL;
	if (*to)
		*to += strlen(END);
	return *to != NULL;
}

static int write_readme(void)
{
	sf_auto_free char *readme = slurp(README), *wanted = section();
	sf_auto_file FILE *f = NULL;
	char *from, *to;

	if (!readme || !wanted || !find(readme, &from, &to)) {
		fprintf(stderr, "%s has no place for the table\n", README);
		return EXIT_FAILURE;
	}
	f = fopen(README, "w");
	if (!f)
		return EXIT_FAILURE;
	return fprintf(f, "%.*s%s%s", (int)(from - readme), readme, wanted, to) > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* The first line that differs, of each. */
static void differ(const char *is, const char *wanted)
{
	while (*is && *wanted && strcspn(is, "\n") == strcspn(wanted, "\n") && strncmp(is, wanted, strcspn(is, "\n")) == 0) {
		is += strcspn(is, "\n") + 1;
		wanted += strcspn(wanted, "\n") + 1;
	}
	ck_abort_msg("README differs from the table; run: " CURE "\n# -%.*s\n# +%.*s", (int)strcspn(is, "\n"), is,
		     (int)strcspn(wanted, "\n"), wanted);
}

START_TEST(readme_has_the_table)
{
	sf_auto_free char *readme = slurp(README), *wanted = section();
	char *from, *to;

	ck_assert_msg(readme && find(readme, &from, &to), "%s has no place for the table", README);
	*to = '\0';
	if (strcmp(from, wanted) != 0)
		differ(from, wanted);
}
END_TEST

int main(int argc, char **argv)
{
	const struct tap_test tests[] = {
		{ readme_has_the_table, 0 },
	};

	if (argc == 2 && strcmp(argv[1], "--write") == 0)
		return write_readme();
	return tap_main("readme", tests, SF_COUNT(tests));
}
