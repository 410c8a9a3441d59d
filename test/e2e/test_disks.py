"""Disks: block devices and files of the host that a container has as such. What holds under runc, too, is tried there by
TEST_RUNTIME."""

import base64
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from harness.disks import MIB, Loop
from harness.processes import wait_for
from harness.sandbox_pod import SandboxPod


@pytest.fixture
def loop(tmp_path):
    """loop(NAME, MIB, FLAGS...): a loop device; nobody has it open in the end."""
    made = []

    def make(name, mib, *flags):
        made.append(Loop(tmp_path, name, mib, *flags))
        return made[-1]

    yield make
    for one in made:
        one.detach()


def make_ext4(path, folder, text):
    """A file system with one file, "of-the-host"."""
    folder.mkdir()
    (folder / "of-the-host").write_text(text)
    subprocess.run(["mke2fs", "-q", "-t", "ext4", "-d", folder, path], check=True)


def test_a_block_device_is_read_and_written(containerd, runtime, name, loop):
    one = loop("one", 8)
    one.write("of the host\n")
    script = f"""
        head -n 1 {one.path}; echo of the container | dd of={one.path} seek=1 conv=fsync 2>/dev/null
        blockdev --getsize64 {one.path}; stat -c '%F %a %u %g' {one.path}
    """
    shown = containerd.run(name(), "sh", "-c", script, runtime=runtime, flags=["--device", one.path]).check().text
    assert shown.splitlines() == ["of the host", str(8 * MIB), "block special file 600 0 0"]
    assert one.read(17, at=512) == "of the container\n"


class Spec:
    """What a spec says of block devices."""

    def __init__(self):
        self.devices, self.rules, self.mounts = [], [], []

    def number(self, device):
        number = os.stat(device.path).st_rdev
        return {"major": os.major(number), "minor": os.minor(number)}

    def device(self, device, path, access, **more):
        self.devices.append({"path": path, "type": "b", "fileMode": 0o600, "uid": 0, "gid": 0, **self.number(device), **more})
        self.rule(device, access)

    def rule(self, device, access):
        if access:
            self.rules.append({"allow": True, "type": "b", "access": access, **self.number(device)})

    def mount(self, kind, source, target, *options):
        self.mounts.append({"type": kind, "source": str(source), "destination": target, "options": list(options)})

    def __call__(self, spec):
        spec["linux"].setdefault("devices", []).extend(self.devices)
        spec["linux"]["resources"]["devices"].extend(self.rules)
        spec["mounts"].extend(self.mounts)


def expect_all(pod, checks):
    failed = [check for number, check in enumerate(checks) if pod.run_exec(f"e{number}", "sh", "-c", check) != 0]
    assert not failed, failed


