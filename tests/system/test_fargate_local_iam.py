# The local AWS: keys, and what a key's IAM policy lets it do, README's example first of all.
# SPDX-License-Identifier: GPL-2.0-or-later
import json
import os
import subprocess

import pytest
from test_fargate_local_support import (HERE, LOG_CALLS, SERVER, AwsRefusal, Server,  # noqa: F401
                                        aws)

EXAMPLE = os.path.join(HERE, "..", "..", "contrib", "example")
REGION = "eu-west-1"
ECS = f"arn:aws:ecs:{REGION}:123456789012"
IAM = "arn:aws:iam::123456789012"
ALERTS = f"arn:aws:sns:{REGION}:123456789012:slurm-alerts"
USER = f"{IAM}:user/local"
ADMIN, AGENT, OTHER = (("AKIAADMIN", "a"), ("AKIAAGENT", "b", "tok"), ("AKIAOTHER", "c"))
QUOTA = {"ServiceCode": "fargate", "QuotaCode": "L-3032A538"}
USAGE = {"Namespace": "AWS/Usage", "MetricName": "ResourceCount", "StartTime": "2026-01-01T00:00:00Z",
         "EndTime": "2026-01-01T01:00:00Z", "Period": "60", "Statistics.member.1": "Maximum"}
SHORT = [{"key": "slurm:user", "value": "alice"}]


def denied(action, resource, why=None):
    why = why or f"because no identity-based policy allows the {action} action"
    return f"User: {USER} is not authorized to perform: {action} on resource: {resource} {why}"


def example():
    with open(os.path.join(EXAMPLE, "iam-policy.json"), encoding="utf-8") as f:
        return json.load(f)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """The agent's key under README's policy, as it is; OTHER under one with wildcards and Deny."""
    directory = tmp_path_factory.mktemp("iam")
    other = {"Statement": [
        {"Effect": "Allow", "Action": ["ecs:*", "logs:Get*", "iam:PassRole"], "Resource": "*"},
        {"Effect": "Deny", "Action": "ecs:StopTask", "Resource": "*",
         "Condition": {"ArnNotLike": {"ecs:cluster": f"{ECS}:cluster/hpc-*"}}},
        {"Effect": "Deny", "Action": "ecs:ListClusters", "Resource": "*",
         "Condition": {"StringNotEquals": {"aws:RequestedRegion": [REGION, "eu-west-2"]}}}]}
    (directory / "other.json").write_text(json.dumps(other))
    one = Server(str(directory), "--cluster", "hpc-spot", "--log-group", "/slurm/jobs",
                 "--policy", f"AKIAAGENT={os.path.join(EXAMPLE, 'iam-policy.json')}",
                 "--policy", f"AKIAOTHER={directory}/other.json",
                 *(a for key in (ADMIN, AGENT, OTHER) for a in ("--access-key", ":".join(key))))
    with open(os.path.join(EXAMPLE, "task-definition.json"), encoding="utf-8") as f:
        definition = json.load(f)
    for family, changes in (("slurm-job", {}), ("another", {}),
                            ("slurm-job", {"taskRoleArn": f"{IAM}:role/admin"})):
        one.call("RegisterTaskDefinition", {**definition, **changes, "family": family}, key=ADMIN,
                 region=REGION)
    yield one
    one.close()


def call(aws, operation, params=None, key=AGENT):
    return aws.call(operation, params, key=key, region=REGION)


def run(aws, key=AGENT, **changes):
    """The example definition's first revision, as the agent runs it."""
    how = {"taskDefinition": "slurm-job:1", "cluster": "hpc", "overrides": None, **changes}
    return aws.run_answer(key=key, region=REGION, **how)


def refused(message, function, *args, **how):
    with pytest.raises(AwsRefusal) as caught:
        function(*args, **how)
    assert (caught.value.status, caught.value.code) == (400, "AccessDeniedException")
    assert caught.value.message == message


