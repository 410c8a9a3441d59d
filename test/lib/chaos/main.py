"""See test/chaos, which runs this."""

import argparse
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time

sys.path[:0] = [os.path.dirname(__file__), os.path.join(os.path.dirname(__file__), "..")]

import plan  # noqa: E402
import table  # noqa: E402
import worker  # noqa: E402
from harness import REPO  # noqa: E402


def arguments():
    parser = argparse.ArgumentParser(description="Kills what a container or a pod needs, at any step of its life, and looks.")
    parser.add_argument("--cycles", type=int, default=40)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    parser.add_argument("--jobs", type=int, default=1, help="cycles at once")
    parser.add_argument("--life", choices=list(plan.KINDS), help="of these alone; else of all kinds")
    parser.add_argument("--only", default="", help="of the cycles those whose life/victim/step matches this regular expression")
    parser.add_argument("--first", type=int, help=argparse.SUPPRESS)  # a job's own
    return parser.parse_args()


def planned(options):
    cycles = plan.make(options.seed, options.cycles, [options.life] if options.life else list(plan.KINDS))
    return [cycle for cycle in cycles if re.search(options.only, f"{cycle.life}/{cycle.victim}/{cycle.step}")]


def follow(job, outcomes):
    for line in job.stdout:
        outcome = json.loads(line)
        outcomes.append(outcome)
        table.print_cycle(outcome)


def start(options, first, scratch):
    command = [f"{REPO}/test/lib/sandbox", sys.executable, __file__, "--cycles", options.cycles, "--seed", options.seed,
               "--jobs", options.jobs, "--only", options.only, "--first", first]
    command += ["--life", options.life] if options.life else []
    env = dict(os.environ, TMPDIR=scratch)
    return subprocess.Popen([str(word) for word in command], stdout=subprocess.PIPE, text=True, env=env)


def run_jobs(options, scratch):
    """The outcomes of all, and whether each job has run to its end."""
    outcomes, jobs, ended = [], [], False
    try:
        jobs += [start(options, first, scratch) for first in range(options.jobs)]
        readers = [threading.Thread(target=follow, args=(job, outcomes)) for job in jobs]
        for reader in readers:
            reader.start()
        for reader in readers:
            reader.join()
        ended = all([job.wait() == 0 for job in jobs])
    except KeyboardInterrupt:
        pass
    finally:
        for job in jobs:
            job.kill()  # its sandbox ends with it
            job.wait()
    return outcomes, ended


def main():
    options = arguments()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if options.first is not None:
        worker.work(planned(options)[options.first :: options.jobs])
        return 0
    repeat = f"test/chaos --seed {options.seed} --cycles {options.cycles} --jobs {options.jobs}"
    if options.life:
        repeat += f" --life {options.life}"
    if options.only:
        repeat += f" --only '{options.only}'"
    print(repeat, flush=True)
    begin = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="kata-chaos.") as scratch:
        outcomes, ended = run_jobs(options, scratch)
    table.print_all(outcomes, time.monotonic() - begin)
    lost = len(planned(options)) - len(outcomes)
    if lost or not ended:
        print(f"\n{lost} cycles were not run, or the last container did not work")
    failed = table.print_sum(outcomes, repeat)
    return 1 if failed or lost or not ended else 0


if __name__ == "__main__":
    sys.exit(main())
