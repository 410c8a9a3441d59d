"""What a test left on the machine: the difference between two looks at everything a pod could own."""

import os
import re
import socket
import time

from . import RUNC
from .processes import alive, processes

# The end of processes, unmounts and removals follow an exit asynchronously. Less than the runtime's long deadlines (a call to
# the agent, a pod without a Create): what only they would end counts as left behind.
WAIT_SECONDS = 25
# Directories that are made once and shared by all that come after, and those that docker removes once a minute.
KEPT = re.compile(
    r"/run/(containerd(/s|/fifo|/runc(/[^/]+)?)?|kata)"
    r"|.*/io\.containerd\.(runtime\.v2\.task|sandbox\.controller\.v1\.shim)/[^/]+"
    r"|.*/io\.containerd\.grpc\.v1\.cri/(containers|sandboxes|netns)"
    r"|.*/exec/(containerd|netns(/.*)?|libnetwork(/.*)?|plugins|runtime-runc.*)"
    r"|/var/lib/cni/results|.*/leases(/[^/]+(/lock|/last_reserved_ip\.\d)?)?"
)


def look(containerd, runtime):
    """A dictionary of kind -> set of names."""
    found = {
        "process": _processes(containerd),
        "mount": _mounts(),
        "file": set(),
        "network device": {name for _, name in socket.if_nameindex()},
        "cgroup": _cgroups(containerd.cgroups),
    }
    for tree in containerd.trees:
        found["file"] |= _tree(tree)
    if runtime == RUNC:  # a killed shim of runc's leaves its socket
        found["file"] = {path for path in found["file"] if not path.startswith("/run/containerd/s/")}
    for kind, args in (
        ("task", ("tasks", "ls", "-q")),
        ("container", ("containers", "ls", "-q")),
        ("snapshot", ("snapshots", "ls")),
        ("lease", ("leases", "ls", "-q")),
    ):
        found[kind] = set(containerd.ctr(*args).text.splitlines())
    return found


def wait_none(containerd, runtime, before, seconds=WAIT_SECONDS):
    """The leftovers since before, as lines of text; none within a bounded time gives an empty list."""
    deadline = time.monotonic() + seconds
    while True:
        after = look(containerd, runtime)
        left = [f"{kind} left: {name}" for kind in after for name in sorted(after[kind] - before[kind])]
        if not left or time.monotonic() >= deadline:
            return left
        time.sleep(0.1)


def _processes(containerd):
    """Living processes, and zombies of ours. An orphan's zombie is its new parent's affair. containerd itself
    may have been started again."""
    own, ours = os.getpid(), containerd.own_pids
    return {
        f"{one.pid}@{one.started} {one.command or one.comm}"
        for one in processes()
        if ((one.state != "Z" and alive(one.pid)) or one.ppid == own) and one.pid not in ours
    }


def _mounts():
    with open("/proc/self/mountinfo", encoding="utf-8") as file:
        return {" ".join(line.split()[3:5]) for line in file}


def _tree(top):
    return {
        path
        for where, folders, files in os.walk(top)
        for path in (os.path.join(where, name) for name in folders + files)
        if not KEPT.fullmatch(path)
    }


def _cgroups(ours):
    """Directories below the folder of our containers, which other tests on this host do not use; it is made once and kept by runc."""
    found = set()
    for where, folders, _ in os.walk("/sys/fs/cgroup"):
        for name in folders:
            path = os.path.join(where, name)
            if f"/{ours}/" in path:
                found.add(path)
    return found
