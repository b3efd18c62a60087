/* The XML answers of AWS's query protocol: a bounded tree, and the text at a path. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/aws/xml.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <expat.h>
#include <openssl/crypto.h>

#include "common/base/text.h"

struct aws_xml {
	struct aws_xml *parent, *children, *last, *next;
	char *name;
	struct sf_buf text;
};

struct reading {
	XML_Parser parser;
	struct aws_xml *root, *at;
	unsigned depth, elements;
	struct sf_error why; /* "" = expat's own */
};

void aws_xml_free(struct aws_xml *root)
{
	struct aws_xml *e = root, *up;

	/* Down to an element without any in it, which goes; then on from the one around it. */
	while (e) {
		up = e->parent;
		if (e->children) {
			up = e->children;
			e->children = up->next;
		} else {
			/* STS's answers hold keys */
			if (e->text.data)
				OPENSSL_cleanse(e->text.data, e->text.cap);
			sf_buf_free(&e->text);
			free(e->name);
			free(e);
		}
		e = up;
	}
}

static void stop(struct reading *r, const char *why)
{
	sf_err(&r->why, "%s", why);
	XML_StopParser(r->parser, XML_FALSE);
}

static void append(struct reading *r, struct aws_xml *e)
{
	struct aws_xml *parent = r->at;

	e->parent = parent;
	if (!parent)
		r->root = e;
	else if (parent->last)
		parent->last->next = e;
	else
		parent->children = e;
	if (parent)
		parent->last = e;
	r->at = e;
}

static void on_start(void *arg, const XML_Char *name, const XML_Char **attributes)
{
	struct reading *r = arg;
	struct aws_xml *e;

	(void)attributes;
	if (++r->depth > AWS_XML_DEPTH_MAX || ++r->elements > AWS_XML_ELEMENTS_MAX) {
		stop(r, r->depth > AWS_XML_DEPTH_MAX ? "nested too deeply" : "too many elements");
		return;
	}
	e = calloc(1, sizeof(*e));
	if (e)
		e->name = strdup(name);
	if (!e || !e->name) {
		free(e);
		stop(r, "out of memory");
		return;
	}
	append(r, e);
}

static void on_end(void *arg, const XML_Char *name)
{
	struct reading *r = arg;

	(void)name;
	if (r->why.text[0])
		return; /* expat still ends the element at which it was stopped */
	/* What stands between elements is layout. */
	if (r->at->children)
		sf_buf_free(&r->at->text);
	if (r->at->text.failed)
		stop(r, "out of memory");
	r->at = r->at->parent;
	r->depth--;
}

static void on_text(void *arg, const XML_Char *text, int n)
{
	struct reading *r = arg;

	if (n > 0)
		sf_buf_add(&r->at->text, text, (size_t)n);
}

static void on_doctype(void *arg, const XML_Char *name, const XML_Char *sysid, const XML_Char *pubid, int internal)
{
	(void)name;
	(void)sysid;
	(void)pubid;
	(void)internal;
	stop(arg, "a document type declaration");
}

int aws_xml_parse(const char *text, size_t n, struct aws_xml **out, struct sf_error *err)
{
	struct reading r = { .parser = NULL };
	bool ok;

	if (n > AWS_XML_BYTES_MAX)
		return sf_err(err, "XML of more than %u bytes", AWS_XML_BYTES_MAX);
	r.parser = XML_ParserCreate(NULL);
	if (!r.parser)
		return sf_err(err, "out of memory");
	XML_SetUserData(r.parser, &r);
	XML_SetElementHandler(r.parser, on_start, on_end);
	XML_SetCharacterDataHandler(r.parser, on_text);
	XML_SetStartDoctypeDeclHandler(r.parser, on_doctype);
	ok = XML_Parse(r.parser, text, (int)n, XML_TRUE) == XML_STATUS_OK && !r.why.text[0];
	if (!ok)
		sf_err(err, "no XML that can be read: %s", r.why.text[0] ? r.why.text : XML_ErrorString(XML_GetErrorCode(r.parser)));
	XML_ParserFree(r.parser);
	if (ok)
		*out = sf_steal(r.root);
	aws_xml_free(r.root);
	return ok ? 0 : -1;
}

const char *aws_xml_name(const struct aws_xml *e)
{
	return e->name;
}

static const struct aws_xml *child_of(const struct aws_xml *e, const char *name, size_t n, size_t nth)
{
	const struct aws_xml *child;

	for (child = e->children; child; child = child->next)
		if (strncmp(child->name, name, n) == 0 && child->name[n] == '\0' && nth-- == 0)
			return child;
	return NULL;
}

const struct aws_xml *aws_xml_find(const struct aws_xml *from, const char *path, size_t nth)
{
	const char *end;

	for (; from; path = end + 1) {
		end = strchrnul(path, '/');
		from = child_of(from, path, (size_t)(end - path), *end ? 0 : nth);
		if (!*end)
			break;
	}
	return from;
}

const char *aws_xml_text(const struct aws_xml *from, const char *path)
{
	const struct aws_xml *e = aws_xml_find(from, path, 0);

	if (!e)
		return NULL;
	return e->text.data ? e->text.data : "";
}
