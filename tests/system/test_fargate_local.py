# The local AWS: its wire protocol, its operations and its refusals.
# SPDX-License-Identifier: GPL-2.0-or-later
import http.client
import json
import time

import pytest
from test_fargate_local_support import (ARN, KEY, TARGETS, AwsRefusal, aws, server,  # noqa: F401
                                        wait_for)


# -- the wire ---------------------------------------------------------------------------------

def test_answers_carry_request_id_and_type(aws):
    data, headers = aws.request("ListClusters", {})
    connection = http.client.HTTPConnection("127.0.0.1", aws.port)
    connection.request("POST", "/", data, headers)
    answer = connection.getresponse()
    assert answer.headers["Content-Type"].startswith("application/x-amz-json-1.1")
    assert len(answer.headers["x-amzn-RequestId"]) == 36
    assert json.load(answer) == {"clusterArns": [f"{ARN}:cluster/default", f"{ARN}:cluster/hpc"]}
    connection.close()


@pytest.mark.parametrize("key, code, message", [
    (("AKIANOBODY", "x"), "UnrecognizedClientException",
     "The security token included in the request is invalid."),
    ((KEY[0], KEY[1], "a-token"), "UnrecognizedClientException",
     "The security token included in the request is invalid."),
    ((KEY[0], "wrong"), "InvalidSignatureException",
     "The request signature we calculated does not match the signature you provided. Check your "
     "AWS Secret Access Key and signing method. Consult the service documentation for details."),
])
def test_wrong_keys(aws, key, code, message):
    refusal = aws.refuses(code, message, "ListClusters", key=key)
    assert refusal.status == 400
    assert refusal.headers["x-amzn-ErrorType"] == code


def test_signature_window(aws):
    aws.call("ListClusters", when=-280)
    aws.call("ListClusters", when=280)
    with pytest.raises(AwsRefusal, match=r"Signature expired: \d{8}T\d{6}Z is now earlier than "
                       r"\d{8}T\d{6}Z \(\d{8}T\d{6}Z - 5 min\.\)"):
        aws.call("ListClusters", when=-310)
    with pytest.raises(AwsRefusal, match=r"Signature not yet current: .* is still later than .* "
                       r"\+ 5 min\.\)"):
        aws.call("ListClusters", when=310)


def test_signature_covers_body_scope_and_headers(aws):
    data, headers = aws.request("ListClusters", {})
    with pytest.raises(AwsRefusal, match="InvalidSignatureException"):
        aws.send(b'{"maxResults": 1}', headers)
    with pytest.raises(AwsRefusal, match="MissingAuthenticationTokenException"):
        aws.send(data, {k: v for k, v in headers.items() if k != "Authorization"})
    with pytest.raises(AwsRefusal, match="'x-amz-extra' must be a 'SignedHeader'"):
        aws.send(data, {**headers, "x-amz-extra": "1"})
    with pytest.raises(AwsRefusal, match="scoped to correct service: 'ecs'"):
        body, other = aws.request("ListClusters", {}, service="logs")
        aws.send(body, {**other, "X-Amz-Target": TARGETS["ecs"] + ".ListClusters"})


def test_bad_bodies_and_unknown_operations(aws):
    for body in (b"{", b"\xff", b"[]", b"null", b'{"maxResults": "1"}', b"[" * 100000,
                 b'{"maxResults": ' + b"9" * 5000 + b"}", b'{"cluster": "\\ud800"}'):
        with pytest.raises(AwsRefusal, match="SerializationException"):
            aws.call("ListClusters", body=body)
    with pytest.raises(AwsRefusal, match="SerializationException"):
        aws.call("RunTask", {"taskDefinition": 1})
    refusal = aws.refuses("UnknownOperationException", TARGETS["ecs"] + ".CreateService is not "
                          "served by the local AWS", "CreateService")
    assert refusal.status == 404
    assert aws.control("GET", "calls")["UnknownOperation"]["refused"] == 1


