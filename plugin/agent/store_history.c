/* jobs.db, what people ask for: the events of every start of a job, and what is kept of those that ended. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "plugin/agent/store_db.h"

#include <stdlib.h>
#include <string.h>

static const char tables[] =
	"CREATE TABLE IF NOT EXISTS history(id INTEGER PRIMARY KEY, job_id INTEGER, sid TEXT, restart INTEGER, time INTEGER,"
	" last INTEGER, count INTEGER, try_no INTEGER, what TEXT, op TEXT, outcome TEXT, text TEXT);"
	"CREATE INDEX IF NOT EXISTS history_key ON history(job_id, sid, restart);"
	"CREATE TABLE IF NOT EXISTS ended(id INTEGER PRIMARY KEY, job_id INTEGER, sid TEXT, restart INTEGER, uid INTEGER,"
	" array_job INTEGER, array_task INTEGER, ended INTEGER, summary TEXT, place TEXT, UNIQUE(job_id, sid, restart));"
	"CREATE INDEX IF NOT EXISTS ended_array ON ended(array_job);"
	"CREATE INDEX IF NOT EXISTS ended_user ON ended(uid, ended);"
	/* What a failed write or a killed agent left of jobs that are known no more. */
	"DELETE FROM history WHERE NOT EXISTS(SELECT 1 FROM jobs j WHERE j.job_id=history.job_id AND j.sid=history.sid AND"
	" j.restart=history.restart) AND NOT EXISTS(SELECT 1 FROM ended e WHERE e.job_id=history.job_id AND e.sid=history.sid AND"
	" e.restart=history.restart);";

#define BY_KEY "job_id=?1 AND sid=?2 AND restart=?3"
#define ENDED_COLUMNS "SELECT id,job_id,sid,restart,uid,array_job,array_task,ended,summary,place FROM ended"
#define TEXT_OF(n) #n
#define NUMBER(n) TEXT_OF(n)

static const char *const statements[SQL_HISTORY_STATEMENTS] = {
	[SQL_EVENT_ADD] = "INSERT INTO history(job_id,sid,restart,time,last,count,try_no,what,op,outcome,text)"
			  " VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11)",
	[SQL_EVENT_AGAIN] = "UPDATE history SET last=?2, count=?3 WHERE id=?1",
	[SQL_EVENT_COUNT] = "SELECT count(*) FROM history WHERE " BY_KEY,
	[SQL_EVENT_TRIM] = "DELETE FROM history WHERE id=(SELECT id FROM history WHERE " BY_KEY " ORDER BY id LIMIT 1 OFFSET " NUMBER(
		STORE_EVENTS_KEPT) ")",
	[SQL_EVENTS] = "SELECT id,time,last,count,try_no,what,op,outcome,text FROM history WHERE " BY_KEY " ORDER BY id",
	[SQL_END] = "INSERT OR REPLACE INTO ended(job_id,sid,restart,uid,array_job,array_task,ended,summary,place)"
		    " VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9)",
	[SQL_ENDED_SINCE] = ENDED_COLUMNS " WHERE id>?1 AND (?2<0 OR uid=?2) AND ended>=?3 ORDER BY id LIMIT ?4",
	[SQL_ENDED_OF] = ENDED_COLUMNS " WHERE (job_id=?5 OR array_job=?5) AND id>?1 AND (?2<0 OR uid=?2) AND"
				       " (?6<0 OR (array_job=?5 AND array_task=?6)) ORDER BY id LIMIT ?4",
	[SQL_PRUNE_WHICH] = "SELECT job_id,sid,restart,ended FROM ended ORDER BY id LIMIT 1",
	[SQL_PRUNE_EVENTS] = "DELETE FROM history WHERE " BY_KEY " AND NOT EXISTS(SELECT 1 FROM jobs WHERE " BY_KEY ")",
	[SQL_PRUNE_ENDED] = "DELETE FROM ended WHERE " BY_KEY,
};

static int count_rows(struct store *s, const char *sql, int64_t *n, struct sf_error *err)
{
	sqlite3_stmt *q = NULL;
	int rc = -1;

	if (sqlite3_prepare_v2(s->db, sql, -1, &q, NULL) == SQLITE_OK && sqlite3_step(q) == SQLITE_ROW) {
		*n = sqlite3_column_int64(q, 0);
		rc = 0;
	}
	sqlite3_finalize(q);
	return rc == 0 ? 0 : store_error(s, err, sql);
}

static int recount(struct store *s, struct sf_error *err)
{
	if (count_rows(s, "SELECT count(*) FROM history", &s->n_events, err) != 0 ||
	    count_rows(s, "SELECT count(*) FROM ended", &s->n_ended, err) != 0)
		return -1;
	s->recount = false;
	return 0;
}

