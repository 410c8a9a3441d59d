"""What the benchmarks share."""

import contextlib
import os
import re
from statistics import median

from . import REPO
from .containerd import Containerd
from .image import busybox_image

PREFIX = os.environ.get("KATA_PREFIX", os.path.join(REPO, "build/release"))
DONE = re.compile(r'msg="([\w ]+?)(?: \w+=\S+)* done ms=([\d.]+)((?: \S+=[\d.]+)*)"')


@contextlib.contextmanager
def bench_containerd(path=None, scratch=0):
    """A containerd with the image that finds our shim; what is left in the end is shown. path, scratch: as Containerd has
    them."""
    containerd = Containerd(os.path.join(PREFIX, "bin"), "bench", path, scratch).start()
    try:
        containerd.import_image(busybox_image())
        yield containerd
    finally:
        left = containerd.stop()
        if left:
            print(left)


def breakdown(log):
    """sequence -> step -> milliseconds of each run, from the shim's log lines."""
    found = {}
    for title, total, steps in DONE.findall(log):
        rows = found.setdefault(title, {})
        rows.setdefault("all of it", []).append(float(total))
        for step in steps.split():
            key, _, value = step.partition("=")
            rows.setdefault(key.replace("-", " "), []).append(float(value))
    return found


def print_breakdown(found):
    print("\nwhere it goes (ms, median)")
    for title, rows in found.items():
        print(f"  {title}")
        for step, values in rows.items():
            print(f"    {step:<44} {median(values):8.1f}")


def print_table(title, unit, columns):
    """columns: name -> values; the last is what the others are compared with."""
    reference_name, reference = list(columns.items())[-1]
    print(f"\n{title} ({unit}, {len(reference)} runs in turns)")
    print(f"  {'':<24} {'median':>9} {'least':>9} {'most':>9}   of {reference_name}'s")
    for name, values in columns.items():
        row = (f"{value:9.1f}" for value in (median(values), min(values), max(values)))
        print(f"  {name:<24} {' '.join(row)} {median(values) / median(reference):10.2f}")
