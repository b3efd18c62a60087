/* jobs.db: rows come back as they were, one agent per directory, private, versioned. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sqlite3.h>

#include "tests/unit/agent_world.h"
#include "tests/unit/tap.h"

static char dir[128];
static struct store *store;
static char instance[STORE_INSTANCE_MAX];
static struct sf_error err;

static void begin_store(void)
{
	world_begin();
	snprintf(dir, sizeof(dir), "%s/state", world_dir);
	ck_assert_msg(store_open(dir, NULL, instance, &store, &err) == 0, "%s", err.text);
}

static void end_store(void)
{
	store_close(store);
	world_end();
}

static void reopen(void)
{
	store_close(store);
	store = NULL;
	ck_assert_msg(store_open(dir, NULL, instance, &store, &err) == 0, "%s", err.text);
}

/* Every member, by kind: a new one must be added here, else the size no longer adds up. */
#define INTS(X)                                                                                                                  \
	X(job_id)                                                                                                                \
	X(restart)                                                                                                               \
	X(uid) X(created) X(stage) X(prolog_seen) X(attach_seen) X(framing) X(log_lossy) X(time_limit) X(try_no) X(request_at) X(sent) \
		X(started) X(end_time_moved) X(stop_accepted) X(has_exit) X(exit_code) X(ended_at) X(telling) X(verdict)         \
			X(told_at) X(array_job) X(array_task) X(act) X(delay) X(attempts) X(rung) X(stuck) X(doubt) X(retry_at) X(released) X(alerted)
#define TEXTS(X)                                                                                                                 \
	X(sid)                                                                                                                   \
	X(spec)                                                                                                                  \
	X(attach_token) X(profile) X(region) X(cluster) X(definition) X(container) X(log_group) X(log_prefix) X(nonce)           \
		X(client_token) X(request) X(task_id) X(provider) X(az) X(last_status) X(stop_reason) X(abandon) X(reason) X(user)

static void fill(struct job_row *row)
{
	int64_t n = 1000;

#define SET_INT(m) row->m = n++;
#define SET_TEXT(m) row->m = strdup("the " #m " \xc3\xa4'\"\n");
	INTS(SET_INT)
	TEXTS(SET_TEXT)
	row->exit_code = -7;
	row->created = INT64_MAX;
}

static struct job_row loaded[4];
static size_t n_loaded;

static void take(void *ctx, struct job_row *row)
{
	ck_assert_ptr_eq(ctx, loaded);
	ck_assert_uint_lt(n_loaded, SF_COUNT(loaded));
	loaded[n_loaded++] = *row;
}

static void load(size_t expected)
{
	while (n_loaded)
		job_row_free(&loaded[--n_loaded]);
	ck_assert_msg(store_load(store, take, loaded, &err) == 0, "%s", err.text);
	ck_assert_uint_eq(n_loaded, expected);
}

static void put(const struct job_row *row)
{
	ck_assert_msg(store_put(store, row, &err) == 0 && store_commit(store, &err) == 0, "%s", err.text);
}

START_TEST(every_column_comes_back)
{
	struct job_row row = { 0 };
	size_t members = 0;

#define COUNT(m) members++;
	INTS(COUNT)
	TEXTS(COUNT)
	ck_assert_uint_eq(sizeof(row), members * 8);
	begin_store();
	fill(&row);
	put(&row);
	reopen();
	load(1);
#define SAME_INT(m) ck_assert_int_eq(loaded[0].m, row.m);
#define SAME_TEXT(m) ck_assert_str_eq(loaded[0].m, row.m);
	INTS(SAME_INT)
	TEXTS(SAME_TEXT)
	job_row_free(&row);
	load(1);
	job_row_free(&loaded[0]);
	end_store();
}
END_TEST

START_TEST(null_stays_null)
{
	struct job_row row = { .job_id = 1, .sid = (char *)"s", .reason = (char *)"" };

	begin_store();
	put(&row);
	load(1);
	ck_assert_ptr_null(loaded[0].request);
	ck_assert_ptr_null(loaded[0].task_id);
	ck_assert_str_eq(loaded[0].reason, "");
	job_row_free(&loaded[0]);
	end_store();
}
END_TEST

