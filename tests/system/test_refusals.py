# Bad input: each message word for word, and nothing is queued.
# SPDX-License-Identifier: GPL-2.0-or-later
import os
import random
import shlex
import string

import pytest

from cluster import wait_for

GATEWAY = "partition 'fargate' runs only jobs submitted with sbatch --fargate: add --fargate or choose another partition with -p"

REFUSED = [
    (["--fargate=burst"], "fargate: --fargate=burst: no such mode; use --fargate or --fargate=always"),
    (["--fargate", "--fargate-cpu=abc"], "fargate: --fargate-cpu=abc: "),
    (["--fargate", "--fargate-cpu=0"], "fargate: --fargate-cpu=0: "),
    (["--fargate", "--fargate-cpu=17"], "fargate: 17 vCPU is more than the largest Fargate size, 16"),
    (["--fargate", "--fargate-mem=0"], "fargate: --fargate-mem=0: "),
    (["--fargate", "--fargate-mem=much"], "fargate: --fargate-mem=much: "),
    (["--fargate", "--fargate-env=NOT_THERE"],
     "fargate: --fargate-env=NOT_THERE: variable NOT_THERE is not set in your environment; set it or give --fargate-env=NOT_THERE=VALUE"),
    (["--fargate", "--fargate-env=1X=2"], "fargate: --fargate-env=1X=2: "),
    (["--fargate-cpu=1"], "fargate: --fargate-cpu means nothing without --fargate; add --fargate or leave it out"),
    (["--fargate", "-c", "32"], "fargate: 32 vCPU is more than the largest Fargate size, 16"),
    (["--fargate", "--mem=300G"], "fargate: 300 GB is more than any Fargate size holds; the nearest is 16 vCPU with 120 GB"),
    (["--fargate", "-N", "2"], "fargate: a Fargate job runs on one node: remove -N or use -N 1 (2 nodes)"),
    (["--fargate", "-p", "fargate,spot"], "fargate: --fargate takes one partition, not a list: name one with -p (fargate,spot)"),
    (["--fargate", "--gres=gpu:1"], "fargate: Fargate has no generic resources: remove --gres and --gpus (gres:gpu:1)"),
    (["--fargate", "--container=/oci"],
     "fargate: --container cannot be used with --fargate: the image comes from the partition's task definition (/oci)"),
    (["--fargate", "-p", "local"], "fargate: partition 'local' has no line in fargate.conf: --fargate jobs can go to fargate, spot"),
    (["--fargate-spot"], "fargate: --fargate-spot means nothing without --fargate; add --fargate or leave it out"),
    (["--fargate", "--fargate-spot"],
     "fargate: partition 'fargate' has no Fargate Spot: remove --fargate-spot or use a partition that has it (spot)"),
    (["--fargate", "-p", "fargate", "--fargate-spot=only"],
     "fargate: partition 'fargate' has no Fargate Spot: remove --fargate-spot or use a partition that has it (spot)"),
    (["--fargate", "-p", "spot", "--fargate-spot=often"],
     "fargate: --fargate-spot=often: 'often' is no way to use Spot; give prefer (Spot first) or only (nothing but Spot)"),
    (["-p", "fargate"], "fargate: " + GATEWAY),
    (["-p", "local,spot"], "fargate: " + GATEWAY.replace("'fargate'", "'spot'")),
]


@pytest.mark.parametrize("options, message", REFUSED, ids=lambda v: " ".join(v) if isinstance(v, list) else "")
def test_sbatch_refuses(cluster, options, message):
    before = cluster.squeue("-h", "-t", "all")
    done = cluster.sbatch(*options, "--wrap", "true")
    assert done.returncode != 0
    assert message in done.stderr
    assert "Submitted" not in done.stdout
    assert cluster.squeue("-h", "-t", "all") == before


def test_heterogeneous_job_is_refused(cluster):
    done = cluster.sbatch("--fargate", "-n", "1", ":", "-n", "1", "--wrap", "true")
    assert done.returncode != 0
    assert "fargate: a heterogeneous job cannot run on Fargate: submit its components as separate jobs" in done.stderr


def test_script_over_the_inline_limit_is_refused_with_both_numbers(cluster):
    noise = "".join(random.choices(string.ascii_letters + string.digits, k=12000))
    script = cluster.write("noise.sh", f"#!/bin/sh\n: {noise}\n")
    done = cluster.sbatch("--fargate", script)
    assert done.returncode != 0
    assert "characters in the RunTask request, the limit is 7372" in done.stderr
    assert f"script {os.path.getsize(script)} bytes" in done.stderr


def test_script_over_64_kib_is_refused(cluster):
    script = cluster.write("long.sh", "#!/bin/sh\n" + ": aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n" * 1200)
    done = cluster.sbatch("--fargate", script)
    assert done.returncode != 0
    assert "fargate: the script is larger than 64 KiB" in done.stderr


