/* The verdict's table in words, for README and for whoever asks which rules are in force. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/base/text.h"
#include "common/base/verdict.h"

void sf_verdict_describe(const struct sf_verdict_row *row, const char *quote, struct sf_buf *out)
{
	size_t i;

	sf_buf_puts(out, row->facts);
	if (!row->fields)
		return;
	sf_buf_printf(out, ": %s has ", row->fields);
	if (row->with)
		sf_buf_printf(out, "%s%s%s and ", quote, row->with, quote);
	for (i = 0; i < row->n_texts; i++)
		sf_buf_printf(out, "%s%s%s%s", i ? i + 1 < row->n_texts ? ", " : " or " : "", quote, row->texts[i], quote);
}
