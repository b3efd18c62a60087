/* The members of the groups that AllowGroups= names, looked up by the helper thread and read under slurmctld's locks. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef PLUGIN_JOB_SUBMIT_GROUPS_H
#define PLUGIN_JOB_SUBMIT_GROUPS_H

#include <stdbool.h>
#include <sys/types.h>

#include "common/base/conf.h"

struct js_groups;

/*
 * Ask the name service (it may block) for every group of conf. A group it does not know has no members, which is logged when
 * `before` (may be NULL), the answer of last time, did not say so already. While it cannot be asked, what `before` knew stays,
 * that is logged once too, and *again becomes true: ask soon. NULL when out of memory. Free with js_groups_free().
 */
struct js_groups *js_groups_resolve(const struct sf_conf *conf, const struct js_groups *before, bool *again);
void js_groups_free(struct js_groups *groups);

/* One of the named groups could never be looked up: who is not found in them may belong there all the same. */
bool js_groups_unsure(const struct js_groups *groups, char *const *names);
/* Is the user in one of the named groups: listed there, or with the group as his own (`gid`, as munge vouched for it)? */
bool js_groups_has(const struct js_groups *groups, char *const *names, uid_t uid, gid_t gid);

#endif