def test_compressible_script_of_20_kib_runs(cluster):
    text = "".join(f"x{i}=$((x{i}+1))  # a comment that compresses well\n" for i in range(400))
    job = cluster.submit("#!/bin/sh\n" + text + "echo $x399\n", "-o", "out.%j")
    cluster.wait_state(job)
    assert cluster.output(job) == "1\n"


@pytest.mark.parametrize("command", [["srun", "-p", "fargate", "id"], ["salloc", "-p", "fargate", "true"]])
def test_srun_and_salloc_on_a_gateway_partition_are_refused(cluster, command):
    done = cluster.run(*command)
    assert done.returncode != 0
    assert GATEWAY in done.stderr


def test_salloc_with_the_option_is_refused(cluster):
    done = cluster.run("salloc", "--fargate", "true")
    assert done.returncode != 0
    assert "fargate: --fargate is for batch scripts: use sbatch, not srun or salloc" in done.stderr


def test_step_inside_an_offloaded_job_never_runs_on_the_gateway(cluster):
    job = cluster.submit("echo up\nsleep 300\n", "-o", "out.%j")
    cluster.wait_state(job, {"RUNNING"})
    marker = os.path.join(cluster.home(), "ran-on-gateway")
    script = os.path.join(cluster.home(), "epilog.sh")
    with open(script, "w", encoding="ascii") as f:
        f.write(f"#!/bin/sh\ntouch {shlex.quote(marker)}\n")
    os.chmod(script, 0o755)
    for options in ([], ["--export=ALL,SLURM_JOB_NODELIST=node1"], [f"--task-epilog={script}"]):
        done = cluster.run("srun", f"--jobid={job}", "--overlap", *options, "touch", marker, timeout=120)
        # no word on the exit code: srun 22.05 ends with 0 when a task could not be launched
        assert "task 0 launch failed" in done.stderr
        assert "nothing but the batch script of a --fargate job runs on a gateway" in done.stderr
    assert not os.path.exists(os.path.join(cluster.home(), "ran-on-gateway"))
    assert cluster.state(job) == "RUNNING"
    assert "drain" not in cluster.scontrol("show", "node", "fargate-gw1").stdout.lower()


def conf_path(cluster):
    return os.path.join(os.path.dirname(cluster.env["SLURM_CONF"]), "fargate.conf")


BAD_CONF = [
    ("{}Colour=red\n", "fargate.conf:{last}: unknown key Colour"),
    ("{}PartitionName=fargate Cluster=hpc TaskDefinition=x Subnets=subnet-a SecurityGroups=sg-1\n", "fargate.conf:{last}: "),
]


@pytest.fixture
def conf(cluster):
    path = conf_path(cluster)
    with open(path, encoding="utf-8") as f:
        text = f.read()
    before = os.stat(path)
    yield path, text
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)
    os.chown(path, before.st_uid, before.st_gid)
    os.chmod(path, before.st_mode & 0o7777)
    # the partition that the tests below change
    wait_for(lambda: cluster.sbatch("--fargate", "--hold", "-p", "spot", "--wrap", "true").returncode == 0, 15, "a good conf in force")


@pytest.mark.parametrize("template, message", BAD_CONF)
def test_slurmctld_starts_with_a_bad_conf_and_refuses_only_ours(cluster, conf, template, message):
    path, text = conf
    bad = template.format(text)
    with open(path, "w", encoding="utf-8") as f:
        f.write(bad)
    cluster.sandbox("restart", "slurmctld")
    done = cluster.sbatch("--fargate", "--wrap", "true")
    assert done.returncode != 0
    assert "fargate: no --fargate job can be taken, ask your administrator: " in done.stderr
    assert message.format(last=len(bad.splitlines())) in done.stderr
    job = cluster.submit("true\n", fargate=False)
    cluster.wait_state(job)


def test_conf_that_others_may_write_is_refused(cluster, conf):
    path, _ = conf
    os.chmod(path, 0o666)
    cluster.sandbox("restart", "slurmctld")
    done = cluster.sbatch("--fargate", "--wrap", "true")
    assert done.returncode != 0
    assert "no --fargate job can be taken" in done.stderr and path in done.stderr


def test_missing_conf_is_refused(cluster, conf):
    path, _ = conf
    os.unlink(path)
    cluster.sandbox("restart", "slurmctld")
    done = cluster.sbatch("--fargate", "--wrap", "true")
    assert done.returncode != 0
    assert f"{path}: " in done.stderr and "No such file" in done.stderr


def test_bad_new_conf_keeps_the_old_one_in_force(cluster, conf):
    path, text = conf
    with open(path, "w", encoding="utf-8") as f:
        f.write(text + "Colour=red\n")
    wait_for(lambda: "unknown key Colour" in cluster.log("slurmctld"), 10, "the line in slurmctld.log")
    job = cluster.submit("true\n", "--hold")
    cluster.scancel(job)


