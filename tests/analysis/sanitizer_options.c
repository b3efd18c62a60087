/* Where the sanitizers report to in a --enable-sanitizers build; asked by ASan's runtime before main(). */
/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Compiled in rather than ASAN_OPTIONS: slurmctld, slurmstepd and the gateway's hand-over all start programs of ours with
 * an environment of their own, and sbatch would pass the variable on to the job.
 */
const char *__asan_default_options(void);

const char *__asan_default_options(void)
{
	return
#ifdef SF_SLURM_PROGRAM
		/* Slurm's programs never free much of what they allocate; the runtime stands behind this library. */
		"detect_leaks=0:verify_asan_link_order=0:"
		/*
		 * slurmd has threads and forks: a child that was made while one of them stored a new stack waits for ASan's
		 * lock for ever, before it becomes slurmstepd. Stacks of one frame are soon all known.
		 */
		"malloc_context_size=1:"
#endif
		/* UBSan's trap is SIGILL. Slurm's libraries define some names twice. */
		"handle_sigill=1:detect_odr_violation=0:log_exe_name=1:log_path=" SF_SANITIZER_REPORTS "/asan";
}
