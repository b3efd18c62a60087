# Task definitions that break the container contract: the job is held with a sentence; those that keep it: what becomes of them.
# SPDX-License-Identifier: GPL-2.0-or-later
import copy
import json
import os
import re

import botocore.config
import botocore.session
import pytest

from cluster import TOP, wait_for

EXAMPLE = os.path.join(TOP, "contrib", "example", "task-definition.json")


def side(**more):
    return {"name": "side", "image": "busybox", "essential": False, "command": ["sleep", "600"], **more}


def ours(**more):
    return lambda d: d["containerDefinitions"][0].update(more)


def beside(**more):
    return lambda d: d["containerDefinitions"].append(side(**more))


def top(**more):
    return lambda d: d.update(more)


def log(**options):
    return lambda d: d["containerDefinitions"][0]["logConfiguration"]["options"].update(options)


def no_log(d):
    del d["containerDefinitions"][0]["logConfiguration"]


# name → (changes of the example, what the AdminComment says behind "task definition def-NAME:1: ")
HELD = {
    "entrypoint": ([ours(entryPoint=["/bin/bash", "-c"])],
                   "container 'main': its entryPoint is [\"/bin/bash\",\"-c\"]; it must be absent or [\"/bin/sh\",\"-c\"]"),
    "essential": ([beside(essential=True)], "container 'side' is essential too; only ours may be"),
    "nolog": ([no_log], "container 'main': it has no logConfiguration; the job's output needs logDriver awslogs"),
    "region": ([log(**{"awslogs-region": "us-east-2"})],
               "container 'main': its log goes to region us-east-2, but the task runs in eu-west-1 and its log is read there; set awslogs-region"),
    "terminal": ([ours(pseudoTerminal=True)], "container 'main': its pseudoTerminal is true; the job's output needs two plain streams"),
    "variables": ([ours(environment=[{"name": "SF_NONCE", "value": "x"}])],
                  "container 'main': its environment has SF_NONCE; names that begin with SF_ belong to slurm-fargate"),
    "pids": ([top(pidMode="task")], "its pidMode is task; the job's container needs its own processes, remove pidMode"),
    "ec2": ([top(requiresCompatibilities=["EC2"])], "it is not made for FARGATE; register it with requiresCompatibilities FARGATE"),
}


class Definitions:
    """The session's cluster, whose partition takes the families def-*."""

    def __init__(self, cluster):
        self.cluster = cluster
        self.path = os.path.join(os.path.dirname(cluster.env["SLURM_CONF"]), "fargate.conf")
        with open(self.path, encoding="utf-8") as f:
            self.before = f.read()
        with open(EXAMPLE, encoding="utf-8") as f:
            self.example = json.load(f)
        self.ecs = botocore.session.Session().create_client(
            "ecs", region_name=cluster.env["AWS_REGION"], endpoint_url=cluster.env["AWS_ENDPOINT_URL"],
            aws_access_key_id=cluster.env["AWS_ACCESS_KEY_ID"], aws_secret_access_key=cluster.env["AWS_SECRET_ACCESS_KEY"],
            config=botocore.config.Config(proxies={}))

    def configure(self, text):
        starts = len(self.cluster.log("agent")), len(self.cluster.log("slurmctld"))
        with open(self.path, "w", encoding="utf-8") as f:
            f.write(text)
        for part, start, what in zip(("agent", "slurmctld"), starts, ("the changed file is in force", f"{self.path} loaded")):
            wait_for(lambda part=part, start=start, what=what: what in self.cluster.log(part)[start:], 20, f"{what!r} in {part}'s log")

    def register(self, name, changes):
        wanted = copy.deepcopy(self.example)
        wanted["family"] = "def-" + name
        main = wanted["containerDefinitions"][0]
        main["image"] = "host"
        main["logConfiguration"]["options"]["awslogs-region"] = self.cluster.env["AWS_REGION"]
        for change in changes:
            change(wanted)
        return self.ecs.register_task_definition(**wanted)["taskDefinition"]

    def submit(self, name, *options, script="echo ran\n"):
        return self.cluster.submit(script, f"--fargate-task-definition=def-{name}", "-o", "def.%j.out", *options)


