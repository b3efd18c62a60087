# The local AWS: the control API's faults, wait and reset.
# SPDX-License-Identifier: GPL-2.0-or-later
import email.utils
import http.client
import json
import re
import time
import urllib.error

import pytest
from test_fargate_local_support import (ARN, SPEED, AwsRefusal, aws, server,  # noqa: F401
                                        wait_for)

CAPACITY = ("Capacity is unavailable at this time. Please try again later or in a different "
            "availability zone")
SPOT_END = "Your Spot Task was interrupted."


def test_error_is_used_up_and_counted(aws):
    aws.faults({"op": "RunTask", "times": 2, "error": {
        "code": "ThrottlingException", "message": "Rate exceeded", "status": 400}})
    for _ in range(2):
        aws.run_refused("ThrottlingException", "Rate exceeded")
    assert aws.control("GET", "faults")[0]["left"] == 0
    aws.run()
    assert aws.control("GET", "calls")["RunTask"] == {
        "ok": 1, "throttled": 2, "refused": 0, "unknown": 0}


def test_match_narrows_a_rule(aws):
    reply = {"tasks": [], "failures": [{"reason": CAPACITY}]}
    aws.faults({"op": "RunTask", "match": {"subnet": "subnet-a", "jobid": "17"}, "reply": reply},
               {"op": "RunTask", "match": {"provider": "FARGATE_SPOT"}, "reply": reply},
               {"op": "RunTask", "match": {"user": "bob"}, "error": {"code": "ServerException",
                                                                     "status": 500}})
    aws.run(startedBy="slurm/c-1/18")
    assert aws.run_answer(startedBy="slurm/c-1/17") == reply
    aws.run(startedBy="slurm/c-1/17")
    assert aws.run_answer(launchType=None, capacityProviderStrategy=[
        {"capacityProvider": "FARGATE_SPOT", "weight": 1}]) == reply
    refusal = aws.run_refused("ServerException", "", tags=[{"key": "slurm:user", "value": "bob"}])
    assert refusal.status == 500


def test_reply_is_replayed_for_its_token(aws):
    reply = {"tasks": [], "failures": [{"reason": CAPACITY}]}
    aws.faults({"op": "RunTask", "reply": reply})
    assert aws.run_answer(clientToken="a") == reply
    assert aws.run_answer(clientToken="a") == reply
    assert aws.run_answer(clientToken="b")["failures"] == []


def test_ghost_starts_a_task_all_the_same(aws):
    reply = {"tasks": [], "failures": [{"reason": CAPACITY}]}
    aws.faults({"op": "RunTask", "reply": reply, "ghost": True})
    assert aws.run_answer(clientToken="a", startedBy="slurm/c/9") == reply
    assert len(aws.call("ListTasks", {"startedBy": "slurm/c/9"})["taskArns"]) == 1


@pytest.mark.parametrize("when, tasks", [("before", 0), ("after", 1)])
def test_cut_connection(aws, when, tasks):
    aws.faults({"op": "RunTask", "cut": when})
    with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError,
                        urllib.error.URLError)):
        aws.run(clientToken="t")
    assert len(aws.control("GET", "tasks")) == tasks
    aws.run(clientToken="t")
    assert len(aws.control("GET", "tasks")) == 1


def test_delay_and_raw(aws):
    aws.faults({"op": "*", "delay": 0.4, "raw": {"status": 503, "body": "<html>busy",
                                                 "type": "text/html"}})
    data, headers = aws.request("ListTasks", {})
    connection = http.client.HTTPConnection("127.0.0.1", aws.port)
    start = time.monotonic()
    connection.request("POST", "/", data, headers)
    answer = connection.getresponse()
    assert time.monotonic() - start >= 0.4
    assert (answer.status, answer.read()) == (503, b"<html>busy")
    assert answer.headers["Content-Type"].startswith("text/html")
    connection.close()


