# scontrol update: no job becomes what sbatch would have refused, none gets onto a gateway, and other jobs stay free.
# SPDX-License-Identifier: GPL-2.0-or-later
import os
import time

from cluster import wait_for


def update(cluster, job, change, user="alice"):
    return cluster.scontrol("update", f"JobId={job}", change, user=user)


def known(cluster, job, partition="fargate"):
    """
    Until slurmctld's plugin knows the job: the update that changes nothing is then taken. Before, the partition's door is
    shut to it as to any other job.
    """
    start = time.monotonic()
    wait_for(lambda: update(cluster, job, f"Partition={partition}").returncode == 0, 15, f"job {job} in the snapshot", step=0.2)
    return time.monotonic() - start


def refused_lines(cluster, job):
    return [line for line in cluster.log("slurmctld").splitlines() if f"update of job {job} by uid" in line]


FIXED = "CPUs, tasks, memory and disk of a Fargate job are fixed when it is submitted: cancel it and submit it again"
REFUSED = [
    ("Partition=spot", "a Fargate job cannot be moved from partition 'fargate' to another: cancel it and submit it again"),
    ("Partition=local", "a Fargate job cannot be moved from partition 'fargate' to another: cancel it and submit it again"),
    ("Partition=fargate,local",
     "a Fargate job cannot be moved from partition 'fargate' to another: cancel it and submit it again"),
    ("NumNodes=2", "a Fargate job runs on one node: remove -N or use -N 1 (2 nodes)"),
    ("NumNodes=1-2", "a Fargate job runs on one node: remove -N or use -N 1 (2 nodes)"),
    ("Gres=gpu:1", "Fargate has no generic resources: remove --gres and --gpus (gres:gpu:1)"),
    ("ReqNodeList=node1", "a Fargate job runs on none of the cluster's nodes: remove -w and -F (node1)"),
    ("Features=intel", "Fargate has none of the nodes' features: remove -C and --batch (intel)"),
    ("OverSubscribe=NO",
     "--exclusive would take a whole gateway, while a Fargate task has a machine of its own anyway: remove it"),
    ("CoreSpec=1", "Fargate keeps no cores for the system: remove -S and --thread-spec"),
    ("Clusters=x", "a Fargate job stays in the cluster it is submitted to: remove -M and --cluster-constraint (x)"),
    ("NumCPUs=4", FIXED), ("NumTasks=3", FIXED), ("CPUsPerTask=2", FIXED), ("MinCPUsNode=2", FIXED),
    ("MinMemoryNode=100", FIXED), ("MinMemoryCPU=100", FIXED), ("MinTmpDiskNode=100", FIXED),
    ("ReqSockets=2", FIXED), ("ReqCores=2", FIXED), ("ReqThreads=2", FIXED),
]
TAKEN = ["TimeLimit=7", "JobName=new", "Comment=hello", "Account=acct", "QOS=high", "Requeue=0", "ExcNodeList=node1",
         "StartTime=now+1hour", "Dependency=", "Features=", "NumNodes=1"]


def test_a_fargate_job_stays_what_was_checked(cluster):
    job = cluster.submit("true\n", "--hold", "-t", "10")
    seconds = known(cluster, job)
    assert seconds < 10, "the plugin should know a job within SlurmPoll and two seconds"
    before = cluster.show(job)
    for change, sentence in REFUSED:
        done = update(cluster, job, change)
        assert done.returncode != 0, f"{change} was taken"
        assert refused_lines(cluster, job)[-1].endswith(f"refused: fargate: {sentence}"), change
    # slurmctld takes these for the same job
    for same in (f"+{job}", f" {job}", f"0{job}", f"{2**32 + int(job)}"):
        assert update(cluster, same, "MinMemoryNode=100").returncode != 0, f"as {same!r} it was taken"
    after = cluster.show(job)
    assert {k for k in before if before[k] != after.get(k)} <= {"LastSchedEval"}
    for change in TAKEN:
        done = update(cluster, job, change)
        assert done.returncode == 0, f"{change}: {done.stdout}{done.stderr}"
    record = cluster.show(job)
    assert (record["JobName"], record["TimeLimit"], record["Comment"]) == ("new", "00:07:00", "hello")


