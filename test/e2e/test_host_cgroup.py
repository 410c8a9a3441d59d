"""The pod's cgroup on the host: who is in it, what is read there, what is left of it."""

import json
from pathlib import Path

import pytest
from harness import cgroups
from harness.processes import descendants, kill, wait_for

pytestmark = pytest.mark.vm


def directories(path):
    """Of a cgroup, in each hierarchy in which it is."""
    return [folder for folder in (top / path.lstrip("/") for top in cgroups.hierarchies()) if folder.is_dir()]


def hierarchies():
    """Those that have something to control."""
    return [top for top in cgroups.hierarchies() if (top / "tasks").exists() or (top / "cgroup.controllers").read_text().strip()]


def members(folder):
    return {int(pid) for pid in Path(folder, "cgroup.procs").read_text(encoding="utf-8").split()}


def processes_of(containerd, container):
    shim = containerd.shim(container)
    return {shim, *(one.pid for one in descendants(shim))}


def test_all_of_a_pod_is_in_its_cgroup_and_that_goes(containerd, runtime, name):
    container = name()
    parent = f"/{containerd.namespace}-made/deep"
    containerd.run_detached(container, "sleep", "1000", runtime=runtime, flags=["--cgroup", f"{parent}/{container}"])
    folders = directories(f"{parent}/kata_{container}")
    assert len(folders) == len(hierarchies())
    of_pod = processes_of(containerd, container)
    assert len(of_pod) >= 5  # shim, QEMU, vsock device, virtiofsd, placeholder
    for folder in folders:
        assert members(folder) == of_pod, folder
    containerd.delete(container)
    assert wait_for(lambda: not directories(f"/{containerd.namespace}-made"))


def test_nothing_is_left_of_a_pod_whose_shim_was_killed(containerd, runtime, name):
    """Nor of what is below it, which something on the host has made."""
    container = name()
    flags = [*containerd.own_fifos, "--cgroup", f"/{containerd.namespace}/{container}"]
    running = containerd.run_background(container, "sleep", "1000", runtime=runtime, flags=flags)
    containerd.wait_state(container, "RUNNING")
    folder = directories(f"/{containerd.namespace}/kata_{container}")[0]
    (folder / "nested" / "deeper").mkdir(parents=True)
    kill(containerd.shim(container))
    assert containerd.finish(running).rc != 0
    assert wait_for(lambda: not directories(f"/{containerd.namespace}/kata_{container}"))
    containerd.ctr("containers", "delete", container)  # ctr has done so itself, mostly


@pytest.mark.parametrize("handler", ["kata"])
def test_the_figures_of_the_pause_container_are_those_of_the_host(cri_pods):
    pod = cri_pods.run()
    pod.start("sleep", "1000")
    assert directories(f"{pod.cgroup}/kata_{pod.id}")
    figures = json.loads(pod.containerd.ctr("tasks", "metrics", "--format", "json", pod.id).check().text)
    assert figures["cpu"]["usage"]["total"] > 100_000_000  # a boot takes more
    assert figures["memory"]["usage"]["usage"] > 32 << 20
    assert figures["pids"]["current"] >= 5
    pod.end()
