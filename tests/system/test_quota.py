# The vCPU quotas on a real Slurm: the agent reserves before RunTask, waits, and says what for.
# SPDX-License-Identifier: GPL-2.0-or-later
import json
import os
import re

import pytest

from cluster import SubmitError, wait_for
from conftest import run_sandbox

ON_DEMAND, SPOT = "L-3032A538", "L-36FBB829"
# The numbers are read often, so that a test sees a change soon.
KEYS = "QuotaRefresh=1\nQuotaMaxAge={age}\nReserveVcpu={reserve}\n"
WAITING = {"PENDING", "CONFIGURING"}
DENIED = {"error": {"code": "AccessDeniedException", "message": "not authorized to perform: servicequotas", "status": 400}}


def put_keys(cluster, age=600, reserve=0):
    """The keys above into fargate.conf, in the place of those of before."""
    path = os.path.join(os.path.dirname(cluster.env["SLURM_CONF"]), "fargate.conf")
    with open(path, encoding="utf-8") as f:
        # without License= nothing waits in Slurm's queue: the agent's own reservation is what is tested here (test_hold.py has both)
        text = re.sub(r"(?m)^(License|Quota(Refresh|MaxAge)|ReserveVcpu)=.*\n", "", f.read())
    first = text.index("PartitionName=")
    start = len(cluster.agent_log())
    with open(path, "w", encoding="utf-8") as f:
        f.write(text[:first] + KEYS.format(age=age, reserve=reserve) + text[first:])
    wait_for(lambda: "the changed file is in force" in cluster.agent_log()[start:], 20, "the changed fargate.conf")


@pytest.fixture(scope="module")
def site():
    for cluster in run_sandbox("--speed", "20"):
        put_keys(cluster)
        yield cluster


@pytest.fixture
def cluster(site):
    yield site
    site.control("PUT", "quotas", {})
    site.reset()
    wait_for(lambda: quota(site)["ours"] == 0, 60, lambda: f"nothing of ours: {quota(site)}")


