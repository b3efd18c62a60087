# What the tests of the local AWS share: a server of their own, signed requests, fixtures.
# SPDX-License-Identifier: GPL-2.0-or-later
import datetime
import json
import os
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from xml.etree import ElementTree

import botocore
import botocore.auth
import botocore.awsrequest
import botocore.credentials
import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
SERVER = os.path.join(HERE, "..", "..", "contrib", "fargate-local", "fargate-local")
KEY = ("AKIALOCALFARGATE00", "local-fargate-secret")
REGION = "us-east-1"
ARN = f"arn:aws:ecs:{REGION}:123456789012"
TARGETS = {"ecs": "AmazonEC2ContainerServiceV20141113", "logs": "Logs_20140328",
           "servicequotas": "ServiceQuotasV20190624"}
VERSIONS = {"sns": "2010-03-31", "monitoring": "2010-08-01", "sts": "2011-06-15"}     # of the query protocol
SERVICES = {"Publish": "sns", "CreateTopic": "sns", "GetMetricStatistics": "monitoring",
            "GetServiceQuota": "servicequotas", "GetAWSDefaultServiceQuota": "servicequotas",
            "AssumeRole": "sts", "AssumeRoleWithWebIdentity": "sts", "GetCallerIdentity": "sts"}
LOG_CALLS = ("GetLogEvents", "FilterLogEvents", "DescribeLogStreams")
SPEED = 100
TOPIC = f"arn:aws:sns:{REGION}:123456789012:ops"
ROLE = "arn:aws:iam::123456789012:role/exec"
NETWORK = {"awsvpcConfiguration": {"subnets": ["subnet-a"], "securityGroups": ["sg-1"]}}


def from_xml(text):
    """An <ErrorResponse> in the form of the JSON services' errors."""
    error = {e.tag.rpartition("}")[2]: e.text for e in ElementTree.fromstring(text)[0]}
    return {"__type": error["Code"], "message": error["Message"], "Type": error["Type"]}


class AwsRefusal(Exception):
    def __init__(self, status, text, headers):
        super().__init__(f"{status} {text}")
        body = from_xml(text) if text.startswith("<") else json.loads(text)
        self.status, self.headers = status, headers
        self.code = body["__type"].rpartition("#")[2]
        self.message = body.get("message", body.get("Message"))
        self.body = body


