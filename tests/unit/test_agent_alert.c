/* Alerts: one message per start about what failed for good, and whatever SNS does, the job ends the same. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdio.h>
#include <stdlib.h>

#include "common/base/json.h"
#include "tests/unit/agent_world.h"
#include "tests/unit/tap.h"

#define TASK_0 "0000000000000000000000000000abc0"
#define TOPIC "arn:aws:sns:eu-central-1:123456789012:ops"
#define LINE(name, more)                                                                                                         \
	"PartitionName=" name " Cluster=" CLUSTER " TaskDefinition=slurm-job Container=main Subnets=subnet-a SecurityGroups=sg-1 " \
	"AlertTopic=" TOPIC more "\n"

/* The value of a parameter of the n-th Publish; static memory. */
static const char *sent(size_t n, const char *name)
{
	static char out[8192];
	const char *at = aws_body(AWS_OP_PUBLISH, n), *p;
	char key[64];
	unsigned byte;
	size_t i = 0;

	snprintf(key, sizeof(key), "&%s=", name);
	p = strstr(at, key);
	ck_assert_ptr_nonnull(p);
	for (p += strlen(key); *p && *p != '&'; p++, i++) {
		out[i] = *p;
		if (*p != '%')
			continue;
		ck_assert_int_eq(sscanf(p + 1, "%2x", &byte), 1);
		out[i] = (char)byte;
		p += 2;
	}
	out[i] = '\0';
	return out;
}

static sf_json *message(size_t n)
{
	const char *text = sent(n, "Message");
	sf_json *out = NULL;
	struct sf_error err = { "" };

	ck_assert_msg(sf_json_parse(text, strlen(text), &out, &err) == 0, "%s", err.text);
	return out;
}

static void begin(void)
{
	world_lines = LINE("loud", "") LINE("all", " AlertOn=failed");
	world_start();
}

static struct peer *launch_in(uint32_t job, const char *partition)
{
	struct peer *prolog = peer_open(0);
	struct fake_job *f = slurm_add(job, ALICE);

	snprintf(f->partition, sizeof(f->partition), "%s", partition);
	peer_launch(prolog, job, 0, world_spec(SID_A, partition, NULL));
	return prolog;
}

/* A launch that AWS refuses for good. */
static void refuse_launch(uint32_t job, const char *partition)
{
	struct peer *prolog = launch_in(job, partition);

	UNTIL(prolog->released);
}

#define REFUSE_RUN(n)                                                                                                            \
	aws_script((struct fake_answer){ .op = AWS_OP_RUN_TASK, .code = "ClusterNotFoundException", .message = "Cluster\nnot found.", .times = (n) })

/* RunTask is on its way; its refusal comes when AWS is let go on. */
static struct peer *refusal_held_back(uint32_t job)
{
	struct peer *prolog;

	aws_hold(AWS_OP_RUN_TASK, true);
	REFUSE_RUN(1);
	prolog = launch_in(job, "loud");
	UNTIL(aws_count(AWS_OP_RUN_TASK) == 1);
	return prolog;
}

static struct peer *run_in(uint32_t job, const char *partition)
{
	size_t before = aws_tasks();
	struct peer *prolog = launch_in(job, partition);

	UNTIL(aws_tasks() > before && world_job(job, 0)->row.stage == STAGE_TASK);
	aws_running(aws_task(before));
	UNTIL(prolog->released);
	peer_shut(prolog);
	slurm_running(job);
	return peer_attached(job, 0, TOKEN_A, world_spec(SID_A, partition, NULL));
}

static void end_with(struct peer *a, int code)
{
	aws_log_end(aws_task(aws_tasks() - 1), code);
	aws_exit(aws_task(aws_tasks() - 1), code);
	UNTIL(a->status >= 0);
}

static sf_json *status(void)
{
	sf_auto_free char *text = query_status(&world);
	sf_json *out = NULL;

	ck_assert_int_eq(sf_json_parse(text, strlen(text), &out, NULL), 0);
	return out;
}

static void status_is(int64_t ok, int64_t failed, int64_t waiting, const char *problem)
{
	sf_auto_json sf_json *s = status();
	const char *text = sf_json_str(s, "alert_problem");
	int64_t n = -1;

	ck_assert(sf_json_int(s, "alerts_sent", &n));
	ck_assert_int_eq(n, ok);
	ck_assert(sf_json_int(s, "alerts_failed", &n));
	ck_assert_int_eq(n, failed);
	ck_assert(sf_json_int(s, "alerts_waiting", &n));
	ck_assert_int_eq(n, waiting);
	ck_assert_str_eq(text ? text : "(none)", problem ? problem : "(none)");
	ck_assert_str_eq(sf_json_str(s, "aws"), "ok");
}

