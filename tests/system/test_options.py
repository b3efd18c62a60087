# README's table of sbatch's options, held against sbatch itself: none is missing, none invented, and each does what is said.
# SPDX-License-Identifier: GPL-2.0-or-later
import os
import re
import string

import pytest

from cluster import TOP

KINDS = {"honoured", "refused", "no effect"}
# of `scontrol show job`: what differs from one job to the next anyway
VOLATILE = {"JobId", "SubmitTime", "EligibleTime", "AccrueTime", "LastSchedEval", "StdOut", "StdErr", "AllocNode:Sid", "Priority",
            "AdminComment"}


def table():
    """[(options, kind, remark)] of README's table."""
    with open(os.path.join(TOP, "README.md"), encoding="utf-8") as f:
        text = f.read().partition("### What becomes of sbatch's own options\n")[2]
    rows = re.findall(r"^\| (`-.*`) \| (.*?) \| (.*?) ?\|$", text.partition("\n## ")[0], re.MULTILINE)
    return [(re.findall(r"`(-[^`]+)`", options), kind, remark) for options, kind, remark in rows]


TABLE = table()
KIND = {option: kind for options, kind, _ in TABLE for option in options}
REMARK = {option: remark for options, _, remark in TABLE for option in options}


def known_options(cluster):
    """
    Every long option that getopt of the real sbatch knows, the undocumented ones too: "option '--a' is ambiguous;
    possibilities: …", or the only one of its letter, which needs a value.
    """
    found = set()
    for letter in string.ascii_lowercase:
        said = cluster.run("sbatch", "--" + letter).stderr.partition("\n")[0]
        found.update(re.findall(r"'(--[\w-]{2,})'", said.partition("possibilities:")[2] or said))
        found.update(re.findall(r"option '(--[\w-]{2,})' requires", said))
    return found


def helped_options(cluster):
    """Long and short options of the real `sbatch --help`."""
    text = cluster.run("sbatch", "--help").stdout
    found = set()
    for short, long in re.findall(r"^\s+(?:(-\w),?\s+)?(--[\w-]+)", text, re.MULTILINE):
        found.update({short, long} - {""})
    return found


def test_the_table_is_regular():
    assert len(TABLE) > 70, "README's table was not found"
    assert {kind for _, kind, _ in TABLE} == KINDS
    options = [option for names, _, _ in TABLE for option in names]
    assert len(options) == len(set(options)), "an option has two rows"
    for names, kind, remark in TABLE:
        if kind == "refused":
            assert re.match(r"`fargate: [^`]+`", remark), f"{names}: a refusal needs its sentence"


def test_every_option_of_sbatch_has_its_row(cluster):
    ours = {"--fargate", "--fargate-cpu", "--fargate-mem", "--fargate-storage", "--fargate-spot", "--fargate-task-definition",
            "--fargate-env"}
    known, helped = known_options(cluster), helped_options(cluster)
    assert len(known) > 100 and len(helped) > 100, "sbatch says it in another way"
    assert {o for o in known | helped if o.startswith("--fargate")} == ours
    assert (known | helped) - ours - set(KIND) == set(), "sbatch has options that README leaves out"
    assert set(KIND) - known - helped == set(), "README has options that sbatch does not know"
    with open(os.path.join(TOP, "README.md"), encoding="utf-8") as f:
        text = f.read()
    for option in ours:
        assert f"`{option}" in text, f"README has no row for {option}"


