/* A world around the agent: scripted Slurm and AWS, a clock of our own, a real store and real sockets. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TESTS_UNIT_AGENT_WORLD_H
#define TESTS_UNIT_AGENT_WORLD_H

#include <check.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "common/base/text.h"
#include "plugin/agent/agent.h"

#define ALICE 5001
#define BOB 5002
#define TOKEN_A "00112233445566778899aabbccddeeff"
#define TOKEN_B "ffeeddccbbaa99887766554433221100"
#define SID_A "0123456789abcdef"
#define SID_B "fedcba9876543210"
#define CLUSTER "hpc"
#define DEFINITION "arn:aws:ecs:eu-west-1:123456789012:task-definition/slurm-job:7"
#define SCRIPT "#!/bin/sh\necho hi\n"

/* One world per test: check runs each test in a process of its own. */
extern struct agent world;
extern char world_dir[];
extern int64_t world_now;  /* ms, what aws.now_ms says */
extern int64_t world_step; /* ms that each turn adds */
extern const char *world_keys;  /* more keys of the line of partition fargate, likewise */
extern const char *world_lines; /* more lines of fargate.conf, set before world_begin() */

void world_start(void); /* directory, conf, agent; waits until the agent knows its cluster */
void world_begin(void); /* the same without starting the agent */
extern bool world_sweeps; /* the agent sweeps by itself; else only when it is asked to, so that calls can be counted */
void world_up(void);	/* start the agent on what is there, and wait for the cluster */
void world_boot(void);	/* start it, and wait for nothing */
void world_down(void);	/* stop it; calls under way are lost */
void world_end(void);	/* stop and remove everything */
void world_turn(void);	/* one turn of everything */
void world_run(int64_t ms);
/* The only value of a query on jobs.db through a connection of its own; "" for NULL or no row. Static memory. */
const char *world_db(const char *sql);
/* Every write to a file fails from now on (no ck_assert in between). */
void world_disk_full(bool full);
bool world_logged(const char *text);
/* A spec with a size of 1 vCPU and 2 GB, in the partition. Static memory, one per sid. */
const char *world_spec(const char *sid, const char *partition, const struct sf_size *size);
#define SPEC_A world_spec(SID_A, "fargate", NULL)
#define SPEC_B world_spec(SID_B, "fargate", NULL)
struct job *world_job(uint32_t job_id, uint32_t restart); /* NULL when the agent has no record */

