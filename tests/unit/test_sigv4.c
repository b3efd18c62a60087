/* Unit tests of common/aws/sigv4.c against botocore's SigV4Auth, stage by stage. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/aws/sigv4.h"

#include <string.h>

#include "common/base/util.h"
#include "tests/unit/tap.h"
#include "tests/unit/vectors/sigv4.h"

static struct aws_sigv4_request request_of(const struct vector *v)
{
	return (struct aws_sigv4_request){ v->method, v->path, v->query, v->headers, v->body, v->body_len };
}

static struct aws_sigv4_key key_of(const struct vector *v)
{
	return (struct aws_sigv4_key){ vector_access_key, vector_secret_key, v->region, v->service };
}

START_TEST(stage_canonical_request)
{
	const struct vector *v = &vectors[_i];
	struct aws_sigv4_request req = request_of(v);
	sf_auto_free char *canonical = NULL, *names = NULL;
	struct sf_error err;

	ck_assert_int_eq(aws_sigv4_canonical(&req, &canonical, &names, &err), 0);
	ck_assert_msg(strcmp(canonical, v->canonical) == 0, "%s: got\n%s\nbotocore has\n%s", v->name, canonical,
		      v->canonical);
	ck_assert_str_eq(names, v->signed_headers);
}
END_TEST

START_TEST(stage_string_to_sign)
{
	const struct vector *v = &vectors[_i];
	struct aws_sigv4_key key = key_of(v);
	sf_auto_free char *got = aws_sigv4_string_to_sign(v->canonical, v->date, &key);

	ck_assert_msg(strcmp(got, v->to_sign) == 0, "%s: got\n%s\nbotocore has\n%s", v->name, got, v->to_sign);
}
END_TEST

START_TEST(stage_signature)
{
	const struct vector *v = &vectors[_i];
	struct aws_sigv4_key key = key_of(v);
	struct sf_error err;
	char got[65];

	ck_assert_int_eq(aws_sigv4_signature(v->to_sign, v->date, &key, got, &err), 0);
	ck_assert_msg(strcmp(got, v->signature) == 0, "%s: got %s, botocore has %s", v->name, got, v->signature);
}
END_TEST

START_TEST(authorization_puts_the_stages_together)
{
	const struct vector *v = &vectors[_i];
	struct aws_sigv4_request req = request_of(v);
	struct aws_sigv4_key key = key_of(v);
	sf_auto_free char *got = NULL, *want = NULL;
	struct sf_error err;

	ck_assert_int_gt(asprintf(&want,
				  "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/%.8s/%s/%s/aws4_request, SignedHeaders=%s, "
				  "Signature=%s",
				  v->date, v->region, v->service, v->signed_headers, v->signature),
			 0);
	ck_assert_int_eq(aws_sigv4_authorization(&req, v->date, &key, &got, &err), 0);
	ck_assert_str_eq(got, want);
}
END_TEST

static const struct {
	const char *headers[3], *message;
} bad_rows[] = {
	{ { "Host: a", "no colon" }, "header 2 to sign has no name" },
	{ { ": a" }, "header 1 to sign has no name" },
	{ { "X-A: 1", "x-a: 2" }, "header 'x-a' occurs twice" },
};

START_TEST(bad_headers_are_refused)
{
	struct aws_sigv4_request req = { .method = "GET", .path = "/", .headers = bad_rows[_i].headers };
	char *canonical = NULL, *names = NULL;
	struct sf_error err;

	ck_assert_int_eq(aws_sigv4_canonical(&req, &canonical, &names, &err), -1);
	ck_assert_str_eq(err.text, bad_rows[_i].message);
	ck_assert_ptr_null(canonical);
	ck_assert_ptr_null(names);
}
END_TEST

START_TEST(a_secret_that_is_too_long_is_refused_without_showing_it)
{
	char secret[300], out[65];
	struct aws_sigv4_key key = { "AK", secret, "r", "s" };
	struct sf_error err;

	memset(secret, 'x', sizeof(secret) - 1);
	secret[sizeof(secret) - 1] = '\0';
	ck_assert_int_eq(aws_sigv4_signature("text", "20261123T180233Z", &key, out, &err), -1);
	ck_assert_str_eq(err.text, "the secret key is longer than 255 characters");
}
END_TEST

START_TEST(hashes_and_dates)
{
	char hex[65], date[AWS_SIGV4_DATE_MAX];

	/* FIPS 180-2, appendix B.1, and the well-known hash of nothing */
	aws_sha256_hex("abc", 3, hex);
	ck_assert_str_eq(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	aws_sha256_hex(NULL, 0, hex);
	ck_assert_str_eq(hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	aws_sigv4_date(1795456953, date);
	ck_assert_str_eq(date, "20261123T180233Z");
}
END_TEST

int main(void)
{
	const struct tap_test tests[] = {
		{ stage_canonical_request, SF_COUNT(vectors) },
		{ stage_string_to_sign, SF_COUNT(vectors) },
		{ stage_signature, SF_COUNT(vectors) },
		{ authorization_puts_the_stages_together, SF_COUNT(vectors) },
		{ bad_headers_are_refused, SF_COUNT(bad_rows) },
		{ a_secret_that_is_too_long_is_refused_without_showing_it, 0 },
		{ hashes_and_dates, 0 },
	};

	return tap_main("sigv4", tests, SF_COUNT(tests));
}
