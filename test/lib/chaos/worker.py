"""Runs cycles one after the other, inside a sandbox. Prints a line of JSON for each: see Outcome."""

import itertools
import json
import os
import secrets
import sys
import time
import traceback
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import panic
import plan
from harness import KATA, cgroups, leftovers, networks
from harness.bench import PREFIX
from harness.cri_containerd import CriContainerd
from harness.events import Events
from harness.image import busybox_image
from harness.processes import alive, kill, process, wait_for
from judge import SOON, Judge
from life import Life
from pod_judge import PodJudge
from pod_life import PodLife

NAMESPACE = f"chaos-{secrets.token_hex(4)}"  # and folder of cgroups, which those of other workers are not in
AT_ONCE_SECONDS = 0.06  # about as long as the shim's `start` takes, and its first steps
RUNNING_SECONDS = 0.3
PART = {"process": 0.25, "shutdown": 0.3, "stop": 0.3}  # of a step's usual time, in which kills come: these end before it has passed
MOST_PARTS = 0.8
CTR_DELETE_SECONDS = 0.05  # from the exit on, when the client is there already
MORE_TRIES = 3  # of a cycle whose kill came too late
COMES_SECONDS = 20  # until the victim must have been started, in the step in which it is


@dataclass
class Outcome:
    number: int
    life: str
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


class ContainerKind:
    """How a container lives and is judged."""

    def __init__(self, containerd):
        self.containerd = containerd.in_namespace(NAMESPACE)
        self.panic = panic.Panic(self.containerd)
        took = self._undisturbed()
        self.usual = {False: took, True: {**took, "delete": CTR_DELETE_SECONDS}}

    def _undisturbed(self):
        """What each step takes when nothing is killed: step -> seconds."""
        life = self.life(plan.Cycle(0, "container", "qemu", "shutdown", False, 0, False, 0, 0, False, False))
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

    def life(self, cycle):
        return Life(self.containerd, f"chaos-{cycle.number}", cycle, self.panic if cycle.victim == "kernel" else None)

    def strike_kernel(self, life):
        self.panic.strike(life)

    @staticmethod
    def exit_seen(life):
        return life.exited()

    @staticmethod
    def judge(life, events, landed, exit_seen, _struck):
        return Judge(life, events, landed, exit_seen)


class PodKind:
    """How a pod lives and is judged."""

    def __init__(self, containerd):
        self.containerd = containerd
        self.numbers = itertools.count(1)
        took = self._undisturbed()
        self.usual = {False: took}

    def _undisturbed(self):
        life = self.life(plan.Cycle(0, "pod", "qemu", "remove", False, 0, False, 0, 0, False, False))
        took = {"running": RUNNING_SECONDS}
        for step in plan.KINDS["pod"].steps:
            life.reach(step, begun=list(life.began)[-1] if life.began else None)
        life.finish("remove")
        life.began["end"] = time.monotonic()
        cgroups.remove(life.pod.cgroup)
        return {**life.took(), **took}

    def life(self, cycle):
        folder = os.path.join(self.containerd.dir, f"logs-{next(self.numbers)}")
        os.mkdir(folder)
        return PodLife(self.containerd, cycle, folder)

    @staticmethod
    def strike_kernel(life):
        life.strike_kernel()

    @staticmethod
    def exit_seen(life):
        return life.exit_told()

    @staticmethod
    def judge(life, _events, landed, exit_seen, struck):
        return PodJudge(life, landed, exit_seen, struck)


KINDS = {"container": ContainerKind, "pod": PodKind}


