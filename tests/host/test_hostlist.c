/* Unit tests of plugin/spank/hostlist.c. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "plugin/spank/hostlist.h"

#include <stdio.h>
#include <string.h>

#include "common/base/text.h"
#include "tests/unit/tap.h"

static bool collect(void *ctx, const char *host)
{
	struct sf_buf *b = ctx;

	sf_buf_printf(b, "%s%s", b->len ? " " : "", host);
	return false;
}

static const struct {
	const char *list;
	const char *hosts; /* NULL: malformed */
} lists[] = {
	{"gw", "gw"},
	{"a,b", "a b"},
	{"gw1.example.org", "gw1.example.org"},
	{"gw[1-3]", "gw1 gw2 gw3"},
	{"gw[1-3,07],login", "gw1 gw2 gw3 gw07 login"},
	{"n[08-11]", "n08 n09 n10 n11"},
	{"n[8-11]", "n8 n9 n10 n11"},
	{"n[001-002]", "n001 n002"},
	{"n[0]", "n0"},
	{"r[1-2]-ib", "r1-ib r2-ib"},
	{"[1-2]", "1 2"},
	{"x,n[1,3],y,z[2-2]", "x n1 n3 y z2"},
	{"", NULL},
	{",", NULL},
	{"a,", NULL},
	{",a", NULL},
	{"a,,b", NULL},
	{"n[", NULL},
	{"n]", NULL},
	{"n[]", NULL},
	{"n[1", NULL},
	{"n1]", NULL},
	{"n[1-]", NULL},
	{"n[-1]", NULL},
	{"n[3-1]", NULL},
	{"n[1--3]", NULL},
	{"n[,1]", NULL},
	{"n[1,,2]", NULL},
	{"n[1,]", NULL},
	{"n[1 - 3]", NULL},
	{"n[a-c]", NULL},
	{"n[+1]", NULL},
	{"n[1;2]", NULL},
	{"n[[1]]", NULL},
	{"n[1]]", NULL},
	{"r[1-2]n[1-2]", NULL},
	{"n[0-65536]", NULL},
	{"n[0-40000],m[0-40000]", NULL},
	{"n[0-99999999999999999999]", NULL},
	{"n[99999999999999999999]", NULL},
};

START_TEST(each_host_in_order)
{
	struct sf_buf b = SF_BUF_INIT;
	int rc = hostlist_each(lists[_i].list, collect, &b);

	ck_assert_msg(rc == (lists[_i].hosts ? 0 : -1), "'%s' gave %d, hosts %.80s", lists[_i].list, rc, b.data ? b.data : "");
	if (lists[_i].hosts)
		ck_assert_str_eq(b.data, lists[_i].hosts);
	sf_buf_free(&b);
}
END_TEST

static const struct {
	const char *a, *b;
	int rc;
} meetings[] = {
	{"gw", "gw", 1},
	{"gw", "gw1", 0},
	{"gw1", "gw", 0},
	{"gw", "GW", 0},
	{"gw[1-3]", "gw2", 1},
	{"gw2", "gw[1-3]", 1},
	{"gw[1-3]", "gw02", 0},
	{"gw[01-03]", "gw02", 1},
	{"gw[01-03]", "gw2", 0},
	{"gw[1-3]", "n[1-9],gw[3-5]", 1},
	{"gw[1-3]", "n[1-9],gw[4-5]", 0},
	{"a,b,c", "x,y,c", 1},
	{"a,b,c", "x,y,z", 0},
	{"gw[", "gw1", -1},
	{"gw1", "gw[", -1},
	{"", "gw1", -1},
	{"gw1", "", -1},
	/* One common host is enough to refuse, whatever the rest looks like. */
	{"gw1,gw[", "gw1", 1},
	{"gw1", "gw1,gw[", 1},
	{"gw2", "gw1,gw[", -1},
};

START_TEST(two_lists_meet)
{
	ck_assert_msg(hostlist_meet(meetings[_i].a, meetings[_i].b) == meetings[_i].rc, "'%s' and '%s' gave %d instead of %d",
		      meetings[_i].a, meetings[_i].b, hostlist_meet(meetings[_i].a, meetings[_i].b), meetings[_i].rc);
}
END_TEST

static bool count(void *ctx, const char *host)
{
	(void)host;
	++*(unsigned *)ctx;
	return false;
}

static bool stop_at_third(void *ctx, const char *host)
{
	(void)host;
	return ++*(unsigned *)ctx == 3;
}

START_TEST(as_many_hosts_as_promised)
{
	unsigned n = 0;

	ck_assert_int_eq(hostlist_each("n[0-65535]", count, &n), 0);
	ck_assert_uint_eq(n, HOSTLIST_HOSTS_MAX);
}
END_TEST

START_TEST(a_visit_may_end_the_walk)
{
	unsigned n = 0;

	ck_assert_int_eq(hostlist_each("n[1-9],m", stop_at_third, &n), 1);
	ck_assert_uint_eq(n, 3);
}
END_TEST

START_TEST(names_have_a_longest_length)
{
	char name[HOSTLIST_NAME_MAX + 1];
	unsigned n = 0;

	memset(name, 'n', sizeof(name));
	name[HOSTLIST_NAME_MAX] = '\0';
	ck_assert_int_eq(hostlist_each(name, count, &n), -1);
	name[HOSTLIST_NAME_MAX - 1] = '\0';
	ck_assert_int_eq(hostlist_each(name, count, &n), 0);
	ck_assert_uint_eq(n, 1);
}
END_TEST

int main(void)
{
	const struct tap_test tests[] = {
		{each_host_in_order, SF_COUNT(lists)}, {two_lists_meet, SF_COUNT(meetings)}, {as_many_hosts_as_promised, 0},
		{a_visit_may_end_the_walk, 0},	       {names_have_a_longest_length, 0},
	};

	return tap_main("hostlist", tests, SF_COUNT(tests));
}
