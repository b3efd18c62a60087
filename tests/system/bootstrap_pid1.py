# What the tests of the bootstrap share: it runs as PID 1 of a real PID namespace, under every shell and every line filter.
# SPDX-License-Identifier: GPL-2.0-or-later
import base64
import gzip
import os
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time

import pytest

TOP = os.path.realpath(os.path.join(os.path.dirname(__file__), "..", ".."))
BASE = os.path.join(TOP, "common", "base")
NONCE = "0123456789abcdef"
UID = 65534
PATIENCE = 20.0
TERM_BIT = 1 << (signal.SIGTERM - 1)
# What every image here has; the filters come on top.
TOOLS = "base64 cat chmod env gzip mkfifo mktemp rm setsid sleep true".split()
# Image: the filter programs it adds by name, and the command line of the filter that must be taken.
IMAGES = {
    "stdbuf": ({"sed": "sed", "stdbuf": "stdbuf", "awk": "mawk"}, "sed s/^/o/"),
    "gawk": ({"awk": "gawk"}, "awk -v p=o"),
    "sed-u": ({"sed": "sed"}, "sed -u s/^/o/"),
    "mawk": ({"awk": "mawk"}, "sh -c"),
    "loop": ({}, "sh -c"),
    "busybox": (None, "awk -v p=o"),
}
SHELLS = ("dash", "bash", "ash")
# busybox ash prefers its own applets to anything on PATH, so it meets only one image.
PAIRS = [(shell, image) for shell in ("dash", "bash") for image in IMAGES
         if image != "gawk" or shutil.which("gawk")] + [("ash", "busybox")]
IMAGE_OF = {"dash": "stdbuf", "bash": "stdbuf", "ash": "busybox"}


def wait_for(condition, what):
    limit = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < limit, f"waited {PATIENCE} s for {what}"
        time.sleep(0.005)


class Images:
    """A directory for each shell and each image, and one that containers and tests share."""

    def __init__(self, top):
        self.top = top
        self.shared = os.path.join(top, "shared")
        self.boot = subprocess.run([os.path.join(BASE, "embed-bootstrap"), "--text", os.path.join(BASE, "bootstrap.sh")],
                                   check=True, capture_output=True, text=True).stdout
        os.mkdir(self.shared)
        os.chmod(self.shared, 0o777)
        for shell, program in zip(SHELLS, ("dash", "bash", "busybox")):
            os.mkdir(os.path.join(top, shell))
            os.symlink(shutil.which(program), os.path.join(top, shell, "sh"))
        for image, (extra, _) in IMAGES.items():
            if extra is None:
                tools = dict.fromkeys(subprocess.run(["busybox", "--list"], check=True, capture_output=True,
                                                     text=True).stdout.split(), "busybox")
            else:
                tools = {tool: tool for tool in TOOLS} | extra
            self.image(image, tools)

    def image(self, name, tools):
        os.mkdir(os.path.join(self.top, name))
        for tool, program in tools.items():
            if shutil.which(program):
                os.symlink(shutil.which(program), os.path.join(self.top, name, tool))


@pytest.fixture(scope="module")
def images():
    top = tempfile.mkdtemp(prefix="bootstrap.", dir="/var/tmp")
    os.chmod(top, 0o755)
    yield Images(top)
    shutil.rmtree(top)


