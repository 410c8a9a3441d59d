"""CRI-O's runtime type "vm": no CRI-O is in Debian, so a client of the tests does as it does."""

import os

import pytest
from harness.crio import CrioPod
from harness.networks import Bridge, ip, look
from harness.processes import wait_for
from harness.ttrpc import Status

pytestmark = pytest.mark.vm


@pytest.fixture
def crio_pod(containerd, prefix, rootfs, tmp_path):
    """crio_pod(config): a pod, whose infra container does not run yet. containerd is there for specs, and to see leftovers."""
    def make(config=None):
        return CrioPod(os.path.join(prefix, "bin/containerd-shim-kata-v2"), tmp_path,
                       lambda *command: containerd.spec(rootfs, *command), config)

    return make


def test_a_pod_from_its_start_to_its_end(crio_pod):
    pod = crio_pod().run()
    one = pod.start("one", "sh", "-c", "echo hello >/dev/shm/file; exec sleep 1000")
    two = pod.start("two", "sh", "-c", "until [ -s /dev/shm/file ]; do sleep 0.1; done; cat /dev/shm/file; exit 3")
    assert one.shim_pid == two.shim_pid == pod.containers[pod.id].shim_pid
    assert len({one.pid, two.pid, pod.containers[pod.id].pid}) == 3
    assert two.wait().exit_status == 3
    assert wait_for(lambda: two.read() == "hello\n"), two.output
    assert one.is_alive() and not two.is_alive()
    assert one.exec("sh", "-c", "exit 5") == 5
    two.end()
    again = pod.start("again", "true")
    assert again.wait().exit_status == 0
    pod.end()
    assert one.is_gone()


def test_its_network_goes_while_it_runs(crio_pod):
    before = look()
    bridge = Bridge("kata-crio")
    space = bridge.add()
    pod = crio_pod()
    ip("netns", "del", pod.id)
    os.symlink(space.path, f"/run/netns/{pod.id}")
    pod.run()
    one = pod.start("one", "sleep", "1000")
    assert one.exec("sh", "-c", f"ip addr show eth0 | grep -q {space.address}") == 0
    pod.network_goes()
    assert wait_for(lambda: one.exec("sh", "-c", "ip link show eth0") != 0)
    pod.end()
    bridge.close()
    assert wait_for(lambda: look() == before)


def test_options_come_with_create_alone(crio_pod, tmp_path):
    config = tmp_path / "configuration.toml"
    config.write_text("[hypervisor.qemu]\ndefault_vcpus = 2\n")
    pod = crio_pod(config).run()
    one = pod.start("one", "nproc")
    one.wait()
    assert wait_for(lambda: one.read() == "2\n"), one.output
    pod.end()


def test_a_configuration_that_is_not_there_fails_create(crio_pod):
    pod = crio_pod("/nosuch/configuration.toml")
    with pytest.raises(Status, match="/nosuch/configuration.toml"):
        pod.run()
    pod.close()
