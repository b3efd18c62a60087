/* Reading fargate.conf from disk: only from where nobody but root and SlurmUser can have put it. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/base/conf.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "common/base/conf_check.h"
#include "common/base/conf_lex.h"
#include "common/base/names.h"
#include "common/base/text.h"
#include "common/base/util.h"

#define FILE_MAX (1024 * 1024)

static int check_owner(const char *what, const char *path, const struct stat *st, uid_t owner,
		       struct sf_error *err)
{
	/* In a sticky directory nobody can replace what belongs to another. */
	bool sticky = S_ISDIR(st->st_mode) && (st->st_mode & S_ISVTX);

	if (st->st_uid != 0 && st->st_uid != owner)
		return sf_err(err,
			      "%s%s belongs to uid %u, but only root or SlurmUser (uid %u) may own "
			      "it; run: chown root '%s'",
			      what, path, st->st_uid, owner, path);
	if ((st->st_mode & (S_IWGRP | S_IWOTH)) && !sticky)
		return sf_err(err,
			      "%s%s may be written by others than root and SlurmUser (mode %04o); "
			      "run: chmod go-w '%s'",
			      what, path, st->st_mode & 07777, path);
	return 0;
}

/* Every directory above the file, which `real` names without symbolic links. */
static int check_parents(const char *real, uid_t owner, struct sf_error *err)
{
	char dir[PATH_MAX];
	struct stat st;
	char *slash;

	sf_copy(dir, sizeof(dir), real);
	while ((slash = strrchr(dir, '/'))) {
		slash[slash == dir] = '\0';
		if (stat(dir, &st) != 0)
			return sf_err(err, "directory %s cannot be looked at: %s", dir,
				      strerror(errno));
		if (check_owner("directory ", dir, &st, owner, err) != 0)
			return -1;
		if (slash == dir)
			break;
	}
	return 0;
}

static int read_all(int fd, char **out, struct sf_error *err)
{
	sf_auto_buf struct sf_buf b = SF_BUF_INIT;
	char chunk[4096];
	ssize_t got;

	while ((got = read(fd, chunk, sizeof(chunk))) != 0) {
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return sf_err(err, "cannot be read: %s", strerror(errno));
		sf_buf_add(&b, chunk, (size_t)got);
		if (b.len > FILE_MAX)
			return sf_err(err, "is longer than %d bytes", FILE_MAX);
	}
	if (b.len && memchr(b.data, '\0', b.len))
		return sf_err(err, "holds a NUL byte and is no text");
	*out = sf_buf_take(&b);
	return *out ? 0 : sf_err(err, "out of memory");
}

static struct sf_conf_stamp stamp_of(const struct stat *st)
{
	/* The change time also tells of chmod and chown. */
	return (struct sf_conf_stamp){ { (int64_t)st->st_dev, (int64_t)st->st_ino, st->st_size, st->st_mtim.tv_sec,
					 st->st_mtim.tv_nsec, st->st_ctim.tv_sec, st->st_ctim.tv_nsec } };
}

struct sf_conf_stamp sf_conf_stamp(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 ? stamp_of(&st) : (struct sf_conf_stamp){ { 0 } };
}

bool sf_conf_stamp_same(const struct sf_conf_stamp *a, const struct sf_conf_stamp *b)
{
	return memcmp(a->v, b->v, sizeof(a->v)) == 0;
}

/* The text of a file that passed every check; *real gets its path without symbolic links. */
static int read_checked(const char *path, uid_t owner, char **text, struct sf_conf_stamp *stamp, struct sf_error *err)
{
	sf_auto_free char *real = realpath(path, NULL);
	sf_auto_close int fd = -1;
	struct stat st;

	/* O_NONBLOCK: a FIFO in the file's place must not hang slurmctld. */
	if (real)
		fd = open(real, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0 || fstat(fd, &st) != 0)
		return sf_err(err, "cannot be read: %s", strerror(errno));
	if (!S_ISREG(st.st_mode))
		return sf_err(err, "is not a regular file");
	*stamp = stamp_of(&st);
	if (check_owner("", real, &st, owner, err) != 0 || check_parents(real, owner, err) != 0)
		return -1;
	return read_all(fd, text, err);
}

int sf_conf_load(const char *path, uid_t owner, struct sf_conf **out, struct sf_error *err)
{
	sf_auto_free char *text = NULL;
	struct sf_conf_stamp stamp;

	if (read_checked(path, owner, &text, &stamp, err) != 0) {
		sf_err_wrap(err, "%s", path);
		if (err)
			sf_text_clean(err->text);
		return -1;
	}
	if (sf_conf_parse(path, text, out, err) != 0)
		return -1;
	(*out)->stamp = stamp;
	return 0;
}

int sf_conf_socket(const char *path, uid_t owner, char *out, size_t size)
{
	sf_auto_free char *text = NULL;
	sf_auto_buf struct sf_buf b = SF_BUF_INIT;
	struct sf_conf_stamp stamp;
	struct sf_lex lex;
	char *pos, *key, *value;
	unsigned line;

	sf_copy(out, size, SF_DEFAULT_SOCKET);
	if (read_checked(path, owner, &text, &stamp, NULL) != 0)
		return -1;
	lex = (struct sf_lex){ .next = text };
	while (sf_lex_line(&lex, &b, &line, NULL) == 1)
		for (pos = b.data; sf_lex_pair(&pos, &key, &value, NULL) == 1;)
			if (strcasecmp(key, "Socket") == 0 && sf_valid_socket(value))
				sf_copy(out, size, value);
	return 0;
}

char *sf_conf_default_path(void)
{
	sf_auto_buf struct sf_buf b = SF_BUF_INIT;
	const char *slurm_conf = getenv("SLURM_CONF");
	const char *slash = slurm_conf ? strrchr(slurm_conf, '/') : NULL;

	if (slash)
		sf_buf_add(&b, slurm_conf, (size_t)(slash - slurm_conf) + 1);
	else if (!slurm_conf || !*slurm_conf)
		sf_buf_puts(&b, SF_SYSCONFDIR "/");
	sf_buf_puts(&b, "fargate.conf");
	return sf_buf_take(&b);
}