def test_ending_before_the_start(aws):
    reason = "CannotPullContainerError: pull access denied"
    aws.faults({"task": {"jobid": "17"}, "ending": {
        "at": "PROVISIONING", "after": 1.0, "stopCode": "TaskFailedToStart",
        "stoppedReason": reason, "container": {"exitCode": None, "reason": "why"}}})
    other = aws.run(startedBy="slurm/c/18")
    task = aws.run(startedBy="slurm/c/17")
    ended = aws.wait(task)
    assert (ended["stopCode"], ended["stoppedReason"]) == ("TaskFailedToStart", reason)
    assert ended["containers"][0]["reason"] == "why"
    assert "exitCode" not in ended["containers"][0] and "startedAt" not in ended
    assert [h["lastStatus"] for h in ended["history"]] == [
        "PROVISIONING", "DEPROVISIONING", "STOPPED"]
    assert aws.wait(other)["stopCode"] == "EssentialContainerExited"


def test_ending_of_a_running_task(aws):
    aws.faults({"task": {}, "times": 2, "ending": {
        "at": "RUNNING", "after": 20.0, "stopCode": "SpotInterruption", "stoppedReason": SPOT_END,
        "container": {"exitCode": 0}}})
    tasks = [aws.run("trap 'echo TERM; exit 4' TERM; sleep 60 & wait") for _ in range(3)]
    for task in tasks[:2]:
        ended = aws.wait(task)
        assert (ended["stopCode"], ended["stoppedReason"]) == ("SpotInterruption", SPOT_END)
        assert ended["containers"][0]["exitCode"] == 0
        assert aws.lines(task) == ["TERM"]
    assert aws.task(tasks[2])["lastStatus"] == "RUNNING"


@pytest.mark.parametrize("at", ["PROVISIONING", "PENDING", "ACTIVATING", "RUNNING"])
def test_ending_at_each_state(ends, at):
    ended = ends(at)
    seen = [h["lastStatus"] for h in ended["history"]]
    assert at in seen and seen[seen.index(at) + 1:] == ["DEPROVISIONING", "STOPPED"]
    assert ended["stopCode"] == "TaskFailedToStart" and "stoppedReason" not in ended
    assert ("startedAt" in ended) == (at == "RUNNING")
    assert ("exitCode" in ended["containers"][0]) == (at == "RUNNING")


@pytest.fixture(scope="module")
def ends(server):
    """ends(status) → the end of a task that a rule ended there; all four ran side by side."""
    server.control("POST", "reset")
    states = ("PROVISIONING", "PENDING", "ACTIVATING", "RUNNING")
    server.faults(*({"task": {"jobid": str(n)}, "ending": {
        "at": at, "after": 0, "stopCode": "TaskFailedToStart", "stoppedReason": None}}
        for n, at in enumerate(states)))
    tasks = {at: server.run("sleep 60", startedBy=f"slurm/c/{n}") for n, at in enumerate(states)}
    found = {at: server.wait(task) for at, task in tasks.items()}
    return found.get


def test_task_rules_match_by_every_key(aws):
    """Each rule is meant for one task only; `missing` shows at once which one it met."""
    spot = [{"capacityProvider": "FARGATE_SPOT", "weight": 1}]
    other = {"awsvpcConfiguration": {"subnets": ["subnet-b", "subnet-a"]}}
    aws.faults(*({"task": {key: value}, "missing": 1} for key, value in (
        ("jobid", "7"), ("user", "bob"), ("cluster", "hpc"), ("provider", "FARGATE_SPOT"),
        ("subnet", "subnet-b"))))
    started = [aws.run_answer("sleep 60", **how)["tasks"][0] for how in (
        {"startedBy": "slurm/c-1/7"}, {"tags": [{"key": "slurm:user", "value": "bob"}]},
        {"cluster": "hpc"}, {"launchType": None, "capacityProviderStrategy": spot},
        {"networkConfiguration": other}, {"startedBy": "slurm/c-1/70"})]
    gone = []
    for task in started:
        cluster = task["clusterArn"].rpartition("/")[2]
        gone.append(len(aws.describe(task["taskArn"], cluster=cluster)["failures"]))
    assert gone == [1, 1, 1, 1, 1, 0]
    assert [r["left"] for r in aws.control("GET", "faults")] == [0] * 5


