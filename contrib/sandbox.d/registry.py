# What all sandboxes of this machine share: the users alice and bob, and which ports are taken.
# SPDX-License-Identifier: GPL-2.0-or-later
import contextlib
import fcntl
import json
import os
import pwd
import random
import socket

from proc import SandboxError, run

ROOT = "/run/slurm-fargate-sandboxes"
USERS = ("alice", "bob")
MARK = "made by slurm-fargate's sandbox"      # the GECOS field: nobody without it is ever removed
PORTS = range(14000, 30000)                     # below the ports the kernel hands out by itself


@contextlib.contextmanager
def locked():
    os.makedirs(ROOT, mode=0o700, exist_ok=True)
    with open(os.path.join(ROOT, "lock"), "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _entries():
    """(file, content) of every sandbox that is up; the file of one whose directory is gone goes."""
    for name in sorted(os.listdir(ROOT)):
        path = os.path.join(ROOT, name)
        if not name.endswith(".json"):
            continue
        with open(path, encoding="utf-8") as f:
            entry = json.load(f)
        if os.path.isfile(os.path.join(entry["dir"], "sandbox.json")):
            yield path, entry
        else:
            os.unlink(path)


def _free(port):
    with socket.socket() as s:
        try:
            s.bind(("0.0.0.0", port))
        except OSError:
            return False
    return True


def _exists(user):
    try:
        pwd.getpwnam(user)
    except KeyError:
        return False
    return True


def enter(ident, directory, n_ports):
    """Registers a sandbox, creates the users that are absent; → its ports."""
    with locked():
        taken = {port for _, entry in _entries() for port in entry["ports"]}
        candidates = (p for p in random.sample(PORTS, len(PORTS)) if p not in taken and _free(p))
        ports = [port for port, _ in zip(candidates, range(n_ports))]
        with open(os.path.join(ROOT, ident + ".json"), "w", encoding="utf-8") as f:
            json.dump({"dir": directory, "ports": ports}, f)
        for user in USERS:
            if not _exists(user):
                done = run(["useradd", "--no-create-home", "--home-dir", "/nonexistent",
                            "--shell", "/bin/sh", "--comment", MARK, user])
                if done.returncode:
                    raise SandboxError(f"cannot create the user {user}: {done.stderr.strip()}")
    return ports


def leave(ident):
    """Unregisters; the last sandbox to go takes the users along that a sandbox created."""
    with locked():
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(ROOT, ident + ".json"))
        if any(True for _ in _entries()):
            return
        for user in USERS:
            if _exists(user) and pwd.getpwnam(user).pw_gecos == MARK:
                done = run(["userdel", user])
                if done.returncode:
                    raise SandboxError(f"cannot remove the user {user}: {done.stderr.strip()}")
