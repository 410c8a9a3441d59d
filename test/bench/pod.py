"""See test/bench/pod, which runs this."""

import argparse
import os
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../lib"))

from harness.bench import PREFIX, breakdown, print_breakdown, print_table  # noqa: E402
from harness.cri_containerd import CriContainerd  # noqa: E402
from harness.cri_pods import CriPods  # noqa: E402
from harness.image import busybox_image  # noqa: E402
from harness.processes import wait_for  # noqa: E402

FIRST_LINE = "first line"
PATIENCE = 30  # seconds until the first output


def milliseconds(pod):
    """Of StartContainer, and to the first output in the container's log."""
    container = pod.create("echo", FIRST_LINE, name="second")
    begin = time.monotonic()
    container.start()
    started = time.monotonic()
    if not wait_for(lambda: container.log_file.exists() and FIRST_LINE in container.log_file.read_text(), PATIENCE, 0.001):
        raise SystemExit(f"no output: {container.log()}")
    said = time.monotonic()
    container.wait_exited()
    container.remove()
    return 1000 * (started - begin), 1000 * (said - begin)


def main():
    parser = argparse.ArgumentParser(description="The start of a second container in a pod.")
    parser.add_argument("--runs", type=int, default=20)
    runs = parser.parse_args().runs
    started, said = ({"kata": [], "runc": []} for _ in range(2))
    containerd = CriContainerd(os.path.join(PREFIX, "bin")).start()
    try:
        containerd.import_images(busybox_image())
        with tempfile.TemporaryDirectory(prefix="kata-bench.") as folder:
            make, pods = CriPods(containerd, None, folder), {}
            for handler in started:
                make.handler = handler
                pods[handler] = make.run()
                pods[handler].start("sleep", "100000", name="first")
                milliseconds(pods[handler])  # the first one reads the executable
            log_start = containerd.log_size()
            for _ in range(runs):
                for handler, pod in pods.items():
                    took = milliseconds(pod)
                    started[handler].append(took[0])
                    said[handler].append(took[1])
            log = containerd.log_tail(log_start, limit=1 << 24)
            for pod in pods.values():
                pod.end()
    finally:
        left = containerd.stop()
        if left:
            print(left)
    print_table("StartContainer of a second container in a pod", "ms", started)
    print_table("from StartContainer to its first output", "ms", said)
    print_breakdown(breakdown(log))


if __name__ == "__main__":
    main()
