# The sandbox itself: up, down, side by side, killed, restarted; nothing is left of it.
# SPDX-License-Identifier: GPL-2.0-or-later
import glob
import json
import os
import pwd
import signal
import subprocess

import pytest
from cluster import SANDBOX, wait_for

PARTS = ("munged", "fargate-local", "slurmctld", "slurmd", "slurmd-local", "agent")


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as f:
            return f.read().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def processes_of(directory):
    """pid: command line of every live process that names the directory or has files open in it."""
    found = {}
    for entry in glob.glob("/proc/[0-9]*"):
        try:
            with open(entry + "/cmdline", "rb") as f:
                command = f.read().replace(b"\0", b" ").decode(errors="replace")
            links = [os.readlink(link) for link in [entry + "/exe", *glob.glob(entry + "/fd/*")]]
        except OSError:
            continue
        pid = int(os.path.basename(entry))
        if pid != os.getpid() and (directory + "/" in command or
                                   any(link.startswith(directory + "/") for link in links)):
            found[pid] = command
    return found


def users():
    """Which of the sandbox's users exist."""
    return {name for name in ("alice", "bob") if name in {u.pw_name for u in pwd.getpwall()}}


def registered():
    """Directories of the sandboxes that are up on this machine, other people's included."""
    found = set()
    for path in glob.glob("/run/slurm-fargate-sandboxes/*.json"):
        with open(path, encoding="utf-8") as f:
            found.add(json.load(f)["dir"])
    return found


def traces(sandbox):
    """What a sandbox has made outside its directory, with how to see that it is still there."""
    with open(os.path.join(sandbox.dir, "sandbox.json"), encoding="utf-8") as f:
        record = json.load(f)
    return [path for path in (record["link"], record["cgroup"]) if path]


def bring_down(sandbox):
    """down, and nothing is left: processes, cgroup, links, registration, files but the logs."""
    made = traces(sandbox)
    assert all(map(os.path.exists, made))
    assert sandbox.dir in registered()
    sandbox.down()
    assert processes_of(sandbox.dir) == {}
    assert [path for path in made if os.path.exists(path)] == []
    assert sandbox.dir not in registered()
    with open("/proc/self/mounts", encoding="ascii") as f:
        assert sandbox.dir not in f.read()
    assert sorted(os.listdir(sandbox.dir)) == [".lock", "log"]


def local_job(sandbox):
    """An ordinary job that runs on the ordinary node; → its id."""
    job = sandbox.submit("#!/bin/sh\nexec sleep 600\n", fargate=False)
    sandbox.wait_state(job, {"RUNNING"})
    return job


def test_up_down_twice(new_sandbox):
    sandbox = new_sandbox("--speed", "20")
    for _ in range(2):
        before = users()
        sandbox.up()
        pids = [sandbox.pid(part) for part in PARTS]
        assert len(set(pids)) == len(PARTS) and all(map(alive, pids))
        again = sandbox.sandbox("up")
        assert again.stderr == f"sandbox: runs already in {sandbox.dir}\n"
        assert [sandbox.pid(part) for part in PARTS] == pids
        job = local_job(sandbox)
        assert sandbox.show(job)["Partition"] == "local"
        assert users() == {"alice", "bob"}
        bring_down(sandbox)
        assert not [pid for pid in pids if alive(pid)]
        assert users() == before or registered(), "only other sandboxes keep the users"
    assert sandbox.sandbox("down").stderr == f"sandbox: there is no sandbox in {sandbox.dir}\n"


def test_path_with_blanks_and_several_gateways(new_sandbox):
    sandbox = new_sandbox("--speed", "20", "--gateways", "3", "--no-prolog",
                          name="a sandbox with a long name; and 'odd' \"signs\" $HOME")
    sandbox.up()
    nodes = sandbox.run("sinfo", "-h", "-N", "-p", "fargate", "-o", "%N").stdout.split()
    assert nodes == ["fargate-gw1", "fargate-gw2", "fargate-gw3"]
    assert "PrologSlurmctld         = (null)" in sandbox.scontrol("show", "config").stdout
    local_job(sandbox)
    shell = subprocess.run(
        ["bash", "-c", 'eval "$("$0" env --dir "$1")" && printf "%s\\n" "$SANDBOX_DIR" && '
         'scontrol ping && type aws', SANDBOX, sandbox.dir], capture_output=True, text=True,
        check=False)
    assert shell.stdout.startswith(sandbox.dir + "\nSlurmctld(primary) at ")
    assert "aws is a function" in shell.stdout
    bring_down(sandbox)


def test_side_by_side(new_sandbox):
    """Same node names, same job ids, same users: cancelling in one leaves the other alone."""
    one, two = (new_sandbox("--speed", "20").up() for _ in range(2))
    jobs = local_job(one), local_job(two)
    assert jobs == (1, 1)
    assert one.scancel(1).returncode == 0
    one.wait_state(1, {"CANCELLED"})
    wait_for(lambda: not one.squeue("-h").strip(), 30, "an empty queue")
    assert two.state(1) == "RUNNING"
    bring_down(one)
    assert users() == {"alice", "bob"}, "the other sandbox still needs them"
    assert two.state(1) == "RUNNING"
    assert two.run("id", "-un").stdout == "alice\n"


def test_down_after_kill(new_sandbox):
    sandbox = new_sandbox("--speed", "20").up()
    local_job(sandbox)
    for part in PARTS:
        os.kill(sandbox.pid(part), signal.SIGKILL)
    wait_for(lambda: sandbox.sandbox("pid", "agent", check=False).stderr
             == "sandbox: agent does not run\n", what="the end of the agent")
    refused = sandbox.sandbox("up", check=False)
    assert refused.returncode == 1
    assert "of which only these parts run: none" in refused.stderr
    bring_down(sandbox)


