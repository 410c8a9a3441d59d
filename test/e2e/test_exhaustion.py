"""Something runs out: space, descriptors, memory of the guest, memory of the host. The call that needs it
fails with the cause, what runs goes on, and all works again when there is enough.
"""

import contextlib
import os
import resource
import secrets
import shutil
import subprocess

import pytest
from harness.events import Events
from harness.parts import altered_prefix
from harness.processes import processes, wait_for
from harness.ttrpc import Status

NO_SPACE = "No space left on device"
NO_DESCRIPTORS = "Too many open files"


@contextlib.contextmanager
def small_disk(path, pages):
    """A tmpfs at the folder: a page for each file with content, and an inode."""
    os.makedirs(path, exist_ok=True)
    subprocess.run(["mount", "-n", "-t", "tmpfs", "-o", f"size={pages * 4}k,mode=755", "tmpfs", path], check=True)
    try:
        yield path
    finally:
        subprocess.run(["umount", "-n", "-l", path], check=True)


def fill(path, free=0):
    """Leaves so many free pages."""
    file = os.path.join(path, "filling")
    with open(file, "wb", buffering=0) as out:
        with contextlib.suppress(OSError):
            while True:
                out.write(bytes(4096))
        out.truncate(max(0, out.tell() - 4096 * free))
    return file


@contextlib.contextmanager
def no_more_descriptors(pid):
    """The process may open nothing beyond what it has open: what the last call needed is closed by then."""
    had = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    seen = [None]
    assert wait_for(lambda: seen.append(set(os.listdir(f"/proc/{pid}/fd"))) or seen[-1] == seen[-2], pause=0.5), seen
    used = {int(number) for number in seen[-1]}
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (min(set(range(len(used) + 1)) - used), had[1]))
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            resource.prlimit(pid, resource.RLIMIT_NOFILE, had)


# Space


@pytest.mark.vm
@pytest.mark.parametrize("path", ["/run/kata", "/run"])
def test_a_full_run_directory_fails_the_start_and_nothing_else(containerd, runtime, name, path):
    container = name()
    with small_disk(path, 64) as folder:
        containerd.run_detached(container, "sleep", "1000", runtime=runtime)
        filling = fill(folder)
        failed = containerd.run(name(), "true", runtime=runtime)
        assert failed.rc == 1 and NO_SPACE in failed.error, str(failed)
        assert containerd.exec(container, "echo", "goes on").check().text == "goes on\n"
        containerd.delete(container)
        os.unlink(filling)
        assert containerd.run(name(), "true", runtime=runtime).rc == 0
        assert wait_for(lambda: set(os.listdir("/run/kata")) <= {"lock", "uids"}), os.listdir("/run/kata")


@pytest.mark.vm
def test_bundles_on_a_full_disk_fail_the_start(containerd, runtime, name):
    results, ids = [], []
    with small_disk(os.path.dirname(containerd.bundle("any")), 64) as folder:
        for free in (0, 1, 2, 3, 16):
            ids.append(name())
            filling = fill(folder, free)
            results.append(containerd.run(ids[-1], "true", runtime=runtime))
            os.unlink(filling)
            assert wait_for(lambda: not os.listdir(folder)), os.listdir(folder)
    # containerd gives up after some starts without a word; that shim notices that its bundle has gone.
    assert wait_for(lambda: not any(f" -id {one} " in each.command for each in processes() for one in ids))
    for failed in results[:-1]:  # the first by containerd itself, then by the shim
        assert failed.rc == 1 and NO_SPACE.lower() in failed.error.lower(), str(failed)
    assert any("containerd-shim-kata-v2: cannot write" in failed.error for failed in results)
    assert results[-1].rc == 0, str(results[-1])


