# The agent: its own restart, its absence, and what AWS may answer.
# SPDX-License-Identifier: GPL-2.0-or-later
import os
import re
import signal
import time

import pytest

from cluster import wait_for

COUNT = "i=0\nwhile [ $i -lt 60 ]; do echo line $i; i=$((i+1)); sleep 0.1; done\nexit 5\n"
LINES = "".join(f"line {i}\n" for i in range(60))


@pytest.mark.parametrize("how", ["restart", "kill"])
def test_job_survives_the_agent_without_losing_or_doubling_a_line(cluster, how):
    job = cluster.submit(COUNT, "-o", "out.%j")
    cluster.wait_state(job, {"RUNNING"})
    wait_for(lambda: "line 5\n" in cluster.output(job), 30, "some output")
    if how == "kill":
        os.kill(cluster.pid("agent"), signal.SIGKILL)
    cluster.sandbox("restart", "agent")
    record = cluster.wait_state(job, {"FAILED"})
    assert record["ExitCode"] == "5:0"
    assert cluster.output(job) == LINES
    assert len(cluster.tasks(job)) == 1


def test_agent_killed_while_the_job_configures(cluster):
    cluster.faults([{"task": {}, "stick": "PROVISIONING"}])
    job = cluster.submit("echo done\n", "-o", "out.%j")
    task = wait_for(lambda: cluster.tasks(job), 20, "the task")[0]
    os.kill(cluster.pid("agent"), signal.SIGKILL)
    cluster.faults([])
    cluster.sandbox("restart", "agent")
    wait_for(lambda: f"job {job}: found in jobs.db" in cluster.agent_log(), 20, "the record")
    # the stuck task never runs; somebody else stops it, and that is no success
    cluster.control("POST", f"tasks/{task['taskArn'].split('/')[-1]}/stop")
    record = cluster.wait_state(job, {"FAILED"})
    assert "Task stopped by user" in record["AdminComment"]
    assert "the task ended as external: Task stopped by user" in cluster.output(job)
    assert len(cluster.tasks(job)) == 1


def test_agent_down_at_submission_job_waits_and_then_runs(cluster):
    os.kill(cluster.pid("agent"), signal.SIGTERM)

    def said():
        done = cluster.sbatch("--fargate", "-o", "late.%j", "--wrap", "echo late")
        text = done.stdout + done.stderr
        job = int(done.stdout.split()[-1])
        if "fargate: the agent does not answer; the job will wait" in text:
            return job
        cluster.scancel(job)
        return None

    job = wait_for(said, 20, "slurmctld to know that the agent is away", step=0.5)
    assert cluster.comment(job).startswith("fargate: agent-down - 1vCPU/2GB FARGATE")
    wait_for(lambda: cluster.state(job) == "CONFIGURING", 20, "CF")
    cluster.sandbox("restart", "agent")
    cluster.wait_state(job)
    assert cluster.output(job) == "late\n"


HELD = [
    ({"op": "RunTask", "error": {"code": "AccessDeniedException", "message": "User: x is not authorized to perform: ecs:RunTask", "status": 400}},
     "not authorized to perform: ecs:RunTask"),
    ({"op": "RunTask", "reply": {"tasks": [], "failures": []}}, "AWS answered with neither a task nor a failure"),
    ({"op": "DescribeTaskDefinition", "error": {"code": "ClientException", "message": "Unable to describe task definition.", "status": 400}},
     "Unable to describe task definition."),
    ({"task": {}, "ending": {"at": "PENDING", "after": 0.1, "stopCode": "TaskFailedToStart",
                             "stoppedReason": "CannotPullContainerError: pull access denied"}}, "pull access denied"),
]


@pytest.mark.parametrize("rule, words", HELD, ids=lambda v: v if isinstance(v, str) else "")
def test_launch_failure_is_held_with_the_words_of_aws(cluster, rule, words):
    if rule.get("op") == "DescribeTaskDefinition":
        cluster.sandbox("restart", "agent")  # an agent that has not looked it up yet
    cluster.faults([rule])
    job = cluster.submit("echo never\n", "-o", "out.%j")
    record = cluster.wait_held(job)
    assert record["AdminComment"].startswith("fargate: held ") and words in record["AdminComment"]
    cluster.faults([])
    cluster.scontrol("release", job)
    cluster.start_now(job)
    cluster.wait_state(job, timeout=90)


