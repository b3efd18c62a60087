# fargate.conf changes while slurmctld and the agent run, and fargated -t.
# SPDX-License-Identifier: GPL-2.0-or-later
import os
import signal
import time

import pytest

from cluster import wait_for

PROMISED = 5  # seconds until both logs have said it
SLACK = 3     # of a loaded machine


class Conf:
    """fargate.conf of the sandbox: written as an editor does, put back at the end."""

    def __init__(self, cluster):
        self.cluster = cluster
        self.path = os.path.join(os.path.dirname(cluster.env["SLURM_CONF"]), "fargate.conf")
        with open(self.path, encoding="utf-8") as f:
            self.text = f.read()

    def put(self, text):
        with open(self.path, "w", encoding="utf-8") as f:
            f.write(text)

    def replaced(self, *pairs):
        text = self.text
        for old, new in pairs:
            assert old in text, old
            text = text.replace(old, new, 1)
        return text

    def lines_since(self, part, start):
        return self.cluster.log(part)[start:]

    def put_and_wait(self, text, agent, slurmctld):
        """Until both logs say so; → what the agent's log has said since."""
        starts = len(self.cluster.log("agent")), len(self.cluster.log("slurmctld"))
        begun = time.monotonic()
        self.put(text)
        for part, start, what in zip(("agent", "slurmctld"), starts, (agent, slurmctld)):
            wait_for(lambda part=part, start=start, what=what: what in self.lines_since(part, start), PROMISED + SLACK,
                     f"{what!r} in the log of {part}", step=0.1)
        assert time.monotonic() - begun < PROMISED + SLACK
        return self.lines_since("agent", starts[0])

    def restore(self):
        self.put_and_wait(self.text, "the changed file is in force", f"job_submit/fargate: {self.path} loaded")


@pytest.fixture(name="conf")
def fixture_conf(cluster):
    conf = Conf(cluster)
    yield conf
    conf.restore()


def test_a_bad_edit_keeps_the_old_conf_and_both_logs_say_so(cluster, conf):
    job = cluster.submit("sleep 5\nexit 3\n")
    where = f"{conf.path}:{len(conf.text.splitlines()) + 1}: unknown key Colour"
    start = len(cluster.agent_log())
    conf.put_and_wait(conf.text + "Colour=red\n", f"{where}; the configuration loaded before stays in force",
                      f"{where} (the configuration loaded before stays in force)")
    # sfargate finds the agent through the file, bad as it is
    assert where in cluster.sfargate("status").stdout
    cluster.wait_state(cluster.submit("true\n"))
    assert cluster.wait_state(job, {"FAILED"})["ExitCode"] == "3:0"
    # looked at again every 2 s, said once
    assert conf.lines_since("agent", start).count("unknown key Colour") == 1


def test_a_good_edit_changes_what_happens_next_and_nothing_that_runs(cluster, conf):
    running = cluster.submit("echo before\nsleep 6\necho after\nexit 4\n", "-o", "out.%j", "-p", "fargate")
    cluster.wait_state(running, {"RUNNING"})
    text = conf.replaced(("PartitionName=fargate Default=YES Cluster=hpc ",
                          "PartitionName=fargate LogFraming=NO LogGrace=1 Adopt=YES Cluster=hpc-spot "),
                         ("PartitionName=spot ", "PartitionName=spot Default=YES "))
    said = conf.put_and_wait(text, "fargate.conf: the changed file is in force, 2 partitions", f"{conf.path} loaded")
    assert cluster.state(running) == "RUNNING", "the machine is too slow for this test"
    assert "Adopt has no effect in this version" in said
    assert "Adopt has no effect in this version" in cluster.log("slurmctld")
    moved = cluster.submit("true\n")
    assert cluster.show(moved)["Partition"] == "spot"
    plain = cluster.submit("echo unframed\n", "-o", "out.%j", "-p", "fargate")
    cluster.wait_state(plain)
    cluster.wait_state(moved)
    assert cluster.output(plain) == "unframed\n"
    tasks = {t["startedBy"].rpartition("/")[2]: t for t in cluster.control("GET", "tasks")}
    assert tasks[str(plain)]["clusterArn"].endswith("cluster/hpc-spot")
    assert tasks[str(running)]["clusterArn"].endswith("cluster/hpc")
    # its line names another ECS cluster by now, its task is followed where it is
    assert cluster.wait_state(running, {"FAILED"})["ExitCode"] == "4:0"
    assert cluster.output(running) == "before\nafter\n"