RIGHTS = "AllowGroups=bob,no_such_group AllowAccounts=bio,chem TaskDefinitions=slurm-job-b* MaxVcpu=2 Implicit=YES"
FOR_BOB = ("fargate: partition 'spot' is only for the groups bob, no_such_group: "
           "choose another partition with -p or ask your administrator")
FOR_ACCOUNTS = "fargate: partition 'spot' is only for the accounts bio, chem, not for 'x': name one of them with -A"


@pytest.fixture
def rights(cluster, conf):
    """Rights on the partition spot, in force in slurmctld and in the agent."""
    path, text = conf
    start = len(cluster.agent_log())
    with open(path, "w", encoding="utf-8") as f:
        f.write(text.replace("PartitionName=spot", f"PartitionName=spot {RIGHTS}"))
    wait_for(lambda: cluster.sbatch("--fargate", "--hold", "-p", "spot", "--wrap", "true").returncode != 0, 15,
             "the rights in slurmctld")
    wait_for(lambda: "in force" in cluster.agent_log()[start:], 15, "the rights in the agent")


RIGHTS_REFUSED = [
    ("alice", ["--fargate", "-A", "bio"], FOR_BOB),
    ("alice", ["-A", "bio"], FOR_BOB), # Implicit=YES
    ("bob", ["--fargate", "-A", "x"], FOR_ACCOUNTS),
    ("bob", ["--fargate", "-A", "bio", "-c", "4"],
     "fargate: job needs 4 vCPU, MaxVcpu of partition 'spot' is 2; use fewer CPUs (-c) or another partition (-p)"),
    ("bob", ["--fargate", "-A", "bio", "--fargate-task-definition=admin"],
     "fargate: --fargate-task-definition=admin: partition 'spot' allows only slurm-job, slurm-job-b*"),
    ("bob", ["-A", "bio", "-N", "2"], "fargate: a Fargate job runs on one node: remove -N or use -N 1 (2 nodes)"),
    ("slurm", ["--fargate", "-A", "x"], FOR_ACCOUNTS),
]


def test_rights_of_a_partition(cluster, rights):
    for user, options, sentence in RIGHTS_REFUSED:
        done = cluster.sbatch("-p", "spot", *options, "--wrap", "true", user=user, cwd="/")
        assert done.returncode != 0 and sentence in done.stderr, f"{user} {options}: {done.stdout}{done.stderr}"
    for command in (["srun", "-p", "spot", "id"], ["salloc", "-p", "spot", "true"]):
        done = cluster.run(*command, user="bob")
        assert done.returncode != 0 and GATEWAY.replace("'fargate'", "'spot'") in done.stderr, command
    # SlurmUser and root are in every group; the door of the other partition is as open as ever.
    for user in ("slurm", None):
        done = cluster.run("sbatch", "-p", "spot", "--fargate", "--hold", "-A", "bio", "--wrap", "true", user=user, cwd="/")
        assert done.returncode == 0, f"{user}: {done.stderr}"
    assert cluster.sbatch("-p", "fargate", "--fargate", "--hold", "-A", "x", "--wrap", "true").returncode == 0
    said = cluster.log("slurmctld").count("knows no group 'no_such_group': nobody is in it")
    assert said == 1, "an unknown group is said once"
    # an update cannot bring in an account that sbatch would have refused
    job = cluster.submit("true\n", "-p", "spot", "--hold", "-A", "chem", user="bob", fargate=False)
    wait_for(lambda: cluster.scontrol("update", f"JobId={job}", "Partition=spot", user="bob").returncode == 0, 15,
             "the job in the snapshot")
    assert cluster.scontrol("update", f"JobId={job}", "Account=x", user="bob").returncode != 0
    assert cluster.scontrol("update", f"JobId={job}", "Account=bio", user="bob").returncode == 0
    cluster.run("scancel", "-u", "root", user=None)
    cluster.run("scancel", "-u", "slurm", user=None)


def test_implicit_partition_and_a_chosen_definition(cluster, rights):
    implicit = cluster.submit("echo implicit\n", "-p", "spot", "-A", "bio", "-o", "out.%j", user="bob", fargate=False)
    chosen = cluster.submit("echo chosen\n", "-p", "spot", "-A", "bio", "-o", "out.%j",
                            "--fargate-task-definition=slurm-job-busybox", user="bob")
    for job, text, family in ((implicit, "implicit", "slurm-job:1"), (chosen, "chosen", "slurm-job-busybox:1")):
        cluster.wait_state(job)
        assert cluster.output(job) == text + "\n"
        task, = cluster.tasks(job)
        assert task["taskDefinitionArn"].endswith("/" + family)