def test_readmes_policy_is_enough_for_the_agent(aws):
    arn = run(aws, tags=SHORT)["tasks"][0]["taskArn"]
    name = arn.rpartition("/")[2]
    assert call(aws, "DescribeTasks", {"cluster": "hpc", "tasks": [arn, "0" * 32]})["tasks"]
    assert call(aws, "DescribeTasks", {"cluster": f"{ECS}:cluster/hpc", "tasks": [name]})["tasks"]
    assert call(aws, "ListTasks", {"cluster": "hpc", "family": "slurm-job"})["taskArns"] == [arn]
    call(aws, "DescribeTaskDefinition", {"taskDefinition": "another"})
    assert call(aws, "DescribeClusters", {"clusters": ["hpc", "hpc-spot"]})["failures"] == []
    call(aws, "StopTask", {"cluster": "hpc", "task": name})
    with pytest.raises(AwsRefusal, match="The specified log stream does not exist."):
        call(aws, "GetLogEvents", {"logGroupName": "/slurm/jobs", "logStreamName": "a/b/c"})
    for operation in LOG_CALLS[1:]:
        call(aws, operation, {"logGroupName": "/slurm/jobs"})
    assert run(aws, cluster="hpc-spot")["failures"] == []
    assert call(aws, "GetServiceQuota", QUOTA)["Quota"]["Value"] == 4000.0
    assert call(aws, "GetAWSDefaultServiceQuota", QUOTA)["Quota"]["Value"] == 6.0
    call(aws, "GetMetricStatistics", USAGE)
    with pytest.raises(AwsRefusal, match="Topic does not exist"):
        call(aws, "Publish", {"TopicArn": ALERTS, "Message": "m"})
    with pytest.raises(AwsRefusal) as caught:
        call(aws, "Publish", {"TopicArn": ALERTS + "-2", "Message": "m"})
    assert (caught.value.status, caught.value.code) == (403, "AuthorizationError")
    assert caught.value.message == denied("SNS:Publish", ALERTS + "-2")


@pytest.mark.parametrize("statement, operation, params", [
    ("LaunchTasks", "RunTask", None),
    ("WatchAndStopTasks", "DescribeTasks", {"cluster": "hpc", "tasks": ["0" * 32]}),
    ("WatchAndStopTasks", "StopTask", {"cluster": "hpc", "task": "0" * 32}),
    ("FindTasks", "ListTasks", {"cluster": "hpc"}),
    ("ReadDefinitions", "DescribeTaskDefinition", {"taskDefinition": "slurm-job"}),
    ("ReadClusters", "DescribeClusters", {"clusters": ["hpc"]}),
    ("TagNewTasks", "TagResource", None), ("PassTheTwoRoles", "PassRole", None),
    ("ReadLogs", "GetLogEvents", {"logGroupName": "/slurm/jobs", "logStreamName": "x"}),
    ("ReadLogs", "FilterLogEvents", {"logGroupName": "/slurm/jobs"}),
    ("ReadLogs", "DescribeLogStreams", {"logGroupName": "/slurm/jobs"}),
    ("PublishAlerts", "Publish", {"TopicArn": ALERTS, "Message": "m"}),
    ("ReadQuotas", "GetServiceQuota", QUOTA), ("ReadQuotas", "GetAWSDefaultServiceQuota", QUOTA),
    ("ReadQuotas", "GetMetricStatistics", USAGE),
])
def test_every_line_of_it_is_needed(less, statement, operation, params):
    server = less(statement)
    with pytest.raises(AwsRefusal, match=f"to perform: [a-zA-Z]+:{operation} on resource: .* because "
                       "no identity-based policy allows") as caught:
        if params is None:
            run(server, tags=SHORT)
        else:
            call(server, operation, params)
    assert caught.value.code == {"Publish": "AuthorizationError", "GetMetricStatistics": "AccessDenied"}.get(
        operation, "AccessDeniedException")


@pytest.fixture(scope="module")
def less(server, tmp_path_factory):
    """less(Sid) → the same server with one more key: all of the example but that statement."""
    made = {}

    def make(sid):
        if sid not in made:
            document = example()
            kept = [s for s in document["Statement"] if s["Sid"] != sid]
            assert len(kept) == len(document["Statement"]) - 1
            directory = tmp_path_factory.mktemp("less")
            (directory / "p=1.json").write_text(json.dumps({**document, "Statement": kept}))
            made[sid] = Server(str(directory), "--access-key", ":".join(AGENT),
                               "--policy", f"AKIAAGENT={directory}/p=1.json",
                               "--access-key", ":".join(ADMIN))
            with open(os.path.join(EXAMPLE, "task-definition.json"), encoding="utf-8") as f:
                made[sid].call("RegisterTaskDefinition", json.load(f), key=ADMIN, region=REGION)
        return made[sid]

    yield make
    for one in made.values():
        one.close()


