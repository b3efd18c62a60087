/* jobs.db: one row per incarnation, written before the call that needs it (design section 5.1). */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "plugin/agent/store_db.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "common/base/text.h"

enum column_type { COL_INT, COL_TEXT };

static const struct column {
	const char *name;
	enum column_type type;
	size_t offset;
} columns[] = {
#define INT(field) { #field, COL_INT, offsetof(struct job_row, field) }
#define TEXT(field) { #field, COL_TEXT, offsetof(struct job_row, field) }
	INT(job_id), TEXT(sid), INT(restart), TEXT(spec), INT(uid), INT(created), INT(stage),
	INT(prolog_seen), INT(attach_seen), TEXT(attach_token), TEXT(profile), TEXT(region),
	TEXT(cluster), TEXT(definition), TEXT(container), TEXT(log_group), TEXT(log_prefix),
	INT(framing), INT(log_lossy), INT(time_limit), INT(try_no), TEXT(nonce), TEXT(client_token), TEXT(request),
	INT(request_at), INT(sent), TEXT(task_id), TEXT(provider), TEXT(az), TEXT(last_status),
	INT(started), INT(end_time_moved), TEXT(stop_reason), TEXT(abandon), INT(stop_accepted), INT(has_exit),
	INT(exit_code), INT(ended_at), INT(telling), INT(verdict), INT(act), INT(delay), TEXT(reason),
	INT(told_at), TEXT(user), INT(array_job), INT(array_task), INT(attempts), INT(rung), INT(stuck), INT(doubt), INT(retry_at), INT(released),
	INT(alerted),
#undef INT
#undef TEXT
};

/* job_id, sid and restart: the identity of an incarnation. */
static const size_t key_columns[] = { 0, 1, 2 };

static int64_t *int_at(const struct job_row *row, size_t c)
{
	return (int64_t *)((char *)row + columns[c].offset);
}

static char **text_at(const struct job_row *row, size_t c)
{
	return (char **)((char *)row + columns[c].offset);
}

void job_row_free(struct job_row *row)
{
	size_t c;

	for (c = 0; row && c < SF_COUNT(columns); c++)
		if (columns[c].type == COL_TEXT) {
			free(*text_at(row, c));
			*text_at(row, c) = NULL;
		}
}

int store_error(struct store *s, struct sf_error *err, const char *what)
{
	return sf_err(err, "jobs.db: %s: %s", what, s->db ? sqlite3_errmsg(s->db) : "out of memory");
}

int store_run(struct store *s, const char *sql, struct sf_error *err)
{
	if (sqlite3_exec(s->db, sql, NULL, NULL, NULL) != SQLITE_OK)
		return store_error(s, err, sql);
	return 0;
}

/*
 * The layout; a database of a later one is refused rather than misread. 1: the first. 2: user, array_job, array_task; the
 * tables of store_history.c. 3: the budget's columns, alerted, the table of store_tally.c. Columns are named in every statement,
 * so that one added at the end needs nothing but its name here.
 */
#define SCHEMA_VERSION 3

static int read_version(struct store *s, int *version, struct sf_error *err)
{
	sqlite3_stmt *q = NULL;

	*version = -1;
	if (sqlite3_prepare_v2(s->db, "PRAGMA user_version", -1, &q, NULL) == SQLITE_OK && sqlite3_step(q) == SQLITE_ROW)
		*version = sqlite3_column_int(q, 0);
	sqlite3_finalize(q);
	if (*version < 0)
		return store_error(s, err, "read the layout");
	if (*version > SCHEMA_VERSION)
		return sf_err(err, "jobs.db has layout %d, this fargated knows %d; start the version that wrote it", *version, SCHEMA_VERSION);
	return 0;
}

static const char *column_sql(size_t c)
{
	return columns[c].type == COL_INT ? "INTEGER" : "TEXT";
}

