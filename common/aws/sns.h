/* SNS: the Publish request, and where a topic is. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SF_AWS_SNS_H
#define SF_AWS_SNS_H

#include <stdbool.h>

#include "common/aws/xml.h"
#include "common/base/error.h"

#define SNS_SUBJECT_MAX 99  /* "less than 100 characters long" */
#define SNS_REGION_MAX 64

/*
 * Publish as a form. `subject` is made one that SNS takes: cut to SNS_SUBJECT_MAX, what is not printable ASCII becomes '?'.
 * A topic whose name ends in ".fifo" gets one message group and the message's hash as its deduplication id. Caller frees
 * *out. Source: SNS API, Publish.
 */
int sns_publish_body(const char *topic, const char *subject, const char *message, char **out, struct sf_error *err);
/* The MessageId of Publish's answer; borrowed, not cleaned, NULL when absent. */
const char *sns_message_id(const struct aws_xml *answer);
/* The Region of arn:PARTITION:sns:REGION:ACCOUNT:NAME; false when the text is no such ARN. */
bool sns_topic_region(const char *topic, char out[SNS_REGION_MAX]);

#endif
