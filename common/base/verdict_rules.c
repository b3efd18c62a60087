/* FailureRule lines: what an administrator says of AWS's texts before the table does. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/base/verdict_rules.h"

#include <ctype.h>
#include <fnmatch.h>
#include <stdio.h>
#include <string.h>

#include "common/base/conf.h"
#include "common/base/util.h"

/* One pattern of a line and the text it is held against; NULL = there is none. */
struct pair {
	const char *pattern, *text;
};

void sf_verdict_normalise(const char *in, char out[SF_VERDICT_TEXT_MAX])
{
	size_t n = 0;

	while (in && *in && n < SF_VERDICT_TEXT_MAX - 1) {
		if (strncmp(in, "\xe2\x80\x99", 3) == 0 || strncmp(in, "\xe2\x80\x98", 3) == 0) {
			out[n++] = '\'';
			in += 3;
		} else {
			out[n++] = (char)tolower((unsigned char)*in++);
		}
	}
	out[n] = '\0';
}

static bool fits(const struct pair *p)
{
	char pattern[SF_VERDICT_TEXT_MAX], text[SF_VERDICT_TEXT_MAX];

	if (!p->pattern)
		return true;
	if (!p->text)
		return false;
	sf_verdict_normalise(p->pattern, pattern);
	sf_verdict_normalise(p->text, text);
	return fnmatch(pattern, text, 0) == 0;
}

/* Every pattern that is given fits, and one is given. */
static bool fit_all(const struct pair *pairs, size_t n)
{
	bool any = false;
	size_t i;

	for (i = 0; i < n; i++) {
		if (!fits(&pairs[i]))
			return false;
		any = any || pairs[i].pattern;
	}
	return any;
}

static bool of_answers(const struct sf_conf_rule *r)
{
	return r->operation || r->code || r->reason;
}

static bool of_tasks(const struct sf_conf_rule *r)
{
	return r->stop_code || r->stopped_reason || r->container_reason || r->exit_code;
}

enum sf_class sf_rules_answer(const struct sf_api_signal *s, enum sf_class builtin)
{
	/* A read says nothing of a job, and after a 5xx nobody knows whether there is a task. */
	unsigned use = s->read_only || s->http >= 500 ? SF_RULE_UNDECIDED : SF_RULE_ANSWER;
	const struct sf_conf_rule *r;

	/* Where AWS has said nothing the same request must go out again, so that it makes one task at most. */
	if (s->transport || (!s->code && !s->failure))
		return builtin;
	for (r = s->rules; r && r < s->rules + s->n_rules; r++) {
		const struct pair pairs[] = {
			{ r->operation, s->operation },
			{ r->code, s->code },
			{ r->reason, s->failure ? s->failure : s->message },
		};

		if ((sf_class_rule_uses(r->class) & use) && !of_tasks(r) && fit_all(pairs, SF_COUNT(pairs)))
			return r->class;
	}
	return builtin;
}

enum sf_class sf_rules_task(const struct sf_task_signal *s, bool ran, enum sf_class builtin)
{
	unsigned use = ran ? SF_RULE_STARTED : SF_RULE_UNSTARTED;
	const struct sf_conf_rule *r;
	char code[16];

	snprintf(code, sizeof(code), "%d", s->exit_code);
	for (r = s->rules; r && r < s->rules + s->n_rules; r++) {
		const struct pair pairs[] = {
			{ r->stop_code, s->stop_code },
			{ r->stopped_reason, s->stopped_reason },
			{ r->container_reason, s->container_reason },
			{ r->exit_code, s->has_exit_code ? code : NULL },
		};

		if ((sf_class_rule_uses(r->class) & use) && !of_answers(r) && fit_all(pairs, SF_COUNT(pairs)))
			return r->class;
	}
	return builtin;
}
