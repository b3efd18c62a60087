# Endings that ask for another run: requeue with growing delay, relaunch, the way down the ladder, waiting for quota.
# SPDX-License-Identifier: GPL-2.0-or-later
import datetime
import os
import signal

import pytest

from cluster import wait_for
from endings import HELD_REASON, Batch, Row, add_faults, comment, submit_with

SPOT_WORDS = "Your Spot Task was interrupted."
MAINTENANCE = "ECS is performing maintenance on the underlying infrastructure hosting the task"
EXITED = "Essential container in task exited"
NO_INTERFACE = "Timeout waiting for network interface provisioning to complete."
FULL = "Capacity is unavailable at this time. Please try again later or in a different availability zone"
QUOTA = "You’ve reached the limit on the number of vCPUs you can run concurrently"
# The agent speeds up; partition spot gives up early, and on stuck tasks.
QUICK = "RetryInterval=1\nRetryMaxAttempts=1\nRetryBackoffRate=1\nRetryMaxRequeues=2\n"
SPOT = "PartitionName=spot StartTimeout=8 PullTimeout=8 RetryMaxRequeues=1 "
ATTEMPTS = 2            # 1 + RetryMaxAttempts
LADDER = 2              # subnets of a partition


def ending(stop_code, words, exit_code=None, at="RUNNING", times=1, **container):
    return {"task": {}, "times": times, "ending": {"at": at, "after": 2, "stopCode": stop_code, "stoppedReason": words,
                                                   "container": {"exitCode": exit_code, **container}}}


def failure(words, times, **match):
    return {"op": "RunTask", "times": times, "match": match, "reply": {"tasks": [], "failures": [{"reason": words}]}}


def requeued(name, words, rules, **more):
    """A row of a job that Slurm will start again by itself."""
    provider = "FARGATE_SPOT" if "spot" in more.get("options", ()) else "FARGATE"
    return Row(name, "PENDING", "0:0", "BeginTime", comment("retry", words, provider), ("PENDING", "0:0"), rules=tuple(rules),
               restarts="1", runs=("REQUEUED",), more={"Priority": "[1-9][0-9]*"}, **more)


def failed(name, words, rules, options=()):
    """A row of a job that may not be requeued."""
    return Row(name, "FAILED", "1:0", "NonZeroExitCode", comment("done", words, "FARGATE(?:_SPOT)?"), ("FAILED", "1:0"),
               rules=tuple(rules), options=("--no-requeue", *options), tasks=1)


SPOT_STOP = ending("SpotInterruption", SPOT_WORDS, 0)
NOTICE = ending("TerminationNotice", SPOT_WORDS, 143)
HOST_GONE = ending("ServiceSchedulerInitiated", MAINTENANCE, 137)
NO_EXIT_CODE = ending("EssentialContainerExited", EXITED)
UNCONNECTED = ending("TaskFailedToStart", NO_INTERFACE, at="PROVISIONING", times=ATTEMPTS)
OOM_WORDS = "OutOfMemoryError: Container killed due to memory usage"
STUCK = {"task": {}, "stick": "PROVISIONING", "times": 2}

