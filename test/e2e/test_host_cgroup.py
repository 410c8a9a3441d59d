"""The pod's cgroup on the host: who is in it, what is read there, what is left of it."""

import json
from pathlib import Path

import pytest
from harness import cgroups
from harness.events import Events
from harness.processes import descendants, kill, wait_for

pytestmark = pytest.mark.vm


def directories(path):
    """Of a cgroup, in each hierarchy in which it is."""
    return [folder for folder in (top / path.lstrip("/") for top in cgroups.hierarchies()) if folder.is_dir()]


def hierarchies():
    """Those that have something to control."""
    return [top for top in cgroups.hierarchies() if (top / "tasks").exists() or "memory" in (top / "cgroup.controllers").read_text()]


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


def limit(folder):
    return int((folder / "memory.limit_in_bytes").read_text(encoding="utf-8"))


def in_hierarchy(name, path):
    return next(folder for folder in directories(path) if f"/{name}/" in str(folder))


@pytest.mark.skipif(not Path("/sys/fs/cgroup/memory/tasks").exists(), reason="these files are cgroup v1's")
def test_limits_of_a_container_hold_for_its_machine(containerd, runtime, name):
    """They are above the guest's own, and follow an update."""
    container = name()
    path = f"/{containerd.namespace}/kata_{container}"
    flags = ["--memory-limit", str(256 << 20), "--cpus", "0.5", "--cpu-shares", "512", "--cgroup", f"/{containerd.namespace}/{container}"]
    containerd.run_detached(container, "sleep", "1000", runtime=runtime, flags=flags)
    memory, cpu = in_hierarchy("memory", path), in_hierarchy("cpu", path)
    machine = 2048 + 256
    assert machine << 20 < limit(memory) <= (machine + 2048) << 20
    assert (cpu / "cpu.cfs_quota_us").read_text() == "150000\n"  # one for the guest itself
    assert (cpu / "cpu.shares").read_text() == "512\n"
    containerd.delete(container)


@pytest.mark.skipif(not Path("/sys/fs/cgroup/memory/tasks").exists(), reason="these files are cgroup v1's")
def test_a_machine_that_its_hosts_cgroup_kills_says_so(containerd, runtime, name):
    """By a limit above the pod's own, as a kubelet sets it."""
    container = name()
    parent = f"/{containerd.namespace}-limited"
    cgroups.make(parent.lstrip("/"))
    flags = ["--cgroup", f"{parent}/{container}", "--mount", "type=tmpfs,src=tmpfs,dst=/dev/shm,options=size=700m"]
    running = containerd.run_background(container, "sh", "-c", "echo ready; exec sleep 1000", runtime=runtime, flags=flags)
    assert running.stdout.readline() == b"ready\n"
    top = in_hierarchy("memory", f"{parent}/kata_{container}").parent
    start = containerd.log_size()
    used = int((top / "memory.usage_in_bytes").read_text(encoding="ascii"))
    (top / "memory.limit_in_bytes").write_text(str(used + (64 << 20)), encoding="ascii")
    with Events(containerd) as events:
        containerd.exec(container, "dd", "if=/dev/zero", "of=/dev/shm/x", "bs=1M", "count=600")
        events.wait(container, "/tasks/oom")
        assert events.wait(container, "/tasks/exit")["exit_status"] == 137
    result = containerd.finish(running)
    assert result.rc == 137, str(result)
    containerd.wait_logged(f'the machine was killed: the host.s cgroup ."{top}." is out of memory, limit {limit(top)} bytes', start)
    assert wait_for(lambda: not directories(f"{parent}/kata_{container}"))
    cgroups.remove(parent.lstrip("/"))


def test_overhead_is_in_a_cgroup_of_its_own(containerd, runtime, name, tmp_path):
    """The vCPUs alone are in the pod's."""
    container = name()
    configuration = tmp_path / "configuration.toml"
    configuration.write_text("runtime.sandbox_cgroup_only = false\n")
    flags = ["--runtime-config-path", str(configuration), "--cgroup", f"/{containerd.namespace}/{container}", "--cpus", "1"]
    containerd.run_detached(container, "sleep", "1000", runtime=runtime, flags=flags)
    vcpus = set()
    for task in (task for pid in processes_of(containerd, container) for task in Path(f"/proc/{pid}/task").iterdir()):
        if (task / "comm").read_text().startswith("CPU "):
            vcpus.add(int(task.name))
    assert len(vcpus) == 2
    folder = in_hierarchy("cpu", f"/{containerd.namespace}/kata_{container}")
    assert {int(task) for task in (folder / "tasks").read_text().split()} == vcpus
    [overhead] = [one for one in directories(f"/kata_overhead/{container}") if "/cpu/" in str(one)]
    assert members(overhead) == processes_of(containerd, container)
    containerd.delete(container)
    assert wait_for(lambda: not directories("/kata_overhead") and not directories(f"/{containerd.namespace}/kata_{container}"))


def test_a_pod_whose_cgroup_cannot_be_made_runs_and_a_warning_says_so(containerd, runtime, name):
    start = containerd.log_size()
    flags = ["--cgroup", f"/{containerd.namespace}-long{30 * ('/' + 'n' * 200)}/one", "--memory-limit", str(64 << 20)]
    assert containerd.run(name(), "echo", "runs", runtime=runtime, flags=flags).check().text == "runs\n"
    warnings = [line for line in containerd.log_tail(start, 1 << 20).splitlines() if "cgroup on the host" in line]
    assert len(warnings) == 1 and "cannot make cgroup" in warnings[0], warnings
    assert "level=error" not in containerd.log_tail(start, 1 << 20)
    assert not directories(f"/{containerd.namespace}-long")


def test_a_scope_of_systemd_is_a_directory_where_that_does_not_run(containerd, runtime, name):
    container, start = name(), containerd.log_size()
    assert not Path("/run/systemd/system").exists()
    slices = f"/{containerd.namespace.split('-')[0]}.slice/{containerd.namespace}.slice"
    containerd.run_detached(container, "sleep", "1000", runtime=runtime, flags=["--cgroup", f"{containerd.namespace}.slice:test:{container}"])
    of_pod = processes_of(containerd, container)
    for folder in directories(f"{slices}/test-{container}.scope"):
        assert members(folder) == of_pod
    containerd.wait_logged(f"test-{container}.scope.* is of systemd, which does not run here", start)
    containerd.delete(container)
    assert wait_for(lambda: not directories(slices))
