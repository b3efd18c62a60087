/* What sfargate's files share: the command line, the agent's answers, and printing that a terminal survives. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef PLUGIN_SFARGATE_SFARGATE_H
#define PLUGIN_SFARGATE_SFARGATE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "common/base/json.h"
#include "common/base/proto.h"

/* Exit codes: 0, and */
#define EXIT_NO_ANSWER 1 /* the question could not be answered; a sentence says why */
#define EXIT_USAGE 2

struct arguments {
	const char *conf, *socket;
	bool json, no_header, all, follow;
	bool dry_run, force; /* reap */
	uint32_t job_id;
	const char *partition;
	int64_t array_task; /* of JOBID "12_3", else -1 */
};

/* ask.c */
struct asker {
	int fd;
	unsigned char *buf;
	size_t cap, have, last; /* last: bytes of the frame returned last */
	const char *socket;
};
/* Connect to the agent; 0, or -1 after a sentence. */
int asker_open(struct asker *k, const struct arguments *a, char socket_path[108]);
void asker_close(struct asker *k);
/* Send a question: JOB and ARRAY of `a` when it has them; number -1 and cursor NULL are left out. 0 or -1 after a sentence. */
int asker_send(struct asker *k, const struct arguments *a, enum sf_frame_type type, int64_t number, const struct sf_field *cursor);
/* The next frame, borrowed until the next call; 0, or -1 after a sentence (REFUSED is one). timeout_ms 0 = wait for ever. */
int asker_next(struct asker *k, struct sf_frame *f, int timeout_ms);
/* Ask and wait for the TEXT; on the heap, NULL after a sentence. */
char *ask_text(const struct arguments *a, enum sf_frame_type type);
/* ... to a question without arguments, parsed. */
sf_json *ask_object(const struct arguments *a, enum sf_frame_type type);
/* The same for answers in parts: the arrays `key` of all of them as one. NULL after a sentence. */
sf_json *ask_list(const struct arguments *a, enum sf_frame_type type, const char *key, int64_t number);

/* print.c: every text of others goes through here. */
/* A cleaned copy, "-" for NULL or "". Caller frees; NULL when out of memory. */
char *clean_copy(const char *text);
/* "label  text", aligned; nothing when text is NULL. */
void print_pair(const char *label, const char *text);
void print_json(const sf_json *j);
/* "2026-01-31T12:00:00", "" for 0. */
void time_text(int64_t seconds, char out[32]);
/* "42s", "3m05s", "2h07m", "3d04h" */
void age_text(int64_t seconds, char out[32]);
/* "12" or "12_3" */
void job_text(const sf_json *start, char out[32]);
/* "1vCPU/2GB" */
void size_text(const sf_json *start, char out[48]);
/* The user's name, else his uid. Caller frees. */
char *user_text(const sf_json *start);

struct table {
	size_t columns;
	const char *const *titles;
	char **cells; /* rows of `columns` cleaned texts */
	size_t rows, cap;
	bool failed;
};
void table_add(struct table *t, const char *text); /* the next cell; NULL = "-" */
/* Columns as wide as their widest cell, the last one as it is. */
void table_print(const struct table *t, bool header);
void table_free(struct table *t);

/* The commands; each returns an exit code. */
int command_status(const struct arguments *a);
int command_tasks(const struct arguments *a);
int command_show(const struct arguments *a);
int command_logs(const struct arguments *a);
int command_conf(const struct arguments *a);
int command_resume(const struct arguments *a);
int command_quota(const struct arguments *a);
int command_reap(const struct arguments *a);

#endif
