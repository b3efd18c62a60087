/* Unit tests of common/base/proto.c. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/base/proto.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "common/base/util.h"
#include "tests/unit/tap.h"

static size_t sample(unsigned char *buf, size_t cap)
{
	struct sf_frame_out o;

	sf_frame_begin(&o, buf, cap, SF_FRAME_ATTACH);
	sf_frame_put_number(&o, SF_FIELD_JOB, 0x0102030405060708);
	sf_frame_put_string(&o, SF_FIELD_TOKEN, "abc");
	sf_frame_put_string(&o, SF_FIELD_SPEC, NULL);
	sf_frame_put_bytes(&o, SF_FIELD_CURSOR, "\0x", 2);
	return sf_frame_end(&o);
}

START_TEST(the_bytes_are_fixed)
{
	static const unsigned char want[] = { 1, 3, 0, 0, 0, 0, 0, 28, 1, 0, 0, 0, 8, 1, 2, 3, 4, 5,
					      6, 7, 8, 7, 0, 0, 0, 3, 'a', 'b', 'c', 9, 0, 0, 0, 2,
					      0, 'x' };
	unsigned char buf[64];

	ck_assert_uint_eq(sample(buf, sizeof(buf)), sizeof(want));
	ck_assert_mem_eq(buf, want, sizeof(want));
}
END_TEST

START_TEST(what_is_built_is_read_back)
{
	unsigned char buf[64];
	size_t len = sample(buf, sizeof(buf));
	sf_auto_free char *token = NULL;
	struct sf_frame f;
	uint64_t job = 0;
	char text[4];

	ck_assert_int_eq(sf_frame_parse(buf, sizeof(buf), &f, NULL), (ssize_t)len);
	ck_assert_uint_eq(f.type, SF_FRAME_ATTACH);
	ck_assert_uint_eq(f.n_fields, 3);
	ck_assert(sf_frame_number(&f, SF_FIELD_JOB, &job));
	ck_assert_uint_eq(job, 0x0102030405060708);
	ck_assert(!sf_frame_number(&f, SF_FIELD_TOKEN, &job));
	ck_assert(!sf_frame_number(&f, SF_FIELD_RESTART, &job));
	ck_assert(sf_frame_string(&f, SF_FIELD_TOKEN, text, 4));
	ck_assert_str_eq(text, "abc");
	ck_assert(!sf_frame_string(&f, SF_FIELD_TOKEN, text, 3));
	ck_assert(!sf_frame_string(&f, SF_FIELD_CURSOR, text, 4));
	token = sf_frame_dup(&f, SF_FIELD_TOKEN, 3);
	ck_assert_str_eq(token, "abc");
	ck_assert_ptr_null(sf_frame_dup(&f, SF_FIELD_TOKEN, 2));
	ck_assert_ptr_null(sf_frame_dup(&f, SF_FIELD_CURSOR, 9));
	ck_assert_ptr_null(sf_frame_dup(&f, SF_FIELD_SPEC, 9));
}
END_TEST

START_TEST(every_prefix_asks_for_more)
{
	unsigned char buf[64];
	size_t len = sample(buf, sizeof(buf)), n;
	struct sf_frame f;

	for (n = 0; n < len; n++)
		ck_assert_int_eq(sf_frame_parse(buf, n, &f, NULL), 0);
}
END_TEST

static const struct {
	size_t n;
	unsigned char bytes[16];
	const char *why;
} bad_rows[] = {
	{ 1, { 2 }, "another protocol version" },
	{ 1, { 'G' }, "another protocol version" },
	{ 2, { 1, 0 }, "unknown frame type" },
	{ 2, { 1, SF_FRAME_REAP + 1 }, "unknown frame type" },
	{ 2, { 1, 71 }, "unknown frame type" },
	{ 8, { 1, 1, 0, 1, 0, 0, 0, 0 }, "reserved bytes are not zero" },
	{ 8, { 1, 1, 0, 0, 0, 0x10, 0, 1 }, "the frame is too long" },
	{ 8, { 1, 1, 0, 0, 0xff, 0xff, 0xff, 0xff }, "the frame is too long" },
	{ 12, { 1, 1, 0, 0, 0, 0, 0, 4, 1, 0, 0, 0 }, "a field is cut off" },
	{ 14, { 1, 1, 0, 0, 0, 0, 0, 6, 1, 0, 0, 0, 2, 7 }, "a field is longer than its frame" },
	{ 13, { 1, 1, 0, 0, 0, 0, 0, 5, 1, 0xff, 0xff, 0xff, 0xff },
	  "a field is longer than its frame" },
};

START_TEST(strangers_are_refused)
{
	const char *why = NULL;
	struct sf_frame f;

	ck_assert_int_eq(sf_frame_parse(bad_rows[_i].bytes, bad_rows[_i].n, &f, &why), -1);
	ck_assert_str_eq(why, bad_rows[_i].why);
}
END_TEST

START_TEST(unknown_tags_pass_and_too_many_do_not)
{
	unsigned char buf[256];
	struct sf_frame_out o;
	const char *why = NULL;
	struct sf_frame f;
	uint64_t n = 0;
	int i;

	sf_frame_begin(&o, buf, sizeof(buf), SF_FRAME_EXIT);
	for (i = 0; i < SF_FRAME_FIELDS_MAX - 1; i++)
		sf_frame_put_bytes(&o, (enum sf_field_tag)200, "", 0);
	sf_frame_put_number(&o, SF_FIELD_NUMBER, 7);
	ck_assert_int_gt(sf_frame_parse(buf, sf_frame_end(&o), &f, NULL), 0);
	ck_assert(sf_frame_number(&f, SF_FIELD_NUMBER, &n));
	ck_assert_uint_eq(n, 7);
	sf_frame_put_bytes(&o, (enum sf_field_tag)200, "", 0);
	ck_assert_int_eq(sf_frame_parse(buf, sf_frame_end(&o), &f, &why), -1);
	ck_assert_str_eq(why, "too many fields");
}
END_TEST

START_TEST(overflow_is_sticky)
{
	unsigned char buf[64];
	struct sf_frame_out o;
	size_t len = sample(buf, sizeof(buf)), cap;

	for (cap = 0; cap < len; cap++)
		ck_assert_uint_eq(sample(buf, cap), 0);
	ck_assert_uint_eq(sample(buf, len), len);
	sf_frame_begin(&o, buf, 16, SF_FRAME_TEXT);
	sf_frame_put_string(&o, SF_FIELD_TEXT, "far too long for it");
	sf_frame_put_string(&o, SF_FIELD_TEXT, "");
	ck_assert_uint_eq(sf_frame_end(&o), 0);
}
END_TEST

START_TEST(no_bytes_at_random_crash)
{
	unsigned char buf[64];
	struct sf_frame f;
	unsigned seed = 1;
	int round;
	size_t i;

	for (round = 0; round < 200000; round++) {
		for (i = 0; i < sizeof(buf); i++) {
			seed = seed * 1103515245 + 12345;
			buf[i] = (unsigned char)(seed >> 16);
		}
		memcpy(buf, "\x01\x01\0\0\0\0\0", 7);
		buf[7] %= 57;
		/* small lengths, so that fields add up often */
		for (i = 8; i + 4 < sizeof(buf); i += 5 + buf[i + 4] % 12)
			memset(buf + i + 1, 0, 3);
		ck_assert_int_ne(sf_frame_parse(buf, sizeof(buf), &f, NULL), 0);
	}
}
END_TEST