def test_calls_count_unknown_members(aws):
    aws.call("ListClusters", {"maxResult": 1, "shout": True})
    with pytest.raises(AwsRefusal):
        aws.call("ListClusters", {"maxResults": 0})
    assert aws.control("GET", "calls") == {
        "ListClusters": {"ok": 1, "throttled": 0, "refused": 1, "unknown": 2}}


def test_buckets_throttle_in_real_time(aws):
    for _ in range(50):
        aws.call("DescribeClusters")
    with pytest.raises(AwsRefusal) as caught:
        for _ in range(100):
            aws.call("DescribeClusters")
    assert (caught.value.status, caught.value.code, caught.value.message) == (
        400, "ThrottlingException", "Rate exceeded")
    assert aws.control("GET", "calls")["DescribeClusters"]["throttled"] == 1


def test_partitions(aws):
    assert aws.call("ListClusters", region="cn-north-1")["clusterArns"][0].startswith(
        "arn:aws-cn:ecs:cn-north-1:")
    assert aws.call("ListClusters", region="us-gov-west-1")["clusterArns"][0].startswith(
        "arn:aws-us-gov:ecs:")


# -- operations -------------------------------------------------------------------------------

def test_a_task_from_start_to_end(aws):
    answer = aws.run_answer("echo hello; exit 3", startedBy="slurm/c-1/17", count=1, tags=[
        {"key": "slurm:user", "value": "alice"}], cluster="hpc", group="g")
    assert answer["failures"] == []
    fresh = answer["tasks"][0]
    assert fresh["tags"] == [{"key": "slurm:user", "value": "alice"}]
    task = fresh["taskArn"].rpartition("/")[2]
    assert fresh["taskArn"] == f"{ARN}:task/hpc/{task}" and len(task) == 32
    assert (fresh["lastStatus"], fresh["desiredStatus"], fresh["version"], fresh["cpu"],
            fresh["memory"], fresh["group"]) == ("PROVISIONING", "RUNNING", 1, "256", "512", "g")
    assert isinstance(fresh["createdAt"], float)
    assert "startedAt" not in fresh and "exitCode" not in fresh["containers"][0]
    ended = aws.wait(task)
    assert [h["lastStatus"] for h in ended["history"]] == [
        "PROVISIONING", "PENDING", "ACTIVATING", "RUNNING", "DEPROVISIONING", "STOPPED"]
    shown = aws.describe(task, cluster="hpc", include=["TAGS"])["tasks"][0]
    assert shown["tags"] == [{"key": "slurm:user", "value": "alice"}]
    assert (shown["stopCode"], shown["stoppedReason"], shown["version"]) == (
        "EssentialContainerExited", "Essential container in task exited", 5)
    assert shown["containers"][0]["exitCode"] == 3
    stamps = [shown[k] for k in ("createdAt", "connectivityAt", "pullStartedAt", "pullStoppedAt",
                                 "startedAt", "executionStoppedAt", "stoppingAt", "stoppedAt")]
    assert stamps == sorted(stamps)
    assert aws.lines(task) == ["hello"]
    assert aws.describe(task)["failures"] == [
        {"arn": f"{ARN}:task/default/{task}", "reason": "MISSING"}]     # another cluster


def test_exit_code_is_hidden_until_stopping(aws):
    task = aws.run("exit 4")
    aws.wait(task, "RUNNING")
    end = time.monotonic() + 10
    while True:
        shown = aws.control("GET", "tasks")[0]      # no bucket here
        if "exitCode" in shown["containers"][0]:
            break
        assert shown["desiredStatus"] == "RUNNING" and time.monotonic() < end
    assert shown["desiredStatus"] == "STOPPED"
    assert shown["containers"][0]["exitCode"] == 4


