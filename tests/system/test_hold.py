# Waiting for the vCPU quota is Slurm's own: the reservation fargate_hold, and the large job among small ones.
# SPDX-License-Identifier: GPL-2.0-or-later
import os
import re
import signal

import pytest

from cluster import wait_for

CEILING = 16000  # Licenses= of the sandbox
ON_DEMAND = "L-3032A538"
SLEEP = "trap 'exit 0' TERM\nsleep 600 &\nwait\n"


class Gate:
    """The On-Demand quota, fargate.conf, and the reservation that comes of them."""

    def __init__(self, cluster):
        self.cluster = cluster
        self.path = os.path.join(cluster.root, "etc", "fargate.conf")
        with open(self.path, encoding="utf-8") as f:
            self.before = f.read()

    def quota(self, vcpu=None):
        self.cluster.control("PUT", "quotas", {} if vcpu is None else {ON_DEMAND: {"limit": vcpu, "others": 0}})

    def conf(self, *, patience=60, text=None):
        with open(self.path, "w", encoding="utf-8") as f:
            f.write(f"QuotaRefresh=1\nLargeJobPatience={patience}\n" + (text or self.before))

    def resv(self, name="fargate_hold"):
        """→ the reservation's line, "" when there is none."""
        for line in self.cluster.scontrol("-o", "show", "reservation").stdout.splitlines():
            if line.startswith(f"ReservationName={name} "):
                return line
        return ""

    def held(self, name="fargate"):
        found = re.search(rf"Licenses={name}:(\d+)", self.resv(f"{name}_hold"))
        return int(found.group(1)) if found else 0

    def wait_held(self, units, timeout=40):
        wait_for(lambda: self.held() == units, timeout, lambda: f"fargate_hold of {units}, not {self.held()}", step=0.2)

    def open_for(self, vcpu, patience=60):
        self.conf(patience=patience)
        self.quota(vcpu)
        self.wait_held(CEILING - 4 * vcpu)

    def states(self, *jobs):
        """How many jobs (elements) are where: {"RUNNING": 3, …} with CONFIGURING counted as RUNNING."""
        seen = {}
        for job in jobs:
            for record in self.cluster.squeue("-h", "-r", "-j", job, "-o", "%T %r").splitlines():
                state, _, reason = record.partition(" ")
                state = {"CONFIGURING": "RUNNING", "PENDING": f"PENDING ({reason})"}.get(state, state)
                seen[state] = seen.get(state, 0) + 1
        return seen

    def wait_states(self, job, timeout=60, **expected):
        want = {name.replace("LICENSES", "PENDING (Licenses)"): n for name, n in expected.items()}
        wait_for(lambda: self.states(job) == want, timeout, lambda: f"{want}, not {self.states(job)}", step=0.3)

    def waiting(self, job):
        """How many elements wait, for whatever reason (Slurm says it only when it has tried)."""
        return sum(n for state, n in self.states(job).items() if state.startswith("PENDING"))

    def submit(self, vcpu, script=SLEEP, *options):
        size = {0.25: "512M", 2: "4G", 4: "8G"}[vcpu]
        return self.cluster.submit(script, f"--fargate-cpu={vcpu}", f"--fargate-mem={size}", "-o", "/dev/null", *options)

    def freeze(self):
        """A quota of 6 vCPU, full of jobs of 0.25; a large one comes, and more small ones behind it, which then wait for it."""
        self.open_for(6, patience=3)
        first = self.submit(0.25, SLEEP, "--array=1-24")
        self.wait_states(first, RUNNING=24)
        large = self.submit(4, "true\n")
        rest = self.submit(0.25, "sleep 3\n", "--array=1-100")
        self.wait_held(CEILING)
        return first, large, rest


