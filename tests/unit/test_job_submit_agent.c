/* The real job_submit_fargate.so against an agent that answers, is dead, or hangs: slurmctld never waits. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

#include "common/base/proto.h"
#include "common/base/spec.h"
#include "common/base/text.h"
#include "plugin/job_submit/compat.h"
#include "tests/unit/job_submit_host.h"
#include "tests/unit/tap.h"

#define DOWN                                                                                                                     \
	"fargate: the agent does not answer; the job will wait, and its vCPU quota, not known now, is checked again before "     \
	"RunTask"
#define UNKNOWN                                                                                                                  \
	"fargate: the Fargate On-Demand quota L-3032A538 is not known (the agent has not read it yet): the job is taken, and "   \
	"the quota is checked again before RunTask"

#define FLEET 10000 /* jobs 1, 3, 5, … are on Fargate */

#define QUOTA \
	"{\"partitions\":[\"fargate\"],\"provider\":\"FARGATE\",\"region\":\"eu-west-1\",\"limit\":24,\"free\":24,\"age\":1}"

enum mood { ANSWERS, REFUSES, HANGS, HANGS_UP, BABBLES, COUNTS };

static struct plugin plugin;
static char *options;
static char *err_msg;
static char socket_path[128];
static struct {
	pthread_t thread;
	int fd, stop;
	int mood;
	_Atomic int asked;
	_Atomic int wrong; /* frames that were no SNAPSHOT */
} agent;

static void setup(void)
{
	const struct sf_options none = { 0 };
	const char *dir = host_dir(NULL);
	char conf[512];

	snprintf(socket_path, sizeof(socket_path), "%s/agent.sock", dir);
	snprintf(conf, sizeof(conf),
		 "Socket=%s\nLicense=fg\n"
		 "PartitionName=fargate Default=YES Cluster=hpc TaskDefinition=slurm-job Subnets=subnet-a SecurityGroups=sg-1\n",
		 socket_path);
	host_write_conf(conf);
	options = sf_options_encode(&none);
}

static void teardown(void)
{
	host_xfree(&err_msg);
	host_unload(&plugin);
	free(options);
	host_clean();
}

/* The answer of an agent with many jobs: it comes in many pieces. */
static void answer_fleet(int fd)
{
	sf_auto_buf struct sf_buf text = SF_BUF_INIT;
	sf_auto_free unsigned char *bytes = NULL;
	struct sf_frame_out out;
	unsigned i;

	sf_buf_puts(&text, "{\"default_partition\":\"local\",\"fleet\":[{\"partition\":\"fargate\",\"jobs\":\"1");
	for (i = 1; i < FLEET; i++)
		sf_buf_printf(&text, ",%u", 2 * i + 1);
	sf_buf_puts(&text, "\"}]}");
	bytes = malloc(text.len + 64);
	ck_assert_ptr_nonnull(bytes);
	sf_frame_begin(&out, bytes, text.len + 64, SF_FRAME_TEXT);
	sf_frame_put_string(&out, SF_FIELD_TEXT, text.data);
	sf_proto_send(fd, bytes, sf_frame_end(&out));
}

static void answer(int fd, int mood)
{
	unsigned char buf[1024];
	struct sf_frame_out out;

	if (mood == BABBLES) {
		memset(buf, 'x', sizeof(buf));
		sf_proto_send(fd, buf, sizeof(buf));
		return;
	}
	sf_frame_begin(&out, buf, sizeof(buf), mood == ANSWERS ? SF_FRAME_TEXT : SF_FRAME_REFUSED);
	sf_frame_put_string(&out, SF_FIELD_TEXT,
			    mood == ANSWERS ? "{\"default_partition\":\"fargate\",\"quotas\":[" QUOTA "]}" : "still reading its jobs");
	sf_proto_send(fd, buf, sf_frame_end(&out));
}

static void serve(int fd)
{
	struct pollfd stop = { .fd = agent.stop, .events = POLLIN };
	unsigned char buf[4096];
	struct sf_frame frame;
	const int mood = agent.mood;
	size_t have = 0;

	if (mood != HANGS_UP && sf_proto_recv(fd, buf, sizeof(buf), &have, &frame) > 0 && frame.type != SF_FRAME_SNAPSHOT)
		agent.wrong++;
	agent.asked++;
	if (mood == HANGS)
		poll(&stop, 1, -1);
	else if (mood == COUNTS)
		answer_fleet(fd);
	else if (mood != HANGS_UP)
		answer(fd, mood);
	close(fd);
}

