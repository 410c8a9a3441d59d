"""OCI hooks that run on the host, as nerdctl, docker and NVIDIA's programs have them."""

import json
import os

import pytest
from harness import KATA
from harness.processes import kill, wait_for


@pytest.fixture
def log(tmp_path):
    """A file to which each hook adds a line: its name and the state that it got."""
    return tmp_path / "log"


def hook(log, name, more="", **fields):
    return {"path": "/bin/sh", "args": ["sh", "-c", f'{{ echo -n "{name} "; cat; echo; }} >>{log}; {more}'], **fields}


def all_hooks(log):
    return {name: [hook(log, name)] for name in ("prestart", "createRuntime", "poststart", "poststop")}


def logged(log):
    """Pairs of a hook's name and its state, of each line that is there as a whole."""
    lines = log.read_text().split("\n")[:-1] if log.exists() else []
    return [(line.split(" ", 1)[0], json.loads(line.split(" ", 1)[1])) for line in lines]


def spec_with(containerd, rootfs, hooks, *command):
    spec = containerd.spec(rootfs, *command)
    spec["hooks"] = hooks
    return spec


def test_they_run_in_order_and_know_the_container(containerd, runtime, rootfs, name, log):
    container = name()
    spec = spec_with(containerd, rootfs, all_hooks(log), "sleep", "1000")
    spec["annotations"] = {"nerdctl/name": "web"}
    containerd.run_spec(container, spec, runtime=runtime, flags=["-d"]).check()
    states = logged(log)
    assert [hook for hook, _ in states] == ["prestart", "createRuntime", "poststart"]
    assert {state["id"] for _, state in states} == {container}
    assert {state["bundle"] for _, state in states} == {containerd.bundle(container)}
    assert [state["status"] for _, state in states][2] == "running"
    assert {state["annotations"]["nerdctl/name"] for _, state in states} == {"web"}
    pids = {state["pid"] for _, state in states}
    assert len(pids) == 1 and os.path.exists(f"/proc/{pids.pop()}/ns/net")
    containerd.delete(container)
    assert [(hook, state["status"]) for hook, state in logged(log)[3:]] == [("poststop", "stopped")]


def test_the_pid_lives_in_the_pods_network_namespace(containerd, runtime, rootfs, name, tmp_path):
    container, seen = name(), tmp_path / "netns"
    script = f"pid=$(sed 's/.*\"pid\": *\\([0-9]*\\).*/\\1/'); readlink /proc/$pid/ns/net >{seen}"
    hooks = {"createRuntime": [{"path": "/bin/sh", "args": ["sh", "-c", script]}]}
    containerd.run_spec(container, spec_with(containerd, rootfs, hooks, "true"), runtime=runtime, flags=["--rm"]).check()
    assert seen.read_text().strip() not in ("", os.readlink("/proc/self/ns/net"))


def test_a_failure_at_create_refuses_the_container(containerd, runtime, rootfs, name, log):
    container = name()
    hooks = {"createRuntime": [hook(log, "createRuntime", "echo no bridge >&2; exit 3")], "poststop": [hook(log, "poststop")]}
    spec = spec_with(containerd, rootfs, hooks, "true")
    result = containerd.run_spec(container, spec, runtime=runtime, flags=["--rm"])
    assert result.rc and "no bridge" in result.error, str(result)
    if runtime == KATA:
        assert 'hooks.createRuntime[0]: hook "/bin/sh" exited with status 3: no bridge' in result.error, str(result)
    assert [hook for hook, _ in logged(log)] == ["createRuntime", "poststop"]


@pytest.mark.vm
def test_they_run_where_the_hosts_mounts_are(containerd, runtime, rootfs, name, tmp_path):
    container, seen = name(), tmp_path / "mounts"
    hooks = {"createRuntime": [{"path": "/bin/sh", "args": ["sh", "-c", f"readlink /proc/self/ns/mnt >{seen}"]}]}
    containerd.run_spec(container, spec_with(containerd, rootfs, hooks, "true"), runtime=runtime, flags=["--rm"]).check()
    assert seen.read_text().strip() == os.readlink(f"/proc/{containerd.pid}/ns/mnt")


@pytest.mark.vm
def test_those_of_a_killed_shim_run_when_it_is_cleaned_up(containerd, runtime, rootfs, name, log):
    container = name()
    spec = spec_with(containerd, rootfs, {"poststop": [hook(log, "poststop")]}, "sleep", "1000")
    containerd.run_spec(container, spec, runtime=runtime, flags=["-d", *containerd.own_fifos]).check()
    kill(containerd.shim(container))
    assert wait_for(lambda: [hook for hook, _ in logged(log)] == ["poststop"]), logged(log)
    assert wait_for(lambda: containerd.task_state(container) is None)
    containerd.ctr("containers", "delete", container).check()
    assert len(logged(log)) == 1


@pytest.mark.vm
def test_those_of_the_container_run_in_it(containerd, runtime, rootfs, name):
    """Where the path is in the container: createContainer before Create is answered, startContainer before its process."""
    script = 'read -r state; echo "$0 $(id -u) $(uname -r) $state" >>/hooks'
    hooks = {kind: [{"path": "/bin/sh", "args": ["sh", "-c", script, kind]}] for kind in ("createContainer", "startContainer")}
    spec = spec_with(containerd, rootfs, hooks, "cat", "/hooks")
    lines = containerd.run_spec(name(), spec, runtime=runtime, flags=["--rm"]).check().text.splitlines()
    assert [line.split()[:2] for line in lines] == [["createContainer", "0"], ["startContainer", "0"]]
    assert all(os.uname().release not in line for line in lines), lines
    assert ['"status":"creating"' in lines[0], '"status":"created"' in lines[1]] == [True, True]


@pytest.mark.vm
def test_a_failure_at_the_start_fails_it(containerd, runtime, rootfs, name):
    container = name()
    hooks = {"startContainer": [{"path": "/bin/sh", "args": ["sh", "-c", "echo not today; exit 4"]}]}
    result = containerd.run_spec(container, spec_with(containerd, rootfs, hooks, "echo", "ran"), runtime=runtime)
    assert result.rc and "ran" not in result.text, str(result)
    assert 'hooks.startContainer[0] "/bin/sh" exited with status 4: not today' in result.error, str(result)
    containerd.ctr("tasks", "delete", "--force", container).check()  # ctr leaves a task that it could not start
    containerd.ctr("containers", "delete", container).check()
