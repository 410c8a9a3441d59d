"""A runtime of type "vm" as CRI-O drives it (its internal/oci/runtime_vm.go): without a containerd, each container with a
`start` of its own, options in Create alone, Shutdown after each Delete, and namespaces that are pinned to files."""

import itertools
import json
import os
import subprocess
from functools import cache
from pathlib import Path

from .networks import ip
from .pods import exec_spec
from .processes import SOON, alive, wait_for
from .ttrpc import Status, Task, message

ANNOTATION = "io.kubernetes.cri-o."
KINDS = {"ipc": "ipc", "uts": "uts", "network": "net"}


class CrioPod:
    """Its namespaces, and its infra container."""

    numbers = itertools.count(1)

    def __init__(self, shim, folder, make_spec, config_path=None):
        self.shim, self.folder, self.make_spec, self.config_path = shim, Path(folder), make_spec, config_path
        self.id = f"crio-{os.getpid()}-{next(self.numbers)}"
        self.containers = {}
        self.pinned = {kind: self._pin(kind) for kind in ("ipc", "uts")}
        self.shm = self.folder / "shm"
        self.shm.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=1777,size=64m", "shm", self.shm], check=True)
        ip("netns", "add", self.id)
        self.pinned["network"] = f"/run/netns/{self.id}"
        ip("-n", self.id, "link", "set", "lo", "up")

    def _pin(self, kind):
        path = self.folder / f"{kind}ns"
        path.touch()
        subprocess.run(["unshare", f"--{kind}={path}", "true"], check=True)
        return str(path)

    def run(self):
        self.start(self.id, "sleep", "infinity")
        return self

    def start(self, name, *command, rootfs=()):
        """rootfs: (type, source, options) of each mount that makes it; none: a directory, that of the spec."""
        container = CrioContainer(self, name, command, rootfs)
        self.containers[name] = container
        return container.start()

    def network_goes(self):
        """CNI DEL, which comes first when a pod is stopped."""
        for link in json.loads(ip("-n", self.id, "-j", "link")):
            if link["ifname"] != "lo":
                ip("-n", self.id, "link", "del", link["ifname"])

    def end(self):
        for name in sorted(self.containers, key=lambda one: one == self.id):  # the infra container is the last
            self.containers[name].end()
        self.close()

    def close(self):
        ip("netns", "del", self.id)
        for path in (self.pinned["ipc"], self.pinned["uts"], self.shm):
            subprocess.run(["umount", path], check=True)


class CrioContainer:
    def __init__(self, pod, name, command, rootfs):
        self.pod, self.id, self.rootfs = pod, name, rootfs
        self.bundle = pod.folder / name
        self.bundle.mkdir()
        self.output = b""
        self._write_spec(command)

    def _write_spec(self, command):
        spec = self.pod.make_spec(*command)
        kind = "sandbox" if self.id == self.pod.id else "container"
        spec["annotations"] = {f"{ANNOTATION}ContainerType": kind, f"{ANNOTATION}SandboxID": self.pod.id}
        spec["mounts"] = [one for one in spec["mounts"] if one["destination"] != "/dev/shm"]
        spec["mounts"].append({"destination": "/dev/shm", "type": "bind", "source": str(self.pod.shm), "options": ["rw", "bind"]})
        others = [one for one in spec["linux"]["namespaces"] if one["type"] not in KINDS]
        spec["linux"]["namespaces"] = others + [{"type": kind, "path": self.pod.pinned[kind]} for kind in KINDS]
        (self.bundle / "config.json").write_text(json.dumps(spec), encoding="ascii")
        for fifo in ("log", "stdout"):
            os.mkfifo(self.bundle / fifo)
        self.log = os.open(self.bundle / "log", os.O_RDONLY | os.O_NONBLOCK)
        self.stdout = os.open(self.bundle / "stdout", os.O_RDONLY | os.O_NONBLOCK)

    def _options(self):
        if not self.pod.config_path:
            return None
        options = message("runtimeoptions.v1.Options")(config_path=str(self.pod.config_path))
        return message("google.protobuf.Any")(type_url="runtimeoptions.v1.Options", value=options.SerializeToString())

    def start(self):
        env = dict(os.environ, GOMAXPROCS="2", MAX_SHIM_VERSION="2", TTRPC_ADDRESS="", GRPC_ADDRESS="", NAMESPACE="default")
        flags = ["-namespace", "default", "-address", "", "-publish-binary", "/usr/bin/crio", "-id", self.id, "start"]
        done = subprocess.run([self.pod.shim, *flags], cwd=self.bundle, env=env, stdin=subprocess.DEVNULL, timeout=SOON,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        assert done.returncode == 0, done
        self.task = Task(done.stdout.decode().strip())
        try:
            mounts = [message("containerd.types.Mount")(type=kind, source=str(source), options=options)
                      for kind, source, options in self.rootfs]
            self.pid = self.task.Create(id=self.id, bundle=str(self.bundle), stdout=str(self.bundle / "stdout"), options=self._options(),
                                        rootfs=mounts).pid
            self.shim_pid = self.task.Connect(id=self.id).shim_pid
            self.task.Start(id=self.id)
        except Status:
            self.forget()
            raise
        self.wait = cache(self.task.begin("Wait", id=self.id))  # one call, asked for its answer at any time
        return self

    def is_alive(self):
        """By signal 0, as CRI-O asks."""
        try:
            self.task.Kill(id=self.id, signal=0)
        except Status:
            return False
        return True

    def exec(self, *command):
        """The exit status."""
        ids = {"id": self.id, "exec_id": "e"}
        self.task.Exec(spec=exec_spec(*command), **ids)
        self.task.Start(**ids)
        status = self.task.Wait(**ids).exit_status
        self.task.Delete(**ids)
        return status

    def read(self):
        """All output so far, after the exit all of it."""
        try:
            while more := os.read(self.stdout, 1 << 16):
                self.output += more
        except BlockingIOError:
            pass
        return self.output.decode()

    def end(self):
        if self.is_alive():
            self.task.Kill(id=self.id, signal=9)
        self.wait()
        self.task.Delete(id=self.id)
        self.task.Shutdown(id=self.id)
        self.forget()
        del self.pod.containers[self.id]

    def forget(self):
        self.task.connection.socket.close()
        os.close(self.log)
        os.close(self.stdout)

    def is_gone(self):
        return wait_for(lambda: not alive(self.shim_pid))
