# The local AWS: containers, their output, CloudWatch Logs, start and end.
# SPDX-License-Identifier: GPL-2.0-or-later
import http.client
import os
import signal
import socket
import subprocess

import pytest
from test_fargate_local_support import (REGION, SERVER, AwsRefusal, Server,  # noqa: F401
                                        aws, server, wait_for)


# -- containers and their output --------------------------------------------------------------

def test_container_is_pid_1_with_an_empty_environment(aws):
    code, lines = aws.output(
        'echo $$; id -u; echo "[$SECRET]"; touch /tmp/x && echo tmp; touch /bin/x 2>/dev/null || '
        'echo kept; ps | wc -l')
    assert code == 0
    assert lines[:5] == ["1", "65534", "[]", "tmp", "kept"]
    assert int(lines[5]) <= 5       # heading, the shell, ps, wc: nobody else's processes


def test_environment_and_command_override(aws):
    aws.define("cmd", container={"entryPoint": [], "command": ["echo", "default"],
                                 "environment": [{"name": "A", "value": "1"},
                                                 {"name": "B", "value": "1"}]})
    plain = aws.run(taskDefinition="cmd", overrides=None)
    other = aws.run(taskDefinition="cmd", overrides={"containerOverrides": [
        {"name": "main", "command": ["/bin/sh", "-c", 'echo "$A$B$AWS_REGION"'],
         "environment": [{"name": "B", "value": "2"}]}]})
    aws.wait(plain)
    aws.wait(other)
    assert aws.lines(plain) == ["default"]
    assert aws.lines(other) == ["12" + REGION]


def test_host_image_has_the_hosts_tools(aws):
    aws.define("host", container={"image": "host", "entryPoint": ["/bin/bash", "-c"]})
    code, lines = aws.output('echo ${BASH_VERSINFO[0]} $$; ls -A /tmp', taskDefinition="host")
    assert code == 0
    assert len(lines) == 1 and lines[0].endswith(" 1")


def test_awslogs_drops_blank_lines_and_marks_bad_bytes(aws):
    code, lines = aws.output(r"printf 'a\n\n\nb \377\376\303\251 c\n \n\342\202\nlast'; exit 5")
    assert code == 5
    assert lines == ["a", "b \ufffd\ufffdé c", " ", "\ufffd\ufffd", "last"]


def test_awslogs_breaks_long_lines(aws):
    size = 256 * 1024 - 26
    task = aws.run(f"head -c {size * 5 + 10} /dev/zero | tr '\\0' x; echo; echo end")
    aws.wait(task)
    assert [len(line) for line in aws.lines(task)] == [*[size] * 5, 10, 3]
    page = aws.log_page(task)       # a page has 1 MiB, counted with 26 bytes for each event
    assert [len(e["message"]) for e in page["events"]] == [size] * 4


def test_both_pipes_are_read(aws):
    _, lines = aws.output("for i in 1 2 3; do echo o$i; echo e$i >&2; done")
    assert [x for x in lines if x[0] == "o"] == ["o1", "o2", "o3"]
    assert [x for x in lines if x[0] == "e"] == ["e1", "e2", "e3"]


def test_output_is_there_while_the_task_runs(aws):
    task = aws.run("echo now; sleep 60")
    aws.wait(task, "RUNNING")
    wait_for(lambda: aws.lines(task) == ["now"], 3)


@pytest.mark.parametrize("script, code", [
    ("exit 0", 0), ("exit 255", 255), ("kill -9 $$; exit 1", 1), ("no-such 2>/dev/null", 127)])
def test_exit_codes(aws, script, code):
    assert aws.output(script)[0] == code        # PID 1 cannot kill itself: as in a container


def test_missing_program_fails_the_start(aws):
    aws.define("none", container={"entryPoint": ["/no/such"]})
    task = aws.run("x", taskDefinition="none")
    ended = aws.wait(task)
    assert ended["stopCode"] == "TaskFailedToStart"
    assert ended["stoppedReason"].startswith("CannotStartContainerError: ")
    assert 'exec: "/no/such": stat /no/such: no such file or directory' in ended["stoppedReason"]
    assert "exitCode" not in ended["containers"][0] and "startedAt" not in ended
    assert aws.refused("GET", f"wait?task={task}&status=RUNNING") == (
        409, f"task {task} is STOPPED and was never RUNNING")


def test_read_only_root(aws):
    aws.define("ro", container={"readonlyRootFilesystem": True})
    code, lines = aws.output("touch /tmp/x 2>/dev/null; touch /dev/shm/x && echo shm",
                             taskDefinition="ro")
    assert (code, lines) == (0, ["shm"])


def test_many_lines_lose_nothing(aws):
    task = aws.run("seq 1 50000")
    aws.wait(task)
    assert aws.lines(task) == [str(n) for n in range(1, 50001)]


def test_missing_log_group_fails_the_start(aws):
    options = {"awslogs-group": "/gone", "awslogs-region": REGION, "awslogs-stream-prefix": "p"}
    aws.define("nolog", container={
        "logConfiguration": {"logDriver": "awslogs", "options": options}})
    ended = aws.wait(aws.run(taskDefinition="nolog"))
    assert ended["stopCode"] == "TaskFailedToStart"
    assert ended["stoppedReason"].startswith("ResourceInitializationError: failed to validate "
                                             "logger args: ")