static int create_tables(struct store *s, struct sf_error *err)
{
	struct sf_buf sql = SF_BUF_INIT;
	sf_auto_free char *text = NULL;
	size_t c;

	sf_buf_puts(&sql, "CREATE TABLE IF NOT EXISTS meta(name TEXT PRIMARY KEY, value TEXT);"
			  "CREATE TABLE IF NOT EXISTS jobs(");
	for (c = 0; c < SF_COUNT(columns); c++)
		sf_buf_printf(&sql, "%s %s, ", columns[c].name, column_sql(c));
	sf_buf_puts(&sql, "PRIMARY KEY(job_id, sid, restart))");
	text = sf_buf_take(&sql);
	return text ? store_run(s, text, err) : sf_err(err, "out of memory");
}

static bool has_column(sqlite3_stmt *info, const char *name)
{
	bool found = false;

	while (sqlite3_step(info) == SQLITE_ROW)
		found = found || strcmp((const char *)sqlite3_column_text(info, 1), name) == 0;
	sqlite3_reset(info);
	return found;
}

/* What an earlier layout lacks: NULL reads as 0 or as no text. */
static int add_columns(struct store *s, struct sf_error *err)
{
	sqlite3_stmt *info = NULL;
	char sql[128];
	size_t c;
	int rc = 0;

	if (sqlite3_prepare_v2(s->db, "PRAGMA table_info(jobs)", -1, &info, NULL) != SQLITE_OK)
		return store_error(s, err, "read the layout");
	for (c = 0; c < SF_COUNT(columns) && rc == 0; c++) {
		if (has_column(info, columns[c].name))
			continue;
		snprintf(sql, sizeof(sql), "ALTER TABLE jobs ADD COLUMN %s %s", columns[c].name, column_sql(c));
		rc = store_run(s, sql, err);
	}
	sqlite3_finalize(info);
	return rc;
}

/* All of it or nothing: an agent killed in between finds the layout it left. */
static int make_layout(struct store *s, struct sf_error *err)
{
	char sql[64];
	int version;

	snprintf(sql, sizeof(sql), "PRAGMA user_version=%d", SCHEMA_VERSION);
	if (store_run(s, "BEGIN IMMEDIATE", err) != 0)
		return -1;
	if (read_version(s, &version, err) != 0 || create_tables(s, err) != 0 || add_columns(s, err) != 0 ||
	    history_open(s, err) != 0 || tally_open(s, err) != 0 || store_run(s, sql, err) != 0)
		return -1;
	return store_run(s, "COMMIT", err);
}

static void name_columns(struct sf_buf *sql)
{
	size_t c;

	for (c = 0; c < SF_COUNT(columns); c++)
		sf_buf_printf(sql, "%s%s", c ? "," : "", columns[c].name);
}

static int prepare(struct store *s, struct sf_error *err)
{
	struct sf_buf sql = SF_BUF_INIT;
	sf_auto_free char *text = NULL;
	size_t c;

	sf_buf_puts(&sql, "INSERT OR REPLACE INTO jobs(");
	name_columns(&sql);
	sf_buf_puts(&sql, ") VALUES(");
	for (c = 0; c < SF_COUNT(columns); c++)
		sf_buf_puts(&sql, c ? ",?" : "?");
	sf_buf_puts(&sql, ")");
	text = sf_buf_take(&sql);
	if (!text || sqlite3_prepare_v2(s->db, text, -1, &s->put, NULL) != SQLITE_OK ||
	    sqlite3_prepare_v2(s->db, "DELETE FROM jobs WHERE job_id=? AND sid=? AND restart=?", -1, &s->del, NULL) != SQLITE_OK)
		return store_error(s, err, "prepare");
	return 0;
}

static int take_lock(struct store *s, const char *dir, struct sf_error *err)
{
	char path[4096];

	if ((size_t)snprintf(path, sizeof(path), "%s/agent.lock", dir) >= sizeof(path))
		return sf_err(err, "StateDir '%s' is too long", dir);
	s->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (s->lock < 0)
		return sf_err(err, "%s: %s", path, strerror(errno));
	if (flock(s->lock, LOCK_EX | LOCK_NB) != 0)
		return sf_err(err, "%s is locked: another fargated uses StateDir '%s'", path, dir);
	return 0;
}

