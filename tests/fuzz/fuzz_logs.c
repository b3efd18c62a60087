/* Fuzzes the pages of GetLogEvents: each event is there with its bytes, or the page is refused. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/aws/logs.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	sf_auto_json sf_json *body = NULL;
	struct logs_page page = { 0 };
	struct logs_event event;
	struct sf_error err = { "" };
	size_t i;

	if (sf_json_parse((const char *)data, size, &body, &err) != 0)
		return 0;
	if (logs_page_parse(body, &page, &err) != 0) {
		HOLDS(err.text[0]);
		return 0;
	}
	HOLDS(page.next_token && page.n <= size);
	for (i = 0; i < page.n; i++) {
		if (logs_page_event(&page, i, &event, &err) != 0) {
			HOLDS(err.text[0]);
			continue;
		}
		/* Reads all of it; JSON that was read holds no such byte. */
		HOLDS(event.message && event.n <= size && !memchr(event.message, 0xff, event.n));
	}
	HOLDS(logs_page_event(&page, page.n, &event, &err) == -1);
	return 0;
}
