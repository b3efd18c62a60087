# Every way a task can end that asks for no new run: what scontrol shows, and what sacct.
# SPDX-License-Identifier: GPL-2.0-or-later
import os
import re

import pytest

from cluster import wait_for
from endings import (HELD_REASON, Batch, Row, add_faults, comment, end_its_time, scancel,
                     stop_as_someone_else, submit_with, when_running, with_job)

DONE = comment("done")
# Slurm takes no comment for a job that it has ended itself
STOPPED = comment("(?:running|stopping|done)")
DENIED = "User: x is not authorized to perform: ecs:RunTask"
NOT_FOUND = "CannotPullContainerError: pull image manifest has been retried 1 time(s): repo/app:1: not found"
MAIL = ("--mail-type=END,FAIL", "--mail-user=alice@example.org")


def oom(code):
    return {"task": {}, "ending": {
        "at": "RUNNING", "after": 20, "stopCode": "EssentialContainerExited",
        "stoppedReason": "Essential container in task exited",
        "container": {"exitCode": code, "reason": "OutOfMemoryError: Container killed due to memory usage"}}}


def refused(code, message):
    return {"op": "RunTask", "times": 1, "error": {"code": code, "message": message, "status": 400}}


UNPULLED = {"task": {}, "ending": {"at": "PENDING", "after": 0.1, "stopCode": "TaskFailedToStart",
                                   "stoppedReason": NOT_FOUND}}
EXTERNAL_ZERO = {"task": {}, "ending": {"at": "RUNNING", "after": 0.5, "stopCode": "UserInitiated",
                                        "stoppedReason": "Task stopped by user", "container": {"exitCode": 0}}}
# scontrol and sacct differ, for local jobs as well: sacct takes 128 from an exit code above it, got the record of a
# cancelled job before there was an exit code, and prints a BOOT_FAIL's raw 1 as a code where scontrol prints a signal.
ROWS = [
    Row("exited-0", "COMPLETED", "0:0", "None", DONE, ("COMPLETED", "0:0"), "true\n", MAIL, tasks=1),
    Row("exited-7", "FAILED", "7:0", "NonZeroExitCode", DONE, ("FAILED", "7:0"), "exit 7\n", MAIL, tasks=1),
    Row("exited-137", "FAILED", "137:0", "NonZeroExitCode", DONE, ("FAILED", "9:0"), "kill -9 $$\n"),
    Row("scancel", "CANCELLED", "143:0", "None", STOPPED, (r"CANCELLED by \d+", "0:0"),
        act=when_running(scancel), tasks=1),
    Row("oom", "OUT_OF_MEMORY", "0:125", "OutOfMemory", comment("done", "OutOfMemoryError"), ("OUT_OF_MEMORY", "0:125"),
        options=MAIL, rules=(oom(137),)),
    Row("oom-no-code", "OUT_OF_MEMORY", "0:125", "OutOfMemory", comment("done", "OutOfMemoryError"),
        ("OUT_OF_MEMORY", "0:125"), rules=(oom(None),)),
    Row("config", "PENDING", "0:0", HELD_REASON, comment("held", DENIED), ("PENDING", "0:0"),
        rules=(refused("AccessDeniedException", DENIED),), restarts="1", runs=("REQUEUED",), tasks=0,
        more={"Priority": "0"}),
    Row("config-no-requeue", "BOOT_FAIL", "0:1", "JobLaunchFailure",
        comment("held", "TaskDefinition is inactive", "FARGATE_SPOT"), ("BOOT_FAIL", "1:0"),
        options=("--no-requeue", "-p", "spot"), tasks=0,
        rules=(refused("InvalidParameterException", "TaskDefinition is inactive"),)),
    Row("external", "FAILED", "1:0", "NonZeroExitCode", comment("done", "Task stopped by user"), ("FAILED", "1:0"),
        act=when_running(stop_as_someone_else), tasks=1,
        output="the task ended as external: Task stopped by user"),
    Row("external-0", "FAILED", "1:0", "NonZeroExitCode", comment("done", "Task stopped by user"), ("FAILED", "1:0"),
        rules=(EXTERNAL_ZERO,), tasks=1),
    Row("start-permanent", "PENDING", "0:0", HELD_REASON, comment("held", NOT_FOUND), ("PENDING", "0:0"),
        rules=(UNPULLED,), restarts="1", runs=("REQUEUED",), tasks=1, more={"Priority": "0"}),
    Row("start-permanent-no-requeue", "BOOT_FAIL", "0:1", "JobLaunchFailure", comment("held", NOT_FOUND),
        ("BOOT_FAIL", "1:0"), options=("--no-requeue",), rules=(UNPULLED,), tasks=1),
    Row("bootstrap", "PENDING", "0:0", HELD_REASON, comment("held", "bootstrap: bad interpreter(/no/such/sh)"),
        ("PENDING", "0:0"), "#!/no/such/sh\ntrue\n", restarts="1", runs=("REQUEUED",), tasks=1, more={"Priority": "0"}),
    Row("time-limit", "TIMEOUT", "143:0", "TimeLimit", STOPPED, ("TIMEOUT", "0:0"),
        options=("-t", "10"), act=when_running(end_its_time), tasks=1),
]


