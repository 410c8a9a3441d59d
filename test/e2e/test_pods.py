"""Two containers at once: each has its own everything."""

import pytest
from harness.processes import wait_for


def wait_mine(containerd, container, word):
    """Its first process, which writes this, may still be about to do so when Start has been answered."""
    assert wait_for(lambda: containerd.exec(container, "cat", "/mine").text == f"{word}\n"), container


def test_two_run_side_by_side(containerd, runtime, name):
    one, two = name(), name()
    containerd.run_detached(one, "sh", "-c", "echo one >/mine; exec sleep 1000", runtime=runtime)
    containerd.run_detached(two, "sh", "-c", "echo two >/mine; exec sleep 1000", runtime=runtime)
    for container, word in ((one, "one"), (two, "two")):
        wait_mine(containerd, container, word)

        def processes(where=container):
            return containerd.exec(where, "ps", "-o", "args").check().text.splitlines()

        assert wait_for(lambda: processes() == ["COMMAND", "sleep 1000", "ps -o args"]), processes()
    assert containerd.shim(one) != containerd.shim(two)
    containerd.delete(one)
    assert containerd.exec(two, "cat", "/mine").check().text == "two\n"
    containerd.delete(two)


def test_four_start_at_once(containerd, runtime, name):
    running = [
        containerd.popen("run", "--rm", "--runtime", runtime, "localhost/busybox:latest", name(), "echo", str(number))
        for number in range(4)
    ]
    for number, one in enumerate(running):
        result = containerd.finish(one)
        assert (result.rc, result.text) == (0, f"{number}\n"), str(result)


def test_one_id_in_two_namespaces(containerd, runtime, name, image):
    """State is told apart by more than the id."""
    container = name()
    other = containerd.in_namespace(f"{containerd.namespace}-other")
    other.import_image(image)
    containerd.run_detached(container, "sh", "-c", "echo one >/mine; exec sleep 1000", runtime=runtime)
    other.run_detached(container, "sh", "-c", "echo two >/mine; exec sleep 1000", runtime=runtime)
    wait_mine(containerd, container, "one")
    wait_mine(other, container, "two")
    containerd.delete(container)
    assert other.exec(container, "cat", "/mine").check().text == "two\n"
    other.delete(container)
    other.ctr("images", "rm", "localhost/busybox:latest").check()


@pytest.mark.vm
def test_each_has_a_machine_of_its_own(containerd, runtime, name):
    containers = [name(), name()]
    boots = set()
    for container in containers:
        containerd.run_detached(container, "sleep", "1000", runtime=runtime)
        boots.add(containerd.exec(container, "cat", "/proc/sys/kernel/random/boot_id").check().text)
    assert len(boots) == 2
    assert len({containerd.part(container, "qemu-system") for container in containers}) == 2
    uids = set()
    for container in containers:
        with open(f"/proc/{containerd.part(container, 'qemu-system')}/status", encoding="ascii") as file:
            uids.add(next(line.split()[1] for line in file if line.startswith("Uid:")))
    assert len(uids) == 2 and "0" not in uids
    for container in containers:
        containerd.delete(container)
