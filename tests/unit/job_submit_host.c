/* Stands for slurmctld: loads the real job_submit plugin and keeps strict books of xmalloc memory. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/job_submit_host.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <check.h>

/* Slurm's xmalloc puts a header before each block, which is why free(3)'s memory must never reach xfree(). */
#define MAGIC 0x42u
struct head {
	size_t magic;
	size_t size;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static size_t blocks;
static char last_error[2048];
static char dir[64];

static void count(int change)
{
	pthread_mutex_lock(&lock);
	blocks += (size_t)change;
	pthread_mutex_unlock(&lock);
}

size_t host_blocks(void)
{
	return blocks;
}

static struct head *head_of(void *block)
{
	struct head *h = (struct head *)block - 1;

	ck_assert_msg(h->magic == MAGIC, "not xmalloc memory");
	return h;
}

void *slurm_xcalloc(size_t n, size_t size, bool clear, bool try, const char *file, int line, const char *func)
{
	struct head *h = calloc(1, sizeof(*h) + n * size);

	(void)clear, (void)try, (void)file, (void)line, (void)func;
	ck_assert_ptr_nonnull(h);
	h->magic = MAGIC;
	h->size = n * size;
	count(1);
	return h + 1;
}

void slurm_xfree(void **item)
{
	struct head *h;

	if (!*item)
		return;
	h = head_of(*item);
	h->magic = 0;
	free(h);
	*item = NULL;
	count(-1);
}

void *slurm_xrecalloc(void **item, size_t n, size_t size, bool clear, bool try, const char *file, int line, const char *func)
{
	void *grown = slurm_xcalloc(n, size, clear, try, file, line, func);
	size_t old = *item ? head_of(*item)->size : 0;

	if (*item)
		memcpy(grown, *item, old < n * size ? old : n * size);
	slurm_xfree(item);
	*item = grown;
	return grown;
}

char *slurm_xstrdup(const char *s)
{
	char *copy;

	if (!s)
		return NULL;
	copy = slurm_xcalloc(strlen(s) + 1, 1, true, false, "", 0, "");
	memcpy(copy, s, strlen(s));
	return copy;
}

void slurm_error(const char *fmt, ...)
{
	va_list ap;

	pthread_mutex_lock(&lock);
	va_start(ap, fmt);
	vsnprintf(last_error, sizeof(last_error), fmt, ap);
	va_end(ap);
	pthread_mutex_unlock(&lock);
}

void slurm_info(const char *fmt, ...)
{
	(void)fmt;
}

void slurm_debug(const char *fmt, ...)
{
	(void)fmt;
}

const char *host_last_error(void)
{
	static char copy[sizeof(last_error)];

	pthread_mutex_lock(&lock);
	memcpy(copy, last_error, sizeof(copy));
	pthread_mutex_unlock(&lock);
	return copy;
}

char *host_xstrdup(const char *s)
{
	return slurm_xstrdup(s);
}

void host_xfree(char **s)
{
	slurm_xfree((void **)s);
}

void host_write_conf(const char *text)
{
	char path[128], fresh[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/fargate.conf", dir);
	snprintf(fresh, sizeof(fresh), "%s/fargate.conf.new", dir);
	f = fopen(fresh, "w");
	ck_assert_ptr_nonnull(f);
	ck_assert_int_ge(fputs(text, f), 0);
	ck_assert_int_eq(fclose(f), 0);
	ck_assert_int_eq(rename(fresh, path), 0);
}

const char *host_dir(const char *conf_text)
{
	char path[128];

	snprintf(dir, sizeof(dir), "/tmp/test_job_submit.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/slurm.conf", dir);
	setenv("SLURM_CONF", path, 1);
	if (conf_text)
		host_write_conf(conf_text);
	return dir;
}

void host_clean(void)
{
	static const char *const names[] = { "fargate.conf", "agent.sock" };
	char path[128];
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		unlink(path);
	}
	ck_assert_int_eq(rmdir(dir), 0);
}

static void *symbol(const struct plugin *p, const char *name)
{
	void *s = dlsym(p->handle, name);

	ck_assert_msg(s != NULL, "%s is missing", name);
	return s;
}

void host_load(struct plugin *p)
{
	p->handle = dlopen(TOP_BUILDDIR "/plugin/job_submit/.libs/job_submit_fargate.so", RTLD_NOW | RTLD_LOCAL);
	ck_assert_msg(p->handle != NULL, "%s", dlerror());
	*(void **)&p->init = symbol(p, "init");
	*(void **)&p->fini = symbol(p, "fini");
	*(void **)&p->submit = symbol(p, "job_submit");
	*(void **)&p->modify = symbol(p, "job_modify");
	ck_assert_str_eq(symbol(p, "plugin_type"), "job_submit/fargate");
	ck_assert_uint_eq(*(uint32_t *)symbol(p, "plugin_version"), SLURM_VERSION_NUMBER);
	ck_assert_ptr_nonnull(symbol(p, "plugin_name"));
	ck_assert_int_eq(p->init(), 0);
}

int host_modify(const struct plugin *p, job_desc_msg_t *desc, uint32_t uid, char **err_msg)
{
	(void)err_msg;
	return p->modify(SF_JOB_MODIFY_ARGS(desc, NULL, uid, err_msg));
}

void host_unload(struct plugin *p)
{
	p->fini();
	ck_assert_int_eq(dlclose(p->handle), 0);
}

void host_env_add(char ***env, uint32_t *n, const char *entry)
{
	slurm_xrecalloc((void **)env, *n + 2, sizeof(char *), true, false, "", 0, "");
	(*env)[(*n)++] = slurm_xstrdup(entry);
}

const char *host_env_get(char **env, uint32_t n, const char *name)
{
	const char *found = NULL;
	uint32_t i;

	for (i = 0; i < n; i++) {
		ck_assert_ptr_nonnull(env[i]);
		head_of(env[i]);
		if (strncmp(env[i], name, strlen(name)) || env[i][strlen(name)] != '=')
			continue;
		ck_assert_msg(!found, "%s twice", name);
		found = env[i] + strlen(name) + 1;
	}
	ck_assert_ptr_null(env[n]);
	return found;
}

void host_desc_blank(job_desc_msg_t *d)
{
	d->het_job_offset = d->num_tasks = d->max_cpus = d->min_cpus = d->min_nodes = d->max_nodes = NO_VAL;
	d->cpu_freq_min = d->cpu_freq_max = d->cpu_freq_gov = d->pn_min_tmp_disk = d->user_id = d->group_id = NO_VAL;
	d->cpus_per_task = d->pn_min_cpus = d->core_spec = d->reboot = d->shared = d->contiguous = NO_VAL16;
	d->ntasks_per_node = d->ntasks_per_socket = d->ntasks_per_core = d->ntasks_per_board = d->ntasks_per_tres = NO_VAL16;
	d->boards_per_node = d->sockets_per_board = d->sockets_per_node = d->cores_per_socket = d->threads_per_core = NO_VAL16;
	d->overcommit = NO_VAL8;
	d->pn_min_memory = NO_VAL64;
}

job_desc_msg_t *host_desc(const char *partition, const char *options)
{
	job_desc_msg_t *d = slurm_xcalloc(1, sizeof(*d), true, false, "", 0, "");
	char entry[4096];

	host_desc_blank(d);
	d->min_cpus = 1;
	d->user_id = d->group_id = 1001;
	d->std_in = slurm_xstrdup("/dev/null");
	d->name = slurm_xstrdup("job");
	d->work_dir = slurm_xstrdup("/home/alice");
	d->script = slurm_xstrdup("#!/bin/sh\ntrue\n");
	d->partition = slurm_xstrdup(partition);
	d->argc = 1;
	d->argv = slurm_xcalloc(2, sizeof(char *), true, false, "", 0, "");
	d->argv[0] = slurm_xstrdup("job.sh");
	host_env_add(&d->environment, &d->env_size, "HOME=/home/alice");
	host_env_add(&d->environment, &d->env_size, "PATH=/usr/bin");
	if (options) {
		snprintf(entry, sizeof(entry), "FARGATE=%s", options);
		host_env_add(&d->spank_job_env, &d->spank_job_env_size, entry);
		snprintf(entry, sizeof(entry), "SLURM_SPANK_FARGATE=%s", options);
		host_env_add(&d->environment, &d->env_size, entry);
	}
	return d;
}

static void free_array(char ***v, uint32_t n)
{
	uint32_t i;

	for (i = 0; *v && i < n; i++)
		slurm_xfree((void **)&(*v)[i]);
	slurm_xfree((void **)v);
}

void host_desc_free(job_desc_msg_t *d)
{
	char **const strings[] = { &d->name,	     &d->work_dir,     &d->script,	  &d->partition, &d->admin_comment,
				   &d->tres_per_task, &d->tres_per_node, &d->tres_per_job, &d->tres_per_socket, &d->cpus_per_tres,
				   &d->mem_per_tres,  &d->tres_bind,     &d->tres_freq,	  &d->std_in,	 &d->std_err,
				   &d->clusters,      &d->cluster_features, &d->req_nodes, &d->features, &d->batch_features,
				   &d->burst_buffer,  &d->container,     &d->prefer,	  &d->network,	 &d->account,
				   &d->job_id_str,    &d->licenses };
	size_t i;

	for (i = 0; i < sizeof(strings) / sizeof(strings[0]); i++)
		slurm_xfree((void **)strings[i]);
	free_array(&d->argv, d->argc);
	free_array(&d->environment, d->env_size);
	free_array(&d->spank_job_env, d->spank_job_env_size);
	slurm_xfree((void **)&d);
}

int host_wait(int (*done)(void *arg), void *arg)
{
	const struct timespec pause = { .tv_nsec = 10 * 1000 * 1000 };
	int i;

	for (i = 0; i < 1500; i++) {
		if (done(arg))
			return 1;
		nanosleep(&pause, NULL);
	}
	return 0;
}