def test_op_rules_match_by_the_task_that_is_named(aws):
    aws.faults({"task": {}, "stick": "PROVISIONING", "times": 2})       # no log stream, however slow we are
    one, two = (aws.run("sleep 60", startedBy=f"slurm/c/{n}") for n in (1, 2))
    unknown = {"tasks": [{"taskArn": "x", "lastStatus": "HIBERNATING"}], "failures": []}
    aws.faults({"op": "DescribeTasks", "match": {"jobid": "2"}, "reply": unknown},
               {"op": "StopTask", "match": {"jobid": "2"}, "error": {
                   "code": "ServerException", "message": "Service Unavailable", "status": 503}},
               {"op": "GetLogEvents", "match": {"jobid": "2"}, "error": {
                   "code": "ThrottlingException", "message": "Rate exceeded"}})
    assert aws.task(one)["taskArn"].endswith(one)
    assert aws.describe(one, two) == unknown
    assert len(aws.describe(one, two)["tasks"]) == 2
    aws.call("StopTask", {"task": one})
    assert aws.refuses("ServerException", "Service Unavailable", "StopTask",
                       {"task": two}).status == 503
    for task, code in ((one, "ResourceNotFoundException"), (two, "ThrottlingException"),
                       (two, "ResourceNotFoundException")):
        with pytest.raises(AwsRefusal, match=code):
            aws.log_page(task)


def test_a_star_is_every_operation(aws):
    aws.faults({"op": "*", "times": 3, "error": {"code": "ServiceUnavailable", "status": 503}},
               {"op": "*", "cut": "after"})
    for operation, params in (("RunTask", {"taskDefinition": "slurm-job"}), ("ListTasks", {}),
                              ("DescribeLogStreams", {"logGroupName": "/hpc"})):
        with pytest.raises(AwsRefusal, match="503 .*ServiceUnavailable"):
            aws.call(operation, params)
    with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError,
                        urllib.error.URLError)):
        aws.call("ListClusters")
    assert aws.control("GET", "calls")["ListClusters"]["ok"] == 1
    aws.call("ListClusters")


def test_conflict_of_a_rule_names_the_tasks(aws):
    aws.faults({"op": "RunTask", "error": {"code": "ConflictException", "message": "m",
                                           "resourceIds": ["arn:x"]}})
    assert aws.run_refused("ConflictException", "m").body["resourceIds"] == ["arn:x"]


def test_stuck_while_the_network_goes(aws):
    """The end that does not come: the container has exited, STOPPED is never shown."""
    aws.faults({"task": {}, "stick": "DEPROVISIONING"})
    task = aws.run("exit 3")
    shown = aws.control("GET", f"wait?task={task}&status=DEPROVISIONING")
    assert shown["containers"][0]["exitCode"] == 3
    assert aws.refused("GET", f"wait?task={task}&timeout=0.4") == (
        408, f"waited 0.4 s for STOPPED: task {task} is DEPROVISIONING")
    aws.call("StopTask", {"task": task})
    assert aws.wait(task)["stopCode"] == "EssentialContainerExited"


def test_missing(aws):
    aws.faults({"task": {}, "missing": 2})
    task = aws.run()
    gone = {"tasks": [], "failures": [{"arn": f"{ARN}:task/default/{task}", "reason": "MISSING"}]}
    assert [aws.describe(task), aws.describe(task)] == [gone, gone]
    assert aws.task(task)["taskArn"].endswith(task)


def test_skip_and_stick(aws):
    aws.faults({"task": {"jobid": "1"}, "skip": ["PENDING", "ACTIVATING", "RUNNING"]},
               {"task": {"jobid": "2"}, "stick": "PENDING"},
               {"task": {"jobid": "3"}, "stick": "RUNNING"})
    skipping, stuck, hung = (aws.run(startedBy=f"slurm/c/{n}") for n in (1, 2, 3))
    ended = aws.wait(skipping)
    assert [h["lastStatus"] for h in ended["history"]] == [
        "PROVISIONING", "DEPROVISIONING", "STOPPED"]
    assert "startedAt" in ended and ended["containers"][0]["exitCode"] == 0
    assert aws.task(stuck)["lastStatus"] == "PENDING"
    assert aws.task(hung)["lastStatus"] == "RUNNING"
    for task in (stuck, hung):
        aws.call("StopTask", {"task": task})
        assert aws.wait(task)["stopCode"] == "UserInitiated"