START_TEST(rows_are_replaced_and_deleted_by_identity)
{
	struct job_row a = { .job_id = 1, .sid = (char *)"s", .restart = 0 },
		       b = { .job_id = 1, .sid = (char *)"s", .restart = 1 };
	size_t i;

	begin_store();
	put(&a);
	put(&b);
	a.exit_code = 5;
	put(&a);
	load(2);
	ck_assert_int_eq(loaded[0].exit_code + loaded[1].exit_code, 5);
	ck_assert(!store_dirty(store));
	ck_assert_int_eq(store_delete(store, &a, &err), 0);
	ck_assert(store_dirty(store));
	ck_assert_int_eq(store_commit(store, &err), 0);
	load(1);
	ck_assert_int_eq(loaded[0].restart, 1);
	for (i = 0; i < n_loaded; i++)
		job_row_free(&loaded[i]);
	end_store();
}
END_TEST

START_TEST(uncommitted_rows_are_not_there)
{
	struct job_row row = { .job_id = 1, .sid = (char *)"s" };

	begin_store();
	ck_assert_int_eq(store_put(store, &row, &err), 0);
	ck_assert_str_eq(world_db("SELECT count(*) FROM jobs"), "0");
	ck_assert_int_eq(store_commit(store, &err), 0);
	ck_assert_str_eq(world_db("SELECT count(*) FROM jobs"), "1");
	end_store();
}
END_TEST

START_TEST(instance_is_drawn_once)
{
	char first[9];

	begin_store();
	ck_assert_uint_eq(strlen(instance), 8);
	ck_assert_uint_eq(strspn(instance, "0123456789abcdef"), 8);
	sf_copy(first, sizeof(first), instance);
	reopen();
	ck_assert_str_eq(instance, first);
	store_close(store);
	ck_assert_int_eq(store_open(dir, "prod_1", instance, &store, &err), 0);
	ck_assert_str_eq(instance, "prod_1");
	reopen();
	ck_assert_str_eq(instance, "prod_1");
	end_store();
}
END_TEST

/* As long as conf_check.c lets it be; cut in silence, two clusters would share their tasks. */
START_TEST(long_instances_are_kept_whole)
{
	static const char most[] = "production_a_production_b_prod_c", more[] = "production_a_production_b_prod_c1";
	struct store *other = NULL;

	begin_store();
	store_close(store);
	store = NULL;
	ck_assert_int_eq(store_open(dir, more, instance, &other, &err), -1);
	ck_assert_str_eq(err.text, "Instance 'production_a_production_b_prod_c1' is longer than 32 characters");
	ck_assert_int_eq(store_open(dir, most, instance, &store, &err), 0);
	ck_assert_str_eq(instance, most);
	end_store();
}
END_TEST

START_TEST(a_second_agent_is_refused)
{
	struct store *other = NULL;
	char text[512];

	begin_store();
	ck_assert_int_eq(store_open(dir, NULL, instance, &other, &err), -1);
	ck_assert_ptr_null(other);
	snprintf(text, sizeof(text), "%s/agent.lock is locked: another fargated uses StateDir '%s'", dir, dir);
	ck_assert_str_eq(err.text, text);
	end_store();
}
END_TEST

static unsigned mode_of(const char *name)
{
	struct stat st;
	char path[256];

	snprintf(path, sizeof(path), "%s%s", dir, name);
	ck_assert_msg(stat(path, &st) == 0, "%s", path);
	return st.st_mode & 07777;
}

START_TEST(files_are_private)
{
	struct job_row row = { .job_id = 1, .sid = (char *)"s" };

	umask(0);
	begin_store();
	put(&row);
	ck_assert_uint_eq(mode_of(""), 0700);
	ck_assert_uint_eq(mode_of("/jobs.db"), 0600);
	ck_assert_uint_eq(mode_of("/jobs.db-wal"), 0600);
	ck_assert_uint_eq(mode_of("/agent.lock"), 0600);
	end_store();
}
END_TEST

