/* fargate.conf changes while the agent runs: taken, refused, and what becomes of jobs in every stage. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/json.h"
#include "tests/unit/agent_world.h"
#include "tests/unit/tap.h"

#define NET " TaskDefinition=slurm-job Container=main Subnets=subnet-a,subnet-b SecurityGroups=sg-1"
#define FARGATE "PartitionName=fargate Default=YES Cluster=" CLUSTER NET "\n"
#define MOVED "PartitionName=fargate Default=YES Cluster=elsewhere" NET "\n"
#define PLAIN "PartitionName=plain Cluster=" CLUSTER NET "\n"

static char path[128];

/* Where the agent lives, then `text`. Written in place, as editors do. */
static void put(const char *text)
{
	FILE *f = fopen(path, "w");

	ck_assert_ptr_nonnull(f);
	fprintf(f, "Region=eu-west-1 Socket=%s/agent.sock StateDir=%s/state\n%s", world_dir, world_dir, text);
	fclose(f);
	ck_assert_int_eq(chmod(path, 0644), 0);
}

/* The world's agent, told to look at a file of ours. */
static void watch_ours(void)
{
	snprintf(path, sizeof(path), "%s/fargate.conf", world_dir);
	free(world.conf->path);
	world.conf->path = strdup(path);
}

static void begin(void)
{
	world_start();
	watch_ours();
	put(FARGATE PLAIN);
	UNTIL(world.conf->n_lines == 2);
}

static const struct sf_conf_line *line_of(const char *name)
{
	return sf_conf_find(world.conf, name);
}