#define UNTIL(cond)                                                                                                              \
	do {                                                                                                                     \
		int turns_ = 0;                                                                                                  \
		while (!(cond) && turns_++ < 3000)                                                                               \
			world_turn();                                                                                            \
		ck_assert_msg((cond), "never came: %s", #cond);                                                                  \
	} while (0)

/* --- Slurm ------------------------------------------------------------------------------------------------------ */
struct fake_job {
	struct fake_job *next;
	uint32_t id, restart;
	enum slurm_life life;
	enum slurm_why why; /* 0 = what goes with life */
	bool configuring;
	uid_t uid;
	uint32_t cpus, cpus_asked, time_limit;
	uint64_t mem_mib;
	const char *name, *account; /* NULL = job.sh, acct */
	bool suspended, admin_held, waits_license;
	uint32_t priority;
	time_t start;
	const char *licenses; /* NULL = none */
	bool no_requeue;
	char partition[32];
	char comment[SF_COMMENT_MAX];
};
/* A CONFIGURING job of `uid` in partition fargate with 1 CPU and the AdminComment of 1 vCPU and 2 GB. */
struct fake_job *slurm_add(uint32_t id, uid_t uid);
struct fake_job *slurm_job(uint32_t id);
void slurm_set(uint32_t id, enum slurm_life life);
void slurm_running(uint32_t id); /* CF is over */
void slurm_restart(uint32_t id, uint32_t restart, enum slurm_life life);
void slurm_forget(uint32_t id);
void slurm_node_down(const char *name); /* every job runs on gw1; "-" = none is down */
void slurm_down(bool down);
void slurm_gate(bool shut);	  /* the worker waits before its next call's effect */
bool slurm_waiting(void);	  /* it stands at the gate */
void slurm_gate_after(bool shut); /* the worker waits after a list was made, before it hands it out */
void slurm_prolog(bool has, uint32_t prolog_timeout);
extern time_t slurm_boot; /* when slurmctld was started */
void slurm_refuse(const char *call, int times); /* "hold", "complete", "end_time", "comment" fail so often */
/*
 * Calls that change something, as text: "comment 17 fargate: …", "hold 17", "user_hold 17", "requeue 17", "begin 17 <s from now> fargate: …",
 * "boot_fail 17", "complete 17 256", "end_time 17 1700000000".
 */
size_t slurm_count(const char *prefix);
const char *slurm_nth(const char *prefix, size_t n);
void slurm_comment_of(uint32_t id, char out[SF_COMMENT_MAX]);

/* slurm.conf's Licenses= has so many units of it (-1 = not); there are none at first. */
void slurm_license(const char *name, int64_t total);
void slurm_set_held(const char *name, int64_t held); /* by somebody's hand; 0 = the reservation is deleted */
int64_t slurm_held(const char *name);		     /* by the reservation <name>_hold */
size_t slurm_hold_changes(const char *name);	     /* how often the agent changed it */
void slurm_refuse_holds(bool yes);

/* --- AWS -------------------------------------------------------------------------------------------------------- */
struct aws_seen {
	struct aws_seen *next;
	enum aws_op op;
	char *body;
	char region[64];
	int64_t at;
	aws_reply_cb cb;
	void *arg;
	bool answered;
};
struct fake_task {
	struct fake_task *next;
	char id[33];
	char *token, *body;
	const char *last, *desired, *stop_code, *stopped_reason, *container_reason; /* NULL = absent */
	bool has_exit, started, missing;
	int64_t pull_started; /* seconds, 0 = not yet */
	int exit_code;
	char **log;
	int64_t created;
};
/* One answer for the next call of the op, instead of the world's own. */
struct fake_answer {
	enum aws_op op;
	bool effect;	/* the call has its effect all the same (the answer is lost) */
	bool transport; /* no answer */
	bool unsent;	/* ... and the request never left */
	int http;	/* default 400 with a code, 200 with a body */
	const char *code, *message;
	const char *body;
	int times; /* 0 = 1 */
};
void aws_script(struct fake_answer answer);
void aws_hold(enum aws_op op, bool hold); /* calls stay unanswered */
size_t aws_count(enum aws_op op);
const struct aws_seen *aws_nth(enum aws_op op, size_t n);
const char *aws_body(enum aws_op op, size_t n);
extern const char *aws_definition; /* what DescribeTaskDefinition answers, NULL = one that is good for every name */
extern void (*aws_watcher)(const struct aws_seen *call); /* called from within the call */
extern double aws_limit[2];				 /* On-Demand, Spot: the account's own vCPU quota, < 0 = it has none */
extern const char *aws_usage;				 /* <member>s of GetMetricStatistics' answers, "" = no datapoints */
extern size_t aws_page;					 /* events per page of GetLogEvents */
extern bool aws_offline;				 /* call() itself fails */
struct fake_task *aws_task(size_t n);			 /* n-th ever made; fails the test when absent */
size_t aws_tasks(void);
/* A task that somebody started with these. */
struct fake_task *aws_made(const char *started_by, const char *group, int64_t age_s);
extern size_t aws_list_page; /* tasks per page of ListTasks */
sf_json *world_list_tasks(const sf_json *in); /* agent_world_list.c: its answer */
void aws_status(struct fake_task *t, const char *last);
void aws_running(struct fake_task *t);
void aws_exit(struct fake_task *t, int code); /* STOPPED, EssentialContainerExited */
void aws_stopped(struct fake_task *t, const char *stop_code, const char *reason); /* STOPPED, no exit code */
void aws_log(struct fake_task *t, const char *line);
void aws_log_end(struct fake_task *t, int rc); /* both end marks */
void aws_nonce(const struct fake_task *t, char out[17]);
void aws_deliver(void);
void aws_forget_calls(void); /* the agent is gone: nothing under way is answered */

/* --- clients of the socket ---------------------------------------------------------------------------------------- */
struct peer {
	struct peer *next;
	int fd;
	unsigned char *buf;
	size_t have;
	unsigned accepted, released, outputs, exits;
	bool eof, retry;
	int status; /* of EXIT, -1 = none came */
	char refused[1024];
	struct sf_buf out, err, notes, text;
	unsigned char cursor[SF_CURSOR_MAX];
	size_t cursor_n;
};
struct peer *peer_open(uid_t uid);
void peer_shut(struct peer *p); /* the peer is gone */
void peer_launch(struct peer *p, uint32_t job, uint32_t restart, const char *spec);
void peer_handover(struct peer *p, uint32_t job, uid_t uid, const char *token, const char *spec);
void peer_attach(struct peer *p, uint32_t job, uint32_t restart, const char *token, const char *spec);
void peer_attach_at(struct peer *p, uint32_t job, uint32_t restart, const char *token, const char *spec, const void *cursor,
		    size_t n);
void peer_signal(struct peer *p, int number);
void peer_ask(struct peer *p, enum sf_frame_type type, uint32_t job);
void peer_resume(struct peer *p, const char *partition);
void peer_reap(struct peer *p, unsigned how);
void peer_bytes(struct peer *p, const void *bytes, size_t n);
void peers_pump(void);
void peers_end(void);
/* root hands the job over, the attach follows on the same connection; waits for both ACCEPTs. */
struct peer *peer_attached(uint32_t job, uint32_t restart, const char *token, const char *spec);

/* Whole ways: a job in CF with a prolog; the same with its task RUNNING, the prolog released, an attach there. */
struct peer *world_launch(uint32_t job);   /* until RunTask was answered: the prolog */
struct peer *world_attached(uint32_t job); /* ... the attach; task aws_task(0) for the first job */

#endif
