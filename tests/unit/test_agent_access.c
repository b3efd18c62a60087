/* Who may do what on the socket, and what strangers cannot do to the jobs of others. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdio.h>
#include <stdlib.h>

#include "common/base/json.h"
#include "tests/unit/agent_world.h"
#include "tests/unit/tap.h"

static void refused(struct peer *p, const char *text, bool retry)
{
	UNTIL(p->refused[0]);
	ck_assert_str_eq(p->refused, text);
	ck_assert_int_eq(p->retry, retry);
	UNTIL(p->eof);
}

/* Attach without hand-over, and wait for an answer. */
static struct peer *attach_as(uid_t uid, uint32_t job, uint32_t restart, const char *token, const char *spec)
{
	struct peer *p = peer_open(uid);

	peer_attach(p, job, restart, token, spec);
	UNTIL(p->accepted || p->refused[0]);
	return p;
}

START_TEST(only_root_and_slurm_user_launch)
{
	struct peer *p;

	world_start();
	slurm_add(17, ALICE);
	p = peer_open(ALICE);
	peer_launch(p, 17, 0, SPEC_A);
	refused(p, "only root and SlurmUser may launch jobs", false);
	ck_assert_uint_eq(world.n_jobs, 0);
	p = peer_open(world.cluster.slurm_user);
	peer_launch(p, 17, 0, SPEC_A);
	UNTIL(aws_tasks() == 1);
	world_end();
}
END_TEST

START_TEST(only_root_hands_over)
{
	struct peer *p;

	world_start();
	p = peer_open(ALICE);
	peer_handover(p, 17, ALICE, TOKEN_A, SPEC_A);
	refused(p, "only root may hand a job over", false);
	p = peer_open(0);
	peer_handover(p, 17, ALICE, "short", SPEC_A);
	refused(p, "the hand-over names no job, user and token", false);
	world_end();
}
END_TEST

START_TEST(the_attach_must_fit_its_hand_over)
{
	struct peer *p;

	world_start();
	slurm_add(17, ALICE);
	slurm_running(17);
	p = peer_open(0);
	peer_handover(p, 17, ALICE, TOKEN_A, SPEC_A);
	if (_i == 0)
		peer_attach(p, 17, 0, TOKEN_B, SPEC_A);
	else
		peer_attach(p, 18, 0, TOKEN_A, SPEC_A);
	refused(p, "the token is not the one the job was handed over with", false);
	ck_assert_uint_eq(world.n_jobs, 0);
	world_end();
}
END_TEST

/* What root handed over is what counts, not what the connection's new owner says later. */
START_TEST(the_spec_is_the_one_handed_over)
{
	struct sf_size big = { 1024, 8192 };
	struct peer *p;

	world_start();
	slurm_add(17, ALICE);
	slurm_running(17);
	p = peer_open(0);
	peer_handover(p, 17, ALICE, TOKEN_A, SPEC_A);
	peer_attach(p, 17, 0, TOKEN_A, world_spec(SID_A, "fargate", &big));
	world_run(10000);
	ck_assert_uint_eq(aws_tasks(), 0);
	world_end();
}
END_TEST

/* The connection root opened now belongs to a process of the user. */
START_TEST(a_handed_connection_is_no_admins)
{
	struct peer *p;

	world_start();
	slurm_add(17, ALICE);
	slurm_running(17);
	slurm_add(18, BOB);
	p = peer_attached(17, 0, TOKEN_A, SPEC_A);
	if (_i == 0)
		peer_ask(p, SF_FRAME_SNAPSHOT, 0);
	else
		peer_launch(p, 18, 0, SPEC_B);
	UNTIL(p->refused[0] || p->text.len || world_job(18, 0));
	ck_assert_uint_eq(p->text.len, 0);
	ck_assert_ptr_null(world_job(18, 0));
	world_end();
}
END_TEST