START_TEST(another_layout_is_refused)
{
	begin_store();
	store_close(store);
	store = NULL;
	world_db("PRAGMA user_version=9");
	ck_assert_int_eq(store_open(dir, NULL, instance, &store, &err), -1);
	ck_assert_msg(strstr(err.text, "/jobs.db: jobs.db has layout 9, this fargated knows ") != NULL, "%s", err.text);
	ck_assert_str_eq(world_db("PRAGMA user_version"), "9");
	end_store();
}
END_TEST

START_TEST(what_is_no_database_is_refused)
{
	char path[256];
	FILE *f;

	begin_store();
	store_close(store);
	store = NULL;
	snprintf(path, sizeof(path), "%s/jobs.db", dir);
	f = fopen(path, "w");
	fprintf(f, "this is certainly no database, long enough to have a header of one hundred bytes ............\n");
	fclose(f);
	ck_assert_int_eq(store_open(dir, NULL, instance, &store, &err), -1);
	ck_assert_msg(strstr(err.text, "file is not a database") != NULL, "%s", err.text);
	end_store();
}
END_TEST

/* SQLite rolls a transaction back by itself when the disk is full: the store must be usable once there is room again. */
START_TEST(a_full_disk_is_survived)
{
	struct job_row row = { .job_id = 1, .sid = (char *)"s" };
	int rc;

	begin_store();
	put(&row);
	row.exit_code = 3;
	world_disk_full(true);
	rc = store_put(store, &row, &err) != 0 || store_commit(store, &err) != 0;
	world_disk_full(false);
	ck_assert_int_eq(rc, 1);
	ck_assert_int_eq(strncmp(err.text, "jobs.db: ", 9), 0);
	put(&row);
	ck_assert_str_eq(world_db("SELECT exit_code FROM jobs"), "3");
	end_store();
}
END_TEST

/* The first version's jobs.db, as it made it. */
static const char layout_1[] =
	"CREATE TABLE meta(name TEXT PRIMARY KEY, value TEXT);"
	"CREATE TABLE jobs(job_id INTEGER, sid TEXT, restart INTEGER, spec TEXT, uid INTEGER, created INTEGER, stage INTEGER, "
	"prolog_seen INTEGER, attach_seen INTEGER, attach_token TEXT, profile TEXT, region TEXT, cluster TEXT, definition TEXT, "
	"container TEXT, log_group TEXT, log_prefix TEXT, framing INTEGER, log_lossy INTEGER, time_limit INTEGER, try_no INTEGER, "
	"nonce TEXT, client_token TEXT, request TEXT, request_at INTEGER, sent INTEGER, task_id TEXT, provider TEXT, az TEXT, "
	"last_status TEXT, started INTEGER, end_time_moved INTEGER, stop_reason TEXT, stop_accepted INTEGER, has_exit INTEGER, "
	"exit_code INTEGER, ended_at INTEGER, telling INTEGER, verdict INTEGER, reason TEXT, told_at INTEGER, "
	"PRIMARY KEY(job_id, sid, restart));"
	"INSERT INTO meta VALUES('instance', 'cafe0123');"
	"INSERT INTO jobs(job_id, sid, restart, spec, uid, task_id, verdict, told_at) VALUES(17, 'abc', 2, '{}', 5001, 't17', 3, 99);"
	"PRAGMA user_version=1;";

