/* Unit tests of common/aws/xml.c. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/aws/xml.h"

#include <string.h>

#include "common/base/text.h"
#include "tests/unit/tap.h"

static struct aws_xml *parsed(const char *text)
{
	struct aws_xml *doc = NULL;
	struct sf_error err = { "" };

	ck_assert_msg(aws_xml_parse(text, strlen(text), &doc, &err) == 0, "%s", err.text);
	ck_assert_ptr_nonnull(doc);
	return doc;
}

#define STATISTICS                                                                                                               \
	"<?xml version=\"1.0\"?>\n<GetMetricStatisticsResponse xmlns=\"http://monitoring.amazonaws.com/doc/2010-08-01/\">\n"     \
	"  <GetMetricStatisticsResult><Label>a &lt;b&gt; &amp; c &#233;</Label>\n    <Datapoints>\n"                             \
	"      <member><Maximum>1.0</Maximum><Unit/></member>\n"                                                                 \
	"      <!-- x --><member><Maximum>2.0</Maximum></member>\n    </Datapoints>\n"                                           \
	"    <Datapoints><member><Maximum>9</Maximum></member></Datapoints><![CDATA[<raw>]]>"                                     \
	"</GetMetricStatisticsResult><ResponseMetadata><RequestId><![CDATA[a<b]]></RequestId></ResponseMetadata>"                \
	"</GetMetricStatisticsResponse>"

START_TEST(paths_lead_to_texts)
{
	aws_auto_xml struct aws_xml *doc = parsed(STATISTICS);
	const struct aws_xml *point;

	ck_assert_str_eq(aws_xml_name(doc), "GetMetricStatisticsResponse");
	ck_assert_str_eq(aws_xml_text(doc, "GetMetricStatisticsResult/Label"), "a <b> & c \xc3\xa9");
	ck_assert_str_eq(aws_xml_text(doc, "ResponseMetadata/RequestId"), "a<b");
	ck_assert_str_eq(aws_xml_text(doc, "GetMetricStatisticsResult/Datapoints/member/Maximum"), "1.0");
	ck_assert_str_eq(aws_xml_text(doc, "GetMetricStatisticsResult/Datapoints/member/Unit"), "");
	/* what has elements has no text of its own */
	ck_assert_str_eq(aws_xml_text(doc, "GetMetricStatisticsResult"), "");
	point = aws_xml_find(doc, "GetMetricStatisticsResult/Datapoints/member", 1);
	ck_assert_str_eq(aws_xml_text(point, "Maximum"), "2.0");
	ck_assert_ptr_null(aws_xml_text(point, "Unit"));
	ck_assert_ptr_null(aws_xml_find(doc, "GetMetricStatisticsResult/Datapoints/member", 2));
	ck_assert_str_eq(aws_xml_name(aws_xml_find(doc, "GetMetricStatisticsResult/Datapoints", 1)), "Datapoints");
}
END_TEST

static const char *const absent_paths[] = { "", "Nope", "GetMetricStatisticsResult/", "/GetMetricStatisticsResult",
					    "GetMetricStatisticsResult/Labe", "GetMetricStatisticsResult/Labels",
					    "GetMetricStatisticsResult/Label/x", "GetMetricStatisticsResponse" };

START_TEST(what_is_absent_is_null)
{
	aws_auto_xml struct aws_xml *doc = parsed(STATISTICS);

	ck_assert_ptr_null(aws_xml_find(doc, absent_paths[_i], 0));
	ck_assert_ptr_null(aws_xml_text(doc, absent_paths[_i]));
	ck_assert_ptr_null(aws_xml_text(NULL, absent_paths[_i]));
}
END_TEST

