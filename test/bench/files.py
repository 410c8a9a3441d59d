"""See test/bench/files, which runs this."""

import argparse
import os
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../lib"))

from harness import KATA, REPO, RUNC  # noqa: E402
from harness.bench import bench_containerd  # noqa: E402
from harness.files import Files, configurations  # noqa: E402
from harness.parts import static_program  # noqa: E402

PER_FOLDER, SMALL = 100, 300  # as in test/lib/file_bench.c
# What is measured: name -> (how it is called there, where, how many). FOLDER is a new one.
STEPS = {
    "stat of 10,000 files": ("stat", "/tree", 10000),
    "open, read, close of 10,000": ("read", "/tree", 10000),
    "unpacking 30,000": ("unpack", "/new", 30000),
    "removing them": ("remove", "/new", 30000),
    "writing 1 GiB": ("write-all", "", 1024),
    "reading it": ("read-all", "", 1024),
    "5,000 random reads of 16 KiB": ("random", "", 5000),
    "300 writes with fsync": ("fsync", "", 300),
    "100 times exec of busybox": ("exec", None, 100),
}


def make_tree(folder, n):
    for number in range(n):
        path = Path(folder, str(number // PER_FOLDER), str(number % PER_FOLDER))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * SMALL)


def measure(files, part, found):
    """found: name of a step and place -> milliseconds, the least of all rounds"""
    for place, (host, guest) in files.places().items():
        tree = f"/tree-{len(os.listdir(host))}"  # one that the guest does not know
        make_tree(host + tree, 10000 // part)
        for name, (step, folder, n) in STEPS.items():
            path = "/bin/true" if folder is None else guest + folder.replace("/tree", tree)
            step_of_place = f"{place}: {name}"
            milliseconds = float(files.tell(step, path, str(n // part)))
            found[step_of_place] = min(milliseconds, found.get(step_of_place, milliseconds))
        os.unlink(os.path.join(host, "large"))


def print_columns(columns):
    names = list(columns)
    print(f"{'ms':<40} {names[0]:>10} " + " ".join(f"{name:>16}" for name in names[1:]))
    for step, reference in columns[names[0]].items():
        row = (f"{columns[name][step]:9.0f} ({columns[name][step] / reference:4.1f})" for name in names[1:])
        print(f"{step:<40} {reference:10.0f} " + " ".join(row))


def main():
    parser = argparse.ArgumentParser(description="What files cost in a container.")
    parser.add_argument("--part", type=int, default=1, help="a part of the work: 10 for a tenth")
    parser.add_argument("--rounds", type=int, default=1, help="in turns; the least of each counts")
    parser.add_argument("--config", action="append", default=[], metavar="NAME=FILE")
    args = parser.parse_args()
    columns, running = {}, {}
    with bench_containerd() as containerd, tempfile.TemporaryDirectory() as work:
        program = static_program(Path(work, "bench"), os.path.join(REPO, "test/lib/file_bench.c"))
        found = {**configurations(work), **dict(one.split("=", 1) for one in args.config)}
        for name in ["runc", *found]:
            folder = Path(work, f"bind-{len(columns)}")
            folder.mkdir()
            flags = [] if name == "runc" else ["--runtime-config-path", found[name]]
            runtime = RUNC if name == "runc" else KATA
            running[name] = Files(containerd, f"files-{len(columns)}", runtime, program, folder, flags)
            columns[name] = {}
        for _ in range(args.rounds):
            for name, files in running.items():
                measure(files, args.part, columns[name])
        for files in running.values():
            files.end()
    print_columns(columns)


if __name__ == "__main__":
    main()
