/* AWS's query protocol: the request as a form, and what its XML says of an error. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/aws/query.h"

#include <string.h>

static void add_encoded(struct sf_buf *form, const char *text)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.~";
	size_t n;

	while (*text) {
		n = strspn(text, plain);
		sf_buf_add(form, text, n);
		text += n;
		if (*text)
			sf_buf_printf(form, "%%%02X", (unsigned char)*text++);
	}
}

void aws_form_add(struct sf_buf *form, const char *name, const char *value)
{
	if (!value)
		return;
	sf_buf_puts(form, form->len ? "&" : "");
	add_encoded(form, name);
	sf_buf_puts(form, "=");
	add_encoded(form, value);
}

void aws_form_begin(struct sf_buf *form, const char *action, const char *version)
{
	aws_form_add(form, "Action", action);
	aws_form_add(form, "Version", version);
}

int aws_form_take(struct sf_buf *form, char **out, struct sf_error *err)
{
	*out = sf_buf_take(form);
	return *out ? 0 : sf_err(err, "out of memory");
}

bool aws_query_answers(const struct aws_xml *doc, const char *action)
{
	size_t n = strlen(action);

	return strncmp(aws_xml_name(doc), action, n) == 0 && strcmp(aws_xml_name(doc) + n, "Response") == 0;
}

static const char *of_error(const struct aws_xml *doc, const char *path)
{
	return doc && strcmp(aws_xml_name(doc), "ErrorResponse") == 0 ? aws_xml_text(doc, path) : NULL;
}

const char *aws_query_code(const struct aws_xml *doc)
{
	return of_error(doc, "Error/Code");
}

const char *aws_query_message(const struct aws_xml *doc)
{
	return of_error(doc, "Error/Message");
}
