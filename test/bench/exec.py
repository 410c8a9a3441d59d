"""See test/bench/exec, which runs this."""

import argparse
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../lib"))

from harness import KATA, RUNC  # noqa: E402
from harness.bench import bench_containerd, breakdown, print_breakdown, print_table  # noqa: E402


def milliseconds(containerd, container):
    begin = time.monotonic()
    containerd.exec(container, "true").check()
    return 1000 * (time.monotonic() - begin)


def main():
    parser = argparse.ArgumentParser(description="Duration of `ctr task exec ... true`.")
    parser.add_argument("--runs", type=int, default=20)
    runs = parser.parse_args().runs
    times = {"kata": [], "runc": []}
    with bench_containerd() as containerd:
        for name, runtime in (("kata", KATA), ("runc", RUNC)):
            containerd.run_detached(name, "sleep", "100000", runtime=runtime)
            milliseconds(containerd, name)  # the first one reads the executable
        log_start = containerd.log_size()
        for _ in range(runs):
            for name, values in times.items():
                values.append(milliseconds(containerd, name))
        log = containerd.log_tail(log_start, limit=1 << 24)
        for name in times:
            containerd.delete(name)
    print_table("ctr task exec ... true", "ms", times)
    print_breakdown(breakdown(log))


if __name__ == "__main__":
    main()
