# Fixtures of the system tests: sandboxes for the whole run, logs in the report of a failure.
# SPDX-License-Identifier: GPL-2.0-or-later
import os
import shutil
import signal
import sys
import tempfile

import pytest

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
sys.path.insert(1, os.path.dirname(sys.path[0]))

from cluster import Cluster  # noqa: E402
from sanitizer_reports import no_sanitizer_report, pytest_configure, sanitizer_reports  # noqa: E402,F401

FIXTURES = ("cluster", "cluster_noprolog", "accounting", "batch")
LOGS = ("agent", "slurmctld", "slurmd", "fargate-local", "slurmdbd")


def leave(_signum, _frame):
    pytest.exit("SIGTERM", returncode=143)


# Without this a terminated run would leave its sandboxes behind.
signal.signal(signal.SIGTERM, leave)


def run_sandbox(*options):
    """Generator: a sandbox in a private directory, gone afterwards."""
    directory = tempfile.mkdtemp(prefix="slurm-fargate-t.")
    os.chmod(directory, 0o755)
    sandbox = Cluster(directory, *options)
    try:
        yield sandbox.up()
        unknown = {op: n for op, n in sandbox.calls().items() if n["unknown"]}
        assert not unknown, f"requests had members that AWS does not know: {unknown}"
    finally:
        sandbox.down()
        shutil.rmtree(directory)


@pytest.fixture(scope="session")
def session_cluster():
    yield from run_sandbox("--speed", "20")


@pytest.fixture(scope="session")
def session_cluster_noprolog():
    yield from run_sandbox("--speed", "20", "--no-prolog")


@pytest.fixture(scope="session")
def session_accounting():
    yield from run_sandbox("--speed", "20", "--slurmdbd")


@pytest.fixture(scope="session")
def session_accounting_noprolog():
    yield from run_sandbox("--speed", "20", "--slurmdbd", "--no-prolog")


@pytest.fixture
def cluster(session_cluster):
    """The sandbox with PrologSlurmctld, as if new for every test."""
    yield session_cluster
    session_cluster.reset()


@pytest.fixture
def cluster_noprolog(session_cluster_noprolog):
    """The sandbox without PrologSlurmctld."""
    yield session_cluster_noprolog
    session_cluster_noprolog.reset()


@pytest.fixture
def accounting(session_accounting):
    """The sandbox with slurmdbd: sacct knows its jobs."""
    yield session_accounting
    session_accounting.reset()


@pytest.fixture
def new_sandbox():
    """make(*options) → a sandbox of the test's own, not yet up; all are gone after the test."""
    made = []

    def make(*options, name="sandbox"):
        directory = tempfile.mkdtemp(prefix="slurm-fargate-t.")
        os.chmod(directory, 0o755)
        made.append((Cluster(os.path.join(directory, name), *options), directory))
        return made[-1][0]

    yield make
    for sandbox, directory in made:
        sandbox.down()
        shutil.rmtree(directory)


# Files that wait for long: the workers take them first, so that none is left alone with one at the end.
FIRST = ("test_quota.py", "test_endings.py", "test_endings_requeue.py", "test_agent.py", "test_hold.py")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: item.path.name not in FIRST)


def last_lines(text, n=40):
    return "\n".join(text.splitlines()[-n:])


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    if not report.failed:
        return
    for name in FIXTURES:
        sandbox = item.funcargs.get(name) if hasattr(item, "funcargs") else None
        sandbox = getattr(sandbox, "cluster", sandbox)      # a batch has one
        if sandbox is None or not sandbox.env:
            continue
        report.sections.append((f"{name}: squeue", sandbox.squeue()))
        for part in LOGS:
            done = sandbox.sandbox("log", part, check=False)
            report.sections.append((f"{name}: {part}", last_lines(done.stdout + done.stderr)))
