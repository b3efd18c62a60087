/* A credential_process: started without a shell, bounded in time and output. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/aws/process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>

#include <openssl/crypto.h>

#include "common/aws/keys_json.h"
#include "common/base/text.h"

#define REAP_MS 20

struct aws_process {
	struct aws_http *http;
	pid_t pid; /* 0 = none any more */
	int fd;
	struct sf_buf out;
	aws_process_cb cb;
	void *arg;
	int waited_ms;
};

/* What a command may need to find its own settings; keys are not among them. */
static const char *const kept[] = { "PATH=", "HOME=", "USER=", "LOGNAME=", "LANG=", "LC_", "TZ=", "TMPDIR=", "XDG_", "AWS_", "SSL_CERT_",
				    "http_proxy=", "https_proxy=", "no_proxy=", "HTTP_PROXY=", "HTTPS_PROXY=", "NO_PROXY=" };
static const char *const dropped[] = { "AWS_ACCESS_KEY_ID=", "AWS_SECRET_ACCESS_KEY=", "AWS_SESSION_TOKEN=", "AWS_SECURITY_TOKEN=",
				       "AWS_CONTAINER_AUTHORIZATION_TOKEN=" };

static bool begins(const char *text, const char *const *with, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (strncmp(text, with[i], strlen(with[i])) == 0)
			return true;
	return false;
}

static int make_environment(char ***out)
{
	char **e;

	*out = calloc(1, sizeof(**out));
	for (e = environ; *out && *e; e++)
		if (begins(*e, kept, SF_COUNT(kept)) && !begins(*e, dropped, SF_COUNT(dropped)) && sf_strv_add(out, *e) != 0)
			return -1;
	return *out ? 0 : -1;
}

/* One word from *s on, quotes and backslashes resolved; false when a quote is left open. */
static bool take_word(const char **s, struct sf_buf *word)
{
	char quote = '\0', c;

	for (; (c = **s) && (quote || !strchr(" \t\r\n", c)); (*s)++) {
		if (quote ? c == quote : c == '\'' || c == '"') {
			quote = quote ? '\0' : c;
			continue;
		}
		if (c == '\\' && quote != '\'') {
			if (!(*s)[1])
				return false;
			if (!quote || strchr("\"\\", (*s)[1]))
				(*s)++;
		}
		sf_buf_add(word, *s, 1);
	}
	return !quote;
}

int aws_process_split(const char *command, char ***argv, struct sf_error *err)
{
	sf_auto_strv char **v = NULL;

	while (*(command += strspn(command, " \t\r\n"))) {
		sf_auto_buf struct sf_buf buf = SF_BUF_INIT;
		sf_auto_free char *word = NULL;

		if (!take_word(&command, &buf))
			return sf_err(err, "a quote or backslash at its end is left open");
		word = sf_buf_take(&buf);
		if (!word || sf_strv_add(&v, word) != 0)
			return sf_err(err, "out of memory");
	}
	if (!v)
		return sf_err(err, "the command is empty");
	*argv = sf_steal(v);
	return 0;
}

static int spawn(char **argv, char **env, int out, pid_t *pid)
{
	posix_spawn_file_actions_t files;
	posix_spawnattr_t how;
	sigset_t none, all;
	int rc;

	sigemptyset(&none);
	sigfillset(&all);
	posix_spawn_file_actions_init(&files);
	posix_spawnattr_init(&how);
	posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&files, out, 1);
	posix_spawn_file_actions_addopen(&files, 2, "/dev/null", O_WRONLY, 0);
#if __GLIBC_PREREQ(2, 34)
	posix_spawn_file_actions_addclosefrom_np(&files, 3);
#endif
	/* A group of its own: what it has started is killed with it. */
	posix_spawnattr_setpgroup(&how, 0);
	posix_spawnattr_setsigmask(&how, &none);
	posix_spawnattr_setsigdefault(&how, &all);
	posix_spawnattr_setflags(&how, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	rc = posix_spawnp(pid, argv[0], &files, &how, argv, env);
	posix_spawnattr_destroy(&how);
	posix_spawn_file_actions_destroy(&files);
	return rc;
}

