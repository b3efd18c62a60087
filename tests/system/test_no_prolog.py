# Without PrologSlurmctld the batch step launches: the job is R meanwhile, and its end time moves when the task runs.
# SPDX-License-Identifier: GPL-2.0-or-later
import datetime

from cluster import wait_for


def when(text):
    return datetime.datetime.fromisoformat(text).timestamp()


def test_script_runs(cluster_noprolog):
    job = cluster_noprolog.submit("echo hello $1\nexit 6\n", "-o", "out.%j", args=["you"])
    record = cluster_noprolog.wait_state(job, {"FAILED"})
    assert record["ExitCode"] == "6:0"
    assert cluster_noprolog.output(job) == "hello you\n"
    assert len(cluster_noprolog.tasks(job)) == 1


def test_phase_shows_in_admin_comment_and_end_time_moves(cluster_noprolog):
    cluster_noprolog.faults([{"task": {}, "stick": "PENDING"}])
    job = cluster_noprolog.submit("sleep 300\n", "-t", "10")
    cluster_noprolog.wait_state(job, {"RUNNING"})
    wait_for(lambda: cluster_noprolog.comment(job).startswith("fargate: pending "), 20, "the phase pending")
    cluster_noprolog.scancel(job)
    cluster_noprolog.wait_state(job, {"CANCELLED"})


def test_end_time_moves_when_the_task_runs(cluster_noprolog):
    job = cluster_noprolog.submit("sleep 300\n", "-t", "10")
    cluster_noprolog.wait_state(job, {"RUNNING"})
    wait_for(lambda: cluster_noprolog.comment(job).startswith("fargate: running "), 30, "the phase running")
    task, = cluster_noprolog.tasks(job)

    def moved():
        record = cluster_noprolog.show(job)
        return when(record["EndTime"]) - when(record["StartTime"]) >= 600 and abs(when(record["EndTime"]) - task["startedAt"] - 600) < 5

    wait_for(moved, 15, lambda: f"EndTime 600 s after startedAt {task['startedAt']}: {cluster_noprolog.show(job)}")


def test_scancel(cluster_noprolog):
    job = cluster_noprolog.submit("echo up\nsleep 300\n", "-o", "out.%j")
    cluster_noprolog.wait_state(job, {"RUNNING"})
    wait_for(lambda: "up" in cluster_noprolog.output(job), 30, "the script")
    cluster_noprolog.scancel(job)
    cluster_noprolog.wait_state(job, {"CANCELLED"})
    task = wait_for(lambda: [t for t in cluster_noprolog.tasks(job) if t["desiredStatus"] == "STOPPED"], 10, "StopTask")[0]
    assert task["stoppedReason"] == f"Slurm job {job}: cancelled"


def test_launch_failure_is_held_with_the_words_of_aws(cluster_noprolog):
    cluster_noprolog.faults([{"op": "RunTask", "error": {"code": "InvalidParameterException", "message": "TaskDefinition is inactive", "status": 400}}])
    job = cluster_noprolog.submit("echo never\n", "-o", "out.%j")
    cluster_noprolog.wait_held(job)
    assert cluster_noprolog.comment(job).startswith("fargate: held - ")
    assert "TaskDefinition is inactive" in cluster_noprolog.comment(job)
