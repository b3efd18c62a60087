# An agent of the test's own words: it answers slurmctld's plugin what it is told to, and refuses all else.
# SPDX-License-Identifier: GPL-2.0-or-later
import contextlib
import json
import os
import socket
import struct
import threading

from cluster import wait_for

# common/base/proto.h
SNAPSHOT, REFUSED, TEXT = 7, 65, 70
FIELD_TEXT = 11


def frame(kind, text):
    body = struct.pack(">BI", FIELD_TEXT, len(text)) + text
    return struct.pack(">BBHI", 1, kind, 0, len(body)) + body


class FakeAgent:
    def __init__(self, path):
        self.path = path
        self.answer = {"default_partition": "local"}
        self.answered = 0
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(path)
        os.chmod(path, 0o666)
        self.socket.listen(16)
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        while True:
            try:
                client, _ = self.socket.accept()
            except OSError:
                return
            with client, contextlib.suppress(OSError):
                client.settimeout(5)
                head = client.recv(8, socket.MSG_WAITALL)
                if len(head) == 8 and head[1] == SNAPSHOT:
                    client.sendall(frame(TEXT, json.dumps(self.answer).encode()))
                    self.answered += 1
                else:
                    client.sendall(frame(REFUSED, b"this is no agent"))

    def say(self, **parts):
        """From now on, and until slurmctld's plugin has it: what it asks next is asked after it has read the answer before."""
        self.answer = {"default_partition": "local", **parts}
        seen = self.answered
        wait_for(lambda: self.answered >= seen + 3, 30, "slurmctld's questions")

    def stop(self):
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        os.unlink(self.path)
