/* CloudWatch Logs: the GetLogEvents request and the reading of its pages. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SF_AWS_LOGS_H
#define SF_AWS_LOGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/error.h"
#include "common/base/json.h"

#define LOGS_LIMIT_MAX 10000

/*
 * GetLogEvents from the head; token NULL = first page, limit 1 to LOGS_LIMIT_MAX, 0 = AWS's own (1 MB or 10000 events).
 * Caller frees *out. Source: CloudWatch Logs API, GetLogEvents: startFromHead must be true when paging forward.
 */
int logs_get_events_body(const char *group, const char *stream, const char *token, int limit, char **out,
			 struct sf_error *err);

struct logs_event {
	const char *message; /* raw bytes of the user's output, not cleaned; borrowed from the answer */
	size_t n;
	int64_t timestamp;   /* ms since the epoch, 0 = absent */
};
struct logs_page {
	const sf_json *events;
	size_t n;
	const char *next_token; /* nextForwardToken; equal to the one sent = nothing more for now. Borrowed from the answer. */
};
/* Both borrow from the answer's body. Errors: no nextForwardToken, an event without message. */
int logs_page_parse(const sf_json *body, struct logs_page *out, struct sf_error *err);
int logs_page_event(const struct logs_page *page, size_t i, struct logs_event *out, struct sf_error *err);

/* True for the exception that says the group or stream is not there: the log driver makes the stream with the first line. */
bool logs_absent(const char *code);

#endif