def test_a_call_that_the_policy_lacks(aws):
    refused(denied("ecs:ListClusters", "*"), call, aws, "ListClusters")
    refused(denied("ecs:RegisterTaskDefinition", f"{ECS}:task-definition/f:*"), call, aws,
            "RegisterTaskDefinition", {"family": "f", "containerDefinitions": []})
    refused(denied("ecs:DeregisterTaskDefinition", "*"), call, aws, "DeregisterTaskDefinition",
            {"taskDefinition": "slurm-job:1"})
    assert call(aws, "ListClusters", key=ADMIN)["clusterArns"]
    assert aws.control("GET", "calls")["ListClusters"] == {
        "ok": 1, "throttled": 0, "refused": 1, "unknown": 0}


def test_resources(aws):
    refused(denied("ecs:RunTask", f"{ECS}:task-definition/another:1"), run, aws,
            taskDefinition="another")
    refused(denied("ecs:RunTask", f"{ECS}:task-definition/gone:*"), run, aws,
            taskDefinition="gone")
    arn = run(aws, key=ADMIN, cluster="default")["tasks"][0]["taskArn"]
    for operation, params in (("DescribeTasks", {"tasks": [arn]}), ("StopTask", {"task": arn})):
        refused(denied("ecs:" + operation, arn), call, aws, operation, params)
    refused(denied("ecs:DescribeClusters", f"{ECS}:cluster/default"), call, aws,
            "DescribeClusters")
    refused(denied("logs:FilterLogEvents", f"arn:aws:logs:{REGION}:123456789012:log-group:/hpc:"
                   "log-stream:"), call, aws, "FilterLogEvents", {"logGroupName": "/hpc"})


def test_condition_cluster(aws):
    for cluster in ("default", None):
        refused(denied("ecs:RunTask", f"{ECS}:task-definition/slurm-job:1"), run, aws,
                cluster=cluster)
    refused(denied("ecs:ListTasks", "*"), call, aws, "ListTasks")


def test_condition_pass_role(aws):
    """Only the two roles, wherever they come from."""
    refused(denied("iam:PassRole", f"{IAM}:role/admin"), run, aws, taskDefinition="slurm-job:2")
    for role in ("taskRoleArn", "executionRoleArn"):
        refused(denied("iam:PassRole", f"{IAM}:role/admin"), run, aws,
                overrides={role: f"{IAM}:role/admin"})
    assert run(aws, taskDefinition="slurm-job:2", overrides={
        "taskRoleArn": f"{IAM}:role/slurm-job-task"})["failures"] == []


def changed(tmp_path, sid, **members):
    """A server whose agent has the example with one statement changed."""
    document = example()
    for statement in document["Statement"]:
        if statement["Sid"] == sid:
            statement.update(members)
    (tmp_path / "p.json").write_text(json.dumps(document))
    one = Server(str(tmp_path), "--access-key", ":".join(AGENT), "--access-key", ":".join(ADMIN),
                 "--policy", f"AKIAAGENT={tmp_path}/p.json")
    with open(os.path.join(EXAMPLE, "task-definition.json"), encoding="utf-8") as f:
        one.call("RegisterTaskDefinition", json.load(f), key=ADMIN, region=REGION)
    return one


@pytest.mark.parametrize("sid, condition, action", [
    ("PassTheTwoRoles", {"iam:PassedToService": "ec2.amazonaws.com"}, "iam:PassRole"),
    ("TagNewTasks", {"ecs:CreateAction": "CreateService"}, "ecs:TagResource"),
])
def test_condition_values(tmp_path, sid, condition, action):
    one = changed(tmp_path, sid, Condition={"StringEquals": condition})
    try:
        with pytest.raises(AwsRefusal, match=f"AccessDeniedException.*perform: {action} "):
            run(one, tags=SHORT)
        assert one.control("GET", "tasks") == []
    finally:
        one.close()