/* --- what is said ---------------------------------------------------------------------------------------------------- */
START_TEST(a_held_job_is_said_once)
{
	sf_auto_json sf_json *m = NULL;
	sf_auto_free char *text = NULL;
	int64_t n = 0;

	begin();
	REFUSE_RUN(1);
	refuse_launch(17, "loud");
	ck_assert_uint_eq(slurm_count("hold 17"), 1);
	UNTIL(aws_count(AWS_OP_PUBLISH) == 1);
	ck_assert_str_eq(aws_nth(AWS_OP_PUBLISH, 0)->region, "eu-central-1");
	ck_assert_str_eq(sent(0, "TopicArn"), TOPIC);
	ck_assert_str_eq(sent(0, "Subject"), "slurm job 17 on test: launch failed (config)");
	m = message(0);
	text = sf_json_text(m);
	ck_assert(sf_json_int(m, "version", &n) && n == 1);
	ck_assert(sf_json_int(m, "job_id", &n) && n == 17);
	ck_assert(sf_json_int(m, "try", &n) && n == 1);
	ck_assert_str_eq(sf_json_str(m, "user"), "alice");
	ck_assert_str_eq(sf_json_str(m, "cluster"), "test");
	ck_assert_str_eq(sf_json_str(m, "partition"), "loud");
	ck_assert_str_eq(sf_json_str(m, "ecs_cluster"), CLUSTER);
	ck_assert_str_eq(sf_json_str(m, "region"), "eu-west-1");
	ck_assert_str_eq(sf_json_str(m, "class"), "config");
	ck_assert_str_eq(sf_json_str(m, "reason"), "RunTask: ClusterNotFoundException: Cluster?not found.");
	ck_assert_str_eq(sf_json_str(m, "submitted"), "2023-11-14T22:13:10Z");
	ck_assert_ptr_nonnull(sf_json_str(m, "launched"));
	ck_assert(!sf_json_has(m, "started") && !sf_json_has(m, "ended") && !sf_json_has(m, "task"));
	ck_assert(!sf_json_has(m, "array_job_id") && !sf_json_has(m, "exit_code"));
	ck_assert_ptr_null(strstr(text, "secret-value"));
	UNTIL(world.n_jobs == 0);
	world_run(10000);
	ck_assert_uint_eq(aws_count(AWS_OP_PUBLISH), 1);
	status_is(1, 0, 0, NULL);
	ck_assert(world_logged("job 17: alert published to " TOPIC));
	world_end();
}
END_TEST

START_TEST(an_exit_code_is_said_where_it_is_wanted)
{
	sf_auto_json sf_json *m = NULL;
	int64_t n = 0;

	begin();
	end_with(run_in(17, "all"), 3);
	UNTIL(aws_count(AWS_OP_PUBLISH) == 1);
	ck_assert_str_eq(sent(0, "Subject"), "slurm job 17 on test: failed (exit code 3)");
	m = message(0);
	ck_assert_str_eq(sf_json_str(m, "class"), "exited");
	ck_assert_str_eq(sf_json_str(m, "task"), TASK_0);
	ck_assert(sf_json_int(m, "exit_code", &n) && n == 3);
	ck_assert(sf_json_has(m, "started") && sf_json_has(m, "ended") && !sf_json_has(m, "reason"));
	world_end();
}
END_TEST

START_TEST(out_of_memory_is_a_failure)
{
	sf_auto_json sf_json *m = NULL;
	struct peer *a;

	begin();
	a = run_in(17, "all");
	aws_task(0)->container_reason = "OutOfMemoryError: Container killed due to memory usage";
	end_with(a, 137);
	UNTIL(aws_count(AWS_OP_PUBLISH) == 1);
	ck_assert_str_eq(sent(0, "Subject"), "slurm job 17 on test: failed (oom)");
	m = message(0);
	ck_assert_str_eq(sf_json_str(m, "reason"), "OutOfMemoryError: Container killed due to memory usage");
	world_end();
}
END_TEST

START_TEST(array_elements_have_their_own_names)
{
	sf_auto_json sf_json *m = NULL;
	int64_t n = 0;

	begin();
	refusal_held_back(19);
	world_job(19, 0)->row.array_job = 17;
	world_job(19, 0)->row.array_task = 0;
	aws_hold(AWS_OP_RUN_TASK, false);
	UNTIL(aws_count(AWS_OP_PUBLISH) == 1);
	ck_assert_str_eq(sent(0, "Subject"), "slurm job 17_0 on test: launch failed (config)");
	m = message(0);
	ck_assert(sf_json_int(m, "job_id", &n) && n == 19);
	ck_assert(sf_json_int(m, "array_job_id", &n) && n == 17);
	ck_assert(sf_json_int(m, "array_task_id", &n) && n == 0);
	world_end();
}
END_TEST

