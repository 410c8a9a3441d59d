"""Containers of a pod of Kubernetes: restarts, commands in them, logs, limits, statistics."""

import json
import os
import re
import time
from pathlib import Path

import pytest
from harness.cri import DEADLINE, CriError
from harness.cri_pods import EXITED, RUNNING, CriPods
from harness.processes import wait_for

MIB = 1 << 20
CAP = 16 * MIB  # of what ExecSync answers of a stream


def test_an_exited_container_is_started_again_as_another(cri_pods, tmp_path):
    (tmp_path / "volume").mkdir()
    volume = [{"container_path": "/data", "host_path": str(tmp_path / "volume")}]
    pod = cri_pods.run()
    other = pod.start("sleep", "1000", name="other")
    first = pod.start("sh", "-c", "echo first >>/data/runs; touch /mine; exit 3", mounts=volume)
    assert first.wait_exited().exit_code == 3
    second = pod.start("sh", "-c", "echo second >>/data/runs; ls /mine; exec sleep 1000", mounts=volume)
    first.remove()
    assert wait_for(lambda: second.text("stderr") == "ls: /mine: No such file or directory\n")
    assert other.output("hostname") == "pod-1\n"
    assert (tmp_path / "volume/runs").read_text() == "first\nsecond\n"
    pod.end()


REQUESTS = 34  # of the file server for a container, but for what it reads: each waits for two processes


@pytest.mark.parametrize("handler", ["kata"], indirect=True)
def test_a_container_needs_few_requests_of_the_file_server(cri, tmp_path):
    server, requests = tmp_path / "virtiofsd", tmp_path / "requests"
    server.write_text(f'#!/bin/sh\nexec /usr/lib/qemu/virtiofsd -d "$@" >>{requests} 2>&1\n', encoding="ascii")
    server.chmod(0o755)
    Path(cri.dir, "kata.toml").write_text(
        f'[hypervisor.qemu]\nvirtio_fs_daemon = "{server}"\nvirtio_fs_cache = "always"\n', encoding="ascii")

    def count():
        kinds = re.findall(r"opcode: (\w+)", requests.read_text(encoding="ascii", errors="replace"))
        return sum(kind not in ("FORGET", "BATCH_FORGET", "READ", "RELEASE") for kind in kinds)

    pod = CriPods(cri, "kata-config", tmp_path).run()
    pod.start("sleep", "1000", name="sidecar")
    before = count()
    assert pod.start("echo", "runs").wait_exited().exit_code == 0
    assert 0 < count() - before <= REQUESTS
    pod.end()


def test_a_crash_loop(cri_pods):
    pod = cri_pods.run()
    sidecar = pod.start("sleep", "1000", name="sidecar")
    before = None
    for number in range(20):
        container = pod.start("sh", "-c", f"echo {number}; exit {number + 1}")
        assert container.wait_exited().exit_code == number + 1
        assert container.text() == f"{number}\n"
        if before:
            before.remove()
        before = container
    assert sidecar.status.state == RUNNING
    assert sidecar.output("echo", "here") == "here\n"
    pod.end()


def test_a_command_that_is_not_there_is_named_and_the_pod_goes_on(cri_pods):
    pod = cri_pods.run()
    container = pod.create("/no/such/command")
    with pytest.raises(CriError, match="/no/such/command"):
        container.start()
    status = container.status
    assert (status.state, status.reason, status.exit_code) == (EXITED, "StartError", 128)
    container.remove()
    assert pod.start("echo", "next", name="next").wait_exited().exit_code == 0
    pod.end()


def test_a_container_is_stopped_by_its_signal_or_in_time(cri_pods):
    pod = cri_pods.run()
    willing, deaf = (
        pod.start("sh", "-c", f"trap '{trap}' TERM; echo ready; while :; do sleep 0.1; done", name=name)
        for name, trap in (("willing", "exit 5"), ("deaf", ""))
    )
    for container, patience, code in ((willing, 10 * DEADLINE, 5), (deaf, 1, 137)):
        container.wait_text("ready\n")
        container.stop(timeout=patience)  # which has DEADLINE seconds
        assert (container.status.state, container.status.exit_code) == (EXITED, code)
    pod.end()