# One way to give each refused option, where it cannot stand alone with what else it needs.
REFUSED = {
    "--batch": ["--batch=x"], "--bb": ["--bb=x"], "-C": ["-C", "x"], "--constraint": ["--constraint=x"],
    "--container": ["--container=/oci"],
    "--cpus-per-gpu": ["--cpus-per-gpu=1"], "-G": ["-G", "1"], "--gpus": ["--gpus=1"], "--gpus-per-node": ["--gpus-per-node=1"],
    "--gpus-per-socket": ["--gpus-per-socket=1", "--sockets-per-node=1"], "--gpus-per-task": ["--gpus-per-task=1", "-n1"],
    "--gpu-bind": ["--gpu-bind=single:1"], "--gpu-freq": ["--gpu-freq=low"], "--gres": ["--gres=gpu:1"],
    "--mem-per-gpu": ["--mem-per-gpu=1", "--gpus=1"], "--ntasks-per-gpu": ["--ntasks-per-gpu=1", "--gpus=1"],
    "--ntasks-per-tres": ["--ntasks-per-tres=1", "--gpus=1"],
    "--exclusive": ["--exclusive"],
    "-F": ["-F", "nodes.txt"], "--nodefile": ["--nodefile=nodes.txt"],
    "-w": ["-w", "node1"], "--nodelist": ["--nodelist=fargate-gw1"],
    "-i": ["-i", "in.txt"], "--input": ["--input=in.txt"],
    "--cluster-constraint": ["--cluster-constraint=x"],
    "-S": ["-S", "1"], "--core-spec": ["--core-spec=0"], "--thread-spec": ["--thread-spec=1"],
    "--reboot": ["--reboot"],
}
# sbatch asks slurmdbd for the cluster before it sends anything; the sentence itself is a unit test's.
OF_SBATCH = {"-M": ["-M", "x"], "--clusters": ["--clusters=x"], "--cluster": ["--cluster=x"]}


def refusal(option):
    """The sentence of the option's row without the value in its parentheses."""
    return re.sub(r" \([^()]*\)$", "", re.match(r"`(fargate: [^`]+)`", REMARK[option]).group(1))


def test_refused_options_are_refused_word_for_word(cluster):
    cluster.write("nodes.txt", "fargate-gw1\n")
    cluster.write("in.txt", "x\n")
    assert set(REFUSED) | set(OF_SBATCH) == {o for o, kind in KIND.items() if kind == "refused"}
    before = cluster.squeue("-h", "-t", "all")
    for option, args in {**REFUSED, **OF_SBATCH}.items():
        who = {"user": "slurm", "cwd": "/"} if option == "--reboot" else {}
        done = cluster.sbatch("--fargate", *args, "--wrap", "true", **who)
        assert done.returncode != 0 and "Submitted" not in done.stdout, f"{option} was taken"
        if option in REFUSED:
            assert f"sbatch: error: {refusal(option)}" in done.stderr, option
        without = cluster.sbatch("--test-only", *args, "--wrap", "true", **who)
        assert "fargate:" not in without.stderr, f"{option} without --fargate: {without.stderr}"
    assert cluster.squeue("-h", "-t", "all") == before, "a refused job was queued"


NO_EFFECT = {
    "--acctg-freq": ["--acctg-freq=5"], "--bbf": ["--bbf=bb.txt"], "--context": ["--context=x"], "--contiguous": ["--contiguous"],
    "--cores-per-socket": ["--cores-per-socket=2"], "--sockets-per-node": ["--sockets-per-node=2"],
    "--threads-per-core": ["--threads-per-core=2"], "--cpu-freq": ["--cpu-freq=low"], "--delay-boot": ["--delay-boot=1"],
    "--export-file": ["--export-file=env.bin"], "--get-user-env": ["--get-user-env"],
    "--gres-flags": ["--gres-flags=disable-binding"],
    "--hint": ["--hint=nomultithread"], "-k": ["-k"], "--no-kill": ["--no-kill"], "-m": ["-m", "block"],
    "--distribution": ["--distribution=plane=4"], "--mem-bind": ["--mem-bind=local"], "--network": ["--network=x"],
    "--ntasks-per-core": ["--ntasks-per-core=1"], "--ntasks-per-socket": ["--ntasks-per-socket=1"], "-O": ["-O"],
    "--overcommit": ["--overcommit"], "--power": ["--power=level"], "--prefer": ["--prefer=x"], "--profile": ["--profile=task"],
    "--propagate": ["--propagate"], "-s": ["-s"], "--oversubscribe": ["--oversubscribe"], "--signal": ["--signal=USR1@60"],
    "--spread-job": ["--spread-job"], "--switches": ["--switches=1"], "--use-min-nodes": ["--use-min-nodes"],
    "--wait-all-nodes": ["--wait-all-nodes=1"],
}
# What Slurm's record repeats of them, which no scheduler looks at for one node.
SHOWN = {"--delay-boot": {"DelayBoot"}, "--gres-flags": {"GresEnforceBind"}, "--power": {"Power"}, "--spread-job": {"SpreadJob"},
         "--switches": {"Switches"}}


