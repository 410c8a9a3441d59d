"""Containers made, used and deleted in parallel, beside one that lives through it all: nothing on the host grows.
KATA_SOAK_MINUTES=30 for a long look, with a row of the table each minute."""

import os
import threading
import time

import pytest
from harness import leftovers
from harness.processes import descendants, memory, wait_for

MINUTES = int(os.environ.get("KATA_SOAK_MINUTES", "0"))
ROWS = MINUTES or 4
SANITIZED = os.environ.get("KATA_STAGE", "e2e") != "e2e"  # what sanitizers and valgrind keep is not the program's
WORKERS = 2
# By how much memory may grow. In a few rows the pods of a look are WORKERS + 1: half of one more.
GROWTH = 1.05 if MINUTES else 1 + 1 / (WORKERS + 1) / 2
COUNTED_LATE = 64  # kB: a guest's kernel adds a processor's pages to its sum when they are a dozen
EXECS = 3
MEETING_SECONDS = 300
MEMORY = ("containerd's objects", "shims kB", "pods kB", "guest kB")


class Load:
    """Workers on a containerd. When a look is due, each stops where its container runs and nothing is under way."""

    def __init__(self, containerd, runtime, name):
        self.containerd, self.runtime, self.name = containerd, runtime, name
        self.lasting = name()
        self.containers = self.execs = 0
        self.failures = []
        self.due, self.over = False, False
        self.first = None
        self.meeting = threading.Barrier(WORKERS + 2, timeout=MEETING_SECONDS)
        self.lock = threading.Lock()

    def start(self, rootfs):
        spec = self.containerd.spec(rootfs, "sleep", "100000")
        self.containerd.run_spec(self.lasting, spec, runtime=self.runtime, flags=["-d"]).check()
        works = [self.use_lasting] + WORKERS * [self.make_and_delete]
        self.threads = [threading.Thread(target=self.repeat, args=(work,)) for work in works]
        for thread in self.threads:
            thread.start()

    def repeat(self, work):
        try:
            while not self.over:
                work()
        except Exception as failure:  # whatever it is ends all, and is the test's result
            self.failures.append(failure)
            self.meeting.abort()

    def pause(self):
        if self.due:
            self.meeting.wait()
            self.meeting.wait()

    def use(self, container):
        result = self.containerd.exec(container, "echo", container)
        assert (result.rc, result.out) == (0, f"{container}\n".encode()), str(result)
        with self.lock:
            self.execs += 1

    def use_lasting(self):
        self.use(self.lasting)
        self.pause()

    def make_and_delete(self):
        container = self.name()
        self.containerd.run_detached(container, "sleep", "100000", runtime=self.runtime)
        for _ in range(EXECS):
            self.use(container)
        self.pause()
        self.containerd.delete(container)
        with self.lock:
            self.containers += 1

    def look(self, last):
        """A row of the table, taken while all workers stand still."""
        self.due = True
        self.meeting.wait()
        row = {"containers": self.containers, "execs": self.execs, **self.settled(), **self.memory()}
        self.due, self.over = False, last
        self.meeting.wait()
        return row

    def settled(self):
        """What was deleted just now may still be on its way out: counts that the last look had, or none above the first."""
        seen = [None]

        def settled():
            seen.append(self.counts())
            return seen[-1] == seen[-2] if self.first is None else not grown(self.first, seen[-1])

        wait_for(settled, pause=0.2)
        self.first = self.first or seen[-1]
        return seen[-1]

    def shims(self):
        return [one.pid for one in descendants(1) if "containerd-shim" in one.command]

    def counts(self):
        found = leftovers.look(self.containerd, self.runtime)
        return {kind: len(names) for kind, names in found.items()} | {
            "shim": len(self.shims()),
            "shims' fds": sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in self.shims()),
            "containerd's fds": len(os.listdir(f"/proc/{self.containerd.pid}/fd")),
        }

    def memory(self):
        """kB that are no file's, which others who run the same programs share as long as they are there; of the lasting
        container's guest: the agent's, and a sleep's. containerd's memory is mostly garbage that awaits collection."""
        shims = self.shims()
        below = [one.pid for pid in shims for one in descendants(pid)]
        used = self.containerd.exec(self.lasting, "grep", "AnonPages", "/proc/meminfo").check().text
        own = [sum(private(pid) for pid in pids) for pids in (shims, below)]
        return dict(zip(MEMORY, (self.containerd.heap_objects(), *own, int(used.split()[1]))))


def private(pid):
    rollup = memory(pid)
    return rollup["Pss_Anon"] + rollup["Pss_Shmem"]


def grown(first, last):
    return [key for key in last if last[key] > first[key]]


def line(values):
    return "  ".join(f"{value!s:>{max(len(key), 5)}}" for key, value in values.items())


@pytest.mark.vm
def test_containers_in_parallel_leave_the_host_as_it_was(containerd, runtime, rootfs, name, capsys):
    load = Load(containerd, runtime, name)
    load.start(rootfs)
    rows = []
    try:
        for number in range(ROWS):
            time.sleep(60 if MINUTES else 0)
            rows.append(load.look(last=number == ROWS - 1))
            with capsys.disabled():
                print((f"\n{line({key: key for key in rows[0]})}\n" if number == 0 else "") + line(rows[-1]), flush=True)
    except threading.BrokenBarrierError:
        pass
    finally:
        load.over = True
        for thread in load.threads:
            thread.join()
    assert not load.failures, "\n".join(map(repr, load.failures))
    containerd.delete(load.lasting)
    third = max(len(rows) // 3, 1)
    first, last = rows[:third], rows[-third:]
    for row in last:
        assert not set(grown(rows[0], row)) - {"containers", "execs", *MEMORY}, f"grew: {row}"
    if not SANITIZED:
        for key in MEMORY:
            limit = sum(row[key] for row in first) * GROWTH + COUNTED_LATE * third
            assert sum(row[key] for row in last) <= limit, f"{key} grew"
