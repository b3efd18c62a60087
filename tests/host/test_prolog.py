# fargate-prolog against a fake agent: it holds the job, lets go on the agent's word, and never fails a job of ours.
# SPDX-License-Identifier: GPL-2.0-or-later
import os
import socket
import subprocess

import pytest

import support

OURS = {"SPANK_FARGATE": support.SPEC, "SLURM_JOB_ID": "17", "SLURM_JOB_RESTART_COUNT": "2"}
USAGE = b"usage: fargate-prolog --socket PATH [--then PROGRAM]\n"


class Prolog:
    """One fargate-prolog; syslog() is what it sent to a /dev/log of its own."""

    def __init__(self, directory, processes):
        self.directory, self.processes = directory, processes
        self.socket = os.path.join(directory, "sock")
        self.marker = os.path.join(directory, "site-ran")
        self.process = None
        self.devices = os.path.join(directory, "dev")
        os.mkdir(self.devices)
        self.log = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.log.bind(os.path.join(self.devices, "log"))
        self.log.settimeout(support.PATIENCE)

    def site(self, status):
        """The site's own prolog, which leaves a marker and that exit code."""
        path = os.path.join(self.directory, "site-prolog")
        with open(path, "w", encoding="utf-8") as file:
            file.write(f"#!/bin/sh\necho \"$#\" >'{self.marker}'\nexit {status}\n")
        os.chmod(path, 0o755)
        return path

    def start(self, *options, environ=None, arguments=None):
        command = [support.built("fargate-prolog"), *(("--socket", self.socket, *options) if arguments is None else arguments)]
        # a mount namespace of its own, in which /dev/log is ours
        unshare = ["unshare", "-m"] if os.geteuid() == 0 else ["unshare", "-rm"]
        inside = ["sh", "-c", "mount --bind \"$0\" /dev && exec \"$@\"", self.devices, "env", "-i"]
        variables = [f"{name}={value}" for name, value in (OURS if environ is None else environ).items()]
        self.process = subprocess.Popen([*unshare, *inside, *variables, *command], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.processes.append(self.process)
        return self

    def leaves_with(self, status, errors=b""):
        output, said = self.process.communicate(timeout=support.PATIENCE)
        assert (self.process.returncode, output, said) == (status, b"", errors)

    def syslog(self):
        return self.log.recv(65536).decode()

    def site_ran(self):
        return os.path.exists(self.marker)


@pytest.fixture
def prolog(directory, processes):
    made = Prolog(directory, processes)
    yield made
    made.log.close()


def asked(agent):
    """Accept a connection and its LAUNCH."""
    peer = agent.accept()
    return peer, peer.expect("LAUNCH")


OTHERS = {"SLURM_JOB_ID": "17"}


def test_a_job_of_others_passes_at_once(prolog, agent):
    prolog.start(environ=OTHERS).leaves_with(0)
    agent.listener.setblocking(False)
    with pytest.raises(BlockingIOError):
        agent.listener.accept()


@pytest.mark.parametrize("status", (0, 1, 99))
def test_a_job_of_others_gets_the_sites_prolog(prolog, status):
    prolog.start("--then", prolog.site(status), environ=OTHERS).leaves_with(status)
    assert support.read_file(prolog.marker) == b"0\n"


def test_a_sites_prolog_that_is_not_there_fails_jobs_of_others(prolog):
    prolog.start("--then", prolog.site(0) + ".gone", environ=OTHERS).leaves_with(1)
    assert prolog.syslog().endswith("site-prolog.gone cannot be started: No such file or directory")


def test_it_launches_and_holds_until_released(prolog, agent):
    prolog.start()
    peer, fields = asked(agent)
    assert fields == {"JOB": 17, "RESTART": 2, "SPEC": support.SPEC}
    assert peer.uid == os.geteuid()
    assert prolog.process.poll() is None
    peer.send("RELEASE")
    prolog.leaves_with(0)


def test_no_restart_count_is_the_first_start(prolog, agent):
    prolog.start(environ={name: value for name, value in OURS.items() if name != "SLURM_JOB_RESTART_COUNT"})
    peer, fields = asked(agent)
    assert fields["RESTART"] == 0
    peer.send("RELEASE")
    prolog.leaves_with(0)


def test_a_refusal_lets_go_and_is_logged(prolog, agent):
    prolog.start()
    peer, _ = asked(agent)
    peer.send("REFUSED", TEXT="no line for partition x")
    prolog.leaves_with(0)
    assert prolog.syslog().endswith("job 17: the agent refused it: no line for partition x")


@pytest.mark.parametrize("answer, fields", (("REFUSED", {"TEXT": "not yet", "RETRY": 1}), ("ACCEPT", {}), ("EXIT", {"NUMBER": 1}),
                                            (None, {})))
def test_whatever_else_happens_it_asks_again(prolog, agent, answer, fields):
    prolog.start()
    peer, first = asked(agent)
    if answer:
        peer.send(answer, **fields)
    peer.close()
    peer, second = asked(agent)
    assert first == second
    peer.send("RELEASE")
    prolog.leaves_with(0)


@pytest.mark.parametrize("raw", (b"\x00", b"\x01\x42\x00\x00\x00\x00", b"\x01\x42\x00\x00\xff\xff\xff\xff"))
def test_after_garbage_it_asks_again(prolog, agent, raw):
    prolog.start()
    peer, _ = asked(agent)
    peer.sock.sendall(raw)
    peer.close()
    peer, _ = asked(agent)
    peer.send("RELEASE")
    prolog.leaves_with(0)


def test_without_an_agent_it_waits_and_says_so_once(prolog, new_agent):
    prolog.start()
    line = prolog.syslog()
    assert line.endswith(f"job 17: the agent does not answer at {prolog.socket}: No such file or directory; the job waits")
    assert "fargate-prolog[" in line
    peer, _ = asked(new_agent())
    assert prolog.syslog().endswith("job 17: the agent answers again")
    peer.send("RELEASE")
    prolog.leaves_with(0)


def test_an_answer_in_pieces(prolog, agent):
    prolog.start()
    peer, _ = asked(agent)
    for byte in support.frame("RELEASE"):
        peer.sock.sendall(bytes([byte]))
    prolog.leaves_with(0)


@pytest.mark.parametrize("answer, fields", (("RELEASE", {}), ("REFUSED", {"TEXT": "no"})))
@pytest.mark.parametrize("status", (0, 1))
def test_the_sites_prolog_cannot_fail_a_job_of_ours(prolog, agent, answer, fields, status):
    prolog.start("--then", prolog.site(status))
    peer, _ = asked(agent)
    peer.send(answer, **fields)
    prolog.leaves_with(0)
    assert not prolog.site_ran()


BAD = ((), ("--socket",), ("--sock", "x"), ("--then", "/bin/true"), ("--socket", "x", "--then"), ("--socket", "x", "more"),
       ("--socket", "x", "--other", "y"), ("--socket=x",))


@pytest.mark.parametrize("arguments", BAD)
def test_bad_arguments_fail_jobs_of_others_with_the_usage(prolog, arguments):
    prolog.start(arguments=arguments, environ=OTHERS).leaves_with(1, USAGE)


NO_SOCKET = [arguments for arguments in BAD if arguments[:1] != ("--socket",)] + [("--socket",)]


@pytest.mark.parametrize("arguments", NO_SOCKET)
def test_bad_arguments_never_fail_a_job_of_ours(prolog, arguments):
    prolog.start(arguments=arguments).leaves_with(0, USAGE)
    assert prolog.syslog().endswith("called without --socket or SLURM_JOB_ID; the batch step will launch the task instead")


@pytest.mark.parametrize("job", (None, "", "0", "x"))
def test_without_a_job_id_nothing_is_asked(prolog, agent, job):
    environ = {name: value for name, value in dict(OURS, SLURM_JOB_ID=job).items() if value is not None}
    prolog.start(environ=environ).leaves_with(0)
    assert prolog.syslog().endswith("called without --socket or SLURM_JOB_ID; the batch step will launch the task instead")
    assert agent.listener
