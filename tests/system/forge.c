/* A submission that no sbatch of ours made: libslurm alone, with whatever variables the user likes. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <slurm/slurm.h>
#include <slurm/slurm_errno.h>

static char script[] = "#!/bin/sh\nhostname\nenv | grep -a '^SLURM' || :\n";

/* usage: forge PARTITION [-s NAME=VALUE]... [-e NAME=VALUE]...   (-s: the SPANK job environment, -e: the job's) */
int main(int argc, char **argv)
{
	char *spank[16] = { NULL }, *env[32] = { "PATH=/usr/bin:/bin" };
	char *work_dir = getcwd(NULL, 0), *args[] = { "forged.sh" };
	submit_response_msg_t *answer = NULL;
	uint32_t n_spank = 0, n_env = 1;
	job_desc_msg_t job;
	int opt;

	slurm_init(NULL);
	slurm_init_job_desc_msg(&job);
	while ((opt = getopt(argc - 1, argv + 1, "s:e:")) != -1)
		if (opt == 's' && n_spank < 15)
			spank[n_spank++] = optarg;
		else if (opt == 'e' && n_env < 31)
			env[n_env++] = optarg;
		else
			return 2;
	job.partition = argv[1];
	job.script = script;
	job.name = "forged";
	job.work_dir = work_dir;
	job.std_out = "forged.%j";
	job.user_id = getuid();
	job.group_id = getgid();
	job.min_cpus = 1;
	job.argc = 1;
	job.argv = args;
	job.environment = env;
	job.env_size = n_env;
	job.spank_job_env = n_spank ? spank : NULL;
	job.spank_job_env_size = n_spank;
	if (slurm_submit_batch_job(&job, &answer) != SLURM_SUCCESS) {
		fprintf(stderr, "refused: %s: %s\n", slurm_strerror(slurm_get_errno()), answer && answer->job_submit_user_msg ? answer->job_submit_user_msg : "");
		return 1;
	}
	printf("%u\n", answer->job_id);
	return 0;
}
