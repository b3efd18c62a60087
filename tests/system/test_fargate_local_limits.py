# The local AWS: every limit that the service models do not carry, just inside and just outside.
# SPDX-License-Identifier: GPL-2.0-or-later
import json
import os
import sys

import pytest
from test_fargate_local_support import (ARN, MODELS, NETWORK, REGION, ROLE, SERVER,  # noqa: F401
                                        AwsRefusal, Server, aws, python_path)

sys.path.insert(0, os.path.dirname(SERVER))
from fargate_local import limits  # noqa: E402
from fargate_local.sts import UNSIGNED  # noqa: E402

IP, CE = "InvalidParameterException", "ClientException"
NOT_AVAILABLE = {"failures": [{"reason": "The requested CPU configuration is above your limit."}],
                 "tasks": []}
NO_SIZE = "No Fargate configuration exists for given values."
VALUE = "1 validation error detected: Value '%s' at '%s' failed to satisfy constraint: Member must "


@pytest.fixture(scope="module", params=MODELS)
def server(request, tmp_path_factory):
    """With each set of AWS's service models that this machine has."""
    one = Server(str(tmp_path_factory.mktemp("limits")),
                 python_path=python_path(request.param, tmp_path_factory.mktemp("models")))
    one.define()
    yield one
    one.close()


@pytest.fixture
def idle(aws):
    """No vCPU to be had: a RunTask that is accepted answers failures and starts nothing."""
    aws.control("PUT", "quotas", {"L-3032A538": {"limit": 0}, "L-36FBB829": {"limit": 0}})
    return aws


def network(**members):
    return {"networkConfiguration": {"awsvpcConfiguration": {
        **NETWORK["awsvpcConfiguration"], **members}}}


def strategy(*items):
    return {"launchType": None, "capacityProviderStrategy": [
        {"capacityProvider": "FARGATE", "weight": 1, **item} for item in items]}


def tag(key="k", value="v"):
    return {"tags": [{"key": key, "value": value}]}


def storage(size):
    return {"ephemeralStorage": {"sizeInGiB": size}}


def many(n):
    return {"tags": [{"key": f"k{i}", "value": ""} for i in range(n)]}


def containers(*changes):
    return {"containerDefinitions": [{"name": f"c{i}", "image": "busybox", **c}
                                     for i, c in enumerate(changes)]}


PLACE = {"type": "distinctInstance"}
LOGS = {"logGroupName": "/hpc"}
STREAM = {**LOGS, "logStreamName": "gone"}
# operation, what is taken, what is refused, and how: a row for each row of limits.ROWS
ASSUME = {"RoleArn": "arn:aws:iam::123456789012:role/test", "RoleSessionName": "me"}
WEB = {**ASSUME, "WebIdentityToken": "unknown"}

