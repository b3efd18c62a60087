/* AWS Signature Version 4 on OpenSSL, stage by stage so that a test can name the broken one. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/aws/sigv4.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "common/base/text.h"

#define ALGORITHM "AWS4-HMAC-SHA256"
#define MAX_PARTS 64 /* headers, or parameters of a query */

struct pair {
	const char *name, *value;
	size_t name_len, value_len;
};

void aws_sha256_hex(const void *bytes, size_t n, char out[65])
{
	unsigned char digest[32];

	if (EVP_Digest(n ? bytes : "", n, digest, NULL, EVP_sha256(), NULL) != 1)
		abort(); /* SHA-256 is in every provider; without it nothing that follows could be right */
	sf_hex(digest, sizeof(digest), out);
}

void aws_sigv4_date(int64_t seconds, char out[AWS_SIGV4_DATE_MAX])
{
	time_t t = seconds;
	struct tm tm = { 0 }; /* a time beyond what struct tm can hold gets a date AWS refuses */

	if (!gmtime_r(&t, &tm))
		tm.tm_mday = 1;
	strftime(out, AWS_SIGV4_DATE_MAX, "%Y%m%dT%H%M%SZ", &tm);
}

static bool unreserved(unsigned char c)
{
	return isalnum(c) || (c && strchr("-_.~", c));
}

/* The path without empty and dot segments, each percent-encoded once more (AWS does so for all services but S3). */
static void add_path(struct sf_buf *b, const char *path)
{
	sf_auto_buf struct sf_buf out = SF_BUF_INIT;
	const char *part, *end;

	for (part = path; *part; part = *end ? end + 1 : end) {
		end = strchrnul(part, '/');
		if (end == part || (end - part == 1 && part[0] == '.'))
			continue;
		if (end - part == 2 && strncmp(part, "..", 2) == 0) {
			while (out.len && out.data[out.len - 1] != '/')
				out.data[--out.len] = '\0';
			if (out.len)
				out.data[--out.len] = '\0';
			continue;
		}
		sf_buf_puts(&out, "/");
		for (; part < end; part++) {
			if (unreserved((unsigned char)*part))
				sf_buf_add(&out, part, 1);
			else
				sf_buf_printf(&out, "%%%02X", (unsigned char)*part);
		}
	}
	if (!out.len || path[strlen(path) - 1] == '/')
		sf_buf_puts(&out, "/");
	b->failed = b->failed || out.failed;
	sf_buf_add(b, out.data, out.failed ? 0 : out.len);
}

static int compare_bytes(const char *a, size_t a_len, const char *b, size_t b_len)
{
	int d = memcmp(a, b, a_len < b_len ? a_len : b_len);

	return d ? d : (a_len > b_len) - (a_len < b_len);
}

static int compare_pairs(const void *one, const void *two)
{
	const struct pair *a = one, *b = two;
	int d = compare_bytes(a->name, a->name_len, b->name, b->name_len);

	return d ? d : compare_bytes(a->value, a->value_len, b->value, b->value_len);
}

static int compare_names(const void *one, const void *two)
{
	const struct pair *a = one, *b = two;
	int d = strncasecmp(a->name, b->name, a->name_len < b->name_len ? a->name_len : b->name_len);

	return d ? d : (a->name_len > b->name_len) - (a->name_len < b->name_len);
}

/* The parameters sorted by name, then value; a URL's query is encoded already. */
static int add_query(struct sf_buf *b, const char *query, struct sf_error *err)
{
	struct pair pairs[MAX_PARTS];
	const char *end, *eq;
	size_t n = 0, i;

	for (; query && *query; query = *end ? end + 1 : end) {
		end = strchrnul(query, '&');
		if (n == MAX_PARTS)
			return sf_err(err, "a query of more than %d parameters", MAX_PARTS);
		eq = memchr(query, '=', (size_t)(end - query));
		pairs[n].name = query;
		pairs[n].name_len = (size_t)((eq ? eq : end) - query);
		pairs[n].value = eq ? eq + 1 : end;
		pairs[n].value_len = (size_t)(end - pairs[n].value);
		n++;
	}
	if (n)
		qsort(pairs, n, sizeof(pairs[0]), compare_pairs);
	for (i = 0; i < n; i++) {
		sf_buf_puts(b, i ? "&" : "");
		sf_buf_add(b, pairs[i].name, pairs[i].name_len);
		sf_buf_puts(b, "=");
		sf_buf_add(b, pairs[i].value, pairs[i].value_len);
	}
	return 0;
}

static void add_lower(struct sf_buf *b, const char *s, size_t n)
{
	char c;

	for (; n; n--, s++) {
		c = (char)tolower((unsigned char)*s);
		sf_buf_add(b, &c, 1);
	}
}

/* Trimmed, inner runs of blanks collapsed to one. */
static void add_value(struct sf_buf *b, const char *s)
{
	static const char blanks[] = " \t\r\n\v\f";
	size_t n;

	s += strspn(s, blanks);
	while (*s) {
		n = strcspn(s, blanks);
		sf_buf_add(b, s, n);
		s += n;
		s += strspn(s, blanks);
		sf_buf_puts(b, *s ? " " : "");
	}
}

