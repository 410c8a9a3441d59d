"""Pods of Kubernetes through containerd's CRI: what their containers share, and how pods end."""

import os
import re
import socket

import pytest
from harness.cri import CriError
from harness.cri_pods import CREATED, NOTREADY, READY, RUNNING, CriPods
from harness.parts import static_program
from harness.processes import alive, wait_for


# System V shared memory, of which busybox has no tool: "make TEXT" prints the id of a new piece, "read ID" its text.
SHM = r"""
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/shm.h>

int main(int argc, char **argv)
{
	int id = strcmp(argv[1], "make") == 0 ? shmget(IPC_PRIVATE, 4096, 0600) : atoi(argv[2]);
	char *text = shmat(id, NULL, 0);

	if (text == (void *)-1)
		return 1;
	if (strcmp(argv[1], "make") != 0)
		return fputs(text, stdout) < 0;
	strcpy(text, argv[2]);
	return printf("%d\n", id) < 0;
}
"""


@pytest.fixture(scope="session")
def shm(tmp_path_factory):
    return static_program(tmp_path_factory.mktemp("shm") / "shm", text=SHM)


def commands(container):
    """What runs, as a container sees it: pid -> command line. When Start is answered, runc may be about to execute it."""
    def rows():
        found = dict(line.split(None, 1) for line in container.output("ps", "-o", "pid,args").splitlines()[1:])
        return not any(re.search(r"\brunc|/proc/self/exe", command) for command in found.values()) and found

    return {int(pid): command for pid, command in wait_for(rows).items() if not command.startswith("ps ")}


def test_a_pod_and_its_container_come_and_go(cri_pods):
    pod = cri_pods.run()
    assert pod.status.state == READY
    container = pod.create("sh", "-c", "echo out; echo err >&2; exit 7")
    assert container.status.state == CREATED
    status = container.start().wait_exited()
    assert (status.exit_code, container.text(), container.text("stderr")) == (7, "out\n", "err\n")
    container.remove()
    pod.stop()
    assert pod.status.state == NOTREADY
    pod.remove()


def test_containers_share_ipc_shm_and_localhost(cri_pods, shm):
    pod = cri_pods.run()
    tools = [{"container_path": "/shm", "host_path": shm, "readonly": True}]
    one, two = (pod.start("sleep", "1000", name=name, mounts=tools) for name in ("one", "two"))
    three = pod.start("nc", "-ll", "-p", "7000", "-e", "echo", "hello", name="three")
    key = one.output("/shm", "make", "shared").strip()
    assert two.output("/shm", "read", key) == "shared"
    one.output("sh", "-c", "echo 1 >/dev/shm/number; mkdir /dev/shm/folder")
    assert two.output("cat", "/dev/shm/number") == "1\n"
    two.output("touch", "/dev/mqueue/queue")
    assert three.output("ls", "/dev/mqueue") == "queue\n"
    assert wait_for(lambda: one.exec("nc", "-w", "5", "127.0.0.1", "7000").stdout == b"hello\n", pause=0.2)
    one.output("touch", "/mine")
    assert two.exec("ls", "/mine").exit_code == 1
    pod.end()


def test_hostname_hosts_and_resolver_are_the_pods(cri_pods):
    dns = {"servers": ["192.0.2.1", "192.0.2.2"], "searches": ["a.example", "b.example"], "options": ["ndots:5"]}
    pod = cri_pods.run(hostname="a-pods-name", dns_config=dns)
    container = pod.start("sleep", "1000")
    assert container.output("hostname") == "a-pods-name\n"
    assert container.output("cat", "/etc/hostname") == "a-pods-name\n"
    assert "localhost" in container.output("cat", "/etc/hosts")
    lines = container.output("cat", "/etc/resolv.conf").splitlines()
    assert lines == ["search a.example b.example", "nameserver 192.0.2.1", "nameserver 192.0.2.2", "options ndots:5"]
    pod.end()


def answer(address, port):
    """What a server says, nothing when it cannot be reached."""
    try:
        with socket.create_connection((address, port), timeout=5) as connection:
            return connection.recv(100)
    except OSError:
        return b""


