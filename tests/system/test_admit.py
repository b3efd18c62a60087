# What the agent holds a job against before it launches it: Slurm's record, fargate.conf of now, MaxVcpu. And odd names, suspend.
# SPDX-License-Identifier: GPL-2.0-or-later
import os
import re

import pytest

from cluster import wait_for

CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
WORST = b"aws:\x1b[2J\x07\xc2\x9b31m\n\"'$(reboot)\\\xff\xe2\x80\xaetxt.\xf0\x9f\x92\xa9\xc3("


@pytest.fixture(name="conf")
def fixture_conf(cluster):
    """put(text) of fargate.conf, in force at the agent when it returns; put back at the end."""
    path = os.path.join(os.path.dirname(cluster.env["SLURM_CONF"]), "fargate.conf")
    with open(path, encoding="utf-8") as f:
        before = f.read()

    def put(text):
        start = len(cluster.agent_log())
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        wait_for(lambda: "the changed file is in force" in cluster.agent_log()[start:], 20, "the agent to take the new fargate.conf")

    put.before = before
    yield put
    put(before)


def in_line(text, partition, keys):
    return text.replace(f"PartitionName={partition} ", f"PartitionName={partition} {keys} ", 1)


def ok(done):
    assert done.returncode == 0, done.stderr


def test_what_changed_after_submission_is_held_with_a_sentence(cluster, conf):
    rows = {
        "cpus": (["NumCPUs=2"], "the job's record in Slurm asks for more CPUs than its Fargate size has (2, 1); submit it again"),
        "memory": (["MinMemoryNode=6000"],
                   "the job's record in Slurm has 6000 MiB of memory, which its Fargate size 1vCPU/2GB is not for; submit it again"),
        "local": (["Partition=local"], "the job is in partition 'local', which has no line in "),
        "group": (["Partition=spot"], "user alice is in none of the groups that may use partition spot; see AllowGroups in fargate.conf"),
    }
    jobs = {name: cluster.submit("true\n", "-H", "-J", name) for name in rows}
    rows["spot"] = (["Partition=fargate"],
                    "the job asks for Fargate Spot, which partition fargate does not have; see Providers in fargate.conf")
    jobs["spot"] = cluster.submit("true\n", "-H", "-p", "spot", "--fargate-spot=only")
    big = cluster.submit("true\n", "-H", "-c", "4")
    conf(in_line(in_line(conf.before, "spot", "AllowGroups=root"), "fargate", "MaxVcpu=2"))
    for name, (changes, _) in rows.items():
        ok(cluster.scontrol("update", f"job={jobs[name]}", *changes))
    ok(cluster.scontrol("release", *map(str, [*jobs.values(), big])))
    for name, (_, sentence) in rows.items():
        cluster.wait_held(jobs[name])
        assert sentence in cluster.comment(jobs[name])
    cluster.wait_held(big)
    assert "the Fargate size 4vCPU/8GB is more than partition fargate may have at all, MaxVcpu=2" in cluster.comment(big)
    assert not any(cluster.tasks(job) for job in [*jobs.values(), big])


def test_a_job_that_the_admin_moves_runs_by_the_new_line(cluster):
    job = cluster.submit("true\n", "-H")
    ok(cluster.scontrol("update", f"job={job}", "Partition=spot"))
    ok(cluster.scontrol("release", str(job)))
    cluster.wait_state(job)
    task, = cluster.tasks(job)
    assert task["clusterArn"].endswith("/hpc-spot") and task["capacityProviderName"] == "FARGATE_SPOT"


def test_the_wish_for_spot_goes_before_the_order_of_providers(cluster, conf):
    conf(conf.before.replace("Providers=FARGATE\n", "Providers=FARGATE,FARGATE_SPOT\n", 1))
    held = ("--hold", "--fargate", "--fargate-spot", "--wrap", "true")
    wait_for(lambda: cluster.sbatch(*held).returncode == 0, 15, "the new line in slurmctld")
    rows = {None: "FARGATE", "--fargate-spot": "FARGATE_SPOT", "--fargate-spot=only": "FARGATE_SPOT"}
    jobs = {option: cluster.submit("true\n", *([option] if option else [])) for option in rows}
    for option, job in jobs.items():
        assert f" {rows[option]} " in cluster.comment(job), option
        cluster.wait_state(job)
        task, = cluster.tasks(job)
        spot = task.get("capacityProviderName") == "FARGATE_SPOT"
        assert spot == (rows[option] == "FARGATE_SPOT"), option


