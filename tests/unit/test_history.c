/* What happened to a job, as `sfargate show` tells it: every try and answer, bounded, and nothing of the user's. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdio.h>
#include <stdlib.h>

#include "tests/unit/agent_world.h"
#include "tests/unit/tap.h"

/* The words of a job's events, in order. */
static const char *story(void)
{
	return world_db("SELECT group_concat(what || coalesce(' ' || op, '') || coalesce(' ' || outcome, ''), '; ') FROM "
			"(SELECT * FROM history WHERE job_id=17 ORDER BY id)");
}

static void come_to_an_end(struct peer *attach)
{
	aws_log_end(aws_task(0), 3);
	aws_exit(aws_task(0), 3);
	UNTIL(attach->status == 3);
	peer_shut(attach);
	slurm_set(17, LIFE_ENDED);
	UNTIL(!world_job(17, 0));
}

START_TEST(a_whole_life_is_told)
{
	world_start();
	come_to_an_end(world_attached(17));
	world_run(1000);
	ck_assert_str_eq(story(), "try FARGATE; answer RunTask ok; status PROVISIONING; status RUNNING; running; attached; "
				  "status STOPPED; exit exited; verdict exited; told ok");
	ck_assert_str_eq(world_db("SELECT job_id || ' ' || uid || ' ' || restart FROM ended"), "17 5001 0");
	ck_assert_ptr_nonnull(strstr(world_db("SELECT summary FROM ended"), "\"exit_code\":3"));
	ck_assert_ptr_nonnull(strstr(world_db("SELECT text FROM history WHERE what='exit'"), "exit code 3; EssentialContainerExited"));
	ck_assert_str_eq(world_db("SELECT count(*) FROM jobs"), "0");
	world_end();
}
END_TEST

/* Neither the script nor a value, the token or the request gets into what is kept. */
START_TEST(nothing_of_the_users_is_kept)
{
	static const char *const secrets[] = { "secret-value", "echo hi", TOKEN_A, "b c", "clientToken" };
	char sql[256];
	size_t i;

	world_start();
	come_to_an_end(world_attached(17));
	world_run(1000);
	for (i = 0; i < SF_COUNT(secrets); i++) {
		snprintf(sql, sizeof(sql),
			 "SELECT count(*) FROM (SELECT coalesce(text,'') AS t FROM history UNION ALL SELECT summary FROM ended "
			 "UNION ALL SELECT place FROM ended) WHERE instr(t, '%s')",
			 secrets[i]);
		ck_assert_msg(strcmp(world_db(sql), "0") == 0, "'%s' was kept", secrets[i]);
	}
	ck_assert_ptr_nonnull(strstr(world_db("SELECT summary FROM ended"), "\"environment\":[\"FOO\"]"));
	world_end();
}
END_TEST

START_TEST(equal_answers_are_counted)
{
	struct peer *prolog;

	world_start();
	slurm_add(17, ALICE);
	aws_script((struct fake_answer){ .op = AWS_OP_RUN_TASK, .http = 400, .code = "ThrottlingException",
					 .message = "Rate exceeded", .times = 6 });
	prolog = peer_open(0);
	peer_launch(prolog, 17, 0, SPEC_A);
	UNTIL(world_job(17, 0) && world_job(17, 0)->history.words[0]);
	ck_assert_str_eq(world_job(17, 0)->history.words, "RunTask: ThrottlingException: Rate exceeded");
	UNTIL(aws_tasks() == 1 && world_job(17, 0)->row.task_id);
	ck_assert_str_eq(world_job(17, 0)->history.words, "");
	world_run(1000);
	ck_assert_str_eq(world_db("SELECT count FROM history WHERE outcome='throttle'"), "6");
	ck_assert_str_eq(world_db("SELECT count(*) FROM history WHERE outcome='throttle'"), "1");
	ck_assert_str_eq(world_db("SELECT text FROM history WHERE outcome='throttle'"), "ThrottlingException: Rate exceeded");
	world_end();
}
END_TEST

