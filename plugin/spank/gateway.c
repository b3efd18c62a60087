/* On a gateway, in slurmstepd: no user code; the batch step is handed to the agent and becomes fargate-attach. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <slurm/slurm.h>

#include "common/base/proto.h"
#include "common/base/spec.h"
#include "common/base/text.h"
#include "plugin/spank/hostlist.h"
#include "plugin/spank/spank.h"

#define HANDOVER_MS 800 /* a SIGTERM that arrives during task_init_privileged is lost, so it must be short (slurm-facts 3.3) */
#define SPEC_MAX (256 * 1024)
#define NODELIST_MAX (64 * 1024)
#define ATTACH_FD 3

struct arguments {
	const char *gateways, *socket, *attach, *reattach;
};

/* Both hooks run in one forked child, so what the first one learns is still here in the second. */
static struct {
	int fd;
	char token[SF_TOKEN_HEX + 1];
	char *spec;
} handed = { .fd = -1 };

/* Every hook gets them; one of them says what is wrong with them. */
static void parse_arguments(int argc, char **argv, struct arguments *a, bool speak)
{
	struct {
		const char *key;
		const char **value;
	} const keys[] = {
		{ "gateways=", &a->gateways }, { "socket=", &a->socket }, { "attach=", &a->attach }, { "reattach=", &a->reattach },
	};
	size_t k;
	int i;

	for (i = 0; i < argc; i++) {
		for (k = 0; k < SF_COUNT(keys); k++)
			if (strncmp(argv[i], keys[k].key, strlen(keys[k].key)) == 0)
				break;
		if (k < SF_COUNT(keys))
			*keys[k].value = argv[i] + strlen(keys[k].key);
		else if (speak)
			slurm_error("fargate: plugstack.conf: unknown argument '%s'; known are gateways=, socket=, attach=, reattach=", argv[i]);
	}
}

/* Does that variable of the job's environment, a host list, name a gateway? */
static bool names_gateway(spank_t sp, const struct arguments *a, const char *name)
{
	sf_auto_free char *nodes = malloc(NODELIST_MAX);
	spank_err_t got;
	int rc;

	if (!a->gateways)
		return false;
	got = nodes ? spank_getenv(sp, name, nodes, NODELIST_MAX) : ESPANK_NOSPACE;
	if (got == ESPANK_ENV_NOEXIST)
		return false;
	/* In doubt no user code runs: a list that cannot be read may name this node. */
	if (got != ESPANK_SUCCESS) {
		slurm_error("fargate: %s is too long to be compared with plugstack.conf's gateways=", name);
		return true;
	}
	rc = hostlist_meet(a->gateways, nodes);
	if (rc < 0) {
		sf_text_clean(nodes); /* a step's come from its user and go to slurmd's log */
		slurm_error("fargate: plugstack.conf gateways=%s or the job's nodes %s are no host list", a->gateways, nodes);
	}
	return rc != 0;
}

/* Of a batch step slurmctld writes this variable over whatever the user put there. */
static bool on_gateway(spank_t sp, const struct arguments *a)
{
	return names_gateway(sp, a, "SLURM_JOB_NODELIST");
}

/* slurmstepd's own environment (not the job's): the node's name as slurmd knows it, which no user can touch. */
static bool runs_on_gateway(const struct arguments *a)
{
	const char *node = getenv("SLURMD_NODENAME");

	return a->gateways && node && hostlist_meet(a->gateways, node) != 0;
}

static int refuse(const char *why)
{
	slurm_error("fargate: %s", why);
	return -1;
}

static bool is_batch(spank_t sp)
{
	uint32_t step = 0;

	return spank_get_item(sp, S_JOB_STEPID, &step) == ESPANK_SUCCESS && step == SLURM_BATCH_SCRIPT;
}

static int refuse_step(void)
{
	return refuse("nothing but the batch script of a --fargate job runs on a gateway; srun, salloc and steps are refused");
}

/* A site's TaskEpilog is started on the gateway with the job's environment: LD_PRELOAD, PATH, BASH_ENV would be user code. */
static void drop_users_variables(spank_t sp)
{
	char **env = NULL, *name, *seen;

	if (spank_get_item(sp, S_JOB_ENV, &env) != ESPANK_SUCCESS)
		return;
	while (env && *env) {
		seen = *env;
		name = strncmp(seen, "SLURM", 5) == 0 ? NULL : strndup(seen, strcspn(seen, "="));
		if (name)
			spank_unsetenv(sp, name);
		free(name);
		/* What could be dropped has made room for the next one. */
		if (*env == seen)
			env++;
	}
}