static void *run_agent(void *unused)
{
	struct pollfd p[2] = { { .fd = agent.fd, .events = POLLIN }, { .fd = agent.stop, .events = POLLIN } };

	(void)unused;
	while (poll(p, 2, -1) > 0 && !p[1].revents)
		serve(accept(agent.fd, NULL, NULL));
	return NULL;
}

static void agent_start(enum mood mood)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };

	agent.mood = mood;
	agent.stop = eventfd(0, EFD_CLOEXEC);
	agent.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert(sf_copy(a.sun_path, sizeof(a.sun_path), socket_path));
	unlink(socket_path);
	ck_assert_int_eq(bind(agent.fd, (struct sockaddr *)&a, sizeof(a)), 0);
	ck_assert_int_eq(listen(agent.fd, 8), 0);
	ck_assert_int_eq(pthread_create(&agent.thread, NULL, run_agent, NULL), 0);
}

static void agent_stop(void)
{
	ck_assert_int_eq(eventfd_write(agent.stop, 1), 0);
	ck_assert_int_eq(pthread_join(agent.thread, NULL), 0);
	close(agent.fd);
	close(agent.stop);
	ck_assert_int_eq(agent.wrong, 0);
}

static int64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* Submit a --fargate job; true when the comment's phase is the one asked for. */
static int phase_is(void *arg)
{
	job_desc_msg_t *d = host_desc(NULL, options);
	int found;

	host_xfree(&err_msg);
	ck_assert_int_eq(plugin.submit(d, 1001, &err_msg), SLURM_SUCCESS);
	ck_assert_ptr_nonnull(d->admin_comment);
	found = !strncmp(d->admin_comment + strlen("fargate: "), arg, strlen(arg));
	host_desc_free(d);
	return found;
}

static int down_is_told(void *arg)
{
	(void)arg;
	return phase_is((void *)"agent-down ") && err_msg && !strcmp(err_msg, DOWN);
}

static int up_is_told(void *arg)
{
	(void)arg;
	return phase_is((void *)"submitted ") && !err_msg;
}

static int unknown_is_told(void *arg)
{
	(void)arg;
	return phase_is((void *)"submitted ") && err_msg && !strcmp(err_msg, UNKNOWN);
}

/* A job without --fargate and -p is refused once Slurm's default partition is known to be a gateway's. */
static int default_is_known(void *arg)
{
	job_desc_msg_t *d = host_desc(NULL, NULL);
	int rc;

	(void)arg;
	host_xfree(&err_msg);
	rc = plugin.submit(d, 1001, &err_msg);
	host_desc_free(d);
	return rc == ESLURM_INVALID_PARTITION_NAME;
}

static int asked_twice(void *arg)
{
	(void)arg;
	return agent.asked >= 2;
}

START_TEST(dead_then_alive_then_dead)
{
	setup();
	host_load(&plugin);
	ck_assert(host_wait(down_is_told, NULL));
	ck_assert(!default_is_known(NULL));
	agent_start(ANSWERS);
	ck_assert(host_wait(up_is_told, NULL));
	ck_assert(host_wait(default_is_known, NULL));
	ck_assert_str_eq(err_msg, "fargate: partition 'fargate' runs only jobs submitted with sbatch --fargate: "
				  "add --fargate or choose another partition with -p");
	agent_stop();
	ck_assert(host_wait(down_is_told, NULL));
	/* What Slurm's default is does not depend on the agent's health. */
	ck_assert(default_is_known(NULL));
	teardown();
}
END_TEST