CASES = [
    ("RunTask", {"count": 1}, {"count": 0}, IP, "count must be at least 1."),
    ("RunTask", {"count": 10}, {"count": 11}, IP, "count cannot be greater than 10."),
    ("RunTask", {"clientToken": "x" * 64}, {"clientToken": "x" * 65}, IP,
     "clientToken must be between 1 and 64 characters."),
    ("RunTask", {"clientToken": "!~"}, {"clientToken": "a b"}, IP,
     "clientToken must contain only ASCII characters between 33 and 126."),
    ("RunTask", {"startedBy": "a" * 128}, {"startedBy": "a" * 129}, IP,
     "startedBy longer than 128."),
    ("RunTask", {"startedBy": "slurm/a-b_C/9"}, {"startedBy": "slurm:1"}, IP,
     "startedBy contains invalid characters."),
    ("RunTask", {"group": "g" * 255}, {"group": "g" * 256}, IP, "group longer than 255."),
    ("RunTask", {"placementConstraints": [PLACE] * 10}, {"placementConstraints": [PLACE] * 11}, IP,
     "placementConstraints can have at most 10 items."),
    ("RunTask", {"placementStrategy": [{"type": "random"}] * 5},
     {"placementStrategy": [{"type": "random"}] * 6}, IP,
     "placementStrategy can have at most 5 items."),
    ("RunTask", strategy(*[{}] * 20), strategy(*[{}] * 21), IP,
     "The specified capacity provider strategy can contain a maximum of 20 capacity providers."),
    ("RunTask", strategy({"weight": 1000}), strategy({"weight": 1001}), IP,
     "The capacity provider weight must be between 0 and 1000."),
    ("RunTask", strategy({"base": 100000}), strategy({"base": 100001}), IP,
     "The capacity provider base must be between 0 and 100000."),
    ("RunTask", network(subnets=["subnet-1"]), network(subnets=[]), IP,
     "subnets can not be empty."),
    ("RunTask", network(subnets=["subnet-1"] * 16), network(subnets=["subnet-1"] * 17), IP,
     "subnets can have at most 16 items."),
    ("RunTask", network(securityGroups=["sg-1"] * 5), network(securityGroups=["sg-1"] * 6), IP,
     "securityGroups can have at most 5 items."),
    ("RunTask", network(securityGroups=[]), network(securityGroups=[""]), IP,
     "security group cannot be blank"),
    ("RunTask", {"propagateTags": "NONE"}, {"propagateTags": "SERVICE"}, IP,
     "Invalid value for propagateTags. SERVICE is not a valid option for RunTask."),
    ("RunTask", {"overrides": storage(21)}, {"overrides": storage(20)}, CE,
     "EphemeralStorage size should be at least 21"),
    ("RunTask", {"overrides": storage(200)}, {"overrides": storage(201)}, CE,
     "EphemeralStorage size should be at most 200"),
    ("*", many(50), many(51), IP, "Tags can have a maximum size of 50."),
    ("*", tag("k" * 128), tag("k" * 129), IP, "Tag keys must be between 1 and 128 characters."),
    ("*", tag(value="v" * 256), tag(value="v" * 257), IP,
     "Tag values can have at most 256 characters."),
    ("*", tag("Straße a.:/=+-@_9"), tag("a#"), IP, "Some tags contain invalid characters"),
    ("*", tag(value=""), tag(value="a\x07"), IP, "Some tags contain invalid characters"),
    ("*", tag("aw:s"), tag("AwS:x"), IP, "Tag keys cannot start with 'aws:'."),
    ("DescribeTasks", {"tasks": ["0" * 32]}, {"tasks": []}, IP, "Tasks cannot be empty."),
    ("DescribeTasks", {"tasks": ["0" * 32] * 100}, {"tasks": ["0" * 32] * 101}, IP,
     "Tasks can have at most 100 items."),
    ("StopTask", {"task": "0" * 32, "reason": "r" * 255}, {"task": "0" * 32, "reason": "r" * 256},
     IP, "reason longer than 255."),
    ("ListTasks", {"maxResults": 100}, {"maxResults": 101}, IP,
     "maxResults must be between 1 and 100."),
    ("ListTasks", {"startedBy": "a" * 128}, {"startedBy": "a" * 129}, IP,
     "ownerId longer than 128."),
    ("ListClusters", {"maxResults": 1}, {"maxResults": 0}, IP,
     "maxResults must be between 1 and 100."),
    ("DescribeClusters", {"clusters": ["default"] * 100}, {"clusters": ["default"] * 101}, IP,
     "Clusters can have at most 100 items."),
    ("RegisterTaskDefinition", {"family": "f" * 255}, {"family": "f" * 256}, CE,
     "Family contains invalid characters."),
    ("RegisterTaskDefinition", containers({}), containers(), CE,
     "Container list cannot be empty."),
    ("RegisterTaskDefinition", containers(*[{}] * 10), containers(*[{}] * 11), CE,
     "Too many containers. The maximum is 10."),
    ("RegisterTaskDefinition", containers({"stopTimeout": 120}), containers({"stopTimeout": 121}),
     CE, "stopTimeout must be between 0 and 120."),
    ("RegisterTaskDefinition", storage(21), storage(20), CE,
     "EphemeralStorage size should be at least 21"),
    ("RegisterTaskDefinition", storage(200), storage(201), CE,
     "EphemeralStorage size should be at most 200"),
    *((op, {**who, "DurationSeconds": good}, {**who, "DurationSeconds": bad}, "ValidationError",
       VALUE % (bad, "DurationSeconds") + f"have value {than} than or equal to {good}")
      for op, who in (("AssumeRole", ASSUME), ("AssumeRoleWithWebIdentity", WEB))
      for good, bad, than in ((900, 899, "greater"), (43200, 43201, "less"))),
    *(("AssumeRole", {**ASSUME, "RoleArn": good}, {**ASSUME, "RoleArn": bad}, "ValidationError",
       VALUE % (bad[:200], "RoleArn") + f"have length {than} than or equal to {len(good)}")
      for good, bad, than in (("a" * 20, "a" * 19, "greater"), ("a" * 2048, "a" * 2049, "less"))),
    *((op, {**who, "RoleSessionName": "a.b@c=d,e+f-g_9"}, {**who, "RoleSessionName": "a b"}, "ValidationError",
       "1 validation error detected: Value at 'roleSessionName' failed to satisfy constraint: Member "
       "must satisfy regular expression pattern: [\\w+=,.@-]*")
      for op, who in (("AssumeRole", ASSUME), ("AssumeRoleWithWebIdentity", WEB))),
    ("GetLogEvents", {**STREAM, "limit": 1}, {**STREAM, "limit": 0}, IP,
     VALUE % ("0", "limit") + "have value greater than or equal to 1"),
    ("GetLogEvents", {**STREAM, "limit": 10000}, {**STREAM, "limit": 10001}, IP,
     VALUE % ("10001", "limit") + "have value less than or equal to 10000"),
    ("FilterLogEvents", {**LOGS, "limit": 1}, {**LOGS, "limit": 0}, IP,
     VALUE % ("0", "limit") + "have value greater than or equal to 1"),
    ("FilterLogEvents", {**LOGS, "limit": 10000}, {**LOGS, "limit": 10001}, IP,
     VALUE % ("10001", "limit") + "have value less than or equal to 10000"),
    ("FilterLogEvents", {**LOGS, "logStreamNames": ["a"]}, {**LOGS, "logStreamNames": []}, IP,
     VALUE % ("[]", "logStreamNames") + "have length greater than or equal to 1"),
    ("FilterLogEvents", {**LOGS, "logStreamNames": ["a"] * 100},
     {**LOGS, "logStreamNames": ["a"] * 101}, IP,
     VALUE % (str(["a"] * 101)[:200], "logStreamNames") + "have length less than or equal to 100"),
    ("DescribeLogStreams", {**LOGS, "limit": 1}, {**LOGS, "limit": 0}, IP,
     VALUE % ("0", "limit") + "have value greater than or equal to 1"),
    ("DescribeLogStreams", {**LOGS, "limit": 50}, {**LOGS, "limit": 51}, IP,
     VALUE % ("51", "limit") + "have value less than or equal to 50"),
]


