# The script as the bootstrap restores and starts it: interpreters, arguments, environment, places, poor images.
# SPDX-License-Identifier: GPL-2.0-or-later
import os
import random
import re
import signal

import pytest
from bootstrap_pid1 import IMAGE_OF, SHELLS, TOOLS, failure, finish, flag, images, run, sh  # noqa: F401


@pytest.mark.parametrize("shell", SHELLS)
def test_interpreters(run, shell):
    image = IMAGE_OF[shell]
    show = "/usr/bin/printf '<%s>' $-; echo"
    assert finish(run(shell, image, f"#!/bin/sh -eu\n{show}".encode()), 0)[0] == [b"<ue>"]
    assert finish(run(shell, image, f"#! \t /bin/sh \t -eu \t \n{show}".encode()), 0)[0] == [b"<ue>"]
    # One argument, whatever blanks are in it.
    c = run(shell, image, b"#!/usr/bin/env -S /usr/bin/printf <%s>\\n a  b! * \n")
    assert finish(c, 0)[0][:4] == [b"<a>", b"<b!>", b"<*>", b"<" + finish_path(c) + b">"]
    for program in ("python3", "perl"):
        if os.path.exists(f"/usr/bin/{program}"):
            c = run(shell, image, f"#!/usr/bin/{program}\nprint('x')\n".encode())
            assert finish(c, 0)[0] == [b"x"]
    assert finish(run(shell, image, b"#!/bin/true"), 0) == ([], [])


def finish_path(container):
    return re.search(rb"/tmp/slurm\.\w+/slurm_script", container.raw[0]).group(0)


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("script,cause", [
    (b"#!/no/such/zsh -f\necho x\n", "bad interpreter(/no/such/zsh): No such file or directory"),
    (b"#!/bin/sh\r\necho x\r\n", "bad interpreter(/bin/sh\r): No such file or directory"),
    (b"#!\necho x\n", "bad interpreter(): No such file or directory"),
    (b"echo x\n", "the script has no #! line"),
    (b"#", "the script has no #! line"),
    (b"", "the script has no #! line")])
def test_scripts_that_cannot_start(run, shell, script, cause):
    assert failure(run(shell, IMAGE_OF[shell], script)) == cause


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("zipped", (False, True))
def test_the_script_arrives_byte_for_byte(run, images, shell, zipped):
    chance = random.Random(2)
    for size in (60, 61, 62, 63, 3072, 65536 if zipped else 40000):
        script = b"#!/bin/sh\ncat <$0 >$SHARED/copy; exit 2\n"
        script += bytes(chance.choice(b"\x01\t\n\r\"'\\$`\x80\xff \xc3abc") for _ in range(size - len(script)))
        finish(run(shell, IMAGE_OF[shell], script, zipped=zipped), 2)
        with open(flag(images, "copy"), "rb") as f:
            assert f.read() == script
        os.unlink(flag(images, "copy"))


@pytest.mark.parametrize("shell", SHELLS)
def test_arguments_and_environment(run, shell):
    args = ["", "plain", "two words", " ", "*", "~", "-n", "--", "a'b\"c", "$HOME `x` $(x) \\ \\n", "é ☃ 😀", "tab\there", "%s",
            "", "!", "two\nlines\n", "\n", "\r", "\x01\x1b\x7f", "-", "-eu", *"!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~",
            "${SF_NONCE}", "`kill 1`"]
    args += [f"arg {i}" for i in range(100)]
    env = {"FOO": "a b  c*", "QUOTED": "'\"$x`\\", "EMPTY": "", "IFS_LIKE": " \t", "SLURM_JOB_ID": "17", "UNICODE": "é☃",
           "HUGE": "x" * 100000, "LINES_2": "a\nb", "ENV": "/no/such", "BASH_ENV": "/no/such", "CDPATH": "/tmp:/",
           "LC_ALL": "C.UTF-8"}
    c = run(shell, IMAGE_OF[shell], b"#!/usr/bin/python3\nimport os, sys\n"
            b"for a in sys.argv[1:]: print('arg', ascii(a))\n"
            b"for k in sorted(os.environ): print('env', k, ascii(os.environ[k]))\n",
            args=args, env=env)
    out, err = finish(c, 0)
    assert [line.decode() for line in out if line.startswith(b"arg")] == [f"arg {ascii(a)}" for a in args]
    shown = dict(line.decode().split(" ", 2)[1:] for line in out if line.startswith(b"env"))
    assert {k: shown.pop(k) for k in env} == {k: ascii(v) for k, v in env.items()}
    # Besides what the container was given, only what a shell adds by itself.
    assert set(shown) - {"PATH", "SHARED", "PWD", "OLDPWD", "SHLVL", "_", "LC_CTYPE"} == set()
    assert err == []