ROWS = [
    requeued("spot-0", SPOT_WORDS, [SPOT_STOP], options=("-p", "spot"), tasks=1),
    requeued("spot-notice", SPOT_WORDS, [NOTICE], options=("-p", "spot"), tasks=1),
    requeued("maintenance", MAINTENANCE, [HOST_GONE], tasks=1),
    requeued("no-exit-code", EXITED, [NO_EXIT_CODE], tasks=1),
    failed("spot-0-no-requeue", SPOT_WORDS, [SPOT_STOP], ("-p", "spot")),
    failed("maintenance-no-requeue", MAINTENANCE, [HOST_GONE]),
    failed("no-exit-code-no-requeue", EXITED, [NO_EXIT_CODE]),
    requeued("start-transient", NO_INTERFACE, [UNCONNECTED], tasks=ATTEMPTS),
    requeued("capacity", FULL, [failure(FULL, LADDER * ATTEMPTS)], tasks=0),
    Row("start-transient-no-requeue", "BOOT_FAIL", "0:1", "JobLaunchFailure", comment("held", NO_INTERFACE),
        ("BOOT_FAIL", "1:0"), rules=(UNCONNECTED,), options=("--no-requeue",), tasks=ATTEMPTS),
    Row("start-transient-once", "COMPLETED", "0:0", "None", comment("done"), ("COMPLETED", "0:0"), "true\n",
        rules=({**UNCONNECTED, "times": 1},), tasks=2),
    # the whole of the first provider, then the second
    Row("ladder", "COMPLETED", "0:0", "None", comment("done", provider="FARGATE") + ".*", ("COMPLETED", "0:0"), "true\n",
        rules=(failure(FULL, LADDER, provider="FARGATE_SPOT"),), options=("-p", "spot"), tasks=1),
    Row("stuck", "PENDING", "0:0", HELD_REASON, comment("held", provider="FARGATE(?:_SPOT)?") + ": .+", ("PENDING", "0:0"),
        rules=(STUCK,), options=("-p", "spot"), restarts="1", runs=("REQUEUED",), tasks=2, more={"Priority": "0"}),
    Row("stuck-once", "COMPLETED", "0:0", "None", comment("done", provider="FARGATE(?:_SPOT)?") + ".*", ("COMPLETED", "0:0"), "true\n",
        rules=({**STUCK, "times": 1},), options=("-p", "spot"), tasks=2),
    Row("oom-0", "COMPLETED", "0:0", "None", comment("done", "OutOfMemoryError"), ("COMPLETED", "0:0"),
        rules=(ending("EssentialContainerExited", EXITED, 0, reason=OOM_WORDS),)),
    # no end mark in the log: its words must not take the place of AWS's
    Row("oom-log-lost", "OUT_OF_MEMORY", "0:125", "OutOfMemory", comment("done", "OutOfMemoryError"), ("OUT_OF_MEMORY", "0:125"),
        rules=(ending("EssentialContainerExited", EXITED, 137, reason=OOM_WORDS), {"logs": {}, "drop": 1000})),
]


def quick(cluster):
    """The retry keys above into fargate.conf; → its former text."""
    path = os.path.join(os.path.dirname(cluster.env["SLURM_CONF"]), "fargate.conf")
    with open(path, encoding="utf-8") as f:
        text = f.read()
    first = text.index("PartitionName=")
    put_conf(cluster, path, text[:first] + QUICK + text[first:].replace("PartitionName=spot ", SPOT))
    return path, text


def put_conf(cluster, path, text):
    start = len(cluster.agent_log())
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)
    wait_for(lambda: "the changed file is in force" in cluster.agent_log()[start:], 20, "the changed fargate.conf")


@pytest.fixture(scope="module", params=["session_accounting", "session_accounting_noprolog"], ids=["prolog", "no-prolog"])
def batch(request):
    cluster = request.getfixturevalue(request.param)
    path, text = quick(cluster)
    yield Batch(cluster, ROWS)
    cluster.reset()
    put_conf(cluster, path, text)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_ending(batch, row):
    batch.check(row)


def test_stuck_tasks_were_stopped(batch):
    """By us, and with the reason."""
    for name in ("stuck", "stuck-once"):
        first = batch.cluster.tasks(batch.jobs[name])[0]
        assert first["desiredStatus"] == "STOPPED" and first["stopCode"] == "UserInitiated", first
        assert first["stoppedReason"].startswith(f"Slurm job {batch.jobs[name]}: "), first


def begins_in(cluster, job):
    """Seconds from the requeue, which Slurm takes for a submission, to the next start."""
    record = cluster.show(job)
    asked, begin = (datetime.datetime.fromisoformat(record[name]) for name in ("SubmitTime", "EligibleTime"))
    return (begin - asked).total_seconds()


def wait_retry(cluster, job, restarts, seconds):
    """Until the job waits for its next start, in about so many seconds."""
    def there():
        record = cluster.show(job)
        # after a requeue Slurm itself says 121 s; a request of ours must have taken its place
        return record["JobState"] == "PENDING" and record["Restarts"] == str(restarts) and record["Reason"] == "BeginTime" \
            and record["AdminComment"].startswith("fargate: retry ") and abs(begins_in(cluster, job) - seconds) <= 10

    wait_for(there, 60, lambda: f"start {restarts} in {seconds} s: {begins_in(cluster, job)} s, {cluster.show(job)}")


