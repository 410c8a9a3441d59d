"""containerd is killed and started again while its containers live on, and dies while they begin or end."""

import contextlib
import glob
import os
import subprocess
import time
from pathlib import Path

import pytest
from harness.events import Events
from harness.processes import alive, descendants, kill, wait_for, wait_gone
from harness.stand_in import StandIn
from harness.ttrpc import Task

STOPPED = 3  # of the Task service


@pytest.fixture
def own(make_containerd, prefix):
    """A containerd that may be killed."""
    return make_containerd(os.path.join(prefix, "bin"))


def task_of(own, container):
    """The shim's own service, which is there without containerd."""
    return Task(Path(own.bundle(container), "address").read_text(encoding="ascii"))


def wait_stopped(task, container):
    assert wait_for(lambda: task.State(id=container).status == STOPPED)
    task.close()


def test_a_container_lives_on(own, runtime, name):
    container = name()
    own.run_detached(container, "sh", "-c", "echo kept >/tmp/file; exec sleep 1000", runtime=runtime)
    assert wait_for(lambda: own.exec(container, "cat", "/tmp/file").text == "kept\n")
    shim = own.shim(container)
    own.die()
    assert alive(shim)
    own.start()
    assert own.task_state(container) == "RUNNING"
    assert own.exec(container, "cat", "/tmp/file").check().text == "kept\n"
    with Events(own) as events:
        own.kill(container).check()
        assert events.wait(container, "/tasks/exit")["exit_status"] == 137
        own.wait_state(container, "STOPPED")
        own.ctr("tasks", "delete", container).check()
        events.wait(container, "/tasks/delete")
    own.ctr("containers", "delete", container).check()


@pytest.fixture
def until_told(tmp_path):
    """(flags of a container, a script that waits in it until it is told, how to tell it from the host)."""
    flags = ["--mount", f"type=bind,src={tmp_path},dst=/host,options=rbind:ro"]
    return flags, "until [ -e /host/told ]; do sleep 0.1; done", (tmp_path / "told").touch


def test_an_exit_meanwhile_is_not_lost(own, runtime, name, until_told):
    container = name()
    flags, waits, tell = until_told
    own.run_detached(container, "sh", "-c", f"{waits}; exit 5", runtime=runtime, flags=flags)
    task = task_of(own, container)
    own.die()
    tell()
    wait_stopped(task, container)
    own.start()
    own.wait_state(container, "STOPPED")
    deleted = own.ctr("tasks", "delete", container).check()
    assert "exit with non-zero exit code 5" in deleted.error
    own.ctr("containers", "delete", container).check()


def test_a_shim_killed_meanwhile_is_cleaned_up(own, runtime, name):
    container = name()
    own.run_detached(container, "sleep", "1000", runtime=runtime, flags=own.own_fifos)
    shim = own.shim(container)
    below = descendants(shim)
    own.die()
    kill(shim)
    assert wait_gone(shim)
    own.start()
    assert own.task_state(container) is None
    own.ctr("containers", "delete", container).check()
    assert all(wait_gone(one.pid) for one in below)


def has_rootfs(shim):
    with open(f"/proc/{shim}/mountinfo", encoding="utf-8") as file:
        return "/rootfs " in file.read()


@pytest.mark.vm
def test_a_pod_whose_create_is_cut_off_ends(own, runtime, name):
    container = name()
    running = own.popen("run", "--runtime", runtime, *own.own_fifos, "localhost/busybox:latest", container, "true")
    assert wait_for(lambda: os.path.exists(f"{own.bundle(container)}/address"))
    shim = own.shim(container)
    assert wait_for(lambda: has_rootfs(shim)), "no Create has come"
    own.die()
    own.finish(running)
    own.start()
    assert wait_gone(shim)
    own.ctr("containers", "delete", container).check()


