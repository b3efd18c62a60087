/* sfargate: asks the agent, for users and admins. Here the command line; a file per command. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "plugin/sfargate/sfargate.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/text.h"

/* A word per option, so that a command says which it takes. */
enum { OPT_COMMON = 1, OPT_ALL = 2, OPT_HEADER = 4, OPT_FOLLOW = 8, OPT_REAP = 16 };

static const struct command {
	const char *name;
	const char *arguments;
	const char *help;
	int options;
	enum operand { NO_OPERAND, JOB_OPERAND, PARTITION_OPERAND } operand;
	int (*run)(const struct arguments *a);
} commands[] = {
	{ "tasks", "[-a] [-n]", "the jobs on Fargate: yours, or everybody's for root and SlurmUser", OPT_COMMON | OPT_ALL | OPT_HEADER, NO_OPERAND, command_tasks },
	{ "show", "JOBID", "one job: task, size, log, and what happened to it; JOBID may be 12, 12_3 or a whole array", OPT_COMMON, JOB_OPERAND, command_show },
	{ "logs", "JOBID [-f]", "the output of a job's task so far; -f goes on until it is complete", OPT_COMMON | OPT_FOLLOW, JOB_OPERAND, command_logs },
	{ "status", "", "how the agent stands: Slurm, AWS, jobs per phase", OPT_COMMON, NO_OPERAND, command_status },
	{ "quota", "[-n]", "the vCPU quotas of Fargate: limit, what is in use, and who waits", OPT_COMMON | OPT_HEADER, NO_OPERAND, command_quota },
	{ "conf", "", "the configuration the agent works by", OPT_COMMON, NO_OPERAND, command_conf },
	{ "resume", "PARTITION", "open a partition again that is paused because AWS refused its configuration; root and SlurmUser only", OPT_COMMON, PARTITION_OPERAND, command_resume },
	{ "reap", "[-d] [-F]", "stop tasks of this cluster that no job claims; root and SlurmUser only", OPT_COMMON | OPT_REAP, NO_OPERAND, command_reap },
};

static const struct {
	int letter;
	const char *name, *argument, *help;
	int group;
} option_table[] = {
	{ 's', "socket", "SOCKET", "the agent's socket (default: fargate.conf's, else the compiled one)", OPT_COMMON },
	{ 'c', "conf", "FILE", "the fargate.conf that names the socket (before COMMAND also -f FILE)", OPT_COMMON },
	{ 'j', "json", NULL, "print JSON", OPT_COMMON },
	{ 'a', "all", NULL, "tasks: also those that ended within the last day", OPT_ALL },
	{ 'n', "noheader", NULL, "tasks, quota: no line of titles", OPT_HEADER },
	{ 'f', "follow", NULL, "logs: go on until the log is complete", OPT_FOLLOW },
	{ 'd', "dry-run", NULL, "reap: stop nothing, only say what would be", OPT_REAP },
	{ 'F', "force", NULL, "reap: after a start of slurmctld too, and tasks of any age", OPT_REAP },
	{ 'h', "help", NULL, "print this and leave", OPT_COMMON },
	{ 'V', "version", NULL, "print the version and leave", OPT_COMMON },
};

static void print_help(FILE *to)
{
	char left[64];
	size_t i;

	fputs("usage: sfargate [OPTION...] COMMAND [ARGUMENT...]\n\nCommands:\n", to);
	for (i = 0; i < SF_COUNT(commands); i++) {
		snprintf(left, sizeof(left), "%s %s", commands[i].name, commands[i].arguments);
		fprintf(to, "  %-18s  %s\n", left, commands[i].help);
	}
	fputs("\nOptions:\n", to);
	for (i = 0; i < SF_COUNT(option_table); i++) {
		snprintf(left, sizeof(left), "-%c, --%s%s%s", option_table[i].letter, option_table[i].name,
			 option_table[i].argument ? "=" : "", option_table[i].argument ? option_table[i].argument : "");
		fprintf(to, "  %-18s  %s\n", left, option_table[i].help);
	}
	fputs("\nExit status: 0; 1 the question could not be answered; 2 wrong usage.\n", to);
}

static const struct command *find_command(const char *name)
{
	size_t i;

	for (i = 0; i < SF_COUNT(commands); i++)
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	fprintf(stderr, "sfargate: '%s' is no command; there are", name);
	for (i = 0; i < SF_COUNT(commands); i++)
		fprintf(stderr, "%s %s", i ? "," : "", commands[i].name);
	fputs("\n", stderr);
	return NULL;
}

