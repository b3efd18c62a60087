# Real jobs on images that lack something, on read-only roots, as other users, and at the limits of the script's size.
# SPDX-License-Identifier: GPL-2.0-or-later
import hashlib
import json
import os
import random
import re
import string

import botocore.config
import botocore.session
import pytest

from cluster import TOP, SubmitError, wait_for

EXAMPLE = os.path.join(TOP, "contrib", "example", "task-definition.json")
READ_ONLY = {"readonlyRootFilesystem": True}
NO_SHM = {"containerPath": "/dev/shm", "size": 1, "mountOptions": ["ro"]}
TMP = {"containerPath": "/tmp", "size": 1}
HELLO = "#!/bin/sh\necho hello\necho err >&2\nexit 4\n"
WHERE = "#!/bin/sh\necho ${0%%/slurm.*}\n"


def tmpfs(*mounts):
    return {"linuxParameters": {"tmpfs": list(mounts)}}


# name: (image, what its definition has besides, script, output of a job that ends with code 0 or 4)
WORKING = {
    "dash": ("dash", {}, HELLO, "hello\nerr\n"),
    "busybox": ("busybox", {}, HELLO, "hello\nerr\n"),
    "bash": ("bash", {}, "#!/bin/bash\na=(x y)\necho ${a[1]} $0\n", r"y /tmp/slurm\.\w{6}/slurm_script\n"),
    "small-without-gzip": ("dash-no-gzip", {}, HELLO, "hello\nerr\n"),
    "only-a-read-loop": ("dash-no-awk-no-sed-no-stdbuf", {}, HELLO, "hello\nerr\n"),
    "no-session": ("dash-no-setsid-no-env", {}, HELLO, "hello\nerr\n"),
    "descriptors": ("host", {}, "#!/bin/sh\nls /proc/self/fd\n", "0\n1\n2\n3\n"),
    "read-only": ("busybox", READ_ONLY, WHERE, "/dev/shm\n"),
    "read-only-host": ("host", READ_ONLY, WHERE, "/dev/shm\n"),
    "read-only-tmpfs": ("dash", {**READ_ONLY, **tmpfs(NO_SHM, TMP)}, WHERE, "/tmp\n"),
    "noexec": ("dash", tmpfs({**TMP, "mountOptions": ["noexec"]}),
               "#!/bin/sh\necho ${0%%/slurm.*}; cp $0 /tmp/x; /tmp/x 2>/dev/null || echo no\n", "/tmp\nno\n"),
    "user": ("busybox", {"user": "1234:2345"}, "#!/bin/sh\nid -u; id -g; echo ${0%%/slurm.*}\n", "1234\n2345\n/tmp\n"),
    "user-by-name": ("busybox", {"user": "nobody", **READ_ONLY}, "#!/bin/sh\nid -un; echo ${0%%/slurm.*}\n",
                     "nobody\n/dev/shm\n"),
}
# name: (image, what its definition has besides, script, reason in AdminComment)
BIG = "#!/bin/sh\n" + "echo a line that compresses well\n" * 300
HELD = {
    "big-without-gzip": ("dash-no-gzip", {}, BIG, "bootstrap: no gzip in the image"),
    "no-base64": ("dash-no-base64", {}, HELLO, "bootstrap: no base64 in the image"),
    "no-mktemp": ("dash-no-mktemp", {}, HELLO, "bootstrap: no mktemp in the image"),
    "no-mkfifo": ("bash-no-mkfifo", {}, HELLO, "bootstrap: no mkfifo in the image"),
    "no-bash": ("dash", {}, "#!/bin/bash\necho x\n", "bootstrap: bad interpreter(/bin/bash): No such file or directory"),
    "no-python": ("busybox", {}, "#!/usr/bin/python3\nprint()\n",
                  "bootstrap: bad interpreter(/usr/bin/python3): No such file or directory"),
    "nothing-writable": ("busybox", {**READ_ONLY, **tmpfs(NO_SHM)}, HELLO, "bootstrap: cannot write to /tmp /dev/shm /"),
    "no-shell": ("dash-no-sh", {}, HELLO, 'exec: "/bin/sh": stat /bin/sh: no such file or directory'),
    "no-such-user": ("busybox", {"user": "carol"}, HELLO, "unable to find user carol: no matching entries in passwd file"),
}


