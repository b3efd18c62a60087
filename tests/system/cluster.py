# A sandbox as the system tests use it: submit, wait, look into Slurm, agent and local AWS.
# SPDX-License-Identifier: GPL-2.0-or-later
import json
import os
import pwd
import re
import shlex
import subprocess
import time
import urllib.request

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
SANDBOX = os.path.join(TOP, "contrib", "sandbox")
# lines of `scontrol show job` that hold one value, which may contain blanks
WHOLE_LINES = ("Command", "WorkDir", "StdErr", "StdIn", "StdOut", "AdminComment", "Comment",
               "SystemComment")
USERS = ("alice", "bob")
KEY = "[A-Za-z][A-Za-z/:]*"
# what slow builds multiply every timeout with
PATIENCE = float(os.environ.get("SLURM_FARGATE_PATIENCE", "1"))
ENDED = {"COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "OUT_OF_MEMORY", "BOOT_FAIL", "NODE_FAIL",
         "PREEMPTED", "DEADLINE"}


class SubmitError(AssertionError):
    """sbatch refused; the text is what it said."""


def wait_for(condition, timeout=30, what="the condition", step=0.05):
    """The first true value of condition(); AssertionError with `what` (text or function)."""
    timeout *= PATIENCE
    end = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            text = what() if callable(what) else what
            raise AssertionError(f"waited {timeout} s in vain for {text}; last seen: {value!r}")
        time.sleep(step)
        # most conditions start a program of Slurm's: asked 20 times a second they would be what a test waits for
        step = max(step, min(step * 1.2, 0.25))


def parse_job(text):
    """One record of `scontrol show job` → dict of strings."""
    fields = {}
    for line in text.splitlines():
        line = line.strip()
        name = line.partition("=")[0]
        if name in WHOLE_LINES:
            fields[name] = line.partition("=")[2]
        else:
            fields.update(re.findall(rf"(?:^| )({KEY})=(.*?)(?= {KEY}=|$)", line))
    return fields


