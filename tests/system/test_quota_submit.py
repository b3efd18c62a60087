# The vCPU quota when a job is submitted: each sentence, the licenses in Slurm's record, and waiting as PENDING (Licenses).
# SPDX-License-Identifier: GPL-2.0-or-later
import contextlib
import os
import re
import signal

import pytest

from cluster import wait_for
from fake_agent import FakeAgent

REGION = "eu-west-1"
OD = f"the Fargate On-Demand quota L-3032A538 in {REGION}"
SPOT = f"the Fargate Spot quota L-36FBB829 in {REGION}"
AGAIN = ": the job is taken, and the quota is checked again before RunTask"
AWAY = ("fargate: the agent does not answer; the job will wait, and its vCPU quota, not known now, is checked again before "
        "RunTask")
DENIED = "AccessDeniedException: User: x is not authorized to perform: servicequotas:GetServiceQuota"


def quotas(on_demand, spot):
    """What the agent tells of both; quarter vCPUs."""
    return [{"partitions": ["fargate", "spot"], "provider": "FARGATE", "region": REGION, **on_demand},
            {"partitions": ["spot"], "provider": "FARGATE_SPOT", "region": REGION, **spot}]


def known(limit, free, age=1):
    return {"limit": limit, "free": free, "age": age}


# What the agent says → rows of (options, what sbatch says besides the job's number, licenses of the job or None = refused).
# The Spot quota of 32 vCPU holds the largest size there is.
STATES = {
    "6 vCPU On-Demand with 2 free, 32 Spot": (quotas(known(24, 8), known(128, 128)), [
        ([], "", "fargate:4"),
        (["-c", "2"], "", "fargate:8"),
        (["--fargate-cpu=0.25"], "", "fargate:1"),
        (["--fargate-cpu=0.5", "-L", ""], "", "fargate:2"),
        (["-c", "4"], f"fargate: job needs 4 vCPU, {OD} is 6, and 2 are free now: the job will wait", "fargate:16"),
        (["-c", "16"], f"fargate: job needs 16 vCPU, {OD} is 6; ask AWS to raise it, use fewer CPUs (-c), or --fargate-spot "
                       "(quota 32) with -p spot", None),
        (["--fargate-cpu=16"], f"fargate: job needs 16 vCPU, {OD} is 6; ask AWS to raise it, use fewer CPUs (--fargate-cpu), "
                               "or --fargate-spot (quota 32) with -p spot", None),
        (["-n", "16"], f"fargate: job needs 16 vCPU, {OD} is 6; ask AWS to raise it, use fewer CPUs (-n), or --fargate-spot "
                       "(quota 32) with -p spot", None),
        (["-p", "spot", "-c", "16"], "", "fargate_spot:64"),
        (["-p", "spot", "-c", "16", "--fargate-spot"], "", "fargate_spot:64"),
        (["-p", "spot", "-c", "2", "--fargate-spot=only"], "", "fargate_spot:8"),
        (["-c", "2", "-a", "1-3"], "", "fargate:8"),
        (["-c", "2", "-a", "1-100%3"], "", "fargate:8"),
        (["-c", "2", "-a", "1-4"],
         f"fargate: the array needs 8 vCPU (4 tasks of 2), {OD} is 6: some tasks will wait for others", "fargate:8"),
        (["-c", "8", "-a", "1-4%1"], f"fargate: job needs 8 vCPU, {OD} is 6; ask AWS to raise it, use fewer CPUs (-c), or "
                                     "--fargate-spot (quota 32) with -p spot", None),
        (["-L", "fargate:8"], "fargate: license 'fargate' is added by --fargate itself, in the right number: remove it from -L",
         None),
        (["-L", "fargate_spot"],
         "fargate: license 'fargate_spot' is added by --fargate itself, in the right number: remove it from -L", None),
    ]),
    "6 vCPU On-Demand, 3 Spot": (quotas(known(24, 24), known(12, 12)), [
        (["-c", "16"], f"fargate: job needs 16 vCPU, {OD} is 6; ask AWS to raise it or use fewer CPUs (-c)", None),
        (["-p", "spot", "-c", "4"], f"fargate: job needs 4 vCPU, {SPOT} is 3: only On-Demand remains", "fargate:16"),
        (["-p", "spot", "-c", "16"], f"fargate: job needs 16 vCPU, {SPOT} is 3, the On-Demand quota L-3032A538 is 6; ask AWS to "
                                     "raise one of them or use fewer CPUs (-c)", None),
        (["-p", "spot", "-c", "4", "--fargate-spot=only"],
         f"fargate: job needs 4 vCPU, {SPOT} is 3; ask AWS to raise it, use fewer CPUs (-c), or no --fargate-spot=only "
         "(On-Demand quota 6)", None),
    ]),
    "reading is denied": (quotas({"why": DENIED}, known(128, 128, 1000)), [
        (["-c", "16"], f"fargate: {OD} is not known ({DENIED}){AGAIN}", "fargate:64"),
        (["-p", "spot"], re.compile(re.escape(f"fargate: {SPOT} is not known (last read ") + r"10\d\d s ago, QuotaMaxAge=900\)"
                                    + re.escape(AGAIN)), "fargate_spot:4"),
    ]),
    "nothing was read": ([], [
        (["-c", "16"], f"fargate: the Fargate On-Demand quota L-3032A538 in {REGION} is not known (the agent has not read it "
                       f"yet){AGAIN}", "fargate:64"),
    ]),
}


