"""What each process of a pod may do, as the kernel sees it: users, capabilities, filters, namespaces,
descriptors; and that one pod's user reaches nothing of another's.
"""

import os
import subprocess

import pytest
from harness.files import configurations
from harness.processes import SOON, descendants, process

# What virtiofsd serves files with: CHOWN, DAC_OVERRIDE, FOWNER, FSETID, SETGID, SETUID, MKNOD, SETFCAP.
SERVER_CAPABILITIES = {0, 1, 3, 4, 6, 7, 27, 31}
CAP_DAC_READ_SEARCH = 2  # for file handles: docs/design.md
UNPRIVILEGED = ["qemu-system", "kata-vsock"]


def status(pid):
    """/proc/PID/status: a dictionary of its lines."""
    with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as file:
        rows = (line.split(":", 1) for line in file)
        return {row[0]: row[1].split() for row in rows}


def capabilities(pid, which="CapEff"):
    mask = int(status(pid)[which][0], 16)
    return {bit for bit in range(64) if mask >> bit & 1}


def namespace(pid, kind):
    return os.readlink(f"/proc/{pid}/ns/{kind}")


def descriptors(pid):
    """What the open descriptors are, without the numbers in "socket:[1234]" and the like."""
    found = []
    for number in os.listdir(f"/proc/{pid}/fd"):
        try:
            found.append(os.readlink(f"/proc/{pid}/fd/{number}").split(":[")[0])
        except FileNotFoundError:
            pass
    return found


@pytest.fixture
def pod(containerd, runtime, name):
    container = name()
    containerd.run_detached(container, "sleep", "1000", runtime=runtime)
    yield container
    containerd.delete(container)


@pytest.mark.vm
@pytest.mark.parametrize("part", UNPRIVILEGED)
def test_the_machine_and_its_vsock_have_no_privilege(containerd, pod, part):
    pid = containerd.part(pod, part)
    seen = status(pid)
    assert len(set(seen["Uid"])) == 1 and int(seen["Uid"][0]) >= 2000000000
    assert set(seen["Gid"]) == set(seen["Uid"])
    assert seen["Groups"] == []
    for which in ["CapInh", "CapPrm", "CapEff", "CapAmb"]:
        assert capabilities(pid, which) == set(), which
    assert seen["NoNewPrivs"] == ["1"]
    assert seen["Seccomp"] == ["2"]
    assert namespace(pid, "net") != namespace("self", "net"), "it has a network"


@pytest.mark.vm
def test_all_of_a_machines_threads_are_filtered(containerd, pod):
    pid = containerd.part(pod, "qemu-system")
    for thread in os.listdir(f"/proc/{pid}/task"):
        assert status(f"{pid}/task/{thread}")["Seccomp"] == ["2"]


def expect_server(outer, wanted):
    server = next(one.pid for one in descendants(outer))
    assert capabilities(outer) == set(), "the one who waits needs nothing"
    assert capabilities(server) == wanted
    seen = status(server)
    assert seen["NoNewPrivs"] == ["1"]
    assert seen["Seccomp"] == ["2"]
    for kind in ["mnt", "pid", "net"]:
        assert namespace(server, kind) != namespace("self", kind), kind


@pytest.mark.vm
def test_the_file_server_has_what_it_serves_files_with(containerd, pod):
    expect_server(containerd.part(pod, "virtiofsd"), SERVER_CAPABILITIES)


@pytest.mark.vm
def test_the_file_server_in_rust_opens_by_file_handles_besides(containerd, runtime, name, tmp_path):
    container, config = name(), configurations(tmp_path)["Rust"]
    containerd.run_detached(container, "sleep", "1000", runtime=runtime, flags=["--runtime-config-path", config])
    outer = next(one.pid for one in descendants(containerd.shim(container)) if "--shared-dir" in one.command)
    expect_server(outer, SERVER_CAPABILITIES | {CAP_DAC_READ_SEARCH})
    containerd.delete(container)