static int split_headers(const char *const *headers, struct pair *out, size_t *n, struct sf_error *err)
{
	const char *colon;
	size_t i;

	for (*n = 0; headers && headers[*n]; ++*n) {
		colon = strchr(headers[*n], ':');
		if (*n == MAX_PARTS)
			return sf_err(err, "more than %d headers to sign", MAX_PARTS);
		if (!colon || colon == headers[*n])
			return sf_err(err, "header %zu to sign has no name", *n + 1);
		out[*n] = (struct pair){ headers[*n], colon + 1, (size_t)(colon - headers[*n]), 0 };
	}
	if (*n)
		qsort(out, *n, sizeof(out[0]), compare_names);
	for (i = 1; i < *n; i++)
		if (compare_names(&out[i - 1], &out[i]) == 0)
			return sf_err(err, "header '%.*s' occurs twice", (int)out[i].name_len,
				      out[i].name);
	return 0;
}

int aws_sigv4_canonical(const struct aws_sigv4_request *req, char **canonical, char **signed_headers,
			struct sf_error *err)
{
	sf_auto_buf struct sf_buf text = SF_BUF_INIT;
	sf_auto_buf struct sf_buf names = SF_BUF_INIT;
	sf_auto_free char *names_text = NULL;
	struct pair headers[MAX_PARTS];
	char hash[65];
	size_t n = 0, i;

	if (split_headers(req->headers, headers, &n, err) != 0)
		return -1;
	sf_buf_printf(&text, "%s\n", req->method);
	add_path(&text, req->path);
	sf_buf_puts(&text, "\n");
	if (add_query(&text, req->query, err) != 0)
		return -1;
	sf_buf_puts(&text, "\n");
	for (i = 0; i < n; i++) {
		add_lower(&text, headers[i].name, headers[i].name_len);
		sf_buf_puts(&text, ":");
		add_value(&text, headers[i].value);
		sf_buf_puts(&text, "\n");
		sf_buf_puts(&names, i ? ";" : "");
		add_lower(&names, headers[i].name, headers[i].name_len);
	}
	names_text = sf_buf_take(&names);
	aws_sha256_hex(req->body, req->body ? req->body_len : 0, hash);
	if (names_text)
		sf_buf_printf(&text, "\n%s\n%s", names_text, hash);
	*canonical = names_text ? sf_buf_take(&text) : NULL;
	if (!*canonical)
		return sf_err(err, "out of memory");
	*signed_headers = sf_steal(names_text);
	return 0;
}

/* 20261123/eu-west-1/ecs/aws4_request */
static void add_scope(struct sf_buf *b, const char *date, const struct aws_sigv4_key *key)
{
	sf_buf_printf(b, "%.8s/%s/%s/aws4_request", date, key->region, key->service);
}

char *aws_sigv4_string_to_sign(const char *canonical, const char *date, const struct aws_sigv4_key *key)
{
	struct sf_buf b = SF_BUF_INIT;
	char hash[65];

	aws_sha256_hex(canonical, strlen(canonical), hash);
	sf_buf_printf(&b, ALGORITHM "\n%s\n", date);
	add_scope(&b, date, key);
	sf_buf_printf(&b, "\n%s", hash);
	return sf_buf_take(&b);
}

static bool hmac(const void *key, size_t key_len, const char *text, size_t n, unsigned char out[32])
{
	return HMAC(EVP_sha256(), key, (int)key_len, (const unsigned char *)text, n, out, NULL) != NULL;
}

int aws_sigv4_signature(const char *string_to_sign, const char *date, const struct aws_sigv4_key *key, char out[65],
			struct sf_error *err)
{
	unsigned char a[32], b[32];
	char start[4 + 256];
	size_t n = strlen(key->secret_key);
	int rc = -1;

	if (n > sizeof(start) - 5)
		return sf_err(err, "the secret key is longer than 255 characters");
	memcpy(start, "AWS4", 4); /* NOLINT(bugprone-not-null-terminated-result): HMAC takes a length */
	memcpy(start + 4, key->secret_key, n);
	if (hmac(start, n + 4, date, 8, a) && hmac(a, 32, key->region, strlen(key->region), b) &&
	    hmac(b, 32, key->service, strlen(key->service), a) && hmac(a, 32, "aws4_request", 12, b) &&
	    hmac(b, 32, string_to_sign, strlen(string_to_sign), a)) {
		sf_hex(a, sizeof(a), out);
		rc = 0;
	} else {
		sf_err(err, "OpenSSL refuses HMAC-SHA256");
	}
	OPENSSL_cleanse(start, sizeof(start));
	OPENSSL_cleanse(a, sizeof(a));
	OPENSSL_cleanse(b, sizeof(b));
	return rc;
}

int aws_sigv4_authorization(const struct aws_sigv4_request *req, const char *date, const struct aws_sigv4_key *key,
			    char **out, struct sf_error *err)
{
	sf_auto_free char *canonical = NULL, *names = NULL, *to_sign = NULL;
	struct sf_buf b = SF_BUF_INIT;
	char signature[65];

	if (aws_sigv4_canonical(req, &canonical, &names, err) != 0)
		return -1;
	to_sign = aws_sigv4_string_to_sign(canonical, date, key);
	if (!to_sign)
		return sf_err(err, "out of memory");
	if (aws_sigv4_signature(to_sign, date, key, signature, err) != 0)
		return -1;
	sf_buf_printf(&b, ALGORITHM " Credential=%s/", key->access_key);
	add_scope(&b, date, key);
	sf_buf_printf(&b, ", SignedHeaders=%s, Signature=%s", names, signature);
	*out = sf_buf_take(&b);
	return *out ? 0 : sf_err(err, "out of memory");
}
