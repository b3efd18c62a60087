# AlertTopic and AlertOn: one SNS message about what failed for good, and whatever SNS does, the job ends the same.
# SPDX-License-Identifier: GPL-2.0-or-later
import json
import re
import time

import pytest

from cluster import wait_for
from test_conf_reload import Conf

TOPIC = "arn:aws:sns:eu-west-1:123456789012:slurm-alerts"
WORDS = "The requested CPU configuration is above your limit."
# (three refusals of the configuration in a row would pause the partition)
REFUSAL = {"op": "RunTask", "reply": {"tasks": [], "failures": [{"reason": WORDS}]}}
STAMP = re.compile(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ")
QUIET = 3  # seconds in which a second message, or one too many, would have come


@pytest.fixture(name="alerts")
def fixture_alerts(cluster):
    """alerts(keys): AlertTopic and these keys for all partitions; the conf of before at the end."""
    conf = Conf(cluster)

    def put(keys="", topic=TOPIC):
        conf.put_and_wait(f"AlertTopic={topic} {keys}\n" + conf.text, "the changed file is in force", "loaded")

    yield put
    conf.restore()


def messages(cluster, job):
    found = [dict(m, body=json.loads(m["Message"])) for m in cluster.control("GET", "messages")]
    return [m for m in found if m["body"]["job_id"] == job]


def wait_message(cluster, job):
    return wait_for(lambda: messages(cluster, job), 20, f"the alert of job {job}")[0]


def status(cluster):
    return json.loads(cluster.sfargate("status", "--json").stdout)


def stays_quiet(cluster, job, n):
    end = time.monotonic() + QUIET
    while time.monotonic() < end:
        assert len(messages(cluster, job)) == n
        time.sleep(0.2)


def held(cluster, *options):
    cluster.faults([REFUSAL])
    job = cluster.submit("true\n", *options)
    assert WORDS in cluster.wait_held(job)["AdminComment"]
    return job


def test_a_held_job_is_said_once(cluster, alerts):
    alerts()
    before = status(cluster)["alerts_sent"]
    job = held(cluster, "-p", "spot", "--export=SECRET=hush")
    message = wait_message(cluster, job)
    name = status(cluster)["cluster"]
    assert message["TopicArn"] == TOPIC
    assert message["Subject"] == f"slurm job {job} on {name}: launch failed (quota-size)"
    body = message["body"]
    assert STAMP.fullmatch(body.pop("submitted")) and STAMP.fullmatch(body.pop("launched"))
    assert body == {"version": 1, "job_id": job, "user": "alice", "cluster": name, "partition": "spot", "ecs_cluster": "hpc-spot",
                    "region": "eu-west-1", "class": "quota-size", "reason": f"RunTask: {WORDS}",
                    "try": 1}
    stays_quiet(cluster, job, 1)
    assert status(cluster)["alerts_sent"] == before + 1
    shown = cluster.sfargate("status").stdout
    assert re.search(rf"Alerts +{before + 1} published, \d+ failed, 0 waiting", shown), shown


def test_only_the_wanted_endings(cluster, alerts):
    alerts()
    quiet = cluster.submit("exit 3\n")
    cluster.wait_state(quiet, {"FAILED"})
    alerts("AlertOn=failed")
    good, bad = cluster.submit("exit 0\n"), cluster.submit("exit 3\n", "-a", "7")
    cluster.wait_state(good)
    cluster.wait_state(bad, {"FAILED"})
    record = cluster.show(f"{bad}_7")
    message = wait_message(cluster, int(record["JobId"]))
    assert message["Subject"] == f"slurm job {bad}_7 on {status(cluster)['cluster']}: failed (exit code 3)"
    body = message["body"]
    assert (body["array_job_id"], body["array_task_id"], body["class"], body["exit_code"]) == (bad, 7, "exited", 3)
    assert body["task"] == cluster.tasks(record["JobId"])[0]["taskArn"].rpartition("/")[2]
    times = [body[k] for k in ("submitted", "launched", "started", "ended")]
    assert all(map(STAMP.fullmatch, times)) and times == sorted(times)
    stopped = cluster.submit("sleep 60\n")
    cluster.wait_state(stopped, {"RUNNING"})
    cluster.scancel(stopped)
    cluster.wait_state(stopped, {"CANCELLED"})
    stays_quiet(cluster, good, 0)
    assert not messages(cluster, quiet) and not messages(cluster, stopped)


TROUBLE = [
    ({"error": {"code": "AuthorizationError", "message": "not\nauthorized", "status": 403}}, "Publish: AuthorizationError: not?authorized"),
    ({"raw": {"status": 500, "body": "<html>", "type": "text/html"}, "times": 6}, "Publish: HTTP error: <html>"),
    ({"error": {"code": "Throttling", "message": "Rate exceeded", "status": 400}, "times": 5}, None),
    ({"cut": "after"}, "Publish: http://127.0.0.1:"),
]


@pytest.mark.parametrize("rule, problem", TROUBLE, ids=["refused", "500", "throttled", "cut"])
def test_sns_in_trouble(cluster, alerts, rule, problem):
    alerts()
    before = status(cluster)
    cluster.faults([{"op": "Publish", **rule}, REFUSAL])
    job = cluster.submit("true\n")
    cluster.wait_held(job)
    wanted = (before["alerts_sent"] + (problem is None), before["alerts_failed"] + (problem is not None), 0)

    def done():
        s = status(cluster)
        return s if (s["alerts_sent"], s["alerts_failed"], s["alerts_waiting"]) == wanted else None

    s = wait_for(done, 60, lambda: f"{wanted}: {status(cluster)}")
    assert s["aws"] == "ok"
    if problem is None:
        assert "alert_problem" not in s
        return
    assert s["alert_problem"].startswith(problem)
    assert f"AlertProblem   {problem}" in re.sub("  +", "   ", cluster.sfargate("status").stdout)
    assert cluster.agent_log().count(f"job {job}: its alert was not published: {problem}") == 1


def test_a_hanging_sns(cluster, alerts):
    alerts()
    cluster.faults([{"op": "Publish", "delay": 8}, REFUSAL])
    begun = time.monotonic()
    job = cluster.submit("true\n")
    cluster.wait_held(job)
    other = cluster.submit("exit 0\n")
    cluster.wait_state(other)
    assert status(cluster)["alerts_waiting"] == 1 and time.monotonic() - begun < 8, "the machine is too slow for this test"
    wait_message(cluster, job)


def test_a_topic_that_is_not_there(cluster, alerts):
    """In README's words; IAM lets the agent publish to one topic only."""
    alerts(topic=TOPIC + "-2")
    job = held(cluster)
    wanted = f"Publish: AuthorizationError: User: arn:aws:iam::123456789012:user/local is not authorized to perform: SNS:Publish on " \
        f"resource: {TOPIC}-2"
    wait_for(lambda: status(cluster).get("alert_problem", "").startswith(wanted), 20, lambda: str(status(cluster)))
    assert not messages(cluster, job)
