# The server's side of the zygote: start and kill containers, hear of their ends.
# SPDX-License-Identifier: GPL-2.0-or-later
import asyncio
import collections
import json
import logging
import os
import socket
import sys

log = logging.getLogger(__name__)
ZYGOTE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "zygote.py")
MESSAGE_MAX = 1 << 20
SO_SNDBUFFORCE = 32


def surroundings(definition):
    """What a container definition says of the place to run in, as members of a start order."""
    return {"image": definition["image"], "user": definition.get("user", ""),
            "read_only": definition.get("readonlyRootFilesystem", False),
            "tmpfs": definition.get("linuxParameters", {}).get("tmpfs", [])}


class Refused(Exception):
    """Containers cannot be started on this machine."""


class Containers:
    """handlers: id -> object with started(), failed(text), exited(code)."""

    def __init__(self, state_dir, on_death):
        self._state_dir, self._on_death = state_dir, on_death
        self.died = False
        self._handlers = {}
        self._backlog = collections.deque()
        self._sock = self._process = None
        self._closing = False

    async def open(self):
        """Starts the zygote; raises Refused with its sentence when it cannot work here."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        for sock in (ours, theirs):
            sock.setsockopt(socket.SOL_SOCKET, SO_SNDBUFFORCE, 2 * MESSAGE_MAX)
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-S", "-E", "-B", ZYGOTE, str(theirs.fileno()), self._state_dir,
            pass_fds=[theirs.fileno()], stdin=asyncio.subprocess.DEVNULL, start_new_session=True)
        theirs.close()
        ours.setblocking(False)
        self._sock = ours
        loop = asyncio.get_running_loop()
        first = await loop.sock_recv(ours, MESSAGE_MAX)
        answer = json.loads(first) if first else {"refused": "the container helper died"}
        if "refused" in answer:
            raise Refused("containers cannot be run here: " + answer["refused"])
        loop.add_reader(ours, self._readable)

    def start(self, name, order, out, err, handler):
        """Takes over out and err (descriptors)."""
        self._handlers[name] = handler
        self._send(dict(order, start=name), (out, err))

    def kill(self, name, signal):
        if name in self._handlers:
            self._send({"kill": name, "signal": int(signal)}, ())

    def _send(self, message, fds):
        self._backlog.append((json.dumps(message).encode(), fds))
        if len(self._backlog) == 1:
            self._drain()

    def _drain(self):
        loop = asyncio.get_running_loop()
        while self._backlog:
            data, fds = self._backlog[0]
            try:
                socket.send_fds(self._sock, [data], fds) if fds else self._sock.send(data)
            except BlockingIOError:
                loop.add_writer(self._sock, self._drain)
                return
            except OSError as e:
                log.error("the container helper does not take an order: %s", e)
                self._refuse_soon(json.loads(data).get("start"), str(e))
            for fd in fds:
                os.close(fd)
            self._backlog.popleft()
        loop.remove_writer(self._sock)

    def _refuse_soon(self, name, error):
        handler = self._handlers.pop(name, None)
        if handler is not None:
            asyncio.get_running_loop().call_soon(handler.failed, error)

    def _readable(self):
        while True:
            try:
                data = self._sock.recv(MESSAGE_MAX)
            except BlockingIOError:
                return
            except OSError:
                data = b""
            if not data:
                asyncio.get_running_loop().remove_reader(self._sock)
                if not self._closing:
                    log.error("the container helper died; no container can run any more")
                    self.died = True
                    self._on_death()
                return
            self._dispatch(json.loads(data))

    def _dispatch(self, message):
        if "started" in message:
            self._handlers[message["started"]].started()
        elif "failed" in message:
            self._handlers.pop(message["failed"]).failed(message["error"])
        elif "exited" in message:
            self._handlers.pop(message["exited"]).exited(message["code"])

    async def close(self):
        """Kills all containers and waits until the zygote has cleaned up."""
        self._closing = True
        if self._sock is not None:
            asyncio.get_running_loop().remove_reader(self._sock)
            self._sock.close()
        if self._process is not None:
            await self._process.wait()
