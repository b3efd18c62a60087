/* The XML answers of AWS's query protocol: a bounded tree, and the text at a path. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SF_AWS_XML_H
#define SF_AWS_XML_H

#include <stddef.h>

#include "common/base/error.h"
#include "common/base/util.h"

#define AWS_XML_BYTES_MAX (1u << 20)
#define AWS_XML_DEPTH_MAX 16
#define AWS_XML_ELEMENTS_MAX 20000 /* GetMetricStatistics answers at most 1440 points of 4 elements */

struct aws_xml; /* an element, with all that is in it */

/*
 * Parse a whole document. Attributes (xmlns too), comments and processing instructions are left out; a document type
 * declaration is refused, so that there are no entities but XML's own five. Caller frees *out. Errors: not well-formed,
 * a DTD, or more bytes, levels or elements than the limits above.
 */
int aws_xml_parse(const char *text, size_t n, struct aws_xml **out, struct sf_error *err);
void aws_xml_free(struct aws_xml *root); /* the root only; NULL-safe */
static inline void aws_xml_cleanup(struct aws_xml **root)
{
	aws_xml_free(*root);
}
#define aws_auto_xml sf_auto(aws_xml_cleanup)

const char *aws_xml_name(const struct aws_xml *e); /* "PublishResponse" */
/*
 * "A/B": the first element A within `from`, therein the nth (from 0) B. Borrowed; NULL when absent or `from` is NULL.
 */
const struct aws_xml *aws_xml_find(const struct aws_xml *from, const char *path, size_t nth);
/* The text of the first element at the path, "" when it is empty or has elements; not cleaned. NULL when absent. */
const char *aws_xml_text(const struct aws_xml *from, const char *path);

#endif
