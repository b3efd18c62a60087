/* The two halves of spank_host: the driver (spank_host.c) and slurm's side of spank(8) (spank_slurm.c). */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TESTS_HOST_SPANK_HOST_H
#define TESTS_HOST_SPANK_HOST_H

#include <slurm/spank.h>

#include "common/base/json.h"
#include "common/base/text.h"

/* Say what is wrong with the plan on stderr and leave with 125. */
void host_die(const char *what) __attribute__((noreturn));

/* Take context, job_env and items from the plan, which must outlive the host. */
void host_setup(const sf_json *plan);
spank_t host_spank(void);
/* The hook that runs next: some calls are legal in some hooks only. */
void host_phase(const char *hook);
/* Put NAME=VALUE into the job's environment, as slurmstepd itself does between two hooks. */
void host_add_variable(const char *assignment);
/* Hand an option to the callback that the plugin registered; its return value, or -2 when there is no such option. */
int host_option(const char *name, const char *value);
/* What the plugin said since the last call, as ["error: text", …]; the caller owns it. */
sf_json *host_messages(void);
/* Add the job's environment, the job control environment and the registered options to *line. */
void host_put_state(sf_json *line);

#endif