def hold(cluster, *args, **more):
    """Submit held; → (record, what sbatch said)."""
    done = cluster.sbatch("--fargate", "--hold", *args, "--wrap", "true", **more)
    found = re.search(r"^(?:Submitted batch job )?(\d+)$", done.stdout.strip())
    assert done.returncode == 0 and found, f"{args}: {done.stdout}{done.stderr}"
    return cluster.show(found.group(1)), done.stderr


def test_options_without_effect_leave_the_job_as_it_is(cluster):
    cluster.write("bb.txt", "#BB create\n")
    cluster.write("env.bin", "A=1\0B=2\0")
    assert set(NO_EFFECT) == {o for o, kind in KIND.items() if kind == "no effect"}
    plain, said = hold(cluster)
    assert said.strip() == ""
    for option, args in NO_EFFECT.items():
        record, said = hold(cluster, *args)
        differs = {k for k in plain.keys() | record.keys() if plain.get(k) != record.get(k)} - VOLATILE
        assert differs == SHOWN.get(option, set()), option
        assert record["AdminComment"] == plain["AdminComment"], option
        if option == "--signal":
            assert re.search(r"`(fargate: [^`]+)`", REMARK[option]).group(1) in said
        else:
            assert said.strip() == "", option


# What each honoured option makes of the record: {field: pattern}.
HONOURED = [
    (["-a", "1-9:3%2"], {"ArrayTaskId": r"1,4,7%2", "ArrayTaskThrottle": r"2"}),
    (["-A", "acct"], {"Account": r"acct"}),
    (["-b", "now+1hour"], {"StartTime": r"20.*"}),
    (["-B", "1:2:2"], {"NumCPUs": r"4", "NumTasks": r"4"}),
    (["-c", "2"], {"NumCPUs": r"2", "CPUs/Task": r"2"}),
    (["--comment=hi there"], {"Comment": r"hi there"}),
    (["-d", "afterany:{job}"], {"Dependency": r"afterany:{job}.*"}),
    (["-D", "/tmp"], {"WorkDir": r"/tmp", "StdOut": r"/tmp/slurm-\d+\.out"}),
    (["--deadline=now+2hours", "-t", "5"], {"Deadline": r"20.*"}),
    (["-e", "err"], {"StdErr": r".*/err"}),
    (["--export=NONE"], {}),
    (["-H"], {"Priority": r"0", "Reason": r"JobHeldUser"}),
    (["--ignore-pbs"], {}),
    (["-J", "named"], {"JobName": r"named"}),
    (["--kill-on-invalid-dep=yes"], {"KillOInInvalidDependent": r"Yes"}),
    (["--mail-type=END", "--mail-user=x"], {"MailUser": r"x", "MailType": r"END"}),
    (["--mcs-label=x"], {"GroupId": r".*MCS_label=x"}),
    (["--mem=3G"], {"MinMemoryNode": r"3G"}),
    (["-c", "2", "--mem-per-cpu=3G"], {"MinMemoryNode": r"6G"}),
    (["--mincpus=2"], {"NumCPUs": r"2"}),
    (["-n", "3"], {"NumCPUs": r"4", "NumTasks": r"3"}),
    (["--ntasks-per-node=2"], {"NumCPUs": r"2", "NumTasks": r"2"}),
    (["--tasks-per-node=2"], {"NumCPUs": r"2"}),
    (["-N", "1-3"], {"NumNodes": r"1-1"}),
    (["--nice=5"], {"Nice": r"5"}),
    (["-o", "out.%j"], {"StdOut": r".*/out\.\d+"}),
    (["--open-mode=append"], {}),
    (["-p", "spot"], {"Partition": r"spot"}),
    (["--parsable"], {}),
    (["--priority=0"], {"Priority": r"0"}),
    (["-q", "high"], {}),
    (["-v"], {}),
    (["--no-requeue"], {"Requeue": r"0"}),
    (["--requeue"], {"Requeue": r"1"}),
    (["-t", "5"], {"TimeLimit": r"00:05:00"}),
    (["-t", "5", "--time-min=1"], {"TimeMin": r"00:01:00"}),
    (["--tmp=30G"], {"MinTmpDiskNode": r"0"}),
    (["-x", "node1"], {"ExcNodeList": r"node1"}),
    (["--wckey=k"], {}),
    (["--gres=none"], {"NumCPUs": r"1"}),
    (["-i", "/dev/null"], {"StdIn": r"/dev/null"}),
    (["-i", "none"], {"StdIn": r"/dev/null"}),
]
# Options of the table that a test below shows, or that have the row of their long form above.
ELSEWHERE = {"-L", "--reservation", "--uid", "--gid", "-W", "--test-only", "-Q", "--wrap", "-h", "-V", "--help", "--version",
             "--usage"}