START_TEST(the_first_layout_is_brought_up)
{
	char path[256];
	sqlite3 *db = NULL;

	world_begin();
	snprintf(dir, sizeof(dir), "%s/state", world_dir);
	ck_assert_int_eq(mkdir(dir, 0700), 0);
	snprintf(path, sizeof(path), "%s/jobs.db", dir);
	ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
	ck_assert_int_eq(sqlite3_exec(db, layout_1, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
	ck_assert_msg(store_open(dir, NULL, instance, &store, &err) == 0, "%s", err.text);
	ck_assert_str_eq(instance, "cafe0123");
	ck_assert_str_eq(world_db("PRAGMA user_version"), "3");
	load(1);
	ck_assert_int_eq(loaded[0].job_id, 17);
	ck_assert_int_eq(loaded[0].restart, 2);
	ck_assert_str_eq(loaded[0].task_id, "t17");
	ck_assert_int_eq(loaded[0].told_at, 99);
	ck_assert_ptr_null(loaded[0].user);
	ck_assert_int_eq(loaded[0].array_job, 0);
	loaded[0].user = strdup("alice");
	put(&loaded[0]);
	reopen();
	load(1);
	ck_assert_str_eq(loaded[0].user, "alice");
	job_row_free(&loaded[0]);
	end_store();
}
END_TEST

static const struct store_key key_1 = { 1, 0, "s" };

static int64_t add_event(int64_t job, const char *text)
{
	struct store_key key = { job, 0, "s" };
	struct store_event e = { .time = 1000, .last = 1000, .count = 1, .try_no = 1, .what = "answer", .op = "RunTask",
				 .outcome = "throttle", .text = text };

	ck_assert_msg(store_event(store, &key, &e, &err) == 0, "%s", err.text);
	return e.id;
}

static void add_end(int64_t job, int64_t uid, int64_t ended)
{
	struct store_ended e = { .key = { job, 0, "s" }, .uid = uid, .ended = ended, .summary = "{}", .place = "{}" };

	ck_assert_msg(store_end(store, &e, &err) == 0, "%s", err.text);
}

static char seen[4096];

static void see_event(void *ctx, const struct store_event *e)
{
	size_t n = strlen(seen);

	(void)ctx;
	snprintf(seen + n, sizeof(seen) - n, "%s %s %s %lld %s;", e->what, e->op ? e->op : "-", e->outcome ? e->outcome : "-",
		 (long long)e->count, e->text ? e->text : "-");
}

static const char *events_of(const struct store_key *key)
{
	seen[0] = '\0';
	ck_assert_msg(store_events(store, key, see_event, NULL, &err) == 0, "%s", err.text);
	return seen;
}

START_TEST(events_come_back_in_order)
{
	struct store_event again = { .last = 5000, .count = 7 };
	struct job_row row = { .job_id = 1, .sid = (char *)"s" };

	begin_store();
	put(&row);
	again.id = add_event(1, "one");
	add_event(2, "not his");
	add_event(1, NULL);
	ck_assert_int_eq(store_event(store, &key_1, &again, &err), 0);
	ck_assert_int_eq(store_commit(store, &err), 0);
	ck_assert_str_eq(events_of(&key_1), "answer RunTask throttle 7 one;answer RunTask throttle 1 -;");
	reopen();
	ck_assert_str_eq(events_of(&key_1), "answer RunTask throttle 7 one;answer RunTask throttle 1 -;");
	/* Job 2 has neither a row nor an end: nobody can ask for it. */
	ck_assert_str_eq(world_db("SELECT count(*) FROM history"), "2");
	end_store();
}
END_TEST

START_TEST(trimming_keeps_the_beginning)
{
	char text[16];
	int64_t n = 0;
	int i;

	begin_store();
	for (i = 0; i < STORE_EVENTS_KEPT + 3; i++) {
		snprintf(text, sizeof(text), "e%d", i);
		add_event(1, text);
	}
	ck_assert_int_eq(store_event_trim(store, &key_1, &err), 0);
	ck_assert_int_eq(store_event_count(store, &key_1, &n, &err), 0);
	ck_assert_int_eq(n, STORE_EVENTS_KEPT + 2);
	events_of(&key_1);
	ck_assert_ptr_nonnull(strstr(seen, " e19;"));
	ck_assert_ptr_null(strstr(seen, " e20;"));
	ck_assert_ptr_nonnull(strstr(seen, " e21;"));
	end_store();
}
END_TEST

static bool see_end(void *ctx, const struct store_ended *e)
{
	size_t n = strlen(seen);

	(void)ctx;
	snprintf(seen + n, sizeof(seen) - n, "%lld,", (long long)e->key.job_id);
	return true;
}

static const char *ended_of(int64_t uid, int64_t job, int64_t since, int64_t after)
{
	struct store_find f = { .uid = uid, .job = job, .since = since, .after = after, .array_task = -1, .most = 3 };

	seen[0] = '\0';
	ck_assert_msg(store_find_ended(store, &f, see_end, NULL, &err) == 0, "%s", err.text);
	return seen;
}

START_TEST(ended_jobs_are_found_by_user_job_and_time)
{
	begin_store();
	add_end(1, 5001, 100);
	add_end(2, 5002, 200);
	add_end(3, 5001, 300);
	add_end(4, 5001, 400);
	ck_assert_str_eq(ended_of(5001, 0, 0, 0), "1,3,4,");
	ck_assert_str_eq(ended_of(5001, 0, 300, 0), "3,4,");
	ck_assert_str_eq(ended_of(-1, 0, 0, 0), "1,2,3,");
	ck_assert_str_eq(ended_of(-1, 0, 0, 3), "4,");
	ck_assert_str_eq(ended_of(5001, 2, 0, 0), "");
	ck_assert_str_eq(ended_of(-1, 2, 0, 0), "2,");
	add_end(1, 5001, 500);
	ck_assert_str_eq(ended_of(5001, 1, 0, 0), "1,");
	ck_assert_str_eq(ended_of(5001, 0, 0, 0), "3,4,1,");
	end_store();
}
END_TEST

START_TEST(pruning_goes_in_steps_and_takes_the_events_along)
{
	int64_t i, now = 100 * STORE_ENDED_S;

	begin_store();
	for (i = 1; i <= STORE_PRUNE_STEP + 5; i++) {
		add_end(i, 5001, now - STORE_ENDED_S - 1);
		add_event(i, "old");
	}
	add_end(1000, 5001, now - STORE_ENDED_S + 1);
	add_event(1000, "new");
	ck_assert_int_eq(store_prune(store, now, &err), STORE_PRUNE_STEP);
	ck_assert_int_eq(store_prune(store, now, &err), 5);
	ck_assert_int_eq(store_prune(store, now, &err), 0);
	ck_assert_int_eq(store_commit(store, &err), 0);
	ck_assert_str_eq(world_db("SELECT group_concat(job_id) FROM ended"), "1000");
	ck_assert_str_eq(world_db("SELECT group_concat(job_id) FROM history"), "1000");
	end_store();
}
END_TEST

START_TEST(too_many_ended_jobs_go_early)
{
	int64_t i, gone, all = 0;

	begin_store();
	for (i = 1; i <= STORE_ENDED_MAX + 25; i++)
		add_end(i, 5001, 1000);
	while ((gone = store_prune(store, 1000, &err)) > 0)
		all += gone;
	ck_assert_int_eq(gone, 0);
	ck_assert_int_eq(all, 25);
	ck_assert_int_eq(store_commit(store, &err), 0);
	ck_assert_str_eq(world_db("SELECT min(job_id) FROM ended"), "26");
	end_store();
}
END_TEST

/* A job that lives again keeps its events when what was kept of its first end grows old. */
START_TEST(a_living_job_keeps_its_events)
{
	struct job_row row = { .job_id = 1, .sid = (char *)"s" };

	begin_store();
	put(&row);
	add_end(1, 5001, 1);
	add_event(1, "mine");
	ck_assert_int_eq(store_prune(store, 100 * STORE_ENDED_S, &err), 1);
	ck_assert_str_eq(events_of(&key_1), "answer RunTask throttle 1 mine;");
	end_store();
}
END_TEST

int main(void)
{
	const struct tap_test tests[] = {
		{ every_column_comes_back, 0 },
		{ null_stays_null, 0 },
		{ rows_are_replaced_and_deleted_by_identity, 0 },
		{ uncommitted_rows_are_not_there, 0 },
		{ instance_is_drawn_once, 0 },
		{ long_instances_are_kept_whole, 0 },
		{ a_second_agent_is_refused, 0 },
		{ files_are_private, 0 },
		{ another_layout_is_refused, 0 },
		{ what_is_no_database_is_refused, 0 },
		{ a_full_disk_is_survived, 0 },
		{ the_first_layout_is_brought_up, 0 },
		{ events_come_back_in_order, 0 },
		{ trimming_keeps_the_beginning, 0 },
		{ ended_jobs_are_found_by_user_job_and_time, 0 },
		{ pruning_goes_in_steps_and_takes_the_events_along, 0 },
		{ too_many_ended_jobs_go_early, 0 },
		{ a_living_job_keeps_its_events, 0 },
	};

	return tap_main("store", tests, SF_COUNT(tests));
}