/*
 * A step must end before its task is forked: srun's --task-epilog is run as the user even for a task that the hooks below have
 * refused. The batch step, whose failure here would drain the node, never fails.
 */
int gateway_user_init(spank_t sp, int argc, char **argv)
{
	struct arguments a = { 0 };

	parse_arguments(argc, argv, &a, false);
	if (!runs_on_gateway(&a))
		return 0;
	if (!is_batch(sp))
		return refuse_step();
	drop_users_variables(sp);
	return 0;
}

static bool take_spec(spank_t sp)
{
	char *text = malloc(SPEC_MAX);
	struct sf_spec spec = { 0 };
	bool good;

	if (!text)
		return false;
	good = spank_getenv(sp, SF_SPEC_JOB_VAR, text, SPEC_MAX) == ESPANK_SUCCESS && sf_spec_decode(text, &spec, NULL) == 0;
	sf_spec_free(&spec);
	if (good)
		handed.spec = text;
	else
		free(text);
	return good;
}

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* The next read or write may last until the deadline; false when it has passed. */
static bool limit_io(int fd, int64_t deadline)
{
	int64_t left = deadline - now_ms();
	struct timeval tv = { left / 1000, left % 1000 * 1000 };

	return left > 0 && setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)) == 0 &&
	       setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv)) == 0;
}

static size_t build_handover(unsigned char *bytes, size_t cap, uint32_t job_id, uid_t uid)
{
	struct sf_frame_out o;

	sf_frame_begin(&o, bytes, cap, SF_FRAME_HANDOVER);
	sf_frame_put_number(&o, SF_FIELD_JOB, job_id);
	sf_frame_put_number(&o, SF_FIELD_UID, uid);
	sf_frame_put_string(&o, SF_FIELD_TOKEN, handed.token);
	sf_frame_put_string(&o, SF_FIELD_SPEC, handed.spec);
	return sf_frame_end(&o);
}

/* A connection over which root has vouched for the job, or -1: fargate-attach then connects by itself. */
static int hand_over(const char *socket_path, uint32_t job_id, uid_t uid)
{
	int64_t deadline = now_ms() + HANDOVER_MS;
	size_t cap = strlen(handed.spec) + 4096, have = 0, n;
	sf_auto_free unsigned char *bytes = malloc(cap);
	sf_auto_close int fd = sf_proto_connect(socket_path, HANDOVER_MS);
	struct sf_frame answer;

	if (!bytes || fd < 0)
		return -1;
	n = build_handover(bytes, cap, job_id, uid);
	if (n == 0 || !limit_io(fd, deadline) || sf_proto_send(fd, bytes, n) != 0)
		return -1;
	if (!limit_io(fd, deadline) || sf_proto_recv(fd, bytes, cap, &have, &answer) <= 0 || answer.type != SF_FRAME_ACCEPT)
		return -1;
	return sf_steal_fd(&fd);
}

/*
 * A batch script that carries our variable was meant for Fargate, and slurmctld's plugin takes the variable from every other job. On
 * a node that is no gateway it would run in silence where nobody asked for it, and for the wrong price.
 */
static int off_gateway(spank_t sp)
{
	char some[2];

	if (!is_batch(sp) || spank_getenv(sp, SF_SPEC_JOB_VAR, some, sizeof(some)) == ESPANK_ENV_NOEXIST)
		return 0;
	return refuse("this job was submitted with --fargate, but its node is no gateway; the administrator should look at gateways= in "
		      "plugstack.conf and at JobSubmitPlugins=fargate in slurm.conf");
}

