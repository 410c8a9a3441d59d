"""What must hold after a kill: the promises of docs/promises.md, for the victim and the step that was hit."""

import re
import time

from harness import KATA, leftovers
from harness.containerd import Timeout
from harness.processes import processes, wait_for
from steps import END_STATUS

KILLED = 137
ANSWER_SECONDS = 50  # for each client, from the kill on: more than a boot takes on a loaded machine
SOON = 40  # for what follows without any client's doing
# containerd forgets a pod that it was making when it was killed: the shim finds out by looking now and then.
FORGOTTEN_SECONDS = 100
LIVE_ON = ("running", "exec")  # the steps in which containerd's death does nothing to the container
STATUS = re.compile(r"exit with non-zero exit code (\d+)")


class Judge:
    def __init__(self, life, events, landed, exit_seen):
        self.life, self.events, self.landed = life, events, landed
        self.containerd, self.name, self.victim = life.containerd, life.name, life.cycle.victim
        self.problems = []
        self.struck_at = time.monotonic()
        self.answered = self.gone = 0.0
        self.results = {}
        if landed in ("delete", "shutdown") or exit_seen:
            self.statuses = {END_STATUS}
        elif landed == "exit":
            self.statuses = {END_STATUS, KILLED}
        else:
            self.statuses = {KILLED}

    def expect(self, holds, text):
        if not holds:
            self.problems.append(text)

    def clients(self):
        """Each ends, and says why it failed, if so."""
        if self.victim == "containerd" and self.life.cycle.long_exec and "exec" in self.life.clients:
            # It lives on; and ctr, when its Start was cut off, waits for the end of its output.
            self.containerd.kill(self.name, flags=["--exec-id", "exec"])
        for name, running in self.life.clients.items():
            try:
                result = self.containerd.finish(running, timeout=ANSWER_SECONDS) if running.returncode is None else None
            except Timeout as hang:
                self.problems.append(f"ctr {name} hangs: {hang}")
                continue
            if result:
                self.results[name] = result
                self.expect(result.rc in (0, END_STATUS, KILLED) or result.err.strip(), f"no reason is given by {result}")
        self.answered = time.monotonic() - self.struck_at
        if "exec" in self.results:
            allowed = (1, KILLED) if self.life.cycle.long_exec else (0, 1, KILLED)
            self.expect(self.results["exec"].rc in allowed, f"the exec's status: {self.results['exec']}")

    def verdict(self):
        """After clients(). Ends what is left of the life, as its user would."""
        self.expect(wait_for(lambda: not self._zombies(), SOON), f"children that the shim has not reaped: {self._zombies()}")
        if self.victim == "containerd":
            self._containerd_restarted()
        elif self.victim == "shim":
            self._shim_died()
        else:
            self._machine_died()
        self._no_container()

    def undisturbed(self):
        """The victim was not there to be hit."""
        self._delete_task(may_go=True)
        self._no_container()

    def nothing_left(self, before, _network):
        limit = FORGOTTEN_SECONDS if self.victim == "containerd" else SOON
        self.problems += leftovers.wait_none(self.containerd, KATA, before, limit)
        self.gone = time.monotonic() - self.struck_at

    def _zombies(self):
        shims = self.life.shims()
        return [str(one) for one in processes() if one.state == "Z" and one.ppid in shims]

    def _started(self):
        """Whether whoever asked for the container has been told that its process runs."""
        return self.landed not in ("start", "create", "process") or bool(self._told("/tasks/start"))

    def _told(self, topic):
        return [one for one in self.events.of(self.name) if one.topic == topic]

    def _exits(self):
        return [one["exit_status"] for one in self._told("/tasks/exit") if one["id"] == self.name]

    def _machine_died(self):
        run, delete = self.results.get("run"), self.results.get("delete")
        if self._started() and not (run and run.rc == 1 and self.landed == "process"):
            wait_for(self._exits, SOON)
            self.expect(len(self._exits()) == 1 and set(self._exits()) <= self.statuses, f"exits told: {self._exits()}")
            if run and self.life.cycle.foreground:
                self.expect(run.rc in self._exits(), f"the exit that was told is {self._exits()}, but {run}")
        elif run:
            self.expect(run.rc == 1, f"nothing can have run, but {run}")
            self.expect(self._names_the_victim(run.error), f"the victim is not named by {run}")
        if delete:
            self.expect(delete.rc == 0 and _status(delete) == END_STATUS, f"the exit was {END_STATUS}, but {delete}")
            self.expect(self._deletes() == 1, f"TaskDelete: {self._deletes()} times")
        else:
            self._delete_task()

    def _names_the_victim(self, text):
        return {"kernel": "panic", "vsock": "vsock"}.get(self.victim, self.victim) in text.lower()

    def _deletes(self):
        wait_for(lambda: self._told("/tasks/delete"), SOON)
        return len(self._told("/tasks/delete"))

    def _shim_died(self):
        run = self.results.get("run")
        if run and not self._started():
            self.expect(run.rc == 1, f"the shim had been killed, but {run}")
        elif run and self.life.cycle.foreground:
            self.expect(run.rc in self.statuses | {1}, f"the foreground's status: {run}")
        if self.landed in ("running", "exec", "exit"):
            self.expect(self._deletes() == 1, f"TaskDelete after the shim's death: {self._deletes()} times")
            self.expect(self._exits()[-1:] == [KILLED], f"exits told after the shim's death: {self._exits()}")
        gone = wait_for(lambda: self.containerd.task_state(self.name) is None, SOON)
        self.expect(gone, f"the task is still {self.containerd.task_state(self.name)}")

    def _containerd_restarted(self):
        state = self.containerd.task_state(self.name)
        if self.landed in LIVE_ON:
            self.expect(state == "RUNNING", f"after containerd's restart the task is {state}")
        self._delete_task(may_go=self.landed not in LIVE_ON)

    def _delete_task(self, may_go=False):
        """Whatever state it is in. may_go: it is about to go by itself, perhaps."""
        state = self.containerd.task_state(self.name)
        if state is None:
            return
        if state != "STOPPED":
            self.containerd.kill(self.name)
            seen = []
            stopped = wait_for(lambda: seen.append(self.containerd.task_state(self.name)) or seen[-1] in ("STOPPED", None), SOON, 0.05)
            self.expect(stopped, f"killed, the task is still {seen[-1]}")
        deleted = self.containerd.ctr("tasks", "delete", self.name)
        if may_go and deleted.rc and self.containerd.task_state(self.name) is None:
            return
        allowed = self.statuses | ({KILLED} if self.victim == "containerd" and self.landed == "exit" else set())
        self.expect(deleted.rc == 0 and _status(deleted) in allowed, f"the exit is one of {allowed}, but {deleted}")

    def _no_container(self):
        if self.name in self.containerd.ctr("containers", "ls", "-q").text.split():
            deleted = self.containerd.ctr("containers", "delete", self.name)
            self.expect(deleted.rc == 0 or "not found" in deleted.error, f"the container stays: {deleted}")


def _status(deleted):
    found = STATUS.search(deleted.error)
    return int(found[1]) if found else 0