def test_sidecar_exit(aws):
    aws.faults({"task": {}, "sidecar_exit": 1})
    ended = aws.wait(aws.run("exit 0"))
    codes = [(c["name"], c["exitCode"]) for c in ended["containers"]]
    assert codes == [("sidecar", 1), ("main", 0)]


def test_logs_late_drop_and_empty_pages(aws):
    aws.faults({"logs": {"jobid": "1"}, "late": 80, "drop": 2, "empty_pages": 2})
    task = aws.run("for i in 1 2 3 4; do echo $i; done", startedBy="slurm/c/1")
    aws.control("GET", f"wait?task={task}&status=DEPROVISIONING")
    assert aws.log_page(task)["events"] == []
    end = time.monotonic() + 10
    tokens, pages = [None], []
    while not pages or not pages[-1]:
        assert time.monotonic() < end
        page = aws.log_page(task, **({"nextToken": tokens[-1]} if tokens[-1] else {}))
        if page["nextForwardToken"] != tokens[-1]:
            tokens.append(page["nextForwardToken"])
            pages.append([e["message"] for e in page["events"]])
        time.sleep(0.12)        # ten reads a second are allowed in the slowest regions
    assert pages[-1] == ["1", "2"]
    assert pages.count([]) >= 2 and len(set(tokens)) == len(tokens)


def test_lag(aws):
    aws.faults({"op": "ListTasks", "lag": 0.7}, {"op": "DescribeTasks", "lag": 0.7})
    task = aws.run("sleep 60")
    assert aws.call("ListTasks")["taskArns"] == []
    assert aws.describe(task)["failures"][0]["reason"] == "MISSING"
    wait_for(lambda: aws.call("ListTasks")["taskArns"] == [f"{ARN}:task/default/{task}"], 3)
    assert aws.describe(task)["failures"] == []


def test_clock_and_credentials(aws):
    aws.faults({"clock": -3600}, {"credentials": "expire"})
    with pytest.raises(AwsRefusal, match="Signature not yet current") as caught:
        aws.call("ListClusters")
    there = email.utils.parsedate_to_datetime(caught.value.headers["Date"]).timestamp()
    assert abs(there - time.time() + 3600) < 30
    aws.refuses("ExpiredTokenException", "The security token included in the request is expired",
                "ListClusters", when=-3600)
    aws.call("ListClusters", when=-3600)


def test_exitcode_at(aws):
    aws.faults({"exitcode_at": "exec"}, {"task": {}, "stick": "RUNNING"})
    task = aws.run("exit 5")
    wait_for(lambda: "exitCode" in aws.control("GET", "tasks")[0]["containers"][0])
    shown = aws.task(task)
    assert (shown["lastStatus"], shown["desiredStatus"]) == ("RUNNING", "RUNNING")
    assert (shown["containers"][0]["exitCode"], "stopCode" in shown) == (5, False)
    aws.faults({"exitcode_at": "stopped"})
    task = aws.run("exit 6")
    shown = aws.control("GET", f"wait?task={task}&status=DEPROVISIONING")
    assert "exitCode" not in shown["containers"][0]
    assert aws.wait(task)["containers"][0]["exitCode"] == 6


def test_expire_stopped(aws):
    aws.faults({"expire_stopped": 0})
    task = aws.run()
    aws.wait(task)
    assert aws.describe(task)["failures"][0]["reason"] == "MISSING"
    assert aws.call("ListTasks", {"desiredStatus": "STOPPED"})["taskArns"] == []