def quotas(cluster):
    done = cluster.sfargate("quota", "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["quotas"]


def quota(cluster, provider="FARGATE"):
    row, = [q for q in quotas(cluster) if q["provider"] == provider]
    return row


def limit(cluster, vcpu, spot=4000, **more):
    """The limits at AWS, and until the agent knows them."""
    cluster.control("PUT", "quotas", {ON_DEMAND: {"limit": vcpu, **more}, SPOT: {"limit": spot}})
    wait_for(lambda: quota(cluster).get("limit") == vcpu * 4 and quota(cluster, "FARGATE_SPOT").get("limit") == spot * 4
             and not quota(cluster).get("why"), 30, lambda: f"the new limits: {quotas(cluster)}")


def vcpus(task):
    return int(task["cpu"]) / 1024


def most_at_once(tasks):
    """vCPUs of the tasks that were not STOPPED, at the worst moment."""
    def at(moment):
        return sum(vcpus(t) for t in tasks if t["createdAt"] <= moment < t.get("stoppedAt", float("inf")))

    return max((at(t["createdAt"]) for t in tasks), default=0)


def of_jobs(cluster, jobs):
    return [t for job in jobs for t in cluster.tasks(job)]


def submit_known(cluster, *args):
    """submit(), once slurmctld has heard of the limit too (it asks the agent each 2 s)."""
    def taken():
        try:
            return cluster.submit(*args)
        except SubmitError as e:
            assert "vCPU, the Fargate On-Demand quota" in str(e), e
            return None

    return wait_for(taken, 30, "the submission")


def wait_comment(cluster, job, *words):
    def there():
        text = cluster.comment(job)
        return text if all(w in text for w in words) else None

    return wait_for(there, 60, lambda: f"{words} in the comment of job {job}: {cluster.show(job)}")


def test_jobs_beyond_the_limit_wait_and_run(cluster):
    limit(cluster, 2)
    before = cluster.calls("RunTask")["ok"]
    jobs = [cluster.submit("sleep 1\n") for _ in range(6)]
    for job in jobs:
        cluster.wait_state(job, timeout=180)
    tasks = of_jobs(cluster, jobs)
    assert len(tasks) == len(jobs)
    assert most_at_once(tasks) <= 2, tasks
    # AWS never had to say no
    assert cluster.calls("RunTask")["ok"] - before == len(jobs)
    assert all(cluster.show(job)["Restarts"] == "0" for job in jobs)


def test_a_quarter_counts_as_one(cluster):
    limit(cluster, 1)
    jobs = [cluster.submit("sleep 600\n", "--fargate-cpu=0.25") for _ in range(5)]
    wait_for(lambda: quota(cluster)["ours"] == 4 and quota(cluster)["in_flight"] == 0, 60, lambda: f"4 of 5 jobs: {quotas(cluster)}")
    wait_for(lambda: quota(cluster)["waiting_jobs"] == 1, 60, lambda: f"one that waits: {quotas(cluster)}")
    assert quota(cluster)["waiting"] == 1 and quota(cluster)["free"] == 0
    assert len(of_jobs(cluster, jobs)) == 4
    last, = [job for job in jobs if not cluster.tasks(job)]
    assert cluster.state(last) in WAITING
    wait_comment(cluster, last, "fargate: quota - 0.25vCPU/", f"waits for the On-Demand quota {ON_DEMAND} in eu-west-1 (1 vCPU, ")
    cluster.scancel(next(job for job in jobs if job != last))
    cluster.wait_state(last, {"RUNNING"})
    assert most_at_once(of_jobs(cluster, jobs)) <= 1


def test_the_agent_starts_again_and_knows_what_it_has(cluster):
    limit(cluster, 1)
    first = cluster.submit("sleep 600\n")
    cluster.wait_state(first, {"RUNNING"})
    cluster.sandbox("restart", "agent")
    wait_for(lambda: quota(cluster)["ours"] == 4, 30, lambda: f"its task: {quotas(cluster)}")
    second = cluster.submit("true\n")
    wait_for(lambda: quota(cluster)["waiting_jobs"] == 1, 60, lambda: f"the second job: {quotas(cluster)}, {cluster.show(second)}")
    assert not cluster.tasks(second)
    cluster.scancel(first)
    cluster.wait_state(second)
    assert most_at_once(of_jobs(cluster, (first, second))) <= 1


def test_a_raised_limit_lets_them_go(cluster):
    limit(cluster, 1)
    first, second = (cluster.submit("sleep 600\n") for _ in range(2))
    wait_for(lambda: quota(cluster)["waiting_jobs"] == 1, 60, lambda: f"one that waits: {quotas(cluster)}")
    limit(cluster, 2)
    for job in (first, second):
        cluster.wait_state(job, {"RUNNING"})


def test_spot_and_on_demand_are_apart(cluster):
    limit(cluster, 1, spot=1)
    jobs = [cluster.submit("sleep 600\n"), cluster.submit("sleep 600\n", "-p", "spot")]
    for job in jobs:
        cluster.wait_state(job, {"RUNNING"})
    assert [quota(cluster, p)["ours"] for p in ("FARGATE", "FARGATE_SPOT")] == [4, 4]


def test_others_take_their_part(cluster):
    limit(cluster, 3, others=2, since=600)
    wait_for(lambda: quota(cluster).get("others") == 8, 240, lambda: f"the others: {quotas(cluster)}")
    assert quota(cluster)["free"] == 4
    jobs = [cluster.submit("sleep 600\n") for _ in range(2)]
    wait_for(lambda: quota(cluster)["ours"] == 4 and quota(cluster)["waiting_jobs"] == 1, 60,
             lambda: f"one runs and one waits: {quotas(cluster)}")
    assert len(of_jobs(cluster, jobs)) == 1
    waiting, = [job for job in jobs if not cluster.tasks(job)]
    # With the minutes of our own task others seem fewer for a while, and then AWS itself says no: that is no error either.
    wait_for(lambda: re.search(r"fargate: quota .*(\(3 vCPU, .* by others\)|limit on the number of vCPUs)", cluster.comment(waiting)),
             60, lambda: f"what it waits for: {cluster.show(waiting)}")
    assert most_at_once(of_jobs(cluster, jobs)) <= 1


@pytest.mark.parametrize("rule", [DENIED, {"raw": {"status": 200, "body": '{"Quota": {"Value": "6"}}', "type": "application/x-amz-json-1.1"}},
                                  {"delay": 3600.0}], ids=["denied", "wrong", "slow"])
def test_an_unknown_quota_stops_nothing(cluster, rule):
    limit(cluster, 4)
    cluster.faults([{"op": op, "times": 1000, **rule} for op in ("GetServiceQuota", "GetAWSDefaultServiceQuota")])
    cluster.sandbox("restart", "agent")
    jobs = [cluster.submit("true\n") for _ in range(2)]
    for job in jobs:
        cluster.wait_state(job)
    row = quota(cluster)
    assert "limit" not in row and "free" not in row and row["why"], row
    cluster.faults([])
    cluster.sandbox("restart", "agent")
    limit(cluster, 4)


def test_a_number_too_old_counts_no_more(cluster):
    limit(cluster, 1)
    put_keys(cluster, age=5)
    first = cluster.submit("sleep 600\n")
    cluster.wait_state(first, {"RUNNING"})
    cluster.faults([{"op": "GetServiceQuota", "times": 10000, **DENIED}])
    wait_for(lambda: "older than QuotaMaxAge=5" in cluster.agent_log(), 60, "the line in the agent's log")
    assert "free" not in quota(cluster) and quota(cluster)["limit"] == 4 and "AccessDenied" in quota(cluster)["why"]
    # RunTask decides: AWS says no, which spends nothing
    second = cluster.submit("true\n")
    wait_comment(cluster, second, "fargate: quota ", "limit on the number of vCPUs")
    cluster.faults([])
    put_keys(cluster)
    cluster.scancel(first)
    cluster.wait_state(second, timeout=120)


def test_cloudwatch_without_datapoints(cluster):
    limit(cluster, 1)
    cluster.faults([{"usage_delay": 3600}])
    cluster.sandbox("restart", "agent")
    job = cluster.submit("true\n")
    cluster.wait_state(job)
    row = wait_for(lambda: quota(cluster) if quota(cluster).get("others_why") else None, 30, "why others are not known")
    assert "others" not in row and "no datapoints" in row["others_why"], row


def test_what_never_fits_is_held(cluster):
    """It fitted when it was submitted."""
    limit(cluster, 2)
    first = submit_known(cluster, "sleep 600\n", "-c", "2")
    cluster.wait_state(first, {"RUNNING"})
    second = cluster.submit("true\n", "-c", "2")
    wait_for(lambda: quota(cluster)["waiting_jobs"] == 1, 60, lambda: f"one that waits: {quotas(cluster)}")
    limit(cluster, 1)
    cluster.scancel(first)
    record = wait_for(lambda: cluster.show(second) if cluster.comment(second).startswith("fargate: held ") else None, 90,
                      lambda: f"the hold: {cluster.show(second)}")
    assert f"the job needs 2 vCPU, the Fargate On-Demand quota {ON_DEMAND} in eu-west-1 is 1; ask AWS" in record["AdminComment"]
    assert not cluster.tasks(second)
    limit(cluster, 2)
    cluster.wait_held(second)
    cluster.run("scontrol", "release", second)
    cluster.start_now(second)
    cluster.wait_state(second)


def test_the_quotas_for_people(cluster):
    limit(cluster, 6, spot=2, applied=False)
    put_keys(cluster, reserve=1)
    wait_for(lambda: quota(cluster)["free"] == 20, 30, lambda: f"the reserve: {quotas(cluster)}")
    text = cluster.sfargate("quota", user="bob").stdout
    head, *rows = [line.split() for line in text.splitlines()]
    rows = [dict(zip(head, row)) for row in rows]
    assert [(r["PARTITIONS"], r["REGION"], r["PROVIDER"], r["LIMIT"], r["KIND"], r["OURS"], r["FREE"], r["JOBS"]) for r in rows] == [
        ("fargate,spot", "eu-west-1", "FARGATE", "6", "default", "0", "5", "0"),
        ("spot", "eu-west-1", "FARGATE_SPOT", "2", "applied", "0", "1", "0")], text
    assert len(cluster.sfargate("quota", "-n").stdout.splitlines()) == 2
    put_keys(cluster)
