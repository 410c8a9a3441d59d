"""Containers that attack: one that leaves traps in its root file system for those of the host who look there, and
one with every capability and device, which owns its guest's kernel."""

import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest
from harness import hostile
from harness.events import Events
from harness.image import unpack
from harness.processes import wait_for

SECRET = "of-the-host-alone"
TRAPS = """
cd / && ln -s {outside} link && ln -s ../../../../../../../../../..{outside} up
rm -rf /etc /home && ln -s {outside} /etc && ln -s {outside}/directory /home
mknod /disk b 8 0 && mknod /memory c 1 1 && chmod 666 /disk /memory && mkfifo /fifo
mkdir /place && cd /place && i=0 && while [ $i -lt 100 ]; do mkdir d && cd d; i=$((i + 1)); done
ln -s {outside}/file /volume/link; mknod /volume/disk b 8 0; cp /bin/busybox /volume/shell; chmod 6755 /volume/shell
echo set
"""


@pytest.fixture(scope="session")
def program(tmp_path_factory):
    return hostile.build(tmp_path_factory.mktemp("hostile"))


@pytest.fixture
def outside(tmp_path):
    """A directory of the host that no container has anything to do with."""
    made = tmp_path / "outside"
    (made / "directory").mkdir(parents=True)
    (made / "file").write_text(f"{SECRET}\n")
    (made / "directory/file").write_text(f"{SECRET}\n")
    return made


def state_of(folder):
    """All that there is, and when it was changed."""
    found = {}
    for where, folders, files in os.walk(folder):
        for path in (os.path.join(where, name) for name in [".", *folders, *files]):
            seen = os.lstat(path)
            found[path] = (seen.st_mode, seen.st_uid, seen.st_nlink, seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns)
    return found


def test_traps_in_the_root_file_system_catch_nobody(containerd, runtime, name, program, outside, tmp_path):
    """Links, devices, FIFOs and directories that change places, while the host looks at the snapshot and removes it."""
    container, volume = name(), tmp_path / "volume"
    volume.mkdir()
    flags = ["--mount", f"type=bind,src={program},dst=/hostile,options=rbind:ro",
             "--mount", f"type=bind,src={volume},dst=/volume,options=rbind:rw"]
    before = state_of(outside)
    containerd.run_detached(container, "sleep", "1000", runtime=runtime, flags=flags)
    assert containerd.exec(container, "sh", "-c", TRAPS.format(outside=outside)).check().text == "set\n"
    racing = containerd.exec_background(container, "/hostile", "races", "/racing", str(outside), "1000")
    assert wait_for(lambda: containerd.exec(container, "ls", "/racing/other").rc == 0)
    for _ in range(3):
        assert containerd.exec(container, "true").rc == 0
        containerd.ctr("snapshots", "usage", container)
    # It fails where a file goes while it is read; what it has must not be the host's.
    assert SECRET not in containerd.ctr("snapshots", "diff", container).text
    assert racing.poll() is None, "it races no more"
    containerd.delete(container)
    containerd.finish(racing)
    assert state_of(outside) == before
    # What root in a container makes in a directory of the host is there, with runc as with us.
    assert stat.S_ISBLK((volume / "disk").lstat().st_mode)
    shell = (volume / "shell").stat()
    assert (stat.S_IMODE(shell.st_mode), shell.st_uid) == (0o6755, 0)


CAPABILITIES = """
AUDIT_CONTROL AUDIT_READ AUDIT_WRITE BLOCK_SUSPEND BPF CHECKPOINT_RESTORE CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER
FSETID IPC_LOCK IPC_OWNER KILL LEASE LINUX_IMMUTABLE MAC_ADMIN MAC_OVERRIDE MKNOD NET_ADMIN NET_BIND_SERVICE
NET_BROADCAST NET_RAW PERFMON SETFCAP SETGID SETPCAP SETUID SYSLOG SYS_ADMIN SYS_BOOT SYS_CHROOT SYS_MODULE SYS_NICE
SYS_PACCT SYS_PTRACE SYS_RAWIO SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG WAKE_ALARM
""".split()


@pytest.fixture
def owner(containerd, runtime, name, image, program, tmp_path):
    """A container that may do all that the guest's kernel can."""
    root = tmp_path / "root"
    unpack(image, root)
    shutil.copy(program, root / "hostile")
    spec = containerd.spec(root, "sleep", "1000")
    process = spec["process"]
    process["capabilities"] = dict.fromkeys(process["capabilities"], [f"CAP_{one}" for one in CAPABILITIES])
    process["noNewPrivileges"] = False
    spec["linux"].update(maskedPaths=[], readonlyPaths=[])
    spec["linux"]["resources"]["devices"] = [{"allow": True, "access": "rwm"}]
    container = name()
    containerd.run_spec(container, spec, runtime=runtime, flags=["-d"]).check()
    made = hostile.Victim(containerd, container)
    yield made
    made.close()


def share_of(victim):
    """The pod's share, without what is mounted in it."""
    (one,) = [path for path in Path("/run/kata").glob("*/id")
              if path.read_text(encoding="ascii") == f"{victim.containerd.namespace}/{victim.container}\n"]
    return one.parent / "share"


def flood_output(victim):
    """A process that writes as fast as it can to both of its streams, which nobody reads."""
    writer = victim.containerd.exec_background(victim.container, "sh", "-c", "yes >&2 & exec yes", exec_id="writer")
    for _ in range(20):
        victim.look()
        assert writer.poll() is None
        with pytest.raises(subprocess.TimeoutExpired):
            writer.wait(0.1)
    victim.containerd.kill(victim.container, flags=["--exec-id", "writer"]).check()
    victim.containerd.finish(writer)


@pytest.mark.vm
def test_all_capabilities_are_those_of_the_guest(owner):
    """It scans, floods, mounts the share by its tag, and fills the console; in the end it stops its kernel."""
    containerd, container = owner.containerd, owner.container
    found = hostile.numbers(owner.attack("/hostile", "scan"))
    assert found["tried"] == found["refused"] > 3000, found
    assert hostile.numbers(owner.attack("/hostile", "connects", "2000"))["answered"] == 0
    owner.attack("/hostile", "share", container)  # by its tag Linux finds what it has mounted: the container's own root
    share = share_of(owner)
    assert set(os.listdir(share)) == {container, ".modules"} and os.listdir(share / container) == ["rootfs"]
    owner.attack("sh", "-c", "cd /dev && mknod console c 5 1 && mknod ttyS0 c 4 64 && mknod kmsg c 1 11")
    assert "/dev/ttyS0: 100" in owner.attack("/hostile", "console", "100000")
    assert owner.attack("/hostile", "serial", "50000") == "serial: 50000 bytes\n"
    assert owner.attack("/hostile", "acpi", "20000") == "acpi: 20000 events\n"
    flood_output(owner)
    owner.settle()
    assert owner.logged() < 200000
    assert containerd.exec(container, "echo", "still here").out == b"still here\n"
    with Events(containerd) as events:
        end = containerd.exec_background(container, "sh", "-c", "read line; exec /hostile sysrq c", stdin=subprocess.PIPE, exec_id="end")
        events.wait(container, "/tasks/exec-started", exec_id="end")
    assert containerd.finish(end, stdin=b"\n").rc == 137
    containerd.wait_state(container, "STOPPED")
    assert "exit code 137" in containerd.ctr("tasks", "delete", container).error
    containerd.ctr("containers", "delete", container).check()
