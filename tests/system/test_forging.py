# Nested submissions and forged variables: what a user writes into an environment changes nothing.
# SPDX-License-Identifier: GPL-2.0-or-later
import json
import os
import subprocess

import pytest

from cluster import TOP, wait_for

SPEC = json.dumps({"v": 1, "spec": {"sid": "0123456789abcdef", "submit": 1700000000, "cpu": 16384, "mem": 122880, "cpus_asked": 16, "cpus_per_task": 16,
                                    "mem_asked": 0, "mem_per_cpu": False, "partition": "fargate", "args": [], "env": ["A=forged"]}})
OPTION = "SLURM_SPANK__SLURM_SPANK_OPTION_fargate_fargate"
FORGED = {
    "SLURM_SPANK_FARGATE": SPEC, "SPANK_FARGATE": SPEC, "FARGATE": SPEC,
    OPTION: "", OPTION + "_cpu": "16", "_SLURM_SPANK_OPTION_fargate_fargate": "", "_SLURM_SPANK_OPTION_fargate_fargate_cpu": "16",
    "SPANK__SLURM_SPANK_OPTION_fargate_fargate": "", "SLURM_RESTART_COUNT": "7", "SLURM_JOB_RESTART_COUNT": "7",
}


@pytest.fixture(scope="module")
def forge(tmp_path_factory):
    """The client that speaks to slurmctld without our sbatch."""
    directory = tmp_path_factory.mktemp("forge")
    os.chmod(directory, 0o755)
    os.chmod(directory.parent, 0o755)
    os.chmod(directory.parent.parent, 0o755)
    program = directory / "forge"
    subprocess.run(["gcc", "-Wall", "-Werror", "-o", program, os.path.join(TOP, "tests", "system", "forge.c"), "-lslurm"], check=True)
    return program


def test_forged_variables_do_not_send_a_job_away(cluster):
    job = cluster.submit("hostname\n", "-p", "local", "-o", "out.%j", fargate=False, env=FORGED)
    cluster.wait_state(job)
    assert cluster.show(job)["Partition"] == "local" and cluster.comment(job) == ""
    assert cluster.tasks(job) == []


def test_forged_variables_do_not_disturb_a_step_elsewhere(cluster):
    done = cluster.run("srun", "-p", "local", "sh", "-c", "echo step of $SLURM_JOB_ID", env=FORGED)
    assert done.returncode == 0 and done.stdout.startswith("step of "), done.stderr


def test_forged_variables_do_not_change_what_was_asked(cluster):
    job = cluster.submit("echo \"$SLURM_JOB_ID $A $SLURM_CPUS_PER_TASK ${SLURM_RESTART_COUNT-none}\"\n", "-o", "out.%j", "-c", "1", "--export=ALL",
                         env=FORGED)
    cluster.wait_state(job)
    assert cluster.output(job) == f"{job}  1 0\n" or cluster.output(job) == f"{job}  1 none\n"
    task = cluster.tasks(job)[0]
    assert task["overrides"]["cpu"] == "1024"
    assert "1vCPU/2GB" in cluster.comment(job)


def test_sbatch_inside_a_job_does_not_inherit(cluster):
    """The outer job is an ordinary one that was itself started with everything an outer --fargate job would leave."""
    inner = cluster.write("inner.sh", "#!/bin/sh\nhostname\n")
    outer = cluster.submit(f"env | grep -c FARGATE\nsbatch -p local -o inner.out {inner}\n", "-p", "local", "-o", "outer.out", "--export=ALL",
                           fargate=False, env=FORGED)
    cluster.wait_state(outer)
    text = cluster.output(outer)
    inner_job = int(text.split("Submitted batch job ")[1])
    cluster.wait_state(inner_job)
    assert cluster.comment(inner_job) == "" and cluster.tasks(inner_job) == []


