/* What sfargate asks: tasks, show, logs and conf, for whom, in what parts, and what a user cannot use up. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "common/base/json.h"
#include "tests/unit/agent_world.h"
#include "tests/unit/tap.h"

#define NO_JOB(n) "no job " n " of yours is known to the agent: it was not sent to Fargate, or it ended more than a week ago"

static void ask_more(struct peer *p, enum sf_frame_type type, uint32_t job, int element, int number, const char *cursor)
{
	unsigned char bytes[512];
	struct sf_frame_out o;

	sf_frame_begin(&o, bytes, sizeof(bytes), type);
	if (job)
		sf_frame_put_number(&o, SF_FIELD_JOB, job);
	if (element >= 0)
		sf_frame_put_number(&o, SF_FIELD_ARRAY, (uint64_t)element);
	if (number >= 0)
		sf_frame_put_number(&o, type == SF_FRAME_LOGS ? SF_FIELD_FOLLOW : SF_FIELD_NUMBER, (uint64_t)number);
	if (cursor)
		sf_frame_put_string(&o, SF_FIELD_CURSOR, cursor);
	peer_bytes(p, bytes, sf_frame_end(&o));
}

static struct peer *ask(uid_t uid, enum sf_frame_type type, uint32_t job)
{
	struct peer *p = peer_open(uid);

	ask_more(p, type, job, -1, -1, NULL);
	return p;
}

static sf_json *list_of(struct peer *p, const char *key, size_t n)
{
	sf_json *j = NULL;
	struct sf_error err = { "" };

	UNTIL(p->text.len || p->refused[0]);
	ck_assert_msg(!p->refused[0], "%s", p->refused);
	ck_assert_msg(sf_json_parse(p->text.data, p->text.len - 1, &j, &err) == 0, "%s", err.text);
	ck_assert_msg(sf_json_len(sf_json_array(j, key)) == n, "wanted %zu: %s", n, p->text.data);
	return j;
}

static void count_tasks(uid_t uid, size_t n)
{
	sf_json_free(list_of(ask(uid, SF_FRAME_TASKS, 0), "tasks", n));
}

static void is_refused(struct peer *p, const char *text)
{
	UNTIL(p->refused[0]);
	ck_assert_str_eq(p->refused, text);
	ck_assert_uint_eq(p->text.len + p->out.len + p->err.len, 0);
}

START_TEST(tasks_are_the_users_own)
{
	struct peer *p;
	sf_json *j, *row;

	world_start();
	world_attached(17);
	count_tasks(BOB, 0);
	count_tasks(0, 1);
	count_tasks(world.cluster.slurm_user, 1);
	p = ask(ALICE, SF_FRAME_TASKS, 0);
	j = list_of(p, "tasks", 1);
	row = sf_json_at(sf_json_array(j, "tasks"), 0);
	ck_assert_str_eq(sf_json_str(row, "phase"), "running");
	ck_assert_str_eq(sf_json_str(row, "task"), aws_task(0)->id);
	ck_assert_str_eq(sf_json_str(row, "provider"), "FARGATE");
	ck_assert_str_eq(sf_json_str(row, "az"), "eu-west-1a");
	ck_assert_ptr_null(strstr(p->text.data, "FOO"));
	sf_json_free(j);
	world_end();
}
END_TEST

/* A job whose record only its supposed user made is nobody's. */
START_TEST(an_unvouched_record_is_not_shown)
{
	struct peer *p;

	world_start();
	slurm_add(17, ALICE);
	slurm_running(17);
	slurm_gate(true);
	p = peer_open(BOB);
	peer_attach(p, 17, 0, TOKEN_B, SPEC_B);
	UNTIL(world_job(17, 0));
	count_tasks(BOB, 0);
	count_tasks(0, 0);
	is_refused(ask(BOB, SF_FRAME_SHOW, 17), NO_JOB("17"));
	is_refused(ask(BOB, SF_FRAME_LOGS, 17), NO_JOB("17"));
	slurm_gate(false);
	world_end();
}
END_TEST