static int open_database(struct store *s, const char *dir, struct sf_error *err)
{
	char path[4096];
	mode_t old;
	int rc;

	if ((size_t)snprintf(path, sizeof(path), "%s/jobs.db", dir) >= sizeof(path))
		return sf_err(err, "StateDir '%s' is too long", dir);
	old = umask(077);
	rc = sqlite3_open_v2(path, &s->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL);
	umask(old);
	if (rc != SQLITE_OK || chmod(path, 0600) != 0) {
		store_error(s, err, "open");
		return sf_err_wrap(err, "%s", path);
	}
	if (store_run(s, "PRAGMA journal_mode=WAL", err) != 0 || store_run(s, "PRAGMA synchronous=FULL", err) != 0 ||
	    make_layout(s, err) != 0 || prepare(s, err) != 0)
		return sf_err_wrap(err, "%s", path);
	return 0;
}

int store_text(struct store *s, const char *name, char *out, size_t size, struct sf_error *err)
{
	sqlite3_stmt *q = NULL;
	int rc = -1;

	if (sqlite3_prepare_v2(s->db, "SELECT value FROM meta WHERE name=?", -1, &q, NULL) != SQLITE_OK) {
		store_error(s, err, "read meta");
		goto out;
	}
	sqlite3_bind_text(q, 1, name, -1, SQLITE_STATIC);
	out[0] = '\0';
	switch (sqlite3_step(q)) {
	case SQLITE_ROW:
		sf_copy(out, size, (const char *)sqlite3_column_text(q, 0));
		rc = 0;
		break;
	case SQLITE_DONE:
		rc = 0;
		break;
	default:
		store_error(s, err, "read meta");
	}
out:
	sqlite3_finalize(q);
	return rc;
}

int store_put_text(struct store *s, const char *name, const char *value, struct sf_error *err)
{
	sqlite3_stmt *q = NULL;
	int rc = -1;

	if (sqlite3_prepare_v2(s->db, "INSERT OR REPLACE INTO meta VALUES(?,?)", -1, &q, NULL) == SQLITE_OK &&
	    sqlite3_bind_text(q, 1, name, -1, SQLITE_STATIC) == SQLITE_OK &&
	    sqlite3_bind_text(q, 2, value, -1, SQLITE_STATIC) == SQLITE_OK && sqlite3_step(q) == SQLITE_DONE)
		rc = 0;
	else
		store_error(s, err, "write meta");
	sqlite3_finalize(q);
	return rc;
}

static int find_instance(struct store *s, const char *want, char instance[STORE_INSTANCE_MAX], struct sf_error *err)
{
	unsigned char raw[4];

	if (want && strlen(want) >= STORE_INSTANCE_MAX)
		return sf_err(err, "Instance '%s' is longer than %d characters", want, STORE_INSTANCE_MAX - 1);
	if (store_text(s, "instance", instance, STORE_INSTANCE_MAX, err) != 0)
		return -1;
	if (want ? strcmp(want, instance) == 0 : instance[0] != '\0')
		return 0;
	if (want)
		sf_copy(instance, STORE_INSTANCE_MAX, want);
	else if (sf_random(raw, sizeof(raw)) == 0)
		sf_hex(raw, sizeof(raw), instance);
	else
		return sf_err(err, "no random numbers: %s", strerror(errno));
	return store_put_text(s, "instance", instance, err);
}

int store_open(const char *dir, const char *want, char instance[STORE_INSTANCE_MAX], struct store **out, struct sf_error *err)
{
	struct store *s = calloc(1, sizeof(*s));

	if (!s)
		return sf_err(err, "out of memory");
	s->lock = -1;
	if (mkdir(dir, 0700) != 0 && errno != EEXIST) {
		sf_err(err, "StateDir '%s' cannot be made: %s", dir, strerror(errno));
		goto error;
	}
	if (take_lock(s, dir, err) != 0 || open_database(s, dir, err) != 0 || find_instance(s, want, instance, err) != 0)
		goto error;
	*out = s;
	return 0;
error:
	store_close(s);
	return -1;
}

void store_close(struct store *s)
{
	if (!s)
		return;
	sqlite3_finalize(s->put);
	sqlite3_finalize(s->del);
	history_close(s);
	sqlite3_close(s->db);
	if (s->lock >= 0)
		close(s->lock);
	free(s);
}

