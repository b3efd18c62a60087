# Every way in which Slurm ends or requeues a job stops its task and says which it was; signals that AWS cannot deliver stop nothing.
# SPDX-License-Identifier: GPL-2.0-or-later
import json
import os
import re
import subprocess
import time
from types import SimpleNamespace

import pytest
from conftest import run_sandbox

from cluster import PATIENCE, wait_for

# Jobs of bob stay in PROVISIONING, jobs of alice run: so all rows can be played at once.
USERS = {"PROVISIONING": "bob", "RUNNING": "alice"}
STICK = [{"task": {"user": "bob"}, "times": 1000, "stick": "PROVISIONING"}]
TRAP = 'trap "echo got TERM; exit 3" TERM\necho up\nwhile :; do sleep 1; done\n'
SPEED = 20
HEARD = 2       # s: a process of ours sees it
POLLED = 7      # s: only the look at Slurm every SlurmPoll (5 s) does
FRAIL, FULL = "fargate-gw3", "fargate-gw2"

SLURM_CONF = f"""
ReturnToService=0
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
PartitionName=requeued Nodes={FULL} MaxNodes=1 DefMemPerCPU=2048 PriorityTier=1 PreemptMode=REQUEUE
PartitionName=cancelled Nodes={FULL} MaxNodes=1 DefMemPerCPU=2048 PriorityTier=1 PreemptMode=CANCEL
PartitionName=warned Nodes={FULL} MaxNodes=1 DefMemPerCPU=2048 PriorityTier=1 PreemptMode=CANCEL GraceTime=1
PartitionName=urgent Nodes={FULL} MaxNodes=1 DefMemPerCPU=2048 PriorityTier=10
PartitionName=frail Nodes={FRAIL} MaxNodes=1 DefMemPerCPU=2048
"""


def scancel(cluster, job, *options):
    return cluster.scancel(*options, job, user="slurm")


def requeue(command):
    return lambda cluster, job: cluster.scontrol(*command, job)


def limit(cluster, job):
    return cluster.scontrol("update", f"jobid={job}", "EndTime=now+1")


def kill_step(cluster, job):
    return scancel(cluster, job, "-b", "-s", "KILL")


def preempt(_cluster, _job):
    """One job for all of them, see play()."""


def node_down(cluster, _job):
    return cluster.scontrol("update", f"nodename={FRAIL}", "state=down", "reason=test")


# name, options, what is done, task's state: (why, Slurm's state, seconds to StopTask or None = Slurm's own pace)
WAYS = [
    ("scancel", (), scancel, {"PROVISIONING": ("cancelled", "CANCELLED", HEARD), "RUNNING": ("cancelled", "CANCELLED", HEARD)}),
    ("requeue", (), requeue(["requeue"]), {"PROVISIONING": ("requeued", "PENDING", POLLED), "RUNNING": ("requeued", "PENDING", HEARD)}),
    ("requeuehold", (), requeue(["requeuehold"]), {"PROVISIONING": ("requeued", "PENDING", POLLED), "RUNNING": ("requeued", "PENDING", HEARD)}),
    ("special-exit", (), requeue(["requeuehold", "State=SpecialExit"]), {"RUNNING": ("requeued", "SPECIAL_EXIT", HEARD)}),
    # (While the job is CONFIGURING its time does not run.)
    ("time-limit", (), limit, {"RUNNING": ("time limit", "TIMEOUT", None)}),
    ("step-killed", (), kill_step, {"RUNNING": ("ended", "FAILED", HEARD)}),
    # Slurm forgets at once that a CONFIGURING job was requeued for another one.
    ("preempt-requeue", ("-p", "requeued"), preempt, {"PROVISIONING": ("requeued", "PENDING", None), "RUNNING": ("preempted", "PENDING", None)}),
    ("preempt-cancel", ("-p", "cancelled"), preempt, {"PROVISIONING": ("preempted", "CANCELLED", None), "RUNNING": ("preempted", "PREEMPTED", None)}),
    # What Slurm sends when the grace begins reaches no process of ours.
    ("preempt-grace", ("-p", "warned"), preempt, {"RUNNING": ("preempted", "PREEMPTED", None)}),
    ("node-down", ("-p", "frail"), node_down, {"PROVISIONING": ("node failure", "PENDING", POLLED), "RUNNING": ("node failure", "PENDING", HEARD)}),
    ("node-down-no-requeue", ("-p", "frail", "--no-requeue"), node_down,
     {"PROVISIONING": ("node failure", "NODE_FAIL", POLLED), "RUNNING": ("node failure", "NODE_FAIL", HEARD)}),
]
ROWS = {f"{name}-{status}": (options, act, status, *wanted)
        for name, options, act, states in WAYS for status, wanted in states.items()}