@pytest.mark.parametrize("framed", (True, False))
@pytest.mark.parametrize("shell", SHELLS)
def test_what_the_script_inherits(run, shell, framed):
    c = run(shell, IMAGE_OF[shell], b"#!/usr/bin/python3\nimport os\n"
            b"print(*sorted(f for f in os.listdir('/proc/self/fd') if os.path.exists('/proc/self/fd/' + f)))\n"
            b"print(os.readlink('/proc/self/fd/0'), os.getsid(0) == os.getpid(), oct(os.umask(0)))\n"
            b"print([l for l in open('/proc/self/status') if l.startswith(('SigIgn', 'SigBlk'))])\n"
            b"print(oct(os.stat(__file__).st_mode), oct(os.stat(os.path.dirname(__file__)).st_mode))\n", framed=framed)
    assert c.end() == 0
    fds, line, signals, modes = c.lines(0, 0) if framed else c.raw[0].splitlines()
    assert fds == b"0 1 2"
    assert line == b"/dev/null True 0o22"
    # Python ignores SIGPIPE and SIGXFSZ itself. busybox cannot undo a background command's SIGINT and SIGQUIT.
    ignored = int(re.search(rb"SigIgn:\\t(\w+)", signals).group(1), 16)
    own = 1 << (signal.SIGPIPE - 1) | 1 << (signal.SIGXFSZ - 1)
    background = 1 << (signal.SIGINT - 1) | 1 << (signal.SIGQUIT - 1)
    if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:  # as under nohup: the container inherits it from this test
        background |= 1 << (signal.SIGHUP - 1)
    assert ignored == own | (background if shell == "ash" else 0)
    assert b"SigBlk:\\t0000000000000000" in signals
    assert modes == b"0o100700 0o40700"


@pytest.mark.parametrize("shell", SHELLS)
def test_the_working_directory(run, images, shell):
    image = IMAGE_OF[shell]
    assert finish(run(shell, image, sh("pwd"), env={"SLURM_SUBMIT_DIR": images.shared}), 0)[0] == [images.shared.encode()]
    assert finish(run(shell, image, sh("pwd"), env={"SLURM_SUBMIT_DIR": "/no/such dir"}), 0) == ([b"/"], [])
    assert finish(run(shell, image, sh("pwd"), env={"SLURM_SUBMIT_DIR": ""}), 0) == ([b"/"], [])


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("mounts,env,where", [
    ((), {}, "/tmp/"),
    ((), {"TMPDIR": "/dev/shm"}, "/dev/shm/"),
    (("mkdir -m 777 '/tmp/a  b*'",), {"TMPDIR": "/tmp/a  b*"}, "/tmp/a  b*/"),
    ((), {"TMPDIR": "/root"}, "/tmp/"),
    ((), {"TMPDIR": "/no/such/dir"}, "/tmp/"),
    (("mount -o remount,noexec /tmp",), {}, "/tmp/"),
    (("mount -o remount,ro /tmp",), {}, "/dev/shm/"),
    (("mount -o remount,ro /tmp", "mount -o remount,ro /dev/shm"), {"SLURM_SUBMIT_DIR": "SHARED"}, "SHARED/"),
    (("mount -o remount,ro,bind /",), {}, "/tmp/")])
def test_where_the_script_is_put(run, images, shell, mounts, env, where):
    env = {k: v.replace("SHARED", images.shared) for k, v in env.items()}
    c = run(shell, IMAGE_OF[shell], sh('echo "$0"; exit 1'), mounts=mounts, env=env)
    out, err = finish(c, 1)
    assert re.fullmatch(re.escape(where.replace("SHARED", images.shared)) + r"slurm\.\w{6}/slurm_script", out[0].decode())
    assert err == []
    assert os.listdir(images.shared) == [], "the script's directory was not removed"


