/* The world's frame: directory, conf, clock, turns, disk, log. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/agent_world.h"

#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <event2/event.h>
#include <sqlite3.h>

#include "common/base/log.h"

#define LOG_MAX 262144

struct agent world;
char world_dir[64];
int64_t world_now = 1700000000000;
int64_t world_step = 50;
bool world_sweeps;
const char *world_lines = "", *world_keys = "";

static struct sf_conf *conf;
static bool up;
static char logged[LOG_MAX];
static size_t logged_n;

static void take_line(enum sf_log_level level, const char *line)
{
	size_t n = strlen(line);

	(void)level;
	if (getenv("WORLD_LOG"))
		fprintf(stderr, "%lld %s\n", (long long)world_now, line);
	if (logged_n + n + 2 > LOG_MAX)
		return;
	memcpy(logged + logged_n, line, n);
	logged_n += n;
	logged[logged_n++] = '\n';
}

bool world_logged(const char *text)
{
	return strstr(logged, text) != NULL;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

/* A test that failed leaves its directory behind, to be looked at. */
static void remove_world(void)
{
	if (world_dir[0])
		nftw(world_dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	world_dir[0] = '\0';
}

void world_begin(void)
{
	sf_auto_buf struct sf_buf text = SF_BUF_INIT;
	struct sf_error err = { "" };

	signal(SIGXFSZ, SIG_IGN);
	sf_log_to(take_line);
	sf_copy(world_dir, sizeof(world_dir), "/tmp/agent-world.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(world_dir));
	sf_buf_printf(&text,
		      "Region=eu-west-1 Socket=%s/agent.sock StateDir=%s/state SlurmPoll=5 StopGrace=5 LogGrace=15\n"
		      "PartitionName=fargate Default=YES Cluster=" CLUSTER " TaskDefinition=slurm-job Container=main "
		      "Subnets=subnet-a,subnet-b SecurityGroups=sg-1 %s\n"
		      "PartitionName=plain Cluster=" CLUSTER " TaskDefinition=slurm-job Subnets=subnet-a SecurityGroups=sg-1 "
		      "LogFraming=NO\n"
		      "PartitionName=spot Cluster=hpc-spot TaskDefinition=slurm-job Subnets=subnet-a SecurityGroups=sg-1 "
		      "Providers=FARGATE_SPOT\n%s",
		      world_dir, world_dir, world_keys, world_lines);
	ck_assert_msg(sf_conf_parse("fargate.conf", text.data, &conf, &err) == 0, "%s", err.text);
}

void world_boot(void)
{
	struct sf_error err = { "" };

	memset(&world, 0, sizeof(world));
	world.conf = sf_conf_hold(conf);
	ck_assert_msg(agent_start(&world, &err) == 0, "%s", err.text);
	if (!world_sweeps)
		world.sweep_at = INT64_MAX;
	up = true;
}

void world_up(void)
{
	world_boot();
	UNTIL(world.cluster_known);
}

void world_start(void)
{
	world_begin();
	world_up();
}

void world_down(void)
{
	agent_stop(&world);
	aws_forget_calls();
	peers_pump();
	up = false;
}

void world_end(void)
{
	if (up)
		world_down();
	peers_end();
	sf_conf_free(conf);
	conf = NULL;
	remove_world();
}

static void run_loop(void)
{
	event_base_loop(world.base, EVLOOP_NONBLOCK);
}

void world_turn(void)
{
	world_now += world_step;
	event_active(world.tick, EV_TIMEOUT, 0);
	run_loop();
	aws_deliver();
	run_loop();
	nanosleep(&(struct timespec){ .tv_nsec = 150000 }, NULL); /* the worker's thread has something to do now; conditions are waited for by turns, not by this */
	run_loop();
	peers_pump();
}

void world_run(int64_t ms)
{
	int64_t end = world_now + ms;

	while (world_now < end)
		world_turn();
}

void world_disk_full(bool full)
{
	static struct rlimit before;
	struct rlimit none;

	if (full) {
		getrlimit(RLIMIT_FSIZE, &before);
		none = before;
		none.rlim_cur = 0;
		setrlimit(RLIMIT_FSIZE, &none);
	} else {
		setrlimit(RLIMIT_FSIZE, &before);
	}
}

const char *world_db(const char *sql)
{
	static char value[65536];
	char path[128];
	sqlite3 *db = NULL;
	sqlite3_stmt *q = NULL;

	value[0] = '\0';
	snprintf(path, sizeof(path), "%s/state/jobs.db", world_dir);
	ck_assert_int_eq(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
	ck_assert_msg(sqlite3_prepare_v2(db, sql, -1, &q, NULL) == SQLITE_OK, "%s: %s", sql, sqlite3_errmsg(db));
	if (sqlite3_step(q) == SQLITE_ROW && sqlite3_column_type(q, 0) != SQLITE_NULL)
		sf_copy(value, sizeof(value), (const char *)sqlite3_column_text(q, 0));
	sqlite3_finalize(q);
	sqlite3_close(db);
	return value;
}

const char *world_spec(const char *sid, const char *partition, const struct sf_size *size)
{
	static char texts[8][2048];
	static unsigned next;
	char *args[] = { (char *)"a", (char *)"b c", NULL }, *env[] = { (char *)"FOO=secret-value", NULL };
	struct sf_spec s = { .submit = 1699999990, .cpus_asked = 1, .args = args, .env = env };
	sf_auto_free char *text = NULL;
	char *out = texts[next++ % SF_COUNT(texts)];

	sf_copy(s.sid, sizeof(s.sid), sid);
	s.size = size ? *size : (struct sf_size){ 1024, 2048 };
	s.partition = (char *)partition;
	text = sf_spec_encode(&s);
	ck_assert_ptr_nonnull(text);
	sf_copy(out, sizeof(texts[0]), text);
	return out;
}

struct job *world_job(uint32_t job_id, uint32_t restart)
{
	return job_find(&world, job_id, NULL, restart);
}

struct peer *world_launch(uint32_t job)
{
	struct peer *prolog = peer_open(0);
	size_t before = aws_tasks();

	slurm_add(job, ALICE);
	peer_launch(prolog, job, 0, SPEC_A);
	UNTIL(aws_tasks() > before && world_job(job, 0) && world_job(job, 0)->row.stage == STAGE_TASK);
	return prolog;
}

struct peer *world_attached(uint32_t job)
{
	struct peer *prolog = world_launch(job);

	aws_running(aws_task(aws_tasks() - 1));
	UNTIL(prolog->released);
	peer_shut(prolog);
	slurm_running(job);
	return peer_attached(job, 0, TOKEN_A, SPEC_A);
}
