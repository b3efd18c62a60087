# fargate-attach against a fake agent: output, cursors, signals, endings, and what it does while the agent is away.
# SPDX-License-Identifier: GPL-2.0-or-later
import os
import re
import signal
import socket
import subprocess
import time

import pytest

import support

BIG = 900 * 1024


class Attach:
    """One fargate-attach with its output in files, as the job's are."""

    def __init__(self, directory, processes):
        self.directory, self.processes = directory, processes
        self.out, self.err = os.path.join(directory, "out"), os.path.join(directory, "err")
        self.environ = {"SF_ATTACH_JOB": str(support.JOB), "SF_ATTACH_RESTART": "2", "SF_ATTACH_TOKEN": support.TOKEN,
                        "SF_ATTACH_SOCKET": os.path.join(directory, "sock"), "SF_ATTACH_SPEC": support.SPEC}
        self.process = None

    def start(self, *, stdout=None, pass_fds=(), **variables):
        """Variables without their SF_ATTACH_; None takes one away."""
        environ = dict(self.environ, **{f"SF_ATTACH_{name}": value for name, value in variables.items()})
        environ = {name: value for name, value in environ.items() if value is not None}
        with open(stdout or self.out, "ab") as out, open(self.err, "ab") as err:
            self.process = subprocess.Popen([support.built("fargate-attach")], env=environ, stdin=subprocess.DEVNULL,
                                            stdout=out, stderr=err, pass_fds=pass_fds)
        self.processes.append(self.process)
        return self

    def stdout(self):
        return support.read_file(self.out)

    def stderr(self):
        return support.read_file(self.err)

    def leaves_with(self, status):
        assert self.process.wait(timeout=support.PATIENCE) == status, self.stderr()

    def stays(self):
        return self.process.poll() is None


@pytest.fixture
def attach(directory, processes):
    return Attach(directory, processes)


def test_it_says_who_it_is(attach, agent):
    attach.start()
    peer, fields = agent.attached()
    assert fields == {"JOB": support.JOB, "RESTART": 2, "TOKEN": support.TOKEN, "SPEC": support.SPEC}
    assert (peer.uid, peer.pid) == (os.geteuid(), attach.process.pid)
    peer.send("EXIT", NUMBER=0)
    attach.leaves_with(0)
    assert attach.stderr() == b"" and attach.stdout() == b""


def test_a_handed_over_connection_is_used_first(attach, agent):
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as handed:
        handed.connect(agent.path)
        attach.start(FD=str(handed.fileno()), pass_fds=(handed.fileno(),))
        peer, fields = agent.attached()
    assert peer.pid == os.getpid()  # that is: whoever connected, not fargate-attach
    assert fields["TOKEN"] == support.TOKEN
    peer.close()
    peer, _ = agent.attached()
    assert peer.pid == attach.process.pid
    peer.send("EXIT", NUMBER=3)
    attach.leaves_with(3)


@pytest.mark.parametrize("number", ("3", "999", "1024", "x", "-1", ""))
def test_a_descriptor_that_is_none_is_no_harm(attach, agent, number):
    attach.start(FD=number)
    peer, _ = agent.attached()
    peer.send("EXIT", NUMBER=0)
    attach.leaves_with(0)


def test_both_streams(attach, agent):
    attach.start()
    peer, _ = agent.attached()
    for n in range(100):
        peer.send("OUTPUT", STREAM=1 + n % 2, CURSOR=str(n), BYTES=b"%d\0\xff\n\n" % n)
    peer.send("EXIT", NUMBER=0)
    attach.leaves_with(0)
    assert attach.stdout() == b"".join(b"%d\0\xff\n\n" % n for n in range(0, 100, 2))
    assert attach.stderr() == b"".join(b"%d\0\xff\n\n" % n for n in range(1, 100, 2))


