"""Cgroups of the node, which a kubelet makes for its pods."""

import os
import time
from pathlib import Path

REMOVE_SECONDS = 20  # a process that was killed may be in it for a while


def hierarchies():
    with open("/proc/self/mountinfo", encoding="utf-8") as file:
        mounts = [line.split() for line in file]
    return [Path(fields[4]) for fields in mounts if fields[fields.index("-") + 1] in ("cgroup", "cgroup2")]


def make(path):
    for hierarchy in hierarchies():
        (hierarchy / path).mkdir(parents=True, exist_ok=True)


def remove(path, seconds=REMOVE_SECONDS):
    """With all below it. As a kubelet does, again and again while something is in it."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            _remove_now(path)
            return
        except OSError:
            if time.monotonic() >= deadline:
                raise
            time.sleep(0.1)


def _remove_now(path):
    for hierarchy in hierarchies():
        for folder, _, _ in os.walk(hierarchy / path, topdown=False):
            os.rmdir(folder)
