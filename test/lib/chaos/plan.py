"""What each cycle does, chosen by the seed alone."""

import random
from dataclasses import dataclass

STEPS = ["start", "create", "process", "running", "exec", "exit", "delete", "shutdown"]
VICTIMS = ["shim", "qemu", "virtiofsd", "vsock", "containerd", "kernel"]
NOT_YET_A_CONTAINER = ("start", "create")  # nobody is there to make the guest's kernel panic


def possible(victim, step):
    return victim != "kernel" or step not in NOT_YET_A_CONTAINER


@dataclass(frozen=True)
class Cycle:
    number: int
    victim: str
    step: str
    foreground: bool  # one `ctr run --rm`, or a client for each step
    fraction: float  # of the step's usual time: when the kill comes
    at_once: bool  # at the step's very begin instead, as far as it has a quick one
    pick: float  # which of several processes that could be meant
    pause: float  # seconds until a killed containerd is started again
    long_exec: bool  # the exec goes on until it is killed, or ends at once


def make(seed, cycles):
    """All pairs of victim and step come equally often."""
    chance = random.Random(seed)
    pairs = [(victim, step) for victim in VICTIMS for step in STEPS if possible(victim, step)]
    made = []
    while len(made) < cycles:
        for victim, step in chance.sample(pairs, len(pairs)):
            made.append(
                Cycle(
                    number=len(made) + 1, victim=victim, step=step,
                    foreground=chance.random() < 0.5, fraction=chance.random(), at_once=chance.random() < 0.4,
                    pick=chance.random(), pause=chance.random(), long_exec=chance.random() < 0.5,
                )
            )
    return made[:cycles]