@pytest.mark.vm
def test_our_file_server_has_what_it_serves_files_with(containerd, runtime, name, tmp_path):
    container, config = name(), configurations(tmp_path)["ours"]
    containerd.run_detached(container, "sleep", "1000", runtime=runtime, flags=["--runtime-config-path", config])
    server = containerd.part(container, "kata-fs")
    seen = status(server)
    for which in ["CapPrm", "CapEff", "CapBnd"]:
        assert capabilities(server, which) == SERVER_CAPABILITIES, which
    assert seen["NoNewPrivs"] == ["1"]
    assert seen["Seccomp"] == ["2"]
    for kind in ["mnt", "net", "ipc"]:
        assert namespace(server, kind) != namespace("self", kind), kind
    share = os.path.join("/proc", str(server), "root")
    assert "passwd" not in os.listdir(share) and "proc" not in os.listdir(share)
    containerd.delete(container)


@pytest.mark.vm
def test_the_shim_has_a_filter_and_a_mount_namespace(containerd, pod):
    shim = containerd.shim(pod)
    assert status(shim)["Seccomp"] == ["2"]
    assert namespace(shim, "mnt") != namespace("self", "mnt")


@pytest.mark.vm
def test_each_has_the_descriptors_of_its_work_only(containerd, pod):
    qemu = descriptors(containerd.part(pod, "qemu-system"))
    files = [one for one in qemu if one.startswith("/") and not one.startswith("/memfd:guest-memory")]
    assert {os.path.basename(one) for one in files} <= {"null", "kernel", "initramfs", "kvm"}
    vsock = descriptors(containerd.part(pod, "kata-vsock"))
    files = [one for one in vsock if one.startswith("/") and not one.startswith("/memfd:guest-memory")]
    fifos = {f"{pod}-{stream}" for stream in ["stdin", "stdout", "stderr"]}
    assert {os.path.basename(one) for one in files} <= {"null"} | fifos


@pytest.mark.vm
def test_one_pods_user_reaches_nothing_of_another(containerd, runtime, name, pod):
    other = name()
    containerd.run_detached(other, "sleep", "1000", runtime=runtime)
    user = int(status(containerd.part(other, "qemu-system"))["Uid"][0])
    victims = [containerd.part(pod, part) for part in UNPRIVILEGED]
    for victim in victims:
        for entry in ["mem", "fd", "maps", "root"]:
            done = subprocess.run(
                ["/bin/sh", "-c", f"cat /proc/{victim}/{entry} || ls /proc/{victim}/{entry}/"],
                user=user, group=user, extra_groups=[], capture_output=True, text=True, timeout=SOON, check=False,
            )
            assert done.returncode != 0 and done.stdout == "", (entry, done.stdout)
            assert "Permission denied" in done.stderr, (entry, done.stderr)
        done = subprocess.run(["kill", "-0", str(victim)], user=user, group=user, extra_groups=[], timeout=SOON,
                              capture_output=True, check=False)
        assert done.returncode != 0
        assert process(victim) is not None
    containerd.delete(other)


@pytest.mark.vm
def test_memory_of_the_guest_stays_out_of_core_dumps(containerd, pod):
    pids = [containerd.part(pod, part) for part in ["qemu-system", "virtiofsd"]]
    for pid in pids:
        with open(f"/proc/{pid}/coredump_filter", encoding="ascii") as file:
            assert int(file.read(), 16) & 0b1010 == 0, "shared memory would be in it"


@pytest.mark.vm
def test_the_machine_is_as_killable_as_its_container(containerd, runtime, name, rootfs):
    container = name()
    spec = containerd.spec(rootfs, "sleep", "1000")
    spec["process"]["oomScoreAdj"] = 500
    containerd.run_spec(container, spec, runtime=runtime, flags=["-d"]).check()
    placeholder = containerd.part(container, "kata-container")  # as the shim: its end would free nothing
    parts = [one for one in descendants(containerd.shim(container)) if one.pid != placeholder]
    assert len(parts) >= 3
    for part in parts:
        with open(f"/proc/{part.pid}/oom_score_adj", encoding="ascii") as file:
            assert file.read() == "500\n", str(part)
    containerd.delete(container)