START_TEST(a_wrong_token_is_refused)
{
	struct peer *p;

	world_start();
	world_attached(17);
	p = attach_as(ALICE, 17, 0, TOKEN_B, SPEC_A);
	refused(p, "the token is not the one this job attached with", false);
	p = attach_as(ALICE, 17, 0, "abc", SPEC_A);
	refused(p, "the frame carries no token", false);
	p = attach_as(BOB, 17, 0, TOKEN_A, SPEC_A);
	refused(p, "the job belongs to another user", false);
	ck_assert_ptr_nonnull(world_job(17, 0)->attach);
	world_end();
}
END_TEST

START_TEST(a_first_attach_without_hand_over)
{
	struct peer *p;

	world_start();
	slurm_add(17, ALICE);
	slurm_running(17);
	p = attach_as(ALICE, 17, 0, TOKEN_A, SPEC_A);
	UNTIL(aws_tasks() == 1);
	ck_assert_uint_eq(p->accepted, 1);
	aws_running(aws_task(0));
	aws_log_end(aws_task(0), 0);
	aws_exit(aws_task(0), 0);
	UNTIL(p->status == 0);
	world_end();
}
END_TEST

/* Forged: a size slurmctld did not accept, a restart count that is not Slurm's, a job that does not run. */
START_TEST(a_forged_first_attach_launches_nothing)
{
	struct sf_size big = { 1024, 8192 };
	struct peer *p;

	world_start();
	slurm_add(17, ALICE);
	slurm_running(17);
	if (_i == 2)
		slurm_set(17, LIFE_PENDING);
	p = attach_as(ALICE, 17, _i == 1 ? 3 : 0, TOKEN_A, _i == 0 ? world_spec(SID_A, "fargate", &big) : SPEC_A);
	world_run(20000);
	ck_assert_uint_eq(aws_tasks(), 0);
	ck_assert_int_ne(p->status, 0);
	ck_assert_uint_eq(p->outputs, 0);
	world_end();
}
END_TEST

/* AdminComment is what a size is held against: an attach that was not let in must not write it. */
START_TEST(a_forged_size_does_not_make_itself_true)
{
	struct sf_size big = { 1024, 8192 };

	world_start();
	slurm_add(17, ALICE);
	slurm_running(17);
	attach_as(ALICE, 17, 3, TOKEN_A, world_spec(SID_A, "fargate", &big));
	world_run(20000);
	attach_as(ALICE, 17, 0, TOKEN_A, world_spec(SID_A, "fargate", &big));
	world_run(20000);
	ck_assert_uint_eq(aws_tasks(), 0);
	world_end();
}
END_TEST

/* Bob names alice's job: nothing of hers may change, whatever spec and restart count he makes up. */
static const struct {
	bool ours; /* the job is one the agent runs */
	uint32_t restart;
	const char *sid, *partition;
} stranger_rows[] = {
	{ true, 0, SID_B, "fargate" },	{ true, 5, SID_B, "fargate" },	{ true, 5, SID_A, "fargate" }, { true, 0, SID_B, "spot" },
	{ false, 0, SID_B, "fargate" }, { false, 5, SID_B, "fargate" }, { false, 0, SID_B, "spot" },
};

START_TEST(strangers_change_nothing)
{
	char before[SF_COMMENT_MAX], after[SF_COMMENT_MAX];
	struct peer *p;

	world_start();
	if (stranger_rows[_i].ours) {
		world_attached(17);
	} else {
		slurm_add(17, ALICE);
		slurm_running(17);
	}
	world_run(3000);
	slurm_comment_of(17, before);
	p = attach_as(BOB, 17, stranger_rows[_i].restart, TOKEN_B,
		      world_spec(stranger_rows[_i].sid, stranger_rows[_i].partition, NULL));
	world_run(40000);
	ck_assert_uint_eq(aws_count(AWS_OP_STOP_TASK), 0);
	ck_assert_uint_eq(slurm_count("hold") + slurm_count("complete") + slurm_count("end_time"), 0);
	slurm_comment_of(17, after);
	ck_assert_str_eq(after, before);
	ck_assert_uint_eq(aws_tasks(), stranger_rows[_i].ours ? 1 : 0);
	ck_assert_int_ne(p->status, 0);
	world_end();
}
END_TEST