# Without PrologSlurmctld the job is RUNNING while its task is PROVISIONING: its time runs, and fargate-attach hears of everything.
NO_PROLOG = {
    "scancel-PROVISIONING": ((), scancel, "PROVISIONING", "cancelled", "CANCELLED", HEARD),
    "scancel-RUNNING": ((), scancel, "RUNNING", "cancelled", "CANCELLED", HEARD),
    "requeue-PROVISIONING": ((), requeue(["requeue"]), "PROVISIONING", "requeued", "PENDING", HEARD),
    "requeue-RUNNING": ((), requeue(["requeue"]), "RUNNING", "requeued", "PENDING", HEARD),
    "time-limit-PROVISIONING": ((), limit, "PROVISIONING", "time limit", "TIMEOUT", None),
}


def rewrite(path, change):
    with open(path, encoding="utf-8") as f:
        text = change(f.read())
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)


def private_slurm_conf(text):
    text = text.replace("ReturnToService=2\n", "")
    text = text.replace("Nodes=fargate-gw[1-3] ", "Nodes=fargate-gw1 ")
    # A job of 8 CPUs preempts every other one.
    text = re.sub(rf"(NodeName={FULL} .*?)CPUs=1000(.*?)CoresPerSocket=1000", r"\1CPUs=8\2CoresPerSocket=8", text)
    return text + SLURM_CONF


def private_fargate_conf(text):
    line = next(row for row in text.splitlines() if row.startswith("PartitionName=fargate "))
    added = [line.replace("PartitionName=fargate Default=YES", "PartitionName=" + name)
             for name in ("requeued", "cancelled", "warned", "urgent", "frail")]
    return text.replace(line, line + " TaskDefinitions=stop-*") + "\n".join(added) + "\n"


def configure(cluster):
    conf = os.path.dirname(cluster.env["SLURM_CONF"])
    path = os.path.join(conf, "fargate.conf")
    rewrite(cluster.env["SLURM_CONF"], private_slurm_conf)
    cluster.sandbox("restart", "slurmd-2")
    cluster.sandbox("restart", "slurmctld")
    starts = len(cluster.log("agent")), len(cluster.log("slurmctld"))
    rewrite(path, private_fargate_conf)
    for part, start, what in zip(("agent", "slurmctld"), starts, ("the changed file is in force, 7 partitions", f"{path} loaded")):
        wait_for(lambda part=part, start=start, what=what: what in cluster.log(part)[start:], 30, f"{what!r} in {part}'s log")


@pytest.fixture(name="site", scope="module")
def fixture_site():
    """Three gateways: an ordinary one, one of 8 CPUs with partitions that are preempted, one that goes DOWN and stays so."""
    for cluster in run_sandbox("--speed", str(SPEED), "--gateways", "3"):
        configure(cluster)
        yield cluster


def stopped(cluster, job):
    return [t for t in cluster.tasks(job) if t["desiredStatus"] == "STOPPED"]


def ready(cluster, row):
    if row.status == "PROVISIONING":
        return cluster.tasks(row.job)
    return "up" in cluster.output(row.job)


