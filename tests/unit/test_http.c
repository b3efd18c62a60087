/* Unit tests of common/aws/http.c against a server that misbehaves on request. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/aws/http.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <sys/socket.h>

#include "tests/unit/aws_server.h"

struct got {
	bool done;
	int calls;
	struct aws_http_result r;
	char body[2048]; /* its start */
};

static void on_result(void *arg, const struct aws_http_result *r)
{
	struct got *got = arg;

	got->r = *r;
	snprintf(got->body, sizeof(got->body), "%s", r->body);
	got->calls++;
	got->done = true;
}

static char url_text[128];
static const char *url(const char *scheme, const char *host, int port, const char *path)
{
	snprintf(url_text, sizeof(url_text), "%s://%s:%d%s", scheme, host, port, path);
	return url_text;
}

static void fetch(struct test_loop *loop, struct aws_http *h, const struct aws_http_request *req, struct got *got)
{
	struct sf_error err = { "" };

	*got = (struct got){ 0 };
	ck_assert_msg(aws_http_send(h, req, on_result, got, &err) == 0, "%s", err.text);
	ck_assert(!got->done);
	ck_assert_msg(loop_run(loop, h, &got->done, 20000), "no answer");
	ck_assert_int_eq(got->calls, 1);
}

static void fetch_once(const char *address, long timeout_ms, struct got *got)
{
	struct aws_http_request req = { .method = "POST", .url = address, .body = "{}", .body_len = 2, .timeout_ms = timeout_ms };
	struct test_loop loop = { 0 };
	struct aws_http *h = loop_http(&loop);

	fetch(&loop, h, &req, got);
	aws_http_free(h);
	ck_assert_uint_eq(loop.n, 0);
}

static void check_failed(const struct got *got, bool sent, const char *cause)
{
	char want[256];

	snprintf(want, sizeof(want), "%s: %s", url_text, cause);
	ck_assert(!got->r.ok);
	ck_assert_str_eq(got->r.error, want);
	ck_assert_int_eq(got->r.sent, sent);
}

START_TEST(a_request_arrives_as_it_was_said)
{
	const char *headers[] = { "X-Amz-Target: A.B", "Host: other.example:1", NULL };
	char body[3000];
	struct aws_http_request req = { .method = "POST", .url = url("http", "127.0.0.1", server.port, "/echo"),
					.headers = headers, .body = body, .body_len = sizeof(body) };
	struct test_loop loop = { 0 };
	struct aws_http *h = loop_http(&loop);
	struct got got;

	memset(body, 'b', sizeof(body));
	fetch(&loop, h, &req, &got);
	ck_assert(got.r.ok);
	ck_assert(got.r.sent);
	ck_assert_int_eq(got.r.status, 200);
	ck_assert_ptr_nonnull(strstr(got.body, "POST /echo HTTP/1.1\n"));
	ck_assert_ptr_nonnull(strstr(got.body, "X-Amz-Target: A.B\n"));
	ck_assert_ptr_nonnull(strstr(got.body, "Host: other.example:1\n"));
	ck_assert_ptr_nonnull(strstr(got.body, "Content-Length: 3000\n"));
	ck_assert_ptr_null(strstr(got.body, "Expect"));
	ck_assert_uint_eq(got.r.body_len, (size_t)(strstr(got.body, "bbb") - got.body) + 3000);
	ck_assert_str_eq(got.r.request_id, "id-1");
	ck_assert_str_eq(got.r.error_type, "Some#Type");
	ck_assert_ptr_nonnull(strstr(got.r.date, " GMT"));
	aws_http_free(h);
}
END_TEST

START_TEST(refused)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t len = sizeof(a);
	struct got got;

	/* bound but not listening: nobody else can take the port meanwhile */
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&a, &len), 0);
	fetch_once(url("http", "127.0.0.1", ntohs(a.sin_port), "/"), 0, &got);
	close(fd);
	ck_assert(!got.r.ok);
	ck_assert(!got.r.sent);
	ck_assert_ptr_nonnull(strstr(got.r.error, "Failed to connect to 127.0.0.1 port"));
	ck_assert_ptr_nonnull(strstr(got.r.error, "Couldn't connect to server"));
	ck_assert_int_eq(got.r.status, 0);
	ck_assert_str_eq(got.body, "");
}
END_TEST

