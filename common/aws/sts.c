/* STS: what is asked of it, and what it answers. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/aws/sts.h"

#include <string.h>

#include "common/aws/query.h"

#define STS_VERSION "2011-06-15"

int sts_assume_body(const struct aws_role *role, char **out, struct sf_error *err)
{
	sf_auto_buf struct sf_buf form = SF_BUF_INIT;

	aws_form_begin(&form, "AssumeRole", STS_VERSION);
	aws_form_add(&form, "RoleArn", role->arn);
	aws_form_add(&form, "RoleSessionName", role->session);
	aws_form_add(&form, "ExternalId", role->external_id);
	aws_form_add(&form, "DurationSeconds", role->duration);
	return aws_form_take(&form, out, err);
}

int sts_web_identity_body(const struct aws_role *role, const char *token, char **out, struct sf_error *err)
{
	sf_auto_buf struct sf_buf form = SF_BUF_INIT;

	aws_form_begin(&form, "AssumeRoleWithWebIdentity", STS_VERSION);
	aws_form_add(&form, "RoleArn", role->arn);
	aws_form_add(&form, "RoleSessionName", role->session);
	aws_form_add(&form, "WebIdentityToken", token);
	return aws_form_take(&form, out, err);
}

int sts_identity_body(char **out, struct sf_error *err)
{
	sf_auto_buf struct sf_buf form = SF_BUF_INIT;

	aws_form_begin(&form, "GetCallerIdentity", STS_VERSION);
	return aws_form_take(&form, out, err);
}

void sts_error_code(const char *body, size_t n, char *code, size_t size)
{
	aws_auto_xml struct aws_xml *doc = NULL;

	sf_copy(code, size, "");
	if (aws_xml_parse(body, n, &doc, NULL) == 0 && aws_query_code(doc))
		sf_copy(code, size, aws_query_code(doc));
}

static int refused(const char *action, int status, const struct aws_xml *doc, struct sf_error *err)
{
	const char *code = aws_query_code(doc), *message = aws_query_message(doc);

	if (code)
		sf_err(err, "%s: %s: %.300s", action, code, message ? message : "");
	else
		sf_err(err, "%s: HTTP %d with an answer that is not STS's", action, status);
	if (err)
		sf_text_clean(err->text);
	return -1;
}

int sts_take_keys(const char *action, const char *source, int status, const char *body, size_t n, struct aws_credentials *out,
		  struct sf_error *err)
{
	aws_auto_xml struct aws_xml *doc = NULL;
	struct aws_offer offer = { .access_name = "AccessKeyId", .secret_name = "SecretAccessKey", .source = source };
	const struct aws_xml *keys;
	char path[64];

	if (aws_xml_parse(body, n, &doc, NULL) != 0 || status / 100 != 2 || !aws_query_answers(doc, action))
		return refused(action, status, doc, err);
	snprintf(path, sizeof(path), "%sResult/Credentials", action);
	keys = aws_xml_find(doc, path, 0);
	offer.access = aws_xml_text(keys, "AccessKeyId");
	offer.secret = aws_xml_text(keys, "SecretAccessKey");
	offer.token = aws_xml_text(keys, "SessionToken");
	offer.expiration = aws_xml_text(keys, "Expiration");
	if (!offer.token || !*offer.token || !offer.expiration)
		return sf_err(err, "%s: the answer has no %s", action, offer.expiration ? "SessionToken" : "Expiration");
	if (aws_credentials_take(&offer, out, err) != 0)
		return sf_err_wrap(err, "%s", action);
	return 0;
}

static int take_account(const char *text, size_t n, char out[AWS_ACCOUNT_MAX])
{
	if (!text || n != AWS_ACCOUNT_MAX - 1 || strspn(text, "0123456789") < n)
		return -1;
	memcpy(out, text, n);
	out[n] = '\0';
	return 0;
}

int sts_account(const struct aws_xml *doc, char out[AWS_ACCOUNT_MAX])
{
	const char *text = aws_xml_text(doc, "GetCallerIdentityResult/Account");

	return take_account(text, text ? strlen(text) : 0, out);
}

int sts_account_of_arn(const char *arn, char out[AWS_ACCOUNT_MAX])
{
	size_t i;

	if (strncmp(arn, "arn:", 4) != 0)
		return -1;
	for (i = 0; i < 4; i++) {
		arn = strchr(arn, ':');
		if (!arn)
			return -1;
		arn++;
	}
	return take_account(arn, strcspn(arn, ":"), out);
}
