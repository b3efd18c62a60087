# How a number changed over time.
# SPDX-License-Identifier: GPL-2.0-or-later
import bisect
import time


class Steps:
    """A number over time, 0 at first; times ascend."""

    def __init__(self):
        self.times, self.values = [], []

    def set(self, value, at=None):
        """From `at` (default now) on; what was recorded for later is forgotten."""
        at = time.time() if at is None else at
        keep = bisect.bisect_left(self.times, at)
        del self.times[keep:], self.values[keep:]
        self.times.append(at)
        self.values.append(value)

    def at(self, when):
        i = bisect.bisect_right(self.times, when)
        return self.values[i - 1] if i else 0

    def between(self, start, end):
        """The times in [start, end) at which it changed."""
        return self.times[bisect.bisect_left(self.times, start):bisect.bisect_left(self.times, end)]
