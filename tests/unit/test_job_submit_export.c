/* Unit tests of plugin/job_submit/export.c: what of --export and --fargate-env reaches the container. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>

#include "common/base/text.h"
#include "plugin/job_submit/job.h"
#include "tests/unit/tap.h"

/* SLURM_EXPORT_ENV (NULL = absent), what is set besides, and what is shipped, joined with '|'. */
static const struct {
	const char *export, *more, *shipped;
} exports[] = {
	{ NULL, NULL, "" },
	{ "ALL", NULL, "" },
	{ "NONE", NULL, "" },
	{ "NIL", NULL, "" },
	{ "A", NULL, "A=one" },
	{ "A=1,B,ALL", NULL, "A=one|B=two,2" },
	{ "NEW=5", NULL, "NEW=5" },
	{ "ALL,C", NULL, "" },
	{ "A,A,B", NULL, "A=one|B=two,2" },
	{ "'B=two,2',A", NULL, "B=two,2|A=one" },
	{ "B=\"x,y\",A", NULL, "B=two,2|A=one" },
	{ NULL, "X=1", "X=1" },
	{ "A,B", "A=9", "A=9|B=two,2" },
	{ ",,A,", NULL, "A=one" },
};

static char *joined(char **env)
{
	sf_auto_buf struct sf_buf b = SF_BUF_INIT;

	for (; env && *env; env++)
		sf_buf_printf(&b, "%s%s", b.len ? "|" : "", *env);
	return sf_buf_take(&b);
}

START_TEST(exports_are_shipped)
{
	sf_auto_free char *setting = NULL, *text = NULL;
	char a[] = "A=one", b[] = "B=two,2", ab[] = "AB=no";
	char *env[] = { ab, a, b, NULL };
	char *more[] = { (char *)exports[_i].more, NULL };
	struct js_job j = { 0 };
	struct sf_error err = { "" };
	sf_auto_strv char **shipped = NULL;

	if (exports[_i].export)
		ck_assert_int_gt(asprintf(&setting, "SLURM_EXPORT_ENV=%s", exports[_i].export), 0);
	env[3] = setting;
	j.env = env;
	j.env_size = setting ? 4 : 3;
	ck_assert_msg(!js_export(&j, more, &shipped, &err), "%s", err.text);
	text = joined(shipped);
	ck_assert_str_eq(text, exports[_i].shipped);
}
END_TEST

START_TEST(bad_exports)
{
	char setting[] = "SLURM_EXPORT_ENV=SLURM_X=1", bad[] = "X=\xff", good[] = "SLURM_EXPORT_ENV=Y";
	char y[] = "Y=\xff";
	char *env[] = { setting, y };
	char *more[] = { bad, NULL };
	struct js_job j = { 0 };
	struct sf_error err = { "" };
	char **shipped = NULL;

	j.env = env;
	j.env_size = 1;
	ck_assert_int_eq(js_export(&j, NULL, &shipped, &err), -1);
	ck_assert_msg(!strncmp(err.text, "--export: ", 10) && strstr(err.text, "SLURM_X"), "%s", err.text);
	ck_assert_ptr_null(shipped);
	env[0] = good;
	j.env_size = 2;
	ck_assert_int_eq(js_export(&j, NULL, &shipped, &err), -1);
	ck_assert_msg(!strncmp(err.text, "--export: ", 10) && strstr(err.text, "Y"), "%s", err.text);
	j.env_size = 0;
	ck_assert_int_eq(js_export(&j, more, &shipped, &err), -1);
	ck_assert_msg(!strncmp(err.text, "--fargate-env: ", 15) && strstr(err.text, "X"), "%s", err.text);
}
END_TEST

int main(void)
{
	const struct tap_test tests[] = {
		{ exports_are_shipped, SF_COUNT(exports) },
		{ bad_exports, 0 },
	};

	return tap_main("job_submit_export", tests, SF_COUNT(tests));
}
