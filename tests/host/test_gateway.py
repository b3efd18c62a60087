# fargate.so in slurmstepd on a gateway: no user code, the hand-over, and what fargate-attach is started with.
# SPDX-License-Identifier: GPL-2.0-or-later
import json
import os
import re
import shutil
import signal
import socket

import pytest

import support

BATCH, EXTERN, INTERACTIVE = 0xfffffffb, 0xfffffffc, 0xfffffffa
JOB_UID = 65534
# slurmstepd is root; without root the tests hold for one's own uid.
TASK_UID = JOB_UID if os.geteuid() == 0 else os.geteuid()
HOOKS = ["init", "init_post_opt", "user_init", "task_init_privileged", "task_init"]
BEFORE = ["init", "init_post_opt", "user_init", "task_post_fork", "task_exit", "exit"]
USERS = ["HOME=/home/alice", "PATH=/home/alice/bin", "LD_PRELOAD=/home/alice/x.so", "SF_ATTACH_TIMEOUT=86400",
         "SF_ATTACH_TOKEN=mine", "BASH_ENV=/home/alice/env"]

OFF_GATEWAY = ("error: fargate: this job was submitted with --fargate, but its node is no gateway; the administrator should look at "
               "gateways= in plugstack.conf and at JobSubmitPlugins=fargate in slurm.conf")
NOT_BATCH = ("error: fargate: nothing but the batch script of a --fargate job runs on a gateway; "
             "srun, salloc and steps are refused")
NO_SPEC = ("error: fargate: this is a gateway and the job was not submitted with --fargate; "
           "use sbatch --fargate or another partition")

# Takes fargate-attach's place: tells with what it was started.
STAND_IN = """#!/usr/bin/python3 -IS
import json, os, signal, sys
def is_open(fd):
    try:
        return bool(os.fstat(fd))
    except OSError:
        return False
environ = open("/proc/self/environ").read().split("\\0")[:-1]
print(json.dumps({"environ": environ, "fds": [fd for fd in range(4096) if is_open(fd)], "uid": os.getuid(),
                  "blocked": [s for s in signal.pthread_sigmask(signal.SIG_BLOCK, [])]}))
sys.stdout.flush()
if is_open(3):
    os.write(3, bytes([1, 67, 0, 0, 0, 0, 0, 0]))
sys.exit(23)
"""


class Gateway:
    def __init__(self, directory):
        self.directory = directory
        self.socket = os.path.join(directory, "sock")
        self.attach = os.path.join(directory, "attach")
        with open(self.attach, "w", encoding="utf-8") as file:
            file.write(STAND_IN)
        os.chmod(self.attach, 0o755)

    def plan(self, gateways="gw[1-3]", nodes="gw2", spec=support.SPEC, step=BATCH, args=None, env=(), steps=None, **more):
        job_env = list(USERS) + list(env)
        if nodes is not None:
            job_env.append(f"SLURM_JOB_NODELIST={nodes}")
        if spec is not None:
            job_env.append(f"SLURM_SPANK_FARGATE={spec}")
        if args is None:
            args = [f"gateways={gateways}", f"socket={self.socket}", f"attach={self.attach}"]
        plan = {"context": "remote", "args": args, "job_env": job_env, "steps": HOOKS if steps is None else steps,
                "items": {"job_id": 4711, "uid": JOB_UID, "gid": JOB_UID, "step": step, "restart": 0},
                "task_uid": TASK_UID, "decoys": ["3", "5", "20", "100"]}
        return dict(plan, **more)

    def start(self, **what):
        return support.start_host(self.directory, self.plan(**what))

    def finish(self, process):
        return support.finish_host(self.directory, process)

    def run(self, node=None, **what):
        """node: slurmstepd's own SLURMD_NODENAME."""
        return support.run_host(self.directory, self.plan(**what), {"SLURMD_NODENAME": node} if node else None)


@pytest.fixture
def gateway(directory):
    return Gateway(directory)


