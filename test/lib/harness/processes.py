"""Processes as /proc shows them."""

import os
import signal
import time
from dataclasses import dataclass


# Seconds. What comes by itself has come by then, on the slowest of machines: only a test that fails waits as long. What a test
# says of speed, it says by what the runtime logged of its own deadlines, by an order of events, or beside a control.
SOON = 60


@dataclass(frozen=True)
class Process:
    pid: int
    ppid: int
    state: str
    started: int  # in clock ticks after boot: with the pid it names a process for ever
    comm: str
    command: str

    def __str__(self):
        return f"{self.pid} (parent {self.ppid}, {self.state}) {self.command or self.comm}"


def _read(path):
    with open(path, "rb") as file:
        return file.read().decode(errors="replace")


def process(pid):
    """The process, or None when it is gone."""
    try:
        stat = _read(f"/proc/{pid}/stat")
        command = _read(f"/proc/{pid}/cmdline").replace("\0", " ").strip()
    except (FileNotFoundError, ProcessLookupError):
        return None
    comm, _, rest = stat.partition("(")[2].rpartition(")")
    fields = rest.split()
    return Process(pid, int(fields[1]), fields[0], int(fields[19]), comm, command)


def processes():
    found = (process(int(name)) for name in os.listdir("/proc") if name.isdigit())
    return [one for one in found if one]


def alive(pid):
    one = process(pid)
    return one is not None and one.state != "Z"


def descendants(pid):
    """All living processes below pid."""
    children = {}
    for one in processes():
        children.setdefault(one.ppid, []).append(one)
    found, queue = [], [pid]
    while queue:
        for child in children.get(queue.pop(), []):
            queue.append(child.pid)
            if child.state != "Z":
                found.append(child)
    return found


def wait_gone(pid, timeout=SOON):
    """Whether the process ended within timeout seconds."""
    return wait_for(lambda: not alive(pid), timeout)


def wait_for(condition, timeout=SOON, pause=0.02):
    """Calls condition until it is true or timeout seconds have passed; returns its last value."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value or time.monotonic() >= deadline:
            return value
        time.sleep(pause)


def kill(pid, number=signal.SIGKILL):
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


def memory(pid):
    """/proc/PID/smaps_rollup: a dictionary of kB."""
    rows = (line.split() for line in _read(f"/proc/{pid}/smaps_rollup").splitlines()[1:])
    return {row[0].rstrip(":"): int(row[1]) for row in rows if len(row) == 3}