class Worker:
    """lives: the kinds of life that are to come."""

    def __init__(self, containerd, lives):
        self.containerd = containerd
        self.kinds = {life: KINDS[life](containerd) for life in lives}

    def _learn(self, life, usual):
        """The least that was seen: kills come early in a step rather than after it."""
        for step, seconds in life.took().items():
            if step not in ("running", "exec"):
                usual[step] = min(usual.get(step, seconds), seconds)

    def last_one_works(self):
        self.containerd.in_namespace(NAMESPACE).run("plain", "true", runtime=KATA).check()

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
        outcome = Outcome(cycle.number, cycle.life, cycle.victim, cycle.step, cycle.step, cycle.foreground)
        kind = self.kinds[cycle.life]
        life = kind.life(cycle)
        try:
            before, network = leftovers.look(kind.containerd, KATA), networks.look()
            with Events(kind.containerd) as events:
                judge = self._live(kind, life, events, outcome)
            judge.nothing_left(before, network)
            life.detach_disk()
            if cycle.victim == "containerd":
                self._wait_for_snapshots(kind.containerd)
            outcome.problems, outcome.answered, outcome.gone = judge.problems, judge.answered, judge.gone
        except Exception:  # whatever it is, the next cycle shall begin, and this one be reported
            outcome.problems.append(traceback.format_exc())
        outcome.seconds = time.monotonic() - begin
        if outcome.problems:
            outcome.log = self.containerd.log_tail(log_start, 1 << 18)
            self._recover(life)
        return outcome

    @staticmethod
    def _wait_for_snapshots(containerd):
        """A containerd that was killed while it made one makes no more, until it has removed what was half made."""
        made = wait_for(lambda: containerd.ctr("snapshots", "prepare", "probe").rc == 0, SOON, 0.2)
        assert made and containerd.ctr("snapshots", "rm", "probe").rc == 0, "containerd makes no snapshots"

    def _live(self, kind, life, events, outcome):
        cycle = life.cycle
        life.reach(cycle.step)
        usual = kind.usual[cycle.foreground]
        self._learn(life, usual)
        judge = kind.judge(life, events, *self._strike(kind, life, usual, outcome))
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

    def _strike(self, kind, life, usual, outcome):
        """Kills the victim when its time has come. Returns the step, whether the container's exit had been told before,
        and of what command the victim was."""
        cycle, command = life.cycle, None
        time.sleep(cycle.fraction * self._span(cycle, usual))
        if cycle.victim == "kernel":
            outcome.step, exit_seen = life.landed(), kind.exit_seen(life)
            kind.strike_kernel(life)
            return outcome.step, exit_seen, command
        victims = life.victims()
        if not victims and cycle.step == "start":
            wait_for(lambda: victims.extend(life.victims()) or victims, COMES_SECONDS, 0.001)
        outcome.step, exit_seen = life.landed(), kind.exit_seen(life)
        if victims:
            victim = process(victims[int(cycle.pick * len(victims))])
            outcome.hit = victim is not None and victim.state != "Z"
            if outcome.hit:
                command = victim.command
                kill(victim.pid)
        return outcome.step, exit_seen, command

    def _span(self, cycle, usual):
        """Seconds from the step's begin in which the kill comes."""
        if cycle.step == "start" and cycle.at_once:
            return AT_ONCE_SECONDS
        return usual[cycle.step] * PART.get(cycle.step, MOST_PARTS)

    def _recover(self, life):
        """The next cycle shall not fail for this one, too."""
        try:
            if not alive(self.containerd.pid):
                self.containerd.start()
            self.containerd.end_all()
            life.detach_disk()
        except Exception:
            print(traceback.format_exc(), file=sys.stderr)


def work(cycles):
    containerd = CriContainerd(os.path.join(PREFIX, "bin"))
    Path(containerd.dir, "kata.toml").write_text("[runtime]\nenable_debug = true\n", encoding="ascii")
    containerd.start()
    try:
        containerd.import_images(busybox_image())
        containerd.in_namespace(NAMESPACE).import_image(busybox_image())
        worker = Worker(containerd, sorted({cycle.life for cycle in cycles}))
        for cycle in cycles:
            print(json.dumps(asdict(worker.run_until_hit(cycle))), flush=True)
        worker.last_one_works()
    finally:
        left = containerd.stop()
    assert not left, left
