"""Pods of several containers: one machine, a pause container first and last."""

import os

import pytest
from harness.events import Events
from harness.processes import kill, wait_for
from harness.sandbox_pod import SHARED, SandboxPod

pytestmark = pytest.mark.vm


@pytest.fixture
def pod(containerd, runtime, name):
    return SandboxPod(containerd, runtime, name()).start()


def test_all_have_one_shim_and_one_machine(containerd, pod, name):
    one, two = name(), name()
    pod.add(one, "sleep", "1000")
    pod.add(two, "sleep", "1000")
    boots = {containerd.exec(container, "cat", "/proc/sys/kernel/random/boot_id").check().text for container in (one, two)}
    assert len(boots) == 1
    addresses = set()
    for container in (pod.name, one, two):
        with open(f"{containerd.bundle(container)}/address", encoding="ascii") as file:
            addresses.add(file.read())
    assert len(addresses) == 1
    assert [os.path.exists(f"{containerd.bundle(container)}/shim.pid") for container in (pod.name, one, two)] == [True, False, False]
    pod.delete()


def namespaces(containerd, container):
    kinds = ("ipc", "uts", "net", "pid", "mnt", "cgroup")
    script = f"for kind in {' '.join(kinds)}; do readlink /proc/self/ns/$kind; done"
    return dict(zip(kinds, containerd.exec(container, "sh", "-c", script).check().text.split(), strict=True))


def test_they_share_ipc_uts_and_network(containerd, pod, name):
    one, two = name(), name()
    pod.add(one, "nc", "-l", "-p", "8080", "-e", "echo", "from one")
    pod.add(two, "sleep", "1000")
    first, second = namespaces(containerd, one), namespaces(containerd, two)
    assert {kind for kind in first if first[kind] == second[kind]} == {"ipc", "uts", "net"}
    assert wait_for(lambda: "from one" in containerd.exec(two, "nc", "127.0.0.1", "8080").text)
    pod.delete()


def test_with_a_shared_pid_namespace_they_see_one_another(containerd, pod, name):
    one, two, own = name(), name(), name()
    pod.add(one, "sleep", "1001", shared=(*SHARED, "pid"))
    pod.add(two, "sleep", "1002", shared=(*SHARED, "pid"))
    pod.add(own, "sleep", "1003")
    seen = containerd.exec(one, "ps", "-o", "pid,args").check().text.splitlines()
    assert seen[1].split() == ["1", "kata-agent", "pause"] or seen[1].split()[0] == "1"
    assert {"sleep 1001", "sleep 1002"} <= {" ".join(line.split()[1:]) for line in seen}
    assert "sleep 1003" not in "\n".join(seen)
    assert containerd.exec(own, "ps", "-o", "args").check().text.splitlines()[1] == "sleep 1003"
    pod.delete()


def test_containers_come_and_go(containerd, pod, name):
    stays, again = name(), name()
    pod.add(stays, "sleep", "1000")
    for number in range(5):
        result = pod.run(again, "sh", "-c", f"echo {number}; exit {number}")
        assert (result.rc, result.text) == (number, f"{number}\n"), str(result)
    assert containerd.exec(stays, "echo", "on").check().text == "on\n"
    pod.delete()


def test_a_kill_of_the_pause_container_ends_all(containerd, pod, name):
    one = name()
    pod.add(one, "sh", "-c", "trap '' TERM INT HUP; while :; do sleep 1; done")
    with Events(containerd) as events:
        begun = containerd.log_size()
        containerd.kill(pod.name).check()
        containerd.wait_state(pod.name, "STOPPED")
        containerd.wait_state(one, "STOPPED")
        for container in (one, pod.name):
            events.wait(container, "/tasks/exit", id=container, exit_status=137)
    assert not containerd.deadlines_met(begun)
    result = containerd.ctr("run", "--rm", *pod.args(name(), "true"))
    assert result.rc and f'sandbox "{pod.name}" is not running' in result.error, str(result)
    pod.delete()


def test_the_pause_container_has_no_process(containerd, pod):
    result = containerd.exec(pod.name, "true")
    assert result.rc
    assert f'Exec of pause container "{pod.name}": not supported; it has no process in the virtual machine' in result.error
    assert "cpuacct.usage" in containerd.ctr("tasks", "metrics", pod.name).check().text
    pod.delete()


def test_a_container_without_its_pod_is_refused(containerd, runtime, name):
    pod = SandboxPod(containerd, runtime, name())
    pod.pid = os.getpid
    container = name()
    result = containerd.ctr("run", "--rm", *pod.args(container, "true", shared=()))
    assert result.rc
    assert f'cannot find sandbox "{pod.name}" of container "{container}": no shim serves it' in result.error


def test_it_lives_on_when_containerd_is_killed(containerd, pod, name):
    one = name()
    pod.add(one, "sleep", "1000")
    containerd.die()
    containerd.start()
    assert containerd.task_state(pod.name) == "RUNNING"
    assert containerd.exec(one, "echo", "on").check().text == "on\n"
    another = pod.run(name(), "echo", "more")
    assert another.text == "more\n", str(another)
    pod.delete()


def test_a_killed_shim_leaves_nothing_of_it(containerd, pod, name):
    one, two = name(), name()
    pod.add(one, "sleep", "1000")
    pod.add(two, "sleep", "1000")
    kill(containerd.shim(pod.name))
    for container in (one, two, pod.name):
        assert wait_for(lambda one=container: containerd.task_state(one) is None), container
        containerd.ctr("containers", "delete", container).check()