def test_sbatch_inside_salloc_does_not_inherit(cluster):
    inner = cluster.write("inner.sh", "#!/bin/sh\nhostname\n")
    done = cluster.run("salloc", "-p", "local", "sbatch", "-p", "local", inner, env=FORGED)
    assert done.returncode == 0, done.stderr
    job = int(done.stdout.split("Submitted batch job ")[1].split()[0])
    cluster.wait_state(job)
    assert cluster.comment(job) == "" and cluster.tasks(job) == []


OPTIONS = {"cpu": 0, "mem": 0, "env": []}


def options(**more):
    return json.dumps({"v": 1, "options": {**OPTIONS, **more}})


REFUSED = [
    # a finished spec is somebody else's: the job counts as one without --fargate
    ("fargate", SPEC, "partition 'fargate' runs only jobs submitted with sbatch --fargate"),
    ("fargate", "", "the options from sbatch cannot be read"),
    ("fargate", "{", "the options from sbatch cannot be read"),
    ("fargate", "\x1b[31mred\x1b[0m", "the options from sbatch cannot be read"),
    ("fargate", json.dumps({"v": 2, "options": OPTIONS}), "the options from sbatch cannot be read"),
    ("fargate", options(cpu=-1), "the options from sbatch cannot be read"),
    ("fargate", options(cpu=2 ** 40), "the options from sbatch cannot be read"),
    ("fargate", options(env=["SLURM_JOB_ID=1"]), "names that begin with SLURM_"),
    ("fargate", options(env=["SF_NONCE=1"]), "names that begin with SF_"),
    ("fargate", options(env=["A B=1"]), "is not a variable name"),
    ("fargate", options(env=["A=" + "x" * 9000]), "characters in the RunTask request, the limit is 7372"),
    ("fargate", options(storage=5000), ""),
    ("fargate", options(spot="never"), "is no way to use Spot"),
    ("fargate", options(spot="only"), "has no Fargate Spot"),
    ("fargate", options(task_definition="somebody-elses"), ""),
    ("fargate", "x" * 300000, ""),
    ("local", options(), "partition 'local' has no line in fargate.conf"),
]


@pytest.mark.parametrize("partition, packed, message", REFUSED, ids=lambda v: v[:24].encode("unicode_escape").decode() if isinstance(v, str) else "")
def test_a_client_of_its_own_gets_no_more_than_sbatch(cluster, forge, partition, packed, message):
    """libslurm alone, without the SPANK plugin: slurmctld's plugin checks everything again."""
    if len(packed) > 100000:
        packed = packed[:100000]  # one argument of a program is at most 128 KiB
    before = cluster.squeue("-h", "-t", "all")
    done = cluster.run(forge, partition, "-s", f"FARGATE={packed}")
    assert done.returncode == 1 and "\x1b" not in done.stderr, done.stdout + done.stderr
    assert "fargate: " in done.stderr and message in done.stderr
    assert cluster.squeue("-h", "-t", "all") == before


def test_a_client_of_its_own_reaches_no_gateway(cluster, forge):
    done = cluster.run(forge, "fargate", "-e", f"SLURM_SPANK_FARGATE={SPEC}", "-s", "OTHER=1")
    assert done.returncode == 1 and "partition 'fargate' runs only jobs submitted with sbatch --fargate" in done.stderr


def test_a_forged_spec_beside_real_options_is_replaced(cluster, forge):
    done = cluster.run(forge, "fargate", "-s", f"FARGATE={options()}", "-s", f"FARGATE={SPEC}", "-e", f"SLURM_SPANK_FARGATE={SPEC}",
                       "-e", f"SLURM_SPANK_FARGATE={SPEC}", "-e", "SLURM_JOB_ID=1", "-e", "SLURM_SPANK__SLURM_SPANK_OPTION_fargate_fargate_cpu=16")
    if done.returncode:  # two FARGATE= entries may also be refused
        assert "fargate: " in done.stderr
        return
    job = int(done.stdout)
    cluster.wait_state(job)
    assert cluster.tasks(job)[0]["overrides"]["cpu"] == "1024"
    assert "A=forged" not in json.dumps(cluster.tasks(job)[0]["overrides"])
    wait_for(lambda: "done" in cluster.comment(job), 10, "the comment")