def test_stop_task(aws):
    task = aws.run("trap 'echo got TERM; exit 9' TERM; echo up; sleep 60 & wait", tags=[
        {"key": "a", "value": "b"}])
    aws.wait(task, "RUNNING")
    wait_for(lambda: "up" in aws.lines(task))
    shown = aws.call("StopTask", {"task": task, "reason": "enough"})["task"]
    assert (shown["lastStatus"], shown["desiredStatus"], shown["stopCode"],
            shown["stoppedReason"]) == ("RUNNING", "STOPPED", "UserInitiated", "enough")
    ended = aws.wait(task)
    assert ended["containers"][0]["exitCode"] == 9
    assert ended["stoppingAt"] < ended["executionStoppedAt"] < ended["stoppedAt"]
    assert ended["version"] == 6
    assert ended["tags"] == [{"key": "a", "value": "b"}]            # kept here only
    assert aws.describe(task, include=["TAGS"])["tasks"][0]["tags"] == []
    assert aws.lines(task) == ["up", "got TERM"]
    assert aws.call("StopTask", {"task": task})["task"]["lastStatus"] == "STOPPED"
    aws.refuses("InvalidParameterException", "The referenced task was not found.", "StopTask",
                {"task": "0" * 32})


def test_stop_before_start_has_no_exit_code(aws):
    aws.faults({"task": {}, "stick": "PENDING"})
    task = aws.run("echo never")
    aws.call("StopTask", {"task": task})
    ended = aws.wait(task)
    assert "exitCode" not in ended["containers"][0] and "startedAt" not in ended
    assert ended["stoppedReason"] == "Task stopped by user"
    with pytest.raises(AwsRefusal, match="The specified log stream does not exist."):
        aws.log_page(task)


def test_sigkill_after_stop_timeout(aws):
    aws.define("stubborn", container={"stopTimeout": 2})
    task = aws.run("trap '' TERM; while :; do sleep 1; done", taskDefinition="stubborn")
    aws.wait(task, "RUNNING")
    aws.control("POST", f"tasks/{task}/stop", {"reason": "someone else"})
    ended = aws.wait(task)
    assert ended["containers"][0]["exitCode"] == 137
    assert ended["stoppedReason"] == "someone else"


def test_list_tasks(aws):
    ids = [aws.run("sleep 60", startedBy=f"slurm/c-1/{n % 2}") for n in range(4)]
    arns = sorted(f"{ARN}:task/default/{i}" for i in ids)
    assert aws.call("ListTasks")["taskArns"] == arns
    assert aws.call("ListTasks", {"startedBy": "slurm/c-1/1"})["taskArns"] == sorted(
        f"{ARN}:task/default/{i}" for i in (ids[1], ids[3]))
    first = aws.call("ListTasks", {"family": "slurm-job", "maxResults": 3})
    rest = aws.call("ListTasks", {"nextToken": first["nextToken"], "maxResults": 3})
    assert first["taskArns"] + rest["taskArns"] == arns and "nextToken" not in rest
    aws.refuses("InvalidParameterException", "Invalid nextToken.", "ListTasks", {"nextToken": "x"})
    aws.refuses("InvalidParameterException", "cannot specify startedBy with other arguments",
                "ListTasks", {"startedBy": "x", "family": "slurm-job"})
    aws.call("StopTask", {"task": ids[0]})
    assert arns[arns.index(f"{ARN}:task/default/{ids[0]}")] not in aws.call("ListTasks")["taskArns"]
    assert aws.call("ListTasks", {"desiredStatus": "STOPPED"})["taskArns"] == [
        f"{ARN}:task/default/{ids[0]}"]


