/* The world's licenses: slurm.conf's Licenses= and the reservations of them. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <pthread.h>

#include "plugin/agent/slurm_resv.h"
#include "tests/unit/agent_world.h"

#define LICENSES_MAX 8

static struct {
	char name[SLURM_LICENSE_MAX];
	int64_t total; /* -1 = slurm.conf does not have it */
	int64_t held;
	size_t changes;
} licenses[LICENSES_MAX];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static bool refuse;

/* With the lock held. */
static size_t index_of(const char *name)
{
	size_t i;

	for (i = 0; i < LICENSES_MAX - 1 && licenses[i].name[0] && strcmp(licenses[i].name, name) != 0; i++)
		;
	if (!licenses[i].name[0]) {
		sf_copy(licenses[i].name, sizeof(licenses[i].name), name);
		licenses[i].total = -1;
	}
	return i;
}

void slurm_license(const char *name, int64_t total)
{
	pthread_mutex_lock(&lock);
	licenses[index_of(name)].total = total;
	pthread_mutex_unlock(&lock);
}

void slurm_set_held(const char *name, int64_t held)
{
	pthread_mutex_lock(&lock);
	licenses[index_of(name)].held = held;
	pthread_mutex_unlock(&lock);
}

int64_t slurm_held(const char *name)
{
	int64_t held;

	pthread_mutex_lock(&lock);
	held = licenses[index_of(name)].held;
	pthread_mutex_unlock(&lock);
	return held;
}

size_t slurm_hold_changes(const char *name)
{
	size_t n;

	pthread_mutex_lock(&lock);
	n = licenses[index_of(name)].changes;
	pthread_mutex_unlock(&lock);
	return n;
}

void slurm_refuse_holds(bool yes)
{
	pthread_mutex_lock(&lock);
	refuse = yes;
	pthread_mutex_unlock(&lock);
}

/* With the lock held. */
static void bring(struct slurm_hold *h)
{
	size_t i = index_of(h->license);
	int64_t want;

	h->looked = true;
	h->known = licenses[i].total >= 0;
	h->total = h->known ? licenses[i].total : 0;
	h->held = licenses[i].held;
	want = h->want == HOLD_LEAVE ? h->held : h->want == HOLD_DROP || h->open >= h->total ? 0 : h->total - h->open;
	h->changed = want != h->held;
	licenses[i].changes += h->changed;
	licenses[i].held = h->held = want;
}

int slurm_api_holds(struct slurm_hold *holds, size_t n, struct sf_error *err)
{
	size_t i;

	pthread_mutex_lock(&lock);
	for (i = 0; i < n && !refuse; i++)
		bring(&holds[i]);
	i = refuse;
	pthread_mutex_unlock(&lock);
	return i ? sf_err(err, "making reservation fargate_hold: Access/permission denied") : 0;
}
