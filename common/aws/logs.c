/* CloudWatch Logs: the GetLogEvents request and the reading of its pages. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/aws/logs.h"

#include "common/aws/fields.h"
#include "common/base/verdict.h"

int logs_get_events_body(const char *group, const char *stream, const char *token, int limit, char **out,
			 struct sf_error *err)
{
	sf_auto_json sf_json *body = sf_json_new_object();

	if (limit < 0 || limit > LOGS_LIMIT_MAX)
		return sf_err(err, "GetLogEvents takes a limit of 1 to %d, not %d", LOGS_LIMIT_MAX, limit);
	sf_json_set_str(body, "logGroupName", group);
	sf_json_set_str(body, "logStreamName", stream);
	sf_json_set_bool(body, "startFromHead", true);
	sf_json_set_str(body, "nextToken", token);
	if (limit)
		sf_json_set_int(body, "limit", limit);
	return aws_body_text(body, out, err);
}

int logs_page_parse(const sf_json *body, struct logs_page *out, struct sf_error *err)
{
	out->events = sf_json_array(body, "events");
	out->n = sf_json_len(out->events);
	if (sf_json_need_str(body, "nextForwardToken", &out->next_token, err) != 0)
		return sf_err_wrap(err, "GetLogEvents' answer");
	return 0;
}

int logs_page_event(const struct logs_page *page, size_t i, struct logs_event *out, struct sf_error *err)
{
	const sf_json *event = sf_json_at(page->events, i);

	out->message = sf_json_bytes(event, "message", &out->n);
	if (!out->message)
		return sf_err(err, "GetLogEvents' answer: event %zu of %zu has no message", i + 1, page->n);
	out->timestamp = 0;
	sf_json_int(event, "timestamp", &out->timestamp);
	return 0;
}

bool logs_absent(const char *code)
{
	return sf_code_of(code) == SF_CODE_ABSENT;
}
