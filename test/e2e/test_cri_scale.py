"""Many pods, containers, restarts and commands at once or one after the other: nothing grows, nothing harms another. By
environment variable more of each: KATA_SCALE_PODS=10, KATA_SCALE_CONTAINERS=64, KATA_SCALE_RESTARTS=1000, KATA_SCALE_EXECS=10000.
"""

import os
import random
import threading
import time
from pathlib import Path

import pytest
from harness import KATA
from harness.cri import CriError
from harness.cri_pods import EXITED, NOTREADY, READY, RUNNING, CriPods
from harness.cri_streams import attach_stream
from harness.processes import SOON, descendants, memory, wait_for
from harness.sandbox_pod import SandboxPod

PODS = int(os.environ.get("KATA_SCALE_PODS", "4"))
CONTAINERS = int(os.environ.get("KATA_SCALE_CONTAINERS", "8"))
RESTARTS = int(os.environ.get("KATA_SCALE_RESTARTS", "20"))
EXECS = int(os.environ.get("KATA_SCALE_EXECS", "30"))
MOST_CONTAINERS = 64  # proto/limits.h
LONGEST_ID = 76  # containerd's
ROWS = 5
THREADS = 4
SANITIZED = os.environ.get("KATA_STAGE", "e2e") != "e2e"  # what sanitizers and valgrind keep is not the program's
SERVED_SOMETIMES = 12  # what the last commands have looked up, and containers that have gone just now
LONG = 300  # for what takes as long as many pods at once do
STOPS = 3
KILL_MS = 2000