/* What bob is told of alice's job and of none at all differs in nothing but the number. */
START_TEST(others_jobs_do_not_exist)
{
	static const enum sf_frame_type types[] = { SF_FRAME_SHOW, SF_FRAME_LOGS };
	size_t i;

	world_start();
	world_attached(17);
	aws_log(aws_task(0), "ohers");
	world_job(17, 0)->row.array_job = 10;
	world_job(17, 0)->row.array_task = 3;
	for (i = 0; i < SF_COUNT(types); i++) {
		struct peer *element = peer_open(BOB);

		is_refused(ask(BOB, types[i], 17), NO_JOB("17"));
		is_refused(ask(BOB, types[i], 18), NO_JOB("18"));
		is_refused(ask(BOB, types[i], 10), NO_JOB("10"));
		ask_more(element, types[i], 10, 3, -1, NULL);
		is_refused(element, NO_JOB("10_3"));
	}
	world_end();
}
END_TEST

static void end_job(struct peer *attach)
{
	aws_log_end(aws_task(0), 0);
	aws_exit(aws_task(0), 0);
	UNTIL(attach->status == 0);
	peer_shut(attach);
	slurm_set(17, LIFE_ENDED);
	UNTIL(!world_job(17, 0));
}

START_TEST(ended_jobs_are_shown_to_their_user)
{
	struct peer *p;
	sf_json *j, *one;

	world_start();
	end_job(world_attached(17));
	count_tasks(ALICE, 0);
	p = peer_open(ALICE);
	ask_more(p, SF_FRAME_TASKS, 0, -1, 86400, NULL);
	sf_json_free(list_of(p, "tasks", 1));
	p = peer_open(BOB);
	ask_more(p, SF_FRAME_TASKS, 0, -1, 86400, NULL);
	sf_json_free(list_of(p, "tasks", 0));
	is_refused(ask(BOB, SF_FRAME_SHOW, 17), NO_JOB("17"));
	is_refused(ask(BOB, SF_FRAME_LOGS, 17), NO_JOB("17"));
	p = ask(ALICE, SF_FRAME_SHOW, 17);
	j = list_of(p, "starts", 1);
	one = sf_json_at(sf_json_array(j, "starts"), 0);
	ck_assert_str_eq(sf_json_str(one, "region"), "eu-west-1");
	ck_assert_str_eq(sf_json_str(one, "definition"), DEFINITION);
	ck_assert_str_eq(sf_json_str(one, "log_group"), "/slurm");
	ck_assert_int_eq(strncmp(sf_json_str(one, "log_stream"), "job/main/", 9), 0);
	ck_assert_uint_eq(sf_json_len(sf_json_array(one, "events")), 10);
	ck_assert_ptr_null(strstr(p->text.data, "secret-value"));
	sf_json_free(j);
	world_now += 90000 * 1000;
	p = peer_open(ALICE);
	ask_more(p, SF_FRAME_TASKS, 0, -1, 86400, NULL);
	sf_json_free(list_of(p, "tasks", 0));
	world_end();
}
END_TEST

/* Every row once, whatever lives and whatever has ended. */
START_TEST(long_answers_come_in_parts)
{
	struct question q = { .admin = true, .array_task = -1, .within = 86400 };
	char seen[900] = { 0 }, *text;
	unsigned parts = 0;
	struct sf_error err = { "" };
	int64_t n;
	size_t i;

	world_start();
	for (i = 1; i < 450; i++) {
		struct job *job = job_create(&world, (uint32_t)i * 7 % 450 + (i * 7 % 450 == 0), 0, i % 2 ? SPEC_A : SPEC_B, &err);

		ck_assert_msg(job != NULL, "%s", err.text);
	}
	for (i = 450; i < 900; i++) {
		char summary[64];
		struct store_ended e = { .key = { (int64_t)i, 0, "s" }, .uid = ALICE, .ended = world_now / 1000, .summary = summary, .place = "{}" };

		snprintf(summary, sizeof(summary), "{\"job\":%zu}", i);
		ck_assert_int_eq(store_end(world.store, &e, &err), 0);
	}
	do {
		sf_auto_json sf_json *j = NULL;

		memcpy(q.cursor, q.next, sizeof(q.cursor));
		text = query_tasks(&world, &q);
		ck_assert_ptr_nonnull(text);
		ck_assert_uint_lt(strlen(text), SF_FRAME_BODY_MAX / 4);
		ck_assert_int_eq(sf_json_parse(text, strlen(text), &j, &err), 0);
		for (i = 0; i < sf_json_len(sf_json_array(j, "tasks")); i++) {
			ck_assert(sf_json_int(sf_json_at(sf_json_array(j, "tasks"), i), "job", &n));
			ck_assert_msg(seen[n]++ == 0 || n == 1, "job %d came twice", (int)n);
		}
		free(text);
		ck_assert_uint_lt(++parts, 20);
	} while (q.next[0]);
	for (i = 1; i < 900; i++)
		ck_assert_msg(seen[i] || i % 450 == 0 || i < 450, "job %zu did not come", i);
	ck_assert_uint_ge(parts, 5);
	world_end();
}
END_TEST

