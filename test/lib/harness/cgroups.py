"""Cgroups of the node, which a kubelet makes for its pods."""

import os
from pathlib import Path


def hierarchies():
    with open("/proc/self/mountinfo", encoding="utf-8") as file:
        mounts = [line.split() for line in file]
    return [Path(fields[4]) for fields in mounts if fields[fields.index("-") + 1] in ("cgroup", "cgroup2")]


def make(path):
    for hierarchy in hierarchies():
        (hierarchy / path).mkdir(parents=True, exist_ok=True)


def remove(path):
    """With all below it."""
    for hierarchy in hierarchies():
        for folder, _, _ in os.walk(hierarchy / path, topdown=False):
            os.rmdir(folder)