START_TEST(a_job_has_no_more_events_than_its_bound)
{
	struct job *job;
	char text[600];
	int i;

	world_start();
	world_attached(17);
	job = world_job(17, 0);
	memset(text, 'x', sizeof(text));
	for (i = 0; i < 3 * STORE_EVENTS_PER_JOB; i++) {
		snprintf(text, 24, "event %d \x1b[31m\n%c", i, 'x');
		text[strlen(text)] = 'x';
		text[sizeof(text) - 1] = '\0';
		job_event(job, EVENT_STOP, NULL, text);
	}
	world_run(500);
	ck_assert_int_eq(atoi(world_db("SELECT count(*) FROM history")), STORE_EVENTS_PER_JOB);
	ck_assert_str_eq(world_db("SELECT what FROM history ORDER BY id LIMIT 1"), "try");
	ck_assert_ptr_nonnull(strstr(world_db("SELECT text FROM history ORDER BY id DESC LIMIT 1"), "event 359 ?[31m?"));
	ck_assert_int_eq(atoi(world_db("SELECT max(length(text)) FROM history")), 480);
	/* The agent that comes next counts on. */
	world_down();
	world_up();
	job_event(world_job(17, 0), EVENT_STOP, NULL, "one more");
	world_run(500);
	ck_assert_int_eq(atoi(world_db("SELECT count(*) FROM history")), STORE_EVENTS_PER_JOB);
	world_end();
}
END_TEST

/* A record that only a stranger's word made leaves no trace. */
START_TEST(strangers_write_no_history)
{
	struct peer *p;

	world_start();
	slurm_add(17, ALICE);
	slurm_running(17);
	p = peer_open(BOB);
	peer_attach(p, 17, 0, TOKEN_B, SPEC_B);
	world_run(20000);
	ck_assert_str_eq(world_db("SELECT count(*) FROM history"), "0");
	ck_assert_str_eq(world_db("SELECT count(*) FROM ended"), "0");
	world_end();
}
END_TEST

START_TEST(a_full_disk_stops_nothing_but_launches)
{
	struct job *job;

	world_start();
	world_attached(17);
	job = world_job(17, 0);
	world_run(500);
	world_disk_full(true);
	job_event(job, EVENT_STOP, NULL, "lost");
	world_run(1000);
	world_disk_full(false);
	ck_assert(world.store_down);
	UNTIL(!world.store_down);
	job_event(job, EVENT_STOP, NULL, "kept");
	world_run(500);
	ck_assert_str_eq(world_db("SELECT count(*) FROM history WHERE text='kept'"), "1");
	ck_assert_str_eq(world_db("SELECT count(*) FROM jobs"), "1");
	world_end();
}
END_TEST

START_TEST(old_jobs_are_pruned_by_the_loop)
{
	world_start();
	come_to_an_end(world_attached(17));
	world_run(1000);
	ck_assert_str_eq(world_db("SELECT count(*) FROM ended"), "1");
	world_now += (int64_t)(STORE_ENDED_S + 60) * 1000;
	world_run(500);
	UNTIL(strcmp(world_db("SELECT count(*) FROM ended"), "0") == 0);
	ck_assert_str_eq(world_db("SELECT count(*) FROM history"), "0");
	world_end();
}
END_TEST

int main(void)
{
	const struct tap_test tests[] = {
		{ a_whole_life_is_told, 0 },
		{ nothing_of_the_users_is_kept, 0 },
		{ equal_answers_are_counted, 0 },
		{ a_job_has_no_more_events_than_its_bound, 0 },
		{ strangers_write_no_history, 0 },
		{ a_full_disk_stops_nothing_but_launches, 0 },
		{ old_jobs_are_pruned_by_the_loop, 0 },
	};

	return tap_main("history", tests, SF_COUNT(tests));
}