def test_a_spec_says_where_they_are_and_who_may_do_what(loop, pods, tmp_path):
    spec, disks = Spec(), [loop(f"disk{number}", 8) for number in range(4)]
    large = loop("large", 8, "--sector-size", "4096")
    system = loop("system", 16)
    make_ext4(system.path, tmp_path / "files", "of the host\n")
    for number, disk in enumerate(disks):
        disk.write(f"disk {number}\n")
    spec.device(disks[0], "/data/any/disk", "rw", fileMode=0o640, uid=12, gid=34)
    spec.device(disks[1], "/dev/reader", "r")
    spec.device(disks[2], "/dev/nobody", "")
    spec.device(large, "/dev/large", "rwm")
    spec.mount("bind", disks[3].path, "/dev/bound", "rbind", "rw")
    spec.rule(disks[3], "rw")
    spec.mount("ext4", system.path, "/system", "rw", "noexec")
    pod = pods.start(change=spec).to_state("running")
    expect_all(pod, [
        "test \"$(stat -c '%F %a %u %g' /data/any/disk)\" = 'block special file 640 12 34'",
        "test \"$(head -n 1 /data/any/disk)\" = 'disk 0'",
        "echo changed | dd of=/data/any/disk conv=fsync 2>/dev/null",
        "test \"$(head -n 1 /dev/reader)\" = 'disk 1'",
        "! (: >>/dev/reader) 2>/dev/null",
        "! (: </dev/nobody) 2>/dev/null",
        "set $(stat -c '%t %T' /dev/nobody); mknod /dev/other b $((0x$1)) $((0x$2)) && ! (: </dev/other) 2>/dev/null",
        "test \"$(blockdev --getss /dev/large)\" = 4096",
        "test \"$(head -n 1 /dev/bound)\" = 'disk 3'",
        "test \"$(cat /system/of-the-host)\" = 'of the host'",
        "grep -q ' /system ext4 rw,.*noexec' /proc/mounts",
        "echo of the container >/system/new && sync",
    ])
    pod.kill()
    pod.task.Delete(id=pod.id)
    pods.end_all()
    assert disks[0].read(8) == "changed\n"
    shown = subprocess.run(["debugfs", "-R", "cat new", system.file], check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert shown.stdout == b"of the container\n"


@pytest.fixture
def direct_volume():
    """direct_volume(PATH, RECORD): as `kata-runtime direct-volume add` leaves one."""
    top, made = Path("/run/kata-containers"), []
    was_there = top.exists()

    def add(path, **record):
        name = base64.urlsafe_b64encode(str(path).encode()).decode()
        made.append(Path(top, "shared/direct-volumes", name, "mountInfo.json"))
        made[-1].parent.mkdir(parents=True)
        made[-1].write_text(json.dumps({"volume-type": "block", "metadata": {}, "options": []} | record))

    yield add
    for record in made:
        record.unlink()
        record.parent.rmdir()
    if not was_there:
        shutil.rmtree(top)


@pytest.mark.vm
def test_a_direct_volume_is_mounted_by_the_guest(containerd, runtime, name, loop, direct_volume, tmp_path):
    system, path = loop("system", 16), tmp_path / "volume"
    make_ext4(system.path, tmp_path / "files", "of the host\n")
    direct_volume(path, device=system.path, fstype="ext4", options=["noatime"], metadata={"fsGroup": "3000"})
    script = "cat /volume/of-the-host; stat -c '%g %a' /volume; grep -o ' /volume ext4 rw,noatime' /proc/mounts; touch /volume/new"
    flags = ("--mount", f"type=bind,src={path},dst=/volume,options=rbind:rw")
    shown = containerd.run(name(), "sh", "-c", script, runtime=runtime, flags=flags).check().text
    assert shown.splitlines() == ["of the host", "3000 2775", " /volume ext4 rw,noatime"]
    direct_volume(f"{path}/other", device=system.path, fstype="ext4", **{"volume-type": "spdkvol"})
    flags = ("--mount", f"type=bind,src={path}/other,dst=/volume,options=rbind:rw")
    refused = containerd.run(name(), "true", runtime=runtime, flags=flags)
    assert refused.rc == 1 and 'volume-type "spdkvol": not supported' in refused.error


@pytest.mark.vm
def test_many_take_as_many_ports_as_are_configured(containerd, runtime, name, tmp_path):
    configuration = tmp_path / "configuration.toml"
    configuration.write_text("[hypervisor.qemu]\npcie_root_port = 32\n")
    flags = ["--runtime-config-path", str(configuration)]
    for number in range(20):
        image = tmp_path / f"image{number}"
        with open(image, "wb") as file:
            file.truncate(MIB)
        subprocess.run(["mke2fs", "-q", "-t", "ext2", image], check=True)
        flags += ["--mount", f"type=ext2,src={image},dst=/disks/{number},options=loop"]
    shown = containerd.run(name(), "sh", "-c", "grep -c ' /disks/.* ext2 ' /proc/mounts", runtime=runtime, flags=flags)
    assert shown.check().text == "20\n"


@pytest.mark.vm
def test_a_pod_shares_them_and_lets_go_of_them(containerd, runtime, name, loop, tmp_path):
    shared, image = loop("shared", 8), tmp_path / "image"
    with open(image, "wb") as file:
        file.truncate(16 * MIB)
    make_ext4(image, tmp_path / "files", "of the host\n")
    pod = SandboxPod(containerd, runtime, name()).start()
    mount = ("--mount", f"type=ext4,src={image},dst=/image,options=loop:ro")
    pods_own = [name(), name()]
    for container in pods_own:
        pod.add(container, "sleep", "1000", flags=["--device", shared.path, *mount])
    containerd.exec(pods_own[0], "sh", "-c", f"echo by one | dd of={shared.path} conv=notrunc 2>/dev/null").check()
    for container in pods_own:
        assert containerd.exec(container, "head", "-n", "1", shared.path).check().text == "by one\n"
        assert containerd.exec(container, "cat", "/image/of-the-host").check().text == "of the host\n"
        refused = containerd.exec(container, "touch", "/image/new")
        assert refused.rc == 1 and "Read-only file system" in refused.error
    numbers = {containerd.exec(container, "stat", "-c", "%t:%T", shared.path).check().text for container in pods_own}
    assert len(numbers) == 1, numbers
    shared.grow(12)

    def sizes():
        return {containerd.exec(one, "blockdev", "--getsize64", shared.path).check().text.strip() for one in pods_own}

    assert wait_for(lambda: sizes() == {str(12 * MIB)}), sizes()
    containerd.delete(pods_own[0])
    assert containerd.exec(pods_own[1], "head", "-n", "1", shared.path).check().text == "by one\n"
    containerd.delete(pods_own[1])
    shared.detach()  # the machine has let go of it
    assert shared.file.read_bytes()[:7] == b"by one\n"
    pod.containers.clear()
    pod.delete()
