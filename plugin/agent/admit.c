/* Before the first RunTask: the spec held against Slurm's record and the partition's line, and the partition's MaxVcpu. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/base/ladder.h"
#include "common/base/log.h"
#include "common/base/text.h"
#include "plugin/agent/agent.h"

#define LANE_LOOK_MS 5000 /* a new MaxVcpu is seen then; everything else wakes the waiting */
#define LANE_COMMENTS 20  /* design section 3: a comment each only for the first of a long queue */
#define LANE_COMES_MS 5000 /* so long the younger let one go first whose record Slurm still has to send */
#define LANE_SOON_MS 400

/* What is held against what. */
struct look {
	const struct job *job;
	const struct slurm_job *record;
	const struct sf_spec *spec;
	const struct sf_conf_line *line; /* of the partition the job is in now */
	char *const *groups;		 /* of the job's user */
};

static bool is_privileged(const struct look *l)
{
	return l->record->uid == 0 || l->record->uid == l->job->agent->cluster.slurm_user;
}

static int check_user(const struct look *l, struct sf_error *err)
{
	if (l->job->row.uid < 0 || l->record->uid == (uid_t)l->job->row.uid)
		return 0;
	return sf_err(err, "the job belongs to another user");
}

static uint32_t vcpus_of(const struct sf_spec *spec)
{
	return (spec->size.cpu_units + 1023) / 1024;
}

static void size_text(const struct sf_spec *spec, char out[48])
{
	char vcpu[16], gb[16];

	sf_size_vcpu_text(spec->size.cpu_units, vcpu);
	sf_size_gb_text(spec->size.mem_mib, gb);
	snprintf(out, 48, "%svCPU/%sGB", vcpu, gb);
}

static int check_size(const struct look *l, struct sf_error *err)
{
	char size[48];

	if (sf_size_valid(&l->spec->size, l->line->allow_32vcpu))
		return 0;
	size_text(l->spec, size);
	return sf_err(err, "the Fargate size %s is not allowed in partition %s; Allow32Vcpu=YES in fargate.conf would allow it", size,
		      l->line->name);
}

/* Slurm's limits and accounting went by the record: the task has no more CPUs than that, and no fewer than the job was promised. */
static int check_cpus(const struct look *l, struct sf_error *err)
{
	uint32_t vcpus = vcpus_of(l->spec);

	if (l->record->num_cpus < vcpus)
		return sf_err(err, "the job holds fewer CPUs in Slurm than its Fargate size has (%u, %u); submit it again",
			      l->record->num_cpus, vcpus);
	if (l->record->cpus_asked > vcpus)
		return sf_err(err, "the job's record in Slurm asks for more CPUs than its Fargate size has (%u, %u); submit it again",
			      l->record->cpus_asked, vcpus);
	return 0;
}

/* The smallest size with these CPUs that holds the record's memory is the one slurmctld's plugin chose. */
static int check_memory(const struct look *l, struct sf_error *err)
{
	struct sf_size_request wanted = {
		.cpu_units = l->spec->size.cpu_units, .mem_mib = l->record->mem_mib, .allow_32vcpu = l->line->allow_32vcpu,
	};
	struct sf_size size = { 0 };
	char text[48];

	if (sf_size_fit(&wanted, &size, NULL, NULL) == 0 && size.cpu_units == l->spec->size.cpu_units &&
	    size.mem_mib == l->spec->size.mem_mib)
		return 0;
	size_text(l->spec, text);
	return sf_err(err,
		      "the job's record in Slurm has %" PRIu64 " MiB of memory, which its Fargate size %s is not for; submit it again",
		      l->record->mem_mib, text);
}

/* The spec of an attach nobody handed over came from the job's own user: its size must be the one slurmctld stamped. */
static int check_stamp(const struct look *l, struct sf_error *err)
{
	char size[48], stamp[52];

	if (!l->job->untrusted)
		return 0;
	size_text(l->spec, size);
	snprintf(stamp, sizeof(stamp), " %s ", size);
	if (strstr(l->record->admin_comment, stamp))
		return 0;
	return sf_err(err, "the size the job asks for is not the one slurmctld accepted");
}

