# What the built plugins and helpers show to the outside: exports, libraries, static linking.
# SPDX-License-Identifier: GPL-2.0-or-later
import re
import subprocess

import pytest

import support

EXPORTS = {
    support.SPANK_SO: {"plugin_name", "plugin_type", "plugin_version", "spank_plugin_version", "slurm_spank_init",
                       "slurm_spank_init_post_opt", "slurm_spank_user_init", "slurm_spank_task_init_privileged",
                       "slurm_spank_task_init"},
    support.JOB_SUBMIT_SO: {"plugin_name", "plugin_type", "plugin_version", "init", "fini", "job_submit", "job_modify"},
}
FORBIDDEN = ("libcurl", "libcrypto", "libssl", "libslurm", "libevent", "libsqlite3")


def output_of(*command):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def needed(path):
    return re.findall(r"\(NEEDED\).*\[(.*)\]", output_of("readelf", "-d", path))


def is_sanitized(path):
    return any(library.startswith(support.SANITIZERS) for library in needed(path))


@pytest.mark.parametrize("parts", EXPORTS, ids=lambda parts: parts[-1])
def test_a_plugin_exports_what_slurm_looks_up_and_no_more(parts):
    lines = output_of("nm", "-D", "--defined-only", support.built(*parts)).splitlines()
    assert {line.split()[-1].split("@")[0] for line in lines} == EXPORTS[parts]


@pytest.mark.parametrize("parts", EXPORTS, ids=lambda parts: parts[-1])
def test_a_plugin_brings_no_library_into_slurm_that_is_not_its_own(parts):
    libraries = needed(support.built(*parts))
    assert "libc.so.6" in libraries
    assert not [library for library in libraries if library.startswith(FORBIDDEN)]


@pytest.mark.parametrize("name", ("fargate-attach", "fargate-prolog"))
def test_a_helper_is_static(name):
    path = support.built(name)
    if is_sanitized(path):
        assert {"libasan.so.8", "libc.so.6"} <= set(needed(path))  # static and sanitized cannot be had at once
    else:
        assert needed(path) == []
        assert "INTERP" not in output_of("readelf", "-l", path)


def test_the_plugin_loads_with_every_symbol_resolved(directory):
    run = support.run_host(directory, {"context": "allocator", "steps": ["init"]})
    assert (run.status, run.codes(), run.messages()) == (0, {"init": 0}, [])
