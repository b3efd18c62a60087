# contrib/sandbox: a private Slurm cluster with slurm-fargate as built, and a local Fargate.
# SPDX-License-Identifier: GPL-2.0-or-later
import argparse
import contextlib
import fcntl
import os
import pwd
import shlex
import sys

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))

import accounting  # noqa: E402
import awsinit  # noqa: E402
import cgroup  # noqa: E402
import leftovers  # noqa: E402
import parts  # noqa: E402
import proc  # noqa: E402
import registry  # noqa: E402
import slurmconf  # noqa: E402
from proc import SandboxError  # noqa: E402
from state import CONTRIB, DEFAULT_DIR, PROGRAMS, Sandbox  # noqa: E402


def say(text):
    print("sandbox: " + text, file=sys.stderr, flush=True)


@contextlib.contextmanager
def locked(sandbox):
    """One up, down or restart at a time per directory."""
    with open(os.path.join(sandbox.dir, ".lock"), "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def running(sandbox):
    """Names of the parts that run."""
    return [name for name in parts.table(sandbox) if sandbox.pidfile(name).pid()]


# -- up ----------------------------------------------------------------------------------------

def build(directory):
    """Sees to the build; → its directory."""
    command = [os.path.join(CONTRIB, "setup"), "--quiet"]
    done = proc.subprocess.run(command + (["--build", directory] if directory else []),
                               stdout=proc.subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise SandboxError("the build failed, see above")
    return done.stdout.splitlines()[-1]


def make(sandbox, args):
    """Everything on disk before the first daemon starts."""
    slurm, munge = pwd.getpwnam("slurm"), pwd.getpwnam("munge")
    sandbox.make_link()
    sandbox.options = {
        "build": args.build_dir, "speed": args.speed, "gateways": args.gateways,
        "prolog": args.prolog, "slurmdbd": args.slurmdbd, "endpoint": args.endpoint, "local": args.endpoint is None,
        "local_url": None}
    sandbox.choose_keys()
    sandbox.cgroup = cgroup.create("slurm-fargate-" + sandbox.ident)
    if sandbox.cgroup is None:
        say("no writable v1 freezer cgroup here: proctrack/linuxproc instead of proctrack/cgroup")
    sandbox.save()
    sandbox.ports = registry.enter(sandbox.ident, sandbox.dir, 2 + args.gateways + args.slurmdbd)
    sandbox.save()
    homes = [pwd.getpwnam(user) for user in registry.USERS]
    sandbox.make_subdirectories(slurm, munge, homes)
    parts.prepare(sandbox, munge)
    for program in PROGRAMS:
        sandbox.install(program)
    sandbox.write("etc/iam-policy.json", awsinit.policy())
    slurmconf.write_all(sandbox)
    if args.slurmdbd:
        accounting.prepare(sandbox, slurm)
    leftovers.check_reach(sandbox)


def register(sandbox):
    if sandbox.options["local"]:
        sandbox.options["endpoint"] = sandbox.options["local_url"]
        sandbox.save()
        awsinit.register(sandbox.options["endpoint"], sandbox.options["admin_key"],
                         sandbox.options["admin_secret"])


def start_all(sandbox):
    names = list(parts.table(sandbox))
    slurmds = list(parts.nodes(sandbox))
    children = {}

    def start(*some):
        children.update((name, parts.start(sandbox, name)) for name in some if name in names)

    def wait(*some):
        for name in some:
            if name in names:
                parts.wait_ready(sandbox, name, children[name])

    start("munged", "mariadbd", "fargate-local")
    wait("munged", "mariadbd")
    start("slurmdbd")
    wait("slurmdbd")
    if sandbox.options["slurmdbd"]:
        loading = accounting.add_accounts(sandbox, parts.environment(sandbox))
    wait("fargate-local")
    register(sandbox)
    # The agent before slurmctld, whose plugin asks for it at once and then only every 2 s: else
    # the first jobs would be told that the agent does not answer, or that quotas are not known.
    start("agent", *slurmds)
    wait("agent")
    if sandbox.options["local"]:
        parts.wait_quotas(sandbox)
    if sandbox.options["slurmdbd"]:
        accounting.wait_accounts(sandbox, loading)
    start("slurmctld")
    wait("slurmctld", *slurmds)


def up(sandbox, args):
    sandbox.claim_directory()
    if not sandbox.exists():
        args.build_dir = build(args.build)
    with locked(sandbox):
        if sandbox.exists():
            check_running(sandbox.load())
            return
        try:
            make(sandbox, args)
            start_all(sandbox)
        except BaseException:
            if sandbox.exists():
                tear_down(sandbox)
            raise
    say(f"up in {sandbox.dir}; next: eval \"$({shlex.quote(os.path.join(CONTRIB, 'sandbox'))} env"
        f"{dir_option(sandbox)})\"")


def check_running(sandbox):
    alive = running(sandbox)
    if set(alive) != set(parts.table(sandbox)):
        raise SandboxError(f"{sandbox.dir} holds a sandbox of which only these parts run: "
                           f"{', '.join(alive) or 'none'}; "
                           f"`sandbox down --dir {sandbox.dir}` first")
    say(f"runs already in {sandbox.dir}")


def dir_option(sandbox):
    return "" if sandbox.dir == os.path.realpath(DEFAULT_DIR) else " --dir " + \
        shlex.quote(sandbox.dir)


# -- down --------------------------------------------------------------------------------------

def tear_down(sandbox):
    others = leftovers.find(sandbox)
    parts.stop(sandbox, list(parts.table(sandbox)))
    if sandbox.cgroup:
        cgroup.remove(sandbox.cgroup)
    else:
        proc.stop(others + leftovers.find(sandbox), 1)
    sandbox.remove_directory()
    registry.leave(sandbox.ident)


def down(sandbox, _args):
    if not sandbox.exists():
        say(f"there is no sandbox in {sandbox.dir}")
        return
    with locked(sandbox):
        if sandbox.exists():        # still, now that nobody else works on it
            tear_down(sandbox.load())
    say(f"down; the logs stay in {os.path.join(sandbox.dir, 'log')}")


# -- the others --------------------------------------------------------------------------------

def env(sandbox, _args):
    values = sandbox.load().environment(admin=True)
    for name, value in values.items():
        print(f"export {name}={shlex.quote(value)}" if value else f"unset {name}")
    print(f"export PATH={shlex.quote(sandbox.path('bin'))}:\"$PATH\"")
    print('aws() { command aws --endpoint-url "$AWS_ENDPOINT_URL" "$@"; }')


def as_user(sandbox, args):
    sandbox.load()
    try:
        user = pwd.getpwnam(args.user)
    except KeyError:
        raise SandboxError(f"there is no user {args.user}") from None
    environment = {name: value for name, value in os.environ.items()
                   if not name.startswith("AWS_")}
    home = sandbox.path("home", args.user)
    home = home if os.path.isdir(home) else user.pw_dir
    environment.update(
        HOME=home, USER=args.user, LOGNAME=args.user, SLURM_CONF=sandbox.path("etc/slurm.conf"),
        SANDBOX_DIR=sandbox.dir,
        PATH=sandbox.path("bin") + ":" + parts.BASE_PATH)
    # a job's output file goes where it was submitted
    if proc.run(proc.as_user(args.user) + ["test", "-w", "."]).returncode:
        if any(os.path.exists(word) for word in args.command if not word.startswith("/")):
            say(f"{args.user} cannot write in {os.getcwd()}: going to {home}")
        os.chdir(home)
    command = proc.as_user(args.user) + args.command
    os.execvpe(command[0], command, environment)


def known(sandbox, name):
    names = list(parts.table(sandbox))
    if name not in names:
        raise SandboxError(f"there is no part {name}; the parts are {', '.join(names)}")
    return name


def pid(sandbox, args):
    found = sandbox.load().pidfile(known(sandbox, args.name)).pid()
    if found is None:
        raise SandboxError(f"{args.name} does not run")
    print(found)


def restart(sandbox, args):
    name = known(sandbox.load(), args.name)
    with locked(sandbox):
        if args.endpoint:
            if name != "agent":
                raise SandboxError("--endpoint is for the agent only")
            sandbox.options["endpoint"] = args.endpoint
            sandbox.save()
        parts.stop(sandbox, [name])
        parts.wait_ready(sandbox, name, parts.start(sandbox, name))
        if name == "fargate-local":     # it keeps everything in memory
            register(sandbox)
        if name == "slurmctld":
            parts.wait_nodes(sandbox)


def log(sandbox, args):
    for path in parts.logs(sandbox.load(), known(sandbox, args.name)):
        with open(path, encoding="utf-8", errors="replace") as f:
            sys.stdout.write(f.read())


# -- command line ------------------------------------------------------------------------------

def at_least_one(text):
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is less than 1")
    return number


def positive(text):
    number = float(text)
    if not 0 < number < 1e6:
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return number


def parser():
    top = argparse.ArgumentParser(prog="sandbox", allow_abbrev=False, description="A private "
                                  "Slurm cluster with slurm-fargate and a local Fargate.")
    commands = top.add_subparsers(required=True, metavar="COMMAND")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--dir", default=os.environ.get("SANDBOX_DIR", DEFAULT_DIR), metavar="D",
                        help=f"where the sandbox lives ($SANDBOX_DIR or {DEFAULT_DIR})")

    def add(name, function, text):
        command = commands.add_parser(name, help=text, parents=[common], allow_abbrev=False)
        command.set_defaults(run=function)
        return command

    p = add("up", up, "start everything")
    p.add_argument("--speed", type=positive, default=1, metavar="X",
                   help="let the local Fargate live X times faster")
    p.add_argument("--gateways", type=at_least_one, default=1, metavar="N",
                   help="number of gateway nodes")
    p.add_argument("--slurmdbd", action="store_true",
                   help="accounting with slurmdbd on a private MariaDB")
    p.add_argument("--no-prolog", dest="prolog", action="store_false",
                   help="no PrologSlurmctld: the attach launches")
    p.add_argument("--endpoint", metavar="URL",
                   help="use this AWS endpoint, start no local Fargate")
    p.add_argument("--build", metavar="DIR",
                   help="build directory (default: build of the checkout)")
    add("down", down, "stop everything, remove what was made but the logs")
    add("env", env, "print the variables a shell needs")
    p = add("as", as_user, "run a command as a user of the cluster")
    p.add_argument("user", metavar="USER")
    p.add_argument("command", nargs=argparse.REMAINDER, metavar="CMD")
    for name, function, text in (("pid", pid, "print the pid of a part"),
                                 ("restart", restart, "stop a part and start it again"),
                                 ("log", log, "print the log of a part")):
        p = add(name, function, text)
        p.add_argument("name", metavar="NAME", help="agent, slurmctld, slurmd (the first gateway), "
                       "slurmd-local, fargate-local, munged, slurmdbd or mariadbd")
        if name == "restart":
            p.add_argument("--endpoint", metavar="URL", help="from now on use this AWS endpoint")
    return top


def main():
    args = parser().parse_args()
    if getattr(args, "command", None) == []:
        print("sandbox: as needs a command after the user", file=sys.stderr)
        return 2
    if os.geteuid() != 0:
        print("sandbox: only root can run a private Slurm; run this as root", file=sys.stderr)
        return 1
    try:
        args.run(Sandbox(args.dir), args)
    except SandboxError as e:
        print(f"sandbox: {e}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