def quietly(condition, timeout, what):
    """For what the tests of the rows look at one by one."""
    try:
        return wait_for(condition, timeout, what)
    except AssertionError:
        return None


def begin(cluster, rows):
    cluster.faults(STICK)
    played = {}
    for name, (options, act, status, *_) in rows.items():
        job = cluster.submit(TRAP, "-o", "stop.%j", *options, user=USERS[status])
        played[name] = SimpleNamespace(job=job, act=act, status=status, acted=None)
    return played


def wait_ready(cluster, played):
    for row in played.values():
        wait_for(lambda row=row: ready(cluster, row), 60, lambda row=row: f"{row}: {cluster.show(row.job)}")


def act_on(cluster, played):
    acted = {}
    for row in played.values():
        # The first one downs the node of all.
        row.acted = acted.setdefault(node_down, time.time()) if row.act is node_down else time.time()
        done = row.act(cluster, row.job)
        assert done is None or done.returncode == 0, done.stderr


def look(cluster, played):
    """What became of them, for the tests of the rows."""
    for row in played.values():
        quietly(lambda row=row: stopped(cluster, row.job), 60, "StopTask")
        quietly(lambda row=row: "COMPLETING" not in cluster.scontrol("show", "job", row.job).stdout, 30, "the end of its step")
        if row.status == "RUNNING" and row.act is not kill_step:
            quietly(lambda row=row: "got TERM" in cluster.output(row.job), 10, "the trap's line")
        row.record, row.tasks, row.output = cluster.show(row.job), cluster.tasks(row.job), cluster.output(row.job)


@pytest.fixture(name="scene", scope="module")
def fixture_scene(site, session_cluster_noprolog):
    """Everything at once, because Slurm looks at time limits only every 30 s."""
    bare = session_cluster_noprolog
    scene = SimpleNamespace(rows=begin(site, ROWS), bare_rows=begin(bare, NO_PROLOG), deaf=submit_deaf(site), drained=submit_drained(site),
                            signalled=submit_signalled(site), halted=site.submit(HALTED, "-o", "halted.%j"))
    wait_ready(site, scene.rows)
    wait_ready(bare, scene.bare_rows)
    scene.urgent = site.submit("echo urgent\n", "-p", "urgent", "-c", "8")
    act_on(site, scene.rows)
    act_on(bare, scene.bare_rows)
    drain(site, scene.drained)
    send_signals(site, scene.signalled)
    scancel_deaf(site, scene.deaf)
    wait_for(lambda: site.output(scene.halted), 60, "the script")
    scancel(site, scene.halted, "-b", "-s", "STOP")
    look(site, scene.rows)
    look(bare, scene.bare_rows)
    yield scene
    bare.reset()


def check(row, wanted):
    why, state, seconds = wanted
    task, = row.tasks
    assert task["stoppedReason"] == f"Slurm job {row.job}: {why}"
    assert task["stopCode"] == "UserInitiated"
    assert row.record["JobState"] == state, row.record
    if state == "PENDING":      # Slurm takes no comment for a job that has ended
        assert re.match(rf"fargate: stopping [0-9a-f]+ .*: {why}$", row.record["AdminComment"]), row.record["AdminComment"]
    if seconds:
        assert task["stoppingAt"] - row.acted < seconds * PATIENCE
    assert "cannot be delivered" not in row.output
    if row.status == "PROVISIONING":
        assert "startedAt" not in task
    elif row.act is not kill_step:      # nobody is left to copy it
        assert "\ngot TERM\n" in row.output


@pytest.mark.parametrize("name", ROWS)
def test_a_job_that_slurm_ends_stops_its_task_and_says_why(scene, name):
    check(scene.rows[name], ROWS[name][3:])


@pytest.mark.parametrize("name", NO_PROLOG)
def test_the_same_without_prolog(scene, name):
    check(scene.bare_rows[name], NO_PROLOG[name][3:])


