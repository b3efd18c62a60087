# Tasks that no job claims: ghosts and orphans are stopped, other instances' and running jobs' tasks never; sfargate reap.
# SPDX-License-Identifier: GPL-2.0-or-later
import glob
import json
import os
import shutil
import signal
import tempfile

import botocore.config
import botocore.session
import pytest

from cluster import Cluster, wait_for

NO = {"tasks": [], "failures": [{"reason": "Capacity is unavailable at this time. Please try again later or in a different availability zone"}]}
REASON = "slurm-fargate: no job of this cluster claims it (sweep)"
GUARD = "slurmctld was started less than 5 minutes ago"
GROUP = "slurm-1700000000-0-1"


def reap(cluster, *options, user="slurm"):
    return cluster.run("sfargate", "reap", *options, user=user, cwd="/", timeout=150)


def answer(cluster, *options):
    done = reap(cluster, "--json", *options)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def row_of(cluster, task, *options):
    """What the agent says of one task, None when it does not list it."""
    return next((t for t in answer(cluster, *options)["tasks"] if t["task"] == task), None)


def id_of(task):
    return task["taskArn"].rpartition("/")[2]


class ByHand:
    """Tasks that somebody starts without Slurm; they stay until they are stopped."""

    def __init__(self, cluster):
        self.cluster = cluster
        self.made = []
        self.ecs = botocore.session.Session().create_client(
            "ecs", region_name=cluster.env["AWS_REGION"], endpoint_url=cluster.env["AWS_ENDPOINT_URL"],
            aws_access_key_id=cluster.env["AWS_ACCESS_KEY_ID"], aws_secret_access_key=cluster.env["AWS_SECRET_ACCESS_KEY"],
            config=botocore.config.Config(proxies={}))

    def run(self, **more):
        self.cluster.faults([{"task": {}, "stick": "PROVISIONING"}])
        network = {"awsvpcConfiguration": {"subnets": ["subnet-a"], "securityGroups": ["sg-1"]}}
        task, = self.ecs.run_task(cluster="hpc", taskDefinition="slurm-job", launchType="FARGATE", networkConfiguration=network, **more)["tasks"]
        self.cluster.faults([])
        self.made.append(id_of(task))
        return id_of(task)

    def ours(self, job, group=GROUP):
        """As if this cluster's agent had started it for that job."""
        name = self.cluster.scontrol("show", "config").stdout.split("ClusterName ")[1].split()[1]
        return self.run(startedBy=f"slurm/{name}-{answer(self.cluster, '--dry-run')['instance']}/{job}", group=group)

    def shown(self, task):
        return next(t for t in self.cluster.tasks() if id_of(t) == task)

    def runs(self, task):
        return self.shown(task)["desiredStatus"] == "RUNNING"

    def stop_all(self):
        for task in self.made:
            if self.runs(task):
                self.cluster.control("POST", f"tasks/{task}/stop")


@pytest.fixture(name="own_sandbox", scope="module")
def fixture_own_sandbox():
    """Not the session's: the tasks made here by hand are none that other tests can read."""
    directory = tempfile.mkdtemp(prefix="slurm-fargate-t.")
    os.chmod(directory, 0o755)
    sandbox = Cluster(directory, "--speed", "20")
    try:
        yield sandbox.up()
    finally:
        sandbox.down()
        shutil.rmtree(directory)


@pytest.fixture(name="cluster")
def fixture_cluster(own_sandbox):
    yield own_sandbox
    own_sandbox.reset()


@pytest.fixture(name="byhand")
def fixture_byhand(cluster):
    made = ByHand(cluster)
    yield made
    made.stop_all()


def test_a_ghost_of_a_finished_job_is_stopped(cluster):
    """AWS says no and starts a task all the same, which ListTasks shows only when the next try has run already."""
    cluster.faults([{"op": "RunTask", "reply": NO, "ghost": True}, {"task": {}, "stick": "PROVISIONING"}, {"op": "ListTasks", "lag": 600}])
    job = cluster.submit("echo ran\n", "-o", "out.%j")
    cluster.wait_state(job, timeout=90)
    assert cluster.output(job) == "ran\n"
    ghost, real = cluster.tasks(job)
    assert ghost["desiredStatus"] == "RUNNING", "the first task was to be a ghost"
    cluster.faults([])
    dry = row_of(cluster, id_of(ghost), "--dry-run", "--force")
    assert dry["decision"] == "stop" and dry["job"] == job, dry
    assert row_of(cluster, id_of(real), "--dry-run") is None
    assert cluster.tasks(job)[0]["desiredStatus"] == "RUNNING", "a dry run stops nothing"
    done = reap(cluster, "--force")
    assert done.returncode == 0 and f"{id_of(ghost)}  {job}" in done.stdout and "  stopped  " in done.stdout, done.stdout + done.stderr
    ghost = wait_for(lambda: next((t for t in cluster.tasks(job)[:1] if t["lastStatus"] == "STOPPED"), None), 30, "the ghost's end")
    assert ghost["stoppedReason"] == REASON
    assert cluster.agent_log().count(f"sweep: job {job}: task {id_of(ghost)} is stopped: no job claims it: ") == 1
    assert cluster.state(job) == "COMPLETED"


