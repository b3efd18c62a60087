# A model of the awslogs log driver: one container's two pipes become batches of log events.
# SPDX-License-Identifier: GPL-2.0-or-later
#
# As the real one: the pipes are read independently, so order holds within each only; empty lines
# are dropped; a line longer than an event is broken; bytes that are not UTF-8 become U+FFFD, one
# for each byte (Go's rule, Python's own is one for each sequence); a last line without newline is
# an event too; events travel in batches.
import asyncio
import codecs
import collections
import os
import time

EVENT_OVERHEAD = 26                             # bytes that CloudWatch Logs adds to each event
EVENT_MAX = 256 * 1024 - EVENT_OVERHEAD         # the driver's own constant
BATCH_BYTES, BATCH_EVENTS = 1048576, 10000      # limits of PutLogEvents
BATCH_DELAY = 1.0                               # seconds, divided by --speed
READ_SIZE = 65536


def _one_mark_per_byte(error):
    return "\ufffd", error.start + 1


codecs.register_error("fargate-local-go", _one_mark_per_byte)


class Pipe:
    """Reads one descriptor to its end, cutting it into lines for its driver."""

    def __init__(self, driver):
        self.reader, self._writer = os.pipe()
        os.set_blocking(self.reader, False)
        self._driver, self._rest = driver, bytearray()
        asyncio.get_running_loop().add_reader(self.reader, self._readable)

    def _readable(self):
        try:
            data = os.read(self.reader, READ_SIZE)
        except BlockingIOError:
            return
        if data:
            self._feed(data)
            return
        if self._rest:
            self._driver.line(bytes(self._rest))
        self.close()
        self._driver.pipe_ended()

    def _feed(self, data):
        *lines, rest = (bytes(self._rest) + data).split(b"\n") if b"\n" in data else (data,)
        if not lines:
            self._rest += rest
        else:
            self._rest = bytearray(rest)
            for line in lines:
                self._driver.line(line)
        while len(self._rest) >= EVENT_MAX:
            self._driver.line(bytes(self._rest[:EVENT_MAX]))
            del self._rest[:EVENT_MAX]

    def take_writer(self):
        """The other end, to be closed by whoever takes it."""
        writer, self._writer = self._writer, -1
        return writer

    def close(self):
        if self._writer >= 0:
            os.close(self.take_writer())
        if self.reader >= 0:
            asyncio.get_running_loop().remove_reader(self.reader)
            os.close(self.reader)
            self.reader = -1


class Driver:
    """stream: where events go; rule: what a logs fault changes (late, drop), or {}."""

    def __init__(self, stream, speed, rule):
        self._stream, self._delay = stream, BATCH_DELAY / speed
        self._late, self._drop = rule.get("late", 0) / speed, rule.get("drop", 0)
        self._held = collections.deque()
        self._batch, self._bytes, self._timer = [], 0, None
        self._open = 2
        self.ended = asyncio.get_running_loop().create_future()
        self.pipes = (Pipe(self), Pipe(self))

    def line(self, line):
        while line:
            if len(line) <= EVENT_MAX:
                cut = len(line)
            else:               # not inside a character
                cut = EVENT_MAX
                while cut > EVENT_MAX - 4 and line[cut] & 0xC0 == 0x80:
                    cut -= 1
            self._event(line[:cut].decode("utf-8", "fargate-local-go"), cut)
            line = line[cut:]

    def _event(self, message, size):
        event = (int(time.time() * 1000), message, size)
        if self._drop:          # the fault loses the last ones, so hold that many back
            self._held.append(event)
            if len(self._held) <= self._drop:
                return
            event = self._held.popleft()
        if self._bytes + size + EVENT_OVERHEAD > BATCH_BYTES or len(self._batch) == BATCH_EVENTS:
            self._flush()
        self._batch.append(event)
        self._bytes += size + EVENT_OVERHEAD
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._delay, self._flush)

    def _flush(self):
        if self._timer is not None:
            self._timer.cancel()
        batch, self._batch, self._bytes, self._timer = self._batch, [], 0, None
        if not batch:
            return
        if self._late:
            asyncio.get_running_loop().call_later(self._late, self._stream.put, batch)
        else:
            self._stream.put(batch)

    def pipe_ended(self):
        self._open -= 1
        if self._open == 0:
            self._flush()
            self.ended.set_result(None)

    def abandon(self):
        """For a container that never started: nothing will be read."""
        for pipe in self.pipes:
            pipe.close()
        if not self.ended.done():
            self.ended.set_result(None)
