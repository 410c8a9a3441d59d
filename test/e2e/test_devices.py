"""Devices of a container: they are the guest's own, with the path, mode and owner that the spec says."""

import re

import pytest
from harness.disks import Loop

RWM = "rwm"
KIND = "stat -c '%n %F %t:%T %a %u:%g'"


def device(path, kind, major, minor, mode=0o600, owner=(0, 0)):
    return {"path": path, "type": kind, "major": major, "minor": minor, "fileMode": mode, "uid": owner[0], "gid": owner[1]}


def run(containerd, runtime, name, rootfs, script, devices=(), mounts=(), denied=()):
    spec = containerd.spec(rootfs, "sh", "-c", script)
    spec["linux"]["devices"] = list(devices)
    spec["linux"]["resources"]["devices"] += [
        {"allow": True, "type": row["type"], "major": row["major"], "minor": row["minor"], "access": RWM}
        for row in devices if row["path"] not in denied
    ]
    spec["mounts"] += [{"destination": to, "type": "bind", "source": source, "options": ["bind", *options]} for source, to, *options in mounts]
    return containerd.run_spec(name(), spec, runtime=runtime, flags=["--rm"])


def test_each_is_as_the_spec_says_and_opens_by_rule(containerd, runtime, name, rootfs):
    devices = [
        device("/dev/my-fuse", "c", 10, 229, 0o640, (12, 34)), device("/dev/loop-control", "c", 10, 237), device("/dev/loop7", "b", 7, 7, 0o660),
        device("/dev/deep/zero", "c", 1, 5, 0o644), device("/dev/denied", "c", 1, 11),
    ]
    script = f"for d in my-fuse loop-control loop7 deep/zero denied; do {KIND} /dev/$d; (: </dev/$d) 2>&1 && echo opened; done; true"
    lines = run(containerd, runtime, name, rootfs, script, devices, denied=["/dev/denied"]).check().text.splitlines()
    assert lines == [
        "/dev/my-fuse character special file a:e5 640 12:34", "opened", "/dev/loop-control character special file a:ed 600 0:0", "opened",
        "/dev/loop7 block special file 7:7 660 0:0", "opened", "/dev/deep/zero character special file 1:5 644 0:0", "opened",
        "/dev/denied character special file 1:b 600 0:0", "sh: can't open /dev/denied: Operation not permitted",
    ]


def test_one_that_is_bound_covers_what_is_there(containerd, runtime, name, rootfs):
    """As a pod masks a file by /dev/null."""
    mounts = [("/dev/null", "/etc/passwd"), ("/dev/full", "/full"), ("/dev/urandom", "/deep/random", "ro")]
    script = f"""{KIND} /etc/passwd /full /deep/random; cat /etc/passwd; echo text >/full; head -c 4 /deep/random | wc -c
                 rm /full 2>&1; grep -c ' /etc/passwd ' /proc/self/mountinfo"""
    result = run(containerd, runtime, name, rootfs, script, mounts=mounts)
    assert result.text.splitlines() == [
        "/etc/passwd character special file 1:3 666 0:0", "/full character special file 1:7 666 0:0",
        "/deep/random character special file 1:9 666 0:0", "4", "rm: can't remove '/full': Device or resource busy", "1",
    ] and "No space left on device" in result.error, str(result)


@pytest.mark.vm
def test_kvm_is_there_where_the_machines_processor_has_it(containerd, runtime, name, rootfs):
    script = "grep -qE ' (svm|vmx)( |$)' /proc/cpuinfo && (: </dev/kvm) && echo opened"
    result = run(containerd, runtime, name, rootfs, script, [device("/dev/kvm", "c", 10, 232)])
    if result.rc:
        assert 'linux.devices[0] "/dev/kvm": KVM: not supported; the virtual machine\'s CPU has neither vmx nor svm' in result.error, str(result)
    else:
        assert result.text == "opened\n", str(result)


@pytest.mark.vm
def test_of_a_privileged_container_are_those_of_the_host_that_the_machine_has(containerd, name):
    script = "find /dev -type b -o -type c | sort; for d in null fuse kmsg net/tun; do test ! -e /dev/$d || (: </dev/$d) || echo closed $d; done"
    theirs, ours = (containerd.run(name(), "sh", "-c", script, runtime=runtime, flags=["--privileged"]).check().text.split()
                    for runtime in ("io.containerd.runc.v2", "io.containerd.kata.v2"))
    kinds = re.compile("/dev/(null|zero|full|u?random|tty|ptmx|kmsg|net/tun|fuse|kvm|vhost-net|vhost-vsock|loop-control|loop[0-9]+|pts/ptmx)$")
    assert {path for path in theirs if kinds.match(path)} - {"/dev/kvm"} == set(ours) - {"/dev/kvm"}, (theirs, ours)


def test_a_volume_of_a_privileged_container_is_the_hosts_although_its_device_is_a_loop(containerd, runtime, name, rootfs, tmp_path):
    """Only what is listed because the host has it at this path means the guest's own."""
    loop = Loop(tmp_path, "disk", 8)
    try:
        loop.write("of the host")
        spec = containerd.spec(rootfs, "head", "-c", "11", "/dev/xvda")
        spec["linux"]["devices"] = [device("/dev/xvda", "b", 7, int(loop.path.removeprefix("/dev/loop")))]
        spec["linux"]["resources"]["devices"] = [{"allow": True, "access": RWM}]
        assert containerd.run_spec(name(), spec, runtime=runtime, flags=["--rm"]).check().text == "of the host"
    finally:
        loop.detach()


@pytest.mark.vm
def test_huge_pages_are_those_that_the_limits_say(containerd, runtime, name, rootfs):
    """The machine has memory for them, and the guest keeps them for whoever is limited to them."""
    spec = containerd.spec(rootfs, "sh", "-c", """cd /huge && fallocate -l 4M four && grep -E 'HugePages_(Total|Free)' /proc/meminfo
        fallocate -l 12M more 2>&1; grep MemTotal /proc/meminfo""")
    spec["mounts"].append({"destination": "/huge", "type": "hugetlbfs", "source": "huge", "options": ["pagesize=2M"]})
    spec["linux"]["resources"]["hugepageLimits"] = [{"pageSize": "2MB", "limit": 14 << 20}, {"pageSize": "1GB", "limit": 0}]
    total, free, refused, memory = containerd.run_spec(name(), spec, runtime=runtime, flags=["--rm"]).check().text.splitlines()
    assert total.split()[1] == "7" and free.split()[1] == "5", (total, free)
    assert "fallocate" in refused
    assert int(memory.split()[1]) > 2048 << 10, memory