static int check_definition(const struct look *l, struct sf_error *err)
{
	if (!l->spec->task_definition || sf_definition_allowed(l->line, l->spec->task_definition))
		return 0;
	return sf_err(err, "task definition '%s' is not one that partition %s allows; see TaskDefinitions in fargate.conf",
		      l->spec->task_definition, l->line->name);
}

static int check_spot(const struct look *l, struct sf_error *err)
{
	if (sf_spot_allowed(l->line, l->spec->spot))
		return 0;
	return sf_err(err, "the job asks for Fargate Spot, which partition %s does not have; see Providers in fargate.conf",
		      l->line->name);
}

static int check_groups(const struct look *l, struct sf_error *err)
{
	char *const *g;

	if (!l->line->allow_groups || is_privileged(l))
		return 0;
	for (g = l->groups; g && *g; g++)
		if (sf_strv_has(l->line->allow_groups, *g))
			return 0;
	return sf_err(err, "user %s is in none of the groups that may use partition %s; see AllowGroups in fargate.conf",
		      l->record->user, l->line->name);
}

/* Slurm's accounts know no case. */
static int check_account(const struct look *l, struct sf_error *err)
{
	char *const *a;

	if (!l->line->allow_accounts)
		return 0;
	for (a = l->line->allow_accounts; *a; a++)
		if (strcasecmp(*a, l->record->account) == 0)
			return 0;
	return sf_err(err, "account '%s' may not use partition %s; see AllowAccounts in fargate.conf", l->record->account,
		      l->line->name);
}

static int check_lane(const struct look *l, struct sf_error *err)
{
	char size[48];

	if (!l->line->max_vcpu || l->spec->size.cpu_units <= (uint64_t)l->line->max_vcpu * 1024)
		return 0;
	size_text(l->spec, size);
	return sf_err(err, "the Fargate size %s is more than partition %s may have at all, MaxVcpu=%u", size, l->line->name,
		      l->line->max_vcpu);
}

static int (*const checks[])(const struct look *l, struct sf_error *err) = {
	check_user,	  check_size,	check_cpus,    check_memory, check_stamp,
	check_definition, check_spot,	check_groups,  check_account, check_lane,
};

int admit_check(struct job *job, char *const *groups, struct sf_error *err)
{
	const struct sf_conf *conf = job->agent->conf;
	struct look l = {
		.job = job, .record = &job->facts, .spec = &job->spec, .groups = groups,
		.line = sf_conf_find(conf, job->facts.partition),
	};
	size_t i;

	/* Root or SlurmUser may have moved it: then the new partition's line counts, in everything. */
	if (!l.line)
		return sf_err(err, "the job is in partition '%s', which has no line in %s", job->facts.partition, conf->path);
	for (i = 0; i < SF_COUNT(checks); i++)
		if (checks[i](&l, err) != 0)
			return -1;
	if (strcmp(l.line->name, job->spec.partition) == 0)
		return 0;
	sf_log_info("job %" PRId64 ": was moved from partition %s to %s", job->row.job_id, job->spec.partition, l.line->name);
	return job_move(job, l.line, err);
}

bool admit_same_spec(const struct job *job, const char *text)
{
	struct sf_spec mine = job->spec, theirs = { 0 };
	sf_auto_free char *a = NULL, *b = NULL;
	sf_auto_free char *partition = NULL;

	if (sf_spec_decode(text, &theirs, NULL) != 0)
		return false;
	/* The partition is the record's affair: the job may have been moved. */
	partition = sf_steal(theirs.partition); /* NOLINT(clang-analyzer-deadcode.DeadStores): sf_auto_free reads it */
	theirs.partition = mine.partition;
	a = sf_spec_encode(&mine);
	b = sf_spec_encode(&theirs);
	theirs.partition = NULL;
	sf_spec_free(&theirs);
	return a && b && strcmp(a, b) == 0;
}

