# The manual pages: free of warnings, and complete: every command, option and key that the programs know, and no other.
# SPDX-License-Identifier: GPL-2.0-or-later
import os
import re
import shutil
import subprocess

import pytest

from cluster import TOP

BUILD = os.environ.get("SLURM_FARGATE_BUILD") or os.path.join(TOP, "build")
PAGES = ("plugin/agent/fargate.conf.5", "plugin/agent/fargated.8", "plugin/attach/fargate-attach.8",
         "plugin/job_submit/job_submit_fargate.8", "plugin/prolog/fargate-prolog.8", "plugin/sfargate/sfargate.1",
         "plugin/spank/fargate.so.8")


def page(name):
    """The page's text, without its markup for hyphens and fonts."""
    with open(os.path.join(BUILD, name), encoding="utf-8") as f:
        return re.sub(r"\\f[BIR]", "", f.read().replace("\\-", "-"))


def source(name):
    with open(os.path.join(TOP, name), encoding="utf-8") as f:
        return f.read()


def items(text):
    """What the paragraphs begin with: the line behind each .TP, without its macro and fonts."""
    return [re.sub(r"^\.[BIR]+ ", "", line).replace('"', "").strip() for line in re.findall(r"^\.TP\n(.*)$", text, re.MULTILINE)]


def help_of(program):
    done = subprocess.run([os.path.join(BUILD, program), "--help"], capture_output=True, text=True, timeout=10, check=False)
    assert done.returncode == 0 and not done.stderr, done
    return done.stdout


@pytest.mark.parametrize("name", PAGES)
def test_pages_are_free_of_warnings(name):
    path = os.path.join(BUILD, name)
    done = subprocess.run(["groff", "-man", "-ww", "-z", "-Tutf8", path], capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    if shutil.which("mandoc"):
        done = subprocess.run(["mandoc", "-Tlint", path], capture_output=True, text=True, timeout=30, check=False)
        assert done.stdout + done.stderr == ""
    assert not re.search(r"@\w+@", page(name)), "a path was not filled in"


def test_all_pages_are_known():
    found = {os.path.relpath(os.path.join(d, f), TOP)[:-3] for d, _, files in os.walk(os.path.join(TOP, "plugin"))
             for f in files if re.search(r"\.[1-8]\.in$", f)}
    assert found == set(PAGES)
    assert all(name in source("plugin/man.am") for name in PAGES)


def test_every_key_of_fargate_conf_has_its_paragraph():
    table = source("common/base/conf_keys.c")
    rows = re.findall(r'\{ "(\w+)", (.*?) \}(?=,\n)', table[table.index("sf_keys[] = {"):table.index("sf_n_keys =")], re.DOTALL)
    keys = [name for name, _ in rows]
    assert len(keys) > 40
    text = page("plugin/agent/fargate.conf.5")
    assert sorted(items(text)) == sorted(keys)
    # What is checked but does nothing yet says so, and nothing else does.
    paragraphs = {p.split("\n", 2)[1].removeprefix(".B "): p for p in text.split(".TP")[1:]}
    idle = {name for name, row in rows if ".idle = true" in row}
    assert {name for name, p in paragraphs.items() if "without effect in this version" in p} == idle


def test_sfargates_commands_and_options():
    text = page("plugin/sfargate/sfargate.1")
    commands, options = help_of("sfargate").split("Options:")
    found = {i.split()[0] for i in items(text[text.index(".SH COMMANDS"):text.index(".SH OPTIONS")])}
    assert found == set(re.findall(r"^  (\w+)", commands, re.MULTILINE))
    section = text[text.index(".SH OPTIONS"):text.index(".SH PHASES")]
    assert sorted(re.findall(r"^(-\w) ,\s+--(\w+)", "\n".join(items(section)), re.MULTILINE)) == \
        sorted(re.findall(r"^  (-\w), --(\w+)", options, re.MULTILINE))


def test_the_spank_plugins_options_and_arguments():
    text = page("plugin/spank/fargate.so.8")
    arguments, options = text[text.index(".SH ARGUMENTS"):].split(".SH OPTIONS")
    table = source("plugin/spank/options.c")
    names = re.findall(r'^\t\{ "(fargate[\w-]*)", ', table[table.index("} table[] = {"):], re.MULTILINE)
    assert [re.match(r"--([\w-]+)", i).group(1) for i in items(options)] == names and len(names) >= 4
    known = re.search(r"known are ([\w=, ]+)", source("plugin/spank/gateway.c")).group(1).split(", ")
    assert [i.split()[0] for i in items(arguments)] == known


def test_fargateds_options():
    done = subprocess.run([os.path.join(BUILD, "fargated"), "-?"], capture_output=True, text=True, timeout=10, check=False)
    text = page("plugin/agent/fargated.8")
    section = text[text.index(".SH OPTIONS"):text.index(".SH \"WHO")]
    assert sorted(i.split()[0] for i in items(section)) == sorted(re.findall(r"^  (-\w)", done.stderr, re.MULTILINE))