@pytest.mark.parametrize("shell", SHELLS)
def test_nowhere_to_put_the_script(run, shell):
    c = run(shell, IMAGE_OF[shell], sh("echo x"), env={"TMPDIR": "/root"},
            mounts=("mount -o remount,ro /tmp", "mount -o remount,ro /dev/shm", "mount -o remount,ro,bind /"))
    assert failure(c) == "cannot write to /root /tmp /dev/shm /"


@pytest.mark.parametrize("shell", ("dash", "bash"))
@pytest.mark.parametrize("missing,zipped,cause", [
    ("base64", False, "no base64 in the image"),
    ("gzip", True, "no gzip in the image"),
    ("mkfifo", False, "no mkfifo in the image")])
def test_a_program_is_missing(run, images, shell, missing, zipped, cause):
    images.image(f"no-{missing}-{shell}", {tool: tool for tool in TOOLS if tool != missing})
    assert failure(run(shell, f"no-{missing}-{shell}", sh("echo x"), zipped=zipped)) == cause


@pytest.mark.parametrize("shell", ("dash", "bash"))
def test_what_is_not_needed_may_be_missing(run, images, shell):
    name = f"poor-{shell}"
    images.image(name, {tool: tool for tool in TOOLS if tool not in ("gzip", "setsid", "env")})
    assert finish(run(shell, name, sh("echo x; exit 3")), 3) == ([b"x"], [])


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("script,code,said", [
    ("#!/bin/sh", 0, []),
    ("#!/bin/sh\n", 0, []),
    ("#!/bin/sh\necho bare; exit 4", 4, [b"bare"]),
    ("#!/bin/sh\n#" + "x" * 3000 + "\necho 3 KiB", 0, [b"3 KiB"]),
    ("#!/bin/sh\nread line; echo $?,$line; cat; exit 2", 2, [b"1,"]),
    ("#!/bin/sh\necho x; exec 0<&- 1>&- 2>&- 3<&- 4<&-; sleep 0.05; exit 6", 6, [b"x"]),
    ("#!/bin/sh\nPATH=/no/such; export PATH; echo x; exit 7", 7, [b"x"]),
    ("#!/bin/sh\nunset PATH HOME IFS PWD SHARED; set -u; echo x; echo $NOPE; exit 0", 2, [b"x"]),
    ("#!/bin/sh\numask 077; >$SHARED/m; umask; rm $0; rm -r ${0%/*}; cd /; exit 8", 8, [b"0077"]),
    ("#!/bin/bash\ntrap 'echo bye' EXIT; set -euo pipefail; false | true; echo not", 1, [b"bye"]),
    ("#!/bin/sh\nexec env -i /bin/sh -c 'echo clean; exit 9'", 9, [b"clean"])])
def test_what_scripts_do(run, shell, script, code, said):
    assert finish(run(shell, IMAGE_OF[shell], script.encode()), code)[0] == said


@pytest.mark.parametrize("shell", SHELLS)
def test_a_full_tmp(run, shell):
    small = ("mount -o remount,size=64k /tmp",)
    c = run(shell, IMAGE_OF[shell], sh("/usr/bin/head -c 1000000 /dev/zero >/tmp/fill || echo full; exit 3"), mounts=small)
    assert finish(c, 3)[0] == [b"full"]
    c = run(shell, IMAGE_OF[shell], sh("echo x"), mounts=small + ("/usr/bin/head -c 64k /dev/zero >/tmp/fill",))
    assert c.end() == 125
    last = c.raw[1].splitlines()[-1].decode()      # what the shell or cat says of it comes first
    assert re.fullmatch(r"0123456789abcdef bootstrap: cannot write /tmp/slurm\.\w{6}/slurm_script", last), c.raw


def test_the_size_of_the_bootstrap(images):
    """Each character is one the job's script cannot have."""
    assert "\n" not in images.boot and images.boot.count('"') <= 10 and images.boot.count("\\") <= 1
    assert len(images.boot) <= 1940
