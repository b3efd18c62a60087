/* Unit tests of common/aws/sns.c and query.c. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/aws/sns.h"

#include <string.h>

#include "common/aws/query.h"
#include "tests/unit/tap.h"

#define TOPIC "arn:aws:sns:eu-central-1:123456789012:ops"
#define HEAD "Action=Publish&Version=2010-03-31&TopicArn=arn%3Aaws%3Asns%3Aeu-central-1%3A123456789012%3Aops"

static const struct {
	const char *topic, *subject, *message, *body;
} body_rows[] = {
	{ TOPIC, "slurm job 17 on hpc: launch failed (config)", "{\"a\":\"b c\"}",
	  HEAD "&Subject=slurm%20job%2017%20on%20hpc%3A%20launch%20failed%20%28config%29&Message=%7B%22a%22%3A%22b%20c%22%7D" },
	{ TOPIC, "a\nb\x7f\xc3\xa9", "&=+%\n\xc3\xa9*'()-_.~", HEAD "&Subject=a%3Fb%3F%3F%3F&Message=%26%3D%2B%25%0A%C3%A9%2A%27%28%29-_.~" },
	{ TOPIC ".fifo", "s", "abc",
	  HEAD ".fifo&Subject=s&Message=abc&MessageGroupId=slurm-fargate&MessageDeduplicationId="
	       "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
};

START_TEST(publish_as_a_form)
{
	sf_auto_free char *body = NULL;
	struct sf_error err = { "" };

	ck_assert_int_eq(sns_publish_body(body_rows[_i].topic, body_rows[_i].subject, body_rows[_i].message, &body, &err), 0);
	ck_assert_str_eq(body, body_rows[_i].body);
}
END_TEST

START_TEST(a_long_subject_is_cut)
{
	sf_auto_free char *body = NULL;
	char subject[200];
	struct sf_error err = { "" };
	const char *at;

	memset(subject, 'x', sizeof(subject) - 1);
	subject[sizeof(subject) - 1] = '\0';
	ck_assert_int_eq(sns_publish_body(TOPIC, subject, "m", &body, &err), 0);
	at = strstr(body, "&Subject=") + strlen("&Subject=");
	ck_assert_uint_eq(strcspn(at, "&"), 99);
}
END_TEST

START_TEST(forms_leave_out_what_is_not_there)
{
	struct sf_buf form = SF_BUF_INIT;
	sf_auto_free char *text = NULL;
	struct sf_error err = { "" };

	aws_form_begin(&form, "AssumeRole", "2011-06-15");
	aws_form_add(&form, "ExternalId", NULL);
	aws_form_add(&form, "Dimensions.member.1.Name", "");
	ck_assert_int_eq(aws_form_take(&form, &text, &err), 0);
	ck_assert_str_eq(text, "Action=AssumeRole&Version=2011-06-15&Dimensions.member.1.Name=");
}
END_TEST

static const struct {
	const char *topic, *region; /* NULL = none */
} region_rows[] = {
	{ TOPIC, "eu-central-1" },
	{ "arn:aws-us-gov:sns:us-gov-east-1:123456789012:ops", "us-gov-east-1" },
	{ "arn:aws-cn:sns:cn-north-1:123456789012:ops.fifo", "cn-north-1" },
	{ "arn:aws:sqs:eu-west-1:123456789012:ops", NULL },
	{ "arn:aws:sns::123456789012:ops", NULL },
	{ "arn:aws:sns:eu-west-1", NULL },
	{ "arn:aws", NULL },
	{ "", NULL },
	{ "arn:aws:sns:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa:1:x", NULL },
};

START_TEST(a_topic_has_its_own_region)
{
	char region[SNS_REGION_MAX] = "";

	ck_assert_int_eq(sns_topic_region(region_rows[_i].topic, region), region_rows[_i].region != NULL);
	ck_assert_str_eq(region, region_rows[_i].region ? region_rows[_i].region : "");
}
END_TEST

START_TEST(answers)
{
	static const char text[] = "<PublishResponse xmlns=\"http://sns.amazonaws.com/doc/2010-03-31/\"><PublishResult>"
				   "<MessageId>567910cd</MessageId></PublishResult></PublishResponse>";
	aws_auto_xml struct aws_xml *doc = NULL;
	struct sf_error err;

	ck_assert_int_eq(aws_xml_parse(text, strlen(text), &doc, &err), 0);
	ck_assert(aws_query_answers(doc, "Publish"));
	ck_assert(!aws_query_answers(doc, "Publis"));
	ck_assert(!aws_query_answers(doc, "PublishBatch"));
	ck_assert_str_eq(sns_message_id(doc), "567910cd");
	ck_assert_ptr_null(sns_message_id(NULL));
	ck_assert_ptr_null(aws_query_code(doc));
	ck_assert_ptr_null(aws_query_message(NULL));
}
END_TEST

int main(void)
{
	const struct tap_test tests[] = {
		{ publish_as_a_form, SF_COUNT(body_rows) },
		{ a_long_subject_is_cut, 0 },
		{ forms_leave_out_what_is_not_there, 0 },
		{ a_topic_has_its_own_region, SF_COUNT(region_rows) },
		{ answers, 0 },
	};

	return tap_main("sns", tests, SF_COUNT(tests));
}