def test_sidecar_ends_with_the_essential_container(aws):
    main = {"name": "main", "image": "busybox", "command": ["/bin/sh", "-c", "exit 6"]}
    side = {"name": "side", "image": "busybox", "essential": False, "stopTimeout": 2,
            "command": ["/bin/sh", "-c", "trap 'exit 7' TERM; sleep 60 & wait"]}
    aws.define("two", containerDefinitions=[main, side])
    ended = aws.wait(aws.run(taskDefinition="two", overrides=None))
    codes = {c["name"]: c["exitCode"] for c in ended["containers"]}
    assert codes["main"] == 6 and codes["side"] in (7, 137)     # TERM may come before its trap


# -- CloudWatch Logs --------------------------------------------------------------------------

@pytest.fixture(scope="module")
def logged(server):
    """A task with 25 lines; made once, used only by tests that do not reset."""
    server.control("POST", "reset")
    task = server.run("for i in $(seq 1 25); do echo line $i; done")
    server.wait(task)
    return task


def test_log_pages_forward(server, logged):
    seen, token = [], None
    while True:
        more = {"nextToken": token} if token else {}
        page = server.log_page(logged, limit=10, **more)
        if page["nextForwardToken"] == token:
            break
        seen.append(len(page["events"]))
        token = page["nextForwardToken"]
    assert seen == [10, 10, 5] and page["events"] == []


def test_log_pages_backward(server, logged):
    page = server.log_page(logged, limit=10, startFromHead=False)
    assert [e["message"] for e in page["events"]] == [f"line {n}" for n in range(16, 26)]
    back = server.log_page(logged, limit=10, nextToken=page["nextBackwardToken"])
    assert [e["message"] for e in back["events"]] == [f"line {n}" for n in range(6, 16)]
    with pytest.raises(AwsRefusal, match="The specified nextToken is invalid."):
        server.log_page(logged, nextToken="x")


def test_log_times(server, logged):
    events = server.log_page(logged)["events"]
    first, last = events[0]["timestamp"], events[-1]["timestamp"]
    inside = server.log_page(logged, startTime=first, endTime=last)["events"]
    assert [e for e in events if e["timestamp"] < last] == inside       # endTime is exclusive
    found = server.call("FilterLogEvents", {"logGroupName": "/hpc", "startTime": last,
                                            "endTime": last})["events"]  # and inclusive here
    assert found and all(e["timestamp"] == last for e in found)


def test_filter_log_events(server, logged):
    page = server.call("FilterLogEvents", {"logGroupName": "/hpc", "limit": 20})
    rest = server.call("FilterLogEvents", {"logGroupName": "/hpc", "nextToken": page["nextToken"]})
    assert (len(page["events"]), len(rest["events"])) == (20, 5) and "nextToken" not in rest
    ids = {e["eventId"] for e in page["events"] + rest["events"]}
    assert len(ids) == 25
    found = server.call("FilterLogEvents", {"logGroupName": "/hpc", "filterPattern": '"line 2" -5',
                                            "logStreamNames": [f"job/main/{logged}"]})
    assert [e["message"] for e in found["events"]] == ["line 2", *(f"line {n}" for n in (
        20, 21, 22, 23, 24))]


def test_describe_log_streams_and_refusals(server, logged):
    stream = server.call("DescribeLogStreams", {"logGroupName": "/hpc"})["logStreams"][0]
    assert stream["logStreamName"] == f"job/main/{logged}"
    assert stream["firstEventTimestamp"] <= stream["lastEventTimestamp"]
    server.refuses("ResourceNotFoundException", "The specified log group does not exist.",
                   "DescribeLogStreams", {"logGroupName": "/gone"})
    server.refuses("ResourceNotFoundException", "The specified log stream does not exist.",
                   "GetLogEvents", {"logGroupName": "/hpc", "logStreamName": "gone"})


# -- start and end ---------------------------------------------------------------------------

def processes_with(mark):
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as f:
                if mark.encode() in f.read():
                    found.append(int(pid))
        except OSError:
            pass
    return found


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_nothing_is_left_behind(tmp_path, how):
    one = Server(str(tmp_path))
    mark = f"mark-{os.getpid()}-{how.name}"
    try:
        one.define()
        for _ in range(3):
            task = one.run(f"trap '' TERM; : {mark}; while :; do sleep 5; done")
        one.wait(task, "RUNNING")
        wait_for(lambda: len(processes_with(mark)) >= 3)    # more while one forks
        one.process.send_signal(how)
        assert one.process.wait(10) == (0 if how == signal.SIGTERM else -signal.SIGKILL)
        wait_for(lambda: not processes_with(mark))
        wait_for(lambda: not processes_with(str(tmp_path)))
        wait_for(lambda: sorted(os.listdir(tmp_path)) == ["log", "port"])
    finally:
        one.process.kill()
        one.process.wait()