class Cluster:
    """One sandbox. A helper that runs a command gives a CompletedProcess with text output."""

    def __init__(self, directory, *up_options):
        self.dir = str(directory)
        self.up_options = list(up_options)
        self.env = {}

    # -- the sandbox itself --------------------------------------------------------------------

    def sandbox(self, command, *args, check=True, timeout=300, **env):
        """contrib/sandbox COMMAND --dir … ARGS; its failure fails the test, but for check=False."""
        done = subprocess.run([SANDBOX, command, "--dir", self.dir, *map(str, args)], text=True,
                              stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout,
                              errors="replace", check=False, env={**os.environ, **env})
        if check and done.returncode:
            raise AssertionError(f"sandbox {command} {args} ended with {done.returncode}:\n"
                                 f"{done.stdout}{done.stderr}")
        return done

    def up(self, **env):
        build = os.environ.get("SLURM_FARGATE_BUILD")
        self.sandbox("up", *self.up_options, *(["--build", build] if build else []),
                     timeout=1200, **env)
        self.read_env()
        return self

    def read_env(self):
        """Again after `restart agent --endpoint`."""
        exports = re.findall(r"^export (\w+)=(.*)$", self.sandbox("env").stdout, re.MULTILINE)
        self.env = {name: "".join(shlex.split(value)) for name, value in exports if name != "PATH"}

    def down(self):
        self.sandbox("down")

    def pid(self, part):
        return int(self.sandbox("pid", part).stdout)

    def log(self, part):
        path = os.path.join(self.root, "log", part + ".log")
        if part not in ("agent", "slurmctld", "fargate-local") or not os.path.exists(path):
            return self.sandbox("log", part).stdout
        with open(path, encoding="utf-8", errors="replace") as f:
            return f.read()

    def agent_log(self):
        return self.log("agent")

    @property
    def root(self):
        """The directory as the daemons name it (a link when --dir has blanks)."""
        return os.path.dirname(os.path.dirname(self.env["SLURM_CONF"]))

    def home(self, user="alice"):
        return os.path.join(self.root, "home", user)

    # -- commands ------------------------------------------------------------------------------

    def run(self, *command, user="alice", env=None, cwd=None, timeout=60, **more):
        """A command as a user, in the user's home (SlurmUser has none). user=None: as root with the admin's keys."""
        environment = {"PATH": os.path.join(self.root, "bin") + ":/usr/sbin:/usr/bin:/sbin:/bin",
                       "LANG": "C.UTF-8", "SLURM_CONF": self.env["SLURM_CONF"]}
        prefix = []
        if user is None:
            environment.update(self.env)
        else:
            environment.update(HOME=self.home(user), USER=user, LOGNAME=user)
            prefix = ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups", "--"]
        environment.update(env or {})
        more.setdefault("stdin", subprocess.DEVNULL)
        if "input" in more:
            del more["stdin"]
        return subprocess.run(prefix + [str(c) for c in command], env=environment, text=True,
                              errors="replace", cwd=cwd or (self.home(user) if user in USERS else "/"),
                              capture_output=True, timeout=timeout * PATIENCE, check=False, **more)

    def write(self, name, text, user="alice", mode=0o755):
        """A file in the user's home; → its path."""
        path = os.path.join(self.home(user), name)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        who = pwd.getpwnam(user)
        os.chown(path, who.pw_uid, who.pw_gid)
        os.chmod(path, mode)
        return path

    def sbatch(self, *args, user="alice", **more):
        return self.run("sbatch", *args, user=user, **more)

    def submit(self, script, *options, args=(), user="alice", fargate=True, **more):
        """
        sbatch [--fargate] OPTIONS SCRIPT ARGS; → job id (int). `script` is a path or, with a line
        break in it, the text of the script (its first line is added when it has no #!).
        """
        if "\n" in script:
            text = script if script.startswith("#!") else "#!/bin/sh\n" + script
            script = self.write(f"job-{time.monotonic_ns()}.sh", text, user)
        done = self.sbatch(*(["--fargate"] if fargate else []), *options, script, *args, user=user,
                           **more)
        found = re.search(r"Submitted batch job (\d+)", done.stdout)
        if done.returncode or not found:
            raise SubmitError(f"{done.stdout}{done.stderr}".strip())
        return int(found.group(1))

    def scontrol(self, *args, user="slurm"):
        """As SlurmUser by default: the admin."""
        return self.run("scontrol", *args, user=user, cwd="/")

    def scancel(self, *args, user="alice"):
        return self.run("scancel", *args, user=user)

    def sfargate(self, *args, user="alice"):
        return self.run("sfargate", *args, user=user)

    def start_now(self, job):
        """
        A requeued job's BeginTime is taken back. slurmd refuses a credential as old as the second in which it revoked the
        job's last one (slurmd's cred.c compares with <=), so that second has to be over.
        """
        asked = time.time()
        wait_for(lambda: time.time() > asked + 2 and "COMPLETING" not in self.squeue("-h", "-j", job, "-o", "%T"), 30,
                 "the end of the last start")
        done = self.scontrol("update", f"jobid={job}", "StartTime=now")
        assert done.returncode == 0, done.stderr

    def squeue(self, *args):
        return self.run("squeue", *(args or ("-t", "all", "-o", "%i %P %T %r %u %M %k")),
                        user="slurm", cwd="/").stdout

    # -- accounting (a sandbox with --slurmdbd) ------------------------------------------------

    def records(self, job, fields, *options):
        """What sacct knows of a job now, oldest first, as dicts; options: --duplicates for those of earlier runs too."""
        done = self.run("sacct", "-a", "-X", "-n", "-P", "--delimiter=\x1f", "-j", job, "-o", fields, *options,
                        user="slurm", cwd="/")
        assert done.returncode == 0, done.stderr
        return [dict(zip(fields.split(","), line.split("\x1f"))) for line in done.stdout.splitlines()]

    def sacct(self, job, fields, state=None, *options, timeout=30):
        """
        The records of a job (of its elements) once slurmdbd has them all and, with `state` (a regular expression), that
        is the newest one's State (CANCELLED goes on with "by UID").
        """
        def there():
            states = self.records(job, "State", *options)
            return states and (state is None or re.fullmatch(state, states[-1]["State"])) \
                and self.records(job, fields, *options)

        return wait_for(there, timeout, lambda: f"job {job} as {state} in sacct: {self.records(job, 'JobID,State,ExitCode', '-D')}",
                        step=0.2)

    # -- jobs ----------------------------------------------------------------------------------

    def shows(self, job):
        """Every record of a job (of each array element), as dicts."""
        text = self.scontrol("show", "job", str(job)).stdout
        return [parse_job(record) for record in text.split("\n\n") if "JobId=" in record]

    def show(self, job):
        records = self.shows(job)
        assert records, f"scontrol does not know job {job}"
        return records[0]

    def state(self, job):
        return self.show(job)["JobState"]

    def wait_state(self, job, states=("COMPLETED",), timeout=60):
        """Until the job (all its elements) is in one of the states; an end in another one fails."""
        states = {states} if isinstance(states, str) else set(states)

        def there():
            records = self.shows(job)
            seen = {r["JobState"] for r in records}
            if records and seen <= states:
                return records[0]
            wrong = [r for r in records if r["JobState"] in ENDED - states]
            assert not wrong, f"job {job} should be {sorted(states)}, but is {wrong[0]}"
            return None

        return wait_for(there, timeout, lambda: f"job {job} in {sorted(states)}:\n{self.squeue()}")

    def wait_held(self, job, timeout=30):
        """
        Until a launch failure holds the job. A pass of Slurm's scheduler while the prolog still ends replaces the words
        "launch failed requeued held" by Cleaning and then JobHeldAdmin (_job_runnable_test1), and the agent makes that JobHeldUser: the hold itself is the same.
        """
        reasons = ("launch_failed_requeued_held", "JobHeldAdmin", "JobHeldUser")

        def held():
            r = self.show(job)
            return r if r["JobState"] == "PENDING" and r["Priority"] == "0" and r["Reason"] in reasons else None

        return wait_for(held, timeout, lambda: f"the hold: {self.show(job)}")

    def output(self, job, stream="StdOut"):
        """What the file holds now; "" while slurmstepd has not made it."""
        if not os.path.exists(self.show(job)[stream]):
            return ""
        with open(self.show(job)[stream], encoding="utf-8", errors="surrogateescape") as f:
            return f.read()

    def comment(self, job):
        return self.show(job).get("AdminComment", "")

    # -- the local AWS -------------------------------------------------------------------------

    def control(self, method, path, body=None, timeout=60):
        """A request to /_local/…; → the parsed answer."""
        request = urllib.request.Request(
            self.env["FARGATE_LOCAL_URL"] + "/_local/" + path, method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"})
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=timeout) as answer:
            return json.loads(answer.read() or b"null")

    def tasks(self, job=None):
        """Every task ever (of one job), oldest first, as the API shows it and more."""
        tasks = sorted(self.control("GET", "tasks"), key=lambda t: t["createdAt"])
        if job is None:
            return tasks
        return [t for t in tasks if t.get("startedBy", "").endswith(f"/{job}")]

    def wait_task(self, job, status="RUNNING", timeout=60):
        timeout *= PATIENCE
        return self.control("GET", f"wait?jobid={job}&status={status}&timeout={timeout}",
                            timeout=timeout + 10)

    def calls(self, operation=None):
        """Counters per operation, or those of one."""
        zero = {"ok": 0, "throttled": 0, "refused": 0, "unknown": 0}
        calls = self.control("GET", "calls")
        return calls if operation is None else calls.get(operation, zero)

    def faults(self, rules):
        return self.control("PUT", "faults", rules)

    def reset(self):
        """
        Between tests: no faults, no jobs, no running tasks. Tasks of ended jobs must stop by
        themselves: one that goes on running is a failure of the agent.
        """
        self.control("PUT", "faults", [])
        for user in USERS:
            self.run("scancel", "--user=" + user, user="slurm", cwd="/")
        wait_for(lambda: not self.squeue("-h").strip(), 60, "an empty queue")
        wait_for(lambda: not [t for t in self.tasks() if t["desiredStatus"] != "STOPPED"], 30,
                 "the end of all tasks")
