/* fargated: the agent. Reads its arguments and fargate.conf, then runs until it is told to leave. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/base/log.h"
#include "plugin/agent/agent.h"
#include "plugin/agent/dry_run.h"

static const char usage_text[] =
	"usage: fargated [-f FILE] [-t] [-v]\n"
	"  -f FILE  fargate.conf (default: beside slurm.conf)\n"
	"  -t       check fargate.conf, print what is in it and every default, and leave\n"
	"  -v       log more\n"
	"  -V       print the version and leave\n"
	"Runs in the foreground as SlurmUser and logs to standard error.\n";

struct arguments {
	const char *conf;
	bool test;
	bool version;
};

static int parse_arguments(int argc, char **argv, struct arguments *args)
{
	int opt;

	while ((opt = getopt(argc, argv, "f:tvV")) != -1)
		switch (opt) {
		case 'f':
			args->conf = optarg;
			break;
		case 't':
			args->test = true;
			break;
		case 'v':
			sf_log_max(SF_LOG_DEBUG);
			break;
		case 'V':
			args->version = true;
			break;
		default:
			return -1;
		}
	return optind == argc ? 0 : -1;
}

static void log_line(enum sf_log_level level, const char *line)
{
	static const char *const names[] = { "error: ", "warning: ", "", "debug: " };
	struct timespec now;
	struct tm tm = { 0 };
	char when[32];

	clock_gettime(CLOCK_REALTIME, &now);
	(void)localtime_r(&now.tv_sec, &tm);
	strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%S", &tm);
	fprintf(stderr, "%s.%03ld fargated: %s%s\n", when, now.tv_nsec / 1000000, names[level], line);
}

/* Each running job holds a connection, and 1024 descriptors are what a shell gives. */
static void raise_descriptors(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max)
		return;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
		sf_log_warn("the limit of open files stays as it is: %s", strerror(errno));
}

/* Everything but the arguments; the agent has the conf from here on. */
static int run(struct agent *a, const char *path, struct sf_error *err)
{
	/* Credentials and users' values live in this process: no core dump, no ptrace by others of the same uid. */
	prctl(PR_SET_DUMPABLE, 0);
	umask(022);
	raise_descriptors();
	if (sf_conf_load(path, geteuid(), &a->conf, err) != 0)
		return -1;
	slurm_api_init();
	if (agent_start(a, err) != 0)
		return -1;
	sf_log_info("ready, %zu jobs from jobs.db, socket %s", a->n_jobs, a->conf->socket);
	agent_run(a);
	return 0;
}

int main(int argc, char **argv)
{
	struct arguments args = { 0 };
	sf_auto_free struct agent *a = calloc(1, sizeof(*a));
	sf_auto_free char *found = sf_conf_default_path();
	struct sf_error err = { "" };
	int status = EXIT_FAILURE;

	sf_log_to(log_line);
	if (parse_arguments(argc, argv, &args) != 0) {
		fputs(usage_text, stderr);
		return EXIT_FAILURE;
	}
	if (args.version) {
		puts("slurm-fargate " PACKAGE_VERSION);
		return EXIT_SUCCESS;
	}
	if (!a || !found) {
		sf_log_error("out of memory");
		return EXIT_FAILURE;
	}
	if (args.test)
		return dry_run(args.conf ? args.conf : found);
	if (run(a, args.conf ? args.conf : found, &err) == 0)
		status = EXIT_SUCCESS;
	else
		sf_log_error("%s", err.text);
	agent_stop(a);
	return status;
}
