# What is left of a sandbox where there is no cgroup to tell; who must be able to look inside.
# SPDX-License-Identifier: GPL-2.0-or-later
import os

from proc import SandboxError, as_user, run, start_time


def _read(pid, name):
    try:
        with open(f"/proc/{pid}/{name}", "rb") as f:
            return f.read()
    except OSError:
        return b""


def _links(pid):
    """The program and the open files of a process."""
    paths = [f"/proc/{pid}/exe"]
    try:
        paths += [f"/proc/{pid}/fd/{fd}" for fd in os.listdir(f"/proc/{pid}/fd")]
    except OSError:
        pass        # it is gone
    for path in paths:
        try:
            yield os.readlink(path)
        except OSError:
            pass


def _belongs(sandbox, pid, mark):
    """Carries our mark, is a program of ours, or a slurmstepd that writes into our directory."""
    if mark in _read(pid, "environ").split(b"\0"):
        return True
    exe, *files = [*_links(pid)] or [""]
    if exe.startswith(sandbox.dir + "/bin/"):
        return True
    return os.path.basename(exe).startswith("slurmstepd") and \
        any(path.startswith(sandbox.dir + "/") for path in files)


def find(sandbox):
    """(pid, start time) of every process of the sandbox and of their descendants."""
    mark = b"SLURM_FARGATE_SANDBOX=" + sandbox.ident.encode()
    everyone = [int(name) for name in os.listdir("/proc") if name.isdecimal()]
    ours = {pid for pid in everyone if _belongs(sandbox, pid, mark)}
    parents = {pid: int((_read(pid, "stat").rpartition(b")")[2].split() or [0, 0])[1])
               for pid in everyone}
    grown = True
    while grown:
        more = {pid for pid, parent in parents.items() if parent in ours} - ours
        ours |= more
        grown = bool(more)
    return [(pid, began) for pid in ours - {os.getpid()} if (began := start_time(pid))]


def check_reach(sandbox):
    """SlurmUser, munge and the users must be able to enter the directory."""
    for user in ("slurm", "munge", "alice"):
        if run(as_user(user) + ["test", "-x", sandbox.path("etc")]).returncode:
            raise SandboxError(f"{user} cannot enter {sandbox.dir}: a directory above it is "
                               "closed; choose another --dir")
