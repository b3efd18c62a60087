/* Unit tests of common/aws/logs.c. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/aws/logs.h"

#include <string.h>

#include "tests/unit/tap.h"

static sf_json *parse(const char *text)
{
	sf_json *j = NULL;
	struct sf_error err = { "" };

	ck_assert_msg(sf_json_parse(text, strlen(text), &j, &err) == 0, "%s", err.text);
	return j;
}

START_TEST(the_request)
{
	sf_auto_free char *first = NULL, *next = NULL;
	char *none = NULL;
	struct sf_error err = { "" };

	ck_assert_int_eq(logs_get_events_body("/hpc", "job/main/1", NULL, 0, &first, &err), 0);
	ck_assert_str_eq(first, "{\"logGroupName\":\"/hpc\",\"logStreamName\":\"job/main/1\",\"startFromHead\":true}");
	ck_assert_int_eq(logs_get_events_body("/hpc", "s", "f/12", 10000, &next, &err), 0);
	ck_assert_str_eq(next, "{\"logGroupName\":\"/hpc\",\"logStreamName\":\"s\",\"startFromHead\":true,"
			       "\"nextToken\":\"f/12\",\"limit\":10000}");
	ck_assert_int_eq(logs_get_events_body("/hpc", "s", NULL, 10001, &none, &err), -1);
	ck_assert_str_eq(err.text, "GetLogEvents takes a limit of 1 to 10000, not 10001");
	ck_assert_int_eq(logs_get_events_body("/hpc", "s", NULL, -1, &none, &err), -1);
	ck_assert_ptr_null(none);
}
END_TEST

START_TEST(a_page)
{
	sf_auto_json sf_json *body = parse("{\"events\":[{\"timestamp\":1795456953123,\"message\":\"a\\u0000b\\u001b[1m\",\"ingestionTime\":1},"
					   "{\"message\":\"\"}],\"nextForwardToken\":\"f/2\",\"nextBackwardToken\":\"b/1\"}");
	struct logs_page page;
	struct logs_event event;
	struct sf_error err = { "" };

	ck_assert_int_eq(logs_page_parse(body, &page, &err), 0);
	ck_assert_uint_eq(page.n, 2);
	ck_assert_str_eq(page.next_token, "f/2");
	ck_assert_int_eq(logs_page_event(&page, 0, &event, &err), 0);
	ck_assert_uint_eq(event.n, 7);
	ck_assert_mem_eq(event.message, "a\0b\033[1m", 7);
	ck_assert_int_eq(event.timestamp, 1795456953123);
	ck_assert_int_eq(logs_page_event(&page, 1, &event, &err), 0);
	ck_assert_uint_eq(event.n, 0);
	ck_assert_int_eq(event.timestamp, 0);
	ck_assert_int_eq(logs_page_event(&page, 2, &event, &err), -1);
	ck_assert_str_eq(err.text, "GetLogEvents' answer: event 3 of 2 has no message");
}
END_TEST

START_TEST(an_empty_page_goes_on)
{
	sf_auto_json sf_json *body = parse("{\"events\":[],\"nextForwardToken\":\"f/2\"}");
	struct logs_page page;
	struct sf_error err = { "" };

	ck_assert_int_eq(logs_page_parse(body, &page, &err), 0);
	ck_assert_uint_eq(page.n, 0);
	ck_assert_str_eq(page.next_token, "f/2");
}
END_TEST

START_TEST(wrong_pages_are_refused)
{
	sf_auto_json sf_json *no_token = parse("{\"events\":[]}");
	sf_auto_json sf_json *odd = parse("{\"events\":[{\"message\":5},7],\"nextForwardToken\":\"f/2\"}");
	struct logs_page page;
	struct logs_event event;
	struct sf_error err = { "" };

	ck_assert_int_eq(logs_page_parse(no_token, &page, &err), -1);
	ck_assert_str_eq(err.text, "GetLogEvents' answer: member 'nextForwardToken' is missing or not a string");
	ck_assert_int_eq(logs_page_parse(odd, &page, &err), 0);
	ck_assert_int_eq(logs_page_event(&page, 0, &event, &err), -1);
	ck_assert_str_eq(err.text, "GetLogEvents' answer: event 1 of 2 has no message");
	ck_assert_int_eq(logs_page_event(&page, 1, &event, &err), -1);
}
END_TEST

int main(void)
{
	const struct tap_test tests[] = {
		{ the_request, 0 },
		{ a_page, 0 },
		{ an_empty_page_goes_on, 0 },
		{ wrong_pages_are_refused, 0 },
	};

	return tap_main("logs", tests, SF_COUNT(tests));
}
