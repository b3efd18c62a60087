# The bootstrap's signals and ends: SIGTERM, exit codes, what a script leaves behind or does to its surroundings.
# SPDX-License-Identifier: GPL-2.0-or-later
import os
import random
import time

import pytest
from bootstrap_pid1 import IMAGE_OF, PAIRS, SHELLS, TOOLS, finish, flag, images, run, sh, wait_for  # noqa: F401


@pytest.mark.parametrize("framed", (True, False))
@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("trap,code,said", [
    ("trap 'echo cleaning; exit 7' TERM", 7, [b"cleaning"]),
    ("trap 'exit 0' TERM", 0, []),
    ("trap 'exit 127' TERM", 127, []),
    ("trap 'exit 143' TERM", 143, []),
    (":", 143, [])])
def test_sigterm_reaches_the_script(run, shell, trap, code, said, framed):
    # Short sleeps: a shell that has just forked for a long one acts on the signal only when that is over.
    c = run(shell, IMAGE_OF[shell], sh(f"{trap}\necho ready; while :; do sleep 0.02; done"), framed=framed)
    c.wait_text(b"ready\n")
    c.term()
    if framed:
        out, err = finish(c, code)
    else:
        assert c.end() == code
        out, err = c.raw[0].splitlines(), c.raw[1].splitlines()
    assert out == [b"ready"] + said
    assert set(err) <= {b"Terminated"}      # what the script's own shell says of its sleep


@pytest.mark.parametrize("shell,image", PAIRS)
def test_every_sigterm_is_forwarded_and_waiting_goes_on(run, shell, image):
    c = run(shell, image, sh("""n=0
        trap 'n=$((n + 1)); echo got $n' TERM
        echo ready
        while [ $n -lt 3 ]; do sleep 0.02; done
        echo the end
        exit 6"""))
    c.wait_text(b"oready\n")
    for i in (1, 2, 3):
        c.term()
        c.wait_text(b"ogot %d\n" % i)
    out, err = finish(c, 6)
    assert out == [b"ready", b"got 1", b"got 2", b"got 3", b"the end"]
    assert set(err) <= {b"Terminated"}      # what the script's own shell says of its sleep


@pytest.mark.parametrize("shell", SHELLS)
def test_sigterm_reaches_every_process(run, shell):
    c = run(shell, IMAGE_OF[shell], sh("""
        for i in 1 2; do
            setsid /bin/sh -c 'trap "echo child '$i'; exit" TERM; echo up; while :; do sleep 0.02; done' &
        done
        trap : TERM
        echo up; wait; wait
        exit 4"""))
    wait_for(lambda: c.raw[0].count(b"oup\n") == 3, "three processes")
    c.term()
    out, _ = finish(c, 4)
    assert sorted(out[3:]) == [b"child 1", b"child 2"]


@pytest.mark.parametrize("shell", SHELLS)
def test_a_program_saves_its_work_on_sigterm(run, shell):
    """README's script for Spot: the shell stays until its foreground program has ended."""
    c = run(shell, IMAGE_OF[shell], sh("""
        trap : TERM
        /bin/sh -c 'trap "echo saving; sleep 0.3; echo saved; exit 5" TERM; echo up; while :; do sleep 0.02; done'"""))
    c.wait_text(b"oup\n")
    c.term()
    out, err = finish(c, 5)
    assert out == [b"up", b"saving", b"saved"]
    assert set(err) <= {b"Terminated"}


@pytest.mark.parametrize("shell", SHELLS)
def test_sigterm_before_the_script_is_not_lost(run, images, shell):
    # The script waits in the bootstrap's first program until the signal has been sent.
    name = f"slow-{shell}"
    images.image(name, {tool: tool for tool in TOOLS + ["sed", "stdbuf"] if tool != "mktemp"})
    slow = os.path.join(images.top, name, "mktemp")
    with open(slow, "w", encoding="ascii") as f:
        f.write('#!/bin/sh\n: >$SHARED/here; until [ -e $SHARED/go ]; do sleep 0.02; done; exec /usr/bin/mktemp "$@"\n')
    os.chmod(slow, 0o755)
    c = run(shell, name, sh("sleep 1000"))
    if shell == "ash":      # takes its own applet: the nearest thing is to signal as early as one can
        wait_for(c.catches_term, "the trap")
    else:
        wait_for(lambda: os.path.exists(flag(images, "here")), "the bootstrap's mktemp")
    c.term()
    open(flag(images, "go"), "w", encoding="ascii").close()
    assert finish(c, 143) == ([], [])


@pytest.mark.parametrize("shell", SHELLS)
def test_sigterm_at_any_moment(run, shell):
    chance = random.Random(1)
    for _ in range(15):
        c = run(shell, IMAGE_OF[shell], sh("exec sleep 1000"))
        wait_for(c.catches_term, "the trap")
        time.sleep(chance.uniform(0, 0.04))
        c.term()
        assert finish(c, 143) == ([], [])


