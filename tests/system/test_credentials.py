# Where the agent's credentials may come from: every way runs a job, they are kept fresh, and no secret of theirs is seen anywhere.
# SPDX-License-Identifier: GPL-2.0-or-later
import json
import os
import pwd
from pathlib import Path

import pytest

from cluster import wait_for

ACCOUNT = "arn:aws:iam::123456789012:role/"
NO_KEYS = {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_SESSION_TOKEN": ""}
PASSWORD = "let-me-in-0123456789"      # to the container's endpoint, and as a web identity
PROCESS = """#!/bin/sh
[ -z "$AWS_SECRET_ACCESS_KEY$SLURM_CONF" ] || exit 3
[ "$1" = "two words" ] || exit 4
echo '{{"Version": 1, "AccessKeyId": "{key}", "SecretAccessKey": "{secret}"}}'
"""
KEYS = "aws_access_key_id = {key}\naws_secret_access_key = {secret}\n"
CHAIN = f"""[profile top]
role_arn = {ACCOUNT}top
source_profile = middle
external_id = e-1
role_session_name = upper
duration_seconds = 900
[profile middle]
role_arn = {ACCOUNT}middle
source_profile = base
"""


class Agent:
    """The sandbox's agent, with files and variables of a test's own."""

    def __init__(self, cluster):
        self.cluster = cluster
        self.dir = os.path.join(cluster.root, "aws")
        self.env_file = os.path.join(cluster.root, "etc", "agent.env")
        with open(f"/proc/{cluster.pid('agent')}/environ", encoding="utf-8") as f:
            env = dict(v.split("=", 1) for v in f.read().split("\0") if v)
        self.names = {"key": env["AWS_ACCESS_KEY_ID"], "secret": env["AWS_SECRET_ACCESS_KEY"], "dir": self.dir,
                      "url": cluster.env["FARGATE_LOCAL_URL"], "password": PASSWORD}
        self.start = self.issued_before = 0
        os.makedirs(self.dir, exist_ok=True)
        self.own(self.dir, 0o700)

    @staticmethod
    def own(path, mode):
        who = pwd.getpwnam("slurm")
        os.chown(path, who.pw_uid, who.pw_gid)
        os.chmod(path, mode)

    def write(self, name, text):
        """As an editor does: a new file takes the old one's place."""
        path = os.path.join(self.dir, name)
        with open(path + ".new", "w", encoding="utf-8") as f:
            f.write(text.format(**self.names))
        self.own(path + ".new", 0o700 if name == "process" else 0o600)
        os.rename(path + ".new", path)

    def run(self, files=None, settings=None, **env):
        """Start it anew with these only."""
        for name in os.listdir(self.dir):
            os.unlink(os.path.join(self.dir, name))
        for name, text in {"config": "", "credentials": "", **(files or {})}.items():
            self.write(name, text)
        env = {**NO_KEYS, "AWS_CONFIG_FILE": "{dir}/config", "AWS_SHARED_CREDENTIALS_FILE": "{dir}/credentials", **env}
        with open(self.env_file, "w", encoding="utf-8") as f:
            f.writelines(f"{name}={value.format(**self.names)}\n" for name, value in env.items())
        self.cluster.control("PUT", "credentials", settings or {})
        self.start, self.issued_before = len(self.cluster.agent_log()), len(self.all_issued())
        self.cluster.sandbox("restart", "agent")

    def log(self):
        return self.cluster.agent_log()[self.start:]

    def problem(self):
        return json.loads(self.cluster.sfargate("status", "--json").stdout)["aws"]

    def all_issued(self):
        return self.cluster.control("GET", "credentials")["issued"]

    def issued(self):
        """The keys this agent got, or one of before while it was still there."""
        return self.all_issued()[self.issued_before:]

    def secrets(self):
        """Everything that nobody may see."""
        return [self.names["secret"], PASSWORD] + [k[m] for k in self.all_issued() for m in ("SecretAccessKey", "SessionToken")]


@pytest.fixture(name="agent")
def fixture_agent(cluster):
    agent = Agent(cluster)
    yield agent
    os.unlink(agent.env_file)
    cluster.control("PUT", "credentials", {})
    cluster.sandbox("restart", "agent")


# name: files, settings of the local AWS, variables, the session that the keys belong to (None: the user's own)
WAYS = {
    "environment": ({}, {}, {"AWS_ACCESS_KEY_ID": "{key}", "AWS_SECRET_ACCESS_KEY": "{secret}"}, None),
    "credentials file": ({"credentials": "[default]\n" + KEYS}, {}, {}, None),
    "config file": ({"config": "[profile p]\n" + KEYS}, {}, {"AWS_PROFILE": "p"}, None),
    "chain of roles": ({"config": CHAIN, "credentials": "[base]\n" + KEYS}, {"external_ids": {ACCOUNT + "top": "e-1"}},
                       {"AWS_PROFILE": "top"}, "top/upper"),
    "process": ({"process": PROCESS, "config": "[default]\ncredential_process = {dir}/process 'two words'\n"}, {}, {}, None),
    "process and role": ({"process": PROCESS, "config": f"[default]\nrole_arn = {ACCOUNT}r\nsource_profile = p\n"
                          "[profile p]\ncredential_process = \"{dir}/process\" two\\ words\n"}, {}, {}, "r/slurm-fargate"),
    "web identity": ({"token": "{password}\n"}, {"web_tokens": [PASSWORD]},
                     {"AWS_WEB_IDENTITY_TOKEN_FILE": "{dir}/token", "AWS_ROLE_ARN": ACCOUNT + "w"}, "w/slurm-fargate"),
    "profile's web identity": ({"token": "{password}", "config": f"[default]\nrole_arn = {ACCOUNT}w\nrole_session_name = me\n"
                                "web_identity_token_file = {dir}/token\n"}, {"web_tokens": [PASSWORD]}, {}, "w/me"),
    "container": ({"token": "{password}\n"}, {"container_token": PASSWORD},
                  {"AWS_CONTAINER_CREDENTIALS_FULL_URI": "{url}/_container/credentials",
                   "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": "{dir}/token"}, "local-container/local"),
    "container and role": ({"config": f"[default]\nrole_arn = {ACCOUNT}c\ncredential_source = EcsContainer\n"},
                           {"container_token": PASSWORD},
                           {"AWS_CONTAINER_CREDENTIALS_FULL_URI": "{url}/_container/credentials",
                            "AWS_CONTAINER_AUTHORIZATION_TOKEN": "{password}"}, "c/slurm-fargate"),
    "instance": ({}, {}, {"AWS_EC2_METADATA_SERVICE_ENDPOINT": "{url}", "AWS_EC2_METADATA_DISABLED": "false",
                          "AWS_METADATA_SERVICE_TIMEOUT": "20"}, "local-instance/local"),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_way(cluster, agent, way):
    files, settings, env, who = WAYS[way]
    agent.run(files, settings, **env)
    job = cluster.submit("env\n", "--export=HELLO=there")
    cluster.wait_state(job)
    output = cluster.output(job)
    assert "HELLO=there" in output
    if who is None:
        assert not agent.issued()
    else:
        assert agent.issued()[-1]["Arn"].endswith("assumed-role/" + who), agent.issued()
    pid = cluster.pid("agent")
    seen = {"the agent's log": agent.log(), "slurmctld's log": cluster.log("slurmctld"), "the job's output": output,
            "sfargate show": cluster.sfargate("show", job).stdout, "sfargate status": cluster.sfargate("status", "--json").stdout,
            "scontrol show job": str(cluster.show(job)), "the tasks": json.dumps(cluster.tasks(job)),
            "arguments": Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8")}
    for secret in agent.secrets():
        for where, text in seen.items():
            assert secret not in text, f"a secret is in {where}"


def test_others_cannot_look(cluster, agent):
    """Not even SlurmUser himself by another process: no core dump, no ptrace."""
    agent.run({"credentials": "[default]\n" + KEYS})
    pid = cluster.pid("agent")
    for user in ("slurm", "alice"):
        for name in ("environ", "mem", "maps"):
            done = cluster.run("cat", f"/proc/{pid}/{name}", user=user, cwd="/")
            assert done.returncode != 0 and "denied" in done.stderr, (user, name)


def test_keys_that_end_are_fetched_anew(cluster, agent):
    agent.run({"config": f"[default]\nrole_arn = {ACCOUNT}r\nsource_profile = base\n", "credentials": "[base]\n" + KEYS},
              {"lifetime": 12})
    job = cluster.submit("sleep 30\n")
    cluster.wait_task(job)
    wait_for(lambda: len(agent.issued()) >= 3, 60, "the third keys")
    cluster.wait_state(job, timeout=90)
    assert "no new AWS credentials" not in agent.log()


def test_a_rewritten_file_is_read_again(cluster, agent):
    agent.run({"credentials": "[default]\naws_access_key_id = AKIAWRONG\naws_secret_access_key = wrong\n"})
    job = cluster.submit("exit 0\n")
    wait_for(lambda: "UnrecognizedClientException" in agent.problem(), 40, lambda: f"the refusal: {agent.problem()}")
    assert cluster.state(job) in ("PENDING", "CONFIGURING", "RUNNING")
    agent.write("credentials", "[default]\n" + KEYS)
    cluster.wait_state(job, timeout=90)
    assert agent.problem() == "ok"


def test_a_role_that_may_not_be_assumed(cluster, agent):
    """The job waits, the agent says why, and once it is cured the job goes on."""
    agent.run({"config": f"[default]\nrole_arn = {ACCOUNT}no\nsource_profile = base\n", "credentials": "[base]\n" + KEYS},
              {"denied": [ACCOUNT + "no"]})
    job = cluster.submit("exit 0\n")
    why = "AWS profile 'default': AssumeRole: AccessDenied: User: arn:aws:iam::123456789012:user/local is not authorized to " \
        f"perform: sts:AssumeRole on resource: {ACCOUNT}no"
    wait_for(lambda: why in agent.problem(), 40, lambda: f"{why}: {agent.problem()}")
    assert cluster.state(job) in ("PENDING", "CONFIGURING", "RUNNING")
    assert agent.log().count("no new AWS credentials: " + why) == 1
    cluster.control("PUT", "credentials", {})
    cluster.wait_state(job, timeout=120)
    wait_for(lambda: agent.problem() == "ok", 30, "the end of the problem")


def test_a_failing_process_is_said_without_its_words(cluster, agent):
    agent.run({"process": "#!/bin/sh\necho hush-hush; echo hush-hush >&2; exit 7\n",
               "config": "[default]\ncredential_process = {dir}/process\n"})
    job = cluster.submit("exit 0\n")
    why = "credential_process of profile 'default': ended with code 7; run it by hand as SlurmUser to see what it says"
    wait_for(lambda: why in agent.problem(), 40, lambda: f"{why}: {agent.problem()}")
    assert "hush" not in agent.log()
    agent.write("process", PROCESS.replace('[ "$1" = "two words" ]', "true"))
    cluster.wait_state(job, timeout=120)
