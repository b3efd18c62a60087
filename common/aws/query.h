/* AWS's query protocol: the request as a form, and what its XML says of an error. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SF_AWS_QUERY_H
#define SF_AWS_QUERY_H

#include <stdbool.h>

#include "common/aws/xml.h"
#include "common/base/error.h"
#include "common/base/text.h"

/* Begin a form: Action and Version of the service's API; `form` must be empty. */
void aws_form_begin(struct sf_buf *form, const char *action, const char *version);
/* One parameter, percent-encoded but for letters, digits and -_.~ (as SigV4 wants it); a NULL value is left out. */
void aws_form_add(struct sf_buf *form, const char *name, const char *value);
/* The form's text. Caller frees *out. */
int aws_form_take(struct sf_buf *form, char **out, struct sf_error *err);

/* The document is the answer to this action: <ActionResponse>. */
bool aws_query_answers(const struct aws_xml *doc, const char *action);
/* Code and Message of an <ErrorResponse>, NULL when absent or the document is none. Borrowed, not cleaned. */
const char *aws_query_code(const struct aws_xml *doc);
const char *aws_query_message(const struct aws_xml *doc);

#endif
