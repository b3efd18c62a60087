/* The members of the groups that AllowGroups= names. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "plugin/job_submit/groups.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/base/util.h"

#define MEMORY_MIN 4096
#define MEMORY_MAX (16 * 1024 * 1024) /* for the member list of one group */

struct group_members {
	char *name;
	bool known;
	bool failed; /* the name service could not be asked; the rest is of an earlier time, if there was one */
	gid_t gid;
	uid_t *uids;
	size_t n;
};

struct js_groups {
	struct group_members *of;
	size_t n;
};

void js_groups_free(struct js_groups *groups)
{
	size_t i;

	for (i = 0; groups && i < groups->n; i++) {
		free(groups->of[i].name);
		free(groups->of[i].uids);
	}
	if (groups)
		free(groups->of);
	free(groups);
}

static struct group_members *find(const struct js_groups *groups, const char *name)
{
	size_t i;

	for (i = 0; groups && i < groups->n; i++)
		if (!strcmp(groups->of[i].name, name))
			return &groups->of[i];
	return NULL;
}

bool js_groups_has(const struct js_groups *groups, char *const *names, uid_t uid, gid_t gid)
{
	const struct group_members *g;
	size_t i;

	for (; names && *names; names++) {
		g = find(groups, *names);
		if (!g || !g->known)
			continue;
		if (g->gid == gid)
			return true;
		for (i = 0; i < g->n; i++)
			if (g->uids[i] == uid)
				return true;
	}
	return false;
}

bool js_groups_unsure(const struct js_groups *groups, char *const *names)
{
	const struct group_members *g;

	for (; names && *names; names++) {
		g = find(groups, *names);
		if (!g || (g->failed && !g->known))
			return true;
	}
	return false;
}

/* A member the name service does not know cannot submit either: left out. */
static int add_member(struct group_members *g, const char *name)
{
	struct passwd pw, *found = NULL;
	char memory[MEMORY_MIN * 4];
	int rc = getpwnam_r(name, &pw, memory, sizeof(memory), &found);

	if (rc == EINTR || rc == EIO || rc == EMFILE || rc == ENFILE || rc == ENOMEM)
		return -1;
	if (found)
		g->uids[g->n++] = found->pw_uid;
	return 0;
}

static int take_group(struct group_members *g, const struct group *found)
{
	size_t n = 0, i;

	while (found->gr_mem[n])
		n++;
	g->uids = calloc(n + 1, sizeof(*g->uids));
	if (!g->uids)
		return -1;
	for (i = 0; i < n; i++)
		if (add_member(g, found->gr_mem[i]))
			return -1;
	g->gid = found->gr_gid;
	g->known = true;
	return 0;
}

/* 0: asked, and g->known says whether there is such a group; -1: the name service cannot be asked now. */
static int look_up(struct group_members *g)
{
	struct group gr, *found = NULL;
	char *memory = NULL, *larger;
	size_t size = MEMORY_MIN;
	int rc;

	do {
		larger = realloc(memory, size);
		if (!larger) {
			rc = ENOMEM;
			break;
		}
		memory = larger;
		rc = getgrnam_r(g->name, &gr, memory, size, &found);
		size *= 4;
	} while (rc == ERANGE && size <= MEMORY_MAX);
	if (found)
		rc = take_group(g, found);
	else
		/* getpwnam(3): "not found" is 0, or any of these, depending on the service behind it */
		rc = rc == 0 || rc == ENOENT || rc == ESRCH || rc == EBADF || rc == EPERM ? 0 : -1;
	free(memory);
	return rc;
}

static int keep(struct group_members *g, const struct group_members *old)
{
	free(g->uids);
	g->uids = NULL;
	g->n = 0;
	g->known = false;
	g->failed = true;
	if (!old || !old->known)
		return 0;
	g->uids = calloc(old->n + 1, sizeof(*g->uids));
	if (!g->uids)
		return -1;
	memcpy(g->uids, old->uids, old->n * sizeof(*g->uids));
	g->n = old->n;
	g->gid = old->gid;
	g->known = true;
	return 0;
}

static int resolve_one(struct js_groups *groups, const char *name, const struct js_groups *before, bool *again)
{
	const struct group_members *old = find(before, name);
	struct group_members *more, *g;

	if (find(groups, name))
		return 0;
	more = realloc(groups->of, (groups->n + 1) * sizeof(*more));
	if (!more)
		return -1;
	groups->of = more;
	g = &more[groups->n];
	*g = (struct group_members){ .name = strdup(name) };
	if (!g->name)
		return -1;
	groups->n++;
	if (look_up(g)) {
		*again = true;
		if (!old || !old->failed)
			sf_log_error("job_submit/fargate: AllowGroups: group '%s' cannot be looked up now: %s", name,
				     old && old->known ? "the members of before count" : "nobody is in it until it can");
		return keep(g, old);
	}
	if (!g->known && (!old || old->known || old->failed))
		sf_log_error("job_submit/fargate: AllowGroups: the name service knows no group '%s': nobody is in it", name);
	return 0;
}

struct js_groups *js_groups_resolve(const struct sf_conf *conf, const struct js_groups *before, bool *again)
{
	struct js_groups *groups = calloc(1, sizeof(*groups));
	char *const *name;
	size_t i;

	*again = false;
	for (i = 0; groups && i < conf->n_lines; i++)
		for (name = conf->lines[i].allow_groups; groups && name && *name; name++)
			if (resolve_one(groups, *name, before, again)) {
				js_groups_free(groups);
				groups = NULL;
			}
	return groups;
}