# -- draining -----------------------------------------------------------------------------------------------------------

def submit_drained(site):
    return SimpleNamespace(runs=site.submit("echo up\nsleep 20\necho done\nexit 4\n", "-o", "drain.%j"), waits=site.submit("echo never\n", user="bob"))


def drain(site, jobs):
    wait_for(lambda: "up" in site.output(jobs.runs) and site.tasks(jobs.waits), 60, "both")
    assert site.scontrol("update", "nodename=fargate-gw1", "state=drain", "reason=test").returncode == 0


def test_a_drained_gateway_lets_its_jobs_finish(site, scene):
    jobs = scene.drained
    assert "DRAIN" in site.scontrol("show", "node", "fargate-gw1").stdout
    assert site.wait_state(jobs.runs, {"FAILED"})["ExitCode"] == "4:0"
    assert site.output(jobs.runs) == "up\ndone\n"
    assert site.state(jobs.waits) == "CONFIGURING"
    assert [t["desiredStatus"] for t in site.tasks(jobs.waits)] == ["RUNNING"]
    site.scontrol("update", "nodename=fargate-gw1", "state=resume")
    site.scancel(jobs.waits, user="bob")
    site.wait_state(jobs.waits, {"CANCELLED"})


# -- stopTimeout and StopGrace ------------------------------------------------------------------------------------------

