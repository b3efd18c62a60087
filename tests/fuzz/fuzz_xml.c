/* Fuzzes common/aws/xml.c: texts are UTF-8, the nth has one before it, and any text that is escaped comes back. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/aws/query.h"
#include "common/aws/xml.h"
#include "tests/fuzz/fuzz.h"

#define TEXT_MAX 512

static const char *const paths[] = {
	"Error/Code", "Error/Message", "PublishResult/MessageId", "Datapoints/member/Maximum", "a", "a/a", ""
};

static bool valid(const char *s)
{
	return sf_utf8_valid(s, strlen(s));
}

static void look_into(const struct aws_xml *doc)
{
	const struct aws_xml *e, *first;
	const char *text;
	size_t i, n;

	HOLDS(aws_xml_name(doc)[0] && valid(aws_xml_name(doc)));
	for (i = 0; i < SF_COUNT(paths); i++) {
		first = aws_xml_find(doc, paths[i], 0);
		text = aws_xml_text(doc, paths[i]);
		HOLDS(!first == !text);
		HOLDS(!text || valid(text));
		for (n = 0; (e = aws_xml_find(doc, paths[i], n)); n++)
			HOLDS(n < AWS_XML_ELEMENTS_MAX && strcmp(aws_xml_name(e), aws_xml_name(first)) == 0);
	}
	if (aws_query_answers(doc, "Publish"))
		HOLDS(!aws_query_code(doc) && !aws_query_message(doc));
}

static bool in_xml(unsigned char c)
{
	return c >= 0x20 || c == '\t' || c == '\n';
}

/* <a>the input, escaped</a>, when the input is text that XML can hold. */
static bool wrap(const char *text, struct sf_buf *out)
{
	size_t n = strlen(text), i;

	if (n > TEXT_MAX || !valid(text) || strstr(text, "\xef\xbf\xbe") || strstr(text, "\xef\xbf\xbf"))
		return false;
	sf_buf_puts(out, "<r><a>");
	for (i = 0; i < n; i++) {
		if (!in_xml((unsigned char)text[i]))
			return false;
		if (strchr("<>&\"'", text[i]))
			sf_buf_printf(out, "&#%d;", text[i]);
		else
			sf_buf_add(out, text + i, 1);
	}
	sf_buf_puts(out, "</a></r>");
	return true;
}

static void comes_back(const char *text)
{
	sf_auto_buf struct sf_buf b = SF_BUF_INIT;
	aws_auto_xml struct aws_xml *doc = NULL;
	struct sf_error err = { "" };

	if (!wrap(text, &b))
		return;
	HOLDS(aws_xml_parse(b.data, b.len, &doc, &err) == 0);
	HOLDS(strcmp(aws_xml_text(doc, "a"), text) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	sf_auto_free char *text = fuzz_string(data, size);
	aws_auto_xml struct aws_xml *doc = NULL;
	struct sf_error err = { "" };

	comes_back(text);
	if (aws_xml_parse((const char *)data, size, &doc, &err) != 0) {
		HOLDS(err.text[0] && !doc);
		return 0;
	}
	HOLDS(!memmem(data, size, "<!DOCTYPE", 9) || memmem(data, size, "<!--", 4) || memmem(data, size, "<![CDATA[", 9) ||
	      memmem(data, size, "<?", 2) || memmem(data, size, "='", 2));
	look_into(doc);
	return 0;
}
