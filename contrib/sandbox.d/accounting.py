# --slurmdbd: a MariaDB on a private socket, slurmdbd, and accounts for the sandbox's users.
# SPDX-License-Identifier: GPL-2.0-or-later
import os
import shutil
import socket
import subprocess

from proc import SandboxError, answers, as_user, spawn, tail
from registry import USERS
from state import CLUSTER

ACCOUNT = "research"
# MariaDB's own tables; slurmdbd needs them for its stored procedures.
SYSTEM_TABLES = "/usr/share/mysql/mysql_system_tables.sql"

SLURMDBD_CONF = """\
# Written by contrib/sandbox; gone after `sandbox down`.
DbdHost=localhost
DbdAddr=127.0.0.1
DbdPort={port}
SlurmUser=slurm
AuthType=auth/munge
AuthInfo=socket={root}/munge/munge.socket
LogFile={root}/log/slurmdbd.log
PidFile={root}/state/slurmdbd.pid
DebugLevel=verbose
StorageType=accounting_storage/mysql
StorageHost=localhost
StorageUser=slurm
StorageLoc=slurm_acct_db
"""

SLURM_CONF = """\
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort={port}
# not a password: the munge socket for talking to slurmdbd, which does not look at AuthInfo
AccountingStoragePass={root}/munge/munge.socket
# as sites have it: who has no account here submits nothing
AccountingStorageEnforce=associations"""

# What `sacctmgr load` reads: everything in one go.
ACCOUNTS = f"""\
Cluster - '{CLUSTER}'
Parent - 'root'
Account - '{ACCOUNT}':Description='sandbox':Organization='sandbox'
Parent - '{ACCOUNT}'
""" + "".join(f"User - '{user}':DefaultAccount='{ACCOUNT}'\n" for user in USERS)

# Small and fast: the data need not outlive the machine. Who can reach the socket may do everything,
# and that is SlurmUser and root: its directory is closed to all others.
MARIADB = (
    "--skip-networking", "--skip-grant-tables", "--skip-log-bin", "--performance-schema=0",
    "--innodb-buffer-pool-size=16M", "--innodb-log-file-size=8M", "--innodb-flush-method=nosync",
    "--innodb-flush-log-at-trx-commit=2", "--innodb-doublewrite=0",
    "--innodb-data-file-path=ibdata1:4M:autoextend", "--innodb-autoextend-increment=1",
    "--innodb-temp-data-file-path=ibtmp1:1M:autoextend", "--innodb-lock-wait-timeout=900",
    "--aria-log-file-size=8M", "--key-buffer-size=1M")


def port(s):
    return s.ports[-1]


def slurm_conf(s):
    """The lines of slurm.conf that say where accounting goes."""
    if not s.options.get("slurmdbd"):
        return "AccountingStorageType=accounting_storage/none"
    return SLURM_CONF.format(root=s.root, port=port(s))


def prepare(s, slurm):
    """Files of MariaDB and slurmdbd; `slurm` is the pwd entry of SlurmUser."""
    if not shutil.which("mariadbd") or not shutil.which("slurmdbd"):
        raise SandboxError("mariadbd or slurmdbd is missing; on Debian install mariadb-server-core "
                           "and slurmdbd")
    for name in ("database", "database/data"):
        os.mkdir(s.path(name), 0o700)
        os.chown(s.path(name), slurm.pw_uid, slurm.pw_gid)
    with open(SYSTEM_TABLES, encoding="utf-8") as f:
        s.write("etc/mariadb.sql", "create database mysql;\nuse mysql;\n" + f.read())
    s.write("etc/accounts", ACCOUNTS)
    # slurmdbd refuses a file that others can read
    s.write("etc/slurmdbd.conf", SLURMDBD_CONF.format(root=s.root, port=port(s)), 0o600)
    os.chown(s.path("etc/slurmdbd.conf"), slurm.pw_uid, slurm.pw_gid)


def _mariadbd(s):
    data, fresh = s.path("database/data"), not os.path.exists(s.path("database/data/mysql"))
    return as_user("slurm") + [
        "mariadbd", "--no-defaults", *MARIADB, "--datadir=" + data, "--tmpdir=" + data,
        "--socket=" + s.path("database/socket"), "--pid-file=" + s.path("database/mariadbd.pid"),
        # one start rather than a first one for the tables alone
        *(["--init-file=" + s.path("etc/mariadb.sql")] if fresh else [])]


def _mariadbd_ready(s):
    """It greets its clients, which it does once it has done what the init file says."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(5)
        try:
            client.connect(s.path("database/socket"))
            return client.recv(1) != b""
        except OSError:
            return False


def _slurmdbd(s):
    # the only way to tell Slurm's plugin which socket
    return as_user("slurm") + ["env", "MYSQL_UNIX_PORT=" + s.path("database/socket"),
                               "slurmdbd", "-D"]


def _slurmdbd_ready(s):
    return answers(("127.0.0.1", port(s)))


PARTS = {"mariadbd": (_mariadbd, _mariadbd_ready), "slurmdbd": (_slurmdbd, _slurmdbd_ready)}


def add_accounts(s, environment):
    """
    Begins to add the cluster, before slurmctld registers it, and an account for the users; other
    parts can start meanwhile. → Popen, for wait_accounts().
    """
    # as root, whom slurmdbd knows from the start: it takes no file from anybody else
    return spawn(["sacctmgr", "--immediate", "load", s.path("etc/accounts")], s.log("accounts"),
                 environment, s.cgroup)


def wait_accounts(s, child):
    try:
        code = child.wait(60)
    except subprocess.TimeoutExpired:
        child.kill()
        code = "no end within 60 s"
    if code:
        raise SandboxError(f"sacctmgr load: {code}\n{tail(s.log('accounts'))}")