def test_a_pod_answers_at_its_addresses(cri, handler, tmp_path):
    pod = CriPods(cri, f"{handler}-dual", tmp_path).run()
    pod.start("nc", "-ll", "-p", "7000", "-e", "echo", "hello")
    network = pod.status.network
    addresses = [network.ip, *(more.ip for more in network.additional_ips)]
    assert sorted(":" in address for address in addresses) == [False, True]
    for address in addresses:
        assert wait_for(lambda to=address: answer(to, 7000) == b"hello\n", pause=0.2), address
    pod.end()


def test_init_containers_prepare_what_the_others_find(cri_pods, tmp_path):
    volume = [{"container_path": "/data", "host_path": str(tmp_path / "volume")}]
    (tmp_path / "volume").mkdir()
    pod = cri_pods.run()
    for number in range(3):
        first = pod.start("sh", "-c", f"echo {number} >>/data/steps", name=f"init-{number}", mounts=volume)
        assert first.wait_exited().exit_code == 0
    main = pod.start("sleep", "1000", mounts=volume)
    assert main.output("cat", "/data/steps") == "0\n1\n2\n"
    pod.end()


def test_processes_are_a_containers_own(cri_pods):
    pod = cri_pods.run()
    one, two = pod.start("sleep", "1001", name="one"), pod.start("sleep", "1002", name="two")
    assert commands(one) == {1: "sleep 1001"}
    assert commands(two) == {1: "sleep 1002"}
    pod.end()


def test_processes_are_shared_when_that_is_asked(cri_pods):
    pod = cri_pods.run(namespaces={"pid": "POD"})
    one, two = pod.start("sleep", "1001", name="one"), pod.start("sleep", "1002", name="two")
    seen = commands(one)
    assert seen == commands(two)
    assert {"sleep 1001", "sleep 1002"} <= set(seen.values())
    assert 1 in seen and not seen[1].startswith("sleep 100")
    two.output("kill", "-9", *[str(pid) for pid, command in seen.items() if command == "sleep 1001"])
    assert one.wait_exited().exit_code == 137
    assert two.status.state == RUNNING
    pod.end()


def test_orphans_of_a_shared_namespace_are_reaped(cri_pods):
    pod = cri_pods.run(namespaces={"pid": "POD"})
    container = pod.start("sleep", "1000")
    container.output("sh", "-c", "(sleep 0.1 >/dev/null 2>&1 &)")
    assert wait_for(lambda: not {"sleep 0.1", "[sleep]"} & set(commands(container).values()), pause=0.1)
    pod.end()


def test_a_container_joins_the_processes_of_another(cri_pods):
    """As an ephemeral container does it to debug."""
    pod = cri_pods.run()
    target, other = pod.start("sleep", "1001", name="target"), pod.start("sleep", "1002", name="other")
    debug = pod.start("sleep", "1003", name="debug", target=target)
    assert set(commands(debug).values()) == {"sleep 1001", "sleep 1003"}
    assert commands(other) == {1: "sleep 1002"}
    assert debug.output("cat", "/proc/1/root/etc/hostname") == "pod-1\n"
    debug.stop()
    assert target.status.state == RUNNING
    pod.end()


def test_what_sees_the_processes_of_a_container_ends_with_it(cri_pods):
    """Then, as on one machine, the target may be started again, and be joined again."""
    pod = cri_pods.run()
    target = pod.start("sleep", "1001", name="target")
    debug = pod.start("sleep", "1003", name="debug", target=target)
    late = pod.create("sleep", "1004", name="late", target=target)
    target.stop()
    assert debug.wait_exited().exit_code == 137
    with pytest.raises(CriError, match='^[^\n]*invalid target container: container "[0-9a-f]+" is not running[^\n]*$'):
        late.start()
    again = pod.start("sleep", "1005", name="target")
    assert set(commands(pod.start("sleep", "1006", name="debug", target=again)).values()) == {"sleep 1005", "sleep 1006"}
    pod.end()


def test_a_container_comes_back_to_the_processes_of_the_pod(cri_pods):
    pod = cri_pods.run(namespaces={"pid": "POD"})
    one, two = pod.start("sleep", "2001", name="one"), pod.start("sleep", "2002", name="two")
    for number in range(2003, 2006):
        one.stop()
        one = pod.start("sleep", str(number), name="one")
        assert {f"sleep {number}", "sleep 2002"} == {command for command in commands(two).values() if command.startswith("sleep 2")}
    pod.end()


