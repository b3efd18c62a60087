# pytest plugin of tests/host and tests/system: a report of a sanitizer fails the test that caused it.
# SPDX-License-Identifier: GPL-2.0-or-later
import contextlib
import os
import re
import shutil

import pytest


def _directory():
    """Where the build's programs report to (configure chose it); None when they have no sanitizers."""
    top = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
    build = os.environ.get("SF_BUILDDIR") or os.environ.get("SLURM_FARGATE_BUILD") or os.path.join(top, "build")
    try:
        with open(os.path.join(build, "Makefile"), encoding="utf-8") as f:
            found = re.search(r"^SANITIZER_REPORTS = (\S+)$", f.read(), re.MULTILINE)
    except FileNotFoundError:
        return None
    return found and found.group(1)


def _collect(directory):
    """The text of all reports; none is left. Other workers look there too: each report is some worker's."""
    texts = []
    for entry in sorted(os.listdir(directory)) if directory else []:
        path = os.path.join(directory, entry)
        with contextlib.suppress(FileNotFoundError):
            with open(path, encoding="utf-8", errors="replace") as f:
                text = f.read()
            os.unlink(path)
            texts.append(f"{entry}:\n{text}")
    # also printed: of several failing fixtures pytest tells only the first
    print("\n".join(texts))
    return "\n".join(texts)


def pytest_configure(config):
    """What an earlier run left goes, before there are workers."""
    directory = _directory()
    if directory and not hasattr(config, "workerinput"):
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(scope="session", autouse=True)
def sanitizer_reports():
    """The directory, open to every user whose programs may report; looked at last when all daemons are gone."""
    directory = _directory()
    if directory:
        os.makedirs(directory, exist_ok=True)
        os.chmod(directory, 0o1777)
    yield directory
    left = _collect(directory)
    assert not left, f"sanitizer reports after the last test:\n{left}"


@pytest.fixture(autouse=True)
def no_sanitizer_report(sanitizer_reports):
    yield
    found = _collect(sanitizer_reports)
    assert not found, f"sanitizer reports:\n{found}"
