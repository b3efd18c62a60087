# The main job: a batch script runs as a Fargate task and Slurm shows it like any other job.
# SPDX-License-Identifier: GPL-2.0-or-later
import re
import time

import pytest

from cluster import wait_for

COMMENT = re.compile(r"fargate: (\S+) ([0-9a-f]{32}|-) (\S+)vCPU/(\S+)GB (\S+) (\S+?)(: .*)?$")


def test_script_runs_with_arguments_output_and_exit_code_zero(cluster):
    job = cluster.submit('echo "one: $1, two: $2, n: $#"\necho err >&2\necho\necho last\n',
                         "-o", "out.%j", "-e", "err.%j", "-J", "arguments", args=["a", "b c", "$(x) 'q' \"d\" \\"])
    record = cluster.wait_state(job)
    assert record["ExitCode"] == "0:0"
    assert record["JobName"] == "arguments"
    assert cluster.output(job) == "one: a, two: b c, n: 3\n\nlast\n"
    assert cluster.output(job, "StdErr") == "err\n"
    task, = cluster.tasks(job)
    assert task["group"].startswith("slurm-")
    tags = {t["key"]: t["value"] for t in task["tags"]}
    assert tags["slurm:jobid"] == str(job) and tags["slurm:user"] == "alice" and tags["slurm:jobname"] == "arguments"
    phase, task_id, vcpu, mem, provider, zone, reason = COMMENT.match(cluster.comment(job)).groups()
    assert (phase, vcpu, mem, provider, reason) == ("done", "1", "2", "FARGATE", None)
    assert task["taskArn"].endswith("/" + task_id) and zone == task["availabilityZone"]


@pytest.mark.parametrize("code", [1, 7, 127, 255])
def test_exit_code_of_the_script_is_the_job_s(cluster, code):
    job = cluster.submit(f"echo bye\nexit {code}\n", "-o", "out.%j")
    record = cluster.wait_state(job, {"FAILED"})
    assert record["ExitCode"] == f"{code}:0"
    assert record["Reason"] == "NonZeroExitCode"
    assert cluster.output(job) == "bye\n"


def test_states_go_from_configuring_to_running_to_completed(cluster):
    job = cluster.submit("sleep 3\n")
    seen = []

    def ended():
        record = cluster.show(job)
        if not seen or seen[-1] != record["JobState"]:
            seen.append(record["JobState"])
        return record["JobState"] == "COMPLETED"

    wait_for(ended, 60, lambda: f"COMPLETED after {seen}")
    assert [s for s in seen if s not in ("PENDING", "COMPLETING")] == ["CONFIGURING", "RUNNING", "COMPLETED"]


def test_batch_directive_turns_the_option_on(cluster):
    script = cluster.write("directive.sh", "#!/bin/sh\n#SBATCH --fargate\n#SBATCH -o out.%j\necho $SLURM_JOB_NODELIST\n")
    job = cluster.submit(script, fargate=False)
    cluster.wait_state(job)
    assert cluster.show(job)["Partition"] == "fargate"
    assert cluster.output(job) == "fargate-gw1\n"
    assert len(cluster.tasks(job)) == 1


def test_wrap(cluster):
    done = cluster.sbatch("--fargate", "-o", "wrap.%j", "--wrap", "echo wrapped; exit 3")
    job = int(done.stdout.split()[-1])
    assert cluster.wait_state(job, {"FAILED"})["ExitCode"] == "3:0"
    assert cluster.output(job) == "wrapped\n"


def test_array_elements_are_tasks_of_their_own(cluster):
    job = cluster.submit("echo $SLURM_ARRAY_JOB_ID $SLURM_ARRAY_TASK_ID $SLURM_ARRAY_TASK_COUNT $SLURM_ARRAY_TASK_MAX\nexit $((SLURM_ARRAY_TASK_ID % 2))\n",
                         "-a", "0-3", "-o", "array.%A_%a")
    wait_for(lambda: all(r["JobState"] in ("COMPLETED", "FAILED") for r in cluster.shows(job)), 60, "the array's end")
    records = {r["ArrayTaskId"]: r for r in cluster.shows(job)}
    assert {i: r["ExitCode"] for i, r in records.items()} == {"0": "0:0", "1": "1:0", "2": "0:0", "3": "1:0"}
    for i, record in records.items():
        with open(record["StdOut"], encoding="utf-8") as f:
            assert f.read() == f"{job} {i} 4 3\n"
        assert len(cluster.tasks(record["JobId"])) == 1


SIZES = [
    # options, vCPU units, MiB, CPUs in Slurm, what the container sees
    ((), "1024", "2048", "1", "none none"),
    (("-c", "2"), "2048", "4096", "2", "2 none"),
    (("-c", "3"), "4096", "8192", "4", "3 none"),
    (("--mem=3G",), "1024", "3072", "1", "none 3072"),
    (("-c", "2", "--mem-per-cpu=3G"), "2048", "6144", "2", "2 none"),
    (("--fargate-cpu=0.25",), "256", "512", "1", "none none"),
    (("--fargate-cpu=0.25", "--fargate-mem=1G"), "256", "1024", "1", "none 1024"),
    (("--mem=9G",), "2048", "9216", "2", "none 9216"),
]