def test_restart(new_sandbox):
    sandbox = new_sandbox("--speed", "20").up()
    job = local_job(sandbox)
    for part in PARTS:
        before = sandbox.pid(part)
        sandbox.sandbox("restart", part)
        assert not alive(before) and alive(sandbox.pid(part))
    assert sandbox.state(job) == "RUNNING"
    definition = sandbox.run(
        "/usr/bin/python3", "-c", "import botocore.session, os; print(botocore.session.Session()."
        "create_client('ecs', endpoint_url=os.environ['AWS_ENDPOINT_URL'])."
        "describe_task_definition(taskDefinition='slurm-job')['taskDefinition']['family'])",
        user=None)
    assert definition.stdout == "slurm-job\n", definition.stderr


def test_accounting(new_sandbox):
    """Two databases side by side; a job is in the records of its own; what was killed is found."""
    one, two = (new_sandbox("--speed", "20", "--slurmdbd").up() for _ in range(2))
    job = one.submit("exit 3\n", fargate=False)
    record = one.sacct(job, "User,Account,State,ExitCode", "FAILED")[0]
    assert record == {"User": "alice", "Account": "research", "State": "FAILED", "ExitCode": "3:0"}
    assert two.run("sacct", "-X", "-n", "-a", user="slurm", cwd="/").stdout == ""
    refused = one.sbatch("-A", "root", "--wrap", "true")
    assert "Invalid account or account/partition combination" in refused.stderr
    for part in ("mariadbd", "slurmdbd", "munged"):
        before = one.pid(part)
        one.sandbox("restart", part)
        assert not alive(before) and alive(one.pid(part))
    job = one.submit("exit 4\n", user="bob", fargate=False)
    assert one.sacct(job, "User,ExitCode", "FAILED") == [{"User": "bob", "ExitCode": "4:0"}]
    assert "slurmdbd version" in one.log("slurmdbd") and "ready for connections" in one.log("mariadbd")
    for part in ("mariadbd", "slurmdbd"):
        os.kill(one.pid(part), signal.SIGKILL)
    bring_down(one)
    assert alive(two.pid("mariadbd")) and alive(two.pid("slurmdbd"))


def test_database_is_for_slurm_only(new_sandbox):
    sandbox = new_sandbox("--speed", "20", "--slurmdbd").up()
    database = sandbox.pid("mariadbd")
    with open(f"/proc/{database}/status", encoding="ascii") as f:
        assert f"Uid:\t{pwd.getpwnam('slurm').pw_uid}\t" in f.read()
    sockets = {os.readlink(link) for link in glob.glob(f"/proc/{database}/fd/*")}
    with open("/proc/net/tcp", encoding="ascii") as f, open("/proc/net/tcp6", encoding="ascii") as six:
        listening = [f"socket:[{line.split()[9]}]" for line in f.readlines()[1:] + six.readlines()[1:]]
    assert sockets & set(listening) == set()
    path = os.path.join(sandbox.root, "database/socket")
    assert os.path.exists(path)
    tried = sandbox.run("/usr/bin/python3", "-c", "import socket, sys; socket.socket(socket.AF_UNIX).connect(sys.argv[1])",
                        path)
    assert "Permission denied" in tried.stderr


def test_users_have_no_credentials(new_sandbox):
    sandbox = new_sandbox("--speed", "20").up()
    done = sandbox.sandbox("as", "bob", "sh", "-c", "id -un; env; pwd")
    assert done.stdout.startswith("bob\n")
    assert "AWS_" not in done.stdout
    assert f"HOME={sandbox.home('bob')}\n" in done.stdout


@pytest.mark.parametrize("arguments, message", [
    (["up", "--colour"], "unrecognized arguments: --colour"),
    (["up", "--speed", "0"], "0 is not above 0"),
    (["up", "--gateways", "0"], "0 is less than 1"),
    (["up", "--dir", "/etc"], "/etc is not empty"),
    (["pid", "agent", "--dir", "/nonexistent"], "there is no sandbox in /nonexistent"),
    (["as", "--dir", "/nonexistent", "alice"], "as needs a command after the user"),
])
def test_bad_arguments(arguments, message):
    done = subprocess.run([SANDBOX, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert message in done.stderr
    assert not os.path.exists("/etc/.lock")


def test_unknown_part(new_sandbox):
    sandbox = new_sandbox("--speed", "20").up()
    done = sandbox.sandbox("pid", "slurmdbd", check=False)
    assert done.returncode == 1
    assert done.stderr == ("sandbox: there is no part slurmdbd; the parts are munged, "
                           "fargate-local, slurmctld, slurmd, slurmd-local, agent\n")


def test_other_endpoint(new_sandbox):
    """--endpoint: no local Fargate of its own, that of another sandbox serves both."""
    one = new_sandbox("--speed", "20").up()
    url, key, secret = (one.env[name] for name in (
        "AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"))
    two = new_sandbox("--endpoint", url)
    two.up(AWS_ACCESS_KEY_ID=key, AWS_SECRET_ACCESS_KEY=secret)
    assert two.env["AWS_ENDPOINT_URL"] == url
    assert two.env["AWS_ACCESS_KEY_ID"] == key
    assert "FARGATE_LOCAL_URL" not in two.env
    assert "there is no part fargate-local" in \
        two.sandbox("pid", "fargate-local", check=False).stderr
    two.sandbox("restart", "agent", "--endpoint", "http://127.0.0.1:9")
    two.read_env()
    assert two.env["AWS_ENDPOINT_URL"] == "http://127.0.0.1:9"
    with open(f"/proc/{two.pid('agent')}/environ", encoding="utf-8") as f:
        assert "AWS_ENDPOINT_URL=http://127.0.0.1:9" in f.read().split("\0")
