/* SNS: the Publish request, and where a topic is. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/aws/sns.h"

#include <string.h>

#include "common/aws/query.h"
#include "common/aws/sigv4.h"

static void make_subject(const char *text, char out[SNS_SUBJECT_MAX + 1])
{
	char *p;

	sf_copy(out, SNS_SUBJECT_MAX + 1, text);
	for (p = out; *p; p++)
		if (*p < ' ' || *p > '~')
			*p = '?';
}

static bool is_fifo(const char *topic)
{
	size_t n = strlen(topic);

	return n > 5 && strcmp(topic + n - 5, ".fifo") == 0;
}

int sns_publish_body(const char *topic, const char *subject, const char *message, char **out, struct sf_error *err)
{
	struct sf_buf form = SF_BUF_INIT;
	char line[SNS_SUBJECT_MAX + 1], hash[65];

	make_subject(subject, line);
	aws_form_begin(&form, "Publish", "2010-03-31");
	aws_form_add(&form, "TopicArn", topic);
	aws_form_add(&form, "Subject", line);
	aws_form_add(&form, "Message", message);
	if (is_fifo(topic)) {
		aws_sha256_hex(message, strlen(message), hash);
		aws_form_add(&form, "MessageGroupId", "slurm-fargate");
		aws_form_add(&form, "MessageDeduplicationId", hash);
	}
	return aws_form_take(&form, out, err);
}

const char *sns_message_id(const struct aws_xml *answer)
{
	return aws_xml_text(answer, "PublishResult/MessageId");
}

bool sns_topic_region(const char *topic, char out[SNS_REGION_MAX])
{
	const char *service = strncmp(topic, "arn:", 4) == 0 ? strchr(topic + 4, ':') : NULL;
	const char *region = service && strncmp(service, ":sns:", 5) == 0 ? service + 5 : NULL;
	size_t n = region ? strcspn(region, ":") : 0;

	if (n == 0 || n >= SNS_REGION_MAX || region[n] != ':')
		return false;
	memcpy(out, region, n);
	out[n] = '\0';
	return true;
}
