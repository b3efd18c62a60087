# The bootstrap's output: framing, order, bursts, long lines, any bytes, under every shell and with every line filter.
# SPDX-License-Identifier: GPL-2.0-or-later
import os
import re
import time

import pytest
from bootstrap_pid1 import IMAGE_OF, IMAGES, PAIRS, SHELLS, finish, flag, images, run, sh, wait_for  # noqa: F401


@pytest.mark.parametrize("shell,image", PAIRS)
def test_lines_come_out_behind_their_letter(run, shell, image):
    c = run(shell, image, sh(r"""
        printf '%s\n' 'first' '' '  leading and trailing  ' '-n back\slash \n %s * ? $HOME `x`' '!' '-f' 'o' ''
        printf '%s\n' 'error' '' '	tab' >&2
        for p in /proc/[0-9]*; do
            { IFS= read -r x <$p/comm && echo "comm $x" && /usr/bin/tr '\0' ' ' <$p/cmdline | /usr/bin/head -c 40; echo; } 2>&-
        done >$SHARED/processes
        printf 'no newline'
        printf 'none here' >&2
        exit 3"""))
    out, err = finish(c, 3)
    assert out == [b"first", b"", b"  leading and trailing  ", rb"-n back\slash \n %s * ? $HOME `x`", b"!", b"-f", b"o", b"",
                   b"no newline"]
    assert err == [b"error", b"", b"\ttab", b"none here"]
    with open(os.path.join(c.shared, "processes"), encoding="utf-8") as f:
        processes = f.read()
    wanted = IMAGES[image][1] if shell != "ash" else "sh -c"      # ash runs its awk without exec
    assert wanted in processes, f"no filter '{wanted}' among\n{processes}"
    assert "mawk" not in processes and ("comm sed" in processes) == wanted.startswith("sed"), processes


@pytest.mark.parametrize("shell,image", PAIRS)
def test_a_line_is_visible_at_once(run, images, shell, image):
    c = run(shell, image, sh("""
        echo early; echo late >&2
        until [ -e $SHARED/go ]; do sleep 0.02; done"""))
    c.wait_text(b"oearly\n")
    wait_for(lambda: b"elate\n" in c.raw[1], "the line on stderr")
    open(flag(images, "go"), "w", encoding="ascii").close()
    finish(c, 0)


@pytest.mark.parametrize("shell,image", PAIRS)
def test_a_burst_is_complete_and_in_order(run, record_property, shell, image):
    n = 10000 if IMAGES[image][1] == "sh -c" else 100000
    begin = time.monotonic()
    c = run(shell, image, sh(f"/usr/bin/seq {n} & /usr/bin/seq {n} >&2; wait"))
    out, err = finish(c, 0)
    rate = 2 * n / (time.monotonic() - begin)
    record_property("lines_per_second", round(rate))
    print(f"{shell} {image}: {rate:.0f} lines/s over both streams")
    wanted = [b"%d" % i for i in range(1, n + 1)]
    assert out == wanted
    assert err == wanted


@pytest.mark.parametrize("shell,image", PAIRS)
def test_no_output_and_closed_outputs(run, shell, image):
    assert finish(run(shell, image, sh("")), 0) == ([], [])
    assert finish(run(shell, image, sh("echo x; exec >&- 2>&-; exit 9")), 9) == ([b"x"], [])
    assert finish(run(shell, image, sh("echo x; exec >&-; echo y >&2; exit 9")), 9) == ([b"x"], [b"y"])


@pytest.mark.parametrize("shell,image", PAIRS)
def test_a_line_longer_than_any_buffer(run, shell, image):
    # 300 KiB, over the log driver's 256; the second one has no newline at its end.
    text = "x() { /usr/bin/head -c 307200 /dev/zero | /usr/bin/tr '\\0' x; }; x; echo; echo mid; x"
    out, _ = finish(run(shell, image, sh(text)), 0)
    assert out == [b"x" * 307200, b"mid", b"x" * 307200]


@pytest.mark.parametrize("shell,image", PAIRS)
def test_any_bytes_pass(run, shell, image):
    text = bytes(range(1, 10)) + bytes(range(11, 256))
    c = run(shell, image, b"#!/usr/bin/python3\nimport sys\nt = bytes(range(1, 10)) + bytes(range(11, 256))\n"
            b"sys.stdout.buffer.write(t + b'\\n\\xe2\\x82\\n' + t)\nsys.stderr.buffer.write(b'a\\0b\\nlast\\0')\n")
    out, err = finish(c, 0)
    assert out == [text, b"\xe2\x82", text]
    # A NUL is the one byte that a filter may drop or take for a newline; what stands around it must stay.
    assert re.fullmatch(rb"a[\0\n]?b\nlast\0?\n*", b"\n".join(err)), err


@pytest.mark.parametrize("shell", SHELLS)
def test_both_streams_keep_their_order_when_they_are_interleaved(run, shell):
    c = run(shell, IMAGE_OF[shell], sh("i=0; while [ $i -lt 10000 ]; do i=$((i+1)); echo o$i; echo e$i >&2; done"))
    out, err = finish(c, 0)
    assert out == [b"o%d" % i for i in range(1, 10001)]
    assert err == [b"e%d" % i for i in range(1, 10001)]


@pytest.mark.parametrize("shell", SHELLS)
def test_a_killed_filter_is_not_passed_over(run, shell):
    """Its output is lost: without the end marks the agent says that output may be incomplete."""
    c = run(shell, IMAGE_OF[shell], sh("kill -9 -$PPID; exit 3"))
    assert c.end() == 3
    assert b" end " not in c.raw[0] + c.raw[1], c.raw


@pytest.mark.parametrize("shell", SHELLS)
def test_without_framing_the_output_is_untouched(run, shell):
    c = run(shell, IMAGE_OF[shell], sh("printf 'a\\n\\nb'; echo c >&2; sleep 1000 & exit 5"), framed=False)
    assert c.end() == 5
    assert c.raw == [b"a\n\nb", b"c\n"]