def test_three_refusals_pause_a_partition(cluster):
    """Whose other jobs wait and say why, until an administrator opens it again."""
    refusal = {"op": "RunTask", "times": 3, "error": {"code": "ClusterNotFoundException", "message": "Cluster not found.", "status": 400}}
    cluster.faults([refusal])
    held = [cluster.submit("true\n") for _ in range(3)]
    for job in held:
        assert "Cluster not found." in cluster.wait_held(job)["AdminComment"]
    waiting = cluster.submit("echo late\n", "-o", "out.%j")
    wait_for(lambda: "is paused since AWS refused 3 of its jobs in a row" in cluster.comment(waiting), 30, "the reason")
    assert cluster.comment(waiting).endswith("sfargate resume fargate") and cluster.state(waiting) == "CONFIGURING"
    status = cluster.run("sfargate", "status", user="slurm", cwd="/").stdout
    assert re.search(r"Paused +fargate since \S+: RunTask: ClusterNotFoundException: Cluster not found\.", status), status
    other = cluster.submit("true\n", "-p", "spot")
    cluster.wait_state(other)
    denied = cluster.run("sfargate", "resume", "fargate")
    assert denied.returncode == 1 and denied.stderr == "sfargate: only root and SlurmUser may resume a partition\n"
    opened = cluster.run("sfargate", "resume", "fargate", user="slurm", cwd="/")
    assert opened.returncode == 0 and opened.stdout == "partition fargate is open again\n", opened.stderr
    cluster.wait_state(waiting)
    assert cluster.output(waiting) == "late\n"
    again = cluster.run("sfargate", "resume", "fargate", user="slurm", cwd="/")
    assert again.stderr == "sfargate: partition 'fargate' is not paused; sfargate status names those that are\n"


def test_not_requeueable_job_becomes_boot_fail(cluster):
    cluster.faults([{"op": "RunTask", "error": {"code": "InvalidParameterException", "message": "TaskDefinition is inactive", "status": 400}}])
    job = cluster.submit("echo never\n", "--no-requeue")
    record = cluster.wait_state(job, {"BOOT_FAIL"})
    assert "TaskDefinition is inactive" in record["AdminComment"]


RETRIED = [
    {"op": "RunTask", "times": 2, "error": {"code": "ThrottlingException", "message": "Rate exceeded", "status": 400}},
    {"op": "RunTask", "times": 1, "error": {"code": "InvalidParameterException", "status": 400,
                                            "message": "Error retrieving subnet information for [subnet-a]: Rate exceeded (ErrorCode: Throttling)"}},
    {"op": "RunTask", "times": 1, "raw": {"status": 503, "body": "<html>busy</html>", "type": "text/html"}},
    {"op": "RunTask", "cut": "before"},
    {"op": "RunTask", "cut": "after"},
    {"op": "DescribeTasks", "times": 3, "error": {"code": "ThrottlingException", "message": "Rate exceeded", "status": 400}},
    {"task": {}, "missing": 3},
    {"task": {}, "skip": ["PENDING", "ACTIVATING", "RUNNING"]},
    {"op": "GetLogEvents", "times": 2, "error": {"code": "ThrottlingException", "message": "Rate exceeded", "status": 400}},
    {"logs": {}, "empty_pages": 2},
]


@pytest.mark.parametrize("rule", RETRIED, ids=lambda r: " ".join(map(str, list(r)[:2])) + str(r.get("cut", "")))
def test_passing_trouble_costs_nothing(cluster, rule):
    cluster.faults([rule])
    job = cluster.submit("echo fine\n", "-o", "out.%j")
    cluster.wait_state(job, timeout=90)
    assert cluster.output(job) == "fine\n"
    assert len(cluster.tasks(job)) == 1


def test_connection_cut_after_runtask_sends_the_same_token_and_makes_one_task(cluster):
    cluster.faults([{"op": "RunTask", "cut": "after", "times": 2}])
    job = cluster.submit("true\n")
    cluster.wait_state(job, timeout=90)
    task, = cluster.tasks(job)
    assert task["clientToken"] and len(task["clientToken"]) == 64


