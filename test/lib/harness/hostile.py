"""Guests that attack their host (test/lib/hostile), and what they cost it."""

import contextlib
import os
import re
import time
from pathlib import Path

from . import REPO
from .parts import static_program
from .processes import SOON, alive
from .ttrpc import Task

SOURCES = Path(REPO, "test/lib/hostile")
SANITIZED = os.environ.get("KATA_STAGE") == "asan-e2e"  # AddressSanitizer keeps what is freed in quarantine
PARTS = {"shim": None, "kata-vsock": "kata-vsock", "qemu": "qemu-system"}
MEMORY_KB = {"shim": 48 << 10, "kata-vsock": 32 << 10, "qemu": 256 << 10}  # of its own, guest memory aside


def build(folder):
    """The program: a guest's agent as PID 1, else one attack, by its first argument."""
    return static_program(Path(folder, "hostile"), *sorted(map(str, SOURCES.glob("*.c"))))


def numbers(text):
    """The facts of a report: "tried=10 refused=9"."""
    return {name: int(value) for name, value in re.findall(r"(\w+)=(\d+)", text)}


def outcomes(text):
    """The lines of a report: "WHERE WHAT: OUTCOME" -> (where, what): outcome."""
    return {(where, what): outcome for where, what, outcome in re.findall(r"^(\S+) (\S+): (.*)$", text, re.M)}


def _own_memory(pid):
    with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as file:
        return int(re.search(r"RssAnon:\s+(\d+)", file.read())[1])


def _cpu_seconds(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _descriptors(pid):
    found = []
    for fd in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(FileNotFoundError):
            found.append(re.sub(r"\[\d+\]", "", os.readlink(f"/proc/{pid}/fd/{fd}")))
    return sorted(found)


class Victim:
    """The host's side of a pod that is attacked: what it takes now, compared with before."""

    def __init__(self, containerd, container):
        self.containerd, self.container = containerd, container
        self.pids = {part: containerd.part(container, command) if command else containerd.shim(container)
                     for part, command in PARTS.items()}
        self.task = Task(Path(containerd.bundle(container), "address").read_text(encoding="ascii"))
        self.look()
        self.files = self.files_at_rest()
        self.log_start = containerd.log_size()

    def close(self):
        self.task.close()

    def attack(self, *words, timeout=300):
        """Runs one as an exec; meanwhile the shim answers. What it printed."""
        running = self.containerd.exec_background(self.container, *words)
        deadline = time.monotonic() + timeout
        while running.poll() is None and time.monotonic() < deadline:
            self.look()
            time.sleep(0.1)
        result = self.containerd.finish(running)
        assert result.rc == 0, str(result)
        self.look()
        return result.text

    def look(self):
        """It is alive, the shim answers, and none holds more than it may."""
        assert self.task.State(timeout=SOON, id=self.container).status == 2
        for part, pid in self.pids.items():
            assert alive(pid), f"{part} has gone"
            kb = _own_memory(pid)
            assert SANITIZED or kb < MEMORY_KB[part], f"{part} has {kb} kB"

    def settle(self):
        """After a flood: no descriptor is kept, and no processor is used."""
        deadline = time.monotonic() + SOON
        while True:
            before = {part: _cpu_seconds(self.pids[part]) for part in ("shim", "kata-vsock")}
            time.sleep(1)
            used = {part: _cpu_seconds(self.pids[part]) - seconds for part, seconds in before.items()}
            files = {part: _descriptors(pid) for part, pid in self.pids.items()}
            if max(used.values()) <= 0.1 and all(len(files[part]) <= len(self.files[part]) for part in files):
                return
            assert time.monotonic() < deadline, f"used in a second: {used}; descriptors: {self.files}, now {files}"

    def files_at_rest(self):
        """The descriptors of each part, when they have been the same for a while."""
        deadline = time.monotonic() + SOON
        files = None
        while files != (files := {part: _descriptors(pid) for part, pid in self.pids.items()}):
            assert time.monotonic() < deadline, f"no rest: {files}"
            time.sleep(0.5)
        return files

    def logged(self):
        """How many bytes of log it was worth."""
        return self.containerd.log_size() - self.log_start
