# What the host tests share: where the build is, the socket protocol in python, a fake agent, the fake SPANK host.
# SPDX-License-Identifier: GPL-2.0-or-later
import contextlib
import json
import os
import socket
import struct
import subprocess
import time

# seconds until a condition that should hold at once counts as broken; slow builds multiply it
PATIENCE = 20 * float(os.environ.get("SLURM_FARGATE_PATIENCE", "1"))
SANITIZERS = ("libasan", "libubsan")


def build_directory():
    given = os.environ.get("SF_BUILDDIR") or os.environ.get("SLURM_FARGATE_BUILD")
    top = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
    return given or os.path.join(top, "build")


def built(*parts):
    """A file of the build; the test fails when it is not there."""
    path = os.path.join(build_directory(), *parts)
    assert os.path.exists(path), f"{path} is not there: build first, or set SF_BUILDDIR"
    return path


SPANK_SO = ("plugin", "spank", ".libs", "fargate.so")
JOB_SUBMIT_SO = ("plugin", "job_submit", ".libs", "job_submit_fargate.so")

TOKEN = "0123456789abcdef" * 2
# The wait between two connections carries a jitter made of the job id; this id has almost none.
JOB = min(range(1, 5000), key=lambda job: (job * 2654435761 % 2**32) >> 22)


def make_spec(**members):
    spec = {"sid": "00112233445566aa", "submit": 1790000000, "cpu": 256, "mem": 512, "cpus_asked": 1, "cpus_per_task": 0,
            "mem_asked": 0, "mem_per_cpu": False, "partition": "fargate", "args": [], "env": []}
    spec.update(members)
    return json.dumps({"v": 1, "spec": spec}, separators=(",", ":"))


SPEC = make_spec()

# common/base/proto.h
TYPES = {"LAUNCH": 1, "HANDOVER": 2, "ATTACH": 3, "SIGNAL": 4, "STATUS": 5, "SHOW": 6, "SNAPSHOT": 7,
         "ACCEPT": 64, "REFUSED": 65, "RELEASE": 66, "OUTPUT": 67, "NOTE": 68, "EXIT": 69, "TEXT": 70}
TAGS = {"JOB": 1, "RESTART": 2, "UID": 3, "NUMBER": 4, "STREAM": 5, "RETRY": 6, "TOKEN": 7, "SPEC": 8, "CURSOR": 9,
        "BYTES": 10, "TEXT": 11}
NUMBERS = ("JOB", "RESTART", "UID", "NUMBER", "STREAM", "RETRY")


def frame(kind, **fields):
    body = b""
    for name, value in fields.items():
        if name in NUMBERS:
            value = struct.pack(">Q", value)
        elif isinstance(value, str):
            value = value.encode()
        body += struct.pack(">BI", TAGS[name], len(value)) + value
    return struct.pack(">BBHI", 1, TYPES[kind], 0, len(body)) + body


def parse_body(body):
    names = {tag: name for name, tag in TAGS.items()}
    fields = {}
    while body:
        tag, length = struct.unpack(">BI", body[:5])
        value, body = body[5:5 + length], body[5 + length:]
        assert len(value) == length, "a field is cut off"
        assert names[tag] not in fields, f"field {names[tag]} is there twice"
        fields[names[tag]] = (struct.unpack(">Q", value)[0] if names[tag] in NUMBERS
                              else value if names[tag] in ("CURSOR", "BYTES") else value.decode())
    return fields


class Peer:
    """One connection as the agent sees it."""

    def __init__(self, sock):
        self.sock = sock
        self.sock.settimeout(PATIENCE)
        self.pid, self.uid, self.gid = struct.unpack(
            "3i", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")))

    def _exactly(self, n):
        got = b""
        while len(got) < n:
            piece = self.sock.recv(n - len(got))
            if not piece:
                assert not got, "the stream ended within a frame"
                return None
            got += piece
        return got

    def receive(self):
        """The next frame as (type, fields), None at the end of the stream."""
        head = self._exactly(8)
        if head is None:
            return None
        version, kind, reserved, length = struct.unpack(">BBHI", head)
        assert (version, reserved) == (1, 0)
        body = self._exactly(length) if length else b""
        return next(name for name, number in TYPES.items() if number == kind), parse_body(body)

    def expect(self, kind):
        """The fields of the next frame, which must be of that type."""
        got = self.receive()
        assert got and got[0] == kind, f"{got} instead of {kind}"
        return got[1]

    def send(self, kind, **fields):
        self.sock.sendall(frame(kind, **fields))

    def close(self):
        self.sock.close()


class Agent:
    """Listens where the real one would; what it answers is the test's business."""

    def __init__(self, path, backlog=16):
        self.path = path
        self.peers = []
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(path)
        os.chmod(path, 0o666)
        self.listener.listen(backlog)
        self.listener.settimeout(PATIENCE)

    def accept(self):
        self.peers.append(Peer(self.listener.accept()[0]))
        return self.peers[-1]

    def attached(self):
        """Accept a connection and its ATTACH: (peer, fields)."""
        peer = self.accept()
        fields = peer.expect("ATTACH")
        peer.send("ACCEPT")
        return peer, fields

    def close(self):
        for peer in self.peers:
            peer.close()
        self.listener.close()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path)


def wait_for(condition, what):
    limit = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < limit, f"{what} did not come"
        time.sleep(0.005)


def read_file(path):
    with open(path, "rb") as file:
        return file.read()


class HostRun:
    """What one run of spank_host told."""

    def __init__(self, status, output, errors, lines):
        self.status, self.output, self.errors, self.lines = status, output, errors, lines

    @property
    def end(self):
        """The last line; absent when the plugin exec'ed or died."""
        return next((line for line in self.lines if line.get("end")), None)

    def hook(self, name):
        """The finished call of that hook."""
        return next(line for line in self.lines if line.get("hook") == name and line.get("done"))

    def finished(self, name):
        return any(line.get("hook") == name and line.get("done") for line in self.lines)

    def codes(self):
        return {line["hook"]: line["rc"] for line in self.lines if line.get("done")}

    def option_codes(self):
        return [line["rc"] for line in self.lines if "option" in line]

    def messages(self):
        return [text for line in self.lines for text in line.get("messages", [])]

    def control(self):
        """The job control environment as a dictionary."""
        return dict(entry.split("=", 1) for entry in self.end.get("control_env", []))

    def environ(self):
        return dict(entry.split("=", 1) for entry in self.end["environ"])


def start_host(directory, plan, env=None):
    """Start spank_host; finish_host() waits for it."""
    plan = dict({"plugin": built(*SPANK_SO), "args": [], "job_env": [], "items": {}, "steps": [], "decoys": []}, **plan)
    with open(os.path.join(directory, "plan"), "w", encoding="utf-8") as file:
        json.dump(plan, file)
    report = os.path.join(directory, "report")
    with open(report, "wb"):
        pass
    os.chmod(report, 0o666)
    return subprocess.Popen([built("tests", "host", "spank_host"), file.name, report], env=env or {},
                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def finish_host(directory, process):
    output, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode != 125 and process.returncode >= 0, (process.returncode, errors)
    report = read_file(os.path.join(directory, "report")).decode(errors="surrogateescape")
    lines = [json.loads(line) for line in report.split("\n") if line]
    return HostRun(process.returncode, output, errors, lines)


def run_host(directory, plan, env=None):
    process = start_host(directory, plan, env)
    try:
        return finish_host(directory, process)
    finally:
        process.kill()
        process.wait()