/* --- what is not said ------------------------------------------------------------------------------------------------ */
static const struct {
	const char *partition;
	int code;
} quiet_rows[] = {
	{ "all", 0 },
	{ "loud", 3 }, /* AlertOn=launch */
	{ "fargate", 3 }, /* no AlertTopic */
};

START_TEST(quiet_endings)
{
	begin();
	end_with(run_in(17, quiet_rows[_i].partition), quiet_rows[_i].code);
	slurm_set(17, LIFE_ENDED);
	UNTIL(world.n_jobs == 0);
	ck_assert_uint_eq(aws_count(AWS_OP_PUBLISH), 0);
	status_is(0, 0, 0, NULL);
	world_end();
}
END_TEST

START_TEST(a_hold_without_a_topic_is_not_said)
{
	begin();
	REFUSE_RUN(1);
	refuse_launch(17, "fargate");
	UNTIL(world.n_jobs == 0);
	ck_assert_uint_eq(aws_count(AWS_OP_PUBLISH), 0);
	world_end();
}
END_TEST

START_TEST(a_cancelled_job_is_not_said)
{
	begin();
	run_in(17, "all");
	slurm_set(17, LIFE_ENDED);
	UNTIL(aws_count(AWS_OP_STOP_TASK) == 1);
	aws_exit(aws_task(0), 143);
	UNTIL(world.n_jobs == 0);
	ck_assert_uint_eq(aws_count(AWS_OP_PUBLISH), 0);
	world_end();
}
END_TEST

/* slurmctld forgets what it has not saved and is told again; a restarted agent does not know what its predecessor sent. */
START_TEST(told_again_is_not_said_again)
{
	begin();
	REFUSE_RUN(1);
	aws_hold(AWS_OP_PUBLISH, true);
	refuse_launch(17, "loud");
	UNTIL(aws_count(AWS_OP_PUBLISH) == 1);
	ck_assert_str_eq(world_db("SELECT alerted FROM jobs WHERE job_id=17"), "1");
	slurm_restart(17, 0, LIFE_ACTIVE);
	world_down();
	ck_assert(world_logged("1 alerts were not published before the agent left"));
	aws_hold(AWS_OP_PUBLISH, false);
	world_up();
	UNTIL(slurm_count("hold 17") == 2);
	world_run(10000);
	ck_assert_uint_eq(aws_count(AWS_OP_PUBLISH), 1);
	world_end();
}
END_TEST

START_TEST(another_start_is_another_message)
{
	struct peer *prolog = NULL;

	begin();
	REFUSE_RUN(2);
	refuse_launch(17, "loud");
	UNTIL(aws_count(AWS_OP_PUBLISH) == 1 && world.n_jobs == 0);
	slurm_restart(17, 1, LIFE_ACTIVE);
	prolog = peer_open(0);
	peer_launch(prolog, 17, 1, world_spec(SID_A, "loud", NULL));
	UNTIL(aws_count(AWS_OP_PUBLISH) == 2);
	ck_assert_str_eq(sent(1, "Subject"), "slurm job 17 on test: launch failed (config)");
	world_end();
}
END_TEST

static bool stored_first;

static void look_at_the_store(const struct aws_seen *call)
{
	if (call->op == AWS_OP_PUBLISH)
		stored_first = strcmp(world_db("SELECT alerted FROM jobs WHERE job_id=17"), "1") == 0;
}

START_TEST(the_row_is_stored_before_it_is_said)
{
	begin();
	aws_watcher = look_at_the_store;
	REFUSE_RUN(1);
	refuse_launch(17, "loud");
	UNTIL(aws_count(AWS_OP_PUBLISH) == 1);
	ck_assert(stored_first);
	world_end();
}
END_TEST

START_TEST(nothing_is_said_while_the_store_cannot_be_written)
{
	struct peer *prolog;
	bool down;

	begin();
	prolog = refusal_held_back(17);
	slurm_gate(true);
	aws_hold(AWS_OP_RUN_TASK, false);
	UNTIL(slurm_waiting());
	world_disk_full(true);
	slurm_gate(false);
	world_run(3000);
	down = world.store_down;
	world_disk_full(false);
	ck_assert(down);
	ck_assert_uint_eq(aws_count(AWS_OP_PUBLISH), 0);
	UNTIL(prolog->released && aws_count(AWS_OP_PUBLISH) == 1);
	world_end();
}
END_TEST