@pytest.mark.parametrize("options, cpu, memory, slurm_cpus, seen", SIZES)
def test_request_is_rounded_up_to_a_fargate_size(cluster, options, cpu, memory, slurm_cpus, seen):
    job = cluster.submit("echo ${SLURM_CPUS_PER_TASK:-none} ${SLURM_MEM_PER_NODE:-none}\n", "-o", "out.%j", *options)
    record = cluster.wait_state(job)
    task, = cluster.tasks(job)
    assert (task["cpu"], task["memory"]) == (cpu, memory)
    assert record["NumCPUs"] == slurm_cpus
    assert cluster.output(job) == seen + "\n"


EXPORTS = [
    ((), "none none"),
    (("--export=ALL",), "none none"),
    (("--export=NONE",), "none none"),
    (("--export=FIRST=1",), "1 none"),
    (("--export=ALL,FIRST=1,SECOND",), "1 inherited"),
    (("--export=NONE", "--fargate-env=FIRST=a b,SECOND"), "a b inherited"),
]


@pytest.mark.parametrize("options, seen", EXPORTS)
def test_only_named_variables_travel(cluster, options, seen):
    job = cluster.submit('echo "${FIRST:-none} ${SECOND:-none}"\n', "-o", "out.%j", *options,
                         env={"SECOND": "inherited", "THIRD": "x"})
    cluster.wait_state(job)
    assert cluster.output(job) == seen + "\n"


def test_slurm_variables_are_there(cluster):
    job = cluster.submit("env | sort\n", "-o", "out.%j", "-J", "variables")
    cluster.wait_state(job)
    env = dict(line.split("=", 1) for line in cluster.output(job).splitlines() if "=" in line)
    assert env["SLURM_JOB_ID"] == str(job)
    assert env["SLURM_JOB_NAME"] == "variables"
    assert env["SLURM_JOB_PARTITION"] == "fargate"
    assert env["SLURM_SUBMIT_DIR"] == cluster.home()
    assert not [name for name in env if name.startswith(("SF_", "SLURM_SPANK", "SPANK_", "_SLURM_SPANK"))]


def test_partition_chooses_the_ecs_cluster_and_provider(cluster):
    job = cluster.submit("true\n", "-p", "spot")
    cluster.wait_state(job)
    task, = cluster.tasks(job)
    assert task["clusterArn"].endswith(":cluster/hpc-spot")
    assert task["capacityProviderName"] == "FARGATE_SPOT"


def test_dependency_and_hold(cluster):
    first = cluster.submit("exit 4\n", "--hold")
    after = cluster.submit("true\n", "-d", f"afternotok:{first}")
    never = cluster.submit("true\n", "-d", f"afterok:{first}")
    assert cluster.show(first)["Reason"] == "JobHeldUser"
    assert not cluster.tasks(first)
    cluster.run("scontrol", "release", first)
    cluster.wait_state(first, {"FAILED"})
    cluster.wait_state(after)
    wait_for(lambda: cluster.show(never)["Reason"] == "DependencyNeverSatisfied", 30, "the dependency to fail")
    assert not cluster.tasks(never)


def test_output_patterns_and_append(cluster):
    cluster.write("log.txt", "before\n", mode=0o644)
    job = cluster.submit("echo after\n", "-o", "log.txt", "--open-mode=append")
    cluster.wait_state(job)
    assert cluster.output(job) == "before\nafter\n"
    job = cluster.submit("echo named\n", "-J", "name", "-o", "%x-%u-%j.txt")
    record = cluster.wait_state(job)
    assert record["StdOut"].endswith(f"/name-alice-{job}.txt")
    assert cluster.output(job) == "named\n"


def test_many_lines_arrive_complete_and_in_order(cluster):
    job = cluster.submit('i=0\nwhile [ $i -lt 20000 ]; do echo "line $i"; echo "error $i" >&2; echo; i=$((i+1)); done\n',
                         "-o", "many.%j", "-e", "many.%j.err")
    cluster.wait_state(job, timeout=120)
    assert cluster.output(job) == "".join(f"line {i}\n\n" for i in range(20000))
    assert cluster.output(job, "StdErr") == "".join(f"error {i}\n" for i in range(20000))


def test_output_is_seen_while_the_job_runs(cluster):
    job = cluster.submit("echo early\nsleep 300\n", "-o", "out.%j")
    cluster.wait_state(job, {"RUNNING"})
    wait_for(lambda: cluster.output(job) == "early\n", 20, "the first line")
    assert cluster.state(job) == "RUNNING"


