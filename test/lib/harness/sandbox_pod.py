"""A pod of several containers made by ctr: with the annotations and namespaces of containerd's CRI."""

from . import IMAGE

ANNOTATION = "io.kubernetes.cri."
FILES = {"ipc": "ipc", "uts": "uts", "network": "net", "pid": "pid"}
SHARED = ("ipc", "uts", "network")  # as CRI always has it


class SandboxPod:
    def __init__(self, containerd, runtime, name):
        self.containerd, self.runtime, self.name = containerd, runtime, name
        self.containers = []

    def _flags(self, kind):
        return ["--annotation", f"{ANNOTATION}container-type={kind}", "--annotation", f"{ANNOTATION}sandbox-id={self.name}"]

    def start(self):
        """Its pause container."""
        self.containerd.run_detached(self.name, "sleep", "infinity", runtime=self.runtime, flags=[*self.containerd.own_fifos, *self._flags("sandbox")])
        return self

    def pid(self, container=None):
        for line in self.containerd.ctr("tasks", "ls").check().text.splitlines()[1:]:
            name, pid, _ = line.split()
            if name == (container or self.name):
                return int(pid)
        raise AssertionError(f"no task {container or self.name}")

    def args(self, container, *command, shared=SHARED, flags=()):
        """ctr's arguments after `run`."""
        pid = self.pid()
        joins = [word for kind in shared for word in ("--with-ns", f"{kind}:/proc/{pid}/ns/{FILES[kind]}")]
        return ["--runtime", self.runtime, *self._flags("container"), *joins, *flags, IMAGE, container, *command]

    def add(self, container, *command, **options):
        """A container that goes on."""
        self.containerd.ctr("run", "-d", *self.containerd.own_fifos, *self.args(container, *command, **options)).check()
        self.containers.append(container)

    def run(self, container, *command, **options):
        """A container that ends: `ctr run --rm`."""
        return self.containerd.ctr("run", "--rm", *self.args(container, *command, **options))

    def kill(self):
        """As StopPodSandbox does it last: SIGKILL to the pause container ends all."""
        self.containerd.kill(self.name)  # it may have ended
        for one in (*self.containers, self.name):
            self.containerd.wait_state(one, "STOPPED")

    def delete(self):
        self.kill()
        for one in (*self.containers, self.name):
            self.containerd.ctr("tasks", "delete", one).check()
            self.containerd.ctr("containers", "delete", one).check()
