# A queue of jobs of mixed sizes against a quota, and what the local AWS's record says of it afterwards.
# SPDX-License-Identifier: GPL-2.0-or-later
import json
import os
import random
from concurrent.futures import ThreadPoolExecutor

from cluster import wait_for

SIZES = (0.25, 0.25, 0.25, 0.5, 0.5, 1, 1, 2, 4)   # vCPU; most jobs are small


def quota(cluster):
    """What the agent knows of the On-Demand quota, in quarter vCPUs."""
    done = cluster.sfargate("quota", "--json")
    assert done.returncode == 0, done.stderr
    row, = [q for q in json.loads(done.stdout)["quotas"] if q["provider"] == "FARGATE"]
    return row


def set_limit(cluster, vcpu):
    """The limit at AWS, and until the agent knows it (it then asks each second)."""
    cluster.control("PUT", "quotas", {"L-3032A538": {"limit": vcpu, "others": 0}})
    path = os.path.join(cluster.root, "etc", "fargate.conf")
    with open(path, encoding="utf-8") as f:
        text = f.read()
    with open(path, "w", encoding="utf-8") as f:
        f.write("QuotaRefresh=1\n" + text)
    wait_for(lambda: quota(cluster).get("limit") == 4 * vcpu, 60, lambda: f"the limit {vcpu}: {quota(cluster)}", step=0.3)


def submit_mixed(cluster, n, seed, script="sleep 1\n", options=()):
    """n jobs in random order; → {job id: vCPU}."""
    sizes = random.Random(seed).choices(SIZES, k=n)
    path = cluster.write("mixed.sh", "#!/bin/sh\n" + script)

    def submit(size):
        return cluster.submit(path, f"--fargate-cpu={size}", "-o", "/dev/null", *options), size

    with ThreadPoolExecutor(4) as pool:
        return dict(pool.map(submit, sizes))


def wait_done(cluster, jobs, timeout):
    """All COMPLETED; no job lost, none held."""
    def left():
        lines = cluster.squeue("-h", "-t", "all", "-o", "%i %T %r").splitlines()
        states = {int(line.split()[0]): line.split(None, 1)[1] for line in lines}
        return [f"{job} {states.get(job)}" for job in jobs if not (states.get(job) or "").startswith("COMPLETED")]

    wait_for(lambda: not left(), timeout, lambda: f"the end of {len(left())} jobs, as {left()[:5]}", step=1)


def job_of(task):
    return int(task["startedBy"].rpartition("/")[2])


class Record:
    """Tasks from RunTask to STOPPED, which is how long AWS counts them (aws-facts: vCPU quota)."""

    def __init__(self, cluster, jobs):
        self.jobs = jobs
        self.tasks = [task for task in cluster.tasks() if job_of(task) in jobs]
        self.steps = sorted([(task["createdAt"], jobs[job_of(task)]) for task in self.tasks] +
                            [(task["stoppedAt"], -jobs[job_of(task)]) for task in self.tasks])

    def peak(self):
        in_use = most = 0
        for _, change in self.steps:
            in_use += change
            most = max(most, in_use)
        return most

    def spans(self):
        """(seconds, in use, need of the first that waits or None) between two steps."""
        begun = {}
        for task in self.tasks:
            begun.setdefault(job_of(task), task["createdAt"])
        in_use = 0
        for (at, change), (until, _) in zip(self.steps, self.steps[1:]):
            in_use += change
            first = min((job for job in self.jobs if begun[job] > at), default=None)
            yield until - at, in_use, first

    def utilisation(self, limit):
        """Area under use ÷ area under the limit, as long as jobs wait."""
        spans = [(seconds, in_use) for seconds, in_use, first in self.spans() if first is not None]
        return sum(s * u for s, u in spans) / (limit * sum(s for s, _ in spans))

    def longest_idle(self, limit):
        """The longest time (s) that the first waiting job fitted and did not get a task."""
        longest = now = 0
        before = None
        for seconds, in_use, first in self.spans():
            fits = first is not None and limit - in_use >= self.jobs[first]
            now = (now if first == before else 0) + seconds if fits else 0
            before, longest = first, max(longest, now)
        return longest