def test_frames_that_come_byte_by_byte(attach, agent):
    attach.start()
    peer, _ = agent.attached()
    for byte in support.frame("OUTPUT", STREAM=1, CURSOR=b"c", BYTES=b"slowly\n") + support.frame("NOTE", TEXT="n"):
        peer.sock.sendall(bytes([byte]))
    support.wait_for(lambda: attach.stderr() == b"fargate: n\n", "the note")
    for byte in support.frame("EXIT", NUMBER=5):
        peer.sock.sendall(bytes([byte]))
    attach.leaves_with(5)
    assert attach.stdout() == b"slowly\n"


def test_frames_that_come_all_at_once(attach, agent):
    attach.start()
    peer = agent.accept()
    peer.expect("ATTACH")
    peer.sock.sendall(support.frame("ACCEPT") + b"".join(
        support.frame("OUTPUT", STREAM=1, CURSOR=str(n), BYTES=b"%d\n" % n) for n in range(2000)) +
                      support.frame("EXIT", NUMBER=0))
    attach.leaves_with(0)
    assert attach.stdout() == b"".join(b"%d\n" % n for n in range(2000))


def memory_kib(pid, kind="Pss_Anon"):
    """Without the program's text, which all of a gateway's processes share."""
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
        return int(re.search(rf"^{kind}:\s+(\d+) kB", file.read(), re.MULTILINE).group(1))


def is_static():
    headers = subprocess.run(["readelf", "-l", support.built("fargate-attach")], check=True, stdout=subprocess.PIPE, text=True)
    return "INTERP" not in headers.stdout


def test_a_big_frame_passes_and_its_memory_is_given_back(attach, agent):
    attach.start()
    peer, _ = agent.attached()
    peer.send("NOTE", TEXT="idle")
    support.wait_for(lambda: attach.stderr() == b"fargate: idle\n", "the note")
    idle = memory_kib(attach.process.pid)
    big = os.urandom(BIG)
    peer.send("OUTPUT", STREAM=1, CURSOR=b"big", BYTES=big)
    peer.send("NOTE", TEXT="after")
    support.wait_for(lambda: attach.stderr().endswith(b"fargate: after\n"), "the note")
    if is_static():  # the sanitizers keep what is freed
        assert idle < 128
        support.wait_for(lambda: memory_kib(attach.process.pid) < idle + 256, "the memory of a big frame")
    peer.send("EXIT", NUMBER=0)
    attach.leaves_with(0)
    assert attach.stdout() == big


def test_nothing_is_lost_or_doubled_when_the_agent_dies(attach, new_agent):
    """Cut after every so many bytes, within frames and between them; each agent goes on behind the cursor it is shown."""
    lines = [b"line %d\n" % n for n in range(60)]
    attach.start()
    agent = new_agent()
    cursors = []
    for cut in (1, 40, 77, 128, 333, 512, 700, 1000):
        peer, fields = agent.attached()
        cursors.append(int(fields.get("CURSOR", b"0")))
        data = b"".join(support.frame("OUTPUT", STREAM=1, CURSOR=str(n + 1), BYTES=lines[n])
                        for n in range(cursors[-1], len(lines)))
        peer.sock.sendall(data[:cut])
        peer.close()
    peer, fields = agent.attached()
    for n in range(int(fields["CURSOR"]), len(lines)):
        peer.send("OUTPUT", STREAM=1, CURSOR=str(n + 1), BYTES=lines[n])
    peer.send("EXIT", NUMBER=0)
    attach.leaves_with(0)
    assert attach.stdout() == b"".join(lines)
    assert cursors == sorted(cursors) and cursors[-1] > 10


def test_a_cursor_is_bytes_and_as_long_as_promised(attach, agent):
    attach.start()
    for cursor in (bytes(range(256)), b"x" * 1024):
        peer, _ = agent.attached()
        peer.send("OUTPUT", STREAM=2, CURSOR=cursor, BYTES=b".")
        peer.close()
        peer = agent.accept()
        assert peer.expect("ATTACH")["CURSOR"] == cursor
        peer.send("ACCEPT")
        peer.close()
    peer, fields = agent.attached()
    assert fields["CURSOR"] == b"x" * 1024
    peer.send("EXIT", NUMBER=0)
    attach.leaves_with(0)
    assert attach.stderr() == b".."


