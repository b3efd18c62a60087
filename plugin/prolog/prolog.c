/* fargate-prolog: PrologSlurmctld's part; asks the agent to launch and keeps the job CONFIGURING until the task runs. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <syslog.h>
#include <unistd.h>

#include "common/base/proto.h"

#define SPEC_VAR "SPANK_FARGATE"
#define CONNECT_MS 5000
#define AGAIN_MS 1000
#define AGAIN_MOST_MS 5000

enum outcome { OUTCOME_RELEASED, OUTCOME_REFUSED, OUTCOME_AGAIN };

struct prolog {
	const char *socket;
	const char *then;
	const char *spec;
	unsigned long job, restart;
	bool waiting; /* the line that says so is written */
};

static int parse_arguments(int argc, char **argv, struct prolog *p)
{
	static const char usage[] = "usage: fargate-prolog --socket PATH [--then PROGRAM]\n";
	int i;

	for (i = 1; i + 1 < argc; i += 2)
		if (strcmp(argv[i], "--socket") == 0)
			p->socket = argv[i + 1];
		else if (strcmp(argv[i], "--then") == 0)
			p->then = argv[i + 1];
		else
			break;
	if (i == argc && p->socket)
		return 0;
	fputs(usage, stderr);
	return -1;
}

static unsigned long number_of(const char *name)
{
	const char *text = getenv(name);

	return text ? strtoul(text, NULL, 10) : 0;
}

static size_t build_launch(const struct prolog *p, unsigned char *bytes, size_t cap)
{
	struct sf_frame_out o;

	sf_frame_begin(&o, bytes, cap, SF_FRAME_LAUNCH);
	sf_frame_put_number(&o, SF_FIELD_JOB, p->job);
	sf_frame_put_number(&o, SF_FIELD_RESTART, p->restart);
	sf_frame_put_string(&o, SF_FIELD_SPEC, p->spec);
	return sf_frame_end(&o);
}

static enum outcome read_answer(const struct prolog *p, const struct sf_frame *f)
{
	char text[1024] = "";
	uint64_t retry = 0;

	if (f->type == SF_FRAME_RELEASE)
		return OUTCOME_RELEASED;
	if (f->type != SF_FRAME_REFUSED || (sf_frame_number(f, SF_FIELD_RETRY, &retry) && retry))
		return OUTCOME_AGAIN;
	sf_frame_string(f, SF_FIELD_TEXT, text, sizeof(text));
	syslog(LOG_ERR, "job %lu: the agent refused it: %s", p->job, text);
	return OUTCOME_REFUSED;
}

/* One conversation: LAUNCH, then as long as it takes until the agent lets go. */
static enum outcome ask_agent(struct prolog *p)
{
	size_t cap = strlen(p->spec) + 4096, have = 0;
	unsigned char *bytes = malloc(cap);
	struct timeval forever = { 0, 0 };
	enum outcome outcome = OUTCOME_AGAIN;
	struct sf_frame frame;
	int fd = bytes ? sf_proto_connect(p->socket, CONNECT_MS) : -1;
	size_t n = bytes ? build_launch(p, bytes, cap) : 0;

	if (fd >= 0 && n && sf_proto_send(fd, bytes, n) == 0) {
		setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &forever, sizeof(forever));
		if (p->waiting)
			syslog(LOG_NOTICE, "job %lu: the agent answers again", p->job);
		p->waiting = false;
		if (sf_proto_recv(fd, bytes, cap, &have, &frame) > 0)
			outcome = read_answer(p, &frame);
	} else if (!p->waiting) {
		syslog(LOG_WARNING, "job %lu: the agent does not answer at %s: %s; the job waits", p->job, p->socket, strerror(errno));
		p->waiting = true;
	}
	if (fd >= 0)
		close(fd);
	free(bytes);
	return outcome;
}

/* Only for jobs of others. */
static int site_prolog(const struct prolog *p)
{
	if (!p->then)
		return EXIT_SUCCESS;
	execl(p->then, p->then, (char *)NULL);
	syslog(LOG_ERR, "%s cannot be started: %s", p->then, strerror(errno));
	return EXIT_FAILURE;
}

int main(int argc, char **argv)
{
	struct prolog p = { 0 };
	int again = AGAIN_MS;

	p.spec = getenv(SPEC_VAR);
	/* Bad arguments are the admin's mistake: jobs of others fail loudly, a job of ours is launched by its batch step instead. */
	if (parse_arguments(argc, argv, &p) != 0 && !p.spec)
		return EXIT_FAILURE;
	if (!p.spec)
		return site_prolog(&p);
	openlog("fargate-prolog", LOG_PID, LOG_DAEMON);
	p.job = number_of("SLURM_JOB_ID");
	p.restart = number_of("SLURM_JOB_RESTART_COUNT");
	if (!p.socket || p.job == 0) {
		syslog(LOG_ERR, "called without --socket or SLURM_JOB_ID; the batch step will launch the task instead");
		return EXIT_SUCCESS;
	}
	while (ask_agent(&p) == OUTCOME_AGAIN) {
		poll(NULL, 0, again);
		again = again * 2 < AGAIN_MOST_MS ? again * 2 : AGAIN_MOST_MS;
	}
	/* Nothing else ever for a job of ours, so no other program's exit code: slurmctld would requeue it by its own rules. */
	return EXIT_SUCCESS;
}
