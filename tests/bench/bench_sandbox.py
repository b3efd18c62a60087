# What the benchmarks share: a sandbox in a directory of its own.
# SPDX-License-Identifier: GPL-2.0-or-later
import contextlib
import os
import shutil
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "system"))
from cluster import Cluster  # noqa: E402


@contextlib.contextmanager
def sandbox(*options):
    directory = tempfile.mkdtemp(prefix="slurm-fargate-b.")
    os.chmod(directory, 0o755)
    cluster = Cluster(directory, *options)
    try:
        yield cluster.up()
    finally:
        cluster.down()
        shutil.rmtree(directory)