START_TEST(slow_runs_into_the_timeout)
{
	int64_t start = monotonic_ms();
	struct got got;

	fetch_once(url("http", "127.0.0.1", server.port, "/slow"), 300, &got);
	ck_assert(!got.r.ok);
	ck_assert(got.r.sent);
	ck_assert_ptr_nonnull(strstr(got.r.error, "/slow: Operation timed out after 3"));
	ck_assert_int_ge(monotonic_ms() - start, 290);
	ck_assert_int_lt(monotonic_ms() - start, 5000);
}
END_TEST

START_TEST(cut_before_an_answer)
{
	struct got got;

	fetch_once(url("http", "127.0.0.1", server.port, "/cut-before"), 0, &got);
	check_failed(&got, true, "Empty reply from server");
	ck_assert_int_eq(got.r.status, 0);
}
END_TEST

START_TEST(cut_within_an_answer)
{
	struct got got;

	fetch_once(url("http", "127.0.0.1", server.port, "/cut-within"), 0, &got);
	check_failed(&got, true, "transfer closed with 96 bytes remaining to read");
	ck_assert_int_eq(got.r.status, 200);
}
END_TEST

START_TEST(oversized_answer)
{
	struct got got;

	fetch_once(url("http", "127.0.0.1", server.port, "/huge"), 0, &got);
	check_failed(&got, true, "the answer is longer than 16 MiB");
	fetch_once(url("http", "127.0.0.1", server.port, "/largest"), 0, &got);
	ck_assert(got.r.ok);
	ck_assert_uint_eq(got.r.body_len, AWS_HTTP_BODY_MAX);
}
END_TEST

START_TEST(redirects_are_not_followed)
{
	struct got got;

	fetch_once(url("http", "127.0.0.1", server.port, "/redirect"), 0, &got);
	ck_assert(got.r.ok);
	ck_assert_int_eq(got.r.status, 302);
	ck_assert_str_eq(got.body, "elsewhere");
}
END_TEST

START_TEST(connections_are_reused)
{
	struct aws_http_request req = { .method = "GET", .url = url("http", "127.0.0.1", server.port, "/ok") };
	struct test_loop loop = { 0 };
	struct aws_http *h = loop_http(&loop);
	char first[sizeof(((struct got *)0)->body)];
	struct got got;
	int i;

	fetch(&loop, h, &req, &got);
	memcpy(first, got.body, sizeof(first));
	ck_assert_int_gt(atoi(first), 0);
	for (i = 0; i < 5; i++) {
		fetch(&loop, h, &req, &got);
		ck_assert_str_eq(got.body, first);
	}
	aws_http_free(h);
	h = loop_http(&loop);
	fetch(&loop, h, &req, &got);
	ck_assert_str_ne(got.body, first);
	aws_http_free(h);
}
END_TEST

START_TEST(tls_with_a_known_authority)
{
	struct got got;

	setenv("AWS_CA_BUNDLE", server.ca, 1);
	fetch_once(url("https", "localhost", server.tls_port, "/ok"), 0, &got);
	ck_assert_msg(got.r.ok, "%s", got.r.error);
	ck_assert_int_eq(got.r.status, 200);
}
END_TEST

START_TEST(tls_with_a_wrong_host_name_is_refused)
{
	struct got got;

	setenv("AWS_CA_BUNDLE", server.ca, 1);
	fetch_once(url("https", "127.0.0.1", server.tls_port, "/ok"), 0, &got);
	check_failed(&got, false, "SSL: no alternative certificate subject name matches target host name '127.0.0.1'");
}
END_TEST