def test_bytes_that_are_not_utf8_become_replacement_characters(cluster):
    job = cluster.submit("printf 'a\\377b\\n'\nprintf 'no newline'\n", "-o", "out.%j")
    cluster.wait_state(job)
    assert cluster.output(job) == "a\ufffdb\nno newline\n"


def test_ready_made_squeue_format(cluster):
    job = cluster.submit("sleep 300\n", "--fargate-cpu=0.5")
    cluster.wait_state(job, {"RUNNING"})
    wait_for(lambda: " running " in cluster.comment(job), 10, "the phase running")
    line = cluster.run("squeue", "-h", "-j", job, "-O",
                       "JobID:8,Name:14,UserName:10,StateCompact:4,TimeUsed:10,Partition:10,admin_comment:90").stdout
    task, = cluster.tasks(job)
    assert f"fargate: running {task['taskArn'].split('/')[-1]} 0.5vCPU/1GB FARGATE" in line


def test_scancel_stops_the_task_within_two_seconds(cluster):
    job = cluster.submit('trap "echo got TERM; exit 0" TERM\necho up\nwhile :; do sleep 0.1; done\n', "-o", "out.%j")
    cluster.wait_state(job, {"RUNNING"})
    wait_for(lambda: cluster.output(job) == "up\n", 20, "the script to run")
    before = time.time()
    cluster.scancel(job)
    task = wait_for(lambda: [t for t in cluster.tasks(job) if t["desiredStatus"] == "STOPPED"], 10, "StopTask")[0]
    assert task["stoppingAt"] - before < 2
    assert task["stoppedReason"] == f"Slurm job {job}: cancelled"
    cluster.wait_state(job, {"CANCELLED"})
    # slurmstepd itself writes a line of its own between the two
    assert cluster.output(job).startswith("up\n") and "\ngot TERM\n" in cluster.output(job)


def test_scancel_while_configuring(cluster):
    cluster.faults([{"task": {}, "stick": "PROVISIONING"}])
    job = cluster.submit("echo never\n", "-o", "out.%j")
    wait_for(lambda: cluster.tasks(job), 20, "the task")
    assert cluster.state(job) == "CONFIGURING"
    cluster.scancel(job)
    cluster.wait_state(job, {"CANCELLED"})
    task = wait_for(lambda: [t for t in cluster.tasks(job) if t["desiredStatus"] == "STOPPED"], 10, "StopTask")[0]
    assert task["stoppedReason"] == f"Slurm job {job}: cancelled"


def test_time_limit_stops_the_task(cluster):
    job = cluster.submit("sleep 600\n", "-t", "1", "-o", "out.%j")
    cluster.wait_state(job, {"RUNNING"})
    cluster.scontrol("update", f"jobid={job}", "EndTime=now+1")
    cluster.wait_state(job, {"TIMEOUT"}, timeout=120)
    task = wait_for(lambda: [t for t in cluster.tasks(job) if t["desiredStatus"] == "STOPPED"], 10, "StopTask")[0]
    assert task["stoppedReason"] == f"Slurm job {job}: time limit"


def test_requeue_by_the_user_stops_the_task_and_runs_again(cluster):
    job = cluster.submit("echo run $SLURM_RESTART_COUNT\n[ -n \"$SLURM_RESTART_COUNT\" ] || sleep 600\n", "-o", "out.%j")
    cluster.wait_state(job, {"RUNNING"})
    cluster.run("scontrol", "requeue", job)
    wait_for(lambda: cluster.show(job)["JobState"] == "PENDING", 40, "the requeue")
    first = wait_for(lambda: [t for t in cluster.tasks(job) if t["desiredStatus"] == "STOPPED"], 10, "StopTask")[0]
    assert first["stoppedReason"] == f"Slurm job {job}: requeued"
    cluster.start_now(job)
    cluster.wait_state(job, timeout=90)
    assert len(cluster.tasks(job)) == 2
    assert cluster.output(job) == "run 1\n"


def test_sigterm_reaches_every_process_and_a_trap_decides_the_exit_code(cluster):
    job = cluster.submit("trap 'wait; echo bye; exit 9' TERM\n(trap 'echo child; exit 0' TERM; while :; do sleep 0.1; done) &\n"
                         "echo up\nwait $!\nsleep 0.2\nwait\n", "-o", "out.%j")
    cluster.wait_state(job, {"RUNNING"})
    wait_for(lambda: "up" in cluster.output(job), 30, "the script")
    cluster.scancel(job)
    cluster.wait_state(job, {"CANCELLED"})
    text = cluster.output(job)
    assert "child\n" in text and "bye\n" in text


def test_jobs_without_the_option_are_as_before(cluster):
    job = cluster.submit("hostname\necho $SLURMD_NODENAME\n", "-o", "out.%j", fargate=False)
    record = cluster.wait_state(job)
    assert record["Partition"] == "local"
    assert cluster.output(job).splitlines()[1] == "node1"
    assert "AdminComment" not in record
    assert not cluster.tasks(job)