FORMS = ["{0}", "{0}_3", "{0}_[2-4]", "{0}_[2,4]", "{0}_2,{0}_4", "{1},{0}_2"]


def test_arrays_in_every_form_scontrol_takes(cluster):
    array = cluster.submit("true\n", "--hold", "-a", "1-9")
    single = cluster.submit("true\n", "--hold")
    known(cluster, single)
    for form in FORMS:
        ids = form.format(array, single)
        for change in ("Partition=local", "Features=intel", "NumTasks=3"):
            assert update(cluster, ids, change).returncode != 0, f"{ids} {change}"
        assert update(cluster, ids, "TimeLimit=7").returncode == 0, ids
    assert {r["Partition"] for r in cluster.shows(array)} == {"fargate"}


def test_other_jobs_are_free_but_for_the_way_onto_a_gateway(cluster):
    ours = cluster.submit("true\n", "--hold")
    job = cluster.submit("true\n", "--hold", fargate=False)
    known(cluster, ours)
    for change in ("NumTasks=2", "NumNodes=1", "Gres=gpu:1", "ReqNodeList=node1", "MinMemoryNode=100", "MinTmpDiskNode=0",
                   "Partition=local"):
        done = update(cluster, job, change)
        assert "fargate:" not in done.stderr and not refused_lines(cluster, job), f"{change}: {done.stderr}"
    for change in ("Partition=fargate", "Partition=local,spot"):
        assert update(cluster, job, change).returncode != 0, change
    assert cluster.show(job)["Partition"] == "local"
    assert refused_lines(cluster, job)[0].endswith(
        "refused: fargate: a job cannot be moved to partition 'fargate': submit it again with sbatch --fargate")


def test_root_and_slurmuser_may(cluster):
    job = cluster.submit("true\n", "--hold")
    known(cluster, job)
    refused = refused_lines(cluster, job)
    assert update(cluster, job, "Partition=spot", user="slurm").returncode == 0
    assert update(cluster, job, "NumTasks=1", user="slurm").returncode == 0
    assert cluster.show(job)["Partition"] == "spot"
    assert update(cluster, job, "Partition=fargate", user=None).returncode == 0
    assert refused_lines(cluster, job) == refused


def test_a_job_too_new_to_be_known_harms_nobody(cluster):
    """It may leave, but runs nowhere: the local node finds the mark of --fargate without the role of a gateway."""
    marker = os.path.join(cluster.home(), "ran-locally")
    job = cluster.submit(f"touch {marker}\n", "--hold", "-o", "out.%j")
    assert update(cluster, job, "Partition=local").returncode == 0, "the plugin cannot know the job yet"
    cluster.scontrol("release", job)
    record = cluster.wait_state(job, {"FAILED", "CANCELLED", "PENDING", "BOOT_FAIL", "NODE_FAIL"})
    waiting = ("None", "Priority", "JobHeldUser")
    wait_for(lambda: cluster.show(job)["JobState"] != "PENDING" or cluster.show(job)["Reason"] not in waiting, 30,
             lambda: f"the job's end: {cluster.show(job)}")
    assert not os.path.exists(marker), record
    assert cluster.tasks(job) == []
    assert "drain" not in cluster.scontrol("show", "node", "node1").stdout.lower()


def test_the_agent_goes_and_the_knowledge_stays(cluster):
    job = cluster.submit("true\n", "--hold")
    known(cluster, job)
    pid = cluster.pid("agent")
    os.kill(pid, 19)
    try:
        wait_for(lambda: "the agent does not answer" in cluster.sbatch("--fargate", "--hold", "--wrap", "true").stderr, 15,
                 "the plugin to see that the agent is away")
        assert update(cluster, job, "Partition=local").returncode != 0
        assert update(cluster, job, "NumTasks=2").returncode != 0
    finally:
        os.kill(pid, 18)
    wait_for(lambda: cluster.sbatch("--fargate", "--hold", "--wrap", "true").stderr == "", 15, "the agent's answer")
