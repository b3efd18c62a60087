# Rows of tests on how jobs end: many jobs at once in one sandbox, each with faults of its own.
# SPDX-License-Identifier: GPL-2.0-or-later
import re
import time
from dataclasses import dataclass, field
from typing import Callable, Optional

from cluster import ENDED, wait_for

TASK = r"(?:[0-9a-f]{32}|-)"
SIZE = r"1vCPU/2GB"
# A scheduler's pass while the prolog still ends replaces the first by the others; see Cluster.wait_held.
HELD_REASON = "launch_failed_requeued_held|JobHeldAdmin|JobHeldUser"
TIME_FOR_ALL = 90      # seconds of a batch until each of its jobs must be where it belongs
NEVER_ENDS = "echo up\nsleep 600\n"


def comment(phase, words="", provider="FARGATE", zone=r"\S+"):
    """The AdminComment of a phase, with AWS's words (literally) behind it."""
    said = f": .*{re.escape(words)}.*" if words else ""
    return rf"fargate: {phase} {TASK} {SIZE} {provider} {zone}{said} ?"


@dataclass
class Row:
    """What is asked for, and what Slurm must show. All but `state` and codes are regular expressions."""

    name: str
    state: str
    code: str                       # ExitCode of scontrol
    reason: str
    admin_comment: str
    sacct: tuple                    # State and ExitCode of the newest record
    script: str = NEVER_ENDS
    options: tuple = ()
    rules: tuple = ()               # for the local Fargate; the job id is filled in
    act: Optional[Callable] = None  # (cluster, job), as soon as all are submitted
    restarts: str = "0"
    runs: tuple = ()                # State of each record in `sacct --duplicates` but the newest
    tasks: Optional[int] = None     # how many there must have been
    output: Optional[str] = None    # what the job's file must contain
    more: dict = field(default_factory=dict)    # other fields of scontrol

    def fields(self):
        return {"JobState": self.state, "ExitCode": self.code, "Reason": self.reason, "Restarts": self.restarts,
                "AdminComment": self.admin_comment, **self.more}


def with_job(rule, job):
    """The rule for one job only."""
    if "op" in rule:
        return {**rule, "match": {**rule.get("match", {}), "jobid": str(job)}}
    kind = "task" if "task" in rule else "logs"
    return {**rule, kind: {**rule[kind], "jobid": str(job)}}


def add_faults(cluster, rules):
    """Rules on top of those in force."""
    now = [dict(rule) for rule in cluster.control("GET", "faults")]
    for rule in now:
        left = rule.pop("left")
        rule.update({} if left is None else {"times": left})
    cluster.faults([rule for rule in now if rule.get("times", 1)] + rules)


def submit_with(cluster, script, *options, rules=(), **more):
    """A job whose faults are in force before it starts; → its id."""
    job = cluster.submit(script, "--hold", *options, **more)
    add_faults(cluster, [with_job(rule, job) for rule in rules])
    cluster.scontrol("release", job)
    return job


class Batch:
    """All rows' jobs in one sandbox, submitted at once: they wait at the same time."""

    def __init__(self, cluster, rows):
        self.cluster, self.begun = cluster, time.monotonic()
        self.jobs = {row.name: cluster.submit(row.script, "--hold", "-J", row.name, "-o", "out.%j", *row.options)
                     for row in rows}
        add_faults(cluster, [with_job(rule, self.jobs[row.name]) for row in rows for rule in row.rules])
        cluster.scontrol("release", ",".join(map(str, self.jobs.values())))
        for row in rows:
            if row.act:
                row.act(cluster, self.jobs[row.name])

    def check(self, row):
        job = self.jobs[row.name]
        # they all have had the same time, however late their turn comes
        self.in_scontrol(job, row, max(5, self.begun + TIME_FOR_ALL - time.monotonic()))
        self.in_sacct(job, row)
        if row.tasks is not None:
            assert len(self.cluster.tasks(job)) == row.tasks
        if row.output is not None:
            assert row.output in self.cluster.output(job)

    def in_scontrol(self, job, row, timeout):
        wanted = row.fields()

        def differences():
            record = self.cluster.show(job)
            return {name: record.get(name, "") for name, value in wanted.items()
                    if not re.fullmatch(value, record.get(name, ""))}

        def there():
            wrong = differences()
            # an ended job gets its last comment at once, and never another state
            assert not (wrong.get("JobState", "") in ENDED), f"{row.name}: {wrong} instead of {wanted}"
            return not wrong

        wait_for(there, timeout, lambda: f"{row.name}, job {job}: {differences()} to become {wanted}", step=0.2)

    def in_sacct(self, job, row):
        state, code = row.sacct
        records = self.cluster.sacct(job, "State,ExitCode,AdminComment", state, "--duplicates")
        assert records[-1]["ExitCode"] == code, records
        assert [record["State"] for record in records[:-1]] == list(row.runs), records
        # the record of a new run has none yet: the words are with the one that ended
        ended = records[-1] if row.state in ENDED else records[-2]
        assert re.fullmatch(row.admin_comment, ended["AdminComment"]), records


def when_running(action):
    """For Row.act: `action` once the task runs, the agent has said so and the job's fargate-attach is there (it prints)."""
    def act(cluster, job):
        cluster.wait_state(job, {"RUNNING"})
        wait_for(lambda: cluster.comment(job).startswith("fargate: running "), 30, f"job {job} to be running")
        wait_for(lambda: "up\n" in cluster.output(job), 30, lambda: f"job {job} to print: {cluster.output(job)!r}")
        action(cluster, job)
    return act


def scancel(cluster, job):
    cluster.scancel(job)


def stop_as_someone_else(cluster, job):
    task = cluster.tasks(job)[-1]["taskArn"].rpartition("/")[2]
    cluster.control("POST", f"tasks/{task}/stop")


def end_its_time(cluster, job):
    """The limit is over now, not in a minute; the agent has moved it before (without PrologSlurmctld)."""
    wait_for(lambda: cluster.control("GET", f"wait?jobid={job}&status=RUNNING")["startedAt"], 30, "startedAt")
    done = cluster.scontrol("update", f"jobid={job}", "EndTime=now+1")
    assert done.returncode == 0, done.stderr
