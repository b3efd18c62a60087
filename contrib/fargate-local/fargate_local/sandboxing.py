# System calls that Python 3.11 lacks: namespaces, mounts, pivot_root, parent-death signal.
# SPDX-License-Identifier: GPL-2.0-or-later
import ctypes
import os

CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWIPC, CLONE_NEWPID = 0x20000, 0x4000000, 0x8000000, 0x20000000
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC = 1, 2, 4, 8
MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = 32, 4096, 16384, 1 << 18
MNT_DETACH = 2
PR_SET_PDEATHSIG, PR_SET_NO_NEW_PRIVS = 1, 38
_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41, "ppc64le": 203, "s390x": 217, "riscv64": 41}

_libc = ctypes.CDLL(None, use_errno=True)
_libc.mount.argtypes = (ctypes.c_char_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_ulong,
                        ctypes.c_char_p)
_libc.syscall.restype = ctypes.c_long


def _check(result, what):
    if result != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")


def unshare(flags):
    _check(_libc.unshare(flags), "unshare")


def setns(fd, kind):
    _check(_libc.setns(fd, kind), "setns")


def sethostname(name):
    _check(_libc.sethostname(name.encode(), len(name.encode())), "sethostname")


def prctl(option, value):
    _check(_libc.prctl(option, value, 0, 0, 0), "prctl")


def mount(source, target, kind, flags=0, data=""):
    _check(_libc.mount(source.encode(), target.encode(), kind.encode() or None, flags,
                       data.encode() or None), f"mount {target}")


def umount(target):
    _check(_libc.umount2(target.encode(), MNT_DETACH), f"umount {target}")


def pivot_root(new_root):
    """Makes new_root (a mount point) the root and drops the old one."""
    os.chdir(new_root)
    here = ctypes.c_char_p(b".")
    _check(_libc.syscall(_PIVOT_ROOT[os.uname().machine], here, here), "pivot_root")
    umount(".")
    os.chdir("/")
