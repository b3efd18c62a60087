# The local AWS under clients that are not ours: botocore, old and new, and the aws command.
# SPDX-License-Identifier: GPL-2.0-or-later
import json
import os
import subprocess
import sys

import botocore
import botocore.config
import botocore.loaders
import botocore.session
import pytest
from cluster import SANDBOX
from test_fargate_local_support import (KEY, MODELS, NETWORK, NEWER, REGION, SERVER, TOPIC, Server,  # noqa: F401
                                        aws, python_path)

sys.path.insert(0, os.path.dirname(SERVER))
from fargate_local import model  # noqa: E402


@pytest.fixture(scope="module", params=MODELS)
def server(request, tmp_path_factory):
    one = Server(str(tmp_path_factory.mktemp("clients")),
                 python_path=python_path(request.param, tmp_path_factory.mktemp("models")))
    assert (f"botocore {botocore.__version__}" in one.text()) == (request.param == "debian")
    one.define()
    yield one
    one.close()


# -- botocore ---------------------------------------------------------------------------------

# What a program with botocore does; the last line is for the test
PROGRAM = """
import sys
import botocore, botocore.session
session = botocore.session.Session()
def client(name):
    return session.create_client(name, region_name=%(region)r, endpoint_url=%(url)r,
                                 aws_access_key_id=%(key)r, aws_secret_access_key=%(secret)r)
ecs, logs, sns = client("ecs"), client("logs"), client("sns")
how = dict(taskDefinition="slurm-job", launchType="FARGATE", networkConfiguration=%(network)r,
           startedBy="slurm/c/1", overrides={"containerOverrides": [
               {"name": "main", "command": ["echo from botocore; exit 3"]}]})
arn = ecs.run_task(**how)["tasks"][0]["taskArn"]
assert ecs.describe_tasks(tasks=[arn])["tasks"][0]["createdAt"].year > 2020
assert ecs.list_tasks(startedBy="slurm/c/1")["taskArns"] == [arn]
ecs.get_waiter("tasks_stopped").wait(tasks=[arn], WaiterConfig={"Delay": 1})
task = ecs.describe_tasks(tasks=[arn])["tasks"][0]
assert task["containers"][0]["exitCode"] == 3, task
events = logs.get_log_events(logGroupName="/hpc", startFromHead=True,
                             logStreamName="job/main/" + arn.rpartition("/")[2])["events"]
assert [e["message"] for e in events] == ["from botocore"], events
try:
    sys.exit("no such cluster: " + str(ecs.list_tasks(cluster="gone")))
except ecs.exceptions.ClusterNotFoundException as e:
    assert e.response["Error"]["Message"] == "Cluster not found."
try:
    sys.exit("no such group: " + str(logs.get_log_events(logGroupName="/gone", logStreamName="x")))
except logs.exceptions.ResourceNotFoundException as e:
    assert e.response["ResponseMetadata"]["HTTPStatusCode"] == 400
assert sns.publish(TopicArn=%(topic)r, Subject="s", Message="m")["MessageId"]
try:
    sys.exit("no such topic: " + str(sns.publish(TopicArn=%(topic)r + "x", Message="m")))
except sns.exceptions.NotFoundException as e:
    assert e.response["Error"]["Message"] == "Topic does not exist", e.response
if "clientToken" in ecs.meta.service_model.operation_model("RunTask").input_shape.members:
    again = dict(how, clientToken="t" * 64)
    first = ecs.run_task(**again)["tasks"][0]["taskArn"]
    try:
        ecs.run_task(**dict(again, startedBy="other"))
        sys.exit("no conflict")
    except ecs.exceptions.ConflictException as e:
        assert e.response["resourceIds"] == [first]
print(botocore.__version__)
"""