@pytest.mark.parametrize("rule, sentence", [
    ({"op": "RunTask", "eror": {}}, "rule 1 has no member 'eror'; it may have cut, delay, error, "
     "ghost, lag, match, op, raw, reply, times"),
    ({"op": "RunTask", "error": {"kode": "x"}}, "rule 1.error has no member 'kode'; it may have "
     "code, message, resourceIds, status"),
    ({"op": "RunTask"}, "rule 1 does nothing: it needs one of error, reply, cut, delay, raw, lag"),
    ({"op": "RunTusk", "cut": "before"}, "rule 1 names an operation that is not served: RunTusk"),
    ({"op": "RunTask", "cut": "during"}, "rule 1.cut must be one of before, after, not 'during'"),
    ({"op": "RunTask", "match": {"job": "1"}, "delay": 1}, "rule 1.match has no member 'job'; it "
     "may have cluster, jobid, provider, subnet, user"),
    ({"task": {}, "stick": "NOWHERE"}, "rule 1.stick must be one of PROVISIONING, PENDING, "
     "ACTIVATING, RUNNING, DEPROVISIONING, not 'NOWHERE'"),
    ({"task": {}, "skip": ["STOPPED"]}, "rule 1.skip must be one of PENDING, ACTIVATING, RUNNING, "
     "DEPROVISIONING, not 'STOPPED'"),
    ({"task": {}, "skip": "RUNNING"}, "rule 1.skip must be a list"),
    ({"task": {}, "ending": {"after": 1}}, "rule 1.ending needs at, one of PROVISIONING, PENDING, "
     "ACTIVATING, RUNNING"),
    ({"task": {}, "ending": {"at": "STOPPED"}}, "rule 1.ending.at must be one of PROVISIONING, "
     "PENDING, ACTIVATING, RUNNING, not 'STOPPED'"),
    ({"task": {}, "ending": {"at": "RUNNING", "container": {"exitCode": 256}}},
     "rule 1.ending.container.exitCode must be 0 to 255, not 256"),
    ({"task": {}, "ending": []}, "rule 1.ending must be an object"),
    ({"task": {}, "missing": -1}, "rule 1.missing must be 0 to 1000000, not -1"),
    ({"task": {}, "missing": True}, "rule 1.missing has a value of the wrong type: True"),
    ({"task": {}, "missing": 1.5}, "rule 1.missing has a value of the wrong type: 1.5"),
    ({"task": {}, "missing": 1, "times": 0}, "rule 1.times must be 1 to 1000000, not 0"),
    ({"task": {}, "sidecar_exit": None}, "rule 1.sidecar_exit has a value of the wrong type: None"),
    ({"op": "*", "delay": -1}, "rule 1.delay must be 0 to 86400, not -1"),
    ({"op": "*", "delay": float("nan")}, "rule 1.delay has a value of the wrong type: nan"),
    ({"op": "*", "error": {"status": 200}}, "rule 1.error.status must be 400 to 599, not 200"),
    ({"op": "*", "error": {"resourceIds": [1]}},
     "rule 1.error.resourceIds has a value of the wrong type: 1"),
    ({"op": "*", "raw": {"status": 42}}, "rule 1.raw.status must be 200 to 599, not 42"),
    ({"op": "*", "raw": {"type": "html"}}, "rule 1.raw.type has a value of the wrong form: 'html'"),
    ({"op": "*", "reply": []}, "rule 1.reply must be an object"),
    ({"op": "*", "delay": 1, "ghost": True}, "rule 1 has ghost without reply"),
    ({"op": 5, "delay": 1}, "rule 1.op has a value of the wrong type: 5"),
    ({"op": "RunTask", "task": {}, "cut": "before"}, "rule 1 must have exactly one of op, task, "
     "logs, clock, credentials, exitcode_at, expire_stopped, usage_delay"),
    ({"logs": {}, "late": "8"}, "rule 1.late has a value of the wrong type: '8'"),
    ({"logs": {}}, "rule 1 does nothing: it needs one of late, drop, empty_pages"),
    ({"clock": "x"}, "rule 1.clock has a value of the wrong type: 'x'"),
    ({"credentials": "lose"}, "rule 1.credentials must be one of expire, not 'lose'"),
    ({"exitcode_at": "end"}, "rule 1.exitcode_at must be one of exec, stopping, stopped, not 'end'"),
    ({"expire_stopped": -1}, "rule 1.expire_stopped must be 0 to 86400, not -1"),
    ({}, "rule 1 must have exactly one of op, task, logs, clock, credentials, exitcode_at, "
     "expire_stopped, usage_delay"),
    ({"task": {"jobid": 17}, "missing": 1}, "rule 1.task.jobid has a value of the wrong type: 17"),
    ({"usage_delay": -1}, "rule 1.usage_delay must be 0 to 86400, not -1"),
    ("x", "rule 1 must be an object"),
])
def test_bad_rules_are_refused(aws, rule, sentence):
    assert aws.refused("PUT", "faults", [rule]) == (400, sentence)
    assert aws.control("GET", "faults") == []