def test_task_definitions(aws):
    first = aws.define("fam", cpu="1 vCPU", memory="2GB", tags=[{"key": "k", "value": "v"}])
    second = aws.define("fam")
    assert (first["revision"], first["cpu"], first["memory"]) == (1, "1024", "2048")
    assert first["taskDefinitionArn"] == f"{ARN}:task-definition/fam:1"
    found = aws.call("DescribeTaskDefinition", {"taskDefinition": "fam", "include": ["TAGS"]})
    assert (found["taskDefinition"]["revision"], found["tags"]) == (2, [])
    arn = second["taskDefinitionArn"]
    assert aws.call("DescribeTaskDefinition", {"taskDefinition": arn})["taskDefinition"] == second
    aws.call("DeregisterTaskDefinition", {"taskDefinition": "fam:2"})
    assert aws.call("DescribeTaskDefinition", {"taskDefinition": "fam"})["taskDefinition"][
        "revision"] == 1
    aws.run_refused("InvalidParameterException", "TaskDefinition is inactive",
                    taskDefinition="fam:2")
    aws.run_refused("ClientException", "TaskDefinition not found.", taskDefinition="nope")
    aws.refuses("ClientException", "Unable to describe task definition.",
                "DescribeTaskDefinition", {"taskDefinition": "nope"})


@pytest.mark.parametrize("message, changes", [
    ("No Fargate configuration exists for given values.", {"memory": "4096"}),
    ("Fargate only supports network mode ‘awsvpc’.", {"networkMode": "bridge"}),
    ("Container.image should not be null or empty.", {"container": {"image": ""}}),
    ("EphemeralStorage size should be at least 21", {"ephemeralStorage": {"sizeInGiB": 20}}),
    ("Log driver syslog is not supported for Fargate tasks.",
     {"container": {"logConfiguration": {"logDriver": "syslog"}}}),
])
def test_register_refusals(aws, message, changes):
    with pytest.raises(AwsRefusal) as caught:
        aws.define("bad", **changes)
    assert (caught.value.code, caught.value.message) == ("ClientException", message)


def test_describe_clusters(aws):
    aws.faults({"task": {}, "stick": "PENDING"})
    aws.run("sleep 60")
    answer = aws.call("DescribeClusters", {"clusters": ["default", "gone"]})
    assert answer["failures"] == [{"arn": f"{ARN}:cluster/gone", "reason": "MISSING"}]
    cluster = answer["clusters"][0]
    assert (cluster["status"], cluster["pendingTasksCount"]) == ("ACTIVE", 1)
    assert cluster["capacityProviders"] == ["FARGATE", "FARGATE_SPOT"]


IP, CE = "InvalidParameterException", "ClientException"
STRATEGY = [{"capacityProvider": "FARGATE_SPOT", "weight": 1}]


@pytest.mark.parametrize("code, message, changes", [
    ("ClusterNotFoundException", "Cluster not found.", {"cluster": "gone"}),
    (IP, "specifying both a launch type and capacity provider strategy is not supported. Remove "
     "one and try again.", {"capacityProviderStrategy": STRATEGY}),
    (IP, "No Container Instances were found in your cluster.", {"launchType": None}),
    (IP, "The specified capacity provider strategy cannot contain a capacity provider that is not "
     "associated with the cluster.",
     {"launchType": None, "capacityProviderStrategy": [{"capacityProvider": "mine"}]}),
    (IP, "Network Configuration must be provided when networkMode 'awsvpc' is specified.",
     {"networkConfiguration": None}),
    (IP, "subnets can not be empty.",
     {"networkConfiguration": {"awsvpcConfiguration": {"subnets": []}}}),
    (IP, "Error retrieving subnet information for [net-1]: The subnet ID 'net-1' does not exist "
     "(ErrorCode: InvalidSubnetID.NotFound)",
     {"networkConfiguration": {"awsvpcConfiguration": {"subnets": ["net-1"]}}}),
    (IP, "Override for container named x is not a container in the TaskDefinition",
     {"overrides": {"containerOverrides": [{"name": "x"}]}}),
    (CE, "No Fargate configuration exists for given values.", {"overrides": {"cpu": "512"}}),
    (CE, "EphemeralStorage size should be at most 200",
     {"overrides": {"ephemeralStorage": {"sizeInGiB": 201}}}),
    (IP, "startedBy longer than 128.", {"startedBy": "a" * 129}),
    (IP, "count cannot be greater than 10.", {"count": 11}),
    (IP, "clientToken must be between 1 and 64 characters.", {"clientToken": "x" * 65}),
    (IP, "Tags can have a maximum size of 50.",
     {"tags": [{"key": str(n), "value": ""} for n in range(51)]}),
    (IP, "Some tags contain invalid characters", {"tags": [{"key": "a", "value": "b#"}]}),
    (IP, "1 validation error detected: Value null at 'taskDefinition' failed to satisfy "
     "constraint: Member must not be null", {"taskDefinition": None}),
])
def test_run_task_refusals(aws, code, message, changes):
    aws.run_refused(code, message, **changes)
    assert aws.control("GET", "tasks") == []