def ask(aws, operation, changes):
    """The call; for '*' a RunTask."""
    if operation in ("RunTask", "*"):
        return aws.run_answer(**changes)
    if operation == "RegisterTaskDefinition":
        return aws.define(**{"family": "limits", **changes})
    if operation in UNSIGNED:
        form, headers = aws.request(operation, changes)
        return aws.send(form, {"Content-Type": headers["Content-Type"]})
    return aws.call(operation, changes)


@pytest.mark.parametrize("operation, good, bad, code, message", CASES,
                         ids=[f"{c[0]}-{n}" for n, c in enumerate(CASES)])
def test_limit(idle, operation, good, bad, code, message):
    with pytest.raises(AwsRefusal) as caught:
        ask(idle, operation, bad)
    assert (caught.value.code, caught.value.message, caught.value.status) == (code, message, 400)
    try:
        answer = ask(idle, operation, good)
    except AwsRefusal as refusal:       # of something that does not exist, never of the value
        assert refusal.message in ("The specified log stream does not exist.",
                                   "The referenced task was not found.",
                                   "The ID Token provided is not a valid JWT. (You may see this "
                                   "error if you sent an Access Token)")
    else:
        assert operation not in ("RunTask", "*") or answer["failures"] == \
            NOT_AVAILABLE["failures"] * good.get("count", 1)