/* --- SNS in trouble -------------------------------------------------------------------------------------------------- */
static const struct {
	struct fake_answer answer;
	size_t calls; /* until it is given up, or through */
	bool through;
	const char *problem;
} trouble_rows[] = {
	{ { .code = "NotFound", .message = "Topic does not exist", .http = 404, .times = 9 }, 1, false, "Publish: NotFound: Topic does not exist" },
	{ { .code = "AuthorizationError", .message = "no", .http = 403, .times = 9 }, 1, false, "Publish: AuthorizationError: no" },
	{ { .code = "InvalidClientTokenId", .message = "no", .http = 403, .times = 9 }, 1, false, "Publish: InvalidClientTokenId: no" },
	{ { .code = "Throttling", .message = "Rate exceeded", .http = 400, .times = 5 }, 6, true, NULL },
	{ { .code = "ThrottledException", .message = "Rate exceeded", .http = 429, .times = 5 }, 6, true, NULL },
	{ { .code = "Throttling", .message = "Rate exceeded", .http = 400, .times = 6 }, 6, false, "Publish: Throttling: Rate exceeded" },
	{ { .code = "InternalError", .message = "oops", .http = 500, .times = 2 }, 3, true, NULL },
	{ { .message = "<html>", .http = 503, .times = 9 }, 6, false, "Publish: HTTP error: <html>" },
	{ { .transport = true, .unsent = true, .times = 3 }, 4, true, NULL },
	{ { .transport = true, .times = 3 }, 1, false, "https://ecs: connection reset" },
};

START_TEST(sns_in_trouble_is_not_the_jobs_trouble)
{
	struct fake_answer a = trouble_rows[_i].answer;

	begin();
	a.op = AWS_OP_PUBLISH;
	aws_script(a);
	REFUSE_RUN(1);
	refuse_launch(17, "loud");
	ck_assert_uint_eq(slurm_count("hold 17"), 1);
	UNTIL(world.n_jobs == 0);
	world_run(60000);
	ck_assert_uint_eq(aws_count(AWS_OP_PUBLISH), trouble_rows[_i].calls);
	status_is(trouble_rows[_i].through, !trouble_rows[_i].through, 0, trouble_rows[_i].problem);
	ck_assert_int_eq(world_logged("job 17: its alert was not published: "), !trouble_rows[_i].through);
	world_end();
}
END_TEST

START_TEST(without_credentials_it_is_given_up_in_words)
{
	begin();
	refusal_held_back(17);
	aws_offline = true;
	aws_hold(AWS_OP_RUN_TASK, false);
	UNTIL(world_logged("job 17: its alert was not published: no credentials"));
	aws_offline = false;
	ck_assert_uint_eq(slurm_count("hold 17"), 1);
	status_is(0, 1, 0, "no credentials");
	world_end();
}
END_TEST

#define TOO_LARGE(n)                                                                                                             \
	aws_script((struct fake_answer){ .op = AWS_OP_RUN_TASK, .times = (n), .body = "{\"tasks\":[],\"failures\":[{\"reason\":"     \
									"\"The requested CPU configuration is above your "      \
									"limit.\"}]}" })

START_TEST(a_hanging_sns_holds_up_no_job_and_what_waits_is_bounded)
{
	uint32_t job;

	begin();
	aws_hold(AWS_OP_PUBLISH, true);
	TOO_LARGE(250); /* (three refusals of the configuration would pause the partition) */
	world_step = 500;
	for (job = 100; job < 310; job++)
		refuse_launch(job, "loud");
	UNTIL(world.n_jobs == 0);
	ck_assert_uint_eq(slurm_count("hold"), 210);
	ck_assert_uint_eq(aws_count(AWS_OP_PUBLISH), 4);
	status_is(0, 10, 200, "200 alerts wait for SNS: those of further jobs are dropped");
	ck_assert(world_logged("200 alerts wait for SNS"));
	aws_hold(AWS_OP_PUBLISH, false);
	UNTIL(aws_count(AWS_OP_PUBLISH) == 200);
	world_run(2000);
	status_is(200, 10, 0, NULL);
	TOO_LARGE(1);
	refuse_launch(400, "loud");
	UNTIL(aws_count(AWS_OP_PUBLISH) == 201);
	world_end();
}
END_TEST

int main(void)
{
	const struct tap_test tests[] = {
		{ a_held_job_is_said_once, 0 },
		{ an_exit_code_is_said_where_it_is_wanted, 0 },
		{ out_of_memory_is_a_failure, 0 },
		{ array_elements_have_their_own_names, 0 },
		{ quiet_endings, SF_COUNT(quiet_rows) },
		{ a_hold_without_a_topic_is_not_said, 0 },
		{ a_cancelled_job_is_not_said, 0 },
		{ told_again_is_not_said_again, 0 },
		{ another_start_is_another_message, 0 },
		{ the_row_is_stored_before_it_is_said, 0 },
		{ nothing_is_said_while_the_store_cannot_be_written, 0 },
		{ sns_in_trouble_is_not_the_jobs_trouble, SF_COUNT(trouble_rows) },
		{ without_credentials_it_is_given_up_in_words, 0 },
		{ a_hanging_sns_holds_up_no_job_and_what_waits_is_bounded, 0 },
	};

	return tap_main("agent_alert", tests, SF_COUNT(tests));
}