static const struct {
	const char *text, *why;
} bad_rows[] = {
	{ "", "no element found" },
	{ "<a>", "no element found" },
	{ "<a><b></a>", "mismatched tag" },
	{ "<a/><b/>", "junk after document element" },
	{ "{\"a\":1}", "not well-formed (invalid token)" },
	{ "<html><br>x</html>", "mismatched tag" },
	{ "<a>\xff</a>", "not well-formed (invalid token)" },
	{ "<a>&unknown;</a>", "undefined entity" },
	{ "<!DOCTYPE html><a/>", "a document type declaration" },
	{ "<!DOCTYPE a [<!ENTITY x \"y\">]><a>&x;</a>", "a document type declaration" },
	{ "<!DOCTYPE a SYSTEM \"file:///etc/passwd\"><a/>", "a document type declaration" },
};

START_TEST(bad_documents_are_refused)
{
	struct aws_xml *doc = NULL;
	struct sf_error err = { "" };
	char want[256];

	ck_assert_int_eq(aws_xml_parse(bad_rows[_i].text, strlen(bad_rows[_i].text), &doc, &err), -1);
	snprintf(want, sizeof(want), "no XML that can be read: %s", bad_rows[_i].why);
	ck_assert_str_eq(err.text, want);
	ck_assert_ptr_null(doc);
}
END_TEST

/* `n` times the opening, then `inner`, then `n` times the closing. */
static char *repeated(const char *head, const char *open, const char *inner, const char *close, const char *tail, unsigned n)
{
	struct sf_buf b = SF_BUF_INIT;
	unsigned i;

	sf_buf_puts(&b, head);
	for (i = 0; i < n; i++)
		sf_buf_puts(&b, open);
	sf_buf_puts(&b, inner);
	for (i = 0; *close && i < n; i++)
		sf_buf_puts(&b, close);
	sf_buf_puts(&b, tail);
	return sf_buf_take(&b);
}

static void at_limit(char *fits, char *too_much, const char *why)
{
	struct aws_xml *doc = NULL;
	struct sf_error err = { "" };

	ck_assert_int_eq(aws_xml_parse(too_much, strlen(too_much), &doc, &err), -1);
	ck_assert_str_eq(err.text, why);
	ck_assert_ptr_null(doc);
	doc = parsed(fits);
	aws_xml_free(doc);
	free(fits);
	free(too_much);
}

START_TEST(size_is_bounded)
{
	unsigned room = AWS_XML_BYTES_MAX - 7;

	at_limit(repeated("", "<a>", "x", "</a>", "", AWS_XML_DEPTH_MAX), repeated("", "<a>", "", "</a>", "", AWS_XML_DEPTH_MAX + 1),
		 "no XML that can be read: nested too deeply");
	at_limit(repeated("", "<a>", "<b/>", "</a>", "", AWS_XML_DEPTH_MAX - 1), repeated("", "<a>", "<b/>", "</a>", "", AWS_XML_DEPTH_MAX),
		 "no XML that can be read: nested too deeply");
	at_limit(repeated("<r>", "<b/>", "", "", "</r>", AWS_XML_ELEMENTS_MAX - 1), repeated("<r>", "<b/>", "", "", "</r>", AWS_XML_ELEMENTS_MAX),
		 "no XML that can be read: too many elements");
	at_limit(repeated("<a>", "x", "", "", "</a>", room), repeated("<a>", "x", "", "", "</a>", room + 1),
		 "XML of more than 1048576 bytes");
}
END_TEST

START_TEST(every_cut_of_a_document_is_refused)
{
	struct aws_xml *doc = NULL;
	struct sf_error err;
	size_t n;

	for (n = 0; n < strlen(STATISTICS); n++)
		ck_assert_int_eq(aws_xml_parse(STATISTICS, n, &doc, &err), -1);
	ck_assert_ptr_null(doc);
}
END_TEST

int main(void)
{
	const struct tap_test tests[] = {
		{ paths_lead_to_texts, 0 },
		{ what_is_absent_is_null, SF_COUNT(absent_paths) },
		{ bad_documents_are_refused, SF_COUNT(bad_rows) },
		{ size_is_bounded, 0 },
		{ every_cut_of_a_document_is_refused, 0 },
	};

	return tap_main("xml", tests, SF_COUNT(tests));
}