@contextlib.contextmanager
def agent_away(cluster):
    pid = cluster.pid("agent")
    os.kill(pid, signal.SIGTERM)
    wait_for(lambda: cluster.sandbox("pid", "agent", check=False).returncode != 0, 30, "the agent's end")
    try:
        yield
    finally:
        cluster.sandbox("restart", "agent")


@pytest.fixture
def fake(cluster):
    """The agent of fake_agent.py in the agent's place."""
    with agent_away(cluster):
        agent = FakeAgent(os.path.join(cluster.root, "agent", "agent.sock"))
        try:
            yield agent
        finally:
            cluster.run("scancel", "-u", "alice", user="slurm", cwd="/")
            agent.stop()


def said_by(done):
    """sbatch's own lines less its prefixes and its sentence about a refusal."""
    lines = [re.sub(r"^sbatch: (error: )?", "", line) for line in done.stderr.splitlines()]
    return "\n".join(line for line in lines if not line.startswith("Batch job submission failed"))


@pytest.mark.parametrize("state", STATES)
def test_every_sentence(cluster, fake, state):
    told, rows = STATES[state]
    fake.say(quotas=told)
    for options, sentence, licenses in rows:
        done = cluster.sbatch("--fargate", "--hold", *options, "--wrap", "true")
        said = said_by(done)
        if isinstance(sentence, re.Pattern):
            assert sentence.fullmatch(said), f"{options}: {said}"
        else:
            assert said == sentence, options
        assert (done.returncode == 0) == (licenses is not None), f"{options}: {done.stdout}{done.stderr}"
        if licenses:
            assert cluster.show(done.stdout.split()[-1])["Licenses"] == licenses, options


def test_one_line_about_an_agent_that_is_away(cluster):
    with agent_away(cluster):
        wait_for(lambda: AWAY in cluster.sbatch("--fargate", "--hold", "--wrap", "true").stderr, 15, "the plugin to see it")
        done = cluster.sbatch("--fargate", "--hold", "-c", "16", "--wrap", "true")
        assert said_by(done) == AWAY
        assert cluster.show(done.stdout.split()[-1])["Licenses"] == "fargate:64"


UPDATES = ["Licenses=", "Licenses=fargate:1", "Licenses=fargate_spot:4", "Licenses=fargate:4,fargate_spot:4", "NumCPUs=16",
           "MinMemoryNode=90000", "Partition=spot"]


def test_an_update_cannot_pass_the_quota(cluster, fake):
    """By the set of the agent's jobs; root and SlurmUser may."""
    job = cluster.submit("true\n", "--hold")
    other = cluster.submit("true\n", "--hold", fargate=False)
    fake.say(quotas=quotas(known(24, 8), known(128, 128)), fleet=[{"partition": "fargate", "jobs": str(job)}])
    for change in UPDATES:
        done = cluster.scontrol("update", f"JobId={job}", change, user="alice")
        assert done.returncode != 0, change
    record = cluster.show(job)
    assert (record["Licenses"], record["NumCPUs"], record["Partition"]) == ("fargate:4", "1", "fargate")
    assert "the licenses of a Fargate job are fixed when it is submitted" in cluster.log("slurmctld")
    # nor can another job take vCPUs from those that need them
    assert cluster.scontrol("update", f"JobId={other}", "Licenses=fargate:100", user="alice").returncode != 0
    assert "license 'fargate' is set when a --fargate job is submitted: an update cannot name it" in cluster.log("slurmctld")
    assert cluster.scontrol("update", f"JobId={other}", "Licenses=", user="alice").returncode == 0
    assert cluster.scontrol("update", f"JobId={job}", "Licenses=fargate:5").returncode == 0
    assert cluster.show(job)["Licenses"] == "fargate:5"