def test_not_now_means_ask_again(attach, agent):
    attach.start()
    for _ in range(2):
        peer = agent.accept()
        peer.expect("ATTACH")
        peer.send("REFUSED", TEXT="still reading the jobs", RETRY=1)
        assert peer.receive() is None
    peer, fields = agent.attached()
    assert fields["JOB"] == support.JOB
    peer.send("EXIT", NUMBER=0)
    attach.leaves_with(0)
    assert attach.stderr() == b""


@pytest.mark.parametrize("fields", ({"TEXT": "this is not your job"}, {"TEXT": "this is not your job", "RETRY": 0}))
def test_a_refusal_ends_it(attach, agent, fields):
    attach.start()
    peer = agent.accept()
    peer.expect("ATTACH")
    peer.send("REFUSED", **fields)
    attach.leaves_with(1)
    assert attach.stderr() == b"fargate: the agent refused this job: this is not your job\n"


@pytest.mark.parametrize("number, status", ((0, 0), (1, 1), (7, 7), (127, 127), (255, 255), (256, 1), (2**32, 1), (2**64 - 1, 1)))
def test_it_leaves_with_the_agents_number(attach, agent, number, status):
    attach.start()
    peer, _ = agent.attached()
    peer.send("EXIT", NUMBER=number)
    attach.leaves_with(status)


def test_an_exit_without_a_number_is_a_failure(attach, agent):
    attach.start()
    peer, _ = agent.attached()
    peer.send("EXIT")
    attach.leaves_with(1)


def test_without_an_agent_it_gives_up_after_the_limit(attach):
    attach.start(TIMEOUT="1")
    attach.leaves_with(1)
    assert attach.stderr() == b"fargate: the agent did not answer for 1 s; giving up on this job\n"


def test_after_the_agents_end_it_gives_up_after_the_limit(attach, agent):
    attach.start(TIMEOUT="1")
    peer, _ = agent.attached()
    peer.send("OUTPUT", STREAM=1, CURSOR=b"1", BYTES=b"so far\n")
    agent.close()
    attach.leaves_with(1)
    assert attach.stderr() == b"fargate: the agent did not answer for 1 s; giving up on this job\n"
    assert attach.stdout() == b"so far\n"


def test_it_waits_for_the_agent(attach, new_agent):
    attach.start()
    support.wait_for(lambda: os.path.exists(f"/proc/{attach.process.pid}/fd/3"), "its signal descriptor")
    peer, _ = new_agent().attached()
    peer.send("EXIT", NUMBER=0)
    attach.leaves_with(0)


def signal_note(name):
    return (f"fargate: signal {name} cannot be delivered to the Fargate task: AWS delivers only SIGTERM, by stopping it; "
            "the job goes on\n").encode()


SIGNALS = ("TERM", "INT", "USR1", "USR2", "HUP", "QUIT", "ALRM", "XCPU", "TTOU", "RTMIN")


@pytest.mark.parametrize("name", SIGNALS)
def test_a_signal_is_reported_and_survived(attach, agent, name):
    number = int(signal.Signals[f"SIG{name}"])
    attach.start()
    peer, _ = agent.attached()
    for _ in range(2):
        attach.process.send_signal(number)
        assert peer.expect("SIGNAL") == {"NUMBER": number}
    assert attach.stays()
    # Its user is told once. What a SIGTERM means only the agent knows.
    said = {"TERM": b"", "RTMIN": signal_note("34")}.get(name, signal_note(name))
    assert attach.stderr() == said
    peer.send("EXIT", NUMBER=0)
    attach.leaves_with(0)
    assert peer.receive() is None