def test_every_row_has_its_case():
    """In the table's order, and the refused value is one that this very row refuses."""
    assert len(CASES) == len(limits.ROWS)
    for (operation, good, bad, *_), row in zip(CASES, limits.ROWS):
        assert (operation, row[5] != "") == (row[0], True)
        path = row[1].split(".")
        assert all(row[2](v) for v in limits._reach(good, path)), row[1]
        assert not all(row[2](v) for v in limits._reach(bad, path)), row[1]


# -- sizes ------------------------------------------------------------------------------------

# CPU units: the smallest and the largest memory, a value between the steps
SIZES = {"256": (512, 2048, 1536), "512": (1024, 4096, 1536), "1024": (2048, 8192, 2560),
         "2048": (4096, 16384, 4608), "4096": (8192, 30720, 8704), "8192": (16384, 61440, 18432),
         "16384": (32768, 122880, 36864)}


@pytest.mark.parametrize("cpu", SIZES)
def test_sizes(idle, cpu):
    low, high, between = SIZES[cpu]
    for memory in (low, high):
        assert idle.run_answer(overrides={"cpu": cpu, "memory": str(memory)}) == NOT_AVAILABLE
    for memory in (low - 256, high + 1024, between, 0):
        idle.run_refused(CE, NO_SIZE, overrides={"cpu": cpu, "memory": str(memory)})


def test_sizes_as_text(idle):
    for cpu, memory in (("1 vCPU", "2GB"), ("0.5vcpu", "1 GB"), (".25 vCPU", "512")):
        if cpu[0] != ".":
            assert idle.run_answer(overrides={"cpu": cpu, "memory": memory}) == NOT_AVAILABLE
        else:
            idle.run_refused(CE, "Invalid 'cpu' setting for task.",
                             overrides={"cpu": cpu, "memory": memory})
    idle.run_refused(CE, "Invalid 'memory' setting for task.",
                     overrides={"cpu": "256", "memory": "512MB"})
    idle.run_refused(CE, NO_SIZE, overrides={"cpu": "32768", "memory": "61440"})
    idle.run_refused("SerializationException", "overrides.cpu: a value of type string was "
                     "expected, not int", overrides={"cpu": 256})


def test_32_vcpu_is_an_option(tmp_path):
    one = Server(str(tmp_path), "--allow-32-vcpu")
    try:
        one.define()
        one.control("PUT", "quotas", {"L-3032A538": {"limit": 0}})
        for memory in ("61440", "122880", "249856"):
            assert one.run_answer(overrides={"cpu": "32768", "memory": memory}) == NOT_AVAILABLE
        one.run_refused(CE, NO_SIZE, overrides={"cpu": "32768", "memory": "65536"})
    finally:
        one.close()


def test_platform_versions(idle):
    idle.control("PUT", "quotas", {})
    assert idle.run_answer(platformVersion="1.3.0")["tasks"][0]["platformVersion"] == "1.3.0"
    assert idle.run_answer(platformVersion="LATEST")["tasks"][0]["platformVersion"] == "1.4.0"
    code, text = ("PlatformTaskDefinitionIncompatibilityException", "The specified platform version "
                  "doesn't satisfy the required capabilities of the task definition.")
    idle.run_refused(code, text, platformVersion="1.3.0",
                     overrides={"cpu": "8192", "memory": "16384"})
    idle.run_refused(code, text, platformVersion="1.3.0", overrides=storage(30))
    idle.run_refused("PlatformUnknownException", "The platform version specified is not recognized. "
                     "Specify a valid platform version and try again.", platformVersion="9")


