# What must not decide how a job ends: sidecars, empty and strange answers, states nobody knows, the agent's own FailureRule lines.
# SPDX-License-Identifier: GPL-2.0-or-later
import pytest

from cluster import wait_for
from test_conf_reload import Conf

# name → (fault rules, script, state, exit code)
UNMOVED = {
    "a sidecar that fails": ([{"task": {}, "sidecar_exit": 9}], "echo fine\n", "COMPLETED", "0:0"),
    "a sidecar that ends well": ([{"task": {}, "sidecar_exit": 0}], "exit 4\n", "FAILED", "4:0"),
    "a state that is never shown": ([{"task": {}, "skip": ["PENDING", "ACTIVATING", "RUNNING"]}], "exit 5\n", "FAILED", "5:0"),
    "no task at first": ([{"task": {}, "missing": 3}], "echo fine\n", "COMPLETED", "0:0"),
    "empty answers": ([{"op": "DescribeTasks", "times": 3, "reply": {"tasks": [], "failures": []}}], "exit 6\n", "FAILED", "6:0"),
    "an exit code that comes at the end": ([{"exitcode_at": "stopped"}], "exit 7\n", "FAILED", "7:0"),
    "pages of HTML": ([{"op": "*", "times": 4, "raw": {"status": 503, "body": "<html>busy</html>", "type": "text/html"}}], "exit 8\n",
                      "FAILED", "8:0"),
}


@pytest.mark.parametrize("name", UNMOVED)
def test_only_our_container_decides(cluster, name):
    rules, script, state, code = UNMOVED[name]
    cluster.faults(rules)
    job = cluster.submit(script, "-o", "out.%j")
    record = cluster.wait_state(job, {state}, timeout=90)
    assert record["ExitCode"] == code
    if code == "0:0":
        assert cluster.output(job) == "fine\n"
    assert len(cluster.tasks(job)) == 1


STRANGE = {
    "a stop code nobody knows": {"stopCode": "InfrastructureHealth", "stoppedReason": "Something new.", "container": {"exitCode": None}},
    "a stop code nobody knows with exit code 0": {"stopCode": "WhoKnows", "stoppedReason": "Something new.", "container": {"exitCode": 0}},
}


@pytest.mark.parametrize("name", STRANGE)
def test_what_is_not_known_is_no_success(cluster, name):
    cluster.faults([{"task": {}, "ending": {"at": "RUNNING", "after": 0.5, **STRANGE[name]}}])
    job = cluster.submit("sleep 600\n", "--no-requeue")
    record = cluster.wait_state(job, {"FAILED"}, timeout=90)
    assert record["ExitCode"] == "1:0" and "Something new." in record["AdminComment"]


@pytest.fixture(name="conf")
def fixture_conf(cluster):
    conf = Conf(cluster)
    yield conf
    conf.restore()


def test_failure_rules_come_before_the_table(cluster, conf):
    """An administrator's line makes of a permanent failure a passing one, and `sfargate conf` lists it first."""
    conf.put_and_wait(conf.text + "FailureRule=start-transient StoppedReason=\"CannotPullContainerError: *mirror is asleep*\"\n",
                      "the changed file is in force", "loaded")
    shown = cluster.run("sfargate", "conf").stdout
    assert shown.index("mirror is asleep") < shown.index("cannotpull")
    cluster.faults([{"task": {}, "ending": {"at": "PENDING", "after": 0.1, "stopCode": "TaskFailedToStart",
                                            "stoppedReason": "CannotPullContainerError: not found: the mirror is asleep"}}])
    job = cluster.submit("echo second\n", "-o", "out.%j")
    cluster.wait_state(job, timeout=90)
    assert cluster.output(job) == "second\n" and len(cluster.tasks(job)) == 2
    cluster.faults([{"task": {}, "ending": {"at": "PENDING", "after": 0.1, "stopCode": "TaskFailedToStart",
                                            "stoppedReason": "CannotPullContainerError: not found"}}])
    held = cluster.submit("echo never\n")
    assert "CannotPullContainerError: not found" in cluster.wait_held(held)["AdminComment"]
    wait_for(lambda: cluster.state(held) == "PENDING", 10, "the hold")
