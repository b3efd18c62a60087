/* fargated -t: what an agent started now would run with. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "plugin/agent/dry_run.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/log.h"
#include "plugin/agent/agent.h"
#include "plugin/agent/hold.h"

#define ANSWER_MS 12000 /* libslurm tries for MessageTimeout, 10 s by default */

static void log_plainly(enum sf_log_level level, const char *line)
{
	static const char *const names[] = { "error: ", "warning: ", "", "debug: " };

	fprintf(stderr, "fargated: %s%s\n", names[level], line);
}

/* In a process of its own: without a slurm.conf libslurm ends the process it is in. */
static void ask_in_child(int out)
{
	struct slurm_cluster cluster = { .name = "" };
	struct sf_error err = { "" };
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

	if (null >= 0)
		dup2(null, STDERR_FILENO);
	slurm_api_init();
	if (slurm_api_cluster(&cluster, &err) == 0 && write(out, &cluster, sizeof(cluster)) == sizeof(cluster))
		_exit(EXIT_SUCCESS);
	_exit(EXIT_FAILURE);
}

static bool read_answer(int fd, struct slurm_cluster *cluster)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, ANSWER_MS) == 1 && read(fd, cluster, sizeof(*cluster)) == sizeof(*cluster) && cluster->name[0];
}

/* The cluster as slurmctld runs it now; false when there is none that answers. */
static bool ask_slurm(struct slurm_cluster *cluster)
{
	sf_auto_close int from = -1;
	bool known = false;
	const char *slurm_conf = getenv("SLURM_CONF");
	int ends[2];
	pid_t child;

	/* libslurm would wait a minute for the file to appear. */
	if ((slurm_conf && access(slurm_conf, R_OK) != 0) || pipe2(ends, O_CLOEXEC) != 0)
		return false;
	from = ends[0];
	fflush(NULL);
	child = fork();
	if (child == 0)
		ask_in_child(ends[1]);
	close(ends[1]);
	if (child < 0)
		return false;
	known = read_answer(from, cluster);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	return known;
}

static int hold_against(const struct slurm_cluster *cluster, const struct sf_conf *conf, struct sf_error *err)
{
	const char *misfit = conf_misfit(cluster, conf);

	if (misfit)
		return sf_err(err, "%s: %s", conf->path, misfit);
	slurm_api_init();
	return slurm_api_check_conf(conf, err) != 0 ? -1 : hold_check_conf(conf, err);
}

static int print(const struct sf_conf *conf)
{
	sf_auto_free char *text = sf_conf_text(conf);

	return text && printf("# %s with every default\n%s", conf->path, text) > 0 && fflush(stdout) == 0 ? 0 : -1;
}

static void say(const struct sf_conf *conf, const struct slurm_cluster *cluster)
{
	size_t i;

	for (i = 0; conf->warnings && conf->warnings[i]; i++)
		sf_log_warn("%s", conf->warnings[i]);
	if (cluster)
		sf_log_info("%s is good, %zu partitions, and fits Slurm's cluster %s", conf->path, conf->n_lines, cluster->name);
	else
		sf_log_info("%s is good, %zu partitions; it was not held against Slurm, for no slurmctld answers", conf->path,
			    conf->n_lines);
}

/* Root tries the file that SlurmUser's agent will read; who that is only slurmctld knows, so at first its owner is believed. */
static uid_t first_owner(const char *path)
{
	struct stat st;

	return geteuid() == 0 && stat(path, &st) == 0 ? st.st_uid : geteuid();
}

static int load(const char *path, uid_t owner, struct sf_conf **conf, struct sf_error *err)
{
	sf_conf_free(*conf);
	*conf = NULL;
	return sf_conf_load(path, owner, conf, err);
}

int dry_run(const char *path)
{
	sf_auto_conf struct sf_conf *conf = NULL;
	struct slurm_cluster cluster = { .name = "" };
	struct sf_error err = { "" };
	bool known = false;
	int rc;

	sf_log_to(log_plainly);
	rc = load(path, first_owner(path), &conf, &err);
	if (rc == 0)
		known = ask_slurm(&cluster);
	if (known && geteuid() == 0)
		rc = load(path, cluster.slurm_user, &conf, &err);
	if (rc != 0 || (known && hold_against(&cluster, conf, &err) != 0)) {
		sf_log_error("%s", err.text);
		return EXIT_FAILURE;
	}
	if (print(conf) != 0) {
		sf_log_error("the configuration cannot be printed: %s", strerror(errno));
		return EXIT_FAILURE;
	}
	say(conf, known ? &cluster : NULL);
	return EXIT_SUCCESS;
}