def test_containers_fit_into_the_task(idle):
    idle.define("shares", containerDefinitions=[
        {"name": "main", "image": "busybox", "cpu": 128, "memory": 256},
        {"name": "side", "image": "busybox", "cpu": 128, "memoryReservation": 256}])

    def run(**main):
        return idle.run_answer(taskDefinition="shares", overrides={
            "cpu": "512", "memory": "1024", "containerOverrides": [{"name": "main", **main}]})
    assert run() == NOT_AVAILABLE
    assert run(cpu=384, memory=768) == NOT_AVAILABLE
    for member, value in (("cpu", 385), ("memory", 769)):
        with pytest.raises(AwsRefusal, match=rf"their '{member}' \(\d+\) is more than the task's"):
            run(**{member: value})
    with pytest.raises(AwsRefusal, match=r"their 'memory' \(513\) is more than the task's \(512\)"):
        idle.define("shares", container={"memory": 513})


# -- RunTask's rules between members ----------------------------------------------------------

@pytest.mark.parametrize("message, changes", [
    ("Only one capacity provider in a strategy can have a base defined.", {
        "launchType": None, "capacityProviderStrategy": [
            {"capacityProvider": p, "weight": 1, "base": 1} for p in ("FARGATE", "FARGATE_SPOT")]}),
    ("The specified capacity provider strategy must contain at least one capacity provider with a "
     "weight greater than 0.", strategy({"weight": 0})),
    ("No Container Instances were found in your cluster.", {"launchType": "EC2"}),
    ("The execute command cannot be enabled for a task without a task role.",
     {"enableExecuteCommand": True}),
    ("Error retrieving security group information for [x]: The security group 'x' does not exist "
     "(ErrorCode: InvalidGroup.NotFound)", network(securityGroups=["x"])),
    ("Override for container named null is not a container in the TaskDefinition",
     {"overrides": {"containerOverrides": [{"command": ["x"]}]}}),
])
def test_run_task_rules(idle, message, changes):
    idle.run_refused(IP, message, **changes)


def test_list_tasks_filters(idle):
    for more in ({"family": "f"}, {"launchType": "FARGATE"}, {"serviceName": "s"},
                 {"containerInstance": "c"}):
        idle.refuses(IP, "cannot specify startedBy with other arguments", "ListTasks",
                     {"startedBy": "a", **more})
    assert idle.call("ListTasks", {"startedBy": "a", "desiredStatus": "STOPPED"}) == {"taskArns": []}
    assert idle.call("ListTasks", {"serviceName": "s"}) == {"taskArns": []}
    assert idle.call("ListTasks", {"desiredStatus": "PENDING"}) == {"taskArns": []}


# -- buckets (aws-facts 4) --------------------------------------------------------------------

def calls_until_throttled(call, most):
    for done in range(most):
        try:
            call()
        except AwsRefusal as refusal:
            assert (refusal.status, refusal.code, refusal.message) == (
                400, "ThrottlingException", "Rate exceeded")
            return done
    return most


def test_run_task_is_twenty_a_second(idle):
    assert 20 <= calls_until_throttled(idle.run_answer, 40) < 40


def test_launches_are_a_hundred_at_once(idle):
    """Ten calls of ten tasks use up On-Demand's bucket; Spot has its own."""
    assert 10 <= calls_until_throttled(lambda: idle.run_answer(count=10), 14) < 14
    idle.run_answer(count=10, launchType=None, capacityProviderStrategy=[
        {"capacityProvider": "FARGATE_SPOT", "weight": 1}])


def test_log_reads_by_region(idle):
    def read(region):
        def call():
            try:
                idle.call("GetLogEvents", STREAM, region=region)
            except AwsRefusal as refusal:
                if refusal.code != "ResourceNotFoundException":
                    raise
        return call
    assert 10 <= calls_until_throttled(read("eu-west-1"), 25) < 25
    assert 25 <= calls_until_throttled(read(REGION), 60) < 60


# -- RegisterTaskDefinition -------------------------------------------------------------------

ACCESS = {"fileSystemId": "fs-1", "authorizationConfig": {"iam": "ENABLED"}}
UNSUPPORTED = "The '%s' parameter is not supported for Fargate tasks."


