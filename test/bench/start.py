"""See test/bench/start, which runs this."""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../lib"))

from harness import IMAGE, KATA, RUNC  # noqa: E402
from harness.bench import PREFIX, bench_containerd, breakdown, print_breakdown  # noqa: E402
from harness.image import busybox_image, unpack  # noqa: E402
from harness.parts import SHARE, overridden_init  # noqa: E402
from harness.processes import descendants, kill, memory, process, wait_gone  # noqa: E402
from harness.shim_command import ShimCommand  # noqa: E402

FIRST_LINE = b"first line"
IDLE_SECONDS = 3


def milliseconds_to_output(command, env=None):
    """From the start of a command to the first byte of its standard output; then it runs to its end."""
    begin = time.monotonic()
    with subprocess.Popen(command, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as running:
        line = running.stdout.readline()
        took = 1000 * (time.monotonic() - begin)
        while line and FIRST_LINE not in line:  # the firmware or the kernel may say something before
            line = running.stdout.readline()
            took = 1000 * (time.monotonic() - begin)
        running.stdout.read()
    if not line:
        raise SystemExit(f"no output of {' '.join(command)}")
    return took


def ctr_run(containerd, runtime, number):
    command = ["ctr", "run", "--rm", "--runtime", runtime, IMAGE, f"bench-{number}", "echo", FIRST_LINE.decode()]
    return milliseconds_to_output(command, containerd.env)


def bare_boot(command_line, folder):
    """The machine of a running container without what is only the runtime's: its first line is PID 1's."""
    keep = {"-nodefaults": 0, "-no-user-config": 0, "-no-reboot": 0, "-display": 1, "-M": 1, "-machine": 1, "-accel": 1,
            "-cpu": 1, "-bios": 1, "-smp": 1, "-m": 1, "-append": 1}
    command, rest = [command_line[0]], list(command_line[1:])
    while rest:
        option = rest.pop(0)
        values = [rest.pop(0) for _ in range(keep.get(option, 0))]
        if option in keep:
            command += [option, *(re.sub(r",memory-backend=\w+", "", value) for value in values)]
    kernel = os.path.join(PREFIX, SHARE, "kernel")
    initramfs = overridden_init(PREFIX, f'#include <stdio.h>\nint main(void) {{ puts("{FIRST_LINE.decode()}"); }}', folder)
    return [*command, "-serial", "stdio", "-kernel", kernel, "-initrd", initramfs]


def command_line_of(pid):
    return Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8").split("\0")[:-1]


def print_times(times):
    print(f"\ntime to first output (ms, {len(next(iter(times.values())))} runs in turns)")
    print(f"  {'':<24} {'median':>8} {'least':>8} {'most':>8} {'of bare':>8} {'of runc':>8}")
    bare, runc = median(times["bare boot to PID 1"]), median(times["runc"])
    for name, values in times.items():
        middle = median(values)
        print(f"  {name:<24} {middle:8.0f} {min(values):8.0f} {max(values):8.0f} {middle / bare:8.2f} {middle / runc:8.2f}")


def guest_memory_touched(qemu):
    """kB of the memfd that is the guest's memory."""
    sizes = []
    for name in os.listdir(f"/proc/{qemu}/fd"):
        path = f"/proc/{qemu}/fd/{name}"
        if os.readlink(path).startswith("/memfd:"):
            sizes.append(os.stat(path).st_blocks // 2)
    return max(sizes, default=0)


def print_memory(containerd):
    containerd.run_detached("bench-idle", "sleep", "1000", runtime=KATA)
    time.sleep(IDLE_SECONDS)
    shim = containerd.shim("bench-idle")
    pods = [process(shim), *descendants(shim)]
    qemu = containerd.part("bench-idle", "qemu-system")
    print(f"\nmemory of an idle container (kB), {IDLE_SECONDS} s after its start")
    print(f"  {'':<36} {'Pss':>8} {'anon':>8} {'file':>8} {'shmem':>8} {'Rss':>8}")
    total = 0
    for one in pods:
        rollup = memory(one.pid)
        total += rollup["Pss"]
        values = [rollup[key] for key in ("Pss", "Pss_Anon", "Pss_File", "Pss_Shmem", "Rss")]
        print(f"  {one.comm:<36}", *(f"{value:8}" for value in values))
    print(f"  {'all':<36} {total:8}")
    print(f"  {'guest memory touched, part of it':<36} {guest_memory_touched(qemu):8}")
    containerd.delete("bench-idle")


def print_start(containerd, runs):
    """The shim's `start`: what containerd waits for before it can call Create."""
    times = []
    command = ShimCommand(os.path.join(PREFIX, "bin/containerd-shim-kata-v2"), containerd)
    with tempfile.TemporaryDirectory(prefix="kata-bench.") as folder:
        root = os.path.join(folder, "rootfs")
        unpack(busybox_image(), root)
        Path(folder, "config.json").write_text(json.dumps(containerd.spec(root, "true")), encoding="ascii")
        for _ in range(runs):
            begin = time.monotonic()
            started = command("bench-start", folder, "start")
            times.append(1000 * (time.monotonic() - begin))
            if started.returncode:
                raise SystemExit(f"start failed: {started.stderr.decode()}")
            pid = int(Path(folder, "shim.pid").read_text(encoding="ascii"))
            kill(pid)
            wait_gone(pid, 5)
            command("bench-start", folder, "delete")
    print(f"\nstart of the shim (ms, {runs} runs): median {median(times):.1f}, least {min(times):.1f}, most {max(times):.1f}")


def main():
    parser = argparse.ArgumentParser(description="Time to first output, and memory of an idle container.")
    parser.add_argument("--runs", type=int, default=10)
    runs = parser.parse_args().runs
    with bench_containerd() as containerd:
        containerd.run_detached("bench-model", "sleep", "1000", runtime=KATA)
        command_line = command_line_of(containerd.part("bench-model", "qemu-system"))
        containerd.delete("bench-model")
        times = {"bare boot to PID 1": [], "kata": [], "runc": []}
        log_start = containerd.log_size()
        with tempfile.TemporaryDirectory(prefix="kata-bench.") as folder:
            bare = bare_boot(command_line, folder)
            for number in range(runs):
                times["bare boot to PID 1"].append(milliseconds_to_output(bare))
                times["kata"].append(ctr_run(containerd, KATA, number))
                times["runc"].append(ctr_run(containerd, RUNC, number))
        print_times(times)
        print_breakdown(breakdown(containerd.log_tail(log_start, limit=1 << 24)))
        print_start(containerd, runs)
        print_memory(containerd)


if __name__ == "__main__":
    main()