ENDINGS = [
    # someone else's stop, Spot with exit code 0, infrastructure, no exit code: never COMPLETED
    {"at": "RUNNING", "after": 0.5, "stopCode": "SpotInterruption", "stoppedReason": "Your Spot Task was interrupted.", "container": {"exitCode": 0}},
    {"at": "RUNNING", "after": 0.5, "stopCode": "UserInitiated", "stoppedReason": "Task stopped by user", "container": {"exitCode": 0}},
    {"at": "RUNNING", "after": 0.5, "stopCode": "EssentialContainerExited", "stoppedReason": "Essential container in task exited", "container": {"exitCode": None}},
]


@pytest.mark.parametrize("ending", ENDINGS, ids=lambda e: e["stopCode"])
def test_no_ending_but_exit_code_zero_completes_a_job(cluster, ending):
    cluster.faults([{"task": {}, "ending": ending}])
    job = cluster.submit("sleep 600\n", "-o", "out.%j")
    wait_for(lambda: cluster.show(job)["JobState"] not in ("RUNNING", "CONFIGURING", "COMPLETING") and cluster.tasks(job), 90,
             lambda: f"the end: {cluster.show(job)}")
    record = cluster.show(job)
    assert record["JobState"] in ("FAILED", "PENDING")
    assert ending["stoppedReason"] in record["AdminComment"]


def test_out_of_memory(cluster):
    cluster.faults([{"task": {}, "ending": {"at": "RUNNING", "after": 0.5, "stopCode": "EssentialContainerExited",
                                            "stoppedReason": "Essential container in task exited",
                                            "container": {"exitCode": 137, "reason": "OutOfMemoryError: Container killed due to memory usage"}}}])
    job = cluster.submit("sleep 600\n", "-o", "out.%j")
    record = cluster.wait_state(job, {"OUT_OF_MEMORY"}, timeout=90)
    assert "OutOfMemoryError" in record["AdminComment"]


def test_stored_request_is_private_and_gone_after_the_answer(cluster):
    job = cluster.submit("sleep 300\n", "--fargate-env=SECRET=hush-hush")
    cluster.wait_state(job, {"RUNNING"})
    state = os.path.join(cluster.root, "agent")
    found = [os.path.join(d, f) for d, _, files in os.walk(state) for f in files if f == "jobs.db"]
    assert found and os.stat(found[0]).st_mode & 0o777 == 0o600
    rows = cluster.run("python3", "-c", "import sqlite3,sys; print(sqlite3.connect(sys.argv[1]).execute("
                       "'select job_id, request, task_id from jobs').fetchall())", found[0], user="slurm", cwd="/").stdout
    assert f"({job}, None, '" in rows


@pytest.mark.parametrize("seconds", [0, 2])
def test_slurmctld_killed_after_the_start(cluster, seconds):
    """It saves its state every 5 s: killed before that it starts the same job once more."""
    job = cluster.submit(COUNT, "-o", "out.%j", "--begin=now+7")
    state = os.path.join(cluster.root, "state", "job_state")
    written = os.stat(state).st_mtime_ns if os.path.exists(state) else 0
    wait_for(lambda: os.path.exists(state) and os.stat(state).st_mtime_ns > written, 20, "slurmctld to save the submission")
    cluster.wait_state(job, {"RUNNING"})
    started = time.monotonic()
    wait_for(lambda: time.monotonic() - started >= seconds, 10, "the moment to kill")
    os.kill(cluster.pid("slurmctld"), signal.SIGKILL)
    cluster.sandbox("restart", "slurmctld")
    record = cluster.wait_state(job, {"FAILED"}, timeout=90)
    assert record["ExitCode"] == "5:0"
    assert cluster.output(job) == LINES
    assert len(cluster.tasks(job)) == 1
    assert "DRAIN" not in cluster.scontrol("show", "node", "fargate-gw1").stdout


def test_burst_of_a_hundred_jobs(cluster):
    jobs = [cluster.submit("echo $SLURM_JOB_ID\n", "-o", "burst.%j", "--fargate-cpu=0.25") for _ in range(100)]
    for job in jobs:
        cluster.wait_state(job, timeout=180)
    assert [cluster.output(j) for j in jobs] == [f"{j}\n" for j in jobs]
    assert sorted(len(cluster.tasks(j)) for j in jobs) == [1] * 100
    assert cluster.show(jobs[0])["Restarts"] == "0"