def test_tasks_of_others_are_never_listed_nor_stopped(cluster, byhand):
    others = [byhand.run(startedBy="slurm/sandbox-ffffffff/4242", group=GROUP), byhand.run(startedBy="somebody"), byhand.run(group=GROUP)]
    orphan = byhand.ours(4000000000)
    odd = byhand.ours(4000000001, group="service:web")
    running = cluster.submit("sleep 600\n")
    cluster.wait_state(running, {"RUNNING"})
    said = answer(cluster, "--force")
    assert {t["task"]: t["why"] for t in said["tasks"]} == {orphan: "Slurm does not know the job", odd: "Slurm does not know the job"}
    assert said["others"] >= len(others)
    assert not byhand.runs(orphan) and not byhand.runs(odd)
    assert all(byhand.runs(task) for task in others)
    assert cluster.tasks(running)[0]["desiredStatus"] == "RUNNING" and cluster.state(running) == "RUNNING"


def test_a_running_jobs_earlier_start_is_stopped_and_its_present_one_is_not(cluster, byhand):
    job = cluster.submit("sleep 600\n")
    cluster.wait_state(job, {"RUNNING"})
    group = cluster.tasks(job)[0]["group"]
    submit = group.split("-")[1]
    past, later = byhand.ours(job, f"slurm-{int(submit) - 1}-0-1"), byhand.ours(job, f"slurm-{submit}-0-7")
    rows = {t["task"]: t for t in answer(cluster, "--force")["tasks"]}
    assert rows[past]["decision"] == "stopped" and rows[past]["why"] == "an earlier start or try of the job made it", rows
    assert rows[later]["decision"] == "wait" and rows[later]["why"] == "it is of a later try than the agent's record of the job", rows
    assert not byhand.runs(past) and byhand.runs(later)
    assert cluster.state(job) == "RUNNING" and cluster.tasks(job)[0]["desiredStatus"] == "RUNNING"


def test_a_start_of_slurmctld_keeps_the_sweep_from_stopping(cluster, byhand):
    orphan = byhand.ours(4000000002)
    cluster.sandbox("restart", "slurmctld")
    done = wait_for(lambda: (d := reap(cluster)).returncode == 0 and d, 30, "an answer")
    assert f"sfargate: {GUARD}: no task is stopped meanwhile without --force" in done.stderr
    assert f"{orphan}  4000000002" in done.stdout and f"  wait      {GUARD}" in done.stdout, done.stdout
    assert byhand.runs(orphan)
    assert f"sweep: {GUARD}: no task is stopped meanwhile" in cluster.agent_log()
    assert row_of(cluster, orphan, "--dry-run", "--force")["decision"] == "stop"
    assert row_of(cluster, orphan, "--force")["decision"] == "stopped"
    assert not byhand.runs(orphan)


def test_only_root_and_slurmuser_may_reap(cluster, byhand):
    orphan = byhand.ours(4000000003)
    for options in ((), ("--dry-run",), ("--force",)):
        done = reap(cluster, *options, user="alice")
        assert (done.returncode, done.stdout, done.stderr) == (1, "", "sfargate: only root and SlurmUser may reap tasks\n")
    assert byhand.runs(orphan)
    assert reap(cluster, "--dry-run", user=None).returncode == 0


def put_conf(cluster, head):
    path = os.path.join(os.path.dirname(cluster.env["SLURM_CONF"]), "fargate.conf")
    with open(path, encoding="utf-8") as f:
        text = f.read()
    with open(path, "w", encoding="utf-8") as f:
        f.write(head + text)


def test_jobs_go_on_and_orphans_end_when_the_store_is_lost(new_sandbox):
    """Instance= is set: the new jobs.db goes on with the old one's tasks."""
    cluster = new_sandbox("--speed", "20").up()
    put_conf(cluster, "Instance=kept\nReconcileInterval=1\n")
    cluster.sandbox("restart", "agent")
    byhand = ByHand(cluster)
    job = cluster.submit("echo begun\nsleep 25\necho over\nexit 6\n", "-o", "out.%j")
    cluster.wait_state(job, {"RUNNING"})
    wait_for(lambda: cluster.output(job) == "begun\n", 30, "some output")
    orphan = byhand.ours(4000000004)
    seen = wait_for(lambda: (row := row_of(cluster, orphan, "--dry-run")) and row["seen"] >= 2 and row, 60, "a second sweep")
    assert seen["decision"] == "wait" and byhand.runs(orphan), seen
    task, = cluster.tasks(job)
    os.kill(cluster.pid("agent"), signal.SIGKILL)
    for path in glob.glob(os.path.join(cluster.root, "agent", "state", "jobs.db*")):
        os.unlink(path)
    cluster.sandbox("restart", "agent")
    done = wait_for(lambda: (d := reap(cluster, "--force", "--json")).returncode == 0 and d, 60, "a sweep of the new agent")
    rows = {t["task"]: t["decision"] for t in json.loads(done.stdout)["tasks"]}
    assert rows[orphan] == "stopped" and rows.get(id_of(task), "wait") == "wait", rows
    wait_for(lambda: f"job {job}: taken, restart 0" in cluster.agent_log(), 60, "the attach to come back")
    reap(cluster, "--force")
    record = cluster.wait_state(job, {"FAILED"}, timeout=120)
    assert record["ExitCode"] == "6:0"
    assert len(cluster.tasks(job)) == 1 and not cluster.tasks(job)[0]["stoppedReason"].startswith("slurm-fargate")