LONG = {"-a": "--array", "-A": "--account", "-b": "--begin", "-B": "--extra-node-info", "-c": "--cpus-per-task",
        "-d": "--dependency", "-D": "--chdir", "-e": "--error", "-H": "--hold", "-J": "--job-name", "-n": "--ntasks",
        "-N": "--nodes", "-o": "--output", "-p": "--partition", "-q": "--qos", "-Q": "--quiet", "-t": "--time",
        "-v": "--verbose", "-W": "--wait", "-x": "--exclude", "-L": "--licenses"}


def long_form(args):
    """["-n", "3"] → ["--ntasks=3"]"""
    if len(args) == 2 and args[0] in LONG:
        return [f"{LONG[args[0]]}={args[1]}"]
    return [LONG.get(a, a) for a in args]


def test_honoured_options_show_in_the_record(cluster):
    shown = {a.partition("=")[0] for args, _ in HONOURED for a in args if a.startswith("-")} | ELSEWHERE
    shown |= {LONG[o] for o in shown if o in LONG}
    assert {o for o, kind in KIND.items() if kind == "honoured"} - shown == set(), "honoured options that nothing here shows"
    other, _ = hold(cluster)
    for args, fields in HONOURED:
        args = [a.replace("{job}", other["JobId"]) for a in args]
        for form in {tuple(args), tuple(long_form(args))}:
            record, said = hold(cluster, *form)
            assert "fargate:" not in said, form
            for name, pattern in fields.items():
                pattern = pattern.replace("{job}", other["JobId"])
                assert re.fullmatch(pattern, record.get(name, "")), f"{form}: {name}={record.get(name)}"


def test_options_that_say_something_and_end(cluster):
    for args in (["-h"], ["--help"], ["--usage"], ["-V"], ["--version"]):
        done = cluster.sbatch("--fargate", *args)
        assert done.returncode == 0 and done.stdout, args
    before = cluster.squeue("-h", "-t", "all")
    done = cluster.sbatch("--fargate", "--test-only", "--wrap", "true")
    assert done.returncode == 0 and "on nodes fargate-gw1 in partition fargate" in done.stderr
    assert cluster.squeue("-h", "-t", "all") == before
    done = cluster.sbatch("--fargate", "--test-only", "-N", "2", "--wrap", "true")
    assert done.returncode != 0 and "fargate: a Fargate job runs on one node: remove -N or use -N 1 (2 nodes)" in done.stderr
    for quiet in ("-Q", "--quiet"):
        assert cluster.sbatch("--fargate", "--hold", quiet, "--wrap", "true").stdout == ""


def test_memory_of_a_whole_node_is_refused(cluster):
    sentence = re.search(r"`(fargate: --mem=0 [^`]+)`", REMARK["--mem"]).group(1)
    for option in ("--mem=0", "--mem-per-cpu=0"):
        done = cluster.sbatch("--fargate", option, "--wrap", "true")
        assert done.returncode != 0 and sentence in done.stderr, option


def test_licenses_and_reservations_are_slurm_s_own(cluster):
    done = cluster.sbatch("--fargate", "-L", "no_such", "--wrap", "true")
    assert "Invalid license specification" in done.stderr and "fargate:" not in done.stderr
    assert cluster.sbatch("--fargate", "--licenses=no_such", "--wrap", "true").returncode != 0
    done = cluster.sbatch("--fargate", "--reservation=no_such", "--wrap", "true")
    assert "Requested reservation is invalid" in done.stderr and "fargate:" not in done.stderr
    try:
        for name, node in (("gateway", "fargate-gw1"), ("other", "node1")):
            made = cluster.scontrol("create", "reservation", f"ReservationName={name}", "StartTime=now", "Duration=10",
                                    f"Nodes={node}", "Users=alice", "Flags=ignore_jobs")
            assert made.returncode == 0, made.stderr
        job = cluster.submit("echo reserved\n", "--reservation=gateway", "-o", "out.%j")
        cluster.wait_state(job)
        assert cluster.output(job) == "reserved\n"
        done = cluster.sbatch("--fargate", "--reservation=other", "--wrap", "true")
        assert done.returncode != 0
        assert "Requested node configuration is not available" in done.stderr
        assert "Requested node configuration is not available" in REMARK["--reservation"]
    finally:
        for name in ("gateway", "other"):
            cluster.scontrol("delete", f"reservation={name}")


