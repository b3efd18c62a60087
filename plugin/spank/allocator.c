/* On the login node, in sbatch and salloc: the options, and the one variable that carries them. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "plugin/spank/options.h"
#include "plugin/spank/spank.h"

/* What an outer --fargate job leaves in the environment would silently turn the option on for an sbatch inside it. */
static const char *const inherited[] = { SF_SPEC_JOB_VAR "=", "SLURM_SPANK__SLURM_SPANK_OPTION_fargate_", "_SLURM_SPANK_OPTION_fargate_" };

static bool is_inherited(const char *entry)
{
	size_t i;

	for (i = 0; i < SF_COUNT(inherited); i++)
		if (strncmp(entry, inherited[i], strlen(inherited[i])) == 0)
			return true;
	return false;
}

static void forget_outer_job(void)
{
	char **kept = environ, **entry;

	if (!environ)
		return;
	for (entry = environ; *entry; entry++)
		if (!is_inherited(*entry))
			*kept++ = *entry;
	*kept = NULL;
}

int allocator_init(spank_t sp)
{
	forget_outer_job();
	return options_register(sp);
}

int allocator_post_opt(spank_t sp)
{
	sf_auto_free char *packed = NULL;

	if (!options_on()) {
		if (!options_first_other())
			return 0;
		slurm_error("fargate: --%s means nothing without --fargate; add --fargate or leave it out", options_first_other());
		return -1;
	}
	packed = sf_options_encode(options_said());
	if (!packed || spank_job_control_setenv(sp, SF_SPEC_VAR, packed, 1) != ESPANK_SUCCESS) {
		slurm_error("fargate: the options could not be passed on to slurmctld");
		return -1;
	}
	return 0;
}