static const char *const bad_cursors[] = { "x", "l", "l1", "l1:2", "e", "%s%n", "l:::::", "-1",
					   "e1x", "e99999999999999999999", "l1:2:", "l99999999999999999999:0:a" };

START_TEST(cursors_of_others_are_refused)
{
	struct peer *p;

	world_start();
	p = peer_open(ALICE);
	ask_more(p, SF_FRAME_TASKS, 0, -1, -1, bad_cursors[_i]);
	is_refused(p, "the cursor is not one of the agent's");
	world_end();
}
END_TEST

START_TEST(a_log_is_read_to_its_present_end)
{
	struct peer *p;

	world_start();
	world_attached(17);
	p = ask(ALICE, SF_FRAME_LOGS, 17);
	UNTIL(p->status == 0);
	ck_assert_str_eq(p->notes.data, "job 17: no output yet: CloudWatch has no log stream of its task\n");
	aws_page = 2;
	aws_log(aws_task(0), "oone");
	aws_log(aws_task(0), "etwo");
	aws_log(aws_task(0), "o");
	aws_log(aws_task(0), "othree");
	p = ask(ALICE, SF_FRAME_LOGS, 17);
	UNTIL(p->status == 0);
	ck_assert_str_eq(p->out.data, "one\n\nthree\n");
	ck_assert_str_eq(p->err.data, "two\n");
	ck_assert_ptr_null(world.readers);
	world_end();
}
END_TEST

START_TEST(a_log_is_followed_to_its_end)
{
	struct peer *p, *attach;

	world_start();
	attach = world_attached(17);
	p = peer_open(ALICE);
	ask_more(p, SF_FRAME_LOGS, 17, -1, 1, NULL);
	world_run(3000);
	aws_log(aws_task(0), "oone");
	UNTIL(p->out.len);
	ck_assert_int_eq(p->status, -1);
	aws_log(aws_task(0), "otwo");
	aws_log_end(aws_task(0), 0);
	UNTIL(p->status == 0);
	ck_assert_str_eq(p->out.data, "one\ntwo\n");
	UNTIL(attach->out.len == 8);
	world_end();
}
END_TEST

/* No end mark ever comes: the task was killed. */
START_TEST(following_ends_with_the_task)
{
	struct peer *p;

	world_start();
	world_attached(17);
	aws_log(aws_task(0), "oone");
	p = peer_open(ALICE);
	ask_more(p, SF_FRAME_LOGS, 17, -1, 1, NULL);
	UNTIL(p->out.len);
	aws_exit(aws_task(0), 137);
	UNTIL(p->status == 0);
	world_end();
}
END_TEST

START_TEST(a_log_outlives_its_record)
{
	struct peer *p;

	world_start();
	end_job(world_attached(17));
	aws_log(aws_task(0), "olate");
	p = ask(ALICE, SF_FRAME_LOGS, 17);
	UNTIL(p->status == 0);
	ck_assert_uint_eq(p->notes.len, 0);
	p = ask(0, SF_FRAME_LOGS, 17);
	UNTIL(p->status == 0);
	aws_script((struct fake_answer){ .op = AWS_OP_GET_LOG_EVENTS, .http = 400, .code = "AccessDeniedException", .message = "no", .times = 9 });
	is_refused(ask(ALICE, SF_FRAME_LOGS, 17), "the log cannot be read: GetLogEvents: AccessDeniedException: no");
	world_end();
}
END_TEST

START_TEST(an_array_is_not_one_log)
{
	struct peer *p;

	world_start();
	world_attached(17);
	world_launch(18);
	world_job(17, 0)->row.array_job = world_job(18, 0)->row.array_job = 17;
	world_job(17, 0)->row.array_task = 2;
	world_job(18, 0)->row.array_task = 1;
	is_refused(ask(ALICE, SF_FRAME_LOGS, 17), "job 17 is an array: name one of its elements, such as 17_1");
	sf_json_free(list_of(ask(ALICE, SF_FRAME_SHOW, 17), "starts", 2));
	p = peer_open(ALICE);
	ask_more(p, SF_FRAME_SHOW, 17, 1, -1, NULL);
	sf_json_free(list_of(p, "starts", 1));
	p = peer_open(ALICE);
	ask_more(p, SF_FRAME_LOGS, 17, 2, -1, NULL);
	UNTIL(p->status == 0);
	world_end();
}
END_TEST

