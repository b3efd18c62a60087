/* STS: what is asked of it, and what it answers. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SF_AWS_STS_H
#define SF_AWS_STS_H

#include "common/aws/chain.h"
#include "common/aws/xml.h"

#define AWS_ACCOUNT_MAX 13 /* twelve digits */

/* Forms; the caller frees them, those with a token by aws_wipe(). */
int sts_assume_body(const struct aws_role *role, char **out, struct sf_error *err);
int sts_web_identity_body(const struct aws_role *role, const char *token, char **out, struct sf_error *err);
int sts_identity_body(char **out, struct sf_error *err);

/*
 * An HTTP answer to AssumeRole or AssumeRoleWithWebIdentity (`action`). Strict: all four members, an expiration that is a time.
 * An error of AWS comes as "<action>: <code>: <message>", cleaned.
 */
int sts_take_keys(const char *action, const char *source, int status, const char *body, size_t n, struct aws_credentials *out,
		  struct sf_error *err);
/* The code of an error answer into `code`, "" when there is none. */
void sts_error_code(const char *body, size_t n, char *code, size_t size);

/* The account of a GetCallerIdentity answer: -1 unless it is twelve digits. */
int sts_account(const struct aws_xml *doc, char out[AWS_ACCOUNT_MAX]);
/* The same of an ARN (of a cluster, say): until STS has answered this must do. */
int sts_account_of_arn(const char *arn, char out[AWS_ACCOUNT_MAX]);

#endif