@pytest.mark.parametrize("framed", (True, False))
@pytest.mark.parametrize("shell", SHELLS)
def test_what_the_script_leaves_behind_is_killed(run, shell, framed):
    c = run(shell, IMAGE_OF[shell], sh("""
        sleep 1000 &
        setsid sleep 1000 &
        (trap '' TERM HUP; exec sleep 1000) &
        for i in 1 2 3; do (while :; do /bin/true; done) & done
        # One that a look at the process table never catches: it lives on in a child, again and again.
        /usr/bin/python3 -c 'import os
open(os.environ["SHARED"] + "/go", "w")
while True:
    if os.fork(): os._exit(0)' &
        until [ -e $SHARED/go ]; do sleep 0.02; done
        echo done
        exit 4"""), framed=framed)
    if framed:
        assert finish(c, 4) == ([b"done"], [])
    else:
        assert c.end() == 4
        assert c.raw == [b"done\n", b""]


@pytest.mark.parametrize("shell", SHELLS)
def test_the_scripts_own_signals(run, shell):
    image = IMAGE_OF[shell]
    assert finish(run(shell, image, sh("echo a; kill -9 $$")), 137) == ([b"a"], [])
    assert finish(run(shell, image, sh("echo a; kill -TERM $$")), 143) == ([b"a"], [])
    assert finish(run(shell, image, sh("trap 'echo d; exit 8' TERM; echo c; kill -TERM -1; kill $$; :")), 8) == ([b"c", b"d"], [])
    # The group is the script's own, as under slurmstepd: neither the bootstrap nor the filters are hit.
    assert finish(run(shell, image, sh("sleep 1000 & trap 'echo b; exit 8' TERM; kill 0; wait")), 8) == ([b"b"], [])
    assert finish(run(shell, image, sh("trap 'echo c; exit 8' TERM; kill -- -$$; :")), 8) == ([b"c"], [])


@pytest.mark.parametrize("shell", SHELLS)
def test_exit_codes_and_deaths(run, shell):
    for code in (0, 1, 126, 127, 137, 255):
        finish(run(shell, IMAGE_OF[shell], sh(f"exit {code}")), code)
    # Not INT and QUIT, which ash has ignored..
    for number in (9, 10, 11, 15):
        finish(run(shell, IMAGE_OF[shell], b"#!/usr/bin/python3\nimport os\nos.kill(os.getpid(), %d)\n" % number), 128 + number)


@pytest.mark.parametrize("shell", SHELLS)
def test_signals_that_a_script_sends_to_the_bootstrap(run, shell):
    """A shell that is PID 1 gets those it has a handler for: dash and ash have one for SIGINT."""
    others = [n for n in range(1, 65) if n not in (9, 15, 19, 32, 33)]
    c = run(shell, IMAGE_OF[shell],
            sh(f"for n in {' '.join(map(str, others))}; do kill -$n 1; done; sleep 0.05; echo alive; exit 3"))
    assert finish(c, 3) == ([b"alive"], [])
    # To all, so to the filters too.
    c = run(shell, IMAGE_OF[shell],
            sh("trap : 1 2 3 10 12; for n in 1 2 3 10 12; do kill -$n -1; done; sleep 0.05; echo alive; exit 3"))
    assert finish(c, 3) == ([b"alive"], [])


@pytest.mark.parametrize("shell", SHELLS)
def test_stopped_filters_are_woken(run, shell):
    c = run(shell, IMAGE_OF[shell], sh("echo a; kill -STOP -1; echo b; exit 3"))
    assert finish(c, 3) == ([b"a", b"b"], [])


@pytest.mark.parametrize("shell", SHELLS)
def test_a_stopped_process_is_woken_for_its_sigterm(run, shell):
    c = run(shell, IMAGE_OF[shell], sh("trap 'echo cleaning; exit 7' TERM; (sleep 0.02; echo ready) & kill -STOP $$; exit 1"))
    c.wait_text(b"oready\n")
    c.term()
    assert finish(c, 7) == ([b"ready", b"cleaning"], [])


@pytest.mark.parametrize("shell", SHELLS)
def test_a_daemon_is_not_waited_for(run, shell):
    """It has left the script's session and closed every descriptor; another one like it kept stdout."""
    c = run(shell, IMAGE_OF[shell], b"""#!/usr/bin/python3
import os, signal
for first in (0, 2):
    if os.fork():
        os.wait()
        continue
    os.setsid()
    if os.fork(): os._exit(0)
    os.closerange(first, 100)
    signal.pause()
print("left", flush=True)
os._exit(5)
""")
    assert finish(c, 5) == ([b"left"], [])


# Fills the process table, says so, and takes every place that becomes free.
BOMB = """/usr/bin/python3 -c '
import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
while True:
    try:
        os.fork()
    except OSError:
        open(os.environ["SHARED"] + "/full", "w")
        time.sleep(0.001)
' &
until [ -e $SHARED/full ]; do :; done
"""


def bombed(run, shell, script):
    """The limit counts all processes of a user, so each shell gets a user of its own."""
    return run(shell, IMAGE_OF[shell], sh(script), uid=64990 + SHELLS.index(shell), processes=30)


@pytest.mark.parametrize("shell", SHELLS)
def test_a_fork_bomb_leaves_the_exit_code(run, shell):
    """The process table is full, so nothing of the bootstrap's may need a new process."""
    assert finish(bombed(run, shell, BOMB + "echo over; exit 6"), 6) == ([b"over"], [])


@pytest.mark.parametrize("shell", SHELLS)
def test_sigterm_into_a_fork_bomb(run, shell):
    c = bombed(run, shell, BOMB + "trap 'echo stopped; exit 7' TERM; echo ready; while :; do :; done")
    c.wait_text(b"oready\n")
    c.term()
    assert finish(c, 7) == ([b"ready", b"stopped"], [])