void aws_process_free(struct aws_process *p)
{
	if (!p)
		return;
	aws_http_forget(p->http, p);
	if (p->pid > 0) {
		kill(-p->pid, SIGKILL);
		while (waitpid(p->pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	if (p->fd >= 0)
		close(p->fd);
	if (p->out.data)
		OPENSSL_cleanse(p->out.data, p->out.cap);
	sf_buf_free(&p->out);
	free(p);
}

/* Hand over and be gone; the callback may start another. */
static void finish(struct aws_process *p, const struct sf_error *err)
{
	p->cb(p->arg, p->out.data ? p->out.data : "", p->out.len, err);
	aws_process_free(p);
}

static void fail(struct aws_process *p, const char *why)
{
	struct sf_error err = { "" };

	sf_err(&err, "%s", why);
	finish(p, &err);
}

/* Its output has ended; it may live a little longer. */
static void on_reap(void *arg)
{
	struct aws_process *p = arg;
	struct sf_error err = { "" };
	int status = 0;
	pid_t got = waitpid(p->pid, &status, WNOHANG);

	if (got == 0 && (p->waited_ms += REAP_MS) < AWS_PROCESS_TIMEOUT_MS && aws_http_after(p->http, REAP_MS, on_reap, p, NULL) == 0)
		return;
	if (got == 0) {
		fail(p, "closed its output but does not end");
		return;
	}
	p->pid = 0;
	if (got > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0) {
		finish(p, NULL);
		return;
	}
	if (got > 0 && WIFSIGNALED(status))
		sf_err(&err, "ended by signal %d", WTERMSIG(status));
	else
		sf_err(&err, "ended with code %d; run it by hand as SlurmUser to see what it says", WEXITSTATUS(status));
	finish(p, &err);
}

static void on_output(void *arg)
{
	struct aws_process *p = arg;
	char chunk[4096];
	ssize_t n = read(p->fd, chunk, sizeof(chunk));

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n > 0) {
		sf_buf_add(&p->out, chunk, (size_t)n);
		OPENSSL_cleanse(chunk, (size_t)n);
		if (p->out.len > AWS_KEYS_JSON_MAX || p->out.failed)
			fail(p, "wrote more than 65536 bytes");
		return;
	}
	aws_http_unwatch(p->http, p->fd);
	on_reap(p);
}

static void on_timeout(void *arg)
{
	fail(arg, "did not end within 30 seconds and was killed");
}

static int start(struct aws_process *p, const char *command, struct sf_error *err)
{
	sf_auto_strv char **argv = NULL;
	sf_auto_strv char **env = NULL;
	int ends[2], rc;

	if (aws_process_split(command, &argv, err) != 0)
		return -1;
	if (make_environment(&env) != 0)
		return sf_err(err, "out of memory");
	if (pipe2(ends, O_CLOEXEC) != 0)
		return sf_err(err, "no pipe: %s", strerror(errno));
	rc = spawn(argv, env, ends[1], &p->pid);
	close(ends[1]);
	p->fd = ends[0];
	if (rc != 0) {
		p->pid = 0;
		return sf_err(err, "'%s' cannot be started: %s", argv[0], strerror(rc));
	}
	fcntl(p->fd, F_SETFL, O_NONBLOCK);
	if (aws_http_watch(p->http, p->fd, on_output, p, err) != 0)
		return -1;
	return aws_http_after(p->http, AWS_PROCESS_TIMEOUT_MS, on_timeout, p, err);
}

int aws_process_start(struct aws_http *http, const char *command, aws_process_cb cb, void *arg, struct aws_process **out,
		      struct sf_error *err)
{
	struct aws_process *p = calloc(1, sizeof(*p));

	if (!p)
		return sf_err(err, "out of memory");
	*p = (struct aws_process){ .http = http, .fd = -1, .cb = cb, .arg = arg };
	if (start(p, command, err) != 0) {
		aws_process_free(p);
		return -1;
	}
	*out = p;
	return 0;
}
