#!/bin/sh
# A batch script as any other; `sbatch --fargate hello.sh` runs it as a Fargate task.
# SPDX-License-Identifier: GPL-2.0-or-later
#SBATCH --job-name=hello
#SBATCH --output=hello-%j.out
#SBATCH --cpus-per-task=1
#SBATCH --mem=2G
#SBATCH --time=5
echo "Hello from job $SLURM_JOB_ID, $SLURM_CPUS_PER_TASK CPU, $# arguments: $1, $2"
for i in 1 2 3; do
	echo "step $i of 3"
	sleep 1
done
echo "this line went to stderr" >&2
echo
echo "blank lines survive, done"