class Server:
    """One fargate-local process in a directory of its own."""

    def __init__(self, directory, *flags, python_path=None):
        self.directory = directory
        self.port_file = os.path.join(directory, "port")
        self.log = open(os.path.join(directory, "log"), "w+", encoding="utf-8")
        self.process = subprocess.Popen(
            [SERVER, "--port", "0", "--port-file", self.port_file, "--speed", str(SPEED),
             "--state-dir", directory, "--log-group", "/hpc", "--topic", TOPIC, "--cluster", "default",
             "--cluster", "hpc", *flags], stderr=self.log,
            env={**os.environ, "PYTHONPATH": python_path or ""})
        end = time.monotonic() + 60
        while not os.path.exists(self.port_file):
            assert self.process.poll() is None, self.text()
            assert time.monotonic() < end, "no port file: " + self.text()
            time.sleep(0.02)
        with open(self.port_file, encoding="ascii") as f:
            self.port = int(f.read())
        self.url = f"http://127.0.0.1:{self.port}"

    def text(self):
        self.log.seek(0)
        return self.log.read()

    def close(self):
        self.process.terminate()
        self.process.wait(10)
        self.log.close()

    def control(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + "/_local/" + path, data, method=method)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)

    def refused(self, method, path, body=None):
        """(status, sentence) of a control call that must be refused."""
        with pytest.raises(urllib.error.HTTPError) as caught:
            self.control(method, path, body)
        return caught.value.code, json.load(caught.value)["error"]

    def faults(self, *rules):
        self.control("PUT", "faults", list(rules))

    def wait(self, task, status="STOPPED"):
        return self.control("GET", f"wait?task={task}&status={status}&timeout=20")

    def request(self, operation, params, key=KEY, when=0, region=REGION, service=None, body=None):
        """A signed request: (body, headers)."""
        service = service or ("logs" if operation in LOG_CALLS else SERVICES.get(operation, "ecs"))
        if service in VERSIONS:
            form = {"Action": operation, "Version": VERSIONS[service], **params}
            data = urllib.parse.urlencode(form).encode() if body is None else body
            headers = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
        else:
            data = json.dumps(params).encode() if body is None else body
            headers = {"X-Amz-Target": f"{TARGETS[service]}.{operation}",
                       "Content-Type": "application/x-amz-json-1.1"}
        aws = botocore.awsrequest.AWSRequest("POST", self.url + "/", headers, data)
        stamp = datetime.datetime.utcnow() + datetime.timedelta(seconds=when)
        aws.context["timestamp"] = aws.headers["X-Amz-Date"] = stamp.strftime("%Y%m%dT%H%M%SZ")
        signer = botocore.auth.SigV4Auth(botocore.credentials.Credentials(*key), service, region)
        if len(key) > 2:
            aws.headers["X-Amz-Security-Token"] = key[2]
        text = signer.string_to_sign(aws, signer.canonical_request(aws))
        signer._inject_signature_to_request(aws, signer.signature(text, aws))
        return data, dict(aws.headers.items())

    def send(self, data, headers):
        request = urllib.request.Request(self.url + "/", data, headers)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                text = answer.read().decode()
        except urllib.error.HTTPError as e:
            raise AwsRefusal(e.code, e.read().decode(), e.headers) from None
        return ElementTree.fromstring(text) if text.startswith("<") else json.loads(text)

    def call(self, operation, params=None, **how):
        return self.send(*self.request(operation, params or {}, **how))

    def define(self, family="slurm-job", **changes):
        container = {"name": "main", "image": "busybox", "entryPoint": ["/bin/sh", "-c"],
                     "stopTimeout": 120,        # 1.2 s, also on a busy machine
                     "logConfiguration": {"logDriver": "awslogs", "options": {
                         "awslogs-group": "/hpc", "awslogs-region": REGION,
                         "awslogs-stream-prefix": "job", "mode": "blocking"}}}
        container.update(changes.pop("container", {}))
        params = {"family": family, "requiresCompatibilities": ["FARGATE"],
                  "networkMode": "awsvpc", "cpu": "256", "memory": "512", "executionRoleArn": ROLE,
                  "containerDefinitions": [container], **changes}
        return self.call("RegisterTaskDefinition", params)["taskDefinition"]

    def run_answer(self, script="true", **changes):
        how = {k: changes.pop(k) for k in ("key", "region") if k in changes}
        params = {"taskDefinition": "slurm-job", "launchType": "FARGATE",
                  "networkConfiguration": NETWORK,
                  "overrides": {"containerOverrides": [{"name": "main", "command": [script]}]}}
        params.update(changes)
        return self.call("RunTask", {k: v for k, v in params.items() if v is not None}, **how)

    def run(self, script="true", **changes):
        """Starts one task; its id."""
        answer = self.run_answer(script, **changes)
        assert answer["failures"] == []
        return answer["tasks"][0]["taskArn"].rpartition("/")[2]

    def describe(self, *tasks, **more):
        return self.call("DescribeTasks", {"tasks": list(tasks), **more})

    def task(self, task):
        return self.describe(task)["tasks"][0]

    def log_page(self, task, **more):
        return self.call("GetLogEvents", {"logGroupName": "/hpc", "startFromHead": True,
                                          "logStreamName": f"job/main/{task}", **more})

    def lines(self, task):
        """All messages of a task, by forward tokens until the token repeats."""
        found, page = [], self.log_page(task)
        while True:
            found += [e["message"] for e in page["events"]]
            token = page["nextForwardToken"]
            page = self.log_page(task, nextToken=token)
            if page["nextForwardToken"] == token:
                assert page["events"] == []
                return found

    def output(self, script, **changes):
        """(exit code, lines) of a script that runs to its end."""
        task = self.run(script, **changes)
        ended = self.wait(task, "DEPROVISIONING")       # its log is complete then
        return ended["containers"][0].get("exitCode"), self.lines(task)

    def refuses(self, code, message, operation, params=None, **how):
        with pytest.raises(AwsRefusal) as caught:
            self.call(operation, params, **how)
        assert (caught.value.code, caught.value.message) == (code, message)
        return caught.value

    def run_refused(self, code, message, **changes):
        with pytest.raises(AwsRefusal) as caught:
            self.run_answer(**changes)
        assert (caught.value.code, caught.value.message) == (code, message)
        return caught.value


def newer_botocore():
    """(interpreter, directory of its botocore) of the newest one on PATH besides Debian's."""
    ask = "import botocore, os; print(botocore.__version__, os.path.dirname(botocore.__file__))"
    found = []
    for directory in os.get_exec_path():
        python = os.path.join(directory, "python3")
        if os.access(python, os.X_OK):
            done = subprocess.run([python, "-c", ask], capture_output=True, text=True, check=False,
                                  stdin=subprocess.DEVNULL, timeout=60)
            version, _, path = done.stdout.strip().partition(" ")
            if done.returncode == 0:
                found.append(([int(n) for n in version.split(".")], python, path))
    own = [int(n) for n in botocore.__version__.split(".")]
    best = max(found, default=(own,))
    return best[1:] if best[0] > own else None


NEWER = newer_botocore()
# Models to run the server with: Debian's, and newer ones where this machine has them
MODELS = ["debian", "newer"] if NEWER else ["debian"]


def python_path(models, directory):
    """PYTHONPATH with nothing in it but the botocore of these models."""
    if models == "debian":
        return None
    os.symlink(NEWER[1], os.path.join(directory, "botocore"))
    return str(directory)


def wait_for(condition, seconds=10):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.1)     # two log reads each time stay below the slowest bucket


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    one = Server(str(tmp_path_factory.mktemp("fargate-local")))
    one.define()
    yield one
    one.close()


@pytest.fixture
def aws(server):
    """The module's server, as just started (with the definition slurm-job)."""
    server.control("POST", "reset")
    return server
