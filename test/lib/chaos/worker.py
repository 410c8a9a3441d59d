"""Runs cycles one after the other, inside a sandbox. Prints a line of JSON for each: see Outcome."""

import json
import os
import sys
import time
import traceback
from dataclasses import asdict, dataclass, field, replace

import panic
import plan
from harness import KATA, leftovers
from harness.bench import PREFIX
from harness.containerd import Containerd
from harness.events import Events
from harness.image import busybox_image
from harness.processes import alive, kill, wait_for
from judge import SOON, Judge
from life import Life

AT_ONCE_SECONDS = 0.06  # about as long as the shim's `start` takes, and its first steps
RUNNING_SECONDS = 0.3
PART = {"process": 0.25, "shutdown": 0.3}  # of a step's usual time, in which kills come: these end before it has passed
MOST_PARTS = 0.8
CTR_DELETE_SECONDS = 0.05  # from the exit on, when the client is there already
MORE_TRIES = 3  # of a cycle whose kill came too late
COMES_SECONDS = 20  # until the victim must have been started, in the step in which it is


@dataclass
class Outcome:
    number: int
    victim: str
    step: str  # in which the kill landed
    planned: str
    foreground: bool
    hit: bool = False
    problems: list = field(default_factory=list)
    answered: float = 0.0  # seconds after the kill: the last client had its answer
    gone: float = 0.0  # and nothing was left
    seconds: float = 0.0
    log: str = ""


class Worker:
    def __init__(self, containerd):
        self.containerd = containerd
        self.panic = panic.Panic(containerd)
        took = self._undisturbed()
        self.usual = {False: took, True: {**took, "delete": CTR_DELETE_SECONDS}}

    def _undisturbed(self):
        """What each step takes when nothing is killed: step -> seconds."""
        cycle = plan.Cycle(0, "qemu", "shutdown", False, 0, False, 0, 0, False)
        life = Life(self.containerd, "undisturbed", cycle)
        life.reach("running")
        begin = time.monotonic()
        self.containerd.exec(life.name, "true", flags=self.containerd.own_fifos).check()
        took = {"running": RUNNING_SECONDS, "exec": time.monotonic() - begin}
        life.reach("shutdown", begun="running")
        assert wait_for(lambda: not life.victims(), SOON, 0.002), "the machine goes on after its last container"
        life.began["end"] = time.monotonic()
        for client in life.clients.values():
            self.containerd.finish(client)
        self.containerd.ctr("containers", "delete", life.name).check()
        assert wait_for(lambda: not life.shims(), SOON), "the shim goes on after its last container"
        return {**life.took(), **took}

    def _learn(self, life):
        """The least that was seen: kills come early in a step rather than after it."""
        for step, seconds in life.took().items():
            if step not in ("running", "exec"):
                usual = self.usual[life.cycle.foreground]
                usual[step] = min(usual[step], seconds)

    def last_one_works(self):
        self.containerd.run("plain", "true", runtime=KATA).check()

    def run_until_hit(self, cycle):
        """A victim that had ended already is struck earlier the next time."""
        outcome = self.run(cycle)
        for _ in range(MORE_TRIES):
            if outcome.hit or outcome.problems:
                break
            cycle = replace(cycle, fraction=cycle.fraction / 2)
            outcome = self.run(cycle)
        return outcome

    def run(self, cycle):
        begin, log_start = time.monotonic(), self.containerd.log_size()
        outcome = Outcome(cycle.number, cycle.victim, cycle.step, cycle.step, cycle.foreground)
        try:
            before = leftovers.look(self.containerd, KATA)
            with Events(self.containerd) as events:
                judge = self._live(cycle, events, outcome)
            judge.nothing_left(before)
            outcome.problems, outcome.answered, outcome.gone = judge.problems, judge.answered, judge.gone
        except Exception:  # whatever it is, the next cycle shall begin, and this one be reported
            outcome.problems.append(traceback.format_exc())
        outcome.seconds = time.monotonic() - begin
        if outcome.problems:
            outcome.log = self.containerd.log_tail(log_start, 1 << 18)
            self._recover()
        return outcome

    def _live(self, cycle, events, outcome):
        life = Life(self.containerd, f"chaos-{cycle.number}", cycle, self.panic if cycle.victim == "kernel" else None)
        life.reach(cycle.step)
        self._learn(life)
        exit_seen = self._strike(life, outcome)
        judge = Judge(life, events, outcome.step, exit_seen)
        if cycle.victim == "containerd":
            time.sleep(cycle.pause)
            self.containerd.start()
        judge.clients()
        if cycle.victim == "kernel":
            wait_for(lambda: panic.SEEN in life.log() or not life.shims(), SOON)
            outcome.hit = panic.SEEN in life.log()
        if outcome.hit:
            judge.verdict()
        else:
            judge.undisturbed()
        return judge

    def _strike(self, life, outcome):
        """Kills the victim when its time has come. Returns whether the container's exit had been told before."""
        cycle = life.cycle
        time.sleep(cycle.fraction * self._span(cycle))
        if cycle.victim == "kernel":
            outcome.step, exit_seen = life.landed(), life.exited()
            self.panic.strike(life)
            return exit_seen
        victims = life.victims()
        if not victims and cycle.step == "start":
            wait_for(lambda: victims.extend(life.victims()) or victims, COMES_SECONDS, 0.001)
        outcome.step, exit_seen = life.landed(), life.exited()
        if victims:
            victim = victims[int(cycle.pick * len(victims))]
            outcome.hit = alive(victim)
            kill(victim)
        return exit_seen

    def _span(self, cycle):
        """Seconds from the step's begin in which the kill comes."""
        if cycle.step == "start" and cycle.at_once:
            return AT_ONCE_SECONDS
        return self.usual[cycle.foreground][cycle.step] * PART.get(cycle.step, MOST_PARTS)

    def _recover(self):
        """The next cycle shall not fail for this one, too."""
        try:
            if not alive(self.containerd.pid):
                self.containerd.start()
            self.containerd.end_all()
        except Exception:
            print(traceback.format_exc(), file=sys.stderr)


def work(cycles):
    containerd = Containerd(os.path.join(PREFIX, "bin"), "chaos").start()
    try:
        containerd.import_image(busybox_image())
        worker = Worker(containerd)
        for cycle in cycles:
            print(json.dumps(asdict(worker.run_until_hit(cycle))), flush=True)
        worker.last_one_works()
    finally:
        left = containerd.stop()
    assert not left, left
