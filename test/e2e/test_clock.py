"""The guest's clock beside the host's: half a tenth of a second apart at most, from the first process on."""

import os
import signal
import subprocess
import time

import pytest
from harness.parts import altered_prefix
from harness.processes import wait_for

APART = 0.05  # seconds
# Prints the uptime, the clock and the uptime again, once and then for each line that it reads.
CLOCK = """
show() { echo $(cat /proc/uptime; adjtimex | awk '/time.tv_/ { print $2 }'; cat /proc/uptime); }
show; while read line; do show; done
"""


def clock(line):
    """The time that the container has printed, and when the machine had been started, by it: at least, at most."""
    before, _, sec, usec, after, _ = line.split()
    now = int(sec) + int(usec) / 1e6
    return now, now - float(after), now - float(before)


def ask(running):
    """How far the guest is ahead, at least: what the round trip leaves open counts for it. And what it has printed."""
    before = time.time()
    running.stdin.write(b"\n")
    running.stdin.flush()
    guest = clock(running.stdout.readline())
    after = time.time()
    return max(0, guest[0] - after) or min(0, guest[0] - before), guest


@pytest.mark.vm
def test_a_first_process_sees_the_hosts_time(containerd, runtime, name):
    container = name()
    running = containerd.run_background(container, "sh", "-c", CLOCK, runtime=runtime, stdin=subprocess.PIPE)
    _, first_least, first_most = clock(running.stdout.readline())
    ahead, (_, least, most) = ask(running)
    assert abs(ahead) < APART
    assert least < first_most + APART and first_least < most + APART, "it was set after the process had begun"
    assert containerd.finish(running, stdin=b"").rc == 0


@pytest.mark.vm
@pytest.mark.prefix
def test_a_clock_that_was_stopped_or_set_finds_the_hosts_time_again(make_containerd, prefix, runtime, name):
    container = name()
    with altered_prefix(prefix, {}, "timeouts.clock_ms = 1000\n") as altered:
        containerd = make_containerd(os.path.join(altered, "bin"))
        running = containerd.run_background(container, "sh", "-c", CLOCK, runtime=runtime, stdin=subprocess.PIPE,
                                            flags=["--cap-add", "CAP_SYS_TIME"])
        clock(running.stdout.readline())
        seen = []

        def is_right():
            seen.append(ask(running)[0])
            return abs(seen[-1]) < APART

        machine = containerd.part(container, "qemu-system")
        os.kill(machine, signal.SIGSTOP)
        time.sleep(3)  # the time that a guest's clock could lose
        os.kill(machine, signal.SIGCONT)
        assert wait_for(is_right, pause=0.1), seen
        containerd.exec(container, "date", "-s", "2001-02-03 04:05:06").check()
        assert wait_for(is_right, pause=0.1), seen
        assert containerd.finish(running, stdin=b"").rc == 0
