"""What the lives have in common: steps that begin one after the other, and the shim's log."""

import time

from harness.processes import processes
from plan import KINDS

STEP_SECONDS = 60  # until a step must have begun
PARTS = {"qemu": "qemu-system", "virtiofsd": "virtiofsd", "vsock": "kata-vsock"}


class Broken(Exception):
    """The life did not get as far as it was to, though nothing had been killed yet."""


class Steps:
    def __init__(self, containerd, cycle, optional=()):
        self.containerd = containerd
        self.cycle = cycle
        self.began = {}
        self.optional = optional  # steps that are left out on the way to later ones
        self.log_start = containerd.log_size()

    def reach(self, last, begun=None):
        """Returns when the step has begun. begun: the one that it is in already."""
        steps = KINDS[self.cycle.life].steps
        first = steps.index(begun) + 1 if begun else 0
        for step in steps[first : steps.index(last) + 1]:
            if step in self.optional and step != last:
                continue
            getattr(self, f"_begin_{step}")()
            self.began[step] = time.monotonic()

    def took(self):
        """The steps that have ended -> seconds."""
        began = list(self.began.items())
        return {step: after - begin for (step, begin), (_, after) in zip(began, began[1:])}

    def log(self):
        return self.containerd.log_tail(self.log_start, 1 << 20)

    def booted(self):
        return 'msg="boot done' in self.log()

    def victims(self):
        if self.cycle.victim == "containerd":
            return [self.containerd.pid]
        if self.cycle.victim == "shim":
            return self.shims()
        part = PARTS[self.cycle.victim]
        return [one.pid for one in processes() if one.state != "Z" and one.comm.startswith(part[:15])]