/* A reader that does not read: one page is held for it, and no more is asked for. */
START_TEST(a_slow_reader_holds_one_page)
{
	struct conn *c;
	struct peer *p;
	char *line = malloc(200001);
	size_t i, most = 0, calls;
	int small = 4096;

	world_start();
	world_attached(17);
	memset(line, 'x', 200000);
	line[0] = 'o';
	line[200000] = '\0';
	aws_page = 4;
	for (i = 0; i < 24; i++)
		aws_log(aws_task(0), line);
	world_run(20000);
	peers_pump();
	p = peer_open(ALICE);
	setsockopt(p->fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	ask_more(p, SF_FRAME_LOGS, 17, -1, -1, NULL);
	/* Its end of the socket is hidden from the pump. */
	i = (size_t)p->fd;
	p->fd = -1;
	calls = aws_count(AWS_OP_GET_LOG_EVENTS);
	world_job(17, 0)->follow.next_at = INT64_MAX;
	world_run(20000);
	for (c = world.conns; c; c = c->next)
		if (c->role == CONN_QUERY && conn_pending(c) > most)
			most = conn_pending(c);
	ck_assert_uint_gt(most, 0);
	ck_assert_uint_le(most, OUTPUT_PENDING_MAX);
	ck_assert_uint_le(aws_count(AWS_OP_GET_LOG_EVENTS) - calls, 2);
	p->fd = (int)i;
	UNTIL(p->status == 0);
	ck_assert_uint_eq(p->out.len, 24 * 200000);
	free(line);
	world_end();
}
END_TEST

START_TEST(a_reader_that_goes_stops_the_reading)
{
	struct peer *p;
	size_t calls;

	world_start();
	world_attached(17);
	p = peer_open(ALICE);
	ask_more(p, SF_FRAME_LOGS, 17, -1, 1, NULL);
	UNTIL(world.readers);
	if (_i == 1) {
		aws_hold(AWS_OP_GET_LOG_EVENTS, true);
		calls = aws_count(AWS_OP_GET_LOG_EVENTS);
		UNTIL(aws_count(AWS_OP_GET_LOG_EVENTS) > calls + 1);
	}
	peer_shut(p);
	world_run(2000);
	aws_hold(AWS_OP_GET_LOG_EVENTS, false);
	world_run(2000);
	ck_assert_ptr_null(world.readers);
	world_end();
}
END_TEST

/* Many at once share what the jobs' own output leaves, and all of them come to an end. */
START_TEST(reading_leaves_the_jobs_their_rate)
{
	struct peer *p[QUERY_CONNS_MAX];
	size_t i, calls, done = 0;
	int64_t from;

	world_start();
	world_attached(17);
	aws_log(aws_task(0), "oone");
	for (i = 0; i < QUERY_CONNS_MAX; i++) {
		p[i] = peer_open(ALICE);
		ask_more(p[i], SF_FRAME_LOGS, 17, -1, 1, NULL);
	}
	world_run(3000);
	calls = aws_count(AWS_OP_GET_LOG_EVENTS);
	from = world_now;
	world_run(20000);
	calls = aws_count(AWS_OP_GET_LOG_EVENTS) - calls;
	ck_assert_msg(calls <= (size_t)(world_now - from) / 1000 * 10 + 10, "%zu calls in 20 s", calls);
	aws_log_end(aws_task(0), 0);
	world_run(20000);
	for (i = 0; i < QUERY_CONNS_MAX; i++)
		done += p[i]->status == 0;
	ck_assert_uint_eq(done, QUERY_CONNS_MAX);
	world_end();
}
END_TEST

START_TEST(a_user_has_so_many_connections)
{
	struct peer *p[QUERY_CONNS_MAX + 1];
	size_t i;

	world_start();
	for (i = 0; i <= QUERY_CONNS_MAX; i++) {
		p[i] = ask(ALICE, SF_FRAME_STATUS, 0);
		UNTIL(p[i]->text.len || p[i]->refused[0]);
		ck_assert_msg(i < QUERY_CONNS_MAX ? p[i]->text.len > 0 : p[i]->refused[0] != 0, "connection %zu", i);
	}
	ck_assert_str_eq(p[QUERY_CONNS_MAX]->refused,
			 "16 of your commands are asking the agent already, and more are not served; end one of them");
	count_tasks(BOB, 0);
	for (i = 0; i < 2 * QUERY_CONNS_MAX; i++)
		count_tasks(world.cluster.slurm_user, 0);
	peer_shut(p[0]);
	world_run(200);
	count_tasks(ALICE, 0);
	world_end();
}
END_TEST

/* Ten thousand questions in one write are answered one by one, as the answers are read. */
START_TEST(questions_wait_for_their_turn)
{
	unsigned char head[] = { 1, SF_FRAME_STATUS, 0, 0, 0, 0, 0, 0 };
	struct sf_buf flood = SF_BUF_INIT;
	struct peer *p;
	int i, fd, turns;

	world_start();
	for (i = 0; i < 10000; i++)
		sf_buf_add(&flood, head, sizeof(head));
	p = peer_open(ALICE);
	peer_bytes(p, flood.data, flood.len);
	sf_buf_free(&flood);
	fd = p->fd;
	p->fd = -1;
	for (turns = 0; turns < 500; turns++)
		world_turn();
	ck_assert_uint_le(conn_pending(world.conns), 64 * 1024);
	p->fd = fd;
	world_run(1000);
	ck_assert(p->text.len > 0 && !p->refused[0]);
	world_end();
}
END_TEST

START_TEST(silence_is_not_waited_for)
{
	struct peer *p;

	world_start();
	p = peer_open(ALICE);
	world_run(29000);
	ck_assert(!p->eof);
	world_run(3000);
	ck_assert(p->eof);
	world_end();
}
END_TEST

START_TEST(everybody_may_read_the_conf)
{
	struct peer *p;

	world_start();
	p = ask(BOB, SF_FRAME_CONF, 0);
	UNTIL(p->text.len);
	ck_assert_ptr_nonnull(strstr(p->text.data, "PartitionName=fargate"));
	world_end();
}
END_TEST

/* Whatever follows a good head: an answer, a refusal or an end, and an agent that goes on. */
START_TEST(no_question_at_random_harms)
{
	static const enum sf_frame_type types[] = { SF_FRAME_STATUS, SF_FRAME_SHOW, SF_FRAME_SNAPSHOT, SF_FRAME_TASKS, SF_FRAME_LOGS, SF_FRAME_CONF };
	unsigned char bytes[256];
	struct sf_frame_out o;
	unsigned seed = 4711, i, f, n;

	world_start();
	world_attached(17);
	for (i = 0; i < 600; i++) {
		struct peer *p = peer_open(i % 2 ? ALICE : BOB);

		sf_frame_begin(&o, bytes, sizeof(bytes), types[i % SF_COUNT(types)]);
		for (f = rand_r(&seed) % 5; f > 0; f--) {
			unsigned char value[16];

			for (n = 0; n < sizeof(value); n++)
				value[n] = rand_r(&seed) % 3 ? 0 : (unsigned char)rand_r(&seed);
			value[7] = rand_r(&seed) % 2 ? 17 : value[7];
			sf_frame_put_bytes(&o, (enum sf_field_tag)(rand_r(&seed) % 15), value, rand_r(&seed) % 2 ? 8 : rand_r(&seed) % 17);
		}
		peer_bytes(p, bytes, sf_frame_end(&o));
		world_turn();
		peer_shut(p);
	}
	world_run(3000);
	count_tasks(ALICE, 1);
	ck_assert_ptr_null(world.readers);
	world_end();
}
END_TEST

int main(void)
{
	const struct tap_test tests[] = {
		{ tasks_are_the_users_own, 0 },
		{ an_unvouched_record_is_not_shown, 0 },
		{ others_jobs_do_not_exist, 0 },
		{ ended_jobs_are_shown_to_their_user, 0 },
		{ long_answers_come_in_parts, 0 },
		{ cursors_of_others_are_refused, SF_COUNT(bad_cursors) },
		{ a_log_is_read_to_its_present_end, 0 },
		{ a_log_is_followed_to_its_end, 0 },
		{ following_ends_with_the_task, 0 },
		{ a_log_outlives_its_record, 0 },
		{ an_array_is_not_one_log, 0 },
		{ a_slow_reader_holds_one_page, 0 },
		{ a_reader_that_goes_stops_the_reading, 2 },
		{ reading_leaves_the_jobs_their_rate, 0 },
		{ a_user_has_so_many_connections, 0 },
		{ questions_wait_for_their_turn, 0 },
		{ silence_is_not_waited_for, 0 },
		{ everybody_may_read_the_conf, 0 },
		{ no_question_at_random_harms, 0 },
	};

	return tap_main("query", tests, SF_COUNT(tests));
}