@pytest.fixture(name="gate")
def fixture_gate(cluster):
    gate = Gate(cluster)
    yield gate
    with open(gate.path, "w", encoding="utf-8") as f:
        f.write(gate.before.replace("Region=", "QuotaRefresh=1\nRegion=", 1))
    gate.quota()
    gate.wait_held(0)
    with open(gate.path, "w", encoding="utf-8") as f:
        f.write(gate.before)


def ok(done):
    assert done.returncode == 0, done.stderr


def living(cluster):
    return [t for t in cluster.tasks() if t["lastStatus"] != "STOPPED"]


def free_units(gate, job, n):
    ok(gate.cluster.scancel(f"{job}_[1-{n}]"))


def test_a_quota_of_6_vcpu_runs_24_quarters_at_once_and_3_of_2(cluster, gate):
    gate.open_for(6)
    small = gate.submit(0.25, SLEEP, "--array=1-30")
    gate.wait_states(small, RUNNING=24, LICENSES=6)
    wait_for(lambda: len(living(cluster)) == 24, 60, lambda: f"24 tasks, not {len(living(cluster))}")
    cluster.scancel(small)
    wait_for(lambda: not gate.states(small), 60, "the end of the small ones")
    large = gate.submit(2, SLEEP, "--array=1-4")
    gate.wait_states(large, RUNNING=3, LICENSES=1)
    cluster.scancel(f"{large}_1")
    gate.wait_states(large, RUNNING=3)


def test_what_somebody_does_to_the_reservation_is_put_right(cluster, gate):
    gate.open_for(6)
    ok(cluster.scontrol("delete", "reservation=fargate_hold"))
    gate.wait_held(CEILING - 24)
    ok(cluster.scontrol("update", "reservation=fargate_hold", "Licenses=fargate:7"))
    gate.wait_held(CEILING - 24)
    ok(cluster.scontrol("update", "reservation=fargate_hold", "Duration=10-00:00:00"))
    assert "Duration=10-00:00:00" in gate.resv()
    wait_for(lambda: "Duration=365-" in gate.resv(), 20, gate.resv)
    assert "Flags=IGNORE_JOBS,ANY_NODES" in gate.resv() and "Users=root " in gate.resv()


def test_it_survives_slurmctld_and_reconfigure(cluster, gate):
    gate.open_for(1)
    job = gate.submit(0.25, SLEEP, "--array=1-6")
    gate.wait_states(job, RUNNING=4, LICENSES=2)
    ok(cluster.scontrol("reconfigure"))
    cluster.sandbox("restart", "slurmctld")
    gate.wait_held(CEILING - 4)
    gate.wait_states(job, RUNNING=4, LICENSES=2)
    cluster.scancel(f"{job}_1")
    wait_for(lambda: gate.states(job).get("PENDING (Licenses)") == 1, 60, lambda: f"one more: {gate.states(job)}")


def test_a_limit_below_what_is_in_use_ends_nothing_and_starts_nothing(cluster, gate):
    gate.open_for(2)
    job = gate.submit(0.25, SLEEP, "--array=1-9")
    gate.wait_states(job, RUNNING=8, LICENSES=1)
    wait_for(lambda: [t["lastStatus"] for t in living(cluster)] == ["RUNNING"] * 8, 60, "8 tasks that run")
    gate.quota(1)
    gate.wait_held(CEILING - 4)
    assert gate.states(job)["RUNNING"] == 8
    for n in range(1, 5):
        cluster.scancel(f"{job}_{n}")
    wait_for(lambda: len(living(cluster)) == 4, 60, "4 tasks that have stopped")
    gate.wait_states(job, RUNNING=4, LICENSES=1)
    assert len(living(cluster)) == 4
    cluster.scancel(f"{job}_5")
    gate.wait_states(job, RUNNING=4)


