"""How big the machine of a pod of Kubernetes is: the limits of its containers, or its sandbox's own."""

import os
import re
from pathlib import Path

import pytest
from harness.cri import CriError
from harness.processes import memory, wait_for

MIB = 1 << 20
RESIZES = int(os.environ.get("KATA_RESIZES", "2"))
DEFAULT = 2048  # MiB: default_memory
OWN = 200  # MiB that the guest's kernel keeps for itself, at most

pytestmark = [pytest.mark.vm, pytest.mark.parametrize("handler", ["kata"])]

# It keeps the processor busy, and memory that the guest has to move when it gives some back.
LOAD = "while :; do dd if=/dev/zero of=/dev/shm/load bs=1M count=40 2>/dev/null; rm /dev/shm/load; done"


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


def vcpus_outside(machine):
    """QEMU's threads that run vCPUs."""
    names = [Path(task, "comm").read_text(encoding="ascii") for task in Path(f"/proc/{machine}/task").iterdir()]
    return len([name for name in names if name.startswith("CPU ")])


def memory_outside(cri, start):
    """MiB that the guest has, as QEMU has told the shim last."""
    said = re.findall(r"the machine (?:has|grows from .* to) (\d+)(?: vCPUs)? and (\d+)", cri.log_tail(start, limit=1 << 30))
    return int(said[-1][1])


def test_updates_resize_the_machine_both_ways(cri_pods, cri):
    """KATA_RESIZES times, under load: the numbers inside and outside are the same."""
    start = cri.log_size()
    pod = cri_pods.run()
    container = pod.start("sh", "-c", LOAD, resources=limits(256))
    machine = cri.part(pod.id, "qemu-system")
    kept = memory_of(container)
    for _ in range(RESIZES):
        for mib, cpus in ((1280, 1), (256, None)):
            unlimited = {"cpu_period": 100000, "cpu_quota": -1}
            pod.cri.UpdateContainerResources(container_id=container.id, linux=limits(mib, cpus) | ({} if cpus else unlimited))
            assert int(container.output("cat", "/sys/fs/cgroup/memory.max")) == mib * MIB
            assert container.output("cat", "/sys/fs/cgroup/cpu.max").split()[0] == ("100000" if cpus else "max")
            assert abs(memory_of(container) - kept - (mib - 256)) <= 16
            assert cpus_of(container) == min(2 if cpus else 1, os.cpu_count())
            assert vcpus_outside(machine) == min(2, os.cpu_count())  # without KVM QEMU keeps them
            assert wait_for(lambda size=DEFAULT + mib: memory_outside(cri, start) == size), cri.log_tail(start)
    for resources, text in ((limits(64 << 20), "memory.limit of 67108864 MiB: the machine can have"),
                            (limits(256, 500), f"cpu.quota of 500 CPUs: the machine can have {os.cpu_count()}")):
        with pytest.raises(CriError, match=text):
            pod.cri.UpdateContainerResources(container_id=container.id, linux=resources)
    assert int(container.output("cat", "/sys/fs/cgroup/memory.max")) == 256 * MIB
    assert abs(memory_of(container) - kept) <= 16
    pod.end()


def on_the_host(machine):
    """kB: QEMU's own, and what there is of the guest's memory."""
    files = (path for path in Path(f"/proc/{machine}/fd").iterdir() if "memfd:guest-memory" in os.readlink(path))
    guest = {(file.stat().st_ino, file.stat().st_blocks) for file in files}
    return memory(machine)["Pss_Anon"] + sum(blocks for _, blocks in guest) // 2


@pytest.mark.parametrize("place", ["memory", "cache"])
def test_memory_that_is_freed_goes_back_to_the_host(cri_pods, cri, place):
    """A GB that a process has touched, and page cache of a file that is gone: within 100 MB and 30 s."""
    pod = cri_pods.run(security={"privileged": True})
    container = pod.start("sleep", "1000", security={"privileged": True})
    machine = cri.part(pod.id, "qemu-system")
    container.output("sh", "-c", "mount -t tmpfs -o size=1100M tmpfs /tmp")
    before = on_the_host(machine)
    file = "/tmp/file" if place == "memory" else "/file"
    container.output("dd", "if=/dev/zero", f"of={file}", "bs=1M", "count=1000")
    assert on_the_host(machine) > before + (700 << 10)
    container.output("rm", file)
    assert wait_for(lambda: on_the_host(machine) < before + (100 << 10), 30, pause=0.5), (before, on_the_host(machine))
    pod.end()