@pytest.fixture(scope="module", params=["session_accounting", "session_accounting_noprolog"], ids=["prolog", "no-prolog"])
def batch(request):
    cluster = request.getfixturevalue(request.param)
    yield Batch(cluster, ROWS)
    cluster.reset()


def test_mail_says_how_it_ended(batch):
    path = os.path.join(batch.cluster.root, "log", "mail.log")
    for name, words in (("exited-0", "Ended, Run time .*, COMPLETED, ExitCode 0"),
                        ("exited-7", "Failed, Run time .*, FAILED, ExitCode 7"),
                        ("oom", "Failed, Run time .*, OUT_OF_MEMORY")):
        wanted = rf"-s Slurm Job_id={batch.jobs[name]} Name={name} {words}.* alice@example\.org$"

        def came(wanted=wanted):
            if not os.path.exists(path):
                return None     # no mail at all yet
            with open(path, encoding="utf-8") as f:
                return re.findall(wanted, f.read(), re.MULTILINE)

        assert len(wait_for(came, 30, lambda: f"the mail {wanted}")) == 1


DEPENDED_ON = (("true\n", (), True), ("exit 3\n", (), False), ("sleep 600\n", (oom(137),), False))


def test_dependencies_follow(batch):
    """On a job that completes, one that fails and one that runs out of memory."""
    cluster, waiting = batch.cluster, []
    for script, rules, good in DEPENDED_ON:
        job = cluster.submit(script, "--hold")
        after = {kind: cluster.submit("true\n", "-d", f"{kind}:{job}", fargate=False)
                 for kind in ("afterok", "afternotok", "afterany")}
        add_faults(cluster, [with_job(rule, job) for rule in rules])
        cluster.scontrol("release", job)
        runs, never = ("afterok", "afternotok") if good else ("afternotok", "afterok")
        waiting.append((after[runs], after["afterany"], after[never]))
    for runs, runs_too, never in waiting:
        cluster.wait_state(runs)
        cluster.wait_state(runs_too)
        wait_for(lambda job=never: cluster.show(job)["Reason"] == "DependencyNeverSatisfied", 30, f"job {never} to give up")


def test_a_failing_element_leaves_the_others_of_its_array_alone(batch):
    """One exits with 5, one is refused by AWS, the others complete. (bob's: a fault cannot know an element's job id.)"""
    cluster, words = batch.cluster, "No Container Instances were found"
    add_faults(cluster, [{**refused("ClientException", words), "match": {"user": "bob"}}])
    job = cluster.submit("exit $((SLURM_ARRAY_TASK_ID == 3 ? 5 : 0))\n", "-a", "0-3", "-o", "array.%a", user="bob")

    def settled():
        records = {r["ArrayTaskId"]: r for r in cluster.shows(job)}
        held = [i for i, r in records.items() if words in r.get("AdminComment", "") and r["Priority"] == "0"]
        return len(held) == 1 and len(records) == 4 and all(
            i in held or r["JobState"] in ("COMPLETED", "FAILED") for i, r in records.items()) and records

    records = wait_for(settled, 60, lambda: f"one held element and three ended ones: {cluster.shows(job)}")
    wanted = {i: ("FAILED", "5:0") if i == "3" else ("COMPLETED", "0:0") for i in records}
    for i, record in records.items():
        assert (record["JobState"], record["ExitCode"]) in (wanted[i], ("PENDING", "0:0"))
    assert sum(record["JobState"] == "PENDING" for record in records.values()) == 1
    seen = {r["JobID"]: r["State"] for r in cluster.sacct(job, "JobID,State")}
    assert seen == {f"{job}_{i}": record["JobState"] for i, record in records.items()}


@pytest.fixture(name="no_requeue_by_default")
def fixture_no_requeue_by_default(batch):
    path = batch.cluster.env["SLURM_CONF"]
    with open(path, encoding="utf-8") as f:
        text = f.read()

    def put(more):
        with open(path, "w", encoding="utf-8") as f:
            f.write(text + more)
        done = batch.cluster.scontrol("reconfigure")
        assert done.returncode == 0, done.stderr

    put("JobRequeue=0\n")
    yield batch.cluster
    put("")


def test_jobrequeue_0_is_as_no_requeue(no_requeue_by_default):
    cluster = no_requeue_by_default
    job = submit_with(cluster, "true\n", rules=(UNPULLED,))
    record = cluster.wait_state(job, {"BOOT_FAIL"})
    assert record["Requeue"] == "0" and NOT_FOUND in record["AdminComment"]
    assert cluster.sacct(job, "State,ExitCode", "BOOT_FAIL") == [{"State": "BOOT_FAIL", "ExitCode": "1:0"}]
    job = submit_with(cluster, "true\n", "--requeue", rules=(UNPULLED,))
    assert cluster.wait_held(job)["Requeue"] == "1"


# Last, since slurmctld looks at time limits every 30 s only.
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_ending(batch, row):
    batch.check(row)
