"""How big the machine of a pod of Kubernetes is: the limits of its containers, or its sandbox's own."""

import os

import pytest

MIB = 1 << 20
DEFAULT = 2048  # MiB: default_memory
OWN = 200  # MiB that the guest's kernel keeps for itself, at most

pytestmark = [pytest.mark.vm, pytest.mark.parametrize("handler", ["kata"])]


def memory_of(container):
    """The machine's, in MiB, as the container sees it."""
    return int(container.output("awk", "/^MemTotal/ { print $2 }", "/proc/meminfo")) >> 10


def cpus_of(container):
    return int(container.output("nproc"))


def assert_has(container, mib):
    memory = memory_of(container)
    assert mib - OWN < memory <= mib, memory


def limits(mib, cpus=None):
    quota = {"cpu_period": 100000, "cpu_quota": int(cpus * 100000)} if cpus else {}
    return {"memory_limit_in_bytes": mib * MIB} | quota


def test_each_container_adds_its_limits_once(cri_pods):
    pod = cri_pods.run()
    first = pod.start("sleep", "1000", name="first")
    assert_has(first, DEFAULT)
    assert cpus_of(first) == 1
    second = pod.start("sleep", "1000", name="second", resources=limits(512, 1))
    assert_has(first, DEFAULT + 512)
    assert cpus_of(first) == min(2, os.cpu_count())
    assert int(second.output("cat", "/sys/fs/cgroup/memory.max")) == 512 * MIB
    for _ in range(3):
        assert pod.start("true", name="again", resources=limits(256)).wait_exited().exit_code == 0
        assert_has(first, DEFAULT + 768)
    pod.end()


def test_memory_that_has_come_can_be_used(cri_pods):
    """More than the machine had before, and more than virtio-mem adds while the guest brings nothing online."""
    pod = cri_pods.run(security={"privileged": True})
    container = pod.start("sleep", "1000", resources=limits(3072), security={"privileged": True})
    assert_has(container, DEFAULT + 3072)
    fill = "mount -t tmpfs -o size=90% tmpfs /tmp && dd if=/dev/zero of=/tmp/big bs=1M count=300 2>&1 && stat -c %s /tmp/big"
    done = container.exec("sh", "-c", fill)
    assert done.exit_code == 0 and done.stdout.decode().endswith(f"{300 * MIB}\n"), done
    pod.end()


def test_an_update_grows_the_machine(cri_pods):
    pod = cri_pods.run()
    container = pod.start("sleep", "1000", resources=limits(256))
    assert_has(container, DEFAULT + 256)
    pod.cri.UpdateContainerResources(container_id=container.id, linux=limits(1024, 1))
    assert int(container.output("cat", "/sys/fs/cgroup/memory.max")) == 1024 * MIB
    assert_has(container, DEFAULT + 1024)
    assert cpus_of(container) == min(2, os.cpu_count())
    pod.end()


def test_a_sandbox_that_names_its_size_has_it_from_the_start(cri_pods):
    pod = cri_pods.run(linux={"resources": limits(1024, 1)})
    first = pod.start("sleep", "1000", name="first")
    assert_has(first, DEFAULT + 1024)
    assert cpus_of(first) == min(2, os.cpu_count())
    pod.start("sleep", "1000", name="second", resources=limits(512, 0.5))
    pod.start("sleep", "1000", name="third", resources=limits(512, 0.5))
    assert_has(first, DEFAULT + 1024)
    pod.end()


def test_a_limit_beyond_the_host_is_a_limit_and_no_more(cri_pods):
    pod = cri_pods.run()
    container = pod.start("sleep", "1000", resources=limits(64 << 20))
    assert_has(container, DEFAULT)
    pod.end()