@pytest.fixture(name="definitions", scope="module")
def fixture_definitions(session_cluster):
    made = Definitions(session_cluster)
    made.configure(made.before.replace("PartitionName=fargate", "PartitionName=fargate TaskDefinitions=def-*", 1))
    yield made
    session_cluster.reset()
    made.configure(made.before)


def test_what_breaks_the_contract_is_held_with_a_sentence(definitions):
    cluster = definitions.cluster
    for name, (changes, _) in HELD.items():
        definitions.register(name, changes)
    jobs = {name: definitions.submit(name) for name in HELD}
    for name, job in jobs.items():
        cluster.wait_held(job)
        said = cluster.comment(job)
        assert said.startswith("fargate: held - 1vCPU/2GB FARGATE -: ") and HELD[name][1] in said, said
        assert f"task definition def-{name}:1: " in said
        assert cluster.tasks(job) == []


def test_revisions_that_are_gone(definitions):
    cluster = definitions.cluster
    for _ in range(2):
        definitions.register("old", [])
    definitions.ecs.deregister_task_definition(taskDefinition="def-old:1")
    gone, newest, never = (definitions.submit(name) for name in ("old:1", "old", "never"))
    cluster.wait_held(gone)
    assert "task definition def-old:1: it is INACTIVE; name a revision that is registered" in cluster.comment(gone)
    cluster.wait_held(never)
    assert "DescribeTaskDefinition: ClientException: Unable to describe task definition." in cluster.comment(never)
    cluster.wait_state(newest)
    assert cluster.tasks(newest)[0]["taskDefinitionArn"].endswith("/def-old:2")


def test_container_limits_storage_and_a_sidecar(definitions):
    cluster = definitions.cluster
    definitions.register("rich", [ours(cpu=64, memory=256, command=["ignored"], dependsOn=[{"containerName": "side", "condition": "START"}]),
                                  beside(cpu=24, memory=48), top(ephemeralStorage={"sizeInGiB": 50})])
    small, large = definitions.submit("rich", "--fargate-storage=40"), definitions.submit("rich", "--fargate-storage=100", "--mem=4G")
    tight = definitions.submit("rich", "--fargate-cpu=0.25", "--fargate-mem=512M")
    for job, memory, storage in ((small, 2048, None), (large, 4096, {"sizeInGiB": 100}), (tight, 512, None)):
        cluster.wait_state(job)
        overrides = cluster.tasks(job)[0]["overrides"]
        main, = [c for c in overrides["containerOverrides"] if c["name"] == "main"]
        assert (main["cpu"], main["memory"]) == (int(overrides["cpu"]) - 24, memory - 48)
        assert overrides.get("ephemeralStorage") == storage
        assert cluster.output(job) == "ran\n"


def test_a_sidecar_that_leaves_nothing_is_told(definitions):
    definitions.register("greedy", [beside(memory=2048), top(cpu="1024", memory="4096")])
    job = definitions.submit("greedy")
    definitions.cluster.wait_held(job)
    assert re.search("the other containers of arn:.*/def-greedy:1 take 2048 MiB, the job's size has 2048", definitions.cluster.comment(job))


def test_a_log_that_may_lose_lines_draws_one_line(definitions):
    definitions.register("lossy", [log(mode="non-blocking")])
    job = definitions.submit("lossy", "-e", "lossy.%j.err")
    definitions.cluster.wait_state(job)
    assert definitions.cluster.output(job) == "ran\n"
    assert definitions.cluster.output(job, "StdErr") == (
        "fargate: the task definition's awslogs is not in mode=blocking: lines may be lost under load\n")


def test_a_definition_the_partition_does_not_allow_is_refused_at_once(definitions):
    done = definitions.cluster.sbatch("--fargate", "--fargate-task-definition=other", "--wrap", "true")
    assert done.returncode and "Submitted" not in done.stdout
    assert "fargate: --fargate-task-definition=other: partition 'fargate' allows only slurm-job, def-*" in done.stderr