@pytest.mark.parametrize("interpreter", ["/usr/bin/python3"] + [NEWER[0]] * bool(NEWER))
def test_botocore_program(aws, interpreter):
    """Each client against each server."""
    program = PROGRAM % {"region": REGION, "url": aws.url, "key": KEY[0], "secret": KEY[1],
                         "network": NETWORK, "topic": TOPIC}
    done = subprocess.run([interpreter, "-c", program], capture_output=True, text=True, check=False,
                          timeout=60)
    assert done.returncode == 0, done.stderr
    assert (done.stdout.strip() == botocore.__version__) == (interpreter == "/usr/bin/python3")
    assert all(c["unknown"] == 0 for c in aws.control("GET", "calls").values())


@pytest.mark.parametrize("models", MODELS)
def test_the_overlay_only_adds_what_old_models_lack(models):
    """So that a new model does without it: then what it holds is there already, the same."""
    data = [NEWER[1] + "/data"] if models == "newer" else []
    plain, with_overlay = (botocore.loaders.Loader(extra_search_paths=[*data, *more],
                                                   include_default_search_paths=models == "debian")
                           for more in ([], [model.OVERLAY]))
    for service in model.SERVED:
        bare, full = (x.load_service_model(service, "service-2") for x in (plain, with_overlay))
        path = os.path.join(model.OVERLAY, service, full["metadata"]["apiVersion"],
                            "service-2.sdk-extras.json")
        if service in ("sns", "service-quotas", "sts"):        # nothing is lacking
            assert not os.path.exists(path)
            continue
        with open(path, encoding="utf-8") as f:
            added = json.load(f)["merge"]
        for member, value in added.get("metadata", {}).items():
            assert full["metadata"][member] == value
            assert models == "debian" or bare["metadata"][member] == value, member
        for name, shape in added.get("shapes", {}).items():
            same = {k: v for k, v in full["shapes"][name].items() if k != "required" or v}
            if models == "newer":
                assert same == {k: v for k, v in bare["shapes"][name].items()}, name
            for member in shape.get("members", ()):
                assert member in full["shapes"][name]["members"]
        for name, operation in added.get("operations", {}).items():
            have = {e["shape"] for e in bare["operations"][name]["errors"]}
            wanted = {e["shape"] for e in operation["errors"]}
            assert wanted - have == ({"ConflictException"} if models == "debian" else set())


# -- the aws command, with nothing configured but the sandbox's environment ---------------------

SESSION = """
set -e
eval "$(%(sandbox)s env --dir %(dir)s)"
export HOME=%(home)s AWS_PAGER= AWS_DEFAULT_OUTPUT=text
unset AWS_PROFILE AWS_CONFIG_FILE AWS_SHARED_CREDENTIALS_FILE
cd %(home)s
"""


class Shell:
    """A user's shell with the sandbox's environment and a PATH with one aws command first."""

    def __init__(self, cluster, home, path):
        self.start = SESSION % {"sandbox": SANDBOX, "dir": cluster.dir, "home": home}
        self.env = {"PATH": path, "LANG": "C.UTF-8"}

    def run(self, script, check=True):
        done = subprocess.run(["bash", "-c", self.start + script], env=self.env, text=True,
                              capture_output=True, check=False, timeout=120)
        assert not check or done.returncode == 0, done.stderr
        return done

    def background(self, script):
        return subprocess.Popen(["bash", "-c", self.start + script], env=self.env, text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE)


@pytest.fixture
def shell(cluster, tmp_path):
    return Shell(cluster, str(tmp_path), "/usr/sbin:/usr/bin:/sbin:/bin")


RUN = """
run() {
    aws ecs run-task --cluster hpc --task-definition slurm-job --launch-type FARGATE \\
        --network-configuration 'awsvpcConfiguration={subnets=[subnet-a],securityGroups=[sg-1],assignPublicIp=DISABLED}' \\
        --overrides "{\\"containerOverrides\\":[{\\"name\\":\\"main\\",\\"command\\":[\\"$1\\"]}]}" \\
        --started-by cli --query 'tasks[0].taskArn'
}
"""