def test_other_jobs_cannot_take_the_licenses(cluster):
    for command in (["sbatch", "-L", "fargate:100", "--wrap", "true"], ["srun", "-L", "fargate_spot", "true"]):
        done = cluster.run(*command)
        assert done.returncode != 0, command
        assert "stands for the vCPUs of --fargate jobs, and this is none: remove it from -L" in done.stderr, command


def edit(cluster, change):
    """slurm.conf with change(text), in force; → the text of before."""
    path = cluster.env["SLURM_CONF"]
    with open(path, encoding="utf-8") as f:
        before = f.read()
    with open(path, "w", encoding="utf-8") as f:
        f.write(change(before))
    assert cluster.scontrol("reconfigure").returncode == 0
    return before


@pytest.fixture
def strict(cluster):
    """EnforcePartLimits=ALL, and licenses of another kind for users to ask for."""
    before = edit(cluster, lambda text: text.replace("Licenses=", "EnforcePartLimits=ALL\nLicenses=matlab:3,"))
    yield
    edit(cluster, lambda _: before)


@pytest.fixture
def six_quarters(cluster):
    """All but six of the On-Demand licenses are held back, as the agent does it."""
    made = cluster.scontrol("create", "reservation", "ReservationName=rest", "StartTime=now", "Duration=infinite",
                            "Users=root", "Licenses=fargate:15994", "Flags=ANY_NODES,IGNORE_JOBS")
    assert made.returncode == 0, made.stderr
    yield
    cluster.scontrol("delete", "reservation=rest")


def running(cluster, jobs):
    return [job for job in jobs if cluster.state(job) in ("CONFIGURING", "RUNNING")]


@pytest.mark.parametrize("enforce", ["no", "all"])
def test_waiting_is_pending_for_licenses(cluster, request, enforce):
    if enforce == "all":
        request.getfixturevalue("strict")
    request.getfixturevalue("six_quarters")
    jobs = [cluster.submit("sleep 600\n", "-o", "/dev/null", "--fargate-cpu=0.5") for _ in range(4)]
    wait_for(lambda: len(running(cluster, jobs)) == 3, 30, lambda: f"three jobs of 0.5 vCPU:\n{cluster.squeue()}")
    waiting, = set(jobs) - set(running(cluster, jobs))
    wait_for(lambda: cluster.show(waiting)["Reason"] == "Licenses", 30, lambda: f"the reason: {cluster.show(waiting)}")
    assert cluster.state(waiting) == "PENDING"
    # larger than all that is free: it waits too, and is not refused
    large = cluster.submit("true\n", "-o", "/dev/null", "-c", "4")
    wait_for(lambda: cluster.show(large)["Reason"] in ("Licenses", "Priority"), 30, lambda: f"{cluster.show(large)}")
    assert cluster.state(large) == "PENDING"
    cluster.scancel(large)
    cluster.scancel(running(cluster, jobs)[0])
    wait_for(lambda: cluster.state(waiting) in ("CONFIGURING", "RUNNING"), 60, lambda: f"its turn: {cluster.show(waiting)}")


def test_the_user_s_own_licenses_stay(cluster, strict):
    job = cluster.submit("true\n", "--hold", "-L", "matlab:2")
    assert sorted(cluster.show(job)["Licenses"].split(",")) == ["fargate:4", "matlab:2"]
    done = cluster.sbatch("--fargate", "-L", "matlab:4", "--wrap", "true")
    assert done.returncode != 0 and "Invalid license specification" in done.stderr


@pytest.fixture
def conf(cluster):
    """fargate.conf; change(text) puts another one in force, the old one comes back."""
    path = os.path.join(os.path.dirname(cluster.env["SLURM_CONF"]), "fargate.conf")
    with open(path, encoding="utf-8") as f:
        before = f.read()

    def change(text, sign):
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        wait_for(lambda: sign(cluster.sbatch("--fargate", "--hold", "--wrap", "true")), 15, "the conf in force")

    change.before = before
    yield change
    change(before, lambda done: cluster.show(done.stdout.split()[-1])["Licenses"] == "fargate:4")


def test_without_license_none_is_added(cluster, conf):
    conf(conf.before.replace("License=fargate SpotLicense=fargate_spot\n", "MaxVcpu=2 ReserveVcpu=1\n"),
         lambda done: cluster.show(done.stdout.split()[-1])["Licenses"] == "(null)")
    done = cluster.sbatch("--fargate", "-c", "4", "--wrap", "true")
    assert done.returncode != 0
    assert "fargate: job needs 4 vCPU, MaxVcpu of partition 'fargate' is 2; use fewer CPUs (-c) or another partition (-p)" \
        in done.stderr
    job = cluster.submit("true\n", "--hold", "-L", "fargate:1")     # a license like any other then
    assert cluster.show(job)["Licenses"] == "fargate:1"