int store_begin(struct store *s, struct sf_error *err)
{
	if (s->open_transaction)
		return 0;
	if (store_run(s, "BEGIN IMMEDIATE", err) != 0)
		return -1;
	s->open_transaction = true;
	return 0;
}

static void bind(sqlite3_stmt *q, int at, const struct job_row *row, size_t c)
{
	if (columns[c].type == COL_INT)
		sqlite3_bind_int64(q, at, *int_at(row, c));
	else if (*text_at(row, c))
		sqlite3_bind_text(q, at, *text_at(row, c), -1, SQLITE_STATIC);
	else
		sqlite3_bind_null(q, at);
}

/* After SQLITE_FULL, _IOERR, … SQLite may have rolled back by itself: the rows of this turn are gone, the caller puts them again. */
static void lost_transaction(struct store *s)
{
	if (!sqlite3_get_autocommit(s->db))
		sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
	s->open_transaction = false;
	s->recount = true;
}

int store_step(struct store *s, sqlite3_stmt *q, const char *what, struct sf_error *err)
{
	int rc = sqlite3_step(q) == SQLITE_DONE ? 0 : store_error(s, err, what);

	sqlite3_reset(q);
	sqlite3_clear_bindings(q);
	if (rc != 0)
		lost_transaction(s);
	return rc;
}

int store_put(struct store *s, const struct job_row *row, struct sf_error *err)
{
	size_t c;

	if (store_begin(s, err) != 0)
		return -1;
	for (c = 0; c < SF_COUNT(columns); c++)
		bind(s->put, (int)c + 1, row, c);
	return store_step(s, s->put, "write a job", err);
}

int store_delete(struct store *s, const struct job_row *row, struct sf_error *err)
{
	size_t k;

	if (store_begin(s, err) != 0)
		return -1;
	for (k = 0; k < SF_COUNT(key_columns); k++)
		bind(s->del, (int)k + 1, row, key_columns[k]);
	return store_step(s, s->del, "delete a job", err);
}

bool store_dirty(const struct store *s)
{
	return s->open_transaction;
}

int store_commit(struct store *s, struct sf_error *err)
{
	if (!s->open_transaction)
		return 0;
	if (store_run(s, "COMMIT", err) == 0) {
		s->open_transaction = false;
		return 0;
	}
	lost_transaction(s);
	return -1;
}

static int read_row(sqlite3_stmt *q, struct job_row *row)
{
	size_t c;

	*row = (struct job_row){ 0 };
	for (c = 0; c < SF_COUNT(columns); c++) {
		if (columns[c].type == COL_INT) {
			*int_at(row, c) = sqlite3_column_int64(q, (int)c);
		} else if (sqlite3_column_type(q, (int)c) != SQLITE_NULL) {
			*text_at(row, c) = strdup((const char *)sqlite3_column_text(q, (int)c));
			if (!*text_at(row, c))
				return -1;
		}
	}
	return 0;
}

int store_load(struct store *s, void (*each)(void *ctx, struct job_row *row), void *ctx, struct sf_error *err)
{
	struct sf_buf sql = SF_BUF_INIT;
	sf_auto_free char *text = NULL;
	sqlite3_stmt *q = NULL;
	struct job_row row = { 0 };
	int rc = -1, got;

	sf_buf_puts(&sql, "SELECT ");
	name_columns(&sql);
	sf_buf_puts(&sql, " FROM jobs");
	text = sf_buf_take(&sql);
	if (!text || sqlite3_prepare_v2(s->db, text, -1, &q, NULL) != SQLITE_OK)
		return store_error(s, err, "read the jobs");
	while ((got = sqlite3_step(q)) == SQLITE_ROW) {
		if (read_row(q, &row) != 0) {
			job_row_free(&row);
			sf_err(err, "out of memory");
			goto out;
		}
		each(ctx, &row);
	}
	if (got == SQLITE_DONE)
		rc = 0;
	else
		store_error(s, err, "read the jobs");
out:
	sqlite3_finalize(q);
	return rc;
}
