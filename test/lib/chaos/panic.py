"""A container that can make its guest's kernel panic, whenever it is told to."""

import json
import os
import subprocess
from pathlib import Path

from harness import REPO
from harness.image import busybox_image, unpack

CAPABILITIES = ["CAP_SYS_ADMIN", "CAP_SYS_PTRACE"]
PROCESS_STEP_MS = 30
SEEN = "sysrq: Trigger a crash"  # what the kernel says on its console; the shim logs that when it debugs


class Panic:
    def __init__(self, containerd):
        self.containerd = containerd
        self.rootfs = os.path.join(containerd.dir, "rootfs")
        unpack(busybox_image(), self.rootfs)
        source = os.path.join(REPO, "test/lib/chaos/panic.c")
        subprocess.run(["gcc", "-D_GNU_SOURCE", "-static", source, "-o", f"{self.rootfs}/panic"], check=True)
        self.configuration = os.path.join(containerd.dir, "debug.toml")
        with open(self.configuration, "w", encoding="ascii") as file:
            file.write("[runtime]\nenable_debug = true\n")

    def run_args(self, life, command):
        """Those of `ctr run` after its flags. The container itself panics in the step that starts its process."""
        if life.cycle.step == "process":
            command = ["/panic", str(int(PROCESS_STEP_MS * life.cycle.fraction))]
        spec = self.containerd.spec(self.rootfs, *command)
        for known in spec["process"]["capabilities"].values():
            known += CAPABILITIES
        linux = spec["linux"]
        linux["namespaces"] = [one for one in linux["namespaces"] if one["type"] != "pid"]
        linux["readonlyPaths"].remove("/proc/sysrq-trigger")
        path = os.path.join(self.containerd.dir, "panic.json")
        with open(path, "w", encoding="ascii") as file:
            json.dump(spec, file)
        return ["--runtime-config-path", self.configuration, "--config", path, life.name]

    def arm(self, life):
        output = Path(self.containerd.dir, f"{life.name}.panic")
        with open(output, "wb") as file:
            life.clients["panic"] = self.containerd.exec_background(
                life.name, "/panic", exec_id="panic", flags=self.containerd.own_fifos, stdin=subprocess.PIPE, stdout=file
            )
        life.await_sign(lambda: output.read_bytes() == b"armed\n", "what makes the kernel panic")

    @staticmethod
    def strike(life):
        """Also when the panicking process has lost its input: then it panics by itself."""
        if life.cycle.step == "process":
            return
        try:
            life.clients["panic"].stdin.write(b"\n")
            life.clients["panic"].stdin.flush()
        except BrokenPipeError:
            pass