int history_open(struct store *s, struct sf_error *err)
{
	size_t i;

	if (store_run(s, tables, err) != 0)
		return -1;
	for (i = 0; i < SQL_HISTORY_STATEMENTS; i++)
		if (sqlite3_prepare_v2(s->db, statements[i], -1, &s->history[i], NULL) != SQLITE_OK)
			return store_error(s, err, statements[i]);
	return recount(s, err);
}

void history_close(struct store *s)
{
	size_t i;

	for (i = 0; i < SQL_HISTORY_STATEMENTS; i++)
		sqlite3_finalize(s->history[i]);
}

static void bind_text(sqlite3_stmt *q, int at, const char *text)
{
	if (text)
		sqlite3_bind_text(q, at, text, -1, SQLITE_STATIC);
	else
		sqlite3_bind_null(q, at);
}

static void bind_key(sqlite3_stmt *q, const struct store_key *key)
{
	sqlite3_bind_int64(q, 1, key->job_id);
	bind_text(q, 2, key->sid);
	sqlite3_bind_int64(q, 3, key->restart);
}

static void done(sqlite3_stmt *q)
{
	sqlite3_reset(q);
	sqlite3_clear_bindings(q);
}

static int add_event(struct store *s, const struct store_key *key, struct store_event *e, struct sf_error *err)
{
	sqlite3_stmt *q = s->history[SQL_EVENT_ADD];

	bind_key(q, key);
	sqlite3_bind_int64(q, 4, e->time);
	sqlite3_bind_int64(q, 5, e->last);
	sqlite3_bind_int64(q, 6, e->count);
	sqlite3_bind_int64(q, 7, e->try_no);
	bind_text(q, 8, e->what);
	bind_text(q, 9, e->op);
	bind_text(q, 10, e->outcome);
	bind_text(q, 11, e->text);
	if (store_step(s, q, "write an event", err) != 0)
		return -1;
	e->id = sqlite3_last_insert_rowid(s->db);
	s->n_events++;
	return 0;
}

int store_event(struct store *s, const struct store_key *key, struct store_event *event, struct sf_error *err)
{
	sqlite3_stmt *q = s->history[SQL_EVENT_AGAIN];

	if (store_begin(s, err) != 0)
		return -1;
	if (event->id == 0)
		return add_event(s, key, event, err);
	sqlite3_bind_int64(q, 1, event->id);
	sqlite3_bind_int64(q, 2, event->last);
	sqlite3_bind_int64(q, 3, event->count);
	return store_step(s, q, "write an event", err);
}

int store_event_count(struct store *s, const struct store_key *key, int64_t *n, struct sf_error *err)
{
	sqlite3_stmt *q = s->history[SQL_EVENT_COUNT];
	int rc = -1;

	bind_key(q, key);
	if (sqlite3_step(q) == SQLITE_ROW) {
		*n = sqlite3_column_int64(q, 0);
		rc = 0;
	} else {
		store_error(s, err, "count events");
	}
	done(q);
	return rc;
}

/* A statement that deletes rows of history by key. */
static int drop_events(struct store *s, enum history_sql which, const struct store_key *key, struct sf_error *err)
{
	if (store_begin(s, err) != 0)
		return -1;
	bind_key(s->history[which], key);
	if (store_step(s, s->history[which], "delete events", err) != 0)
		return -1;
	s->n_events -= sqlite3_changes(s->db);
	return 0;
}

int store_event_trim(struct store *s, const struct store_key *key, struct sf_error *err)
{
	return drop_events(s, SQL_EVENT_TRIM, key, err);
}

int store_events(struct store *s, const struct store_key *key, void (*each)(void *ctx, const struct store_event *e), void *ctx,
		 struct sf_error *err)
{
	sqlite3_stmt *q = s->history[SQL_EVENTS];
	struct store_event e;
	int got, rc = 0;

	bind_key(q, key);
	while ((got = sqlite3_step(q)) == SQLITE_ROW) {
		e = (struct store_event){
			.id = sqlite3_column_int64(q, 0),
			.time = sqlite3_column_int64(q, 1),
			.last = sqlite3_column_int64(q, 2),
			.count = sqlite3_column_int64(q, 3),
			.try_no = sqlite3_column_int64(q, 4),
			.what = (const char *)sqlite3_column_text(q, 5),
			.op = (const char *)sqlite3_column_text(q, 6),
			.outcome = (const char *)sqlite3_column_text(q, 7),
			.text = (const char *)sqlite3_column_text(q, 8),
		};
		each(ctx, &e);
	}
	if (got != SQLITE_DONE)
		rc = store_error(s, err, "read events");
	done(q);
	return rc;
}