def test_two_servers_side_by_side(server, tmp_path):
    """Also with one directory for both: each has its own below it, and its own tasks."""
    for name in ("one", "two", "state"):
        (tmp_path / name).mkdir()
    one, two = (Server(str(tmp_path / name), "--state-dir", str(tmp_path / "state"))
                for name in ("one", "two"))
    try:
        for each in (one, two):
            each.define()
        task = one.run("echo one; sleep 60")
        one.wait(task, "RUNNING")
        assert two.control("GET", "tasks") == []
        assert two.output("echo two") == (0, ["two"])
        two.close()
        wait_for(lambda: one.lines(task) == ["one"])
        assert one.task(task)["lastStatus"] == "RUNNING"
    finally:
        two.process.kill()
        one.close()
    wait_for(lambda: not processes_with(str(tmp_path)))


def test_port_and_port_file(aws, tmp_path):
    path = tmp_path / "port"
    path.write_text("1\n")                  # of a server before
    ran = subprocess.run([SERVER, "--port", str(aws.port), "--port-file", str(path)], text=True,
                         capture_output=True, timeout=20, check=False)
    assert ran.returncode == 1 and "cannot start: " in ran.stderr and "in use" in ran.stderr
    assert os.listdir(tmp_path) == []


def test_only_loopback_and_only_posts(aws):
    for method, path, status in (("GET", "/", 405), ("POST", "/other", 404), ("PUT", "/", 405)):
        connection = http.client.HTTPConnection("127.0.0.1", aws.port)
        connection.request(method, path, b"{}")
        assert connection.getresponse().status == status
        connection.close()
    own = socket.gethostbyname(socket.gethostname())
    if not own.startswith("127."):
        with pytest.raises(OSError):
            socket.create_connection((own, aws.port), 2).close()


def test_body_that_is_too_large(aws):
    for size, code in ((2 * 1024 * 1024 - 10, "SerializationException"),
                       (2 * 1024 * 1024 + 1, "RequestEntityTooLargeException")):
        with pytest.raises(AwsRefusal) as caught:
            aws.call("ListClusters", body=b"x" * size)
        assert caught.value.code == code
    assert caught.value.status == 413
    aws.call("ListClusters")


def test_slow_and_broken_clients_hold_nobody_up(tmp_path):
    """Half a request, a client that goes away, rubbish: others are served, and SIGTERM ends it."""
    one = Server(str(tmp_path))
    head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n"
    sockets = []
    try:
        for data in (b"POST / HT", head, head + b"{", b"\0\1rubbish\r\n\r\n"):
            sockets.append(socket.create_connection(("127.0.0.1", one.port), 5))
            sockets[-1].sendall(data)
        gone = socket.create_connection(("127.0.0.1", one.port), 5)
        gone.sendall(head + b"{")
        gone.close()
        assert b" 400 " in sockets[-1].recv(1000)
        one.call("ListClusters")
        one.define()
        one.run("sleep 60")
        one.process.terminate()
        assert one.process.wait(10) == 0
        assert "Traceback" not in one.text(), one.text()
    finally:
        one.close()
        for each in sockets:
            each.close()


def test_says_why_it_cannot_start(tmp_path):
    broken = tmp_path / "busybox"
    broken.write_text("#!/bin/sh\n[ \"$1\" = --list ] && echo sh\n")
    broken.chmod(0o755)
    ran = subprocess.run([SERVER, "--busybox", str(broken), "--state-dir", str(tmp_path)],
                         capture_output=True, text=True, timeout=20, check=False)
    assert ran.returncode == 1
    assert ran.stderr.startswith("fargate-local: cannot start: containers cannot be run here: ")
    ran = subprocess.run([SERVER, "--busybox", "/gone"], capture_output=True, text=True,
                         timeout=20, check=False)
    assert ran.stderr == ("fargate-local: cannot start: there is no busybox for the containers; "
                          "install busybox-static\n")


def test_says_when_namespaces_are_refused(tmp_path):
    ran = subprocess.run(["setpriv", "--bounding-set=-sys_admin", "--inh-caps=-sys_admin", SERVER,
                          "--state-dir", str(tmp_path)], capture_output=True, text=True,
                         timeout=20, check=False)
    assert ran.returncode == 1
    assert ran.stderr == ("fargate-local: cannot start: containers cannot be run here: unshare: "
                          "Operation not permitted\n")
    assert os.listdir(tmp_path) == []


def test_containers_die_with_the_helper_that_starts_them(tmp_path):
    one = Server(str(tmp_path))
    mark = f"mark-{os.getpid()}-helper"
    try:
        one.define()
        task = one.run(f"trap '' TERM; : {mark}; while :; do sleep 5; done")
        one.wait(task, "RUNNING")
        wait_for(lambda: processes_with(mark))
        with open(f"/proc/{one.process.pid}/task/{one.process.pid}/children",
                  encoding="ascii") as f:
            helper, = map(int, f.read().split())
        os.kill(helper, signal.SIGKILL)
        assert one.process.wait(10) == 1
        wait_for(lambda: not processes_with(mark))
        assert "the container helper died; no container can run any more" in one.text()
    finally:
        one.process.kill()
        one.process.wait()
