# Fixtures of the host tests: the fake SPANK host and fake agents, all gone after the test.
# SPDX-License-Identifier: GPL-2.0-or-later
import os
import shutil
import sys
import tempfile

import pytest

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
sys.path.insert(1, os.path.dirname(sys.path[0]))

import support  # noqa: E402
from sanitizer_reports import no_sanitizer_report, pytest_configure, sanitizer_reports  # noqa: E402,F401


@pytest.fixture
def directory():
    """A private directory that the unprivileged task can search too (tmp_path it cannot)."""
    path = tempfile.mkdtemp(prefix="slurm-fargate-h.")
    os.chmod(path, 0o755)
    yield path
    shutil.rmtree(path)


@pytest.fixture
def new_agent(directory):
    """make() → a fake agent that listens at the test's socket path."""
    made = []

    def make(**options):
        made.append(support.Agent(os.path.join(directory, "sock"), **options))
        return made[-1]

    yield make
    for agent in made:
        agent.close()


@pytest.fixture
def agent(new_agent):
    return new_agent()


@pytest.fixture
def processes():
    """A list: the processes in it are killed and reaped after the test."""
    started = []
    yield started
    for process in started:
        process.kill()
        process.wait()
        for stream in (process.stdout, process.stderr, process.stdin):
            if stream:
                stream.close()
