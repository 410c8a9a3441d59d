"""Root file systems that are disks of the machine, as containerd hands them to a runtime that mounts them itself (2.2 and later):
layers of an image, and images that somebody has damaged. A damaged one ends at most its own machine."""

import contextlib
import os
from pathlib import Path

import pytest
from harness.crio import CrioPod
from harness.disk_images import LOOP, damaged, erofs, ext4, layers
from harness.newer import newer_erofs
from harness.processes import alive, wait_for
from harness.ttrpc import Closed, Status

pytestmark = pytest.mark.vm

WALK = ["sh", "-c", "ls -lR / >/dev/null 2>&1; cat /bin/busybox /etc/* >/dev/null 2>&1; echo x >/new; sync; sleep 1000"]
KIB = 1 << 10
# What is damaged: where an image of some MiB has its superblock, its tables, its inodes and directories, and how much.
DAMAGES = [("superblock", KIB, 2 * KIB, 8), ("tables", 4 * KIB, 128 * KIB, 40), ("all of it", 0, 2 << 20, 4000)]


@pytest.fixture
def make_pod(containerd, prefix, rootfs, tmp_path):
    """make_pod(): a pod of several containers, whose root file systems are a test's own."""
    made = []

    def make(config=""):
        folder = tmp_path / f"pod-{len(made)}"
        folder.mkdir()
        path = None
        if config:
            path = folder / "kata.toml"
            path.write_text(config, encoding="ascii")
        made.append(CrioPod(os.path.join(prefix, "bin/containerd-shim-kata-v2"), folder,
                            lambda *command: containerd.spec(rootfs, *command), path).run())
        return made[-1]

    yield make
    for pod in made:
        pod.end()


@pytest.fixture(scope="module")
def images(rootfs, tmp_path_factory):
    """Of the tests' root file system: two layers, and one image."""
    folder = tmp_path_factory.mktemp("images")
    program = newer_erofs(folder)
    upper = folder / "upper"
    upper.mkdir()
    (upper / "of-the-upper-layer").write_text("upper")
    return {"lower": erofs(folder / "lower.erofs", rootfs, program), "upper": erofs(folder / "upper.erofs", upper, program),
            "folder": rootfs, "ext4": ext4(folder / "root.ext4", rootfs)}


def output(container, text):
    assert wait_for(lambda: text in container.read()), container.output
    return container.output.decode()


def test_layers_are_attached_once_a_machine(make_pod, images, tmp_path):
    pod = make_pod()
    show = ["sh", "-c", "cat /of-the-upper-layer; ls /bin/busybox; echo $0 >/mine; cat /mine; ls /sys/block; echo end; sleep 1000"]
    for number in ("1", "2"):
        written = ext4(tmp_path / f"written-{number}", mib=8)
        container = pod.start(f"c{number}", *show, number, rootfs=layers(written, images["upper"], images["lower"]))
        lines = output(container, "end").split()
        assert lines[:2] == ["upper/bin/busybox", number], lines
    disks = [word for word in lines if word.startswith("vd")]
    assert len(disks) == 4, "two layers, and what each container writes to"
    pod.containers["c1"].end()
    assert pod.containers["c2"].exec("sh", "-c", "ls /bin/busybox && test $(ls -d /sys/block/vd* | wc -l) = 3") == 0


def test_the_host_mounts_them_where_the_machine_is_to_have_no_disks(make_pod, images, tmp_path):
    pod = make_pod("[hypervisor.qemu]\ndisable_block_device_use = true\n")
    written = ext4(tmp_path / "written", mib=8)
    container = pod.start("c1", "sh", "-c", "cat /of-the-upper-layer; echo mine >/mine; ls -d /sys/block/vd*; echo end; sleep 1000",
                          rootfs=layers(written, images["upper"], images["lower"]))
    assert "vd" not in output(container, "end").replace("/sys/block/vd*", "")
    assert Path(f"/proc/{container.pid}/root/mine").read_text(encoding="ascii") == "mine\n"
    container.end()
    single = pod.start("c2", "sh", "-c", "ls /bin/busybox; echo end; sleep 1000", rootfs=[("ext4", images["ext4"], LOOP)])
    assert "/bin/busybox" in output(single, "end")


def test_the_host_mounts_those_for_which_the_machine_has_no_room(make_pod, images, tmp_path):
    pod = make_pod()
    for number in range(4):
        written = [ext4(tmp_path / f"written-{number}-{i}", images["folder"], mib=8) for i in range(2)]
        show = ["sh", "-c", "ls /bin/busybox; echo end; sleep 1000"]
        for i, image in enumerate(written):
            output(pod.start(f"c{number}-{i}", *show, rootfs=[("ext4", image, LOOP)]), "end")
    in_guest = [name for name, one in pod.containers.items()
                if name != pod.id and not os.listdir(f"/proc/{one.pid}/root")]
    assert 4 <= len(in_guest) < 8, in_guest


def try_image(pod, name, rootfs):
    """A container of it, as far as it comes: what Create or Start says, or that the machine has ended."""
    try:
        container = pod.start(name, *WALK, rootfs=rootfs)
    except Status as status:
        assert "\n" not in status.text and status.text, status
        del pod.containers[name]
        return str(status)
    except Closed:
        return "the machine has ended"
    with contextlib.suppress(Status):  # it may have ended by itself
        container.exec("true")
    container.end()
    return "ran"


@pytest.mark.parametrize("kind", ["ext4", "erofs"])
def test_a_damaged_image_harms_nobody_else(make_pod, images, tmp_path, kind):
    witness, pod = make_pod(), make_pod()
    outcomes = {}
    for seed, (what, first, last, flips) in enumerate(DAMAGES):
        image = damaged(images["ext4" if kind == "ext4" else "lower"], tmp_path / f"damaged-{seed}", seed, first, last, flips)
        written = ext4(tmp_path / f"written-{seed}", mib=8)
        rootfs = [("ext4", image, LOOP)] if kind == "ext4" else layers(written, image)
        outcomes[what] = try_image(pod, f"c{seed}", rootfs)
        if not alive(pod.containers[pod.id].shim_pid):
            pod = make_pod()
    print(outcomes)
    assert witness.start("after", "sleep", "1000").exec("true") == 0
