/* What the files behind store.h share: the database handle, transactions, prepared statements. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef PLUGIN_AGENT_STORE_DB_H
#define PLUGIN_AGENT_STORE_DB_H

#include <sqlite3.h>

#include "plugin/agent/store.h"

enum history_sql {
	SQL_EVENT_ADD,
	SQL_EVENT_AGAIN,
	SQL_EVENT_COUNT,
	SQL_EVENT_TRIM,
	SQL_EVENTS,
	SQL_END,
	SQL_ENDED_SINCE,
	SQL_ENDED_OF,
	SQL_PRUNE_WHICH,
	SQL_PRUNE_EVENTS,
	SQL_PRUNE_ENDED,
	SQL_HISTORY_STATEMENTS
};

struct store {
	sqlite3 *db;
	sqlite3_stmt *put;
	sqlite3_stmt *del;
	sqlite3_stmt *history[SQL_HISTORY_STATEMENTS];
	int64_t n_events, n_ended; /* rows, so that bounds need no count */
	bool recount; /* a transaction was lost, and with it what the counters counted */
	int lock;
	bool open_transaction;
};

int store_error(struct store *s, struct sf_error *err, const char *what); /* -1, in SQLite's words */
int store_run(struct store *s, const char *sql, struct sf_error *err);
int store_begin(struct store *s, struct sf_error *err); /* the loop turn's transaction */
/* Run a bound statement that gives no rows, and reset it; a failure ends the transaction. */
int store_step(struct store *s, sqlite3_stmt *q, const char *what, struct sf_error *err);

/* store_history.c: its tables and statements; after jobs' own. */
int history_open(struct store *s, struct sf_error *err);
void history_close(struct store *s);

/* store_tally.c: its table. */
int tally_open(struct store *s, struct sf_error *err);

#endif
