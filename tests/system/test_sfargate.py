# sfargate: what a user, another user and the admin see of jobs, their history and their logs.
# SPDX-License-Identifier: GPL-2.0-or-later
import json
import os
import signal
import subprocess

from cluster import wait_for

NO_JOB = "sfargate: no job {} of yours is known to the agent: it was not sent to Fargate, or it ended more than a week ago\n"


def answer(cluster, *args, user="alice", status=0):
    done = cluster.sfargate(*args, user=user)
    assert done.returncode == status, f"sfargate {args} as {user}: {done}"
    return done


def events(cluster, job, user="alice"):
    starts = json.loads(answer(cluster, "show", job, "--json", user=user).stdout)["starts"]
    return [" ".join(filter(None, (e["what"], e.get("op"), e.get("outcome")))) for e in starts[-1]["events"]]


def closed(cluster, job):
    """The agent keeps a record for some 10 s after the end; then only what it wrote for people is left."""
    return wait_for(lambda: "closed: " in answer(cluster, "show", job, user="slurm").stdout, 40, f"the end of job {job}'s record")


def test_a_user_sees_his_own_jobs(cluster):
    # what other tests left is still closing
    for user in ("alice", "bob"):
        wait_for(lambda user=user: answer(cluster, "tasks", user=user).stderr ==
                 "sfargate: no job of yours is on Fargate now; -a shows those that ended within the last day\n", 60, "no job")
    job = cluster.submit("sleep 300\n", "--fargate-env=SECRET=hush")
    array = cluster.submit("sleep 300\n", "--array=1,3", "-c", "2", user="bob")
    cluster.wait_state(job, {"RUNNING"})
    cluster.wait_state(array, {"RUNNING"})
    task = cluster.tasks(job)[0]["taskArn"].split("/")[-1]

    titles, row = answer(cluster, "tasks").stdout.splitlines()
    assert titles.split() == ["JOBID", "USER", "PHASE", "TASK", "SIZE", "PROVIDER", "ZONE", "AGE", "REASON"]
    assert row.split()[:6] == [str(job), "alice", "running", task, "1vCPU/2GB", "FARGATE"] and row.endswith(" -")
    assert titles.index("TASK") == row.index(task)

    rows = answer(cluster, "tasks", "-n", user="bob").stdout.splitlines()
    assert [r.split()[0] for r in rows] == [f"{array}_1", f"{array}_3"] and all(" 2vCPU/4GB " in r for r in rows)
    for admin in ("slurm", None):
        names = {r.split()[0] for r in answer(cluster, "tasks", "-n", user=admin).stdout.splitlines()}
        assert names >= {str(job), f"{array}_1", f"{array}_3"}  # what other tests left may still be closing

    shown = answer(cluster, "show", job).stdout
    for part in (f"Job              {job}\n", "Phase            running\n", "Environment      SECRET\n", f"Task             {task}\n",
                 "Region           eu-west-1\n", "LogGroup         /slurm/jobs\n", f"LogStream        slurm/main/{task}\n",
                 ":task-definition/slurm-job:", "EcsCluster       hpc\n", f"AWS answered RunTask: ok, {task}\n"):
        assert part in shown, shown
    assert "hush" not in shown + answer(cluster, "--json", "show", job).stdout

    # Of what is another's, bob is told what he is told of what is not.
    for command in ("show", "logs"):
        for other, user in ((job, "bob"), (987654, "bob"), (array, "alice"), (f"{array}_3", "alice")):
            done = answer(cluster, command, other, user=user, status=1)
            assert (done.stdout, done.stderr) == ("", NO_JOB.format(other))
    assert f"Job              {array}_3 (JobId " in answer(cluster, "show", f"{array}_3", user="bob").stdout
    assert answer(cluster, "show", array, user="bob").stdout.count("Timeline\n") == 2
    assert answer(cluster, "logs", array, user="bob", status=1).stderr == \
        f"sfargate: job {array} is an array: name one of its elements, such as {array}_1\n"


def test_logs_and_the_record_of_an_ended_job(cluster):
    job = cluster.submit("echo first\necho wrong >&2\necho\nprintf 'a\\033[31mb\\n'\nsleep 3\necho last\nexit 3\n", "-o", "out.%j")
    cluster.wait_state(job, {"RUNNING"})
    command = ["setpriv", "--reuid=alice", "--regid=alice", "--init-groups", "--", os.path.join(cluster.root, "bin", "sfargate"),
               "logs", str(job), "-f"]
    with subprocess.Popen(command, env={"SLURM_CONF": cluster.env["SLURM_CONF"]}, text=True, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE) as follower:
        done = wait_for(lambda: (lambda d: d if "first" in d.stdout else None)(answer(cluster, "logs", job)), 30, "the first line")
        assert "last" not in done.stdout
        out, err = follower.communicate(timeout=60)
    assert follower.returncode == 0, err
    assert out == "first\n\na\033[31mb\nlast\n"
    assert err.endswith("wrong\n")
    cluster.wait_state(job, {"FAILED"})
    closed(cluster, job)

    assert answer(cluster, "tasks", "-n").stdout == ""
    row, = [r for r in answer(cluster, "tasks", "-n", "-a").stdout.splitlines() if r.split()[0] == str(job)]
    assert row.split()[2] == "done"
    assert answer(cluster, "logs", job).stdout == "first\n\na\033[31mb\nlast\n"
    assert json.loads(answer(cluster, "logs", job, "-j").stdout.splitlines()[0])["stream"] in ("stdout", "stderr")
    done = answer(cluster, "logs", job, user="bob", status=1)
    assert (done.stdout, done.stderr) == ("", NO_JOB.format(job))
    assert str(job) not in [r.split()[0] for r in answer(cluster, "tasks", "-n", "-a", user="bob").stdout.splitlines()]
    story = events(cluster, job)
    assert story[:3] == ["try FARGATE", "answer RunTask ok", "status PROVISIONING"], story
    assert story[-3:] == ["exit exited", "verdict exited", "told ok"], story
    # It is on disk: the next agent knows it too.
    cluster.sandbox("restart", "agent")
    wait_for(lambda: cluster.sfargate("status").returncode == 0, 20, "the agent")
    assert events(cluster, job) == story
    assert "ExitCode         3\n" in answer(cluster, "show", job).stdout


