/* The effective configuration as text, with the rules that are in force. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/base/conf.h"
#include "common/base/conf_keys.h"
#include "common/base/text.h"
#include "common/base/verdict.h"

/* Every key of that scope of one structure. */
static void print_keys(struct sf_buf *b, unsigned scope, const char *end, const void *base)
{
	size_t i;

	for (i = 0; i < sf_n_keys; i++) {
		if (scope == SF_KEY_TOP ? sf_keys[i].scope != SF_KEY_TOP : !(sf_keys[i].scope & scope))
			continue;
		sf_key_print(&sf_keys[i], base, b);
		if (*end && b->len && b->data[b->len - 1] != '\n')
			sf_buf_puts(b, end);
	}
}

/* The table, as comments: nobody can change it here, but a FailureRule line stands before it. */
static void print_table(struct sf_buf *b)
{
	struct sf_verdict_row row;
	enum sf_class c;
	size_t i;

	sf_buf_puts(b, "# Built-in rules, tried in this order after the FailureRule lines above; the first that fits decides:\n");
	for (i = 0; sf_verdict_row(i, &row); i++) {
		sf_buf_printf(b, "# %s: ", sf_class_name(row.class));
		sf_verdict_describe(&row, "\"", b);
		sf_buf_puts(b, "\n");
	}
	sf_buf_puts(b, "# What Slurm sees of each class:\n");
	for (c = 0; c < SF_CLASS_COUNT; c++)
		sf_buf_printf(b, "# %s: %s\n", sf_class_name(c), sf_class_outcome(c));
}

char *sf_conf_text(const struct sf_conf *conf)
{
	sf_auto_buf struct sf_buf b = SF_BUF_INIT;
	size_t i;

	print_keys(&b, SF_KEY_TOP, "\n", conf);
	for (i = 0; i < conf->n_rules; i++) {
		print_keys(&b, SF_KEY_RULE, "", &conf->rules[i]);
		sf_buf_puts(&b, "\n");
	}
	for (i = 0; i < conf->n_lines; i++) {
		print_keys(&b, SF_KEY_LINE, "", &conf->lines[i]);
		sf_buf_puts(&b, "\n");
	}
	print_table(&b);
	return sf_buf_take(&b);
}