class Images:
    """The session's cluster whose partition also takes our definitions."""

    def __init__(self, cluster):
        self.cluster = cluster
        self.conf = os.path.join(cluster.root, "etc", "fargate.conf")
        with open(self.conf, encoding="utf-8") as f:
            self.before = f.read()
        self.ecs = botocore.session.Session().create_client(
            "ecs", region_name=cluster.env["AWS_REGION"], endpoint_url=cluster.env["AWS_ENDPOINT_URL"],
            aws_access_key_id=cluster.env["AWS_ACCESS_KEY_ID"], aws_secret_access_key=cluster.env["AWS_SECRET_ACCESS_KEY"],
            config=botocore.config.Config(proxies={}))

    def configure(self, text):
        """In place: owner and mode stay."""
        with open(self.conf, "w", encoding="utf-8") as f:
            f.write(text)
        self.cluster.sandbox("restart", "agent")

    def allow(self):
        self.configure(self.before.replace("PartitionName=fargate", "PartitionName=fargate TaskDefinitions=image-* LogGrace=3"))

        def taken():
            done = self.cluster.sbatch("--fargate", "--fargate-task-definition=image-x", "-H", "--wrap", "true")
            self.cluster.scancel("-n", "wrap")
            return done.returncode == 0

        wait_for(taken, 20, "slurmctld's plugin to read the new fargate.conf", 0.3)

    def define(self, name, image, more):
        with open(EXAMPLE, encoding="utf-8") as f:
            wanted = json.load(f)
        wanted["family"] = "image-" + name
        for container in wanted["containerDefinitions"]:
            container.update(image=image, **more)
            container["logConfiguration"]["options"]["awslogs-region"] = self.cluster.env["AWS_REGION"]
        self.ecs.register_task_definition(**wanted)

    def submit(self, name, script, *options, args=()):
        return self.cluster.submit(script, "-J", name, "-o", "image-%j.out", *options, args=args)

    def largest(self, alphabet):
        """The largest script that sbatch takes, with so many characters of noise; one more is refused for its size."""
        low, high, refusal, path = 100, 16000, "", os.path.join(self.cluster.home(), "limit.sh")
        self.cluster.write("limit.sh", "")
        while high - low > 1:
            n = (low + high) // 2
            with open(path, "wb") as f:
                f.write(b"#!/bin/sh\nsha256sum <$0; exit\n" + noise(alphabet, n))
            done = self.cluster.sbatch("--fargate", "-H", "-J", "limit", path)
            low, high, refusal = (low, n, done.stderr) if done.returncode else (n, high, refusal)
        self.cluster.scancel("-n", "limit")
        with open(path, "wb") as f:
            f.write(b"#!/bin/sh\nsha256sum <$0; exit\n" + noise(alphabet, low))
        assert f"the limit is 7372 (script {os.path.getsize(path) + 1} bytes" in refusal, refusal
        return path


def noise(alphabet, n):
    chance = random.Random(3)
    return bytes(chance.choice(alphabet) for _ in range(n))


def sum_of(path):
    with open(path, "rb") as f:
        return hashlib.sha256(f.read()).hexdigest() + "  -\n"


# Bytes that gzip cannot shorten stop at the limit of a raw script, letters at that of a gzipped one.
LIMITS = {"b": bytes(set(range(1, 256)) - {10, 13}), "z": string.ascii_letters.encode()}
FULL_64_KIB = "#!/bin/sh\nsha256sum <$0; exit\n".ljust(65536, "x")
ARGUMENTS = ["", "-n", "--", "two\nlines\n", "é ☃ 😀", "\\", "*", "~", "$HOME `id` $(id)", "\x01\t\x7f", "'", '"', "!",
             "${SF_NONCE}",
             *(f"a{i}" for i in range(100))]
NO_INTERPRETER = "#!/bin/sh\recho x\n"
OTHERS = {
    "arguments": "#!/usr/bin/python3\nimport sys\nfor a in sys.argv[1:]: print(ascii(a))\n",
    "bytes": "printf 'a\\000b\\377\\303\\251\\n'; head -c 307200 /dev/zero | tr '\\0' x; echo; printf 'no newline'\n",
    "lost": "kill -9 -$PPID\nexit 0\n",
    "64k": FULL_64_KIB,
    "no-interpreter": NO_INTERPRETER,
}


@pytest.fixture(scope="module")
def jobs(session_cluster):
    """(cluster, name → job): all jobs run at the same time."""
    images = Images(session_cluster)
    images.allow()
    submitted = {}
    for name, (image, more, script, _) in {**WORKING, **HELD}.items():
        images.define(name, image, more)
        submitted[name] = images.submit(name, script, f"--fargate-task-definition=image-{name}")
    for name, script in OTHERS.items():
        submitted[name] = images.submit(name, script, args=ARGUMENTS if name == "arguments" else ())
    for enc, alphabet in LIMITS.items():
        path = images.largest(alphabet)
        submitted[enc], submitted["sum of " + enc] = images.submit(enc, path), sum_of(path)
    yield session_cluster, submitted
    session_cluster.reset()
    images.configure(images.before)