/* "12" or "12_3". */
static int parse_job_id(const char *text, struct arguments *a)
{
	char *end = NULL;
	unsigned long job, task = 0;
	bool bad;

	errno = 0;
	job = strtoul(text, &end, 10);
	bad = text[0] < '0' || text[0] > '9' || errno || job == 0 || job > UINT32_MAX;
	a->array_task = -1;
	if (!bad && *end == '_') {
		text = end + 1;
		task = strtoul(text, &end, 10);
		bad = text[0] < '0' || text[0] > '9' || errno || task >= UINT32_MAX;
		a->array_task = (int64_t)task;
	}
	a->job_id = (uint32_t)job;
	return bad || *end ? -1 : 0;
}

static void take_option(int letter, struct arguments *a)
{
	switch (letter) {
	case 's':
		a->socket = optarg;
		break;
	case 'c':
		a->conf = optarg;
		break;
	case 'j':
		a->json = true;
		break;
	case 'a':
		a->all = true;
		break;
	case 'n':
		a->no_header = true;
		break;
	case 'f':
		a->follow = true;
		break;
	case 'd':
		a->dry_run = true;
		break;
	case 'F':
		a->force = true;
		break;
	}
}

/* What getopt_long() takes for the options of these groups. */
static void make_options(int groups, const char *start, char letters[32], struct option out[SF_COUNT(option_table) + 1])
{
	size_t i, n = 0, at;

	at = (size_t)snprintf(letters, 32, "%s", start);
	for (i = 0; i < SF_COUNT(option_table); i++) {
		if (!(option_table[i].group & groups))
			continue;
		out[n++] = (struct option){ option_table[i].name, option_table[i].argument ? required_argument : no_argument, NULL,
					    option_table[i].letter };
		at += (size_t)snprintf(letters + at, 32 - at, "%c%s", option_table[i].letter, option_table[i].argument ? ":" : "");
	}
	out[n] = (struct option){ 0 };
}

/*
 * Options of argv[1] …; 0 and optind at the first argument that is none, or -1 after a sentence. --help and --version print
 * and leave. Before the command -f FILE is --conf, as for our other programs.
 */
static int parse_options(int argc, char **argv, int groups, bool before, struct arguments *a)
{
	struct option options[SF_COUNT(option_table) + 1];
	char letters[32];
	int letter;

	make_options(groups, before ? "+:f:" : ":", letters, options);
	opterr = 0;
	optind = 0;
	while ((letter = getopt_long(argc, argv, letters, options, NULL)) != -1) {
		if (letter == 'h') {
			print_help(stdout);
			exit(EXIT_SUCCESS);
		}
		if (letter == 'V') {
			puts("slurm-fargate " PACKAGE_VERSION);
			exit(EXIT_SUCCESS);
		}
		if (letter == '?' || letter == ':') {
			fprintf(stderr, "sfargate: option '%s' %s; see sfargate --help\n", argv[optind - 1],
				letter == ':' ? "needs an argument" : "is none of this command's");
			return -1;
		}
		take_option(before && letter == 'f' ? 'c' : letter, a);
	}
	return 0;
}

static const struct command *parse_arguments(int argc, char **argv, struct arguments *a)
{
	const struct command *c;
	int at, left;

	if (parse_options(argc, argv, OPT_COMMON, true, a) != 0)
		return NULL;
	at = optind;
	if (at == argc) {
		print_help(stderr);
		return NULL;
	}
	c = find_command(argv[at]);
	if (!c || parse_options(argc - at, argv + at, c->options, false, a) != 0)
		return NULL;
	left = argc - at - optind;
	if (left != (c->operand != NO_OPERAND)) {
		fprintf(stderr, "sfargate: usage: sfargate %s %s\n", c->name, c->arguments);
		return NULL;
	}
	if (c->operand == PARTITION_OPERAND)
		a->partition = argv[at + optind];
	if (c->operand == JOB_OPERAND && parse_job_id(argv[at + optind], a) != 0) {
		sf_auto_free char *given = clean_copy(argv[at + optind]);

		fprintf(stderr, "sfargate: '%s' is not a job id; give the number squeue shows, such as 12 or 12_3\n", given ? given : "");
		return NULL;
	}
	return c;
}

int main(int argc, char **argv)
{
	struct arguments args = { .array_task = -1 };
	const struct command *c = parse_arguments(argc, argv, &args);
	int status;

	if (!c)
		return EXIT_USAGE;
	status = c->run(&args);
	if (fflush(stdout) != 0 && status == EXIT_SUCCESS)
		status = EXIT_NO_ANSWER;
	return status;
}