/* One connection, two attaches: the second job must not leave the first with a connection that is gone. */
START_TEST(one_connection_attaches_once)
{
	struct peer *p;

	world_start();
	slurm_add(17, ALICE);
	slurm_running(17);
	slurm_add(18, ALICE);
	slurm_running(18);
	p = attach_as(ALICE, 17, 0, TOKEN_A, SPEC_A);
	peer_attach(p, 18, 0, TOKEN_B, SPEC_B);
	world_run(5000);
	peer_shut(p);
	world_run(5000);
	ck_assert(!world_job(17, 0) || world_job(17, 0)->attach == NULL);
	ck_assert(!world_job(18, 0) || world_job(18, 0)->attach == NULL);
	world_end();
}
END_TEST

START_TEST(an_attach_before_slurm_answers_comes_again)
{
	struct peer *p;

	world_start();
	slurm_add(17, ALICE);
	slurm_gate(true);
	p = peer_open(0);
	peer_launch(p, 17, 0, SPEC_A);
	UNTIL(world_job(17, 0));
	p = attach_as(ALICE, 17, 0, TOKEN_A, SPEC_A);
	slurm_gate(false);
	refused(p, "the agent is still asking Slurm whose job this is", true);
	world_end();
}
END_TEST

static sf_json *json_of(struct peer *p)
{
	sf_json *j = NULL;
	struct sf_error err = { "" };

	UNTIL(p->text.len);
	ck_assert_msg(sf_json_parse(p->text.data, p->text.len - 1, &j, &err) == 0, "%s", err.text);
	return j;
}

START_TEST(show_names_variables_and_hides_values)
{
	struct peer *p;
	sf_json *j, *one;

	world_start();
	world_attached(17);
	p = peer_open(ALICE);
	peer_ask(p, SF_FRAME_SHOW, 17);
	j = json_of(p);
	ck_assert_ptr_null(strstr(p->text.data, "secret-value"));
	ck_assert_ptr_null(strstr(p->text.data, TOKEN_A));
	one = sf_json_at(sf_json_array(j, "starts"), 0);
	ck_assert_str_eq(sf_json_string(sf_json_at(sf_json_array(one, "environment"), 0)), "FOO");
	ck_assert_str_eq(sf_json_str(one, "stage"), "task");
	ck_assert_str_eq(sf_json_str(one, "phase"), "running");
	ck_assert_str_eq(sf_json_str(one, "telling"), "none");
	ck_assert_str_eq(sf_json_str(one, "az"), "eu-west-1a");
	ck_assert(sf_json_bool(one, "attached", false));
	sf_json_free(j);
	world_end();
}
END_TEST

START_TEST(show_is_for_the_jobs_user)
{
	struct peer *p;

	world_start();
	world_attached(17);
	p = peer_open(BOB);
	peer_ask(p, SF_FRAME_SHOW, 17);
	refused(p, "no job 17 of yours is known to the agent: it was not sent to Fargate, or it ended more than a week ago", false);
	p = peer_open(BOB);
	peer_ask(p, SF_FRAME_SHOW, 18);
	refused(p, "no job 18 of yours is known to the agent: it was not sent to Fargate, or it ended more than a week ago", false);
	p = peer_open(BOB);
	peer_ask(p, SF_FRAME_SHOW, 0);
	refused(p, "no job id was given", false);
	/* Nor through a record of his own making. */
	slurm_gate(true);
	p = peer_open(BOB);
	peer_attach(p, 17, 0, TOKEN_B, SPEC_B);
	world_run(1000);
	p = peer_open(BOB);
	peer_ask(p, SF_FRAME_SHOW, 17);
	UNTIL(p->refused[0] || p->text.len);
	slurm_gate(false);
	ck_assert_msg(!p->text.len || !strstr(p->text.data, aws_task(0)->id), "%s", p->text.data);
	world_end();
}
END_TEST

