/* What only the files of the verdict share: FailureRule lines, and how a text is made comparable. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SF_BASE_VERDICT_RULES_H
#define SF_BASE_VERDICT_RULES_H

#include <stdbool.h>

#include "common/base/verdict.h"

#define SF_VERDICT_TEXT_MAX 4096 /* AWS's texts end at about 1 KiB */

/* Lower-case, and both typographic single quotes as the ASCII one; NULL becomes "". */
void sf_verdict_normalise(const char *in, char out[SF_VERDICT_TEXT_MAX]);

/* The class of the first FailureRule line that speaks of the signal and may, else `builtin`, the table's. */
enum sf_class sf_rules_answer(const struct sf_api_signal *s, enum sf_class builtin);
enum sf_class sf_rules_task(const struct sf_task_signal *s, bool ran, enum sf_class builtin);

#endif