/* Within how many ms of the agent's clock: 5 s is what README promises. */
#define WITHIN(ms, cond)                                                         \
	do {                                                                     \
		int64_t end_ = world_now + (ms);                                 \
		while (!(cond) && world_now < end_)                              \
			world_turn();                                            \
		ck_assert_msg((cond), "not within %d ms: %s", (int)(ms), #cond); \
	} while (0)

START_TEST(a_good_file_comes_into_force)
{
	sf_auto_free char *text = NULL;
	sf_auto_json sf_json *json = NULL;
	struct peer *attach;
	struct job *job;

	begin();
	attach = world_attached(17);
	job = world_job(17, 0);
	put("ReattachTimeout=300\n" PLAIN "PartitionName=fargate LogGrace=3 Cluster=" CLUSTER NET "\n");
	WITHIN(5000, line_of("fargate")->log_grace == 3);
	ck_assert(world_logged("fargate.conf: the changed file is in force, 2 partitions"));
	ck_assert(world_logged("fargate.conf:2: ReattachTimeout has no effect in this version"));
	ck_assert_ptr_eq(job->line, line_of("fargate"));
	text = query_conf(&world);
	ck_assert_int_eq(sf_json_parse(text, strlen(text), &json, NULL), 0);
	ck_assert_str_eq(sf_json_str(json, "path"), path);
	ck_assert_ptr_nonnull(strstr(sf_json_str(json, "conf"), " LogGrace=3 "));
	ck_assert_ptr_null(sf_json_str(json, "refused"));
	aws_log_end(aws_task(0), 0);
	aws_exit(aws_task(0), 0);
	UNTIL(attach->exits);
	ck_assert_int_eq(attach->status, 0);
	world_end();
}
END_TEST

/* Of a refusal that would hold the job, and of an exit code that would fail it. */
START_TEST(failure_rules_decide_once_they_are_in_force)
{
	struct fake_answer refusal = { .op = AWS_OP_RUN_TASK, .code = "ClientException", .message = "Try a little later" };

	begin();
	put("FailureRule=throttle Operation=RunTask Reason=\"try*later\"\nFailureRule=infra ExitCode=75\n" FARGATE PLAIN);
	WITHIN(5000, world.conf->n_rules == 2);
	aws_script(refusal);
	world_attached(17);
	ck_assert_uint_eq(aws_count(AWS_OP_RUN_TASK), 2);
	ck_assert_str_eq(aws_body(AWS_OP_RUN_TASK, 0), aws_body(AWS_OP_RUN_TASK, 1));
	aws_log_end(aws_task(0), 75);
	aws_exit(aws_task(0), 75);
	UNTIL(world_logged("job 17: verdict infra"));
	world_end();
}
END_TEST

static void expect_refused(const char *text)
{
	sf_auto_free char *conf = query_conf(&world), *status = query_status(&world);

	ck_assert_ptr_nonnull(strstr(conf, text));
	ck_assert_ptr_nonnull(strstr(status, text));
}

START_TEST(a_bad_file_keeps_the_old_one_in_force)
{
	char want[256];
	int64_t loaded;

	begin();
	loaded = world.reload.loaded;
	put(FARGATE "Colour=red\n");
	snprintf(want, sizeof(want), "%s:3: unknown key Colour", path);
	WITHIN(5000, world.reload.refused[0]);
	ck_assert_str_eq(world.reload.refused, want);
	ck_assert(world_logged("unknown key Colour; the configuration loaded before stays in force"));
	world_run(10000);
	ck_assert_uint_eq(world.conf->n_lines, 2);
	ck_assert_int_eq(world.reload.loaded, loaded);
	expect_refused("3: unknown key Colour");
	ck_assert_int_eq(unlink(path), 0);
	WITHIN(5000, world_logged("fargate.conf: cannot be read: No such file or directory; the configuration"));
	put(FARGATE);
	ck_assert_int_eq(chmod(path, 0666), 0);
	WITHIN(5000, world_logged("may be written by others than root and SlurmUser"));
	ck_assert_int_eq(chmod(path, 0644), 0);
	WITHIN(5000, world.conf->n_lines == 1);
	ck_assert_str_eq(world.reload.refused, "");
	world_end();
}
END_TEST

/* The cause of a refusal may lie above the file: then nothing of the file itself changes with the cure. */
START_TEST(the_cure_of_a_directory_is_seen)
{
	begin();
	ck_assert_int_eq(chmod(world_dir, 0777), 0);
	put(FARGATE);
	WITHIN(5000, strstr(world.reload.refused, "may be written by others"));
	ck_assert_int_eq(chmod(world_dir, 0700), 0);
	WITHIN(5000, world.conf->n_lines == 1);
	world_end();
}
END_TEST

START_TEST(a_file_that_does_not_fit_slurm_is_refused)
{
	begin();
	put("StopGrace=26\n" FARGATE);
	WITHIN(5000, world.reload.refused[0]);
	ck_assert_str_eq(world.reload.refused, "StopGrace in fargate.conf must be at least 5 s below KillWait in slurm.conf");
	ck_assert_uint_eq(world.conf->stop_grace, 5);
	ck_assert(world.cluster_known);
	put("StopGrace=25\n" FARGATE);
	WITHIN(5000, world.conf->stop_grace == 25);
	world_end();
}
END_TEST

START_TEST(without_slurmctld_it_waits)
{
	begin();
	slurm_down(true);
	put(FARGATE);
	world_run(10000);
	ck_assert_uint_eq(world.conf->n_lines, 2);
	ck_assert_str_eq(world.reload.refused, "");
	slurm_down(false);
	WITHIN(5000, world.conf->n_lines == 1);
	world_end();
}
END_TEST

START_TEST(an_editor_may_still_be_writing)
{
	begin();
	world_step = 20;
	put("Colour=red\n");
	world_run(300);
	put(FARGATE);
	WITHIN(5000, world.conf->n_lines == 1);
	ck_assert(!world_logged("Colour"));
	world_end();
}
END_TEST

START_TEST(sighup_looks_now)
{
	int64_t loaded;

	begin();
	loaded = world.reload.loaded;
	world_run(5000);
	ck_assert_int_eq(world.reload.loaded, loaded);
	ck_assert_int_eq(raise(SIGHUP), 0);
	WITHIN(1000, world.reload.loaded > loaded);
	ck_assert(world_logged("signal 1: looking at "));
	world_end();
}
END_TEST

START_TEST(what_takes_a_restart_is_said_and_the_rest_taken)
{
	char before[128], text[512];

	begin();
	sf_copy(before, sizeof(before), world.conf->socket);
	snprintf(text, sizeof(text), "Socket=/nowhere/a.sock StateDir=/nowhere Instance=abc SlurmPoll=9\n" FARGATE);
	FILE *f = fopen(path, "w");
	fputs(text, f);
	fclose(f);
	WITHIN(5000, world.conf->slurm_poll == 9);
	ck_assert_str_eq(world.conf->socket, before);
	ck_assert_ptr_null(world.conf->instance);
	ck_assert_ptr_nonnull(strstr(world.conf->state_dir, world_dir));
	ck_assert(world_logged("fargate.conf: the change of Socket takes a restart of fargated; until then it stays '/tmp/"));
	ck_assert(world_logged("the change of StateDir takes a restart of fargated; until then it stays '/tmp/"));
	ck_assert(world_logged("the change of Instance takes a restart of fargated; until then it stays 'drawn at random'"));
	ck_assert_int_eq(access(before, F_OK), 0);
	world_end();
}
END_TEST

START_TEST(before_its_first_try_a_job_follows)
{
	struct job *job;

	begin();
	slurm_add(17, ALICE);
	aws_hold(AWS_OP_DESCRIBE_TASK_DEFINITION, true);
	peer_launch(peer_open(0), 17, 0, SPEC_A);
	UNTIL(aws_count(AWS_OP_DESCRIBE_TASK_DEFINITION) == 1);
	job = world_job(17, 0);
	ck_assert_str_eq(job->row.cluster, CLUSTER);
	put(MOVED);
	WITHIN(5000, world.conf->n_lines == 1);
	ck_assert_str_eq(job->row.cluster, "elsewhere");
	aws_hold(AWS_OP_DESCRIBE_TASK_DEFINITION, false);
	UNTIL(aws_count(AWS_OP_RUN_TASK) == 1);
	ck_assert_ptr_nonnull(strstr(aws_body(AWS_OP_RUN_TASK, 0), "\"cluster\":\"elsewhere\""));
	ck_assert_str_eq(world_db("SELECT cluster FROM jobs"), "elsewhere");
	world_end();
}
END_TEST

/* Design section 5.1: one try is one request, whatever fargate.conf says by then. */
START_TEST(a_try_stays_what_it_is)
{
	size_t n;

	begin();
	slurm_add(17, ALICE);
	aws_script((struct fake_answer){ .op = AWS_OP_RUN_TASK, .transport = true, .times = 100000 });
	peer_launch(peer_open(0), 17, 0, SPEC_A);
	UNTIL(aws_count(AWS_OP_RUN_TASK) == 1);
	put(MOVED);
	WITHIN(5000, world.conf->n_lines == 1);
	n = aws_count(AWS_OP_RUN_TASK);
	UNTIL(aws_count(AWS_OP_RUN_TASK) == n + 2);
	ck_assert_str_eq(aws_body(AWS_OP_RUN_TASK, 0), aws_body(AWS_OP_RUN_TASK, n + 1));
	ck_assert_str_eq(world_db("SELECT region || cluster FROM jobs"), "eu-west-1" CLUSTER);
	world_end();
}
END_TEST

START_TEST(a_lost_line_holds_what_was_not_launched)
{
	begin();
	slurm_add(17, ALICE);
	aws_hold(AWS_OP_DESCRIBE_TASK_DEFINITION, true);
	peer_launch(peer_open(0), 17, 0, SPEC_A);
	UNTIL(aws_count(AWS_OP_DESCRIBE_TASK_DEFINITION) == 1);
	put(PLAIN);
	WITHIN(5000, world.conf->n_lines == 1);
	UNTIL(slurm_count("hold 17"));
	ck_assert_ptr_nonnull(strstr(slurm_nth("comment 17", slurm_count("comment 17") - 1),
				     "partition 'fargate' has no line in "));
	aws_hold(AWS_OP_DESCRIBE_TASK_DEFINITION, false);
	world_run(3000);
	ck_assert_uint_eq(aws_count(AWS_OP_RUN_TASK), 0);
	world_end();
}
END_TEST

/* Its prolog comes when the line is gone already: it had been queued. */
START_TEST(a_lost_line_holds_what_was_queued)
{
	struct peer *prolog;

	begin();
	put(PLAIN);
	WITHIN(5000, world.conf->n_lines == 1);
	prolog = peer_open(0);
	slurm_add(17, ALICE);
	peer_launch(prolog, 17, 0, SPEC_A);
	UNTIL(slurm_count("hold 17") && prolog->released);
	ck_assert_uint_eq(aws_count(AWS_OP_RUN_TASK), 0);
	world_end();
}
END_TEST

START_TEST(a_task_runs_on_without_its_line)
{
	struct peer *attach;

	begin();
	attach = world_attached(17);
	put(PLAIN);
	WITHIN(5000, world.conf->n_lines == 1);
	ck_assert(world_logged("job 17: its partition 'fargate' has no line in "));
	ck_assert(world_logged("; its task runs on where it is"));
	aws_log(aws_task(0), "ohello");
	UNTIL(attach->outputs);
	aws_log_end(aws_task(0), 3);
	aws_exit(aws_task(0), 3);
	UNTIL(attach->exits);
	ck_assert_int_eq(attach->status, 3);
	world_end();
}
END_TEST

START_TEST(a_task_runs_on_when_the_agent_comes_back_without_its_line)
{
	struct sf_conf *other = NULL;
	struct sf_error err = { "" };
	struct peer *attach;
	char text[512];

	begin();
	world_attached(17);
	world_down();
	snprintf(text, sizeof(text), "Region=eu-west-1 Socket=%s/agent.sock StateDir=%s/state\n" PLAIN, world_dir, world_dir);
	ck_assert_int_eq(sf_conf_parse(path, text, &other, &err), 0);
	memset(&world, 0, sizeof(world));
	world.conf = other;
	ck_assert_msg(agent_start(&world, &err) == 0, "%s", err.text);
	ck_assert_ptr_nonnull(world_job(17, 0));
	ck_assert_str_eq(world_job(17, 0)->row.cluster, CLUSTER);
	UNTIL(world.cluster_known);
	attach = peer_open(ALICE);
	peer_attach(attach, 17, 0, TOKEN_A, SPEC_A);
	aws_log_end(aws_task(0), 4);
	aws_exit(aws_task(0), 4);
	UNTIL(attach->exits);
	ck_assert_int_eq(attach->status, 4);
	world_down();
	world_end();
}
END_TEST

/* A check of the old conf that is under way while the new one comes into force: it does not count, and the worker keeps it. */
START_TEST(the_worker_holds_its_own_conf)
{
	begin();
	slurm_gate(true);
	put(FARGATE);
	UNTIL(world.reload.checking);
	world.cluster_at = 0;
	UNTIL(world.cluster_flying);
	slurm_gate(false);
	WITHIN(5000, world.conf->n_lines == 1);
	UNTIL(!world.cluster_flying);
	ck_assert(world.cluster_known);
	world_end();
}
END_TEST

/* The file of the n-th reload: lines come, go, change places and places change. */
static void put_variant(unsigned n)
{
	static const char *const variants[] = {
		FARGATE PLAIN, PLAIN FARGATE, "LogGrace=1\n" MOVED, PLAIN, "LogFraming=NO\n" FARGATE, "Colour=red\n", FARGATE,
	};

	put(variants[n % SF_COUNT(variants)]);
}

/* Jobs that stand still in every stage while file after file comes into force, then everything goes on. */
START_TEST(reloads_meet_jobs_in_every_stage)
{
	struct peer *attach[3];
	unsigned n;
	int64_t end;

	begin();
	for (n = 0; n < 3; n++)
		attach[n] = world_attached(30 + n);
	slurm_add(40, ALICE); /* PROVISIONING */
	peer_launch(peer_open(0), 40, 0, SPEC_A);
	UNTIL(aws_tasks() == 4);
	aws_hold(AWS_OP_RUN_TASK, true);
	slurm_add(41, ALICE); /* RunTask under way */
	peer_launch(peer_open(0), 41, 0, SPEC_A);
	UNTIL(aws_count(AWS_OP_RUN_TASK) == 5);
	aws_hold(AWS_OP_DESCRIBE_TASK_DEFINITION, true);
	world_run(61000); /* definitions are looked up again */
	slurm_add(42, ALICE); /* DescribeTaskDefinition under way */
	peer_launch(peer_open(0), 42, 0, SPEC_A);
	slurm_refuse("hold", 1000000);
	aws_exit(aws_task(1), 0); /* its log is waited for */
	for (n = 0; n < 40; n++) {
		put_variant(n);
		slurm_gate(n % 3 == 0);
		if (n == 20)
			slurm_set(31, LIFE_CANCELLED); /* a job that is closed between two reloads */
		if (n % 5 == 0) {
			slurm_add(100 + n, ALICE); /* and new ones, facts first */
			peer_launch(peer_open(0), 100 + n, 0, SPEC_A);
		}
		for (end = world_now + 1300; world_now < end;)
			world_turn();
		slurm_gate(false);
		world_turn();
	}
	aws_hold(AWS_OP_RUN_TASK, false);
	aws_hold(AWS_OP_DESCRIBE_TASK_DEFINITION, false);
	slurm_refuse("hold", 0);
	put(FARGATE);
	WITHIN(8000, world.conf->n_lines == 1 && !world.reload.refused[0]);
	aws_log_end(aws_task(0), 0);
	aws_exit(aws_task(0), 0);
	UNTIL(attach[0]->exits);
	ck_assert_int_eq(attach[0]->status, 0);
	ck_assert_int_eq(attach[2]->exits, 0);
	ck_assert_ptr_nonnull(world_job(32, 0));
	world_end();
}
END_TEST

int main(void)
{
	const struct tap_test tests[] = {
		{ a_good_file_comes_into_force, 0 },
		{ failure_rules_decide_once_they_are_in_force, 0 },
		{ a_bad_file_keeps_the_old_one_in_force, 0 },
		{ the_cure_of_a_directory_is_seen, 0 },
		{ a_file_that_does_not_fit_slurm_is_refused, 0 },
		{ without_slurmctld_it_waits, 0 },
		{ an_editor_may_still_be_writing, 0 },
		{ sighup_looks_now, 0 },
		{ what_takes_a_restart_is_said_and_the_rest_taken, 0 },
		{ before_its_first_try_a_job_follows, 0 },
		{ a_try_stays_what_it_is, 0 },
		{ a_lost_line_holds_what_was_not_launched, 0 },
		{ a_lost_line_holds_what_was_queued, 0 },
		{ a_task_runs_on_without_its_line, 0 },
		{ a_task_runs_on_when_the_agent_comes_back_without_its_line, 0 },
		{ the_worker_holds_its_own_conf, 0 },
		{ reloads_meet_jobs_in_every_stage, 0 },
	};

	return tap_main("agent_reload", tests, SF_COUNT(tests));
}
