"""What must hold after a kill in a pod's life: the promises of docs/promises.md."""

import re
import time
from contextlib import suppress

from harness import KATA, cgroups, leftovers, networks
from harness.cri import CriError
from harness.cri_pods import CREATED, EXITED, NOTREADY, READY, RUNNING
from harness.processes import processes, wait_for
from judge import ANSWER_SECONDS, FORGOTTEN_SECONDS, KILLED, SOON
from steps import END_STATUS

UNKNOWN = 255  # containerd's, when the connection to the shim is lost before the event of the exit has come
# What containerd itself forgets when it is killed while it makes a pod, whatever the runtime: its network, its records.
FORGOTTEN = re.compile(r"mount left: \S+ \S*/(netns/cni-\S+|sandboxes/\S+/shm)|network device left: veth\w+"
                       r"|file left: \S*(/netns/cni-\S+|/sandboxes/\S+|/leases/\S+|/var/lib/cni/\S+)|(container|snapshot|lease) left: .*")


class PodJudge:
    def __init__(self, life, landed, exit_told, struck):
        self.life, self.landed = life, landed
        self.cri, self.victim = life.containerd.cri, life.cycle.victim
        self.struck = struck  # of a placeholder: what it stood for
        self.problems, self.results = [], {}
        self.struck_at = time.monotonic()
        self.answered = self.gone = 0.0
        self.statuses = {END_STATUS} if exit_told else {END_STATUS, KILLED} if landed == "exit" else {KILLED}
        if self.victim == "shim":
            self.statuses.add(UNKNOWN)

    def expect(self, holds, text):
        if not holds:
            self.problems.append(text)

    def _ends_pod(self):
        return self.victim != "containerd" and not re.match("kata-(container|exec)", self.struck or "")

    def clients(self):
        """Each call gets its answer, and a reason if it failed."""
        long_exec = self.life.cycle.long_exec and not self._ends_pod()
        for name, answer in self.life.calls.items():
            if name == "exec" and long_exec and not answer.done() and not (self.struck or "").startswith("kata-exec"):
                continue  # it goes on, and ends with its pod
            try:
                self.results[name] = answer()
            except CriError as error:
                self.results[name] = error
                self.expect(error.text.strip() and error.code != "DEADLINE_EXCEEDED", f"{name}: no reason is given by {error}")
        self.answered = time.monotonic() - self.struck_at
        self.expect(self.answered < ANSWER_SECONDS, f"the answers took {self.answered:.0f} s: {self.results}")

    def succeeded(self, name):
        return name in self.results and not isinstance(self.results[name], CriError)

    def verdict(self):
        """After clients(). Ends what is left of the life, as a kubelet would."""
        self.expect(wait_for(lambda: not self._zombies(), SOON), f"children that the shim has not reaped: {self._zombies()}")
        if self.victim == "containerd":
            self._lives_on(self.life.containers)
        elif self._ends_pod():
            self._pod_ended()
        else:
            self._one_ended()
        self._end()

    def undisturbed(self):
        """The victim was not there to be hit."""
        self._end()

    def _zombies(self):
        shims = self.life.shims()
        return [str(one) for one in processes() if one.state == "Z" and one.ppid in shims]

    def _pod_ended(self):
        """The pod, if its maker was told of it, is not ready, and its containers have been killed."""
        if not self.succeeded("run"):
            self.expect(self.landed in ("network", "start"), f"it ran, but {self.results['run']}")
            return
        if "remove" in self.life.calls:
            return
        pod = self.life.pod
        self.expect(wait_for(lambda: pod.status.state == NOTREADY, SOON), f"the pod is {pod.status}")
        for name, container in self.life.containers.items():
            self._ended(name, container)

    def _ended(self, name, container):
        if not self.succeeded(name):
            self.expect(container.status.state in (CREATED, EXITED), f"not started, {name} is {container.status}")
            return
        self.expect(wait_for(lambda: container.status.state == EXITED, SOON), f"{name} is {container.status}")
        allowed = self.statuses if name == "container" else {KILLED} | self.statuses & {UNKNOWN}
        self.expect(container.status.exit_code in allowed, f"{name}: the exit is one of {allowed}, but {container.status}")

    def _one_ended(self):
        """A container or an exec whose placeholder was killed; all else goes on."""
        kind, name = re.match(r"kata-(container|exec): (\S+)", self.struck).groups()
        others = dict(self.life.containers)
        if kind == "exec" and "exec" in self.results:
            result = self.results["exec"]
            allowed = {KILLED} if self.life.cycle.long_exec else {0, KILLED}
            self.expect(isinstance(result, CriError) or result.exit_code in allowed, f"the exec: {result}")
        for step, container in self.life.containers.items():
            if kind == "container" and container.id == name:
                self._ended(step, others.pop(step))
        self._lives_on(others)

    def _lives_on(self, containers):
        if not self.succeeded("run") or "stop" in self.life.calls:
            return
        self.expect(self.life.pod.status.state == READY, f"the pod is {self.life.pod.status}")
        for name, container in containers.items():
            if self.succeeded(name) and not (name == "container" and "exit" in self.life.calls):
                self.expect(container.status.state == RUNNING, f"{name} is {container.status}")

    def _end(self):
        """Of all pods that containerd knows."""
        try:
            for pod in self.cri.ListPodSandbox().items:
                self.cri.StopPodSandbox(pod_sandbox_id=pod.id, deadline=ANSWER_SECONDS)
                self.expect(self.cri.PodSandboxStatus(pod_sandbox_id=pod.id).status.state == NOTREADY, f"stopped, {pod} is ready")
                self.cri.RemovePodSandbox(pod_sandbox_id=pod.id, deadline=ANSWER_SECONDS)
        except CriError as error:
            self.problems.append(f"the pod cannot be ended: {error}")
        left = [*self.cri.ListPodSandbox().items, *self.cri.ListContainers().containers]
        self.expect(not left, f"pods and containers are left: {left}")
        if self.life.panic:
            self.life.panic.socket.close()

    def nothing_left(self, before, network):
        """Also of what was made in the host's own network."""
        limit = FORGOTTEN_SECONDS if self.victim == "containerd" else SOON
        forgets = self.victim == "containerd" and not self.succeeded("run")
        left, deadline = True, time.monotonic() + limit
        while left and time.monotonic() < deadline:
            with suppress(OSError):  # the pod's own may still be in it
                cgroups.remove(self.life.pod.cgroup, seconds=0)
            left = leftovers.wait_none(self.life.containerd, KATA, before, 1)
            left = [one for one in left if not (forgets and FORGOTTEN.fullmatch(one))]
        self.problems += left or []
        if not forgets and not wait_for(lambda: networks.look() == network, SOON):
            self.problems.append(f"the host's network was {network} and is {networks.look()}")
        self.gone = time.monotonic() - self.struck_at
