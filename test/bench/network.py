"""See test/bench/network, which runs this."""

import argparse
import os
import socket
import sys
import time
from statistics import median

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../lib"))

from harness import KATA, RUNC  # noqa: E402
from harness.bench import bench_containerd, print_table  # noqa: E402
from harness.networks import Bridge, make_folder  # noqa: E402
from harness.processes import wait_for  # noqa: E402
from harness.programs import PYTHON, WITH_PROGRAMS  # noqa: E402

MEGABYTE = 1_000_000
BLOCK = 1 << 18
PORT = 5000
TICK = os.sysconf("SC_CLK_TCK")
# A line says what the connection is for: bytes from the container, bytes to it, or bytes back.
SERVER = f"""
import socket
server = socket.create_server(("", {PORT}))
while True:
    stream, _ = server.accept()
    stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    what, size = stream.recv(64).split()
    left = int(size)
    stream.sendall(b"+")
    block = bytes({BLOCK})
    while left > 0 and what == b"out":
        left -= stream.send(block[:left])
    while left > 0 and what == b"in":
        left -= len(stream.recv({BLOCK}))
    while left > 0 and what == b"back":
        data = stream.recv(1)
        stream.sendall(data)
        left -= 1
    stream.sendall(b"-" if what == b"in" else b"")
    stream.close()
"""


class Served:
    """A container that serves."""

    def __init__(self, containerd, name, runtime, space):
        self.containerd, self.name, self.address = containerd, name, space.address
        containerd.run_detached(name, "sh", "-c", f"{PYTHON} '{SERVER}'", runtime=runtime,
                                flags=[*space.flags(), *WITH_PROGRAMS])
        assert wait_for(self._is_there, 60, 0.2), f"{name} does not serve"

    def _is_there(self):
        try:
            self._connect("out", 0).close()
        except OSError:
            return False
        return True

    def _connect(self, what, size):
        stream = socket.create_connection((self.address, PORT), 600)
        stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        stream.sendall(f"{what} {size}\n".encode())
        assert stream.recv(1) == b"+"
        return stream

    def out(self, size):
        """Seconds for that many bytes from it."""
        with self._connect("out", size) as stream:
            begin, got = time.monotonic(), 0
            while data := stream.recv(BLOCK):
                got += len(data)
            assert got == size
            return time.monotonic() - begin

    def into(self, size):
        block, left = bytes(BLOCK), size
        with self._connect("in", size) as stream:
            begin = time.monotonic()
            while left > 0:
                left -= stream.send(block[:left])
            assert stream.recv(1) == b"-"
            return time.monotonic() - begin

    def round_trips(self, number):
        """Seconds for one, the mean of many."""
        with self._connect("back", number) as stream:
            begin = time.monotonic()
            for _ in range(number):
                stream.sendall(b".")
                assert stream.recv(1) == b"."
            return (time.monotonic() - begin) / number


def busy(pid):
    """Seconds that QEMU has computed: its main loop, which moves the packets, and its other threads, which are the vCPUs."""
    found = {"main loop": 0, "vCPUs": 0}
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/stat", encoding="ascii") as file:
            times = file.read().rsplit(")", 1)[1].split()
        found["main loop" if task == str(pid) else "vCPUs"] += (int(times[11]) + int(times[12])) / TICK
    return found


def measure(call, pid=None):
    """(what it answers, the share of the time that QEMU's parts computed)"""
    before, begin = busy(pid) if pid else {}, time.monotonic()
    result = call()
    took = time.monotonic() - begin
    return result, {name: (value - before.get(name, 0)) / took for name, value in (busy(pid) if pid else {}).items()}


def print_limits(shares, log):
    print("\nhow busy QEMU was (% of a processor, median)")
    for title, all_of_it in shares.items():
        parts = (f"{name} {100 * median(one[name] for one in all_of_it):.0f}" for name in all_of_it[0])
        print(f"  {title:<24} {', '.join(parts)}")
    if "using TCG" in log:
        print("The limit is the guest's processor, whose code TCG translates here: KVM does not work.")


def main():
    parser = argparse.ArgumentParser(description="Throughput and round trips of TCP.")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--megabytes", type=int, default=100)
    options = parser.parse_args()
    size = options.megabytes * MEGABYTE
    tests = {
        "from the container": lambda served: size / MEGABYTE / served.out(size),
        "to the container": lambda served: size / MEGABYTE / served.into(size),
        "round trip": lambda served: 1000 * served.round_trips(300),
    }
    results = {title: {"kata": [], "runc": []} for title in tests}
    shares = {title: [] for title in tests}
    make_folder()
    bridge = Bridge("bench-br")
    with bench_containerd() as containerd:
        servers = {name: Served(containerd, name, runtime, bridge.add()) for name, runtime in (("kata", KATA), ("runc", RUNC))}
        qemu = containerd.part("kata", "qemu-system")
        for _ in range(options.runs):
            for title, test in tests.items():
                for name, served in servers.items():
                    value, share = measure(lambda test=test, served=served: test(served), qemu if name == "kata" else None)
                    results[title][name].append(value)
                    if share:
                        shares[title].append(share)
        log = containerd.log_tail(0, limit=1 << 24)
        for name in servers:
            containerd.delete(name)
    bridge.close()
    for title, columns in results.items():
        print_table(title, "ms" if title == "round trip" else "MB/s", columns)
    print_limits(shares, log)


if __name__ == "__main__":
    main()