def test_options_that_only_a_running_job_shows(cluster):
    """One container for what travels, one sbatch that waits for it."""
    cluster.write("appended", "before\n", mode=0o644)
    done = cluster.sbatch("--fargate", "--wait", "-o", "appended", "--open-mode=append", "-n", "3", "-c", "1", "--tmp=30G",
                          "-J", "many", "-A", "acct", "--export=ALL,NAMED=1", "--export-file=/dev/null",
                          "--wrap", "echo $SLURM_NTASKS $SLURM_JOB_NAME $SLURM_JOB_ACCOUNT ${HOME_OF_ALICE:-unset}; exit 3",
                          env={"HOME_OF_ALICE": "x"})
    assert done.returncode == 3, "sbatch --wait ends with the script's exit code"
    job = int(re.search(r"Submitted batch job (\d+)", done.stdout).group(1))
    assert cluster.output(job) == "before\n3 many acct unset\n"
    task, = cluster.tasks(job)
    assert task["cpu"] == "4096"
    assert task["ephemeralStorage"] == {"sizeInGiB": 30}
    tags = {t["key"]: t["value"] for t in task["tags"]}
    assert tags["slurm:jobname"] == "many" and tags["slurm:account"] == "acct"


def test_root_may_submit_for_others(cluster):
    done = cluster.run("sbatch", "--fargate", "--uid=alice", "--gid=alice", "-D", cluster.home(), "-o", "root.out",
                       "--wrap", "echo of $SLURM_JOB_USER", user=None)
    assert done.returncode == 0, done.stderr
    job = int(done.stdout.split()[-1])
    record = cluster.wait_state(job)
    assert record["UserId"].startswith("alice(")
    assert cluster.output(job) == "of alice\n"


@pytest.mark.parametrize("options, gib", [(["--fargate-storage=50"], 50), (["--fargate-storage=30", "--tmp=100G"], 30),
                                          (["--tmp=20481"], 21), (["--fargate-storage=20"], None)])
def test_storage_reaches_the_task(cluster, options, gib):
    job = cluster.submit("true\n", *options)
    cluster.wait_state(job)
    task, = cluster.tasks(job)
    asked = task.get("overrides", {}).get("ephemeralStorage")
    assert asked == (None if gib is None else {"sizeInGiB": gib})


@pytest.mark.parametrize("option", ["--fargate-spot", "--fargate-spot=prefer", "--fargate-spot=only"])
def test_spot_reaches_the_request(cluster, option):
    job = cluster.submit("true\n", "-p", "spot", option)
    assert " FARGATE_SPOT " in cluster.comment(job)
    cluster.wait_state(job)
    task, = cluster.tasks(job)
    assert task["capacityProviderName"] == "FARGATE_SPOT"


@pytest.mark.parametrize("options, sentence", [
    (["--tmp=300G"], "fargate: 300 GiB is more than the largest disk of a Fargate task, 200 GiB: "
                     "ask for less with --tmp or --fargate-storage"),
    (["--fargate-storage=201"], "fargate: --fargate-storage=201: "),
    (["--fargate-storage=x"], "fargate: --fargate-storage=x: "),
    (["--fargate-spot=never"],
     "fargate: --fargate-spot=never: 'never' is no way to use Spot; give prefer (Spot first) or only (nothing but Spot)"),
    (["--fargate-spot=only"], "fargate: partition 'fargate' has no Fargate Spot: remove --fargate-spot or use a partition that has it (spot)"),
    (["--fargate-task-definition=a/b"], "fargate: --fargate-task-definition=a/b: "),
    (["--fargate-task-definition=admin"], "fargate: --fargate-task-definition=admin: partition 'fargate' allows only slurm-job"),
])
def test_choices_that_are_refused(cluster, options, sentence):
    done = cluster.sbatch("--fargate", *options, "--wrap", "true")
    assert done.returncode != 0 and sentence in done.stderr