/* What slurmctld will xfree() is its own memory, what the user asked for included. */
START_TEST(licenses_are_added)
{
	static const char *const asked[] = { NULL, "matlab:2" }, *const left[] = { "fg:4", "matlab:2,fg:4" };
	job_desc_msg_t *d;
	size_t blocks, i;

	setup();
	agent_start(ANSWERS);
	host_load(&plugin);
	ck_assert(host_wait(up_is_told, NULL));
	blocks = host_blocks();
	for (i = 0; i < SF_COUNT(asked); i++) {
		d = host_desc(NULL, options);
		d->licenses = host_xstrdup(asked[i]);
		ck_assert_int_eq(plugin.submit(d, 1001, &err_msg), SLURM_SUCCESS);
		ck_assert_str_eq(d->licenses, left[i]);
		host_desc_free(d);
	}
	d = host_desc(NULL, options);
	d->licenses = host_xstrdup("fg");
	ck_assert_int_eq(plugin.submit(d, 1001, &err_msg), ESLURM_INVALID_LICENSES);
	ck_assert_str_eq(d->licenses, "fg");
	host_desc_free(d);
	host_xfree(&err_msg);
	ck_assert_uint_eq(host_blocks(), blocks);
	agent_stop();
	teardown();
}
END_TEST

START_TEST(larger_than_the_quota)
{
	job_desc_msg_t *d;

	setup();
	agent_start(ANSWERS);
	host_load(&plugin);
	ck_assert(host_wait(up_is_told, NULL));
	d = host_desc(NULL, options);
	d->cpus_per_task = 16;
	ck_assert_int_eq(plugin.submit(d, 1001, &err_msg), ESLURM_REQUESTED_NODE_CONFIG_UNAVAILABLE);
	ck_assert_str_eq(err_msg, "fargate: job needs 16 vCPU, the Fargate On-Demand quota L-3032A538 in eu-west-1 is 6; ask AWS to "
				  "raise it or use fewer CPUs (-c)");
	host_desc_free(d);
	/* Gone, its number is none any more. */
	agent_stop();
	ck_assert(host_wait(down_is_told, NULL));
	host_xfree(&err_msg);
	d = host_desc(NULL, options);
	d->cpus_per_task = 16;
	ck_assert_int_eq(plugin.submit(d, 1001, &err_msg), SLURM_SUCCESS);
	ck_assert_str_eq(err_msg, DOWN);
	host_desc_free(d);
	teardown();
}
END_TEST

START_TEST(an_agent_not_ready_is_alive)
{
	setup();
	agent_start(REFUSES);
	host_load(&plugin);
	ck_assert(host_wait(asked_twice, NULL));
	ck_assert(unknown_is_told(NULL));
	ck_assert(!default_is_known(NULL));
	agent_stop();
	teardown();
}
END_TEST

static const enum mood bad_moods[] = { HANGS_UP, BABBLES };

START_TEST(nonsense_is_no_answer)
{
	setup();
	agent_start(bad_moods[_i]);
	host_load(&plugin);
	ck_assert(host_wait(asked_twice, NULL));
	ck_assert(host_wait(down_is_told, NULL));
	agent_stop();
	teardown();
}
END_TEST

START_TEST(nobody_waits_for_a_hung_agent)
{
	int64_t start, worst = 0;
	int told;

	setup();
	agent_start(HANGS);
	host_load(&plugin);
	/* From the question being asked until it has timed out. */
	do {
		start = now_us();
		told = down_is_told(NULL);
		if (now_us() - start > worst)
			worst = now_us() - start;
	} while (!told);
	ck_assert_int_ge(agent.asked, 1);
	ck_assert_msg(worst < 100 * 1000, "a submission took %lld us", (long long)worst);
	/* fini() has to end the question that hangs now. */
	start = now_us();
	host_xfree(&err_msg);
	plugin.fini();
	ck_assert_int_lt(now_us() - start, 2000 * 1000);
	agent_stop();
	ck_assert_int_eq(plugin.init(), 0);
	teardown();
}
END_TEST

/* `scontrol update JobId=<id> NumNodes=2`, with the id as text or as a number. */
static int widen(uint32_t id, bool as_text)
{
	job_desc_msg_t *d = host_desc(NULL, NULL);
	char text[16];
	int rc;

	host_desc_blank(d);
	sf_desc_job_id(d) = id;
	snprintf(text, sizeof(text), "%u", id);
	if (as_text)
		d->job_id_str = host_xstrdup(text);
	d->min_nodes = 2;
	host_xfree(&err_msg);
	rc = host_modify(&plugin, d, 1001, &err_msg);
	host_desc_free(d);
	return rc;
}

