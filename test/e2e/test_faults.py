"""kill -9 of each process of a running container, as the host's administrator or its OOM killer do it.

Whatever dies, the exit is reported as 137, containerd can delete what there was, and nothing is left: that
is looked at after every test by the containerd fixture.
"""

import os
import signal

import pytest
from harness.events import Events
from harness.processes import alive, descendants, kill, wait_for, wait_gone

PARTS = ["qemu-system", "virtiofsd", "kata-vsock"]


@pytest.fixture(autouse=True)
def noticed_by_events(containerd):
    begun = containerd.log_size()
    yield
    assert not containerd.deadlines_met(begun)


def pod_processes(containerd, container):
    shim = containerd.shim(container)
    return [shim, *(one.pid for one in descendants(shim))]


def assert_gone(pids):
    assert all(wait_gone(pid) for pid in pids), [pid for pid in pids if alive(pid)]


@pytest.mark.vm
@pytest.mark.parametrize("part", PARTS)
def test_a_foreground_run_ends_with_137(containerd, runtime, name, part):
    container = name()
    running = containerd.run_background(container, "sh", "-c", "echo before; exec sleep 1000", runtime=runtime)
    assert running.stdout.readline() == b"before\n"
    pids = pod_processes(containerd, container)
    kill(containerd.part(container, part))
    result = containerd.finish(running)
    assert result.rc == 137, str(result)
    assert_gone(pids)
    assert containerd.task_state(container) is None


@pytest.mark.vm
@pytest.mark.parametrize("part", PARTS)
def test_a_detached_task_and_its_container_can_be_deleted(containerd, runtime, name, part):
    container = name()
    containerd.run_detached(container, "sleep", "1000", runtime=runtime)
    pids = pod_processes(containerd, container)
    with Events(containerd) as events:
        kill(containerd.part(container, part))
        ended = events.wait(container, "/tasks/exit")
        assert (ended["id"], ended["exit_status"]) == (container, 137)
        containerd.wait_state(container, "STOPPED")
        deleted = containerd.ctr("tasks", "delete", container).check()
        assert "exit with non-zero exit code 137" in deleted.error
        assert events.wait(container, "/tasks/delete")["exit_status"] == 137
    containerd.ctr("containers", "delete", container).check()
    assert_gone(pids)


@pytest.mark.vm
@pytest.mark.parametrize("part", PARTS)
def test_an_exec_ends_with_137_too(containerd, runtime, name, part):
    container = name()
    containerd.run_detached(container, "sleep", "1000", runtime=runtime)
    running = containerd.exec_background(container, "sh", "-c", "echo ready; exec sleep 1000", exec_id="x")
    assert running.stdout.readline() == b"ready\n"
    with Events(containerd) as events:
        kill(containerd.part(container, part))
        assert containerd.finish(running).rc == 137
        for ended in ("x", container):
            events.wait(container, "/tasks/exit", id=ended, exit_status=137)
        order = [event["id"] for event in events.of(container) if event.topic == "/tasks/exit"]
        assert sorted(order) == sorted(["x", container]), "each exit is told once"
    containerd.ctr("tasks", "delete", container).check()
    containerd.ctr("containers", "delete", container).check()


@pytest.mark.vm
@pytest.mark.parametrize("part", PARTS)
def test_calls_after_the_death_are_answered(containerd, runtime, name, part):
    container = name()
    containerd.run_detached(container, "sleep", "1000", runtime=runtime)
    kill(containerd.part(container, part))
    containerd.wait_state(container, "STOPPED")
    executed = containerd.exec(container, "true")
    assert executed.rc == 1 and "cannot exec in a stopped state" in executed.error, str(executed)
    killed = containerd.kill(container)
    assert killed.error == "ctr: process already finished: not found\n"
    containerd.ctr("tasks", "delete", container).check()
    containerd.ctr("containers", "delete", container).check()


def test_a_killed_shim_of_a_detached_task_leaves_nothing(containerd, runtime, name):
    container = name()
    containerd.run_detached(container, "sleep", "1000", runtime=runtime, flags=containerd.own_fifos)
    shim = containerd.shim(container)
    below = [one.pid for one in descendants(shim)]
    with Events(containerd) as events:
        kill(shim)
        ended = events.wait(container, "/tasks/exit")
        assert (ended["id"], ended["exit_status"]) == (container, 137)
        events.wait(container, "/tasks/delete")
    assert wait_for(lambda: containerd.task_state(container) is None)
    containerd.ctr("containers", "delete", container).check()
    assert_gone([shim, *below])


def test_a_killed_shim_ends_a_foreground_run(containerd, runtime, name):
    container = name()
    running = containerd.run_background(container, "sleep", "1000", runtime=runtime, flags=containerd.own_fifos)
    with Events(containerd) as events:
        kill(containerd.shim(container))
        result = containerd.finish(running)
        assert result.rc == 1 and "ttrpc: closed" in result.error, str(result)
        assert events.wait(container, "/tasks/exit")["exit_status"] == 137
        events.wait(container, "/tasks/delete")
    assert containerd.task_state(container) is None
    containerd.ctr("containers", "delete", container)  # ctr has done so itself, mostly


def test_a_killed_shim_frees_its_id(containerd, runtime, name):
    container = name()
    containerd.run_detached(container, "sleep", "1000", runtime=runtime, flags=containerd.own_fifos)
    kill(containerd.shim(container))
    assert wait_for(lambda: containerd.task_state(container) is None)
    containerd.ctr("containers", "delete", container).check()
    # containerd forgets the task a moment after it stops showing it.
    assert wait_for(lambda: containerd.run(container, "true", runtime=runtime).rc == 0, pause=0.5)


@pytest.mark.vm  # runc's shim ignores it, once it is up
def test_an_asked_shim_ends_its_pod(containerd, runtime, name):
    """SIGTERM, as a service manager sends it to all processes of a cgroup."""
    container = name()
    containerd.run_detached(container, "sleep", "1000", runtime=runtime, flags=containerd.own_fifos)
    shim = containerd.shim(container)
    os.kill(shim, signal.SIGTERM)
    assert wait_gone(shim)
    assert wait_for(lambda: containerd.task_state(container) is None)
    containerd.ctr("containers", "delete", container).check()


@pytest.mark.vm
def test_a_machine_that_quits_in_good_order_was_killed_all_the_same(containerd, runtime, name):
    container = name()
    containerd.run_detached(container, "sleep", "1000", runtime=runtime, flags=containerd.own_fifos)
    qemu = containerd.part(container, "qemu-system")
    with Events(containerd) as events:
        os.kill(qemu, signal.SIGTERM)
        assert events.wait(container, "/tasks/exit")["exit_status"] == 137
    containerd.ctr("tasks", "delete", container).check()
    containerd.ctr("containers", "delete", container).check()