class Container:
    def __init__(self, images, shell, image, script, args=(), env=None, framed=True, zipped=False, mounts=(),
                 uid=UID, processes=""):
        self.shared = images.shared
        packed = gzip.compress(script, mtime=0) if zipped else script
        environment = {
            "PATH": os.path.join(images.top, image), "SHARED": images.shared, **(env or {}),
            "SF_SCRIPT": base64.b64encode(packed).decode(), "SF_ENC": "z" if zipped else "b",
            "SF_NONCE": NONCE, "SF_FRAME": "1" if framed else "0"}
        setup = "\n".join((
            "set -e", "mount -t tmpfs -o mode=1777 none /tmp", "mount -t tmpfs -o mode=1777 none /dev/shm", *mounts,
            # The limit counts all processes of a uid, also outside: give the container one of its own.
            f"prlimit --pid=$$ --nproc={processes}" if processes else "",
            f"exec setpriv --reuid={uid} --regid={uid} --clear-groups --no-new-privs -- /usr/bin/env -i \"$@\""))
        self.process = subprocess.Popen(
            ["unshare", "--pid", "--mount", "--fork", "--mount-proc", "--kill-child", "/bin/sh", "-c", setup, "setup",
             *(f"{k}={v}" for k, v in environment.items()),
             os.path.join(images.top, shell, "sh"), "-c", images.boot, "slurm_script", *args],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd="/")
        self.raw = [b"", b""]
        self._readers = [threading.Thread(target=self._read, args=(i, pipe))
                         for i, pipe in enumerate((self.process.stdout, self.process.stderr))]
        for reader in self._readers:
            reader.start()

    def _read(self, i, pipe):
        while data := os.read(pipe.fileno(), 1 << 16):
            self.raw[i] += data

    def pid1(self):
        """PID 1 as the host sees it, None before it exists."""
        children = f"/proc/{self.process.pid}/task/{self.process.pid}/children"
        with open(children, encoding="ascii") as f:
            return next((int(word) for word in f.read().split()), None)

    def catches_term(self):
        try:
            with open(f"/proc/{self.pid1()}/status", encoding="ascii") as f:
                caught = int(re.search(r"^SigCgt:\s*(\w+)", f.read(), re.M).group(1), 16)
            with open(f"/proc/{self.pid1()}/cmdline", "rb") as f:
                return bool(caught & TERM_BIT) and b"slurm_script" in f.read()
        except FileNotFoundError:
            return False

    def term(self):
        os.kill(self.pid1(), signal.SIGTERM)

    def wait_text(self, text):
        wait_for(lambda: text in self.raw[0] or self.process.poll() is not None, f"{text} in the output")
        assert text in self.raw[0], (self.raw[0][-2000:], self.raw[1][-2000:])

    def kill(self):
        """PID 1 by itself: unshare's --kill-child does not outlive setpriv's change of user."""
        if self.process.poll() is None:
            pid = self.pid1()
            os.kill(pid if pid else self.process.pid, signal.SIGKILL)
            self.process.wait()

    def end(self):
        """The exit code, once everything has been read."""
        try:
            code = self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            with_output = (self.raw[0][-2000:], self.raw[1][-2000:])
            raise AssertionError(f"the container did not end: {with_output}") from None
        finally:
            self.kill()
            for reader in self._readers:
                reader.join()
            self.process.stdout.close()
            self.process.stderr.close()
        return code

    def lines(self, i, code):
        """Decodes one stream: the job's lines. Fails unless everything is framed and the end mark is the last line."""
        letter = (b"o", b"e")[i]
        lines = [line for line in self.raw[i].split(b"\n") if line]     # as the log driver drops empty ones
        assert lines and lines.pop() == b"%s%s end %d" % (letter, NONCE.encode(), code), self.raw[i][-2000:]
        assert all(line.startswith(letter) for line in lines), [line for line in lines if not line.startswith(letter)][:5]
        return [line[1:] for line in lines]


@pytest.fixture
def run(images):
    """run(shell, image, script, …): a started container; whatever still runs after the test is killed."""
    started = []
    for name in os.listdir(images.shared):
        os.unlink(os.path.join(images.shared, name))

    def start(*args, **kwargs):
        started.append(Container(images, *args, **kwargs))
        return started[-1]
    yield start
    for container in started:
        container.kill()


def sh(text):
    return b"#!/bin/sh\n" + text.encode()


def flag(images, name):
    return os.path.join(images.shared, name)


def finish(container, code):
    """Ends as expected: (lines on stdout, lines on stderr)."""
    assert container.end() == code, (container.raw[0][-2000:], container.raw[1][-2000:])
    return container.lines(0, code), container.lines(1, code)


def failure(container):
    """The cause of a bootstrap failure; the code is neither success nor one of the user's usual ones."""
    assert container.end() == 125, (container.raw[0], container.raw[1])
    head = f"{NONCE} bootstrap: ".encode()
    assert container.raw[0] == b"" and container.raw[1].count(b"\n") == 1, container.raw
    assert container.raw[1].startswith(head), container.raw[1]
    return container.raw[1][len(head):-1].decode()