def once(work, numbers):
    """work(number) in a thread for each."""
    failures = []

    def guarded(number):
        try:
            work(number)
        except Exception as failure:  # whatever it is, the test fails with it
            failures.append(failure)

    threads = [threading.Thread(target=guarded, args=(number,)) for number in numbers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures, "\n".join(map(repr, failures))


def test_pods_at_once(cri_pods):
    begun = [cri_pods.begin() for _ in range(PODS)]
    pods = [pod.wait() for pod in begun]
    assert len({pod.status.network.ip for pod in pods}) == PODS

    def use(number):
        container = pods[number].start("sh", "-c", f"echo {number}; exec sleep 1000")
        container.wait_text(f"{number}\n", timeout=LONG)
        assert container.output("hostname") == f"pod-{number + 1}\n"

    once(use, range(PODS))
    for answer in [pod.cri.begin("StopPodSandbox", pod_sandbox_id=pod.id, deadline=LONG) for pod in pods]:
        answer()
    assert all(pod.status.state == NOTREADY for pod in pods)
    for pod in pods:
        pod.remove()


def test_many_containers_in_a_pod(cri_pods, handler):
    pod = cri_pods.run()
    made = [pod.start("sh", "-c", f"echo {number} >/mine; exec sleep 1000", name=f"c{number}") for number in range(CONTAINERS)]
    for number, container in enumerate(made):
        assert wait_for(lambda: container.exec("cat", "/mine").stdout.decode() == f"{number}\n")
    if handler == "kata" and CONTAINERS == MOST_CONTAINERS:
        one_more = pod.create("sleep", "1000", name="more")
        with pytest.raises(CriError, match=f"the sandbox has {MOST_CONTAINERS} containers"):
            one_more.start()
        made[0].stop()
        pod.start("sleep", "1000", name="again")
    assert all(one.status.state == RUNNING for one in made[1:])
    pod.cri.StopPodSandbox(pod_sandbox_id=pod.id, deadline=LONG)
    assert all(one.status.state == EXITED for one in made)
    pod.remove()


class Growth:
    """What a pod has, on the host and in its guest, as a table with a row now and then."""

    def __init__(self, cri, pod, watcher):
        self.cri, self.watcher, self.rows = cri, watcher, []
        self.shim = cri.shim(pod.id)
        self.pids = {"shim": self.shim, "vsock": cri.part(pod.id, "kata-vsock")}

    def served(self):
        """Files that virtiofsd holds since they are in the guest's cache: whether each has been removed."""
        servers = [one.pid for one in descendants(self.shim) if "/virtiofsd" in one.command.split(" ")[0]]
        paths = [os.readlink(path) for pid in servers for path in Path(f"/proc/{pid}/fd").iterdir() if path.is_symlink()]
        return ["(deleted)" in path for path in paths if path.startswith("/")]

    def counts(self):
        found = {f"{part} fds": len(os.listdir(f"/proc/{pid}/fd")) for part, pid in self.pids.items()}
        guest = self.watcher.output("cat", "/proc/cgroups").splitlines()
        return found | {
            "processes": len(descendants(self.shim)), "shim threads": len(os.listdir(f"/proc/{self.shim}/task")),
            "mounts": len(Path(f"/proc/{self.shim}/mountinfo").read_text(encoding="utf-8").splitlines()),
            "guest cgroups": max(int(line.split()[2]) for line in guest[1:]),
        }

    def sizes(self):
        """What is not the same each time."""
        guest = dict(line.split(":") for line in self.watcher.output("cat", "/proc/meminfo").splitlines())
        served = self.served()
        own = {"served files": served.count(False), "removed": served.count(True)}
        own |= {f"{part} kB": memory(self.pids[part])["Private_Dirty"] for part in ("shim", "vsock")}
        return own | {f"guest {key} kB": int(guest[key].split()[0]) for key in ("AnonPages", "SUnreclaim", "Percpu", "KernelStack")}

    def look(self, done):
        """The counts when they have settled: what was removed just now, the last look's command as well, may still be on its
        way out."""
        seen = [self.counts()]

        def settled():
            seen.append(self.counts())
            return seen[-1] == seen[-2] if not self.rows else not self.grown(seen[-1])

        wait_for(settled, pause=0.2)
        self.rows.append({"done": done} | seen[-1] | self.sizes())

    def grown(self, counts):
        return [key for key in counts if counts[key] > self.rows[0][key]]

    def table(self):
        keys = list(self.rows[0])
        rows = [keys] + [[str(row[key]) for key in keys] for row in self.rows]
        return "\n".join("  ".join(f"{cell:>{len(key)}}" for key, cell in zip(keys, row)) for row in rows)

    def judge(self):
        """The first row has what is made once."""
        first, last = self.rows[0], self.rows[-1]
        grown = set(self.grown(last)) - {"done", *self.sizes()}
        assert not grown, f"{grown}\n{self.table()}"
        for key in ("served files", "removed"):
            assert last[key] <= first[key] + SERVED_SOMETIMES, f"{key}\n{self.table()}"
        if not SANITIZED:
            for key in ("shim kB", "vsock kB", "guest AnonPages kB"):
                assert last[key] <= first[key] * 1.1 + 256, f"{key}\n{self.table()}"


KATA_ONLY = pytest.mark.parametrize("handler", ["kata"], indirect=True)  # about virtual machines


@KATA_ONLY
def test_a_crash_loop_adds_nothing(cri_pods, cri, handler, capsys):
    pod = cri_pods.run()
    growth = Growth(cri, pod, pod.start("sleep", "100000", name="watcher"))
    begin = time.monotonic()
    for number in range(RESTARTS):
        container = pod.start("sh", "-c", f"echo {number}; exit {number % 100 + 1}")
        assert container.wait_exited().exit_code == number % 100 + 1
        container.remove()
        container.log_file.unlink()
        if (number + 1) % (RESTARTS // ROWS) == 0:
            growth.look(number + 1)
    with capsys.disabled():
        print(f"\n{RESTARTS} restarts in {time.monotonic() - begin:.0f} s\n{growth.table()}")
    growth.judge()
    pod.end()


def probe(container, number):
    """One in fifteen takes too long, and is killed."""
    if number % 15 == 14:
        with pytest.raises(CriError, match="timeout 1s exceeded"):
            container.exec("sleep", "500", timeout=1)
    else:
        assert container.exec("sh", "-c", f"echo {number}; exit {number % 3}", timeout=SOON).exit_code == number % 3


@KATA_ONLY
def test_probes_leave_nothing(cri_pods, cri, handler, capsys):
    pod = cri_pods.run()
    container = pod.start("sleep", "100000")
    growth = Growth(cri, pod, container)
    begin = time.monotonic()
    for number in range(EXECS):
        probe(container, number)
        if (number + 1) % (EXECS // ROWS) == 0:
            growth.look(number + 1)
    with capsys.disabled():
        print(f"\n{EXECS} probes in {time.monotonic() - begin:.0f} s\n{growth.table()}")
    growth.judge()
    commands = container.output("ps", "-o", "args").splitlines()[1:]
    assert [one for one in commands if not one.startswith("ps ")] == ["sleep 100000"]
    pod.end()


@KATA_ONLY
def test_ids_of_the_longest_legal_length(cri, handler):
    """By ctr: those of CRI are all of one length."""
    ids = [f"{letter}-x_x.{'x' * (LONGEST_ID - 6)}" for letter in "abc"]
    pod = SandboxPod(cri, KATA, ids[0]).start()
    pod.add(ids[1], "sleep", "1000")
    pod.add(ids[2], "sleep", "1000")
    for number, one in enumerate(ids[1:]):
        assert cri.exec(one, "echo", str(number), exec_id=ids[number]).check().text == f"{number}\n"
    pod.delete()


def live(pod, chance, name):
    """A container is made, perhaps started, perhaps stopped, and removed."""
    container = pod.create("sh", "-c", f"echo {name}; exec sleep 1000", name=name)
    if chance.random() < 0.8:
        container.start()
        if chance.random() < 0.5:
            assert container.output("echo", name) == f"{name}\n"
        if chance.random() < 0.5:
            container.stop()
            assert container.status.state == EXITED
    container.remove()


def test_containers_in_any_order_from_several_threads(cri_pods):
    pod = cri_pods.run()
    stays = pod.start("sleep", "1000", name="stays")

    def lives(thread):
        chance = random.Random(thread)
        for number in range(max(CONTAINERS // THREADS, 1) * 2):
            live(pod, chance, f"t{thread}-{number}")

    once(lives, range(THREADS))
    assert stays.status.state == RUNNING and stays.output("hostname") == "pod-1\n"
    assert pod.status.state == READY
    pod.end()


def echoes(container, line):
    """A shell that has its code in memory, and needs no file."""
    with attach_stream(container, stdin=True) as stream:
        stream.send(line.encode() + b"\n")
        stream.wait(f"got {line}\n".encode())


@KATA_ONLY
def test_a_container_that_cannot_be_killed_harms_no_other(cri, handler, tmp_path, stuck_fs):
    directory, server = stuck_fs
    Path(cri.dir, "kata.toml").write_text(f"timeouts.kill_ms = {KILL_MS}\n", encoding="ascii")
    pod = CriPods(cri, "kata-config", tmp_path).run()
    other = pod.start("sh", "-c", "while read line; do echo got $line; done", name="other", stdin=True)
    echoes(other, "first")
    stuck = pod.start("cat", "/stuck/hang", mounts=[{"container_path": "/stuck", "host_path": str(directory)}], name="stuck")
    assert server.stdout.readline() == b"hanging\n"
    with pytest.raises(CriError, match="DEADLINE_EXCEEDED"):
        pod.cri.StopContainer(container_id=stuck.id, timeout=0, deadline=KILL_MS / 1000 + 1)
    echoes(other, "second")
    assert (stuck.status.state, other.status.state, pod.status.state) == (RUNNING, RUNNING, READY)
    other.stop()  # as a kubelet stops all before the pod
    pod.stop()
    assert pod.status.state == NOTREADY
    assert stuck.wait_exited().exit_code == 137
    server.kill()
    pod.remove()


@KATA_ONLY
def test_a_pod_in_which_nothing_resists_stops_sooner_than_it_starts(cri_pods):
    starts, stops = [], []
    for _ in range(STOPS):
        begin = time.monotonic()
        pod = cri_pods.run()
        starts.append(time.monotonic() - begin)
        pod.start("sleep", "1000", name="one")
        pod.start("sleep", "1000", name="two")
        begin = time.monotonic()
        pod.stop()
        stops.append(time.monotonic() - begin)
        pod.remove()
    print(f"starts {starts}, stops {stops}")
    assert min(stops) < min(starts) / 2, (stops, starts)
