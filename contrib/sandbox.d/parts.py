# The daemons of a sandbox: one table of how each is started and how one sees that it is ready.
# SPDX-License-Identifier: GPL-2.0-or-later
import contextlib
import json
import os
import secrets
import sys

import accounting
import cgroup
import proc
from proc import SandboxError, answers, as_user
from state import CONTRIB, PLUGINS, TOPIC

PATIENCE = 60       # seconds for a daemon to become ready on a busy machine
BASE_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


# -- commands ----------------------------------------------------------------------------------

def _munged(s):
    return as_user("munge") + [
        "munged", "--foreground", "--num-threads=2", "--origin=127.0.0.1",
        "--key-file=" + s.path("munge/munge.key"), "--socket=" + s.path("munge/munge.socket"),
        "--pid-file=" + s.path("munge/munged.pid"), "--seed-file=" + s.path("munge/munged.seed")]


def _fargate_local(s):
    with contextlib.suppress(FileNotFoundError):
        os.unlink(s.path("fargate-local/port"))
    listen = str(s.options.get("local_port", 0))
    return ["/usr/bin/python3", os.path.join(CONTRIB, "fargate-local", "fargate-local"),
            "--port", listen, "--port-file", s.path("fargate-local/port"),
            "--speed", str(s.options["speed"]), "--cluster", "hpc", "--cluster", "hpc-spot",
            "--access-key", s.options["access_key"] + ":" + s.options["secret_key"],
            "--access-key", s.options["admin_key"] + ":" + s.options["admin_secret"],
            "--log-group", "/slurm/jobs", "--topic", TOPIC, "--state-dir", s.path("fargate-local"),
            "--policy", s.options["access_key"] + "=" + s.path("etc/iam-policy.json")]


def _slurmctld(s):
    s.install("job_submit_fargate.so")
    s.install("fargate-prolog")
    return as_user("slurm") + ["slurmctld", "-D", "-f", s.path("etc/slurm.conf")]


def _slurmd(node):
    def command(s):
        s.install("fargate.so")
        s.install("fargate-attach")
        prefix = cgroup.slurmd_prefix(s.cgroup, s.path("cgroup")) if s.cgroup else []
        return prefix + ["slurmd", "-D", "-N", node, "-f", s.path("etc/slurm.conf")]
    return command


def _agent(s):
    s.install("fargated")
    s.install("sfargate")
    return as_user("slurm") + [s.path("bin/fargated"), "-v", "-f", s.path("etc/fargate.conf")]


# -- ready? ------------------------------------------------------------------------------------

def _munged_ready(s):
    return answers(s.path("munge/munge.socket"))


def _local_ready(s):
    try:
        with open(s.path("fargate-local/port"), encoding="ascii") as f:
            port = int(f.read())
    except (OSError, ValueError):
        return False
    s.options["local_port"] = port
    s.options["local_url"] = f"http://127.0.0.1:{port}"
    return True


def _slurmctld_ready(s):
    return " is UP" in proc.run(["scontrol", "ping"], environment(s)).stdout


def _slurmd_ready(node):
    def ready(s):
        done = proc.run(["sinfo", "-h", "-N", "-n", node, "-o", "%T"], environment(s))
        return set(done.stdout.split()) <= {"idle", "mixed", "allocated", "completing"} \
            and done.stdout.strip() != ""
    return ready


def _agent_ready(s):
    return answers(s.path("agent/agent.sock"))


def knows_quotas(s):
    """Whether the agent has read the limit of every quota."""
    done = proc.run([s.path("bin/sfargate"), "quota", "--json"], environment(s))
    try:
        quotas = json.loads(done.stdout)["quotas"]
    except (ValueError, KeyError):
        return False
    return bool(quotas) and all("limit" in quota for quota in quotas)


def wait_quotas(s):
    """Until then each job would be told that its quota is not known."""
    if not proc.wait_until(lambda: knows_quotas(s), PATIENCE):
        raise SandboxError(f"the agent has not read its quotas within {PATIENCE} s; see `sandbox log agent`")


# -- the table ---------------------------------------------------------------------------------