def test_deny_and_negated_conditions(aws):
    explicit = "with an explicit deny in an identity-based policy"
    tasks = {c: run(aws, ADMIN, cluster=c)["tasks"][0]["taskArn"] for c in ("hpc", "hpc-spot")}
    call(aws, "StopTask", {"cluster": "hpc-spot", "task": tasks["hpc-spot"]}, OTHER)
    refused(denied("ecs:StopTask", tasks["hpc"], explicit), call, aws, "StopTask",
            {"cluster": "hpc", "task": tasks["hpc"]}, OTHER)
    call(aws, "ListClusters", key=OTHER)
    refused(denied("ecs:ListClusters", "*", explicit), aws.call, "ListClusters", key=OTHER,
            region="us-east-1")
    refused(denied("logs:FilterLogEvents", f"arn:aws:logs:{REGION}:123456789012:log-group:/hpc:"
                   "log-stream:"), call, aws, "FilterLogEvents", {"logGroupName": "/hpc"}, OTHER)


@pytest.mark.parametrize("document, sentence", [
    ({"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": {
        "DateLessThan": {}}}]}, None),
    ({"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": {
        "DateLessThan": {"aws:CurrentTime": "2026"}}}]},
     "the condition operator DateLessThan is not understood here"),
    ({"Statement": [{"Effect": "Allow", "NotAction": "*", "Resource": "*"}]},
     "NotAction is not understood here"),
    ({"Statement": {"Effect": "Maybe", "Action": "*", "Resource": "*"}},
     "Effect must be Allow or Deny, not 'Maybe'"),
    ({"Statement": [{"Effect": "Allow", "Action": "*"}]}, "KeyError('Resource')"),
    ([], "TypeError("), ("", "JSONDecodeError("),
])
def test_bad_policies(tmp_path, document, sentence):
    path = tmp_path / "p.json"
    path.write_text(json.dumps(document) if document != "" else "{")
    if sentence is None:        # an operator without keys asks for nothing
        Server(str(tmp_path), "--policy", str(path)).close()
        return
    done = subprocess.run([SERVER, "--policy", str(path), "--state-dir", str(tmp_path)], text=True,
                          capture_output=True, timeout=20, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith(f"fargate-local: cannot start: {path} is not an IAM policy "
                                  "document: ") and sentence in done.stderr
    assert os.listdir(tmp_path) == ["p.json"]


def test_policy_for_a_key_that_is_not_there(tmp_path):
    done = subprocess.run([SERVER, "--policy", "AKIANOBODY=p.json"], text=True, timeout=20,
                          capture_output=True, check=False, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (
        1, "fargate-local: cannot start: [Errno 2] No such file or directory: 'AKIANOBODY=p.json'\n")


# -- the sandbox ------------------------------------------------------------------------------

def agents_key(cluster):
    with open(f"/proc/{cluster.pid('agent')}/environ", encoding="utf-8") as f:
        env = dict(v.split("=", 1) for v in f.read().split("\0") if v)
    return env["AWS_ACCESS_KEY_ID"], env["AWS_SECRET_ACCESS_KEY"]


def test_the_sandboxes_agent_and_admin(cluster):
    """The agent has README's policy with more families; `sandbox env` gives the admin's key."""
    local = Server.__new__(Server)      # of a server that runs already
    local.url = cluster.env["FARGATE_LOCAL_URL"]
    key, admin = agents_key(cluster), (cluster.env["AWS_ACCESS_KEY_ID"],
                                       cluster.env["AWS_SECRET_ACCESS_KEY"])
    assert key != admin
    refused(denied("ecs:ListClusters", "*"), call, local, "ListClusters", key=key)
    assert len(call(local, "ListClusters", key=admin)["clusterArns"]) == 2
    call(local, "ListTasks", {"cluster": "hpc"}, key)
    with open(os.path.join(cluster.root, "etc", "iam-policy.json"), encoding="utf-8") as f:
        ours = json.load(f)["Statement"]
    readme = example()["Statement"]
    assert ours[0].pop("Resource") == readme[0].pop("Resource").replace("slurm-job:*", "*")
    assert ours == readme