def test_a_large_job_among_a_stream_of_small_ones_starts(cluster, gate):
    first, large, rest = gate.freeze()
    assert f"job {large} waits for 4 vCPU, " in cluster.agent_log()
    # units come free, and no small job takes them
    free_units(gate, first, 8)
    wait_for(lambda: gate.states(first).get("RUNNING") == 16, 60, "the end of 8 small ones")
    assert gate.waiting(rest) == 100 and cluster.state(large) == "PENDING"
    for n in range(9, 17):
        cluster.scancel(f"{first}_{n}")
    cluster.wait_state(large)
    assert gate.waiting(rest), "small jobs still waited when the large one had run"
    gate.wait_held(CEILING - 24)
    wait_for(lambda: gate.waiting(rest) < 100, 60, "the small ones go on")


@pytest.mark.parametrize("how", ["cancel", "hold", "change"])
def test_a_large_job_that_no_longer_waits_opens_the_gate(cluster, gate, how):
    _, large, rest = gate.freeze()
    ok({"cancel": lambda: cluster.scancel(large), "hold": lambda: cluster.scontrol("hold", large),
        "change": lambda: cluster.scontrol("update", f"jobid={large}", "StartTime=now+1hour")}[how]())
    gate.wait_held(CEILING - 24)
    assert gate.waiting(rest) == 100
    cluster.scancel(large)


def test_without_patience_nothing_is_ever_frozen(cluster, gate):
    gate.open_for(6, patience=0)
    first = gate.submit(0.25, SLEEP, "--array=1-24")
    gate.wait_states(first, RUNNING=24)
    large = gate.submit(4, "true\n")
    rest = gate.submit(0.25, "sleep 2\n", "--array=1-12")
    free_units(gate, first, 4)
    # the small ones pass, though the large one waits for longer than any patience of these tests
    wait_for(lambda: not gate.states(rest), 120, lambda: f"the end of the small ones: {gate.states(rest)}")
    assert cluster.state(large) == "PENDING" and gate.held() == CEILING - 24
    assert f"job {large} waits for" not in cluster.agent_log()


def test_an_agent_that_leaves_opens_first(cluster, gate):
    gate.freeze()
    pid = cluster.pid("agent")
    os.kill(pid, signal.SIGTERM)
    wait_for(lambda: not os.path.exists(f"/proc/{pid}"), 30, "the agent's end")
    try:
        assert gate.held() == CEILING - 24
    finally:
        cluster.sandbox("restart", "agent")


def test_a_killed_agent_puts_it_right_when_it_is_back(cluster, gate):
    _, large, _ = gate.freeze()
    os.kill(cluster.pid("agent"), signal.SIGKILL)
    cluster.scancel(large)
    assert gate.held() == CEILING
    cluster.sandbox("restart", "agent")
    gate.wait_held(CEILING - 24)


def test_a_license_that_slurm_does_not_have_is_said_and_stops_nobody(cluster, gate):
    text = gate.before.replace("SpotLicense=fargate_spot", "SpotLicense=nowhere", 1)
    assert text != gate.before
    start = len(cluster.agent_log())
    gate.conf(text=text)
    said = "license nowhere is not in slurm.conf: "
    wait_for(lambda: said in cluster.agent_log()[start:], 30, "the warning")
    assert said in cluster.sfargate("status").stdout
    done = cluster.run("fargated", "-t", "-f", gate.path, user="slurm", cwd="/")
    assert done.returncode == 0 and said in done.stderr, done.stderr
    cluster.wait_state(gate.submit(0.25, "true\n"))
    assert cluster.agent_log()[start:].count(said) == 1


def test_the_reservation_of_a_dropped_license_goes(cluster, gate):
    gate.open_for(6)
    text = "".join(line for line in gate.before.splitlines(True) if not line.startswith("License="))
    gate.conf(text=text)
    wait_for(lambda: not gate.resv(), 30, gate.resv)
    # and of one that was dropped while there was no agent
    gate.open_for(6)
    os.kill(cluster.pid("agent"), signal.SIGKILL)
    gate.conf(text=text)
    cluster.sandbox("restart", "agent")
    wait_for(lambda: not gate.resv(), 30, gate.resv)