def test_awss_words_and_why_it_stopped(cluster):
    cluster.faults([{"op": "RunTask", "times": 2, "error": {"code": "ThrottlingException", "message": "Rate exceeded", "status": 400}},
                    {"op": "RunTask", "error": {"code": "ClientException", "message": "no\u001b[2J way", "status": 400}}])
    held = cluster.submit("sleep 300\n")
    cluster.wait_held(held)
    shown = answer(cluster, "show", held).stdout
    assert "try 1: AWS answered RunTask: throttle, ThrottlingException: Rate exceeded (2 times, last at " in shown, shown
    assert "AWS answered RunTask: config, ClientException: no?[2J way\n" in shown
    assert "\033" not in shown + answer(cluster, "tasks", "-a").stdout
    assert answer(cluster, "logs", held, "-f").stderr == f"sfargate: job {held}: no output yet: it has no task\n"
    cluster.faults([])
    cluster.scancel(held)
    stopped = cluster.submit("sleep 300\n")
    cluster.wait_state(stopped, {"RUNNING"})
    cluster.scancel(stopped)
    cluster.wait_state(stopped, {"CANCELLED"})
    wait_for(lambda: "answer StopTask ok" in events(cluster, stopped), 20, "StopTask")
    assert f"StopReason       Slurm job {stopped}: cancelled" in answer(cluster, "show", stopped).stdout


def test_status_and_conf(cluster):
    job = cluster.submit("sleep 300\n")
    cluster.wait_state(job, {"RUNNING"})
    status = answer(cluster, "status").stdout
    for line in ("Cluster          sandbox\n", "LaunchFrom       prolog\n", "AWS              ok\n", "Jobs             ", "  running        1\n"):
        assert line in status, status
    assert json.loads(answer(cluster, "--json", "status").stdout)["phases"]["running"] == 1
    conf = answer(cluster, "conf", user="bob").stdout
    assert conf.startswith(f"# file: {os.path.dirname(cluster.env['SLURM_CONF'])}/fargate.conf\n")
    assert "\nPartitionName=fargate Default=YES " in conf and "\nStopGrace=" in conf
    # What is printed is a fargate.conf again.
    path = cluster.write("again.conf", conf)
    checked = cluster.run("fargated", "-t", "-f", path, cwd="/")
    assert checked.returncode == 0, checked.stderr


def test_wrong_usage(cluster):
    for args, words in (((), "usage: sfargate "), (("frobnicate",), "sfargate: 'frobnicate' is no command; there are tasks, show, logs, status, quota, conf, resume, reap\n"),
                        (("show",), "sfargate: usage: sfargate show JOBID\n"), (("tasks", "1"), "sfargate: usage: sfargate tasks "),
                        (("tasks", "-f"), "sfargate: option '-f' is none of this command's"), (("-s",), "sfargate: option '-s' needs an argument"),
                        *(((c, bad), f"sfargate: '{bad}' is not a job id; give the number squeue shows, such as 12 or 12_3\n")
                          for c in ("show", "logs") for bad in ("x", "0", "-", "1_", "_1", "12_x", "4294967296", " 1", "1 "))):
        done = answer(cluster, *args, status=2)
        assert done.stdout == "" and done.stderr.startswith(words), (args, done.stderr)
    assert answer(cluster, "--help").stdout.startswith("usage: sfargate ")
    assert answer(cluster, "status", "-V").stdout.startswith("slurm-fargate ")
    done = answer(cluster, "-s", "/nowhere", "tasks", status=1)
    assert done.stderr == "sfargate: the agent does not answer at /nowhere: No such file or directory; is fargated running?\n"
    assert answer(cluster, "-s", "/" + "x" * 120, "tasks", status=1).stderr.startswith("sfargate: the socket's path is longer than 107 bytes")
    done = answer(cluster, "-f", "/nowhere/fargate.conf", "status", status=1)
    assert done.stderr == "sfargate: /nowhere/fargate.conf: No such file or directory\n"


def test_an_agent_that_does_not_answer(cluster):
    pid = cluster.pid("agent")
    os.kill(pid, signal.SIGSTOP)
    try:
        done = cluster.sfargate("status")
    finally:
        os.kill(pid, signal.SIGCONT)
    assert done.returncode == 1
    assert "the agent does not answer at " in done.stderr and "nothing came in time; is fargated running?" in done.stderr