def test_environment_directory_and_arguments(cri_pods):
    pod = cri_pods.run()
    envs = [{"key": "A_NAME", "value": "a value"}]
    container = pod.start("sh", "-c", 'pwd; echo "$A_NAME" "$0" "$1"', args=["x", "y z"], working_dir="/tmp", envs=envs)
    assert container.wait_exited().exit_code == 0
    assert container.text() == "/tmp\na value x y z\n"
    pod.end()


def test_a_command_in_a_container(cri_pods):
    pod = cri_pods.run()
    container = pod.start("sleep", "1000")
    done = container.exec("sh", "-c", "echo out; echo err >&2; exit 9")
    assert (done.exit_code, done.stdout, done.stderr) == (9, b"out\n", b"err\n")
    with pytest.raises(CriError, match="no-such-command"):
        container.exec("no-such-command")
    assert container.exec("true").exit_code == 0
    pod.end()


def test_a_command_that_takes_too_long_is_killed(cri_pods):
    pod = cri_pods.run()
    container = pod.start("sleep", "1000")
    begin = time.monotonic()
    with pytest.raises(CriError) as failed:
        container.exec("sleep", "500", timeout=1)
    assert failed.value.code == "DEADLINE_EXCEEDED" and "timeout 1s exceeded" in failed.value.text
    assert time.monotonic() - begin >= 1
    assert "sleep 500" not in container.output("ps", "-o", "args")
    pod.end()


def test_large_output_of_a_command_is_whole_up_to_the_cap(cri_pods):
    pod = cri_pods.run()
    container = pod.start("sleep", "1000")
    done = container.exec("sh", "-c", f"head -c {4 * MIB} /dev/zero; head -c {MIB} /dev/zero >&2")
    assert (done.exit_code, len(done.stdout), len(done.stderr)) == (0, 4 * MIB, MIB)
    done = container.exec("sh", "-c", f"head -c {CAP + MIB} /dev/zero; exit 3")
    assert (done.exit_code, len(done.stdout)) == (3, CAP)
    pod.end()


def test_commands_at_once(cri_pods):
    pod = cri_pods.run()
    containers = [pod.start("sleep", "1000", name=f"c{number}") for number in range(2)]
    begun = [
        pod.cri.begin("ExecSync", container_id=containers[number % 2].id, cmd=["sh", "-c", f"sleep 0.3; echo {number}; exit {number}"])
        for number in range(10)
    ]
    for number, answer in enumerate(begun):
        done = answer()
        assert (done.exit_code, done.stdout.decode()) == (number, f"{number}\n")
    pod.end()


def test_lines_of_a_log_are_whole_or_marked_as_partial(cri_pods):
    pod = cri_pods.run()
    script = "echo a line; printf 'no end'; echo error >&2; head -c 20000 /dev/zero | tr '\\0' x; echo; echo; printf last"
    container = pod.start("sh", "-c", script)
    container.wait_exited()
    assert container.text() == "a line\nno end" + "x" * 20000 + "\n\nlast"
    assert container.text("stderr") == "error\n"
    lines = [line for line in container.log() if line.stream == "stdout"]
    assert [line.whole for line in lines if "x" in line.text] == [False, True]
    assert not lines[-1].whole or lines[-1].text == "last"
    pod.end()


def test_a_log_that_was_moved_is_opened_again(cri_pods):
    pod = cri_pods.run()
    container = pod.start("sh", "-c", "echo before; while [ ! -e /go ]; do sleep 0.1; done; echo after; exec sleep 1000")
    container.wait_text("before\n")
    os.rename(container.log_file, f"{container.log_file}.old")
    pod.cri.ReopenContainerLog(container_id=container.id)
    container.output("touch", "/go")
    container.wait_text("after\n")
    assert container.text() == "after\n"
    pod.end()