@pytest.mark.parametrize("state", ["none", "created", "running", "exited", "removed", "all"])
def test_a_pod_is_stopped_whatever_its_containers_do(cri_pods, state):
    pod = cri_pods.run()
    made = pod.containers_in(state)
    pod.stop()
    assert pod.status.state == NOTREADY
    if "running" in made:
        assert made["running"].wait_exited().exit_code == 137
    pod.stop()  # as a kubelet does it until the pod is removed
    pod.remove()


def test_a_pod_is_stopped_by_several_calls_at_once(cri_pods):
    pod = cri_pods.run()
    container = pod.start("sleep", "1000")
    for answer in [pod.cri.begin("StopPodSandbox", pod_sandbox_id=pod.id) for _ in range(3)]:
        try:
            answer()
        except CriError as error:  # CNI's: each of them has the plugins remove the same link
            assert error.text.startswith("failed to destroy network"), error
    pod.stop()
    assert pod.status.state == NOTREADY
    assert container.wait_exited().exit_code == 137
    pod.remove()


def test_a_pod_that_is_ready_can_be_removed(cri_pods):
    pod = cri_pods.run()
    pod.start("sleep", "1000")
    pod.remove()
    assert pod.id not in [item.id for item in pod.cri.ListPodSandbox().items]


def test_a_stopped_pod_has_no_machine(cri_pods, cri, handler):
    """So its network can be removed when StopPodSandbox is answered."""
    pod = cri_pods.run()
    pod.start("sleep", "1000")
    below = cri.shim(pod.id) if handler == "runc" else cri.part(pod.id, "qemu-system")
    pod.stop()
    assert handler == "runc" or not alive(below)
    assert cri.task(pod.id) == (None, None)
    pod.remove()


def test_a_killed_sandbox_is_not_ready(cri_pods, cri, handler):
    pod = cri_pods.run()
    container = pod.start("sh", "-c", "trap '' TERM INT HUP; while :; do sleep 1; done")
    cri.kill(pod.id).check()
    assert wait_for(lambda: pod.status.state == NOTREADY)
    if handler == "kata":  # runc's container has its own processes, and lives on
        assert container.wait_exited().exit_code == 137
    pod.end()


HOSTS = {
    "network": "linux.namespaces: the host's network namespace (none is named): not supported",
    "pid": "linux.namespaces: the host's pid namespace (none is named): not supported",
    "ipc": "linux.namespaces: the host's ipc namespace (none is named): not supported",
}


@pytest.mark.parametrize("kind", HOSTS)
def test_a_namespace_of_the_node_is_the_nodes_or_refused(cri_pods, cri, handler, kind):
    more = {"hostname": ""} if kind == "network" else {}  # then it is the node's
    if handler == "kata":
        with pytest.raises(CriError) as failed:
            cri_pods.run(namespaces={kind: "NODE"}, **more)
        assert HOSTS[kind] in failed.value.text and "\n" not in failed.value.text, failed.value
        return
    pod = cri_pods.run(namespaces={kind: "NODE"}, **more)
    container = pod.start("sleep", "1000")
    name = {"network": "net"}.get(kind, kind)
    assert container.output("readlink", f"/proc/self/ns/{name}").strip() == os.readlink(f"/proc/self/ns/{name}")
    pod.end()


def test_three_pods_at_once(cri_pods):
    pods = [cri_pods.run() for _ in range(3)]
    assert len({pod.status.network.ip for pod in pods}) == 3
    containers = [pod.start("sh", "-c", f"echo {number} >/mine; exec sleep 1000") for number, pod in enumerate(pods)]
    for number, container in enumerate(containers):
        assert wait_for(lambda: container.output("cat", "/mine") == f"{number}\n")
        assert container.output("hostname") == f"pod-{number + 1}\n"
    pods[1].end()
    assert [one.exec("true").exit_code for one in (containers[0], containers[2])] == [0, 0]
    pods[0].end()
    pods[2].end()