def test_max_vcpu_makes_jobs_wait_in_order_and_survives_the_agent(cluster, conf):
    conf(in_line(conf.before, "fargate", "MaxVcpu=2"))
    first, second = (cluster.submit("sleep 300\n") for _ in range(2))
    for job in (first, second):
        cluster.wait_task(job)
    third = cluster.submit("echo third\n", "-o", "lane.%j")
    waiting = "fargate: quota - 1vCPU/2GB FARGATE -: partition fargate has 2 of MaxVcpu=2 in use"
    wait_for(lambda: cluster.comment(third) == waiting, 20, lambda: f"{waiting!r}, not {cluster.comment(third)!r}")
    assert cluster.state(third) == "CONFIGURING"
    os.kill(cluster.pid("agent"), 9)
    cluster.sandbox("restart", "agent")
    wait_for(lambda: cluster.agent_log().count(f"job {third}: waits: ") == 2, 20, "the new agent to make it wait again")
    assert cluster.tasks(third) == []
    cluster.scancel(first)
    cluster.wait_state(third)
    assert cluster.output(third) == "third\n"
    assert cluster.state(second) == "RUNNING"


def test_a_suspended_job_says_that_its_task_runs_on(cluster):
    job = cluster.submit("sleep 300\n")
    cluster.wait_state(job, {"RUNNING"})
    normal = wait_for(lambda: "running" in cluster.comment(job) and cluster.comment(job), 10, "the comment")
    ok(cluster.scontrol("suspend", str(job)))
    note = normal + ": suspended in Slurm, but the Fargate task runs on and costs; scancel ends it"
    wait_for(lambda: cluster.comment(job) == note, 15, lambda: f"{note!r}, not {cluster.comment(job)!r}")
    assert cluster.tasks(job)[0]["lastStatus"] == "RUNNING"
    ok(cluster.scontrol("resume", str(job)))
    wait_for(lambda: cluster.comment(job) == normal, 15, lambda: f"{normal!r}, not {cluster.comment(job)!r}")
    assert cluster.state(job) == "RUNNING"


def test_a_job_that_ends_while_it_is_suspended_keeps_its_exit_code(cluster):
    job = cluster.submit("echo begun\nsleep 3\necho done\nexit 7\n", "-o", "suspended.%j")
    cluster.wait_state(job, {"RUNNING"})
    wait_for(lambda: cluster.output(job), 20, "the first line: its fargate-attach is there")
    ok(cluster.scontrol("suspend", str(job)))
    wait_for(lambda: f"job {job}: verdict exited" in cluster.agent_log(), 20, "the verdict")
    assert cluster.state(job) == "SUSPENDED"
    ok(cluster.scontrol("resume", str(job)))
    assert cluster.wait_state(job, {"FAILED"})["ExitCode"] == "7:0"
    assert cluster.output(job) == "begun\ndone\n"


def test_the_worst_name_harms_nobody(cluster):
    name = WORST + b"x" * (1024 - len(WORST))
    script = cluster.write("worst.sh", "#!/bin/sh\nprintf %s \"$SLURM_JOB_NAME\"\n")
    done = cluster.run("sbatch", "--fargate", "--parsable", "-o", "worst.%j", "--comment", os.fsdecode(WORST), "-J", os.fsdecode(name), script)
    assert done.returncode == 0, done.stderr
    job = int(done.stdout)
    start = len(cluster.agent_log())
    cluster.wait_state(job)
    tags = {t["key"]: t["value"] for t in cluster.tasks(job)[0]["tags"]}
    tag = tags["slurm:jobname"]
    assert len(tag) <= 256 and re.fullmatch(r"[A-Za-z0-9 _.:/=+@-]+", tag) and tag.startswith("aws__")
    seen = cluster.output(job).rstrip("\n")
    assert seen.startswith("aws:?[2J?") and not CONTROL.search(seen) and "reboot" in seen
    assert not CONTROL.search(cluster.agent_log()[start:].replace("\n", ""))
    for command in ("status", "show"):
        said = cluster.sfargate(command, *([job] if command == "show" else [])).stdout
        assert not CONTROL.search(said.replace("\n", "")), said