def test_every_kind_of_signal_is_told(attach, agent):
    attach.start()
    peer, _ = agent.attached()
    for name in ("USR1", "USR2", "USR1"):
        attach.process.send_signal(signal.Signals[f"SIG{name}"])
        peer.expect("SIGNAL")
    assert attach.stderr() == signal_note("USR1") + signal_note("USR2")


def test_output_goes_on_after_a_signal(attach, agent):
    attach.start()
    peer, _ = agent.attached()
    attach.process.terminate()
    assert peer.expect("SIGNAL") == {"NUMBER": signal.SIGTERM}
    peer.send("OUTPUT", STREAM=1, CURSOR=b"1", BYTES=b"the last words\n")
    peer.send("EXIT", NUMBER=143)
    attach.leaves_with(143)
    assert attach.stdout() == b"the last words\n"


def has_taken(pid, number):
    """The signal is no longer pending and the process sleeps again."""
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        status = dict(re.findall(r"^(\w+):\s+(\w+)", file.read(), re.MULTILINE))
    return not int(status["ShdPnd"], 16) >> (number - 1) & 1 and status["State"] == "S"


def says_nothing(peer):
    peer.sock.setblocking(False)
    with pytest.raises(BlockingIOError):
        peer.sock.recv(1)
    peer.sock.settimeout(support.PATIENCE)


def test_a_signal_during_the_agents_absence_is_reported_afterwards(attach, new_agent):
    attach.start()
    agent = new_agent()
    agent.attached()
    agent.close()
    for number in (signal.SIGTERM, signal.SIGUSR1):
        attach.process.send_signal(number)
        support.wait_for(lambda n=number: has_taken(attach.process.pid, n), "the signal's end")
    peer = new_agent().accept()
    peer.expect("ATTACH")
    says_nothing(peer)
    peer.send("ACCEPT")
    assert sorted(peer.expect("SIGNAL")["NUMBER"] for _ in range(2)) == sorted((signal.SIGTERM, signal.SIGUSR1))
    peer.close()
    assert attach.stays()


def test_a_signal_before_the_first_word_of_the_agent_is_kept(attach, agent):
    attach.start()
    peer = agent.accept()
    peer.expect("ATTACH")
    attach.process.terminate()
    support.wait_for(lambda: has_taken(attach.process.pid, signal.SIGTERM), "the signal's end")
    says_nothing(peer)
    peer.send("ACCEPT")
    assert peer.expect("SIGNAL") == {"NUMBER": signal.SIGTERM}


def test_a_note_is_one_line_of_ours(attach, agent):
    attach.start()
    peer, _ = agent.attached()
    peer.send("NOTE", TEXT="later lines stay in CloudWatch")
    peer.send("NOTE", TEXT="x" * 1500)
    peer.send("EXIT", NUMBER=0)
    attach.leaves_with(0)
    assert attach.stderr() == b"fargate: later lines stay in CloudWatch\nfargate: " + b"x" * 1500 + b"\n"


def test_a_full_device_is_said_once_and_waited_out(attach, agent):
    attach.start(stdout="/dev/full")
    peer, _ = agent.attached()
    peer.send("OUTPUT", STREAM=1, CURSOR=b"1", BYTES=b"lost?\n")
    peer.send("EXIT", NUMBER=0)
    sentence = b"fargate: the job's output cannot be written: No space left on device; trying on until it can\n"
    support.wait_for(lambda: attach.stderr() == sentence, "the sentence")
    # It has tried again when it has taken two signals: each ends one of the pauses between two tries.
    for number in (signal.SIGUSR1, signal.SIGTERM):
        attach.process.send_signal(number)
        assert peer.expect("SIGNAL") == {"NUMBER": number}
    assert attach.stays() and attach.stderr() == sentence + signal_note("USR1")


