/* How a signal from AWS becomes a class and a class becomes what Slurm sees: the one table (design section 4). */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SF_BASE_VERDICT_H
#define SF_BASE_VERDICT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/names.h"

struct sf_buf;
struct sf_conf_rule;

/* The numbers are kept in jobs.db: new classes go to the end. */
enum sf_class {
	SF_CLASS_LAUNCHING,       /* PROVISIONING, PENDING, ACTIVATING */
	SF_CLASS_RUNNING,         /* RUNNING, startedAt, or an exit code that does not count yet */
	SF_CLASS_EXITED,          /* our container's exit code counts */
	SF_CLASS_OOM,
	SF_CLASS_THROTTLE,
	SF_CLASS_CREDS,
	SF_CLASS_CAPACITY,
	SF_CLASS_QUOTA,
	SF_CLASS_QUOTA_SIZE,
	SF_CLASS_START_TRANSIENT,
	SF_CLASS_START_PERMANENT,
	SF_CLASS_CONFIG,
	SF_CLASS_LAUNCHED,        /* ConflictException: describe its resourceIds */
	SF_CLASS_PREEMPTED,
	SF_CLASS_INFRA,
	SF_CLASS_CANCELLED,       /* our own StopTask */
	SF_CLASS_EXTERNAL,        /* stopped by someone else */
	SF_CLASS_UNKNOWN,         /* DescribeTasks MISSING and younger than two minutes */
	SF_CLASS_UNKNOWN_LAUNCH,  /* nothing matched before RUNNING: hold with the reason */
	SF_CLASS_UNKNOWN_END,     /* nothing matched after RUNNING: FAILED */
	SF_CLASS_STUCK,           /* starting for too long: the agent's clock says so, no text does */
	SF_CLASS_COUNT
};
const char *sf_class_name(enum sf_class c);

/* An API answer that is not a task: an exception, a transport failure, or one element of failures[]. */
struct sf_api_signal {
	bool read_only;         /* the operation is Describe*, List* or Get* */
	bool transport;         /* no HTTP answer at all (refused, timeout, cut) */
	int http;               /* HTTP status, 0 when none */
	const char *code;       /* exception code (cut at ':' and '#'), NULL when none */
	const char *message;    /* exception message, NULL when none */
	const char *failure;    /* failures[].reason of a 200 answer, NULL when none */
	const char *operation;  /* "RunTask", for FailureRule lines; NULL = not known */
	const struct sf_conf_rule *rules; /* FailureRule lines, tried before the table; NULL = none */
	size_t n_rules;
};
/*
 * Classify; never SF_CLASS_EXITED or RUNNING. The default for the unknown is SF_CLASS_UNKNOWN_LAUNCH on a modifying call,
 * THROTTLE (try again later, nothing decided) on a read. A FailureRule line speaks only of what AWS did answer: not of a lost
 * answer, of ConflictException or of MISSING, and where nothing is decided (reads, 5xx) it only chooses another way to wait.
 */
enum sf_class sf_verdict_api(const struct sf_api_signal *s);

/* A task as DescribeTasks shows it. Strings may be NULL. */
struct sf_task_signal {
	const char *last_status;
	const char *desired_status;
	const char *stop_code;
	const char *stopped_reason;
	bool started;                 /* startedAt present, or RUNNING was seen earlier */
	bool own_stop;                /* we have recorded a StopTask of ours for this task */
	bool has_exit_code;           /* OUR container's */
	int exit_code;
	const char *container_reason; /* OUR container's */
	const char *bootstrap_error;  /* cause from `<nonce> bootstrap: <cause>`, NULL when none */
	const struct sf_conf_rule *rules; /* FailureRule lines, tried before the table; NULL = none */
	size_t n_rules;
};
/*
 * Classify a task; the order of design section 4: own stop; Spot; infrastructure; someone else's stop; start failures; OOM; exit
 * code.
 * The result is final (an ending) when sf_class_is_end() says so; LAUNCHING and RUNNING are not, and never come for STOPPED.
 * A FailureRule line speaks only of a task that ended otherwise than by our own stop or with an exit code 0 that counts, and
 * sends only a task that never ran to another try: success is AWS's exit code alone, and no script runs twice behind Slurm.
 */
enum sf_class sf_verdict_task(const struct sf_task_signal *s);

/* What Slurm is to see. */
enum sf_action {
	SF_ACT_NONE,        /* go on */
	SF_ACT_EXIT,        /* exit code N by the helper: 0 COMPLETED, N FAILED N:0 */
	SF_ACT_OOM,         /* slurm_complete_job((N << 8) | 253) */
	SF_ACT_REQUEUE,     /* requeue if the job may be, else FAILED */
	SF_ACT_FAIL,        /* FAILED 1:0 with the reason */
	SF_ACT_HOLD,        /* launch failed requeued held; BOOT_FAIL when not requeueable */
	SF_ACT_LEAVE,       /* whatever Slurm already decided */
	SF_ACT_WAIT,        /* try again later, nothing decided */
	SF_ACT_RELAUNCH     /* new try within the budget */
};
/* What to do for a class. */
enum sf_action sf_class_action(enum sf_class c);
bool sf_class_is_end(enum sf_class c);

/* What a FailureRule line may say a class of; a class of none of these cannot be chosen. */
enum sf_rule_use {
	SF_RULE_ANSWER = 1 << 0,    /* AWS's refusal of a call */
	SF_RULE_UNDECIDED = 1 << 1, /* an answer that decides nothing: of a read, or 5xx */
	SF_RULE_UNSTARTED = 1 << 2, /* a task that ended before our container ran */
	SF_RULE_STARTED = 1 << 3,   /* a task that ended after it had */
	SF_RULE_TASK = SF_RULE_UNSTARTED | SF_RULE_STARTED
};
unsigned sf_class_rule_uses(enum sf_class c);
/* In words, for README and sfargate conf: what Slurm sees; and when it comes where no row of the table says it, else NULL. */
const char *sf_class_outcome(enum sf_class c);
const char *sf_class_when(enum sf_class c);

/* One row of the table in words; strings live as long as the program. */
struct sf_verdict_row {
	enum sf_class class;
	bool task;               /* of tasks that ended, else of API answers */
	const char *facts;       /* "a task that never ran" */
	const char *fields;      /* the field that has one of the texts, NULL = no text matters */
	const char *with;        /* and that must have this too, NULL = nothing more */
	const char *const *texts;
	size_t n_texts;
};
/* Row i in the order they are tried, those of answers before those of tasks; false behind the last. */
bool sf_verdict_row(size_t i, struct sf_verdict_row *out);
/* Append it as one sentence without an end, each text in `quote`. */
void sf_verdict_describe(const struct sf_verdict_row *row, const char *quote, struct sf_buf *out);

/* Exception codes that decide nothing about a job, but about what our own client does next. */
enum sf_code {
	SF_CODE_OTHER,
	SF_CODE_KEYS,   /* the credentials are no longer good: read them again */
	SF_CODE_CLOCK,  /* the signature is refused: compare the clocks */
	SF_CODE_ABSENT, /* what was asked for does not exist (yet) */
};
enum sf_code sf_code_of(const char *code); /* NULL is OTHER */

/* The phase of an ECS lastStatus (PROVISIONING, PENDING, ACTIVATING, RUNNING, DEACTIVATING, STOPPING, DEPROVISIONING,
 * STOPPED, DELETED); anything unknown or NULL stays `now`. */
enum sf_phase sf_phase_of_status(const char *last_status, enum sf_phase now);

#endif
