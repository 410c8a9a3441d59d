"""Pods of Kubernetes that are sandboxes of containerd's Sandbox API."""

import os

import pytest
from harness.cri import CriError
from harness.cri_pods import NOTREADY, READY, RUNNING
from harness.processes import alive, kill, wait_for, wait_gone

DNS = {"servers": ["192.0.2.1", "192.0.2.2"], "searches": ["a.example", "b.example"], "options": ["ndots:5"]}
RESOLV_CONF = ["search a.example b.example", "nameserver 192.0.2.1", "nameserver 192.0.2.2", "options ndots:5"]


@pytest.fixture(scope="session", params=["forky"])
def cri_suite(request):
    return request.param


@pytest.fixture
def handler():
    return "kata-sandbox"


def test_hosts_hostname_and_resolver_are_the_pods(cri_pods):
    pod = cri_pods.run(hostname="a-pods-name", dns_config=DNS)
    container = pod.start("sleep", "1000")
    assert container.output("hostname") == "a-pods-name\n"
    assert container.output("cat", "/etc/hostname") == "a-pods-name\n"
    with open("/etc/hosts", encoding="utf-8") as file:
        assert container.output("cat", "/etc/hosts") == file.read()
    assert container.output("cat", "/etc/resolv.conf").splitlines() == RESOLV_CONF
    pod.end()


def test_a_file_that_the_client_brings_counts(cri_pods, tmp_path):
    (tmp_path / "hosts").write_text("192.0.2.7 seven\n")
    pod = cri_pods.run(dns_config=DNS)
    container = pod.start("sleep", "1000", mounts=[{"container_path": "/etc/hosts", "host_path": str(tmp_path / "hosts")}])
    assert container.output("cat", "/etc/hosts") == "192.0.2.7 seven\n"
    container.output("sh", "-c", "echo 192.0.2.8 eight >>/etc/hosts")
    assert (tmp_path / "hosts").read_text() == "192.0.2.7 seven\n192.0.2.8 eight\n"
    pod.end()


def test_files_are_read_only_as_the_root_is(cri_pods):
    pod = cri_pods.run(dns_config=DNS)
    closed, opened = pod.start("sleep", "1000", name="closed", security={"readonly_rootfs": True}), pod.start("sleep", "1000", name="opened")
    for path in ("/etc/hosts", "/etc/hostname", "/etc/resolv.conf"):
        assert closed.exec("sh", "-c", f"echo >>{path}").exit_code != 0, path
        opened.output("sh", "-c", f"echo '# here' >>{path}")
        assert wait_for(lambda at=path: closed.output("tail", "-n", "1", at) == "# here\n", pause=0.2), path
    pod.end()


def test_what_the_pod_has_is_shared(cri_pods):
    pod = cri_pods.run(linux={"sysctls": {"net.core.somaxconn": "512", "kernel.shm_rmid_forced": "1"}})
    one, two = pod.start("sleep", "1000", name="one"), pod.start("sleep", "1000", name="two")
    assert one.output("cat", "/proc/sys/net/core/somaxconn", "/proc/sys/kernel/shm_rmid_forced") == "512\n1\n"
    assert one.output("df", "-m", "/dev/shm").split()[-5] == "64"
    one.output("sh", "-c", "echo text >/dev/shm/file")
    assert two.output("cat", "/dev/shm/file") == "text\n"
    for name in ("ipc", "uts", "net"):
        assert one.output("readlink", f"/proc/self/ns/{name}") == two.output("readlink", f"/proc/self/ns/{name}")
    assert one.output("readlink", "/proc/1/ns/pid") != two.output("readlink", "/proc/1/ns/pid")
    pod.end()


def test_a_container_joins_the_processes_of_another(cri_pods):
    pod = cri_pods.run()
    target = pod.start("sleep", "1001", name="target")
    debug = pod.start("sleep", "1002", name="debug", target=target)
    assert {"sleep 1001", "sleep 1002"} <= set(debug.output("ps", "-o", "args").splitlines())
    pod.end()


@pytest.mark.parametrize("kind", ["pid", "ipc"])  # for the node's network containerd 2.1 itself crashes, whatever the runtime
def test_a_namespace_of_the_node_is_refused(cri_pods, kind):
    with pytest.raises(CriError) as failed:
        cri_pods.run(namespaces={kind: "NODE"})
    assert f"linux.namespaces: the host's {kind} namespace (none is named): not supported" in failed.value.text
    assert "\n" not in failed.value.text, failed.value


