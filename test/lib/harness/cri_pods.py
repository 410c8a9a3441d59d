"""Pods and their containers, made through CRI as a kubelet makes them."""

import itertools
import secrets
from dataclasses import dataclass
from pathlib import Path

from . import IMAGE, cgroups
from .cri import CriError
from .processes import SOON, wait_for

READY, NOTREADY = 0, 1
CREATED, RUNNING, EXITED = 0, 1, 2


@dataclass(frozen=True)
class LogLine:
    stream: str
    whole: bool  # whether the line ends here; else the next of this stream goes on with it
    text: str


class CriContainer:
    """A container of a pod, by its ContainerConfig."""

    def __init__(self, pod, config):
        self.pod, self.cri = pod, pod.cri
        self.log_file = pod.log_folder / config["log_path"]
        self.id = self.cri.CreateContainer(pod_sandbox_id=pod.id, config=config, sandbox_config=pod.config).container_id

    def start(self):
        self.cri.StartContainer(container_id=self.id)
        return self

    def stop(self, timeout=0):
        """timeout: seconds between SIGTERM and SIGKILL."""
        self.cri.StopContainer(container_id=self.id, timeout=timeout)

    def remove(self):
        self.cri.RemoveContainer(container_id=self.id)

    @property
    def status(self):
        return self.cri.ContainerStatus(container_id=self.id).status

    def wait_exited(self):
        """Returns the status with which the container has ended."""
        assert wait_for(lambda: self.status.state == EXITED), self.status
        return self.status

    def exec(self, *command, timeout=0):
        """ExecSync: stdout, stderr and exit_code."""
        return self.cri.ExecSync(container_id=self.id, cmd=command, timeout=timeout)

    def output(self, *command):
        """What a command prints that succeeds."""
        done = self.exec(*command)
        assert done.exit_code == 0, done
        return done.stdout.decode()

    def log(self):
        """The lines of the log file, as LogLine."""
        lines = (line.split(" ", 3) for line in self.log_file.read_text(encoding="utf-8").split("\n")[:-1])
        return [LogLine(stream, tag == "F", text) for _time, stream, tag, text in lines]

    def text(self, stream="stdout"):
        """The log as the container wrote it."""
        return "".join(line.text + "\n" * line.whole for line in self.log() if line.stream == stream)

    def wait_text(self, text, stream="stdout", timeout=SOON):
        assert wait_for(lambda: text in self.text(stream), timeout), self.log()


class CriPod:
    """A pod, by its PodSandboxConfig: it runs when wait() has returned."""

    def __init__(self, containerd, handler, config):
        self.containerd, self.cri, self.config = containerd, containerd.cri, config
        self.log_folder = Path(config["log_directory"])
        self.namespaces = config["linux"]["security_context"]["namespace_options"]
        self.names = []
        self.cgroup = config["linux"]["cgroup_parent"].lstrip("/")
        cgroups.make(self.cgroup)
        self.begun = self.cri.begin("RunPodSandbox", config=config, runtime_handler=handler)

    def wait(self):
        try:
            self.id = self.begun().pod_sandbox_id
        except CriError:
            cgroups.remove(self.cgroup)
            raise
        return self

    def attempts(self, name):
        """How many containers of this name there were before."""
        self.names.append(name)
        return self.names.count(name) - 1

    def create(self, *command, name="main", target=None, security=None, resources=None, **more):
        """A container that is not started yet. target: the container whose processes it sees. more: of ContainerConfig."""
        namespaces = self.namespaces | ({"pid": "TARGET", "target_id": target.id} if target else {})
        attempt = self.attempts(name)
        config = {
            "metadata": {"name": name, "attempt": attempt}, "log_path": f"{name}_{attempt}.log",
            "image": {"image": IMAGE}, "command": command,
            "linux": {"security_context": {"namespace_options": namespaces} | (security or {}), "resources": resources},
        }
        return CriContainer(self, config | more)

    def start(self, *command, **fields):
        return self.create(*command, **fields).start()

    @property
    def status(self):
        return self.cri.PodSandboxStatus(pod_sandbox_id=self.id).status

    @property
    def task(self):
        """The state of the sandbox's task, None when it is gone."""
        return self.containerd.task_state(self.id)

    def containers_in(self, state):
        """One in this state, or with "all" one in each of them: container by state. Of a removed one nothing is left."""
        made = {kind: self.create("sleep", "0" if kind in ("exited", "removed") else "1000", name=kind)
                for kind in ("created", "running", "exited", "removed") if state in (kind, "all")}
        for kind, container in made.items():
            if kind != "created":
                container.start()
            if kind in ("exited", "removed"):
                container.wait_exited()
        if "removed" in made:
            made.pop("removed").remove()
        return made

    def stop(self):
        self.cri.StopPodSandbox(pod_sandbox_id=self.id)

    def remove(self):
        self.cri.RemovePodSandbox(pod_sandbox_id=self.id)
        cgroups.remove(self.cgroup)

    def end(self):
        self.stop()
        self.remove()


class CriPods:
    """All of one test, of one handler. Logs are below a folder."""

    def __init__(self, containerd, handler, folder):
        self.containerd, self.handler, self.folder = containerd, handler, folder
        self.numbers = itertools.count(1)

    def run(self, **fields):
        return self.begin(**fields).wait()

    def begin(self, namespaces=None, security=None, linux=None, **more):
        """namespaces: of NamespaceOption, as security is of LinuxSandboxSecurityContext and so on. more: of PodSandboxConfig."""
        name = f"pod-{next(self.numbers)}"
        logs = Path(self.folder, name)
        logs.mkdir()
        namespaces = {"pid": "CONTAINER"} | (namespaces or {})
        config = {
            "metadata": {"name": name, "uid": secrets.token_hex(4), "namespace": "default"}, "hostname": name, "log_directory": str(logs),
            "linux": {
                "cgroup_parent": f"/{self.containerd.cgroups}/{name}",
                "security_context": {"namespace_options": namespaces} | (security or {}),
            } | (linux or {}),
        }
        return CriPod(self.containerd, self.handler, config | more)