EXAMPLES = """
{"op": "RunTask", "times": 2, "error": {"code": "ThrottlingException", "message": "Rate exceeded", "status": 400}}
{"op": "RunTask", "match": {"provider": "FARGATE_SPOT", "subnet": "subnet-a", "jobid": "17"},
 "reply": {"tasks": [], "failures": [{"reason": "Capacity is unavailable at this time."}]}, "ghost": false}
{"op": "RunTask", "cut": "before"}
{"op": "RunTask", "cut": "after"}
{"op": "DescribeTasks", "delay": 5.0}
{"op": "*", "raw": {"status": 503, "body": "<html>", "type": "text/html"}}
{"task": {"jobid": "17"}, "ending": {"at": "PROVISIONING", "after": 1.0, "stopCode": "TaskFailedToStart",
 "stoppedReason": "CannotPullContainerError: x", "container": {"exitCode": null, "reason": "x"}}}
{"task": {}, "times": 5, "ending": {"at": "RUNNING", "after": 2.0, "stopCode": "SpotInterruption",
 "stoppedReason": "Your Spot Task was interrupted.", "container": {"exitCode": 0}}}
{"task": {}, "missing": 3}
{"task": {}, "skip": ["PENDING", "ACTIVATING", "RUNNING"]}
{"task": {}, "stick": "PROVISIONING"}
{"task": {}, "sidecar_exit": 1}
{"logs": {"jobid": "17"}, "late": 8.0, "drop": 3, "empty_pages": 2}
{"op": "ListTasks", "lag": 4.0}
{"clock": -3600}
{"credentials": "expire"}
{"exitcode_at": "exec"}
{"expire_stopped": 0}
{"usage_delay": 300}
"""


def test_the_rules_as_they_are_documented(aws):
    rules = [json.loads(text) for text in re.split(r"\n(?={)", EXAMPLES.strip())]
    assert len(rules) == 19
    for rule in rules:
        aws.faults(rule)
    shown = aws.control("PUT", "faults", rules)
    forever = [r for r in shown if r["left"] is None]
    assert len(shown) == len(rules) and [list(r)[0] for r in forever] == [
        "logs", "op", "clock", "exitcode_at", "expire_stopped", "usage_delay"]
    assert [r["left"] for r in shown if r not in forever] == [2, *[1] * 6, 5, *[1] * 5]


def test_a_bad_rule_leaves_the_old_ones(aws):
    aws.faults({"op": "ListTasks", "cut": "before", "times": 3})
    assert aws.refused("PUT", "faults", [{"clock": 1}, {"op": "x"}])[1] == (
        "rule 2 does nothing: it needs one of error, reply, cut, delay, raw, lag")
    assert aws.refused("PUT", "faults", {"clock": 1}) == (400, "the body must be a list of rules")
    assert aws.control("GET", "faults") == [{"op": "ListTasks", "cut": "before", "times": 3,
                                             "left": 3}]