def test_a_conf_that_does_not_fit_slurm_is_refused_alive(cluster, conf):
    text = conf.replaced(("PartitionName=spot", "PartitionName=nowhere"))
    kept = "; the configuration loaded before stays in force"
    conf.put_and_wait(text, "Slurm has no partition 'nowhere'" + kept, f"{conf.path} loaded")
    conf.put_and_wait("StopGrace=26\n" + conf.text, "at least 5 s below KillWait in slurm.conf" + kept, f"{conf.path} loaded")
    cluster.wait_state(cluster.submit("true\n"))


def test_what_takes_a_restart_is_said_and_sighup_is_a_look(cluster, conf):
    said = conf.put_and_wait("Instance=other\n" + conf.text, "the changed file is in force", f"{conf.path} loaded")
    assert "the change of Instance takes a restart of fargated; until then it stays 'drawn at random'" in said
    start = len(cluster.agent_log())
    os.kill(cluster.pid("agent"), signal.SIGHUP)
    wait_for(lambda: "the changed file is in force" in conf.lines_since("agent", start), PROMISED, "the look after SIGHUP")
    assert f"signal 1: looking at {conf.path}" in conf.lines_since("agent", start)
    cluster.wait_state(cluster.submit("true\n"))


def fargated_t(cluster, path, user="slurm", **env):
    return cluster.run(os.path.join(cluster.root, "bin", "fargated"), "-t", "-f", path, user=user, cwd="/", env=env)


@pytest.mark.parametrize("user", ["slurm", None], ids=["SlurmUser", "root"])
def test_fargated_t_prints_what_is_in_force(cluster, user):
    conf = Conf(cluster)
    done = fargated_t(cluster, conf.path, user)
    assert done.returncode == 0, done.stderr
    assert f"fargated: {conf.path} is good, 2 partitions, and fits Slurm's cluster " in done.stderr
    assert "warning" not in done.stderr
    assert "\nStopGrace=5\n" in done.stdout and " MaxVcpu=UNLIMITED " in done.stdout
    # what it prints is a conf that means the same
    again = os.path.join(cluster.root, "etc", "again.conf")
    with open(again, "w", encoding="utf-8") as f:
        f.write(done.stdout)
    twice = fargated_t(cluster, again, user)
    os.unlink(again)
    assert twice.returncode == 0, twice.stderr
    assert twice.stdout.splitlines()[1:] == done.stdout.splitlines()[1:]


def test_fargated_t_refuses_in_words(cluster):
    conf = Conf(cluster)
    path = os.path.join(cluster.root, "etc", "try.conf")
    rows = [
        (conf.text + "Colour=red\n", f"fargated: error: {path}:{len(conf.text.splitlines()) + 1}: unknown key Colour\n"),
        ("StopGrace=26\n" + conf.text,
         f"fargated: error: {path}: StopGrace in fargate.conf must be at least 5 s below KillWait in slurm.conf\n"),
        (conf.replaced(("PartitionName=spot", "PartitionName=nowhere")), "Slurm has no partition 'nowhere'\n"),
        ("Include /etc/more\n", f"fargated: error: {path}:1: Include is not supported: put every line into this file\n"),
    ]
    for text, message in rows:
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        done = fargated_t(cluster, path)
        assert done.returncode == 1 and done.stdout == "", (text, done.stdout)
        assert done.stderr.endswith(message), done.stderr
    os.chmod(path, 0o666)
    done = fargated_t(cluster, path)
    assert done.returncode == 1 and "may be written by others than root and SlurmUser (mode 0666)" in done.stderr
    os.unlink(path)
    done = fargated_t(cluster, path)
    assert done.returncode == 1 and f"{path}: cannot be read: No such file or directory" in done.stderr


def test_fargated_t_without_slurm_says_what_it_did_not_check(cluster):
    conf = Conf(cluster)
    done = fargated_t(cluster, conf.path, SLURM_CONF="/nowhere/slurm.conf")
    assert done.returncode == 0, done.stderr
    assert "is good, 2 partitions; it was not held against Slurm, for no slurmctld answers" in done.stderr
    assert "fatal" not in done.stderr