START_TEST(status_tells_what_is_wrong)
{
	struct peer *p;
	sf_json *j;

	world_start();
	world_attached(17);
	p = peer_open(BOB);
	peer_ask(p, SF_FRAME_STATUS, 0);
	j = json_of(p);
	ck_assert_str_eq(sf_json_str(j, "cluster"), "test");
	ck_assert_str_eq(sf_json_str(j, "slurmctld"), "ok");
	ck_assert_str_eq(sf_json_str(j, "aws"), "ok");
	ck_assert_str_eq(sf_json_str(j, "store"), "ok");
	ck_assert_str_eq(sf_json_str(j, "launch"), "prolog");
	sf_json_free(j);
	slurm_down(true);
	UNTIL(world.slurm_down);
	p = peer_open(BOB);
	peer_ask(p, SF_FRAME_STATUS, 0);
	j = json_of(p);
	ck_assert_str_eq(sf_json_str(j, "slurmctld"), "no answer");
	sf_json_free(j);
	world_end();
}
END_TEST

START_TEST(the_snapshot_is_for_slurmctld)
{
	struct peer *p;

	world_start();
	p = peer_open(ALICE);
	peer_ask(p, SF_FRAME_SNAPSHOT, 0);
	refused(p, "only root and SlurmUser may ask for the snapshot", false);
	p = peer_open(world.cluster.slurm_user);
	peer_ask(p, SF_FRAME_SNAPSHOT, 0);
	UNTIL(p->text.len);
	ck_assert_int_eq(strncmp(p->text.data, "{\"default_partition\":\"local\"", 28), 0);
	world_end();
}
END_TEST

START_TEST(what_is_no_frame_ends_the_connection)
{
	static const unsigned char unknown[] = { 1, 60, 0, 0, 0, 0, 0, 0 }, accept[] = { 1, SF_FRAME_ACCEPT, 0, 0, 0, 0, 0, 0 };
	struct peer *p;

	world_start();
	p = peer_open(ALICE);
	peer_bytes(p, "GET / HTTP/1.0\r\n\r\n", 18);
	UNTIL(p->eof);
	ck_assert(world_logged("uid 5001 sent no frame of ours"));
	p = peer_open(ALICE);
	peer_bytes(p, unknown, sizeof(unknown));
	UNTIL(p->eof);
	ck_assert(world_logged("uid 5001 sent no frame of ours (unknown frame type)"));
	p = peer_open(ALICE);
	peer_bytes(p, accept, sizeof(accept));
	refused(p, "a frame of an unknown type: the two ends are of different versions", false);
	world_end();
}
END_TEST

int main(void)
{
	const struct tap_test tests[] = {
		{ only_root_and_slurm_user_launch, 0 },
		{ only_root_hands_over, 0 },
		{ the_attach_must_fit_its_hand_over, 2 },
		{ the_spec_is_the_one_handed_over, 0 },
		{ a_handed_connection_is_no_admins, 2 },
		{ a_wrong_token_is_refused, 0 },
		{ a_first_attach_without_hand_over, 0 },
		{ a_forged_first_attach_launches_nothing, 3 },
		{ a_forged_size_does_not_make_itself_true, 0 },
		{ strangers_change_nothing, SF_COUNT(stranger_rows) },
		{ one_connection_attaches_once, 0 },
		{ an_attach_before_slurm_answers_comes_again, 0 },
		{ show_names_variables_and_hides_values, 0 },
		{ show_is_for_the_jobs_user, 0 },
		{ status_tells_what_is_wrong, 0 },
		{ the_snapshot_is_for_slurmctld, 0 },
		{ what_is_no_frame_ends_the_connection, 0 },
	};

	return tap_main("agent_access", tests, SF_COUNT(tests));
}