def test_output_waits_for_room_and_then_arrives_whole(attach, agent):
    """A pipe whose reader is slow stands for the full disk that is emptied."""
    reader, writer = os.pipe()
    try:
        attach.start(stdout=f"/proc/{os.getpid()}/fd/{writer}")
        os.close(writer)
        writer = -1
        peer, _ = agent.attached()
        big = os.urandom(BIG)
        peer.send("OUTPUT", STREAM=1, CURSOR=b"1", BYTES=big)
        peer.send("EXIT", NUMBER=0)
        got = b""
        while piece := os.read(reader, 65536):
            got += piece
        attach.leaves_with(0)
        assert got == big and attach.stderr() == b""
    finally:
        os.close(reader)
        if writer >= 0:
            os.close(writer)


BY_HAND = ({"JOB": None}, {"JOB": "0"}, {"JOB": "x"}, {"JOB": "-1"}, {"JOB": "4294967296"}, {"JOB": ""}, {"RESTART": None},
           {"RESTART": "65536"}, {"RESTART": "x"}, {"TOKEN": None}, {"TOKEN": ""}, {"TOKEN": "short"}, {"TOKEN": "x" * 33},
           {"SOCKET": None}, {"SOCKET": ""},
           dict.fromkeys(("JOB", "RESTART", "TOKEN", "SOCKET", "SPEC")))


@pytest.mark.parametrize("variables", BY_HAND)
def test_called_by_hand_it_says_so(attach, variables):
    attach.start(**variables)
    attach.leaves_with(1)
    assert attach.stderr() == b"fargate: fargate-attach is started by the SPANK plugin on a gateway, not by hand\n"


GARBAGE = (b"\x00", b"\x02\x40\x00\x00\x00\x00\x00\x00",
           b"HTTP/1.1 200 OK\r\n\r\n", b"\x01\x99\x00\x00\x00\x00\x00\x00",
           b"\x01\x43\x00\x01\x00\x00\x00\x00", b"\x01\x43\x00\x00\x00\x10\x00\x01",
           b"\x01\x43\x00\x00\x00\x00\x00\x03\x01\x02\x03",
           b"\x01\x43\x00\x00\x00\x00\x00\x06\x0a\xff\xff\xff\xff\x00", b"\x01\x43\x00\x00\xff\xff\xff\xff")


@pytest.mark.parametrize("garbage", GARBAGE, ids=lambda garbage: garbage.hex()[:24])
def test_garbage_makes_it_connect_anew(attach, agent, garbage):
    attach.start()
    peer, _ = agent.attached()
    peer.sock.sendall(garbage)
    assert peer.receive() is None
    peer, _ = agent.attached()
    peer.send("EXIT", NUMBER=4)
    attach.leaves_with(4)
    assert attach.stderr() == b"" and attach.stdout() == b""


@pytest.mark.parametrize("kind, fields", (
    ("RELEASE", {}), ("TEXT", {"TEXT": "x"}), ("ATTACH", {}),
    ("SIGNAL", {"NUMBER": 15}), ("NOTE", {}), ("NOTE", {"TEXT": "a\0b"}),
    ("OUTPUT", {"STREAM": 1}), ("OUTPUT", {"BYTES": b"x"}),
    ("OUTPUT", {"STREAM": 0, "BYTES": b"x"}), ("OUTPUT", {"STREAM": 3, "BYTES": b"x"})))
def test_a_frame_that_makes_no_sense_is_passed_over(attach, agent, kind, fields):
    attach.start()
    peer, _ = agent.attached()
    peer.send(kind, **fields)
    peer.send("EXIT", NUMBER=0)
    attach.leaves_with(0)
    assert attach.stderr() == b"" and attach.stdout() == b""


def test_an_agent_that_drops_every_connection_is_not_asked_without_pause(attach, agent):
    attach.start()
    agent.accept().close()
    agent.attached()[0].close()
    start = time.monotonic()
    for _ in range(2):
        agent.accept().close()
    assert time.monotonic() - start > 0.9  # half a second and more before each
