"""Bytes that are lost at exit: 1 MB through `ctr run --rm ... cat`, several at a time, and with a reader that begins
1.5 s late and sleeps 2 ms before each 4 KiB; the same under runc's shim in turns. Run it by test/bench/output.
"""

import argparse
import itertools
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from statistics import median

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../lib"))

from harness import KATA, RUNC  # noqa: E402
from harness.bench import bench_containerd  # noqa: E402
from harness.output import difference, read_at_once, read_slowly, through_cat  # noqa: E402

SIZE = 1_000_000
_numbers = itertools.count(1)


def one(containerd, runtime, read):
    """Seconds; bytes that are missing; what went wrong, or None."""
    data = os.urandom(SIZE)
    begin = time.monotonic()
    got, error = through_cat(containerd, runtime, f"output-{next(_numbers)}", data, read)
    return time.monotonic() - begin, SIZE - len(got), error or difference(got, data)


def row(title, results):
    wrong = [result for result in results if result[2]]
    print(f"  {title:<24} {len(results):5} {len(wrong):6} {max((lost for _, lost, _ in wrong), default=0):10}"
          f" {median(seconds for seconds, _, _ in results):9.2f} {max(seconds for seconds, _, _ in results):9.2f}")
    for _, _, why in wrong[:5]:
        print(f"    {why}")
    return len(wrong)


def main():
    parser = argparse.ArgumentParser(description="Bytes lost at exit, beside runc's.")
    parser.add_argument("--runs", type=int, default=500)
    parser.add_argument("--slow", type=int, default=50, help="runs with a slow reader")
    parser.add_argument("--jobs", type=int, default=4, help="at a time")
    options = parser.parse_args()
    failed = 0
    with bench_containerd() as containerd, ThreadPoolExecutor(options.jobs) as pool:
        print(f"  {'':<24} {'runs':>5} {'wrong':>6} {'most lost':>10} {'median, s':>9} {'most, s':>9}")
        for title, runs, read in (("", options.runs, read_at_once), (", slow reader", options.slow, read_slowly)):
            for name, runtime in (("kata", KATA), ("runc", RUNC)):
                results = list(pool.map(lambda _, rt=runtime, rd=read: one(containerd, rt, rd), range(runs)))
                wrong = row(name + title, results) if results else 0
                failed += wrong if runtime == KATA else 0
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
