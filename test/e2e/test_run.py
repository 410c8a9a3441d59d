"""`ctr run --rm`: output, exit status, standard input and terminal.

KATA_STDIO_BLOCKS: how many megabytes, nearly, go out, and in: 1150 for a GiB each.
"""

import hashlib
import os
import pty
import re
import select
import subprocess
import time

from harness.output import difference

MEGABYTE = 1 << 20
BLOCKS_OF_CI = 110
BLOCKS = int(os.environ.get("KATA_STDIO_BLOCKS", BLOCKS_OF_CI))
DEADLINE = 240 + BLOCKS


def test_echo_prints_its_argument(containerd, runtime, name):
    result = containerd.run(name(), "echo", "hello  world", runtime=runtime)
    assert (result.rc, result.out, result.err) == (0, b"hello  world\n", b"")


def test_stderr_is_apart_from_stdout(containerd, runtime, name):
    result = containerd.run(name(), "sh", "-c", "echo out; echo err >&2", runtime=runtime)
    assert (result.rc, result.out, result.err) == (0, b"out\n", b"err\n")


def test_exit_code_is_reported(containerd, runtime, name):
    assert containerd.run(name(), "sh", "-c", "exit 7", runtime=runtime).rc == 7


def test_killed_by_a_signal_is_128_plus_its_number(containerd, runtime, name):
    container = name()
    running = containerd.run_background(container, "sleep", "1000", runtime=runtime)
    containerd.ctr("tasks", "kill", "-s", "SIGKILL", container).check()
    assert containerd.finish(running).rc == 137


def test_a_handled_signal_reaches_the_process(containerd, runtime, name):
    container = name()
    script = "trap 'echo got it; exit 3' TERM; echo ready; while :; do sleep 0.1; done"
    running = containerd.run_background(container, "sh", "-c", script, runtime=runtime)
    assert running.stdout.readline() == b"ready\n"
    containerd.ctr("tasks", "kill", "-s", "SIGTERM", container).check()
    result = containerd.finish(running)
    assert (result.rc, result.out) == (3, b"got it\n")


LINES = b"".join(b"%d\n" % line for line in range(1, 150000))


def block(number):
    """What the script below prints once a turn."""
    return b"%d\n" % number + LINES


def digest_of_blocks(count):
    """Of the first so many; and their length."""
    digest, size = hashlib.sha256(), 0
    for number in range(count):
        digest.update(block(number))
        size += len(block(number))
    return digest.hexdigest(), size


def test_100_megabytes_of_output_arrive_unchanged(containerd, runtime, name):
    script = f"seq 149999 >/tmp/block; i=0; while [ $i -lt {BLOCKS} ]; do echo $i; cat /tmp/block; i=$((i+1)); done"
    expected, size = digest_of_blocks(BLOCKS)
    got, arrived = hashlib.sha256(), 0
    running = containerd.popen(
        "run", "--rm", "--runtime", runtime, "localhost/busybox:latest", name(), "sh", "-c", script,
    )
    deadline = time.monotonic() + DEADLINE
    while select.select([running.stdout], [], [], max(0, deadline - time.monotonic()))[0]:
        data = os.read(running.stdout.fileno(), MEGABYTE)
        if not data:
            break
        got.update(data)
        arrived += len(data)
    result = containerd.finish(running)
    assert result.rc == 0, str(result)
    assert arrived == size > 100_000_000
    assert got.hexdigest() == expected


def test_10_megabytes_of_input_arrive_unchanged(containerd, runtime, name, tmp_path):
    blocks = BLOCKS // 10 if BLOCKS == BLOCKS_OF_CI else BLOCKS  # the guest's sha256sum is slow
    expected, size = digest_of_blocks(blocks)
    with open(tmp_path / "input", "wb") as file:
        for number in range(blocks):
            file.write(block(number))
    with open(tmp_path / "input", "rb") as file:
        running = containerd.popen("run", "--rm", "--runtime", runtime, "localhost/busybox:latest", name(),
                                   "sha256sum", stdin=file)
    result = containerd.finish(running, timeout=DEADLINE).check()
    assert result.text.split()[0] == expected
    assert size > 10_000_000


def test_input_comes_back_as_output(containerd, runtime, name):
    data = os.urandom(MEGABYTE)
    result = containerd.run(name(), "cat", runtime=runtime, stdin=data)
    assert result.rc == 0, result.error
    assert difference(result.out, data) is None


def test_terminal_is_a_pseudo_terminal_of_the_right_size(containerd, runtime, name):
    # ctr sends the size after the start; of none busybox says an error.
    script = "tty; until [ \"$(stty size 2>/dev/null)\" = '33 77' ]; do sleep 0.1; done; stty size; exit 5"
    output, rc = on_terminal(containerd, runtime, name(), script)
    assert re.search(r"/dev/(pts/0|console)\r+\n33 77\r+\n", output), repr(output)
    assert rc == 5


def test_terminal_takes_what_is_typed(containerd, runtime, name):
    script = "echo ready; read line; echo \"<$line>\"; exit 4"
    output, rc = on_terminal(containerd, runtime, name(), script, typed=b"typed text\n")
    assert "<typed text>" in output, repr(output)
    assert rc == 4


def on_terminal(containerd, runtime, container, script, typed=b"", timeout=60):
    """`ctr run -t` on a terminal of 33 lines of 77 characters: what appeared there, and ctr's exit code."""
    ours, theirs = pty.openpty()
    subprocess.run(["stty", "rows", "33", "cols", "77"], stdin=theirs, check=True)
    running = containerd.popen(
        "run", "--rm", "-t", "--runtime", runtime, "localhost/busybox:latest", container, "sh", "-c", script,
        stdin=theirs, stdout=theirs, stderr=theirs,
    )
    os.close(theirs)
    output, deadline = b"", time.monotonic() + timeout
    while select.select([ours], [], [], max(0, deadline - time.monotonic()))[0]:
        try:
            output += os.read(ours, 4096)
        except OSError:  # EIO: the last one who had the terminal is gone
            break
        if typed and b"ready" in output:
            os.write(ours, typed)
            typed = b""
    result = containerd.finish(running)
    os.close(ours)
    return output.decode(errors="replace"), result.rc