@pytest.mark.parametrize("name", WORKING)
def test_it_works(jobs, name):
    cluster, submitted = jobs
    record = cluster.wait_state(submitted[name], {"COMPLETED", "FAILED"})
    assert record["ExitCode"] == ("4:0" if WORKING[name][2] == HELLO else "0:0")
    lines = cluster.output(submitted[name]).splitlines(True)
    text = "".join(line for line in lines if line != "err\n") + "err\n" * ("err\n" in lines)
    assert re.fullmatch(WORKING[name][3], text), lines


@pytest.mark.parametrize("name", HELD)
def test_it_is_held_with_a_sentence(jobs, name):
    cluster, submitted = jobs
    cluster.wait_held(submitted[name])
    comment = cluster.comment(submitted[name])
    assert re.match(r"fargate: held [0-9a-f]{32} \S+ FARGATE \S+: ", comment), comment
    assert comment.endswith(HELD[name][3]) or HELD[name][3] + ": unknown" in comment, comment
    task, = cluster.tasks(submitted[name])
    assert "exitCode" not in task["containers"][0] or task["containers"][0]["exitCode"] == 125
    if "bootstrap" in comment:
        assert "fargate: the task ended as start-permanent: " + HELD[name][3] + "\n" in cluster.output(submitted[name])


# ---- sbatch and the script ---------------------------------------------------------------------

@pytest.mark.parametrize("script,said", [
    (b"", "Batch script is empty!"),
    (b"#", "This does not look like a batch script."),
    (b"echo x\n", "This does not look like a batch script."),
    (b"#!/bin/sh\r\necho x\r\n", "Batch script contains DOS line breaks (\\r\\n)"),
    (b"#!/bin/sh\necho a\0b\n", "contain a NULL character '\\0'")], ids=["empty", "one-byte", "no-shebang", "crlf", "nul"])
def test_sbatch_refuses_a_script_with_the_same_words_as_for_a_local_job(jobs, script, said):
    cluster, _ = jobs
    path = cluster.write("refused.sh", script.decode())
    local, ours = cluster.sbatch("-p", "local", path), cluster.sbatch("--fargate", path)
    assert local.returncode and ours.returncode
    assert said in local.stderr and ours.stderr == local.stderr


def test_a_script_without_its_interpreter_gets_slurmstepds_words(jobs):
    """What is left of a CRLF script that comes past sbatch: a carriage return in the interpreter's name."""
    cluster, submitted = jobs
    local = cluster.submit(NO_INTERPRETER, "-p", "local", "-o", "local.%j", fargate=False)
    cluster.wait_state(local, {"FAILED"})
    assert re.search(r"bad interpreter\(/bin/sh[\r\n]echo x\): No such file or directory", cluster.output(local))
    cluster.wait_held(submitted["no-interpreter"])
    assert cluster.comment(submitted["no-interpreter"]).endswith(
        ": bootstrap: bad interpreter(/bin/sh?echo): No such file or directory")


@pytest.mark.parametrize("enc", LIMITS)
def test_the_largest_script_runs(jobs, enc):
    cluster, submitted = jobs
    cluster.wait_state(submitted[enc])
    assert cluster.output(submitted[enc]) == submitted["sum of " + enc]
    task, = cluster.tasks(submitted[enc])
    values = {v["name"]: v["value"] for v in task["overrides"]["containerOverrides"][0]["environment"]}
    assert values["SF_ENC"] == enc


def test_64_kib_run_and_one_byte_more_is_refused(jobs):
    cluster, submitted = jobs
    with pytest.raises(SubmitError, match="fargate: the script is larger than 64 KiB"):
        cluster.submit(FULL_64_KIB + "x")
    cluster.wait_state(submitted["64k"])
    assert cluster.output(submitted["64k"]) == hashlib.sha256(FULL_64_KIB.encode()).hexdigest() + "  -\n"


def test_arguments_of_every_kind_arrive(jobs):
    cluster, submitted = jobs
    cluster.wait_state(submitted["arguments"])
    assert cluster.output(submitted["arguments"]) == "".join(ascii(a) + "\n" for a in ARGUMENTS)


def test_output_of_any_bytes(jobs):
    """awslogs takes UTF-8 only and cuts at 256 KiB; a NUL is a character like any other."""
    cluster, submitted = jobs
    cluster.wait_state(submitted["bytes"])
    assert cluster.output(submitted["bytes"]) == "a\0b\ufffdé\n" + "x" * 307200 + "\nno newline\n"


def test_output_that_the_script_itself_lost_is_announced(jobs):
    cluster, submitted = jobs
    cluster.wait_state(submitted["lost"])
    wait_for(lambda: "output may be incomplete" in cluster.comment(submitted["lost"]), 20, "the words in AdminComment")
    assert "output may be incomplete" in cluster.output(submitted["lost"])
