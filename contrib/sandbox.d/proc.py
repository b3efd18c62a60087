# Processes of a sandbox: start, pid files that survive pid reuse, stop, wait for conditions.
# SPDX-License-Identifier: GPL-2.0-or-later
import os
import signal
import socket
import subprocess
import time


class SandboxError(Exception):
    """What happened, which value, what to do; printed as one message."""


def start_time(pid):
    """Start time of a live process in ticks since boot, None when it is gone or a zombie."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as f:
            fields = f.read().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else int(fields[19])


class PidFile:
    """Holds "PID STARTTIME", so that a reused pid is never taken for ours."""

    def __init__(self, path):
        self.path = path

    def write(self, pid):
        with open(self.path + ".new", "w", encoding="ascii") as f:
            f.write(f"{pid} {start_time(pid) or 0}\n")
        os.rename(self.path + ".new", self.path)

    def pid(self):
        """The pid of the live process, None when there is none."""
        try:
            with open(self.path, encoding="ascii") as f:
                pid, started = map(int, f.read().split())
        except (OSError, ValueError):
            return None
        return pid if start_time(pid) == started else None


def spawn(command, log, env, cgroup=None):
    """Starts a daemon that stays in the foreground, in its own session and cgroup; → Popen."""

    def join():
        if cgroup:
            with open(os.path.join(cgroup, "cgroup.procs"), "w", encoding="ascii") as f:
                f.write("0")

    with open(log, "ab") as out:
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=env,
                                cwd="/", start_new_session=True, preexec_fn=join)


def as_user(name):
    """Command words that run the rest as that user."""
    return ["setpriv", f"--reuid={name}", f"--regid={name}", "--init-groups", "--"]


def answers(address):
    """Whether somebody accepts connections at a path or at (host, port)."""
    family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
    with socket.socket(family) as client:
        client.settimeout(5)
        try:
            client.connect(address)
        except OSError:
            return False
    return True


def send(pid, signum):
    try:
        os.kill(pid, signum)
    except ProcessLookupError:
        pass


def wait_until(condition, timeout, step=0.03):
    """Calls condition() until it is true; False when the time is over."""
    end = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(step)
    return True


def stop(pids, timeout):
    """SIGTERM to all (pid, start time), then SIGKILL to those that remain."""
    def left():
        return [p for p, s in pids if start_time(p) == s]

    for signum, patience in ((signal.SIGTERM, timeout), (signal.SIGKILL, 10)):
        for pid in left():
            send(pid, signum)
        if wait_until(lambda: not left(), patience):
            return
    raise SandboxError(f"processes {left()} do not end, not even by SIGKILL")


def tail(path, lines=25):
    try:
        with open(path, encoding="utf-8", errors="replace") as f:
            return "".join(f.readlines()[-lines:])
    except OSError as e:
        return f"(no log: {e.strerror})\n"


def run(command, env=None, timeout=20):
    """A short command; → CompletedProcess with text output, never raises for its exit code."""
    return subprocess.run(command, env=env, stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, errors="replace", timeout=timeout, check=False)