@pytest.mark.vm
def test_events_meanwhile_come_in_order_and_once(own, runtime, name, until_told):
    """They are kept while nobody listens, and told to who listens there next."""
    container = name()
    flags, waits, tell = until_told
    after_exec = "until read pid 2>/dev/null </tmp/end && ! kill -0 $pid 2>/dev/null; do sleep 0.1; done; exit 5"
    own.run_detached(container, "sh", "-c", after_exec, runtime=runtime, flags=flags)
    own.exec_detached(container, "sh", "-c", f"{waits}; echo $$ >/tmp/end; exit 4", exec_id="x")
    shim = own.shim(container)
    task = task_of(own, container)
    own.die()
    tell()
    wait_stopped(task, container)
    with StandIn(own) as stand_in:
        assert wait_for(lambda: len(stand_in.events) >= 2), stand_in.events
        time.sleep(1)
        told = [(topic, event.id, event.exit_status) for topic, event in stand_in.events]
    assert told == [("/tasks/exit", "x", 4), ("/tasks/exit", container, 5)]
    assert alive(shim)
    own.start()
    with Events(own) as events:
        own.wait_state(container, "STOPPED")
        own.ctr("tasks", "delete", container).check()
        events.wait(container, "/tasks/delete")
        assert [event.topic for event in events.of(container)] == ["/tasks/delete"], "told once more"
    own.ctr("containers", "delete", container).check()


def test_stdio_outlives_a_restart(own, runtime, name):
    """The reader goes with the client that had it, and comes back: what was written meanwhile arrives."""
    container = name()
    script = "echo ready; while read line; do echo got $line; done; exit 6"
    running = own.popen("run", "--runtime", runtime, "--rm", "localhost/busybox:latest", container, "sh", "-c", script,
                        stdin=subprocess.PIPE)
    assert running.stdout.readline() == b"ready\n"
    fifos = glob.glob(f"/run/containerd/fifo/*/{container}-*")
    with contextlib.ExitStack() as stack:
        kept = {path.rsplit("-", 1)[1]: stack.enter_context(open(path, "r+b", buffering=0)) for path in fifos}
        own.die()
        own.finish(running)
        own.start()
        assert own.task_state(container) == "RUNNING"
        kept["stdin"].write(b"one\n")
        assert kept["stdout"].readline() == b"got one\n"
    own.delete(container)
    for path in fifos:  # ctr removes them, if it comes to it
        with contextlib.suppress(OSError):
            os.unlink(path)
            os.rmdir(os.path.dirname(path))


def test_an_exec_outlives_a_restart(own, runtime, name):
    container = name()
    own.run_detached(container, "sleep", "1000", runtime=runtime)
    own.exec_detached(container, "sh", "-c", "until [ -e /tmp/end ]; do sleep 0.1; done; echo left >/tmp/left", exec_id="x")
    own.die()
    own.start()
    assert "ExecID:x" in own.ctr("tasks", "ps", container).check().text
    own.exec(container, "touch", "/tmp/end").check()
    assert wait_for(lambda: own.exec(container, "cat", "/tmp/left").text == "left\n", pause=0.3)
    own.delete(container)


@pytest.mark.vm
def test_two_containerds_do_not_meet(make_containerd, image, prefix, runtime, name):
    """One namespace and one id on both: a pod each, and the end of one, or of its containerd, is not the other's."""
    container = name()
    bin_dir = os.path.join(prefix, "bin")
    first = make_containerd(bin_dir)
    second = make_containerd(bin_dir).in_namespace(first.namespace)
    second.import_image(image)
    both = [first, second]
    for each, word in zip(both, ("first", "second")):
        each.run_detached(container, "sh", "-c", f"echo {word} >/tmp/name; exec sleep 1000", runtime=runtime)
    shims = [each.shim(container) for each in both]
    assert len(set(shims)) == 2
    for each, word in zip(both, ("first", "second")):
        assert wait_for(lambda: each.exec(container, "cat", "/tmp/name").text == f"{word}\n"), word
    second.die()
    assert first.exec(container, "cat", "/tmp/name").check().text == "first\n"
    second.start()
    first.delete(container)
    assert wait_gone(shims[0])
    assert alive(shims[1])
    assert second.exec(container, "cat", "/tmp/name").check().text == "second\n"
    second.delete(container)
    assert second.run(container, "true", runtime=runtime).rc == 0
    second.ctr("images", "rm", "localhost/busybox:latest").check()