def test_aws_session(cluster, shell):
    short, long = shell.run(RUN + "run 'echo hello; exit 3'; run 'sleep 600'").stdout.split()
    waiting = shell.background(f"aws ecs wait tasks-stopped --cluster hpc --tasks {short}")
    cluster.control("GET", f"wait?task={long}&status=RUNNING")
    done = shell.run(f"""
aws ecs wait tasks-running --cluster hpc --tasks {long}
aws ecs describe-tasks --cluster hpc --tasks {long} --query 'tasks[0].[lastStatus,desiredStatus,cpu]'
aws ecs list-tasks --cluster hpc --started-by cli --query taskArns
aws ecs stop-task --cluster hpc --task {long} --reason 'by hand' --query task.desiredStatus
""").stdout.splitlines()
    assert done[0].split() == ["RUNNING", "RUNNING", "256"]
    assert long in done[1].split() and done[2:] == ["STOPPED"]
    text, errors = waiting.communicate(timeout=60)
    assert (waiting.returncode, text) == (0, ""), errors
    name = short.rpartition("/")[2]
    shown = shell.run(f"""
aws ecs describe-tasks --cluster hpc --tasks {short} --query 'tasks[0].[stopCode,containers[0].exitCode]'
aws logs get-log-events --log-group-name /slurm/jobs --log-stream-name slurm/main/{name} \\
    --start-from-head --query 'events[].message'
""").stdout.splitlines()
    assert (shown[0].split(), shown[1]) == (["EssentialContainerExited", "3"], "hello")
    assert cluster.control("GET", f"wait?task={long}")["stoppedReason"] == "by hand"


def test_aws_definitions(cluster, shell):
    done = shell.run("""
aws ecs register-task-definition --family by-hand --requires-compatibilities FARGATE \\
    --network-mode awsvpc --cpu 512 --memory 1GB \\
    --container-definitions '[{"name":"main","image":"busybox"}]' --query taskDefinition.revision
aws ecs describe-task-definition --task-definition by-hand --include TAGS \\
    --query 'taskDefinition.[family,cpu,memory,status]'
aws ecs deregister-task-definition --task-definition by-hand:1 --query taskDefinition.status
""").stdout.splitlines()
    assert [line.split() for line in done] == [
        ["1"], ["by-hand", "512", "1024", "ACTIVE"], ["INACTIVE"]]
    bad = shell.run("aws ecs describe-task-definition --task-definition nope", check=False)
    assert bad.returncode != 0
    assert "(ClientException) when calling the DescribeTaskDefinition operation: Unable to " \
        "describe task definition." in bad.stderr


@pytest.mark.parametrize("change, message", [
    ("AWS_ACCESS_KEY_ID=AKIAOTHER", "(UnrecognizedClientException) when calling the ListTasks "
     "operation: The security token included in the request is invalid."),
    ("AWS_SECRET_ACCESS_KEY=other", "(InvalidSignatureException) when calling the ListTasks "
     "operation: The request signature we calculated does not match the signature you provided."),
    ("AWS_SESSION_TOKEN=other", "(UnrecognizedClientException) when calling the ListTasks "
     "operation: The security token included in the request is invalid."),
    ("expire", "(ExpiredTokenException) when calling the ListTasks operation: The security token "
     "included in the request is expired"),
])
def test_aws_wrong_keys(cluster, shell, change, message):
    if change == "expire":
        cluster.faults([{"credentials": "expire", "times": 5}])
        change = "true"
    else:
        change = "export " + change
    done = shell.run(change + "\naws ecs list-tasks --cluster hpc", check=False)
    assert done.returncode not in (0, 2) and message in done.stderr, done.stderr


def test_newest_aws(cluster, tmp_path):
    """The first aws command on PATH, which may be newer than Debian's and follow the variables."""
    done = Shell(cluster, str(tmp_path), os.environ["PATH"]).run(RUN + """
command aws --version
command aws --endpoint-url "$AWS_ENDPOINT_URL" ecs list-clusters --query clusterArns
run true""")
    assert done.stdout.startswith("aws-cli/"), done.stderr
    task = done.stdout.splitlines()[-1]
    assert cluster.control("GET", f"wait?task={task}&status=RUNNING")["startedBy"] == "cli"
    assert all(c["unknown"] == 0 for c in cluster.calls().values())
