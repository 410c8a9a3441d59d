"""What each cycle does, chosen by the seed alone."""

import random
from dataclasses import dataclass


@dataclass(frozen=True)
class Kind:
    """Of a life: its steps, what can be killed, and the pairs of both that there are not."""

    steps: tuple
    victims: tuple
    impossible: frozenset

    def possible(self, victim, step):
        return (victim, step) not in self.impossible

    def pairs(self):
        return [(victim, step) for victim in self.victims for step in self.steps if self.possible(victim, step)]


_PARTS = ("shim", "qemu", "virtiofsd", "vsock")
KINDS = {
    # Of one container, by ctr. Before it runs nobody is there to make the guest's kernel panic.
    "container": Kind(
        ("start", "create", "process", "running", "exec", "exit", "delete", "shutdown"),
        (*_PARTS, "containerd", "kernel"),
        frozenset({("kernel", "start"), ("kernel", "create")}),
    ),
    # Of a pod with two containers, by CRI. In the first step the pod has a network only, in the last one nothing, and
    # when it is stopped, the container that makes the kernel panic is killed at once.
    "pod": Kind(
        ("network", "start", "container", "running", "exec", "second", "exit", "stop", "remove"),
        (*_PARTS, "containerd", "kernel", "placeholder"),
        frozenset((victim, step) for victim in (*_PARTS, "kernel", "placeholder") for step in ("network", "remove"))
        | {("kernel", "start"), ("kernel", "stop")},
    ),
}


@dataclass(frozen=True)
class Cycle:
    number: int
    life: str
    victim: str
    step: str
    foreground: bool  # of a container: one `ctr run --rm`, or a client for each step
    fraction: float  # of the step's usual time: when the kill comes
    at_once: bool  # at the step's very begin instead, as far as it has a quick one
    pick: float  # which of several processes that could be meant
    pause: float  # seconds until a killed containerd is started again
    long_exec: bool  # the exec goes on until it is killed, or ends at once
    plugs: bool  # it has a disk, which it writes to, and in a pod the second container has limits


def make(seed, cycles, lives):
    """All of victim and step of these lives come equally often."""
    chance = random.Random(seed)
    triples = [(life, *pair) for life in lives for pair in KINDS[life].pairs()]
    made = []
    while len(made) < cycles:
        for life, victim, step in chance.sample(triples, len(triples)):
            made.append(
                Cycle(
                    number=len(made) + 1, life=life, victim=victim, step=step,
                    foreground=chance.random() < 0.5 and life == "container",
                    fraction=chance.random(), at_once=chance.random() < 0.4,
                    pick=chance.random(), pause=chance.random(), long_exec=chance.random() < 0.5,
                    # What makes the kernel of a container panic needs a spec of its own.
                    plugs=chance.random() < 0.5 and (life, victim) != ("container", "kernel"),
                )
            )
    return made[:cycles]