int gateway_task_init_privileged(spank_t sp, int argc, char **argv)
{
	struct arguments a = { 0 };
	unsigned char raw[SF_TOKEN_HEX / 2];
	uint32_t job_id = 0;
	uid_t uid = (uid_t)-1;

	parse_arguments(argc, argv, &a, true);
	if (!on_gateway(sp, &a))
		return off_gateway(sp);
	if (!a.socket || !a.attach)
		return refuse("plugstack.conf names no socket= or no attach= for this gateway; tell the administrator");
	if (!is_batch(sp))
		return refuse_step();
	if (!take_spec(sp))
		return refuse("this is a gateway and the job was not submitted with --fargate; use sbatch --fargate or another partition");
	if (spank_get_item(sp, S_JOB_ID, &job_id) != ESPANK_SUCCESS || spank_get_item(sp, S_JOB_UID, &uid) != ESPANK_SUCCESS ||
	    sf_random(raw, sizeof(raw)) != 0)
		return refuse("Slurm did not say which job this is");
	/* slurmstepd adds the true count before task_init; what is there now came with the user's environment. */
	spank_unsetenv(sp, "SLURM_RESTART_COUNT");
	sf_hex(raw, sizeof(raw), handed.token);
	handed.fd = hand_over(a.socket, job_id, uid);
	return 0;
}

static char *variable(const char *name, const char *value)
{
	struct sf_buf b = SF_BUF_INIT;

	sf_buf_printf(&b, "%s=%s", name, value);
	return sf_buf_take(&b);
}

#define MAX_VARIABLES 9

static int fill_environment(spank_t sp, const struct arguments *a, char *env[MAX_VARIABLES])
{
	char job[16], fd[16], restart[16] = "0";
	uint32_t job_id = 0;
	const char *const pairs[][2] = {
		{ "SF_ATTACH_JOB", job },           { "SF_ATTACH_RESTART", restart },   { "SF_ATTACH_TOKEN", handed.token },
		{ "SF_ATTACH_SOCKET", a->socket },  { "SF_ATTACH_SPEC", handed.spec },  { "SF_ATTACH_FD", handed.fd >= 0 ? fd : NULL },
		{ "SF_ATTACH_TIMEOUT", a->reattach },
	};
	size_t i, n = 0;

	if (spank_get_item(sp, S_JOB_ID, &job_id) != ESPANK_SUCCESS)
		return -1;
	/* S_SLURM_RESTART_COUNT is always 0 for batch steps; the variable is absent when the count is 0 (slurm-facts 3.2). */
	spank_getenv(sp, "SLURM_RESTART_COUNT", restart, sizeof(restart));
	snprintf(job, sizeof(job), "%u", job_id);
	snprintf(fd, sizeof(fd), "%d", ATTACH_FD);
	for (i = 0; i < SF_COUNT(pairs); i++)
		if (pairs[i][1] && !(env[n++] = variable(pairs[i][0], pairs[i][1])))
			return -1;
	env[n] = NULL;
	return 0;
}

/* Nothing of slurmstepd's stays open but the job's own three files and the agent's connection. */
static void arrange_descriptors(void)
{
	if (handed.fd >= 0 && handed.fd != ATTACH_FD)
		dup2(handed.fd, ATTACH_FD);
	else if (handed.fd == ATTACH_FD)
		fcntl(ATTACH_FD, F_SETFD, 0);
	closefrom(handed.fd >= 0 ? ATTACH_FD + 1 : ATTACH_FD);
}

/*
 * Until fargate-attach listens, a SIGTERM of scancel would end it as a signal (0:15, no word to the agent): it stays pending
 * through the exec. The two stay as they are that stop and continue a job.
 */
static void keep_signals_pending(void)
{
	sigset_t all;

	sigfillset(&all);
	sigdelset(&all, SIGCONT);
	sigdelset(&all, SIGTSTP);
	sigprocmask(SIG_SETMASK, &all, NULL);
}

int gateway_task_init(spank_t sp, int argc, char **argv)
{
	static char name[] = "fargate-attach";
	char *args[] = { name, NULL }, *env[MAX_VARIABLES] = { NULL };
	const char *why = "out of memory";
	struct arguments a = { 0 };
	size_t i;

	parse_arguments(argc, argv, &a, false);
	/* A step's environment comes from srun, that is from the user; only SLURMD_NODENAME is slurmstepd's own, and new in this hook. */
	if (!on_gateway(sp, &a) && !names_gateway(sp, &a, "SLURMD_NODENAME"))
		return 0;
	if (!handed.spec || !a.attach)
		return refuse("the job was not handed over");
	if (fill_environment(sp, &a, env) == 0) {
		arrange_descriptors();
		keep_signals_pending();
		execve(a.attach, args, env);
		why = "fargate-attach cannot be started on this gateway; tell the administrator";
	}
	for (i = 0; i < MAX_VARIABLES; i++)
		free(env[i]);
	return refuse(why);
}