def test_values_that_are_not_in_the_enum(aws):
    with pytest.raises(AwsRefusal, match=r"InvalidParameterException.*1 validation error detected: "
                       r"Value 'MOON' at 'launchType' failed to satisfy constraint: Member must "
                       r"satisfy enum value set: \[EC2, FARGATE, EXTERNAL[A-Z_, ]*\]"):
        aws.run_answer(launchType="MOON")


def test_overrides_limit_counts_the_stored_form(aws):
    def size(n):
        return {"containerOverrides": [{"name": "main", "command": ["x" * n]}]}
    stored = {**size(0), "inferenceAcceleratorOverrides": []}
    room = 8192 - len(json.dumps(stored, separators=(",", ":")))
    aws.run(overrides=size(room))
    aws.run_refused(IP, "Container Overrides length must be at most 8192", overrides=size(room + 1))


def test_client_token(aws):
    first = aws.run_answer(clientToken="t1", startedBy="a")["tasks"][0]["taskArn"]
    assert aws.run_answer(clientToken="t1", startedBy="a")["tasks"][0]["taskArn"] == first
    conflict = aws.run_refused(
        "ConflictException", "The request could not be processed because of conflict in the "
        "current state of the resource.", clientToken="t1", startedBy="b")
    assert conflict.body["resourceIds"] == [first]
    other = aws.run_answer(clientToken="t1", startedBy="b", cluster="hpc")      # per cluster
    assert other["tasks"][0]["taskArn"] != first
    aws.wait(first)
    again = aws.run_answer(clientToken="t1", startedBy="a")["tasks"][0]
    assert again == {"taskArn": first, "lastStatus": "STOPPED", "desiredStatus": "STOPPED"}
    assert len(aws.control("GET", "tasks")) == 2


def test_quota(aws):
    limit = "You’ve reached the limit on the number of vCPUs you can run concurrently"
    aws.control("PUT", "quotas", {"L-3032A538": {"limit": 3, "others": 2.5}})
    aws.faults({"task": {}, "stick": "PROVISIONING", "times": 2})
    both = aws.run_answer("true", count=3, clientToken="q")
    assert len(both["tasks"]) == 2 and both["failures"] == [{"reason": limit}]
    assert aws.run_answer("true", count=3, clientToken="q") == both             # replayed
    big = {"cpu": "4096", "memory": "8192"}
    assert aws.run_answer(overrides=big)["failures"] == [
        {"reason": "The requested CPU configuration is above your limit."}]
    spot = aws.run_answer(launchType=None, capacityProviderStrategy=STRATEGY)
    assert spot["tasks"][0]["capacityProviderName"] == "FARGATE_SPOT"
    for task in both["tasks"]:
        aws.call("StopTask", {"task": task["taskArn"]})
        aws.wait(task["taskArn"])
    assert aws.run_answer()["failures"] == []       # STOPPED gives the vCPU back
    assert aws.refused("PUT", "quotas", {"L-1": {}})[1].startswith("L-1 is not a quota here")
