# A sandbox's directory: paths, the record of its options, where the build's products are copied to.
# SPDX-License-Identifier: GPL-2.0-or-later
import glob
import hashlib
import json
import os
import re
import secrets
import shutil
import stat
import tempfile

from proc import PidFile, SandboxError

HERE = os.path.dirname(os.path.realpath(__file__))
CONTRIB = os.path.dirname(HERE)
DEFAULT_DIR = "/tmp/slurm-fargate-sandbox"
REGION = "eu-west-1"
TOPIC = f"arn:aws:sns:{REGION}:123456789012:slurm-alerts"      # contrib/example/iam-policy.json's
CLUSTER = "sandbox"      # Slurm's name of it
PROGRAMS = ("fargated", "sfargate", "fargate-attach", "fargate-prolog")
PLUGINS = ("fargate.so", "job_submit_fargate.so")
# Unix socket names end at 108 bytes and Slurm adds "/spool/<node>/<node>_<job>.<step>" to ours.
LONGEST_ROOT = 48


class Sandbox:
    """
    `dir` is what the user said; `root` is the same place under a name Slurm can take (no blanks,
    not too long), through a private symbolic link where needed.
    """

    def __init__(self, directory):
        self.dir = os.path.realpath(directory)
        self.ident = hashlib.sha256(self.dir.encode()).hexdigest()[:10]
        self.options = {}
        self.ports = []
        self.root = self.dir
        self.link = None
        self.cgroup = None

    # -- the record --------------------------------------------------------------------------

    @property
    def record(self):
        return os.path.join(self.dir, "sandbox.json")

    def exists(self):
        return os.path.isfile(self.record)

    def load(self):
        try:
            with open(self.record, encoding="utf-8") as f:
                vars(self).update(json.load(f))
        except FileNotFoundError:
            raise SandboxError(f"there is no sandbox in {self.dir}; `sandbox up --dir "
                               f"{self.dir}` makes one") from None
        return self

    def save(self):
        names = ("options", "ports", "root", "link", "cgroup")
        new = self.record + ".new"
        with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w",
                  encoding="utf-8") as f:
            json.dump({name: getattr(self, name) for name in names}, f, indent=1)
        os.rename(new, self.record)

    # -- the directory -----------------------------------------------------------------------

    def claim_directory(self):
        """An absent, empty or former sandbox directory will do; any other is refused."""
        os.makedirs(self.dir, mode=0o755, exist_ok=True)
        status = os.stat(self.dir)
        if status.st_uid != 0 or stat.S_IMODE(status.st_mode) & 0o022:
            raise SandboxError(f"{self.dir} must belong to root and be writable by nobody else")
        strangers = set(os.listdir(self.dir)) - {"log", ".lock", "sandbox.json"}
        if strangers and not self.exists():
            raise SandboxError(f"{self.dir} is not empty ({', '.join(sorted(strangers)[:3])}) and "
                               "no sandbox; choose another --dir")

    def make_link(self):
        """A name for the directory that Slurm can take."""
        if re.search(r"[^A-Za-z0-9_./+-]", self.dir) or len(self.dir) > LONGEST_ROOT:
            self.link = tempfile.mkdtemp(prefix="slurm-fargate-")
            os.chmod(self.link, 0o755)
            self.root = os.path.join(self.link, "d")
            os.symlink(self.dir, self.root)

    def make_subdirectories(self, slurm, munge, homes):
        """`slurm` and `munge` are pwd entries, `homes` those of the users."""
        shutil.rmtree(self.path("log"), ignore_errors=True)
        owned = [("log", 0o755, slurm), ("run", 0o755, None), ("etc", 0o755, None),
                 ("bin", 0o755, None), ("plugins", 0o755, None), ("spool", 0o755, None),
                 ("home", 0o755, None), ("cgroup", 0o755, None), ("cgroup/freezer", 0o755, None),
                 ("state", 0o700, slurm), ("agent", 0o755, slurm), ("agent/state", 0o700, slurm),
                 ("munge", 0o755, munge), ("fargate-local", 0o711, None)]
        owned += [(f"home/{u.pw_name}", 0o755, u) for u in homes]
        for name, mode, user in owned:
            os.mkdir(self.path(name))
            os.chmod(self.path(name), mode)
            if user:
                os.chown(self.path(name), user.pw_uid, user.pw_gid)

    def remove_directory(self):
        """Everything but the logs and the lock goes."""
        for name in os.listdir(self.dir):
            path = os.path.join(self.dir, name)
            if name in ("log", ".lock", "sandbox.json"):
                continue
            if os.path.isdir(path) and not os.path.islink(path):
                shutil.rmtree(path)
            else:
                os.unlink(path)
        if self.link:
            shutil.rmtree(self.link, ignore_errors=True)
        os.unlink(self.record)

    def path(self, *parts):
        return os.path.join(self.root, *parts)

    def write(self, name, text, mode=0o644):
        with open(self.path(name), "w", encoding="utf-8") as f:
            f.write(text)
        os.chmod(self.path(name), mode)

    def log(self, part):
        return self.path("log", part + ".log")

    def pidfile(self, part):
        return PidFile(self.path("run", part + ".pid"))

    # -- what was built ----------------------------------------------------------------------

    def install(self, name):
        """
        Copies a program or plugin of the build here: the checkout may lie where SlurmUser and the
        users cannot look (/root).
        """
        # .libs first: what lies beside it may be libtool's wrapper script
        patterns = [place + name for place in (".libs/", "plugin/*/.libs/", "", "plugin/*/")]
        found = [p for pattern in patterns
                 for p in glob.glob(os.path.join(glob.escape(self.options["build"]), pattern))]
        if not found:
            raise SandboxError(f"{name} is not built in {self.options['build']}; run contrib/setup")
        target = self.path("plugins" if name.endswith(".so") else "bin", name)
        # by rename: a running program cannot be written, and a plugin in use must stay as it is
        shutil.copyfile(found[0], target + ".new")
        os.chmod(target + ".new", 0o755)
        os.rename(target + ".new", target)

    def install_wrappers(self):
        """A build with sanitizers brings wrappers with which Slurm's programs can load its plugins."""
        for path in glob.glob(os.path.join(glob.escape(self.options["build"]), "tests/analysis/bin/*")):
            shutil.copy(path, self.path("bin"))

    # -- the environment ---------------------------------------------------------------------

    def gateways(self):
        return [f"fargate-gw{i + 1}" for i in range(self.options["gateways"])]

    def gateway_list(self):
        n = self.options["gateways"]
        return "fargate-gw1" if n == 1 else f"fargate-gw[1-{n}]"

    def choose_keys(self):
        """
        The caller's own for another endpoint, if there are any, else some of ours. At the local
        Fargate the agent has a key with README's policy, the admin one that may do everything.
        """
        names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
        keys = [os.environ.get(name) for name in names]
        if self.options["local"] or not (keys[0] and keys[1]):
            keys = ["AKIASANDBOX" + self.ident[:9].upper(), secrets.token_urlsafe(30), None]
        self.options.update(zip(("access_key", "secret_key", "session_token"), keys))
        if self.options["local"]:
            self.options.update(admin_key="AKIAADMIN" + self.ident[:9].upper(),
                                admin_secret=secrets.token_urlsafe(30))

    def environment(self, admin=False):
        """The variables the daemons get; with admin those that `env` prints."""
        keys = ("admin_key", "admin_secret") if admin and self.options["local"] else (
            "access_key", "secret_key")
        return {
            "SLURM_CONF": self.path("etc", "slurm.conf"),
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ACCESS_KEY_ID": self.options[keys[0]],
            "AWS_SECRET_ACCESS_KEY": self.options[keys[1]],
            "AWS_SESSION_TOKEN": self.options["session_token"],
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_ENDPOINT_URL": self.options["endpoint"],
            "FARGATE_LOCAL_URL": self.options["local_url"],
            "SANDBOX_DIR": self.dir,
        }