def handed_over(gateway, agent, processes, answer="ACCEPT", fields=None, **what):
    """A run in which the agent answers the hand-over so: (peer, HANDOVER's fields, run)."""
    processes.append(gateway.start(**what))
    peer = agent.accept()
    handover = peer.expect("HANDOVER")
    peer.send(answer, **(fields or {}))
    return peer, handover, gateway.finish(processes.pop())


def started(run):
    """What the stand-in told; task_init did not come back."""
    assert run.status == 23 and not run.finished("task_init"), (run.messages(), run.errors)
    assert run.codes() == dict.fromkeys(HOOKS[:-1], 0)
    told = json.loads(run.output)
    told["environ"] = dict(entry.split("=", 1) for entry in told["environ"])
    assert told["uid"] == TASK_UID
    return told


def refused(run, sentence):
    """Hook 4 failed with that sentence, left no descriptor, and said nothing else."""
    hook = run.hook("task_init_privileged")
    assert (hook["rc"], hook["messages"]) == (-1, [sentence])
    assert hook["fds_after"] == hook["fds_before"]
    assert not run.output


def without_agent(told):
    """Nothing of the agent's was passed on."""
    return told["fds"] == [0, 1, 2] and "SF_ATTACH_FD" not in told["environ"]


def test_the_batch_step_is_handed_over(gateway, agent, processes):
    peer, handover, run = handed_over(gateway, agent, processes)
    assert peer.uid == os.geteuid()
    token = handover.pop("TOKEN")
    assert re.fullmatch("[0-9a-f]{32}", token)
    assert handover == {"JOB": 4711, "UID": JOB_UID, "SPEC": support.SPEC}
    told = started(run)
    assert told["fds"] == [0, 1, 2, 3]
    assert told["environ"] == {"SF_ATTACH_JOB": "4711", "SF_ATTACH_RESTART": "0", "SF_ATTACH_TOKEN": token,
                               "SF_ATTACH_SOCKET": gateway.socket, "SF_ATTACH_SPEC": support.SPEC, "SF_ATTACH_FD": "3"}
    peer.expect("OUTPUT")  # what the stand-in wrote to descriptor 3
    assert peer.receive() is None
    assert run.messages() == []


def test_signals_wait_until_fargate_attach_listens(gateway, agent, processes):
    """A SIGTERM between the exec and its signalfd would end the step as 0:15, and the agent would not hear of it."""
    blocked = started(handed_over(gateway, agent, processes)[2])["blocked"]
    assert {signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGXCPU} <= set(blocked)
    assert not {signal.SIGCONT, signal.SIGTSTP, signal.SIGKILL, signal.SIGSTOP} & set(blocked)


def test_each_job_has_its_own_token(gateway, agent, processes):
    tokens = {handed_over(gateway, agent, processes)[1]["TOKEN"] for _ in range(3)}
    assert len(tokens) == 3


def test_hook_4_itself_leaves_one_descriptor_that_exec_would_close(gateway, agent, processes):
    _, _, run = handed_over(gateway, agent, processes, steps=HOOKS[:-1])
    hook = run.hook("task_init_privileged")
    assert len(set(hook["fds_after"]) - set(hook["fds_before"])) == 1 and hook["rc"] == 0


@pytest.mark.parametrize("decoys", ([], ["3"], ["4", "1000"]))
def test_whatever_slurmstepd_has_open_is_closed(gateway, agent, processes, decoys):
    _, _, run = handed_over(gateway, agent, processes, decoys=decoys)
    assert started(run)["fds"] == [0, 1, 2, 3]


def test_the_restart_count_and_the_limit_are_passed_on(gateway, agent, processes):
    args = gateway.plan()["args"] + ["reattach=77"]
    # slurmstepd adds the count between hook 4 and hook 7
    steps = [*HOOKS[:-1], {"job_env": "SLURM_RESTART_COUNT=3"}, HOOKS[-1]]
    _, _, run = handed_over(gateway, agent, processes, steps=steps, args=args)
    told = started(run)
    assert (told["environ"]["SF_ATTACH_RESTART"], told["environ"]["SF_ATTACH_TIMEOUT"]) == ("3", "77")