/* --- MaxVcpu: the tasks of a partition together ---------------------------------------------------------------- */
enum lane { LANE_NONE, LANE_COMES, LANE_WAITS, LANE_TAKES };

/* Jobs of one burst get their records from Slurm in any order, and so they do after a restart: that makes none of them older. */
static bool still_comes(const struct job *job)
{
	return job->row.stage == STAGE_FACTS && !job->have_facts && !job->untrusted && !job->row.stop_reason &&
	       agent_now_ms(job->agent) - job->born_at < LANE_COMES_MS;
}

static enum lane lane_of(const struct job *job)
{
	if (job->closed || job->row.stage == STAGE_OVER)
		return LANE_NONE;
	if (job->row.stage >= STAGE_LAUNCH || job->lane_granted)
		return LANE_TAKES;
	if (job->row.telling != TELL_NOTHING)
		return LANE_NONE;
	if (still_comes(job))
		return LANE_COMES;
	return job->row.stage == STAGE_DEFINE ? LANE_WAITS : LANE_NONE;
}

static bool same_lane(const struct job *a, const struct job *b)
{
	return strcmp(a->spec.partition, b->spec.partition) == 0;
}

static bool older(const struct job *a, const struct job *b)
{
	return a->row.created != b->row.created ? a->row.created < b->row.created : a->row.job_id < b->row.job_id;
}

static void wake_lane(const struct job *by)
{
	struct job *job;

	for (job = by->agent->jobs; job; job = job->next)
		if (job->lane == LANE_WAITS && same_lane(job, by))
			job->lane_at = 0;
}

void lane_tick(struct job *job)
{
	enum lane now = lane_of(job), before = job->lane;

	job->lane = now;
	if (before != LANE_NONE && now != before && now != LANE_WAITS)
		wake_lane(job);
}

static void say_waiting(struct job *job, uint64_t used, unsigned ahead)
{
	char text[SF_ERROR_MAX], vcpu[16];

	if (job->phase == SF_PHASE_QUOTA || ahead >= LANE_COMMENTS)
		return;
	sf_size_vcpu_text((uint32_t)used, vcpu);
	snprintf(text, sizeof(text), "partition %s has %s of MaxVcpu=%u in use", job->line->name, vcpu, job->line->max_vcpu);
	sf_log_info("job %" PRId64 ": waits: %s", job->row.job_id, text);
	job_comment(job, SF_PHASE_QUOTA, text);
}

bool lane_ask(struct job *job, int64_t now)
{
	uint64_t used = 0, most = (uint64_t)job->line->max_vcpu * 1024;
	const struct job *other;
	unsigned ahead = 0, coming = 0;

	if (job->lane_granted || now < job->lane_at)
		return job->lane_granted;
	if (most && job->spec.size.cpu_units > most) {
		/* MaxVcpu was lowered while it waited: it would wait for ever, and those behind it too. admit_check() says so. */
		job->row.stage = STAGE_FACTS;
		return false;
	}
	for (other = job->agent->jobs; most && other; other = other->next) {
		if (other == job || !same_lane(other, job))
			continue;
		used += lane_of(other) == LANE_TAKES ? other->spec.size.cpu_units : 0;
		ahead += lane_of(other) == LANE_WAITS && older(other, job);
		coming += lane_of(other) == LANE_COMES && older(other, job);
	}
	if (most && (ahead || used + job->spec.size.cpu_units > most)) {
		job->lane_at = now + LANE_LOOK_MS;
		say_waiting(job, used, ahead);
		return false;
	}
	if (coming) {
		job->lane_at = now + LANE_SOON_MS;
		return false;
	}
	job->lane_granted = true;
	if (job->phase == SF_PHASE_QUOTA)
		job_comment(job, SF_PHASE_LAUNCHING, NULL);
	/* What was found good before the wait is looked at again after it. */
	if (job->lane == LANE_WAITS)
		job->row.stage = STAGE_FACTS;
	lane_tick(job);
	return job->row.stage != STAGE_FACTS;
}
