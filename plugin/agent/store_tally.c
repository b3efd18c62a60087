/* jobs.db, what outlives a start: how often a job was given back to Slurm. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "plugin/agent/store_db.h"

#include <stddef.h>

#define KEPT "7776000" /* s: 90 days after the last change */

static const char layout[] = "CREATE TABLE IF NOT EXISTS tally(job_id INTEGER, sid TEXT, changed INTEGER, requeues INTEGER,"
			     " launches INTEGER, interruptions INTEGER, PRIMARY KEY(job_id, sid));"
			     "DELETE FROM tally WHERE changed < strftime('%s','now') - " KEPT;

int tally_open(struct store *s, struct sf_error *err)
{
	return store_run(s, layout, err);
}

static sqlite3_stmt *prepare(struct store *s, const char *sql, int64_t job_id, const char *sid)
{
	sqlite3_stmt *q = NULL;

	if (sqlite3_prepare_v2(s->db, sql, -1, &q, NULL) != SQLITE_OK)
		return NULL;
	sqlite3_bind_int64(q, 1, job_id);
	sqlite3_bind_text(q, 2, sid, -1, SQLITE_STATIC);
	return q;
}

int store_tally(struct store *s, int64_t job_id, const char *sid, struct store_tally *out, struct sf_error *err)
{
	sqlite3_stmt *q = prepare(s, "SELECT requeues,launches,interruptions FROM tally WHERE job_id=? AND sid=?", job_id, sid);
	int rc = q ? sqlite3_step(q) : SQLITE_ERROR;

	*out = (struct store_tally){ 0 };
	if (rc == SQLITE_ROW)
		*out = (struct store_tally){ sqlite3_column_int64(q, 0), sqlite3_column_int64(q, 1), sqlite3_column_int64(q, 2) };
	sqlite3_finalize(q);
	return rc == SQLITE_ROW || rc == SQLITE_DONE ? 0 : store_error(s, err, "read a tally");
}

int store_tally_put(struct store *s, int64_t job_id, const char *sid, const struct store_tally *tally, struct sf_error *err)
{
	sqlite3_stmt *q;
	int rc;

	if (store_begin(s, err) != 0)
		return -1;
	q = prepare(s, "INSERT OR REPLACE INTO tally VALUES(?1,?2,strftime('%s','now'),?3,?4,?5)", job_id, sid);
	if (!q)
		return store_error(s, err, "write a tally");
	sqlite3_bind_int64(q, 3, tally->requeues);
	sqlite3_bind_int64(q, 4, tally->launches);
	sqlite3_bind_int64(q, 5, tally->interruptions);
	rc = store_step(s, q, "write a tally", err);
	sqlite3_finalize(q);
	return rc;
}