int store_end(struct store *s, const struct store_ended *e, struct sf_error *err)
{
	sqlite3_stmt *q = s->history[SQL_END];

	if (store_begin(s, err) != 0)
		return -1;
	/* REPLACE counts as one change: whether a row went is asked first. */
	bind_key(s->history[SQL_PRUNE_ENDED], &e->key);
	if (store_step(s, s->history[SQL_PRUNE_ENDED], "replace what is kept of a job", err) != 0)
		return -1;
	s->n_ended -= sqlite3_changes(s->db);
	bind_key(q, &e->key);
	sqlite3_bind_int64(q, 4, e->uid);
	sqlite3_bind_int64(q, 5, e->array_job);
	sqlite3_bind_int64(q, 6, e->array_task);
	sqlite3_bind_int64(q, 7, e->ended);
	bind_text(q, 8, e->summary);
	bind_text(q, 9, e->place);
	if (store_step(s, q, "keep what is known of a job", err) != 0)
		return -1;
	s->n_ended++;
	return 0;
}

static struct store_ended read_ended(sqlite3_stmt *q)
{
	return (struct store_ended){
		.id = sqlite3_column_int64(q, 0),
		.key = { .job_id = sqlite3_column_int64(q, 1),
			 .sid = (const char *)sqlite3_column_text(q, 2),
			 .restart = sqlite3_column_int64(q, 3) },
		.uid = sqlite3_column_int64(q, 4),
		.array_job = sqlite3_column_int64(q, 5),
		.array_task = sqlite3_column_int64(q, 6),
		.ended = sqlite3_column_int64(q, 7),
		.summary = (const char *)sqlite3_column_text(q, 8),
		.place = (const char *)sqlite3_column_text(q, 9),
	};
}

int store_find_ended(struct store *s, const struct store_find *f, bool (*each)(void *ctx, const struct store_ended *e), void *ctx,
		     struct sf_error *err)
{
	sqlite3_stmt *q = s->history[f->job ? SQL_ENDED_OF : SQL_ENDED_SINCE];
	struct store_ended e;
	int got, rc = 0;

	sqlite3_bind_int64(q, 1, f->after);
	sqlite3_bind_int64(q, 2, f->uid);
	sqlite3_bind_int64(q, 4, f->most);
	if (f->job) {
		sqlite3_bind_int64(q, 5, f->job);
		sqlite3_bind_int64(q, 6, f->array_task);
	} else {
		sqlite3_bind_int64(q, 3, f->since);
	}
	while ((got = sqlite3_step(q)) == SQLITE_ROW) {
		e = read_ended(q);
		if (!each(ctx, &e)) {
			got = SQLITE_DONE;
			break;
		}
	}
	if (got != SQLITE_DONE)
		rc = store_error(s, err, "read what is kept of jobs");
	done(q);
	return rc;
}

/* The oldest ended incarnation, if it is to go; its sid must be freed. 1 = yes, 0 = no, -1 = error. */
static int oldest_to_go(struct store *s, int64_t now, struct store_key *key, char **sid, struct sf_error *err)
{
	sqlite3_stmt *q = s->history[SQL_PRUNE_WHICH];
	bool full = s->n_ended > STORE_ENDED_MAX || (s->n_events > STORE_EVENTS_MAX && s->n_ended > 0);
	int got = sqlite3_step(q), rc = 0;

	if (got == SQLITE_ROW && (full || sqlite3_column_int64(q, 3) < now - STORE_ENDED_S)) {
		*sid = strdup((const char *)sqlite3_column_text(q, 1));
		*key = (struct store_key){ sqlite3_column_int64(q, 0), sqlite3_column_int64(q, 2), *sid };
		rc = *sid ? 1 : sf_err(err, "out of memory");
	} else if (got != SQLITE_ROW && got != SQLITE_DONE) {
		rc = store_error(s, err, "find what is too old");
	}
	sqlite3_reset(q);
	return rc;
}

static int prune_one(struct store *s, const struct store_key *key, struct sf_error *err)
{
	if (drop_events(s, SQL_PRUNE_EVENTS, key, err) != 0)
		return -1;
	bind_key(s->history[SQL_PRUNE_ENDED], key);
	if (store_step(s, s->history[SQL_PRUNE_ENDED], "delete what is too old", err) != 0)
		return -1;
	s->n_ended -= sqlite3_changes(s->db);
	return 0;
}

int store_prune(struct store *s, int64_t now, struct sf_error *err)
{
	struct store_key key = { 0 };
	int n, found;

	if (s->recount && recount(s, err) != 0)
		return -1;
	for (n = 0; n < STORE_PRUNE_STEP; n++) {
		char *sid = NULL;

		found = oldest_to_go(s, now, &key, &sid, err);
		if (found == 1 && prune_one(s, &key, err) != 0)
			found = -1;
		free(sid);
		if (found < 0)
			return -1;
		if (found == 0)
			break;
	}
	return n;
}