def test_a_restart_count_that_the_user_brought_is_not_believed(gateway, agent, processes):
    _, _, run = handed_over(gateway, agent, processes, env=["SLURM_RESTART_COUNT=5"])
    assert started(run)["environ"]["SF_ATTACH_RESTART"] == "0"


def test_the_real_attach_takes_the_connection_over(gateway, agent, processes, directory):
    # a copy: the build may lie where the task's user cannot look
    gateway.attach = shutil.copy(support.built("fargate-attach"), directory)
    processes.append(gateway.start())
    peer = agent.accept()
    handover = peer.expect("HANDOVER")
    peer.send("ACCEPT")
    attach = peer.expect("ATTACH")
    assert attach == {"JOB": 4711, "RESTART": 0, "TOKEN": handover["TOKEN"], "SPEC": support.SPEC}
    with open(f"/proc/{processes[0].pid}/cmdline", "rb") as file:
        assert file.read() == b"fargate-attach\0"
    peer.send("ACCEPT")
    peer.send("OUTPUT", STREAM=1, CURSOR=b"1", BYTES=b"from the task\n")
    peer.send("EXIT", NUMBER=7)
    run = gateway.finish(processes.pop())
    assert (run.status, run.output, run.errors) == (7, b"from the task\n", b"")


def test_without_an_agent_attach_starts_all_the_same(gateway):
    told = started(gateway.run())
    assert without_agent(told)
    assert set(told["environ"]) == {"SF_ATTACH_JOB", "SF_ATTACH_RESTART", "SF_ATTACH_TOKEN", "SF_ATTACH_SOCKET", "SF_ATTACH_SPEC"}
    assert re.fullmatch("[0-9a-f]{32}", told["environ"]["SF_ATTACH_TOKEN"])


@pytest.mark.parametrize("answer, fields", (("REFUSED", {"TEXT": "no"}), ("REFUSED", {"TEXT": "later", "RETRY": 1}),
                                            ("RELEASE", {}), ("EXIT", {"NUMBER": 0})))
def test_an_agent_that_does_not_accept_gets_no_descriptor(gateway, agent, processes, answer, fields):
    _, _, run = handed_over(gateway, agent, processes, answer, fields)
    assert without_agent(started(run))
    hook = run.hook("task_init_privileged")
    assert hook["fds_after"] == hook["fds_before"]


@pytest.mark.parametrize("raw", (b"", b"\x01", b"\x01\x40\x00\x00\x00\x00\x00", b"HTTP/1.1 400 Bad Request\r\n\r\n",
                                 b"\x01\x40\x00\x00\xff\xff\xff\xff"))
def test_an_agent_that_talks_nonsense_and_goes(gateway, agent, processes, raw):
    processes.append(gateway.start())
    peer = agent.accept()
    peer.expect("HANDOVER")
    peer.sock.sendall(raw)
    peer.close()
    assert without_agent(started(gateway.finish(processes.pop())))


def in_time(run):
    """Design section 5.5: within a second. Half a second more for a busy machine."""
    hook = run.hook("task_init_privileged")
    assert hook["rc"] == 0 and hook["ms"] <= 1500
    assert hook["fds_after"] == hook["fds_before"]
    return without_agent(started(run))


def test_an_agent_that_hangs_is_not_waited_for(gateway, agent):
    assert agent.listener  # it listens and nobody ever accepts
    assert in_time(gateway.run())