def test_delay_grows_and_ends_in_a_hold(batch):
    cluster = batch.cluster
    job = submit_with(cluster, "true\n", rules=[{**UNCONNECTED, "times": 3 * ATTEMPTS}])
    for restarts, seconds in ((1, 60), (2, 120)):
        wait_retry(cluster, job, restarts, seconds)
        assert NO_INTERFACE in cluster.comment(job)
        assert len(cluster.tasks(job)) == restarts * ATTEMPTS
        cluster.start_now(job)
    record = cluster.wait_held(job, timeout=60)
    assert record["Restarts"] == "3" and NO_INTERFACE in record["AdminComment"]
    assert len(cluster.tasks(job)) == 3 * ATTEMPTS
    # what the user does then; the job has its budget again
    cluster.run("scontrol", "release", job)
    cluster.start_now(job)
    cluster.wait_state(job, timeout=60)
    states = [r["State"] for r in cluster.sacct(job, "State", "COMPLETED", "--duplicates")]
    assert states == ["REQUEUED"] * 3 + ["COMPLETED"]


def test_requeued_job_runs_again_and_completes(batch):
    cluster = batch.cluster
    job = submit_with(cluster, "echo run $SLURM_RESTART_COUNT\n[ -n \"$SLURM_RESTART_COUNT\" ] || sleep 600\n", "-p", "spot",
                      "-o", "out.%j", rules=[SPOT_STOP])
    wait_retry(cluster, job, 1, 60)
    cluster.start_now(job)
    cluster.wait_state(job, timeout=60)
    assert cluster.output(job) == "run 1\n"
    assert [r["State"] for r in cluster.sacct(job, "State", "COMPLETED", "--duplicates")] == ["REQUEUED", "COMPLETED"]


def test_quota_makes_the_job_wait_and_costs_nothing(batch):
    cluster = batch.cluster
    job = submit_with(cluster, "true\n", rules=[failure(QUOTA, 1000)])
    before = "CONFIGURING" if "--no-prolog" not in cluster.up_options else "RUNNING"
    wait_for(lambda: cluster.comment(job).startswith("fargate: quota "), 30, lambda: f"the quota: {cluster.show(job)}")
    record = cluster.show(job)
    assert record["JobState"] == before and "reached the limit on the number of vCPUs" in record["AdminComment"]
    # somebody's job ends: a vCPU is free
    other = submit_with(cluster, "true\n")
    cluster.wait_state(other)
    assert cluster.state(job) == before
    cluster.faults([])      # those of the rows above are used up
    record = cluster.wait_state(job, timeout=90)
    assert record["Restarts"] == "0" and len(cluster.tasks(job)) == 1


def test_record_that_expired_is_no_success(batch):
    """The task ended with 0 while the agent was away, and AWS has forgotten it: nobody can say how it ended."""
    cluster = batch.cluster
    job = submit_with(cluster, "sleep 10\n")
    # without PrologSlurmctld it is RUNNING before there is a task
    wait_for(lambda: cluster.comment(job).startswith("fargate: running "), 60, lambda: f"the task to run: {cluster.show(job)}")
    os.kill(cluster.pid("agent"), signal.SIGKILL)
    add_faults(cluster, [{"expire_stopped": 0}])
    task, = cluster.tasks(job)
    cluster.control("GET", f"wait?task={task['taskArn'].rpartition('/')[2]}&status=STOPPED&timeout=60", timeout=70)
    make_older(cluster, job, 200)
    cluster.sandbox("restart", "agent")
    wait_retry(cluster, job, 1, 60)
    assert "MISSING" in cluster.comment(job)
    cluster.faults([])


def make_older(cluster, job, seconds):
    """As if RunTask had been called earlier: MISSING means nothing in a task's first two minutes."""
    database = os.path.join(cluster.root, "agent", "state", "jobs.db")
    done = cluster.run("/usr/bin/python3", "-c", "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute("
                       "'update jobs set request_at = request_at - ? where job_id = ?', sys.argv[2:]); c.commit()",
                       database, seconds, job, user="slurm", cwd="/")
    assert done.returncode == 0, done.stderr