@pytest.mark.parametrize("state", ["none", "created", "running", "exited", "removed", "all"])
def test_a_pod_is_stopped_whatever_its_containers_do(cri_pods, cri, state):
    pod = cri_pods.run()
    made = pod.containers_in(state)
    machine = cri.part(pod.id, "qemu-system")
    pod.stop()
    assert not alive(machine)
    assert pod.status.state == NOTREADY
    if "running" in made:
        assert made["running"].wait_exited().exit_code == 137
    pod.stop()  # as a kubelet does it until the pod is removed
    pod.remove()


def test_a_pod_that_is_ready_can_be_removed(cri_pods):
    pod = cri_pods.run()
    pod.start("sleep", "1000")
    pod.remove()
    assert pod.id not in [item.id for item in pod.cri.ListPodSandbox().items]


def test_ten_pods_one_after_another_leave_nothing(cri_pods):
    for number in range(10):
        pod = cri_pods.run()
        assert pod.start("sh", "-c", f"exit {number}").wait_exited().exit_code == number
        pod.end()


@pytest.mark.parametrize("part", ["qemu-system", "kata-pod"])
def test_a_pod_whose_part_is_killed_is_not_ready(cri_pods, cri, part):
    pod = cri_pods.run()
    container = pod.start("sleep", "1000")
    pid = cri.part(pod.id, part)
    kill(pid)
    assert wait_gone(pid)
    assert wait_for(lambda: pod.status.state == NOTREADY)
    assert container.wait_exited().exit_code == 137
    pod.end()


def is_not_ready(pod):
    """A containerd that has just lost the connection may know no status."""
    try:
        return pod.status.state == NOTREADY
    except CriError:
        return False


def test_a_pod_whose_shim_is_killed_is_not_ready(cri_pods, cri):
    pod = cri_pods.run()
    container = pod.start("sleep", "1000")
    pid = cri.shim(pod.id)
    kill(pid)
    assert wait_gone(pid)
    assert wait_for(lambda: is_not_ready(pod))
    assert container.wait_exited().exit_code in (137, 255)  # of `delete`, or of a Wait that was cut off
    pod.end()


def test_why_it_ended_is_told(cri_pods, cri):
    pod = cri_pods.run()
    kill(cri.part(pod.id, "qemu-system"))
    assert wait_for(lambda: pod.status.state == NOTREADY)
    assert "QEMU was killed by signal 9" in cri.cri.PodSandboxStatus(pod_sandbox_id=pod.id, verbose=True).info["cause"]
    pod.end()


def test_it_is_found_again_when_containerd_is_started_again(cri_pods, cri):
    pod, stopped, dead = cri_pods.run(), cri_pods.run(), cri_pods.run()
    stopped.stop()
    container = pod.start("sleep", "1000")
    exiting = pod.start("sh", "-c", "sleep 1; exit 6", name="exiting")
    shim = cri.shim(dead.id)
    cri.die()
    kill(shim)
    assert wait_gone(shim)
    cri.start()
    assert (pod.status.state, container.status.state) == (READY, RUNNING)
    assert [one.status.state for one in (stopped, dead)] == [NOTREADY, NOTREADY]
    assert exiting.wait_exited().exit_code == 6
    assert pod.start("true", name="more").wait_exited().exit_code == 0
    kill(cri.part(pod.id, "qemu-system"))  # it is waited for again
    assert wait_for(lambda: pod.status.state == NOTREADY)
    assert container.wait_exited().exit_code == 137
    for one in (pod, stopped, dead):
        one.end()


def test_the_pods_user_is_told_what_fails(cri_pods):
    with pytest.raises(CriError) as failed:
        cri_pods.run(linux={"sysctls": {"vm.swappiness": "1"}})
    assert 'invalid sysctls "vm.swappiness": not in a namespace of the pod' in failed.value.text
    assert "console" not in failed.value.text and "\n" not in failed.value.text, failed.value


def test_its_files_are_below_containerds(cri_pods, cri):
    pod = cri_pods.run()
    assert sorted(os.listdir(os.path.join(cri.bundle(pod.id), "work"))) == ["hostname", "hosts", "resolv.conf"]
    pod.end()
