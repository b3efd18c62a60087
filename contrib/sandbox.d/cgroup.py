# One freezer cgroup per sandbox: for proctrack/cgroup, and as the exact list of what is left.
# SPDX-License-Identifier: GPL-2.0-or-later
import os
import signal

from proc import SandboxError, run, send, start_time, wait_until

FREEZER = "/sys/fs/cgroup/freezer"


def create(name):
    """Path of a new cgroup below the v1 freezer, None when this machine does not give us one."""
    path = os.path.join(FREEZER, name)
    if run(["unshare", "--mount", "--cgroup", "true"]).returncode:
        return None
    try:
        os.makedirs(path, exist_ok=True)
        if not os.path.exists(os.path.join(path, "freezer.state")):
            return None
        with open(os.path.join(path, "cgroup.procs"), "a", encoding="ascii"):
            return path
    except OSError:
        return None


def pids(path):
    """Every live process in the cgroup and those below it."""
    found = []
    for directory, _, files in os.walk(path):
        if "cgroup.procs" not in files:
            continue
        try:
            with open(os.path.join(directory, "cgroup.procs"), encoding="ascii") as f:
                found += [int(pid) for pid in f.read().split()]
        except OSError:
            pass        # a job's cgroup that went away while we looked
    return [pid for pid in found if start_time(pid) is not None]


def _thaw(path):
    for directory, _, _ in os.walk(path):
        try:
            with open(os.path.join(directory, "freezer.state"), "w", encoding="ascii") as f:
                f.write("THAWED")
        except OSError:
            pass        # the same


def _rmdirs(path):
    for directory, _, _ in os.walk(path, topdown=False):
        try:
            os.rmdir(directory)
        except OSError:
            pass        # busy: the caller tries again
    return not os.path.exists(path)


def remove(path):
    """Kills what is left in the cgroup and removes it."""
    if not os.path.isdir(path):
        return

    def emptied():
        left = pids(path)
        for pid in left:
            send(pid, signal.SIGKILL)
        return not left

    _thaw(path)
    if not wait_until(emptied, 10):
        raise SandboxError(f"processes {pids(path)} in {path} do not end")
    if not wait_until(lambda: _rmdirs(path), 5):
        raise SandboxError(f"cannot remove {path}")


def slurmd_prefix(path, mountpoint):
    """
    Command words that put a slurmd into a mount and cgroup namespace of its own, where `mountpoint`
    shows our cgroup as the whole hierarchy: two sandboxes with the same node names and job ids
    never meet, and nothing stays mounted when the slurmd is gone.
    """
    return ["unshare", "--mount", "--cgroup", "sh", "-c",
            'mount --bind "$1" "$2" && shift 2 && exec "$@"', "slurmd-in-cgroup",
            path, os.path.join(mountpoint, "freezer")]