def test_an_agent_with_a_full_backlog_is_not_waited_for(gateway, new_agent):
    new_agent(backlog=0)
    others = []
    with pytest.raises(BlockingIOError):
        while True:
            others.append(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
            others[-1].setblocking(False)
            others[-1].connect(gateway.socket)
    assert in_time(gateway.run())
    for other in others:
        other.close()


def test_an_agent_that_never_finishes_its_answer_is_not_waited_for(gateway, agent, processes):
    processes.append(gateway.start())
    peer = agent.accept()
    peer.expect("HANDOVER")
    peer.sock.sendall(b"\x01\x40\x00")
    assert in_time(gateway.finish(processes.pop()))


@pytest.mark.parametrize("step", (0, 1, 77, INTERACTIVE, EXTERN))
def test_another_step_is_refused(gateway, agent, step):
    refused(gateway.run(step=step, steps=HOOKS[:-1]), NOT_BATCH)
    agent.listener.setblocking(False)
    with pytest.raises(BlockingIOError):
        agent.listener.accept()


@pytest.mark.parametrize("nodes", ("gw2", "n1", None))
@pytest.mark.parametrize("step", (0, 77, INTERACTIVE))
def test_another_step_ends_before_its_task_is_forked(gateway, nodes, step):
    """After the fork Slurm runs srun's --task-epilog as the user, whatever the hooks of the task said."""
    run = gateway.run(node="gw2", nodes=nodes, step=step, steps=["init", "init_post_opt", "user_init"])
    assert run.codes() == {"init": 0, "init_post_opt": 0, "user_init": -1}
    assert run.messages() == [NOT_BATCH]


@pytest.mark.parametrize("node", ("n1", "gw10", None))
def test_a_step_on_another_node_goes_on(gateway, node):
    run = gateway.run(node=node, step=0, steps=["user_init"])
    assert run.codes() == {"user_init": 0} and run.messages() == []


@pytest.mark.parametrize("spec", (support.SPEC, None, "{"))
def test_the_batch_step_is_never_failed_before_its_task_but_keeps_no_variable_of_the_user(gateway, spec):
    run = gateway.run(node="gw2", spec=spec, steps=BEFORE, env=["=", "odd", "X=1", "X=2", "SLURM_JOB_ID=4711"])
    assert set(run.codes().values()) == {0} and run.messages() == []
    kept = [entry for entry in run.end["job_env"] if not entry.startswith("SLURM_SPANK_FARGATE=")]
    assert kept == ["odd", "SLURM_JOB_ID=4711", "SLURM_JOB_NODELIST=gw2"]


def test_an_ordinary_job_keeps_its_variables(gateway):
    run = gateway.run(node="n1", nodes="n1", steps=BEFORE)
    assert run.end["job_env"][:len(USERS)] == USERS


@pytest.mark.parametrize("step", (0, INTERACTIVE))
def test_another_step_is_refused_in_task_init_too(gateway, step):
    hook = gateway.run(step=step, steps=["task_init"]).hook("task_init")
    assert (hook["rc"], hook["messages"]) == (-1, ["error: fargate: the job was not handed over"])


FORGED = (
    None, "", "x", "{}", "[]", "null", "\"\"", "{\"v\":1}", "{\"v\":1,\"spec\":null}", "{\"v\":1,\"spec\":[]}",
    "{\"v\":1,\"options\":{\"cpu\":0,\"mem\":0,\"env\":[]}}",
    support.SPEC[:-1], support.SPEC + "x", support.SPEC.replace("\"v\":1", "\"v\":2"),
    support.make_spec(sid="short"), support.make_spec(sid="00112233445566AA"), support.make_spec(cpu=255),
    support.make_spec(cpu=-1),
    support.make_spec(mem=1), support.make_spec(mem="512"), support.make_spec(cpus_asked=0), support.make_spec(partition=""),
    support.make_spec(args="x"), support.make_spec(args=[1]), support.make_spec(env=["SLURM_JOB_ID=1"]),
    support.make_spec(env=["1=2"]), support.make_spec(submit=-1), "[" * 100000, support.make_spec(args=["x" * 300000]),
)


@pytest.mark.parametrize("spec", FORGED, ids=lambda spec: repr(spec)[:40])
def test_a_job_without_a_good_spec_is_refused(gateway, agent, spec):
    refused(gateway.run(spec=spec, steps=HOOKS[:-1]), NO_SPEC)
    agent.listener.setblocking(False)
    with pytest.raises(BlockingIOError):
        agent.listener.accept()


@pytest.mark.parametrize("missing", ("socket", "attach"))
def test_a_gateway_without_socket_or_attach_refuses(gateway, missing):
    args = [arg for arg in gateway.plan()["args"] if not arg.startswith(missing)]
    refused(gateway.run(args=args, steps=HOOKS[:-1]),
            "error: fargate: plugstack.conf names no socket= or no attach= for this gateway; tell the administrator")


def test_an_attach_that_cannot_be_started_fails_the_job(gateway):
    gateway.attach += ".gone"
    hook = gateway.run().hook("task_init")
    assert (hook["rc"], hook["messages"]) == (
        -1, ["error: fargate: fargate-attach cannot be started on this gateway; tell the administrator"])


def test_an_unknown_plugstack_argument_is_named(gateway):
    run = gateway.run(args=gateway.plan()["args"] + ["gateway=gw1"], steps=HOOKS[:-1])
    assert run.messages() == ["error: fargate: plugstack.conf: unknown argument 'gateway=gw1'; "
                              "known are gateways=, socket=, attach=, reattach="]
    assert run.codes()["task_init_privileged"] == 0


ELSEWHERE = (("gw[1-3]", "n1"), ("gw[1-3]", "n[1-100],m"), ("gw[1-3]", "gw02"), ("gw[01-03]", "gw2"), ("gw1", "gw10"),
             ("gw", "GW"), ("gw[1,3]", "gw2,gw[4-9]"))


@pytest.mark.parametrize("gateways, nodes", ELSEWHERE)
def test_on_another_node_the_hooks_do_nothing(gateway, agent, gateways, nodes):
    for what in ({"step": 0}, {"spec": None}):
        run = gateway.run(gateways=gateways, nodes=nodes, **what)
        assert run.codes() == dict.fromkeys(HOOKS, 0)
        assert run.messages() == [] and run.status == 0
        assert all(line["fds_before"] == line["fds_after"] for line in run.lines if line.get("done"))
    agent.listener.setblocking(False)
    with pytest.raises(BlockingIOError):
        agent.listener.accept()


def test_without_gateways_the_hooks_do_nothing(gateway):
    assert gateway.run(args=[], spec=None).codes() == dict.fromkeys(HOOKS, 0)


@pytest.mark.parametrize("what", ({"gateways": "gw[1-3]", "nodes": "n1"}, {"args": []}))
def test_a_job_meant_for_fargate_does_not_run_on_another_node_in_silence(gateway, what):
    refused(gateway.run(steps=HOOKS[:-1], **what), OFF_GATEWAY)


MEETING = (("gw[1-3]", "gw3"), ("gw2", "gw2"), ("a,gw[1-3],b", "gw[3-5]"), ("gw[1-3]", "n[1-9],gw3,m"),
           ("gw[01-12]", "gw[07-08]"))


@pytest.mark.parametrize("gateways, nodes", MEETING)
def test_a_job_that_touches_a_gateway_runs_no_user_code(gateway, gateways, nodes):
    refused(gateway.run(gateways=gateways, nodes=nodes, step=0, steps=HOOKS[:-1]), NOT_BATCH)


@pytest.mark.parametrize("gateways, nodes", (("gw[1-3", "n1"), ("gw[]", "n1"), ("", "n1"), ("gw1,", "n1"), ("gw1", "n[1"),
                                             ("gw1", ""), ("gw[1]]", "n1"), ("gw[3-1]", "n1"), ("gw[0-99999999]", "n1")))
def test_a_list_that_cannot_be_read_runs_no_user_code(gateway, gateways, nodes):
    run = gateway.run(gateways=gateways, nodes=nodes, step=0, steps=HOOKS[:-1])
    hook = run.hook("task_init_privileged")
    assert hook["rc"] == -1
    assert hook["messages"] == [
        f"error: fargate: plugstack.conf gateways={gateways} or the job's nodes {nodes} are no host list", NOT_BATCH]


def test_what_a_user_wrote_reaches_the_log_as_one_line(gateway):
    hook = gateway.run(nodes="gw[\n\x1b[2J", step=0, steps=HOOKS[:-1]).hook("task_init_privileged")
    assert hook["messages"] == [
        "error: fargate: plugstack.conf gateways=gw[1-3] or the job's nodes gw[??[2J are no host list", NOT_BATCH]


def test_a_list_too_long_to_be_read_runs_no_user_code(gateway):
    nodes = ",".join(f"n{number}" for number in range(12000))
    assert len(nodes) > 65536
    hook = gateway.run(gateways="gw1", nodes=nodes, step=0, steps=HOOKS[:-1]).hook("task_init_privileged")
    assert hook["rc"] == -1
    assert hook["messages"] == [
        "error: fargate: SLURM_JOB_NODELIST is too long to be compared with plugstack.conf's gateways=", NOT_BATCH]


@pytest.mark.parametrize("nodes", (None, "n1"))
def test_a_step_that_hides_its_node_is_found_out_in_task_init(gateway, nodes):
    steps = ["task_init_privileged", {"job_env": "SLURMD_NODENAME=gw2"}, "task_init"]
    run = gateway.run(nodes=nodes, step=0, steps=steps)
    assert run.codes() == {"task_init_privileged": 0, "task_init": -1}
    assert run.messages() == ["error: fargate: the job was not handed over"]
    steps[1] = {"job_env": "SLURMD_NODENAME=n1"}
    assert gateway.run(nodes=nodes, step=0, steps=steps).codes() == {"task_init_privileged": 0, "task_init": 0}


STRANGE_ARGS = ([], [""], ["="], ["nonsense"], ["gateways="], ["gateways=["], ["gateways=gw2"],
                ["gateways=gw2", "socket=", "attach="], ["gateways=gw2", "socket=" + "x" * 5000, "attach=/"],
                ["socket=/dev/null"], ["%s%n%s%n"], ["gateways=" + "a," * 30000])
STRANGE_ENV = ([], ["SLURM_JOB_NODELIST="], ["SLURM_JOB_NODELIST=["], ["SLURM_JOB_NODELIST=gw2"],
               ["SLURM_JOB_NODELIST=gw2", "SLURM_SPANK_FARGATE="], ["SLURM_JOB_NODELIST=gw2", "SLURM_SPANK_FARGATE={"],
               ["SLURM_JOB_NODELIST=gw2", f"SLURM_SPANK_FARGATE={support.SPEC}"],
               ["SLURM_JOB_NODELIST=" + "x" * 100000], ["_SLURM_SPANK_OPTION_fargate_fargate=%n"])
STRANGE_ITEMS = ({}, {"step": BATCH}, {"step": 0, "job_id": 0, "uid": 0}, {"job_id": 1, "uid": JOB_UID, "step": EXTERN})


@pytest.mark.parametrize("args", STRANGE_ARGS, ids=lambda args: repr(args)[:40])
def test_no_hook_but_those_of_the_task_ever_fails(gateway, args):
    for env in STRANGE_ENV:
        for items in STRANGE_ITEMS:
            run = support.run_host(gateway.directory, {"context": "remote", "args": args, "job_env": env, "items": items,
                                                       "steps": BEFORE})
            assert run.codes() == dict.fromkeys(BEFORE, 0)
            assert all(line["fds_before"] == line["fds_after"] for line in run.lines if line.get("done"))
            assert run.messages() == [] and run.end["options"] == []


@pytest.mark.parametrize("args", STRANGE_ARGS, ids=lambda args: repr(args)[:40])
def test_the_hooks_of_the_task_survive_anything(gateway, args):
    for env in STRANGE_ENV:
        for items in STRANGE_ITEMS:
            run = support.run_host(gateway.directory, {"context": "remote", "args": args, "job_env": env, "items": items,
                                                       "steps": ["task_init_privileged", "task_init"], "task_uid": TASK_UID})
            assert set(run.codes().values()) <= {0, -1}