def table(s):
    """Part name → (command, ready); the parts of this sandbox in the order of their start."""
    parts = {"munged": (_munged, _munged_ready)}
    if s.options["local"]:
        parts["fargate-local"] = (_fargate_local, _local_ready)
    if s.options.get("slurmdbd"):
        parts.update(accounting.PARTS)
    parts["slurmctld"] = (_slurmctld, _slurmctld_ready)
    for i, node in enumerate(s.gateways()):
        parts["slurmd" if i == 0 else f"slurmd-{i + 1}"] = (_slurmd(node), _slurmd_ready(node))
    parts["slurmd-local"] = (_slurmd("node1"), _slurmd_ready("node1"))
    parts["agent"] = (_agent, _agent_ready)
    return parts


def nodes(s):
    """Part name → node of every slurmd."""
    names = [name for name in table(s) if name == "slurmd" or name.startswith("slurmd-")]
    return dict(zip(names, s.gateways() + ["node1"]))


def environment(s):
    env = {"PATH": s.path("bin") + ":" + BASE_PATH, "LANG": "C.UTF-8", "HOME": "/",
           # what `down` looks for where there is no cgroup
           "SLURM_FARGATE_SANDBOX": s.ident, "PYTHONDONTWRITEBYTECODE": "1"}
    env.update((name, value) for name, value in s.environment().items() if value)
    return env


def own_environment(s, name):
    """The environment of one part: etc/NAME.env, if there is one, has NAME=value lines that change it; no value: unset."""
    env = environment(s)
    with contextlib.suppress(FileNotFoundError), open(s.path("etc", name + ".env"), encoding="utf-8") as f:
        for line in f:
            variable, _, value = line.rstrip("\n").partition("=")
            env.pop(variable, None)
            env.update({variable: value} if value else {})
    return env


def prepare(s, munge_user):
    """Files the daemons need before the first start."""
    with open(os.open(s.path("munge/munge.key"), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600),
              "wb") as f:
        os.fchown(f.fileno(), munge_user.pw_uid, munge_user.pw_gid)
        f.write(secrets.token_bytes(128))
    for name in PLUGINS:
        s.install(name)
    s.install_wrappers()


def start(s, name):
    """Starts one part; → its Popen, for wait_ready()."""
    if s.pidfile(name).pid():
        raise SandboxError(f"{name} runs already")
    command, _ = table(s)[name]
    child = proc.spawn(command(s), _output(s, name), own_environment(s, name), s.cgroup)
    s.pidfile(name).write(child.pid)
    return child


def wait_ready(s, name, child, patience=PATIENCE):
    """Until the part is ready; an early end or the end of patience shows its log."""
    _, ready = table(s)[name]
    if proc.wait_until(lambda: child.poll() is not None or ready(s), patience) \
            and child.poll() is None:
        return
    fate = f"did not become ready within {patience} s" if child.poll() is None \
        else f"ended at once with code {child.returncode}"
    sys.stderr.write("".join(f"--- {path}\n{proc.tail(path)}" for path in logs(s, name)))
    raise SandboxError(f"{name} {fate}; the end of its log is above")


def wait_nodes(s):
    """A new slurmctld has not heard from its nodes yet: until all whose slurmd runs are back."""
    for name, node in nodes(s).items():
        if s.pidfile(name).pid() \
                and not proc.wait_until(lambda node=node: _slurmd_ready(node)(s), PATIENCE):
            raise SandboxError(f"{name} does not register with slurmctld again")


def stop(s, names, patience=10):
    """Stops the parts that run, all at once; those of a killed sandbox may be gone already."""
    pids = [pid for name in names if (pid := s.pidfile(name).pid())]
    proc.stop([(pid, proc.start_time(pid)) for pid in pids], patience)


def _output(s, name):
    """Slurm's daemons write their log themselves; this file takes what they say besides."""
    return s.path("log", name + ".out") if name.startswith("slurm") else s.log(name)


def _slurm_log(s, name):
    node = nodes(s).get(name)
    return s.path("log", f"slurmd-{node}.log") if node else s.log(name)


def logs(s, name):
    """The log files of a part that exist."""
    names = [_slurm_log(s, name)]
    if name.startswith("slurm") and not os.path.exists(names[0]):
        names = [_output(s, name)]      # it ended before it could open its log
    return [path for path in names if os.path.exists(path)]
