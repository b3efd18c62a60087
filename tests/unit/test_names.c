/* Unit tests of common/base/names.c. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/base/names.h"

#include <string.h>

#include "common/base/text.h"
#include "tests/unit/tap.h"

static const struct {
	struct sf_comment c;
	const char *text;
} comment_rows[] = {
	{ { SF_PHASE_RUNNING, "0123456789abcdef0123456789abcdef", { 256, 512 }, "FARGATE",
	    "eu-west-1a", "reason" },
	  "fargate: running 0123456789abcdef0123456789abcdef 0.25vCPU/0.5GB FARGATE eu-west-1a: "
	  "reason" },
	{ { SF_PHASE_SUBMITTED, NULL, { 1024, 2048 }, NULL, NULL, NULL },
	  "fargate: submitted - 1vCPU/2GB - -" },
	{ { SF_PHASE_AGENT_DOWN, NULL, { 16384, 122880 }, "FARGATE_SPOT", NULL, "" },
	  "fargate: agent-down - 16vCPU/120GB FARGATE_SPOT -" },
	{ { SF_PHASE_HELD, "ab", { 512, 1024 }, "FARGATE", "eu-west-1b", "bad\nnews\033[2J" },
	  "fargate: held ab 0.5vCPU/1GB FARGATE eu-west-1b: bad?news?[2J" },
};

START_TEST(comments_read_exactly)
{
	char out[SF_COMMENT_MAX];

	sf_comment_format(&comment_rows[_i].c, out);
	ck_assert_str_eq(out, comment_rows[_i].text);
}
END_TEST

START_TEST(long_reasons_are_cut_between_characters)
{
	struct sf_comment c = { .phase = SF_PHASE_HELD, .size = { 256, 512 } };
	char reason[4096] = "", out[SF_COMMENT_MAX];
	size_t i, shift;

	for (shift = 0; shift < 3; shift++) {
		memset(reason, 'x', shift);
		for (i = shift; i + 3 < sizeof(reason); i += 3)
			memcpy(reason + i, "\xe2\x82\xac", 3);
		reason[i] = '\0';
		c.reason = reason;
		sf_comment_format(&c, out);
		ck_assert_ptr_null(strchr(out, '?'));
		ck_assert(sf_utf8_valid(out, strlen(out)));
		ck_assert_uint_ge(strlen(out), SF_COMMENT_MAX - 3);
	}
}
END_TEST

START_TEST(phases_have_their_words)
{
	static const char *const words[] = { "submitted", "agent-down", "quota", "launching",
					     "provisioning", "pending", "activating", "running",
					     "stopping", "done", "retry", "held" };
	int i;

	ck_assert_uint_eq(SF_COUNT(words), SF_PHASE_COUNT);
	for (i = 0; i < SF_PHASE_COUNT; i++)
		ck_assert_str_eq(sf_phase_name((enum sf_phase)i), words[i]);
	ck_assert_str_eq(sf_phase_name(SF_PHASE_COUNT), "unknown");
}
END_TEST

START_TEST(started_by_is_clean_and_fits)
{
	char out[SF_STARTED_BY_MAX], cluster[400];

	sf_started_by("my.cl\xc3\xa9uster", "0badcafe", 17, out);
	ck_assert_str_eq(out, "slurm/my_cl__uster-0badcafe/17");
	memset(cluster, 'c', sizeof(cluster) - 1);
	cluster[sizeof(cluster) - 1] = '\0';
	sf_started_by(cluster, "0badcafe", UINT32_MAX, out);
	ck_assert_uint_eq(strlen(out), 128);
	ck_assert_str_eq(out + 128 - strlen("c-0badcafe/4294967295"), "c-0badcafe/4294967295");
	sf_started_by(cluster, cluster, 1, out);
	ck_assert_uint_eq(strlen(out), 128);
	ck_assert_str_eq(out + 126, "/1");
}
END_TEST

START_TEST(groups_and_tags)
{
	char group[SF_GROUP_MAX], tag[257], longer[1000];

	sf_group(1700000000, 2, 3, group);
	ck_assert_str_eq(group, "slurm-1700000000-2-3");
	sf_group(INT64_MIN, UINT32_MAX, UINT32_MAX, group);
	ck_assert_str_eq(group, "slurm--9223372036854775808-4294967295-4294967295");
	sf_tag_clean("a b_.:/=+-@9", tag);
	ck_assert_str_eq(tag, "a b_.:/=+-@9");
	sf_tag_clean("x<y>&\n\xe2\x82\xac!", tag);
	ck_assert_str_eq(tag, "x_y_____");
	sf_tag_clean("aws:prod", tag);
	ck_assert_str_eq(tag, "aws_prod");
	sf_tag_clean("AwS:", tag);
	ck_assert_str_eq(tag, "AwS_");
	sf_tag_clean("my aws:x", tag);
	ck_assert_str_eq(tag, "my aws:x");
	sf_tag_clean("\x80\xff\x1b[2J\xc2\x9b\xe2\x80\xae\"'\\`$(x)\xf0\x9f\x92\xa9", tag);
	ck_assert_str_eq(tag, "__" "_2J__" "_____" "_x__");
	sf_tag_clean(NULL, tag);
	ck_assert_str_eq(tag, "");
	memset(longer, 'v', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	sf_tag_clean(longer, tag);
	ck_assert_uint_eq(strlen(tag), 256);
}
END_TEST

int main(void)
{
	const struct tap_test tests[] = {
		{ comments_read_exactly, SF_COUNT(comment_rows) },
		{ long_reasons_are_cut_between_characters, 0 },
		{ phases_have_their_words, 0 },
		{ started_by_is_clean_and_fits, 0 },
		{ groups_and_tags, 0 },
	};

	return tap_main("names", tests, SF_COUNT(tests));
}
