/* The one log sink: four verbs, control bytes neutralised at this choke point. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "common/base/text.h"

static const char *const level_names[] = { "error", "warning", "info", "debug" };

static void to_stderr(enum sf_log_level level, const char *line)
{
	fprintf(stderr, "fargate: %s: %s\n", level_names[level], line);
}

static sf_log_sink current_sink = to_stderr;
static enum sf_log_level max_level = SF_LOG_INFO;

void sf_log_to(sf_log_sink sink)
{
	current_sink = sink ? sink : to_stderr;
}

void sf_log_max(enum sf_log_level level)
{
	max_level = level;
}

static void emit(enum sf_log_level level, const char *fmt, va_list ap)
{
	int saved = errno;
	char line[2048];

	if (level <= max_level) {
		vsnprintf(line, sizeof(line), fmt, ap);
		sf_text_clean(line);
		current_sink(level, line);
	}
	errno = saved;
}

#define LOG_VERB(name, level)                  \
	void name(const char *fmt, ...)        \
	{                                      \
		va_list ap;                    \
                                               \
		va_start(ap, fmt);             \
		emit(level, fmt, ap);          \
		va_end(ap);                    \
	}

LOG_VERB(sf_log_error, SF_LOG_ERROR)
LOG_VERB(sf_log_warn, SF_LOG_WARN)
LOG_VERB(sf_log_info, SF_LOG_INFO)
LOG_VERB(sf_log_debug, SF_LOG_DEBUG)