@pytest.mark.parametrize("method, path, body, status, sentence", [
    ("GET", "nothing", None, 404, "GET /_local/nothing: Not Found"),
    ("POST", "calls", {}, 405, "POST /_local/calls: Method Not Allowed"),
    ("POST", "tasks/gone/stop", {}, 404, "there is no task gone"),
    ("POST", "tasks/gone/stop", {"reason": 5}, 400,
     "the body must be an object with, at most, a reason"),
    ("POST", "tasks/gone/stop", [], 400, "the body must be an object with, at most, a reason"),
    ("PUT", "quotas", [], 400, "the body must be an object"),
    ("PUT", "quotas", {"L-3032A538": 6}, 400, "L-3032A538 must be an object"),
    ("PUT", "quotas", {"L-3032A538": {"limits": 6}}, 400,
     "L-3032A538 has no member 'limits'; it may have limit, others, since, applied"),
    ("PUT", "quotas", {"L-3032A538": {"applied": 1}}, 400,
     "L-3032A538.applied must be true or false, not 1"),
    ("PUT", "quotas", {"L-3032A538": {"since": True}}, 400,
     "L-3032A538.since must be a number, not True"),
    ("PUT", "quotas", {"L-36FBB829": {"others": -1}}, 400,
     "L-36FBB829.others must be a number, not -1"),
    ("PUT", "quotas", {"L-36FBB829": {"limit": float("inf")}}, 400,
     "L-36FBB829.limit must be a number, not inf"),
    ("GET", "wait?jobid=1&timeout=soon", None, 400, "timeout=soon is not a number of seconds"),
    ("GET", "wait?jobid=1&timeout=nan", None, 400, "timeout=nan is not a number of seconds"),
    ("GET", "wait?jobid=1&status=RUNING", None, 400, "status=RUNING is none of PROVISIONING, "
     "PENDING, ACTIVATING, RUNNING, DEACTIVATING, STOPPING, DEPROVISIONING, STOPPED"),
])
def test_control_refusals(aws, method, path, body, status, sentence):
    assert aws.refused(method, path, body) == (status, sentence)


def test_quotas_are_shown_and_go_back(aws):
    default = {"limit": 4000, "others": 0, "applied": True}
    assert aws.control("PUT", "quotas", {"L-3032A538": {"limit": 6, "others": 2, "since": 60, "applied": False}}) == {
        "L-3032A538": {"limit": 6, "others": 2, "applied": False}, "L-36FBB829": default}
    assert aws.control("PUT", "quotas", {"L-36FBB829": {"limit": 0.5}}) == {
        "L-3032A538": default, "L-36FBB829": {**default, "limit": 0.5}}
    aws.control("POST", "reset")
    assert aws.control("GET", "quotas") == {"L-3032A538": default, "L-36FBB829": default}


def test_wait(aws):
    assert aws.refused("GET", "wait?jobid=5&timeout=0.2") == (
        408, "waited 0.2 s for STOPPED: there is no such task")
    assert aws.refused("GET", "wait") == (400, "wait needs task= or jobid=")
    assert aws.refused("GET", "wait?task=gone") == (404, "there is no task gone")
    task = aws.run("sleep 60", startedBy="slurm/c/5")
    assert aws.control("GET", "wait?jobid=5&status=RUNNING")["taskArn"].endswith(task)
    assert aws.refused("GET", f"wait?task={task}&timeout=0.1") == (
        408, f"waited 0.1 s for STOPPED: task {task} is RUNNING")


def test_reset(aws):
    task = aws.run("echo up; sleep 60", clientToken="r")
    aws.wait(task, "RUNNING")
    aws.control("POST", "reset")
    assert aws.control("GET", "calls") == {}
    assert aws.control("GET", "tasks") == []
    with pytest.raises(AwsRefusal, match="The specified log stream does not exist."):
        aws.log_page(task)
    assert aws.run(clientToken="r") != task


def test_lifecycle_follows_the_record(aws):
    """Stages of the recorded timeline, scaled; each may be late on a busy machine, never early."""
    ended = aws.wait(aws.run("true"))
    created = ended["createdAt"]
    for member, seconds in (("pullStartedAt", 18.8), ("pullStoppedAt", 20.4), ("startedAt", 20.9),
                            ("stoppingAt", 30.9), ("stoppedAt", 53.9)):
        after = (ended[member] - created) * SPEED
        assert seconds - 0.2 <= after < seconds + 400, (member, after)