@pytest.mark.parametrize("message, changes", [
    ("Fargate requires that 'cpu' and 'memory' be defined at the task level.", {"cpu": None}),
    ("Fargate requires task definition to have execution role ARN to support log driver awslogs.",
     {"executionRoleArn": None}),
    (UNSUPPORTED % "ipcMode", {"ipcMode": "host"}),
    (UNSUPPORTED % "placementConstraints", {"placementConstraints": [{"type": "memberOf"}]}),
    (UNSUPPORTED % "privileged", {"container": {"privileged": True}}),
    (UNSUPPORTED % "links", {"container": {"links": ["x"]}}),
    (UNSUPPORTED % "swappiness", {"container": {"linuxParameters": {"swappiness": 0}}}),
    (UNSUPPORTED % "GPU", {"container": {"resourceRequirements": [{"type": "GPU", "value": "1"}]}}),
    ("When networkMode=awsvpc, the host ports and container ports in port mappings must match.",
     {"container": {"portMappings": [{"containerPort": 80, "hostPort": 81}]}}),
    ("Log driver awslogs requires options: awslogs-stream-prefix", {"container": {
        "logConfiguration": {"logDriver": "awslogs", "options": {
            "awslogs-group": "/hpc", "awslogs-region": REGION}}}}),
    ("EFS transit encryption must be enabled for volume v, as it uses an access point or IAM.",
     {"volumes": [{"name": "v", "efsVolumeConfiguration": ACCESS}]}),
    ("Container names must be unique.", {"containerDefinitions": [
        {"name": "a", "image": "b"}, {"name": "a", "image": "b"}]}),
    ("At least one container must be essential.",
     containers({"essential": False}, {"essential": False})),
    ("Container.name should not be null or empty.", {"container": {"name": ""}}),
])
def test_register_rules(aws, message, changes):
    def define():
        changed = dict(changes)
        drop = [k for k, v in changed.items() if v is None]
        if drop:
            return aws.call("RegisterTaskDefinition", {k: v for k, v in {
                "family": "rules", "requiresCompatibilities": ["FARGATE"], "networkMode": "awsvpc",
                "cpu": "256", "memory": "512", "executionRoleArn": ROLE, "containerDefinitions": [{
                    "name": "a", "image": "b", "logConfiguration": {"logDriver": "awslogs",
                        "options": {"awslogs-group": "/hpc", "awslogs-region": REGION,
                                    "awslogs-stream-prefix": "p"}}}]}.items() if k not in drop})
        return aws.define("rules", **changed)
    with pytest.raises(AwsRefusal) as caught:
        define()
    assert (caught.value.code, caught.value.message) == (CE, message)


def test_definition_of_64_kib(aws):
    environment = [{"name": "A", "value": "é" * 20000}]      # 40,000 bytes
    aws.define("big", container={"environment": environment})
    environment[0]["value"] = "é" * 33000
    with pytest.raises(AwsRefusal, match=r"Actual length: '66\d\d\d'. Max allowed length is "
                       "'65536' bytes."):
        aws.define("big", container={"environment": environment})


def test_definition_is_shown_as_aws_stores_it(aws):
    aws.define("efs", volumes=[{"name": "v", "efsVolumeConfiguration": {
        **ACCESS, "transitEncryption": "ENABLED"}}], tags=[{"key": "k", "value": "v"}])
    plain = aws.call("DescribeTaskDefinition", {"taskDefinition": "efs:1"})
    assert plain["tags"] == [] and plain["taskDefinition"]["compatibilities"] == ["EC2", "FARGATE"]
    tagged = aws.call("DescribeTaskDefinition", {"taskDefinition": "efs", "include": ["TAGS"]})
    assert tagged["tags"] == [{"key": "k", "value": "v"}]
    with pytest.raises(AwsRefusal, match=r"'WAGS' at 'include.1.member' failed to satisfy "
                       r"constraint: Member must satisfy enum value set: \[TAGS\]"):
        aws.call("DescribeTaskDefinition", {"taskDefinition": "efs", "include": ["WAGS"]})
    assert len(json.dumps(plain)) > 200 and ARN in plain["taskDefinition"]["taskDefinitionArn"]