START_TEST(tls_self_signed_is_refused)
{
	struct got got;

	setenv("AWS_CA_BUNDLE", server.ca, 1);
	fetch_once(url("https", "localhost", server.self_port, "/ok"), 0, &got);
	check_failed(&got, false, "SSL certificate problem: self-signed certificate");
}
END_TEST

START_TEST(tls_of_an_unknown_authority_is_refused)
{
	struct got got;

	unsetenv("AWS_CA_BUNDLE");
	fetch_once(url("https", "localhost", server.tls_port, "/ok"), 0, &got);
	check_failed(&got, false, "SSL certificate problem: unable to get local issuer certificate");
}
END_TEST

START_TEST(a_missing_ca_bundle_is_named)
{
	struct got got;

	setenv("AWS_CA_BUNDLE", "/nonexistent/ca.pem", 1);
	fetch_once(url("https", "localhost", server.tls_port, "/ok"), 0, &got);
	ck_assert(!got.r.ok);
	ck_assert(!got.r.sent);
	ck_assert_ptr_nonnull(strstr(got.r.error, ": AWS_CA_BUNDLE=/nonexistent/ca.pem cannot be used: "));
}
END_TEST

START_TEST(other_protocols_are_refused)
{
	struct got got;

	fetch_once("file:///etc/passwd", 0, &got);
	ck_assert(!got.r.ok);
	ck_assert(!got.r.sent);
	ck_assert_str_eq(got.r.error, "file:///etc/passwd: Protocol \"file\" not supported or disabled in libcurl");
}
END_TEST

START_TEST(cancelled_transfers_do_not_call_back)
{
	struct aws_http_request req = { .method = "GET", .url = url("http", "127.0.0.1", server.port, "/slow") };
	struct test_loop loop = { 0 };
	struct aws_http *h = loop_http(&loop);
	struct got gone = { 0 }, freed = { 0 }, got;
	struct sf_error err;

	ck_assert_int_eq(aws_http_send(h, &req, on_result, &gone, &err), 0);
	ck_assert_int_eq(aws_http_send(h, &req, on_result, &freed, &err), 0);
	req.url = url("http", "127.0.0.1", server.port, "/ok");
	fetch(&loop, h, &req, &got);
	aws_http_cancel(h, &gone);
	req.url = url("http", "127.0.0.1", server.port, "/release");
	fetch(&loop, h, &req, &got);
	ck_assert(loop_run(&loop, h, &freed.done, 20000)); /* the one that was not cancelled ends */
	freed = (struct got){ 0 };
	req.url = url("http", "127.0.0.1", server.port, "/slow");
	ck_assert_int_eq(aws_http_send(h, &req, on_result, &freed, &err), 0);
	aws_http_free(h);
	ck_assert_int_eq(gone.calls, 0);
	ck_assert_int_eq(freed.calls, 0);
	ck_assert_uint_eq(loop.n, 0);
}
END_TEST

int main(void)
{
	const struct tap_test tests[] = {
		{ a_request_arrives_as_it_was_said, 0 },
		{ refused, 0 },
		{ slow_runs_into_the_timeout, 0 },
		{ cut_before_an_answer, 0 },
		{ cut_within_an_answer, 0 },
		{ oversized_answer, 0 },
		{ redirects_are_not_followed, 0 },
		{ connections_are_reused, 0 },
		{ tls_with_a_known_authority, 0 },
		{ tls_with_a_wrong_host_name_is_refused, 0 },
		{ tls_self_signed_is_refused, 0 },
		{ tls_of_an_unknown_authority_is_refused, 0 },
		{ a_missing_ca_bundle_is_named, 0 },
		{ other_protocols_are_refused, 0 },
		{ cancelled_transfers_do_not_call_back, 0 },
	};
	int rc;

	unsetenv("http_proxy");
	unsetenv("https_proxy");
	unsetenv("HTTPS_PROXY");
	unsetenv("all_proxy");
	unsetenv("ALL_PROXY");
	server_start();
	rc = tap_main("http", tests, SF_COUNT(tests));
	server_stop();
	return rc;
}
