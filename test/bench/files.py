"""See test/bench/files, which runs this."""

import argparse
import io
import os
import sys
import tarfile
import tempfile
from pathlib import Path

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../lib"))

from harness import IMAGE, KATA, REPO, RUNC  # noqa: E402
from harness.bench import bench_containerd  # noqa: E402
from harness.files import Files, configurations  # noqa: E402
from harness.image import Layout, busybox_image  # noqa: E402
from harness.newer import newer_path  # noqa: E402
from harness.parts import static_program  # noqa: E402

PER_FOLDER = 100  # as in test/lib/file_bench.c
SMALL, MODULE = 300, 8 << 10  # bytes of a file
FILES, MODULES = 10000, 500
# What is measured: name -> (how it is called there, where, how many). Of tree and modules each round has its own, which the
# guest does not know.
STEPS = {
    "stat of 10,000 files": ("stat", "/tree-{}", FILES),
    "open, read, close of 10,000": ("read", "/tree-{}", FILES),
    "loading 500 modules": ("load", "/modules-{}", MODULES),
    "unpacking 30,000": ("unpack", "/new", 30000),
    "removing them": ("remove", "/new", 30000),
    "writing 1 GiB": ("write-all", "", 1024),
    "reading it": ("read-all", "", 1024),
    "5,000 random reads of 16 KiB": ("random", "", 5000),
    "300 writes with fsync": ("fsync", "", 300),
    "100 times exec of busybox": ("exec", None, 100),
}


def trees(part, number):
    """(path, bytes) of the files that a round reads."""
    for name, count, size in (("tree", FILES // part, SMALL), ("modules", MODULES // part, MODULE)):
        for i in range(count):
            yield f"{name}-{number}/{i // PER_FOLDER}/{i % PER_FOLDER}", b"x" * size


def layer(part, rounds):
    """A tar of all of them, below /data."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for number in range(rounds):
            for path, text in trees(part, number):
                info = tarfile.TarInfo(f"data/{path}")
                info.size = len(text)
                tar.addfile(info, io.BytesIO(text))
    return out.getvalue()


def import_image(containerd, work, args):
    """The tests' image with that layer, in its place."""
    layout = Layout(busybox_image())
    layout.add_layers(IMAGE, [layer(args.part, args.rounds)])
    layout.write(Path(work, "image.tar"))
    containerd.import_image(Path(work, "image.tar"))
    if args.block:
        containerd.unpack_image(Path(work, "image.tar"), "blockfile")


def fill(folder, part, number):
    for path, text in trees(part, number):
        file = Path(folder, path)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text)


def measure(files, part, number, found):
    """found: name of a step and place -> milliseconds, the least of all rounds"""
    fill(files.folder, part, number)
    for place, guest in (("root", "/data"), ("bind", "/bind")):
        for name, (step, folder, n) in STEPS.items():
            path = "/bin/true" if folder is None else guest + folder.format(number)
            step_of_place = f"{place}: {name}"
            milliseconds = float(files.tell(step, path, str(n // part)))
            found[step_of_place] = min(milliseconds, found.get(step_of_place, milliseconds))
        files.tell("drop", guest, "1")


def print_columns(columns):
    names = list(columns)
    print(f"{'ms':<40} {names[0]:>10} " + " ".join(f"{name:>16}" for name in names[1:]))
    for step, reference in columns[names[0]].items():
        row = (f"{columns[name][step]:9.0f} ({columns[name][step] / reference:4.1f})" for name in names[1:])
        print(f"{step:<40} {reference:10.0f} " + " ".join(row))


def containers(work, args):
    """column -> (runtime, flags of ctr)"""
    found = {**configurations(work), **dict(one.split("=", 1) for one in args.config)}
    columns = {"runc": (RUNC, [])}
    columns.update({name: (KATA, ["--runtime-config-path", path]) for name, path in found.items()})
    if args.block:
        flags = ["--snapshotter", "blockfile"]
        columns["runc, block"] = (RUNC, flags)
        columns["block"] = (KATA, flags)
    return columns


def main():
    parser = argparse.ArgumentParser(description="What files cost in a container.")
    parser.add_argument("--part", type=int, default=1, help="a part of the work: 10 for a tenth")
    parser.add_argument("--rounds", type=int, default=1, help="in turns; the least of each counts")
    parser.add_argument("--config", action="append", default=[], metavar="NAME=FILE")
    parser.add_argument("--block", action="store_true", help="root file systems on disks, too")
    args = parser.parse_args()
    columns, running = {}, {}
    scratch = 512 + 1024 // args.part if args.block else 0
    with bench_containerd(newer_path("forky"), scratch) as containerd, tempfile.TemporaryDirectory() as work:
        import_image(containerd, work, args)
        program = static_program(Path(work, "bench"), os.path.join(REPO, "test/lib/file_bench.c"))
        for name, (runtime, flags) in containers(work, args).items():
            folder = Path(work, f"bind-{len(columns)}")
            folder.mkdir()
            running[name] = Files(containerd, f"files-{len(columns)}", runtime, program, folder, flags, make_data=False)
            columns[name] = {}
        for number in range(args.rounds):
            for name, files in running.items():
                measure(files, args.part, number, columns[name])
        for files in running.values():
            files.end()
    print_columns(columns)


if __name__ == "__main__":
    main()
