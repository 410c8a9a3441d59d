"""The life of a pod of Kubernetes with two containers, step by step, each begun by a call of CRI."""

from harness.cri_pods import CriPods
from harness.cri_streams import attach_stream
from harness.processes import processes, wait_for
from steps import STEP_SECONDS, Broken, Steps

PANIC = ["sh", "-c", "read line; echo c >/proc/sysrq-trigger"]
LONG, SHORT = ["sleep", "1000"], ["true"]
GRACE = 30  # seconds between SIGTERM and SIGKILL of a container that is stopped
ANSWER_DEADLINE = 120  # seconds; the judge is less patient
PRIVILEGED = {"privileged": True}
LIMITS = {"memory_limit_in_bytes": 256 << 20, "cpu_quota": 100000, "cpu_period": 100000}


class PodLife(Steps):
    """calls: what was asked for -> the answer, to be called."""

    def __init__(self, containerd, cycle, folder):
        super().__init__(containerd, cycle, optional=("exec", "second"))
        self.calls = {}
        self.containers = {}
        self.pod = self.panic = None
        panics = cycle.victim == "kernel"
        self.pods = CriPods(containerd, "kata-config" if panics else "kata", folder)
        self.security = PRIVILEGED if panics else None

    def call(self, name, method, **fields):
        self.calls[name] = self.containerd.cri.begin(method, deadline=ANSWER_DEADLINE, **fields)

    def landed(self):
        """The step that it is in now, as far as one can see."""
        last = list(self.began)[-1]
        if last == "network" and self.shims():
            return "start"
        if last in ("container", "exec", "second") and self.calls[last].done():
            return "running"
        return last

    def exit_told(self):
        """Whether the first container has ended of itself."""
        return "exit" in self.calls and self.calls["exit"].done()

    def _begin_network(self):
        self.pod = self.pods.begin(security=self.security)
        self.calls["run"] = self.pod.begun

    def _begin_start(self):
        self.await_sign(self.shims, "the shim", "run")

    def _begin_container(self):
        self.finish("run")
        self.pod.wait()
        if self.cycle.victim == "kernel":
            container = self.pod.start(*PANIC, name="panic", security=PRIVILEGED, stdin=True)
            self.panic = attach_stream(container, stdin=True)
        self.begin_container("container")

    def begin_container(self, step):
        disk = [{"container_path": self.disk.path, "host_path": self.disk.path, "permissions": "rwm"}] if self.disk else []
        limits = LIMITS if self.disk and step == "second" else None
        self.containers[step] = self.pod.create(*self.command(), name=step, resources=limits, devices=disk)
        self.call(step, "StartContainer", container_id=self.containers[step].id)

    def _begin_running(self):
        self.finish("container")
        self.containers["container"].wait_text("ready\n", timeout=STEP_SECONDS)

    def _begin_exec(self):
        command = LONG if self.cycle.long_exec else SHORT
        self.call("exec", "ExecSync", container_id=self.containers["container"].id, cmd=command)

    def _begin_second(self):
        self.begin_container("second")

    def _begin_exit(self):
        if "second" in self.calls:
            self.finish("second")
        self.call("exit", "StopContainer", container_id=self.containers["container"].id, timeout=GRACE)

    def _begin_stop(self):
        self.finish("exit")
        self.call("stop", "StopPodSandbox", pod_sandbox_id=self.pod.id)

    def _begin_remove(self):
        self.finish("stop")
        self.call("remove", "RemovePodSandbox", pod_sandbox_id=self.pod.id)

    def finish(self, name):
        try:
            self.calls[name]()
        except Exception as failure:
            raise Broken(f"{name}: {failure}") from failure

    def await_sign(self, condition, what, call):
        seen = wait_for(lambda: condition() or self.calls[call].done() and "the answer", STEP_SECONDS, 0.002)
        if not seen or seen == "the answer":
            self.finish(call)
            raise Broken(f"no sign of {what}")

    def strike_kernel(self):
        self.panic.send(b"\n")

    # What can be seen.

    def shims(self):
        """The one that serves, and `start` while the pod is being made; not those that serve a call for it."""
        found = [one for one in processes() if "containerd-shim-kata-v2 " in one.command and one.state != "Z"
                 and not one.command.endswith(" delete")]
        if self.calls["run"].done():
            found = [one for one in found if not one.command.endswith(" start")]
        pids = {one.pid for one in found}
        return [one.pid for one in found if one.ppid not in pids or not self.calls["run"].done()]

    def placeholders(self):
        """pid -> what it stands for."""
        return {one.pid: one.command for one in processes() if one.state != "Z" and "(placeholder)" in one.command}

    def victims(self):
        return list(self.placeholders()) if self.cycle.victim == "placeholder" else super().victims()