def test_a_full_root_file_system_is_the_containers_affair(containerd, runtime, name, spec_file, rootfs, tmp_path):
    with small_disk(str(tmp_path / "disk"), 4096) as disk:
        shutil.copytree(rootfs, os.path.join(disk, "root"), symlinks=True)
        # The host learns of the removal a moment after rm returns (docs/limitations.md).
        again = "for i in $(seq 100); do echo small 2>/dev/null >/file && break; sleep 0.1; done; cat /file"
        script = f"cat /proc/self/oom_score_adj; cat /dev/zero >/filling; echo rc $?; rm /filling; {again}; exit 3"
        spec = spec_file(os.path.join(disk, "root"), "sh", "-c", script)
        spec["process"]["oomScoreAdj"] = 500  # by the way
        result = containerd.run_spec(name(), spec, runtime=runtime, flags=["--rm"])
        assert (result.rc, result.text) == (3, "500\nrc 1\nsmall\n"), str(result)
        assert NO_SPACE in result.error


# Descriptors


@pytest.mark.vm
def test_without_descriptors_an_exec_fails_and_the_shim_goes_on(containerd, runtime, name):
    container = name()
    containerd.run_detached(container, "sleep", "1000", runtime=runtime)
    with no_more_descriptors(containerd.shim(container)):
        failed = containerd.exec(container, "true")
        assert failed.rc == 1 and NO_DESCRIPTORS in failed.error, str(failed)
        assert containerd.task_state(container) == "RUNNING"
    assert containerd.exec(container, "echo", "again").check().text == "again\n"
    with no_more_descriptors(containerd.shim(container)):
        containerd.delete(container)


@pytest.mark.vm
def test_without_descriptors_create_fails_and_the_shim_ends(pods):
    pod = pods.start()
    with no_more_descriptors(pod.pid), pytest.raises(Status) as failed:
        pod.create()
    assert NO_DESCRIPTORS in failed.value.text, failed.value
    pod.wait_gone()


# Memory of the guest


@pytest.mark.vm
@pytest.mark.prefix
def test_a_guest_without_memory_kills_who_took_it(make_containerd, prefix, runtime, name):
    """With no limit of its own the container has all of the machine's memory; the agent lives."""
    container = name()
    with altered_prefix(prefix, {}, "hypervisor.qemu.default_memory = 192") as altered:
        containerd = make_containerd(os.path.join(altered, "bin"))
        containerd.run_detached(container, "sleep", "1000", runtime=runtime)
        with Events(containerd) as events:
            killed = containerd.exec(container, "tail", "/dev/zero", timeout=120)
            assert killed.rc == 137, str(killed)
            events.wait(container, "/tasks/oom")
        assert containerd.exec(container, "echo", "again").check().text == "again\n"
        assert containerd.task_state(container) == "RUNNING"
        containerd.delete(container)


# Memory of the host


@contextlib.contextmanager
def memory_cgroup(pid, limit):
    """A cgroup of the test's own around a process, below that of the test."""
    with open("/proc/self/cgroup", encoding="ascii") as file:
        own = {row[1]: row[2] for row in (line.strip().split(":", 2) for line in file)}
    version1 = "memory" in own
    top = f"/sys/fs/cgroup/memory{own['memory']}" if version1 else "/sys/fs/cgroup"
    folder = os.path.join(top, f"host-oom-{secrets.token_hex(4)}")
    os.mkdir(folder)
    try:
        for file, value in (("memory.limit_in_bytes" if version1 else "memory.max", limit), ("cgroup.procs", pid)):
            with open(os.path.join(folder, file), "w", encoding="ascii") as out:
                out.write(str(value))
        yield
    finally:
        assert wait_for(lambda: not open(os.path.join(folder, "cgroup.procs"), encoding="ascii").read())
        os.rmdir(folder)


@pytest.mark.vm
def test_a_machine_killed_by_the_hosts_oom_killer_is_137(containerd, runtime, name):
    container = name()
    containerd.run_detached(container, "sleep", "1000", runtime=runtime)
    told = containerd.log_size()
    with Events(containerd) as events, memory_cgroup(containerd.part(container, "qemu-system"), 32 << 20):
        eats = containerd.exec(container, "dd", "if=/dev/zero", "of=/dev/shm/x", "bs=1M", "count=60")
        assert eats.rc == 137, str(eats)
        assert events.wait(container, "/tasks/exit", id=container)["exit_status"] == 137
    containerd.wait_logged("QEMU was killed by signal 9", told)
    containerd.ctr("tasks", "delete", container).check()
    containerd.ctr("containers", "delete", container).check()
    assert containerd.run(name(), "true", runtime=runtime).rc == 0