def test_statistics_of_containers_and_the_pod(cri_pods):
    pod = cri_pods.run()
    busy = pod.start("sh", "-c", "while :; do :; done", name="busy")
    idle = pod.start("sleep", "1000", name="idle")

    def stats(container):
        return pod.cri.ContainerStats(container_id=container.id).stats

    def used(container):
        return stats(container).cpu.usage_core_nano_seconds.value

    assert stats(busy).attributes.id == busy.id
    begin, of_busy, of_idle = time.monotonic(), used(busy), used(idle)
    assert wait_for(lambda: used(busy) - of_busy > 500e6, pause=0.2)
    assert used(busy) - of_busy < 2e9 * (time.monotonic() - begin), "more than a loop can use"
    assert used(idle) - of_idle < 50e6
    assert 0 < stats(idle).memory.working_set_bytes.value < 64 * MIB
    assert wait_for(lambda: [one for one in pod.cri.ListPodSandboxStats().stats if one.attributes.id == pod.id], pause=0.5)
    linux = pod.cri.PodSandboxStats(pod_sandbox_id=pod.id).stats.linux
    assert {one.attributes.id for one in linux.containers} == {busy.id, idle.id}
    assert linux.cpu.usage_core_nano_seconds.value > used(busy) + used(idle)
    assert linux.memory.working_set_bytes.value > sum(stats(one).memory.working_set_bytes.value for one in (busy, idle))
    pod.end()


@pytest.mark.vm
@pytest.mark.parametrize("handler", ["kata"])
def test_figures_of_the_network(cri_pods):
    """What the container has sent and received; lo does not count."""

    def figures(id):
        links = {link["name"]: link for link in json.loads(metrics(id))["network"]}
        assert set(links) == {"eth0"}
        return [links["eth0"].get(key, 0) for key in ("rx_bytes", "tx_bytes", "rx_errors", "tx_errors")]

    def metrics(id):
        return pod.containerd.ctr("tasks", "metrics", "--format", "json", id).check().text

    pod = cri_pods.run()
    container = pod.start("sleep", "1000")
    before = figures(container.id)
    for address in "127.0.0.1", container.output("sh", "-c", "ip route | sed -n 's/^default via \\([^ ]*\\).*/\\1/p'").strip():
        container.exec("ping", "-c", "20", "-i", "0.05", "-s", "1000", address)
    after = figures(container.id)
    for one, other in zip(before[:2], after[:2]):
        assert 20_000 < other - one < 40_000, (before, after)
    assert after[2:] == [0, 0]
    pause = figures(pod.id)
    assert pause[0] >= after[0] and pause[1] >= after[1]
    pod.end()


def test_limits_are_set_and_changed(cri_pods):
    pod = cri_pods.run()
    container = pod.start("sleep", "1000", resources={"memory_limit_in_bytes": 64 * MIB, "cpu_shares": 512})
    limit = "cat /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null || cat /sys/fs/cgroup/memory.max"
    assert int(container.output("sh", "-c", limit)) == 64 * MIB
    pod.cri.UpdateContainerResources(container_id=container.id, linux={"memory_limit_in_bytes": 96 * MIB})
    assert int(container.output("sh", "-c", limit)) == 96 * MIB
    pod.end()


def test_a_container_out_of_memory_says_so(cri_pods):
    pod = cri_pods.run()
    other = pod.start("sleep", "1000", name="other")
    container = pod.start("sh", "-c", "x=x; while :; do x=$x$x; done", resources={"memory_limit_in_bytes": 32 * MIB})
    status = container.wait_exited()
    assert (status.exit_code, status.reason) == (137, "OOMKilled")
    assert other.status.state == RUNNING
    pod.end()


def test_a_privileged_container_mounts(cri_pods):
    pod = cri_pods.run(security={"privileged": True})
    plain = pod.start("sleep", "1000", name="plain")
    assert plain.exec("mount", "-t", "tmpfs", "tmpfs", "/tmp").exit_code != 0
    privileged = pod.start("sleep", "1000", name="privileged", security={"privileged": True})
    assert privileged.exec("mount", "-t", "tmpfs", "tmpfs", "/tmp").exit_code == 0
    assert privileged.exec("sh", "-c", "test -c /dev/kmsg && : </dev/kmsg").exit_code == 0
    assert plain.exec("test", "-e", "/dev/kmsg").exit_code == 1
    pod.end()
