"""What the lives have in common: steps that begin one after the other, and the shim's log."""

import time

from harness.disks import Loop
from harness.processes import processes
from plan import KINDS

STEP_SECONDS = 60  # until a step must have begun
END_STATUS = 7  # of a container that is asked to end
DISK_MIB = 4
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
        self.disk = Loop(containerd.dir, f"disk-{cycle.number}", DISK_MIB) if cycle.plugs else None

    def command(self):
        """Of a container: it says "ready", and ends when it is asked to. Its disk is written to all the time."""
        write = f"dd if=/dev/zero of={self.disk.path} bs=64k count=4 conv=fsync 2>/dev/null" if self.disk else ""
        work = f"{write} || exit; while {write}; do sleep 0.2; done & " if self.disk else ""
        return ["sh", "-c", f"trap 'exit {END_STATUS}' TERM; {work}echo ready; while :; do sleep 1000 & wait $!; done"]

    def detach_disk(self):
        """Fails as long as anybody has it open."""
        if self.disk:
            disk, self.disk = self.disk, None
            disk.detach()
            disk.file.unlink()

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
