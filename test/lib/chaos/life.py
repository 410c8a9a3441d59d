"""The life of one container, step by step, each begun by its clients or seen in the shim's log."""

import subprocess
from pathlib import Path

from harness import IMAGE, KATA
from harness.processes import processes, wait_for
from steps import STEP_SECONDS, Broken, Steps

LONG, SHORT = ["sleep", "1000"], ["true"]


class Life(Steps):
    """One container. Its clients are left running; those that were begun are in clients, by name."""

    def __init__(self, containerd, name, cycle, panic=None):
        super().__init__(containerd, cycle, optional=("exec",))
        self.name = name
        self.panic = panic  # what makes the kernel panic, where that is to happen
        self.clients = {}
        self.output = Path(containerd.dir, f"{name}.out")

    def landed(self):
        """The step that it is in now, as far as one can see."""
        if self.said("delete", 'exec=\\"\\" done'):
            return "shutdown"
        if self.exited():
            return "delete" if self.cycle.foreground or "delete" in self.clients else "exit"
        if "kill" in self.clients:
            return "exit"
        if "exec" in self.clients and self.clients["exec"].poll() is None:
            return "exec"
        if self.said("start", 'exec=\\"\\" done'):
            return "running"
        if self.said("create", "done"):
            return "process"
        return "create" if self.booted() else "start"

    def _begin_start(self):
        self.clients["run"] = self._run()
        self.await_sign(self.shims, "the shim")

    def _begin_create(self):
        self.await_sign(self.booted, "the guest's boot")

    def _begin_process(self):
        self.await_sign(lambda: self.said("create", "done"), "the end of Create")

    def _begin_running(self):
        self.await_sign(lambda: b"ready" in self.output.read_bytes(), "the container's first output")
        if not self.cycle.foreground:
            self.containerd.finish(self.clients["run"]).check()
        if self.panic:
            self.panic.arm(self)

    def _begin_exec(self):
        command = LONG if self.cycle.long_exec else SHORT
        self.clients["exec"] = self.containerd.exec_background(
            self.name, *command, exec_id="exec", flags=self.containerd.own_fifos
        )

    def _begin_exit(self):
        self.clients["kill"] = self.containerd.popen("tasks", "kill", "-s", "SIGTERM", self.name)

    def _begin_delete(self):
        self.await_sign(self.exited, "the exit")
        if not self.cycle.foreground:
            self.containerd.wait_state(self.name, "STOPPED")
            self.clients["delete"] = self.containerd.popen("tasks", "delete", self.name)

    def _begin_shutdown(self):
        self.await_sign(lambda: self.said("delete", 'exec=\\"\\" done'), "the end of Delete")

    def _run(self):
        containerd, out = self.containerd, f"file://{self.output}"
        self.output.touch()
        form = ["--rm"] if self.cycle.foreground else ["-d", "--log-uri", out]
        flags = ["run", "--runtime", KATA, *containerd.own_fifos, *form]
        flags += ["--device", self.disk.path] if self.disk else []
        command = self.command()
        command = self.panic.run_args(self, command) if self.panic else [IMAGE, self.name, *command]
        with open(self.output, "wb") as file:
            return containerd.popen(*flags, *command, stdout=file if self.cycle.foreground else subprocess.PIPE)

    def await_sign(self, condition, what):
        run = self.clients["run"]
        seen = wait_for(lambda: condition() or (run.poll() or 0) and "the client's end", STEP_SECONDS, 0.002)
        if not seen or seen == "the client's end":
            raise Broken(f"no sign of {what}; ctr run: {run.poll()} {run.stderr.read() if run.poll() else ''}")

    # What can be seen.

    def said(self, sequence, end):
        """Whether the shim has logged the end of this sequence."""
        begin = f'msg="{sequence} container={self.name} '
        return any(begin in line and end in line for line in self.log().splitlines())

    def exited(self):
        return f'msg="process exited container={self.name} exec=\\"\\"' in self.log()

    def shims(self):
        """The shim's processes: the `start` command while it lives, and the one that serves."""
        mark = f"-id {self.name} "
        return [
            one.pid for one in processes()
            if "containerd-shim-kata-v2 " in one.command and mark in one.command + " "
            and not one.command.endswith(" delete")
        ]
