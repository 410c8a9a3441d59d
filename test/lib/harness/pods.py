"""Shims started by hand, spoken to by ttrpc, with containers in each state."""

import itertools
import json
import os
from pathlib import Path

from .processes import alive, kill, wait_for
from .shim_command import ShimCommand
from .ttrpc import Status, Task, message

TYPES = "types.containerd.io/opencontainers/runtime-spec/1/"
PROCESS_TYPE = f"{TYPES}Process"


def any_of(name, value):
    """google.protobuf.Any with a part of the OCI spec, as containerd sends it."""
    return message("google.protobuf.Any")(type_url=TYPES + name, value=json.dumps(value).encode())


def exec_spec(*command, **more):
    process = {"args": list(command), "cwd": "/", "env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"], "user": {"uid": 0, "gid": 0}}
    return any_of("Process", process | more)


class Pod:
    """One shim; the container it may have runs `sleep` and has the id of the pod."""

    def __init__(self, command, bundle, container, log):
        self.command, self.bundle, self.id, self.log = command, bundle, container, log
        started = command(container, bundle, "start")
        assert started.returncode == 0, started
        self.address = started.stdout.decode().strip()
        self.task = Task(self.address)
        self.pid = self.task.Connect(id=container).shim_pid

    def another_connection(self, version="v2"):
        return Task(self.address, version)

    def create(self, **fields):
        return self.task.Create(id=self.id, bundle=str(self.bundle), **fields)

    def kill(self, exec_id=""):
        """Kills the container's init, or an exec: returns when it has ended."""
        wait = self.task.begin("Wait", id=self.id, exec_id=exec_id)
        self.task.Kill(id=self.id, exec_id=exec_id, signal=9)
        return wait().exit_status

    def to_state(self, state):
        steps = {
            "missing": [], "created": ["create"], "running": ["create", "start"], "paused": ["create", "start", "pause"],
            "stopped": ["create", "start", "kill"], "deleted": ["create", "start", "kill", "delete"],
        }
        actions = {
            "create": self.create, "kill": self.kill,
            "start": lambda: self.task.Start(id=self.id),
            "pause": lambda: self.task.Pause(id=self.id),
            "delete": lambda: self.task.Delete(id=self.id),
        }
        for step in steps[state]:
            actions[step]()
        return self

    def with_exec(self, state):
        """Brings the exec "e" into a state, whatever it was in."""
        ids = {"id": self.id, "exec_id": "e"}
        for undo in (lambda: self.task.Kill(signal=9, **ids), lambda: self.kill("e"), lambda: self.task.Delete(**ids)):
            try:
                undo()
            except Status:
                pass
        if state != "missing":
            self.task.Exec(spec=exec_spec("sleep", "1000"), **ids)
        if state in ("running", "stopped"):
            self.task.Start(**ids)
        if state == "stopped":
            self.kill("e")
        if state == "deleted":
            self.task.Delete(**ids)
        return self

    def run_exec(self, exec_id, *command, **fields):
        """An exec from its making to its deletion: the exit status."""
        ids = {"id": self.id, "exec_id": exec_id}
        self.task.Exec(spec=exec_spec(*command), **ids, **fields)
        wait = self.task.begin("Wait", **ids)
        self.task.Start(**ids)
        status = wait().exit_status
        self.task.Delete(**ids)
        return status

    def wait_gone(self):
        assert wait_for(lambda: not alive(self.pid)), f"shim {self.pid} is still there"

    def end(self):
        """Kills the shim, and lets its executable clean up, as containerd does."""
        self.task.close()
        kill(self.pid)
        self.wait_gone()
        deleted = self.command(self.id, self.bundle, "delete")
        os.close(self.log)
        assert deleted.returncode == 0, deleted


class Pods:
    def __init__(self, path, containerd, rootfs, folder):
        self.command, self.containerd, self.rootfs = ShimCommand(path, containerd), containerd, rootfs
        self.folder = Path(folder)
        self.numbers = itertools.count(1)
        self.made = []

    def start(self, *command, change=lambda spec: None):
        """A shim that has no container yet. change: of the spec."""
        container = f"pod-{next(self.numbers)}"
        bundle = self.folder / container
        bundle.mkdir()
        spec = self.containerd.spec(self.rootfs, *(command or ("sleep", "1000")))
        change(spec)
        (bundle / "config.json").write_text(json.dumps(spec), encoding="ascii")
        os.mkfifo(bundle / "log")
        log = os.open(bundle / "log", os.O_RDWR | os.O_NONBLOCK)
        self.made.append(Pod(self.command, bundle, container, log))
        return self.made[-1]

    def container(self, state):
        return self.start().to_state(state)

    def end_all(self):
        while self.made:
            self.made.pop().end()
