# The forkserver: starts each container as PID 1 of its own namespaces, reaps it, and takes all
# of them along when the server is gone. Run as a program with: socket fd, state dir.
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Protocol (SEQPACKET, JSON). In: {"start": id, argv, env, cwd, hostname, uid (what stands for
# root), and what containers.surroundings() gives} with stdout and stderr as descriptors;
# {"kill": id, "signal": n}.
# Out: {"ready": true} | {"refused": text} | {"started": id} | {"failed": id, "error": text}
# | {"exited": id, "code": n}.
import json
import os
import select
import shutil
import signal
import socket
import sys

if __package__ in (None, ""):       # run as a file: by the server, without its environment
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from fargate_local import rootfs, sandboxing as sb  # noqa: E402

MESSAGE_MAX = 1 << 20
CMSG_CLOEXEC = 0x40000000


def find_program(name, env):
    """Docker's lookup: PATH of the container's own environment."""
    if "/" in name:
        if not os.path.exists(name):
            raise OSError(f'exec: "{name}": stat {name}: no such file or directory')
        return name
    for directory in env.get("PATH", "").split(":"):
        path = os.path.join(directory or ".", name)
        if os.path.isfile(path) and os.access(path, os.X_OK):
            return path
    raise OSError(f'exec: "{name}": executable file not found in $PATH')


def find_id(path, name, kind):
    """A number, or the id of that name in the container's own passwd or group file."""
    if name.isdecimal():
        return int(name)
    with open(path, encoding="utf-8") as f:
        found = [line.split(":")[2] for line in f if line.split(":")[0] == name]
    if not found:
        raise OSError(f"unable to find {kind} {name}: no matching entries in {path[5:]} file")
    return int(found[0])


def become_user(user, root):
    """user: USER[:GROUP] of the definition, "" = root; root: the unprivileged id that is used for 0."""
    name, _, group = user.partition(":")
    uid = find_id("/etc/passwd", name, "user") if name else 0
    gid = find_id("/etc/group", group, "group") if group else 0
    os.setgroups([])
    os.setresgid(gid or root, gid or root, gid or root)
    os.setresuid(uid or root, uid or root, uid or root)


def become(order, out, err, state_dir, life):
    """In the new PID 1: everything up to exec. Only returns by raising OSError."""
    sb.unshare(sb.CLONE_NEWNS | sb.CLONE_NEWUTS | sb.CLONE_NEWIPC)
    sb.mount("", "/", "", sb.MS_REC | sb.MS_PRIVATE)
    null = os.open("/dev/null", os.O_RDONLY)
    for fd, target in ((null, 0), (out, 1), (err, 2)):
        os.dup2(fd, target)
    sb.sethostname(order["hostname"])
    rootfs.enter(state_dir, order)
    os.setsid()
    become_user(order["user"], order["uid"])
    sb.prctl(sb.PR_SET_NO_NEW_PRIVS, 1)
    sb.prctl(sb.PR_SET_PDEATHSIG, signal.SIGKILL)   # after setuid, which clears it
    if select.select([life], [], [], 0)[0]:         # the zygote died before the prctl
        os._exit(1)
    try:
        os.chdir(order["cwd"])
    except OSError as e:
        raise OSError(f'chdir to cwd ("{order["cwd"]}"): {e.strerror.lower()}') from None
    path = find_program(order["argv"][0], order["env"])
    for number in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGTERM, signal.SIGINT, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    try:
        os.execve(path, order["argv"], order["env"])
    except OSError as e:
        raise OSError(f'exec: "{order["argv"][0]}": {e.strerror.lower()}') from None


class Zygote:
    def __init__(self, fd, state_dir):
        self.sock = socket.socket(fileno=fd)
        self.sock.set_inheritable(False)    # a container that had it could give orders
        self.state_dir = state_dir
        self.ids = {}           # pid -> id
        self.pids = {}          # id -> pid
        self.waiting = {}       # error pipe -> id, until exec or failure
        self.failed = set()
        self.life, self.life_writer = os.pipe()
        self.own_pid_ns = os.open("/proc/self/ns/pid", os.O_RDONLY)
        self.wake, wake_writer = os.pipe()
        os.set_blocking(wake_writer, False)
        os.set_blocking(self.wake, False)
        signal.set_wakeup_fd(wake_writer, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for number in (signal.SIGTERM, signal.SIGINT):      # the server decides when we end
            signal.signal(number, signal.SIG_IGN)

    def say(self, message):
        self.sock.send(json.dumps(message).encode())

    def fork(self, run):
        """Forks into a new PID namespace; run(error pipe) in the child never returns."""
        sb.unshare(sb.CLONE_NEWPID)
        reader, writer = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                signal.set_wakeup_fd(-1)
                os.close(self.life_writer)
                run()
            except BaseException as e:      # the parent must hear of it, whatever it is
                os.write(writer, str(e).encode()[:4096] or b"unknown error")
            os._exit(127)
        sb.setns(self.own_pid_ns, sb.CLONE_NEWPID)      # so that the next unshare is allowed
        os.close(writer)
        return pid, reader

    def start(self, order, fds):
        rootfs.prepare(self.state_dir, order["image"])
        pid, reader = self.fork(lambda: become(order, *fds, self.state_dir, self.life))
        self.ids[pid], self.pids[order["start"]] = order["start"], pid
        self.waiting[reader] = order["start"]

    def self_test(self):
        order = {"argv": ["/bin/busybox", "true"], "env": {}, "cwd": "/", "uid": 65534,
                 "hostname": "self-test", "image": "busybox", "user": "", "read_only": False,
                 "tmpfs": []}
        sb.unshare(sb.CLONE_NEWNS)
        sb.mount("", "/", "", sb.MS_REC | sb.MS_PRIVATE)
        rootfs.bind_devices(self.state_dir)
        pid, reader = self.fork(lambda: become(order, 1, 2, self.state_dir, self.life))
        error = os.read(reader, 4096).decode()
        os.close(reader)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        if error or status != 0:
            raise OSError(error or f"the test container ended with {status}")

    def read_command(self):
        data, controls, _flags, _addr = self.sock.recvmsg(MESSAGE_MAX, socket.CMSG_SPACE(8),
                                                          CMSG_CLOEXEC)
        if not data:
            return False
        fds = [int.from_bytes(c[2][i:i + 4], sys.byteorder) for c in controls for i in (0, 4)]
        order = json.loads(data)
        try:
            if "start" in order:
                self.start(order, fds)
            elif order["kill"] in self.pids:
                os.kill(self.pids[order["kill"]], order["signal"])
        except OSError as e:
            self.say({"failed": order.get("start", ""), "error": str(e)})
        finally:
            for fd in fds:
                os.close(fd)
        return True

    def read_error_pipe(self, fd):
        error = os.read(fd, 4096).decode(errors="replace")
        os.close(fd)
        name = self.waiting.pop(fd)
        if error:
            self.failed.add(name)
            self.say({"failed": name, "error": error})
        else:
            self.say({"started": name})

    def reap(self):
        while self.ids:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            name = self.ids.pop(pid)
            del self.pids[name]
            for fd in [fd for fd, waiting in self.waiting.items() if waiting == name]:
                self.read_error_pipe(fd)
            if name in self.failed:
                self.failed.discard(name)
                continue
            code = os.waitstatus_to_exitcode(status)
            self.say({"exited": name, "code": 128 - code if code < 0 else code})

    def run(self):
        while True:
            ready = select.select([self.sock, self.wake, *self.waiting], [], [])[0]
            for fd in ready:
                if fd in self.waiting:
                    self.read_error_pipe(fd)
            if self.wake in ready:
                os.read(self.wake, 4096)
                self.reap()
            if self.sock in ready and not self.read_command():
                return

    def close(self):
        for pid in self.ids:
            os.kill(pid, signal.SIGKILL)
        for pid in self.ids:
            os.waitpid(pid, 0)
        rootfs.unbind_devices(self.state_dir)
        shutil.rmtree(self.state_dir, ignore_errors=True)


def main():
    zygote = Zygote(int(sys.argv[1]), sys.argv[2])
    try:
        try:
            zygote.self_test()
        except OSError as e:
            zygote.say({"refused": e.strerror or str(e)})
            return
        zygote.say({"ready": True})
        zygote.run()
    except (BrokenPipeError, ConnectionError):
        pass                                # the server is gone: the same as its end of file
    finally:
        zygote.close()


if __name__ == "__main__":
    main()