START_TEST(frames_arrive_in_pieces_and_together)
{
	unsigned char out[128], in[128];
	size_t len = sample(out, sizeof(out)), have = 0, i;
	struct sf_frame f;
	int fd[2], round;

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
	memcpy(out + len, out, len);
	ck_assert_int_eq(sf_proto_send(fd[0], out, 2 * len), 0);
	for (round = 0; round < 2; round++) {
		ck_assert_int_eq(sf_proto_recv(fd[1], in, sizeof(in), &have, &f), (ssize_t)len);
		sf_proto_consume(in, &have, len);
	}
	ck_assert_uint_eq(have, 0);
	for (i = 0; i < len; i++) {
		struct timeval soon = { .tv_usec = 1000 };

		setsockopt(fd[1], SOL_SOCKET, SO_RCVTIMEO, &soon, sizeof(soon));
		ck_assert_int_eq(sf_proto_recv(fd[1], in, sizeof(in), &have, &f), -1);
		ck_assert_int_eq(errno, EAGAIN);
		ck_assert_uint_eq(have, i);
		ck_assert_int_eq(sf_proto_send(fd[0], out + i, 1), 0);
	}
	ck_assert_int_eq(sf_proto_recv(fd[1], in, sizeof(in), &have, &f), (ssize_t)len);
	close(fd[0]);
	close(fd[1]);
}
END_TEST

