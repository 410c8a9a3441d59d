"""A guest whose kernel and agent are the attacker's (test/lib/hostile): what of the host it reaches, and what it
costs the host."""

import os
import re
import stat
import time

import pytest
from harness import hostile
from harness.parts import SHARE, altered_prefix, initramfs_with
from harness.processes import descendants
from harness.ttrpc import Status

pytestmark = [pytest.mark.vm, pytest.mark.prefix]

SECRET = "of-the-host-alone"
SHORT = """
timeouts.agent_ms = 10000
timeouts.kill_ms = 3000
"""
SCANNED = 3149
CONNECTS = 10000


@pytest.fixture(scope="session")
def initramfs(prefix, tmp_path_factory):
    folder = tmp_path_factory.mktemp("hostile")
    return initramfs_with(prefix, hostile.build(folder), folder / "initramfs")


@pytest.fixture
def run_guest(make_containerd, prefix, runtime, name, initramfs):
    """run_guest(flags=, parameters=): `ctr run -d` in such a guest: containerd, the container's id, and the result."""
    altered = []

    def run(flags=(), parameters=""):
        configuration = SHORT + f'hypervisor.qemu.kernel_params = "{parameters}"\n'
        altered.append(altered_prefix(prefix, {f"{SHARE}/initramfs": initramfs}, configuration))
        containerd = make_containerd(os.path.join(altered[-1].__enter__(), "bin"))
        container = name()
        flags = ("--runtime", runtime, "-d", *flags)
        return containerd, container, containerd.ctr("run", *flags, "localhost/busybox:latest", container, "true")

    yield run
    for one in altered:
        one.__exit__(None, None, None)


@pytest.fixture
def victim(run_guest, request):
    containerd, container, result = run_guest(getattr(request, "param", ()))
    result.check()
    made = hostile.Victim(containerd, container)
    yield made
    made.close()


def delete_killed(containerd, container):
    """A container whose machine has come to an end."""
    containerd.wait_state(container, "STOPPED")
    deleted = containerd.ctr("tasks", "delete", container)
    assert "exit code 137" in deleted.error, str(deleted)
    containerd.ctr("containers", "delete", container).check()


def test_nobody_of_the_host_answers(victim):
    """Ports, other machines, and ten thousand connections: refused at once, and of no effect."""
    text = victim.attack("scan")
    found = hostile.numbers(text)
    assert (found["tried"], found["refused"]) == (SCANNED, SCANNED), text
    text = victim.attack("cids")
    assert len(text.splitlines()) == 7 and "answered" not in text, text
    assert hostile.numbers(victim.attack("connects", str(CONNECTS))) == {"tried": CONNECTS, "answered": 0}
    assert hostile.numbers(victim.attack("hold", "2000", "0"))["open"] == 0
    victim.settle()
    assert victim.logged() < 100000
    victim.containerd.exec(victim.container, "too-much")  # it announces 4 GiB: whatever comes of the call
    delete_killed(victim.containerd, victim.container)


# Attack, and what its report says; nothing, where the agent itself attacks.
FLOODS = [
    (("serial", "200000"), "serial: 200000 bytes"),  # into the port of the console
    (("console", "100000"), "/dev/kmsg: 1000"),
    (("acpi", "100000"), "acpi: 100000 events"),  # each an event of QEMU's
    (("small",), None),  # answers that nobody asked for
    (("large",), None),  # the same, of 4 MiB each
    (("oom",), None),  # from now on each question for an event is answered at once
    (("connects", "1000"), "answered=0"),
]


