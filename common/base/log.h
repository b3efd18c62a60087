/* The one log sink: four verbs, control bytes neutralised at this choke point. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SF_BASE_LOG_H
#define SF_BASE_LOG_H

enum sf_log_level { SF_LOG_ERROR, SF_LOG_WARN, SF_LOG_INFO, SF_LOG_DEBUG };

/* A sink gets one whole line without newline, already cleaned; it must be safe to call from any thread that logs. */
typedef void (*sf_log_sink)(enum sf_log_level level, const char *line);

/* Where lines go (NULL = stderr, as "fargate: <level>: <line>"). Set once before threads start. */
void sf_log_to(sf_log_sink sink);
/* Lines above this level are dropped; the default is SF_LOG_INFO. */
void sf_log_max(enum sf_log_level level);

/* Secrets are never formatted here. errno is preserved. A line is cut at 2047 bytes. */
void sf_log_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void sf_log_warn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void sf_log_info(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void sf_log_debug(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
