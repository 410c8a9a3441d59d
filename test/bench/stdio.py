"""See test/bench/stdio, which runs this."""

import argparse
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../lib"))

from harness import KATA, RUNC  # noqa: E402
from harness.bench import bench_containerd, print_table  # noqa: E402

MEGABYTE = 1_000_000
BLOCK = 64 << 10  # large, so that the system calls of the program do not count
OUT_BLOCKS, IN_BLOCKS = 300 * MEGABYTE // BLOCK, 100 * MEGABYTE // BLOCK
OUT, IN = OUT_BLOCKS * BLOCK, IN_BLOCKS * BLOCK
# The first byte is apart: it says that the container runs.
OUT_SCRIPT = f"echo; exec dd if=/dev/zero bs={BLOCK} count={OUT_BLOCKS} 2>/dev/null"
IN_SCRIPT = "echo; exec cat >/dev/null"


def seconds_out(containerd, runtime, container):
    running = containerd.popen("run", "--rm", "--runtime", runtime, "localhost/busybox:latest", container, "sh", "-c", OUT_SCRIPT, bufsize=0)
    assert running.stdout.read(1) == b"\n", containerd.finish(running)
    begin, size = time.monotonic(), 0
    while data := os.read(running.stdout.fileno(), 1 << 20):
        size += len(data)
    took = time.monotonic() - begin
    assert containerd.finish(running).rc == 0
    # On a busy machine runc's shim of containerd 1.6 ends before it has copied the last pages.
    assert size == OUT or runtime == RUNC, f"{container}: {OUT - size} bytes are missing"
    return took


def seconds_in(containerd, runtime, container, source):
    """The input is there from the start, as a file; ctr copies it."""
    with open(source, "rb") as stdin:
        running = containerd.popen(
            "run", "--rm", "--runtime", runtime, "localhost/busybox:latest", container, "sh", "-c", IN_SCRIPT, stdin=stdin,
            bufsize=0,
        )
    assert running.stdout.read(1) == b"\n", containerd.finish(running)
    begin = time.monotonic()
    assert running.stdout.read() == b""
    took = time.monotonic() - begin
    assert containerd.finish(running).rc == 0
    return took


def main():
    parser = argparse.ArgumentParser(description="Throughput of standard output and input.")
    parser.add_argument("--runs", type=int, default=5)
    runs = parser.parse_args().runs
    out, into = {"kata": [], "runc": []}, {"kata": [], "runc": []}
    with bench_containerd() as containerd:
        source = os.path.join(containerd.dir, "input")
        with open(source, "wb") as file:
            file.truncate(IN)
        for number in range(runs):
            for name, runtime in (("kata", KATA), ("runc", RUNC)):
                out[name].append(seconds_out(containerd, runtime, f"out-{name}-{number}"))
                into[name].append(seconds_in(containerd, runtime, f"in-{name}-{number}", source))
    for title, size, times in (("output, 300 MB", OUT, out), ("input, 100 MB", IN, into)):
        print_table(title, "MB/s", {name: [size / MEGABYTE / one for one in values] for name, values in times.items()})
        print_table(title, "s", times)


if __name__ == "__main__":
    main()
