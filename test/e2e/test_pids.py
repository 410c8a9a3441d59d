"""The pids that clients are told: a process of the host for each container and exec, from its creation to its deletion."""

import os
import signal
import subprocess
from pathlib import Path

import pytest
from harness.events import Events
from harness.networks import make_folder, numbered
from harness.pods import exec_spec
from harness.processes import alive, descendants, kill, memory, process, wait_for, wait_gone
from harness.sandbox_pod import SandboxPod

pytestmark = pytest.mark.vm

EXECS = 200
MEMORY_KB = 300  # of one, with its share of the program


@pytest.fixture
def container(containerd, runtime, name):
    """A container that sleeps."""
    made = name()
    containerd.run_detached(made, "sleep", "1000", runtime=runtime)
    yield made
    if made in containerd.ctr("tasks", "ls", "-q").text.split():
        containerd.delete(made)


@pytest.fixture(scope="module", autouse=True)
def folder_of_namespaces():
    make_folder()


@pytest.fixture
def space():
    """A network namespace with a name."""
    made = numbered()
    yield made
    made.close()


def pid_of(containerd, container):
    return next(int(line.split()[1]) for line in containerd.ctr("tasks", "ls").check().text.splitlines() if line.startswith(f"{container} "))


def status(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return {row[0]: row[1].split() for row in (line.split(":", 1) for line in file)}


def placeholders(shim):
    return [one for one in descendants(shim) if one.comm.startswith(("kata-container", "kata-exec", "kata-pod"))]


def run_exec(pod, exec_id, *command):
    """A running exec: its pid, and the Wait for its end."""
    pod.task.Exec(id=pod.id, exec_id=exec_id, spec=exec_spec(*command))
    wait = pod.task.begin("Wait", id=pod.id, exec_id=exec_id)
    return pod.task.Start(id=pod.id, exec_id=exec_id).pid, wait


def test_each_has_one_from_its_creation_to_its_deletion(pods):
    pod = pods.start()
    created = pod.create().pid
    first = process(created)
    assert first.ppid == pod.pid and first.command == f"kata-container: {pod.id} (placeholder)", first
    assert pod.task.Start(id=pod.id).pid == created
    pids = {created}
    for exec_id in ("e", "f"):
        pid, wait = run_exec(pod, exec_id, "sleep", "1000")
        assert process(pid).command == f"kata-exec: {exec_id} of container {pod.id} (placeholder)"
        assert process(pid).ppid == pod.pid
        pids.add(pid)
        pod.task.Kill(id=pod.id, exec_id=exec_id, signal=9)
        assert wait().exit_status == 137
        assert pod.task.State(id=pod.id, exec_id=exec_id).pid == pid and alive(pid)
    assert len(pids) == 3
    assert pod.kill() == 137
    assert pod.task.State(id=pod.id).pid == created
    assert process(created).started == first.started, "another process has its pid"
    assert [one.pid for one in pod.task.Pids(id=pod.id).processes] == [created]
    for exec_id in ("e", "f"):
        assert pod.task.Delete(id=pod.id, exec_id=exec_id).pid in pids
    assert wait_for(lambda: {one.pid for one in placeholders(pod.pid)} == {created})
    assert pod.task.Delete(id=pod.id).pid == created
    assert process(created) is None


def test_it_is_not_the_machines(containerd, container):
    pid = pid_of(containerd, container)
    assert pid not in {containerd.part(container, part) for part in ("qemu-system", "virtiofsd", "kata-vsock")}
    assert process(pid).ppid == containerd.shim(container)


def test_it_may_do_nothing(containerd, container):
    pid, machine = pid_of(containerd, container), containerd.part(container, "qemu-system")
    assert wait_for(lambda: status(pid)["Seccomp"] == ["2"])
    seen = status(pid)
    assert seen["Uid"] == seen["Gid"] == status(machine)["Uid"] and int(seen["Uid"][0]) >= 2000000000
    assert seen["Groups"] == []
    assert [int(seen[which][0], 16) for which in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")] == [0] * 5
    assert seen["NoNewPrivs"] == ["1"]
    assert os.listdir(f"/proc/{pid}/fd") == []
    with open(f"/proc/{pid}/limits", encoding="ascii") as file:
        assert [line.split()[4:6] for line in file if line.startswith("Max core file size")] == [["0", "0"]]
    assert os.readlink(f"/proc/{pid}/ns/net") != os.readlink("/proc/self/ns/net"), "it has the host's network"


def test_it_is_in_the_pods_network_namespace(containerd, runtime, name, space):
    container = name()
    containerd.run_detached(container, "sleep", "1000", runtime=runtime, flags=space.flags())
    running = containerd.exec_background(container, "sleep", "1000", exec_id="e", flags=containerd.own_fifos)
    shim = containerd.shim(container)
    assert wait_for(lambda: len(placeholders(shim)) == 2)
    assert {os.stat(f"/proc/{one.pid}/ns/net").st_ino for one in placeholders(shim)} == {os.stat(space.path).st_ino}
    containerd.delete(container)
    containerd.finish(running)


@pytest.fixture
def held():
    """held(OPTION...): /proc/PID/ns/net of a process that `unshare` has put into namespaces of its own."""
    holders = []

    def hold(*options):
        with_child = subprocess.Popen(["unshare", "--net", *options, "sleep", "1000"])
        holders.append(with_child)
        assert wait_for(lambda: any(one.comm == "sleep" for one in [process(with_child.pid), *descendants(with_child.pid)]))
        pid = next(one.pid for one in [process(with_child.pid), *descendants(with_child.pid)] if one.comm == "sleep")
        return f"/proc/{pid}/ns/net"

    yield hold
    for one in holders:
        for below in descendants(one.pid):
            kill(below.pid)
        one.kill()
        one.wait()


def test_a_process_may_hold_the_namespace(containerd, runtime, name, held):
    container, path = name(), held()
    containerd.run_detached(container, "sleep", "1000", runtime=runtime, flags=["--with-ns", f"network:{path}"])
    shim = containerd.shim(container)
    assert {os.readlink(f"/proc/{one.pid}/ns/net") for one in placeholders(shim)} == {os.readlink(path)}
    containerd.delete(container)


def test_the_network_of_another_container_is_refused_in_one_line(containerd, runtime, name, held):
    """As `nerdctl run --network container:X` names it: X would lose its link."""
    path = held("--pid", "--fork")
    done = containerd.run(name(), "true", runtime=runtime, flags=["--with-ns", f"network:{path}"])
    assert done.rc != 0 and len(done.error.strip().splitlines()) == 1, str(done)
    assert f'"{path}": the network of another container: not supported' in done.error, str(done)


def test_its_root_directory_is_the_containers(containerd, container):
    """What `nerdctl cp` reads and writes."""
    root = Path(f"/proc/{pid_of(containerd, container)}/root")
    assert os.stat(root).st_ino != os.stat("/").st_ino or os.stat(root).st_dev != os.stat("/").st_dev
    assert containerd.exec(container, "sh", "-c", "echo guest >/tmp/of-guest").rc == 0
    assert (root / "tmp/of-guest").read_text(encoding="ascii") == "guest\n"
    (root / "tmp/of-host").write_text("host\n", encoding="ascii")
    assert wait_for(lambda: containerd.exec(container, "cat", "/tmp/of-host").text == "host\n")
    assert not os.path.exists("/tmp/of-host")


def test_its_root_directory_does_not_hold_up_the_deletion(containerd, runtime, name):
    container = name()
    containerd.run_detached(container, "sleep", "1000", runtime=runtime)
    root = os.stat(f"/proc/{pid_of(containerd, container)}/root").st_dev
    containerd.delete(container)
    for one in descendants(1):
        try:
            assert os.stat(f"/proc/{one.pid}/root").st_dev != root, one
        except (FileNotFoundError, PermissionError):  # it has gone meanwhile
            pass


def test_a_kill_of_it_means_that_container_alone(containerd, runtime, name):
    pod = SandboxPod(containerd, runtime, name()).start()
    one, two = name(), name()
    pod.add(one, "sleep", "1000")
    pod.add(two, "sleep", "1000")
    pids = [pod.pid(container) for container in (None, one, two)]
    assert len(set(pids)) == 3
    assert process(pids[0]).command == f"kata-pod: {pod.name} (placeholder)"
    assert process(pids[1]).command == f"kata-container: {one} of pod {pod.name} (placeholder)"
    with Events(containerd) as events:
        kill(pids[1])
        assert events.wait(one, "/tasks/exit", id=one)["exit_status"] == 137
    containerd.wait_state(one, "STOPPED")
    assert containerd.exec(two, "echo", "on").check().text == "on\n"
    kill(pids[0])
    for container in (two, pod.name):
        containerd.wait_state(container, "STOPPED")
    pod.delete()
    assert not any(alive(pid) for pid in pids)


def test_a_kill_of_an_execs_means_that_exec_alone(pods):
    pod = pods.container("running")
    pid, wait = run_exec(pod, "e", "sleep", "1000")
    _, other = run_exec(pod, "f", "sh", "-c", "sleep 2; exit 3")
    kill(pid)
    assert wait().exit_status == 137
    assert other().exit_status == 3
    assert pod.task.State(id=pod.id).status == 2


def test_other_signals_to_it_end_the_container_or_do_nothing(pods):
    pod = pods.container("running")
    pid = pod.task.State(id=pod.id).pid
    wait = pod.task.begin("Wait", id=pod.id)
    for number in (signal.SIGCHLD, signal.SIGWINCH, signal.SIGSTOP, signal.SIGCONT):
        kill(pid, number)
    assert pod.run_exec("e", "true") == 0
    kill(pid, signal.SIGTERM)
    assert wait().exit_status == 137


def test_none_is_left_when_the_shim_is_killed(containerd, runtime, name):
    container = name()
    containerd.run_detached(container, "sleep", "1000", runtime=runtime, flags=containerd.own_fifos)
    running = containerd.exec_background(container, "sleep", "1000", exec_id="e", flags=containerd.own_fifos)
    shim = containerd.shim(container)
    assert wait_for(lambda: len(placeholders(shim)) == 2)
    pids = [one.pid for one in placeholders(shim)]
    kill(shim)
    assert all(wait_gone(pid) for pid in pids)
    containerd.finish(running)
    assert wait_for(lambda: containerd.task_state(container) is None)
    containerd.ctr("containers", "delete", container).check()


def test_it_outlives_the_machine(containerd, container):
    pid = pid_of(containerd, container)
    kill(containerd.part(container, "qemu-system"))
    containerd.wait_state(container, "STOPPED")
    assert pid_of(containerd, container) == pid and alive(pid)
    containerd.delete(container)
    assert wait_gone(pid)


def test_execs_leave_none(pods):
    pod = pods.container("running")
    for number in range(EXECS):
        assert pod.run_exec(f"e{number}", "true") == 0
    assert wait_for(lambda: len(placeholders(pod.pid)) == 1), placeholders(pod.pid)


def test_it_costs_little(containerd, container):
    pid = pid_of(containerd, container)
    assert wait_for(lambda: status(pid)["Seccomp"] == ["2"] and process(pid).state == "S")
    before = status(pid)["voluntary_ctxt_switches"]
    assert memory(pid)["Private_Dirty"] < MEMORY_KB
    subprocess.run(["sleep", "1"], check=True)
    assert status(pid)["voluntary_ctxt_switches"] == before, "it wakes up"