START_TEST(the_ends_of_a_stream)
{
	unsigned char out[64], in[64];
	size_t len = sample(out, sizeof(out)), have = 0;
	struct sf_frame f;
	int fd[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
	ck_assert_int_eq(sf_proto_send(fd[0], out, len - 1), 0);
	ck_assert_int_eq(sf_proto_recv(fd[1], in, len - 1, &have, &f), -1);
	ck_assert_int_eq(errno, EMSGSIZE);
	close(fd[0]);
	ck_assert_int_eq(sf_proto_recv(fd[1], in, sizeof(in), &have, &f), 0);
	ck_assert_int_eq(sf_proto_send(fd[1], out, len), -1);
	ck_assert_int_eq(errno, EPIPE);
	close(fd[1]);
	have = 2;
	memcpy(in, "HT", 2);
	ck_assert_int_eq(sf_proto_recv(-1, in, sizeof(in), &have, &f), -1);
	ck_assert_int_eq(errno, EPROTO);
}
END_TEST

START_TEST(connect_reaches_a_listener_and_says_why_not)
{
	char dir[] = "/tmp/sf-proto-XXXXXX", longer[200];
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int listener = socket(AF_UNIX, SOCK_STREAM, 0), fd;

	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/s", dir);
	ck_assert_int_eq(sf_proto_connect(addr.sun_path, 100), -1);
	ck_assert_int_eq(errno, ENOENT);
	ck_assert_int_eq(bind(listener, (struct sockaddr *)&addr, sizeof(addr)), 0);
	ck_assert_int_eq(sf_proto_connect(addr.sun_path, 100), -1);
	ck_assert_int_eq(errno, ECONNREFUSED);
	ck_assert_int_eq(listen(listener, 0), 0);
	fd = sf_proto_connect(addr.sun_path, 100);
	ck_assert_int_ge(fd, 0);
	/* The backlog is full now: the time limit ends the second attempt. */
	ck_assert_int_eq(sf_proto_connect(addr.sun_path, 100), -1);
	ck_assert_int_eq(errno, EAGAIN);
	close(fd);
	close(listener);
	unlink(addr.sun_path);
	rmdir(dir);
	memset(longer, '/', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	ck_assert_int_eq(sf_proto_connect(longer, 0), -1);
	ck_assert_int_eq(errno, ENAMETOOLONG);
}
END_TEST

int main(void)
{
	const struct tap_test tests[] = {
		{ the_bytes_are_fixed, 0 },
		{ what_is_built_is_read_back, 0 },
		{ every_prefix_asks_for_more, 0 },
		{ strangers_are_refused, SF_COUNT(bad_rows) },
		{ unknown_tags_pass_and_too_many_do_not, 0 },
		{ overflow_is_sticky, 0 },
		{ no_bytes_at_random_crash, 0 },
		{ frames_arrive_in_pieces_and_together, 0 },
		{ the_ends_of_a_stream, 0 },
		{ connect_reaches_a_listener_and_says_why_not, 0 },
	};

	return tap_main("proto", tests, SF_COUNT(tests));
}