#define MEMBER(name) { offsetof(job_desc_msg_t, name), sizeof(((job_desc_msg_t *)0)->name) }
static const struct {
	size_t at, size;
} sizes[] = {
	MEMBER(num_tasks),	  MEMBER(min_cpus),	    MEMBER(max_cpus),	     MEMBER(pn_min_tmp_disk),
	MEMBER(cpus_per_task),	  MEMBER(pn_min_cpus),	    MEMBER(ntasks_per_node), MEMBER(sockets_per_node),
	MEMBER(cores_per_socket), MEMBER(threads_per_core), MEMBER(pn_min_memory),
};

/* Each number that makes a size, on job 1, which is ours, and on job 2, which is not. */
static void sizes_are_fixed(void)
{
	job_desc_msg_t *d;
	size_t i;
	uint32_t id;

	for (i = 0; i < SF_COUNT(sizes); i++)
		for (id = 1; id <= 2; id++) {
			d = host_desc(NULL, NULL);
			host_desc_blank(d);
			sf_desc_job_id(d) = id;
			memset((char *)d + sizes[i].at, 0, sizes[i].size);
			ck_assert_msg(host_modify(&plugin, d, 1001, &err_msg) ==
					      (id == 1 ? ESLURM_REQUESTED_NODE_CONFIG_UNAVAILABLE : SLURM_SUCCESS),
				      "%zu of %u", i, id);
			host_desc_free(d);
		}
}

static int jobs_are_known(void *arg)
{
	(void)arg;
	return widen(1, true) == ESLURM_INVALID_NODE_COUNT;
}

START_TEST(updates_by_what_the_agent_knows)
{
	unsigned id;

	setup();
	agent_start(COUNTS);
	host_load(&plugin);
	ck_assert(host_wait(jobs_are_known, NULL));
	for (id = 0; id < 2 * FLEET; id++)
		ck_assert_msg(widen(id, id % 3 == 0) == (id % 2 ? ESLURM_INVALID_NODE_COUNT : SLURM_SUCCESS), "job %u", id);
	ck_assert_int_eq(widen(2 * FLEET + 1, true), SLURM_SUCCESS);
	sizes_are_fixed();
	/* What was known outlives the agent. */
	agent_stop();
	ck_assert(host_wait(down_is_told, NULL));
	ck_assert(jobs_are_known(NULL));
	teardown();
}
END_TEST

static _Atomic int handled_by_helper;
static pthread_t main_thread;

static void on_usr1(int number)
{
	(void)number;
	if (!pthread_equal(pthread_self(), main_thread))
		handled_by_helper = 1;
}

static int usr1_sent(void *arg)
{
	kill(getpid(), SIGUSR1);
	return --*(int *)arg == 0;
}

START_TEST(signals_stay_with_slurmctld)
{
	const struct sigaction a = { .sa_handler = on_usr1 };
	sigset_t usr1, pending;
	int times = 20;

	setup();
	main_thread = pthread_self();
	ck_assert_int_eq(sigaction(SIGUSR1, &a, NULL), 0);
	host_load(&plugin);
	/* With the main thread deaf, only the helper could take the signal. */
	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	ck_assert_int_eq(pthread_sigmask(SIG_BLOCK, &usr1, NULL), 0);
	ck_assert(host_wait(usr1_sent, &times));
	ck_assert_int_eq(sigpending(&pending), 0);
	ck_assert(sigismember(&pending, SIGUSR1));
	ck_assert_int_eq(handled_by_helper, 0);
	teardown();
}
END_TEST

int main(void)
{
	const struct tap_test tests[] = {
		{ dead_then_alive_then_dead, 0 },
		{ licenses_are_added, 0 },
		{ larger_than_the_quota, 0 },
		{ an_agent_not_ready_is_alive, 0 },
		{ nonsense_is_no_answer, SF_COUNT(bad_moods) },
		{ nobody_waits_for_a_hung_agent, 0 },
		{ updates_by_what_the_agent_knows, 0 },
		{ signals_stay_with_slurmctld, 0 },
	};

	return tap_main("job_submit_agent", tests, SF_COUNT(tests));
}