def register(cluster, family, stop_timeout):
    with open(os.path.join(os.path.dirname(__file__), "..", "..", "contrib", "example", "task-definition.json"), encoding="utf-8") as f:
        wanted = json.load(f)
    wanted["family"] = family
    wanted["containerDefinitions"][0].update(image="host", stopTimeout=stop_timeout)
    done = subprocess.run(["aws", "--endpoint-url", cluster.env["AWS_ENDPOINT_URL"], "ecs", "register-task-definition", "--cli-input-json",
                           json.dumps(wanted)], env={**os.environ, **cluster.env}, text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


DEAF = 'trap "" TERM\necho up\ni=0\nwhile :; do sleep 0.1; i=$((i + 1)); echo still $i; done\n'
LATER = "fargate: the job was ended by Slurm; later output stays in CloudWatch; see CloudWatch log group /slurm/jobs, stream slurm/main/"


def submit_deaf(site):
    for seconds in (10, 120):
        register(site, f"stop-{seconds}", seconds)
    return {s: site.submit(DEAF, "-o", "deaf.%j", f"--fargate-task-definition=stop-{s}") for s in (10, 120)}


def scancel_deaf(site, jobs):
    for job in jobs.values():
        wait_for(lambda job=job: "still" in site.output(job), 60, "the script")
        site.scancel(job)


@pytest.mark.parametrize("seconds", [10, 120])
def test_stop_timeout_is_the_definition_s_and_stop_grace_ends_the_copying(site, scene, seconds):
    job = scene.deaf[seconds]
    wait_for(lambda: site.tasks(job)[0]["lastStatus"] == "STOPPED", 60, "the task's end")
    site.wait_state(job, {"CANCELLED"})
    task, = site.tasks(job)
    assert task["stoppedReason"] == f"Slurm job {job}: cancelled"
    assert task["containers"][0]["exitCode"] == 137
    assert seconds / SPEED <= task["executionStoppedAt"] - task["stoppingAt"] < (seconds / SPEED + 2) * PATIENCE
    # 120 s are 6 s here, longer than StopGrace (5 s): what came until then is in the file, and where the rest is.
    text = site.output(job)
    assert LATER in text or seconds < 120
    assert len(re.findall("^still", text, re.MULTILINE)) > (30 if seconds == 120 else 1)


# -- signals ------------------------------------------------------------------------------------------------------------

def note(name):
    return f"fargate: signal {name} cannot be delivered to the Fargate task: AWS delivers only SIGTERM, by stopping it; the job goes on\n"


TERM = ("fargate: signal TERM cannot be delivered to the Fargate task without ending it, and Slurm has not ended the job; "
        "the job goes on\n")
# options of sbatch, options of scancel (twice), what its user is told (once)
SIGNALS = {
    "scancel -b -s USR1": ((), ("-b", "-s", "USR1"), note("USR1")),
    "scancel -f -s USR2": ((), ("-f", "-s", "USR2"), note("USR2")),
    "scancel -b -s TERM": ((), ("-b", "-s", "TERM"), TERM),
    "scancel -b -s 40": ((), ("-b", "-s", "40"), note("40")),
    # Slurm looks at time limits every 30 s.
    "--signal=B:USR1@300": (("-t", "5", "--signal=B:USR1@300"), None, note("USR1")),
    "--signal=B:TERM@300": (("-t", "5", "--signal=B:TERM@300"), None, TERM),
    # These reach steps started by srun only, and there are none: neither Slurm nor anything of ours can say so.
    "scancel -s USR1": ((), ("-s", "USR1"), ""),
    "--signal=USR1@300": (("-t", "5", "--signal=USR1@300"), None, ""),
}


def submit_signalled(site):
    return {name: site.submit(TRAP, "-o", "signal.%j", "-e", "signal.%j.err", *options) for name, (options, _, _) in SIGNALS.items()}


def send_signals(site, jobs):
    for job in jobs.values():
        wait_for(lambda job=job: site.output(job) == "up\n", 60, "the script")
    for name, (_, options, _) in SIGNALS.items():
        for _ in range(2 if options else 0):
            done = scancel(site, jobs[name], *options)
            assert done.returncode == 0, done.stderr


def said(site, job):
    """But for slurmstepd, which calls every SIGTERM a cancellation."""
    return "".join(line for line in site.output(job, "StdErr").splitlines(True) if not line.startswith("slurmstepd"))


@pytest.mark.parametrize("name", sorted(SIGNALS, key=lambda name: SIGNALS[name][2] == ""))
def test_a_signal_leaves_the_job_alone_and_is_told_once(site, scene, name):
    job, wanted = scene.signalled[name], SIGNALS[name][2]
    quietly(lambda: wanted in said(site, job), 45, "the line")
    assert said(site, job) == wanted
    assert site.output(job) == "up\n"
    assert site.state(job) == "RUNNING"
    assert [t["desiredStatus"] for t in site.tasks(job)] == ["RUNNING"]


HALTED = "echo up\nsleep 5\necho later\nexit 6\n"


def test_a_halted_fargate_attach_holds_up_nothing_for_long(site, scene):
    """Nobody sends CONT: 20 s after the task's end the agent ends the job, and that wakes it."""
    job = scene.halted
    assert site.wait_state(job, {"FAILED"}, timeout=90)["ExitCode"] == "6:0"
    wait_for(lambda: "later" in site.output(job), 30, "the output")
    assert [line for line in site.output(job).splitlines() if not line.startswith("slurmstepd")] == ["up", "later"]


# -- afterwards ---------------------------------------------------------------------------------------------------------

def test_no_gateway_is_drained(site, scene):
    site.wait_state(scene.urgent, timeout=90)
    for job in scene.signalled.values():
        site.scancel(job)
    for node in ("fargate-gw1", FRAIL):
        site.scontrol("update", f"nodename={node}", "state=resume")
    text = wait_for(lambda: (found := site.scontrol("show", "node").stdout) and "State=DOWN" not in found and found, 30, "the nodes")
    assert "DRAIN" not in text and "Reason=" not in text, text


def test_each_task_was_stopped_once(site, scene):
    site.reset()
    assert scene
    stops = site.calls("StopTask")
    assert (stops["ok"], stops["refused"]) == (len([t for t in site.tasks() if t.get("stopCode") == "UserInitiated"]), 0)