def test_floods_cost_the_host_little(victim):
    containerd, container = victim.containerd, victim.container
    for attack, report in FLOODS:
        said = victim.attack(*attack)
        assert report in said if report else not said, f"{attack}: {said}"
    victim.attack("no-oom")
    victim.settle()
    assert victim.logged() < 200000
    victim.attack("statistics")
    with pytest.raises(Status, match="undecodable answer"):  # two million messages in one
        victim.task.Stats(id=container)
    victim.look()
    victim.attack("long-errors")
    refused = containerd.kill(container, "SIGUSR1")
    assert refused.rc != 0 and len(refused.err) < 2000 and len(refused.error.splitlines()) == 1, str(refused)
    assert re.fullmatch(r"[ -~\n]*", refused.error), "what a terminal takes for commands"
    victim.settle()
    unanswered = containerd.exec_background(container, "never-finish")
    for _ in range(20):
        victim.look()
        time.sleep(0.1)
    containerd.kill(container)  # which the agent does not answer: it takes the machine with it
    assert containerd.finish(unanswered).rc != 0
    delete_killed(containerd, container)


def test_a_guest_that_announces_nonsense_does_not_come_up(run_guest):
    containerd, container, result = run_guest(parameters="hostile=hellos,100000")
    assert result.rc == 1 and "the guest has sent 8 invalid announcements" in result.error, str(result)
    assert len(result.error.splitlines()) == 1
    assert containerd.wait_logged("invalid announcement from the guest").count("invalid announcement from the guest") == 1
    containerd.ctr("containers", "delete", container)


@pytest.fixture
def volumes(tmp_path):
    """Two directories of the host, with something beside and above them that the guest is not to see."""
    for volume in ("ro", "rw"):
        (tmp_path / volume).mkdir()
        (tmp_path / volume / "file").write_text("file\n")
    (tmp_path / SECRET).write_text("secret\n")
    return tmp_path


def mounts_of_the_file_server(containerd, container):
    """What virtiofsd sees: mount point -> its options."""
    (server,) = descendants(containerd.part(container, "virtiofsd"))
    with open(f"/proc/{server.pid}/mountinfo", encoding="ascii", errors="replace") as file:
        return {line.split()[4]: set(line.split()[5].split(",")) for line in file}


def test_the_share_gives_what_it_should_and_no_more(run_guest, volumes):
    """A guest that mounts the share by itself, past its agent."""
    flags = [word for volume, option in (("ro", "ro"), ("rw", "rw"))
             for word in ("--mount", f"type=bind,src={volumes / volume},dst=/{volume},options=rbind:{option}")]
    containerd, container, result = run_guest(flags)
    result.check()
    victim = hostile.Victim(containerd, container)
    found = hostile.outcomes(victim.attack("share", container))
    places = sorted({where for where, _ in found})
    assert len(places) == 6, found
    read_only, writable = [place for place in places if place.startswith(".volumes/")]
    for place in ("top", "container", "volumes", read_only):
        made = {what: outcome for (where, what), outcome in found.items() if where == place}
        assert made.pop("capabilities") == "No such file or directory"  # of the file that could not be made
        assert set(made.values()) == {"Read-only file system"} and len(made) == 11, made
    for place in ("rootfs", writable):
        assert found[place, "trusted"] == "Operation not permitted", "an attribute that overlayfs obeys"

    assert sorted(os.listdir(volumes / "ro")) == ["file"]
    # As with runc: who may write to a directory of the host, as root, makes there what root can.
    assert stat.S_ISBLK((volumes / "rw/evil.dev").lstat().st_mode)
    assert stat.S_IMODE((volumes / "rw/evil.suid").stat().st_mode) == 0o6755
    assert os.readlink(volumes / "rw/evil.link") == "/"
    # But nothing of it is a device or a program for the one who serves the guest.
    mounts = mounts_of_the_file_server(containerd, container)
    assert len([point for point in mounts if point.startswith((f"/{container}/", "/.volumes/"))]) == 3, mounts
    for point, options in mounts.items():
        assert point.startswith("/proc") or {"nodev", "nosuid", "noexec"} <= options, (point, options)
    assert "ro" in mounts["/"]

    looked = hostile.numbers(victim.attack("handles", container, SECRET))
    assert looked["found"] == 0 and looked["directories"] > 10, looked
    assert hostile.numbers(victim.attack("handles", container, "evil.suid"))["found"] > 0, "it finds what is there"
    victim.close()
    containerd.delete(container)
    assert (volumes / SECRET).read_text() == "secret\n"
    assert sorted(os.listdir(volumes)) == [SECRET, "ro", "rw"]
