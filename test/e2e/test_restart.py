"""containerd is killed and started again while its containers live on, and dies while they begin or end."""

import os
import time

import pytest
from harness.events import Events
from harness.processes import alive, descendants, kill, wait_for, wait_gone

SOON = 10  # seconds
BOOT = 40


@pytest.fixture
def own(make_containerd, prefix):
    """A containerd that may be killed."""
    return make_containerd(os.path.join(prefix, "bin"))


def test_a_container_lives_on(own, runtime, name):
    container = name()
    own.run_detached(container, "sh", "-c", "echo kept >/tmp/file; exec sleep 1000", runtime=runtime)
    shim = own.shim(container)
    own.die()
    assert alive(shim)
    own.start()
    assert own.task_state(container) == "RUNNING"
    assert own.exec(container, "cat", "/tmp/file").check().text == "kept\n"
    with Events(own) as events:
        own.kill(container).check()
        assert events.wait(container, "/tasks/exit", timeout=SOON)["exit_status"] == 137
        own.wait_state(container, "STOPPED", timeout=SOON)
        own.ctr("tasks", "delete", container).check()
        events.wait(container, "/tasks/delete", timeout=SOON)
    own.ctr("containers", "delete", container).check()


def test_an_exit_meanwhile_is_not_lost(own, runtime, name):
    container = name()
    own.run_detached(container, "sh", "-c", "sleep 1; exit 5", runtime=runtime)
    own.die()
    time.sleep(3)
    own.start()
    own.wait_state(container, "STOPPED", timeout=SOON)
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
    assert wait_gone(shim, SOON)
    own.start()
    assert own.task_state(container) is None
    own.ctr("containers", "delete", container).check()
    assert all(wait_gone(one.pid, SOON) for one in below)


def has_rootfs(shim):
    with open(f"/proc/{shim}/mountinfo", encoding="utf-8") as file:
        return "/rootfs " in file.read()


@pytest.mark.vm
def test_a_pod_whose_create_is_cut_off_ends(own, runtime, name):
    container = name()
    running = own.popen("run", "--runtime", runtime, *own.own_fifos, "localhost/busybox:latest", container, "true")
    assert wait_for(lambda: os.path.exists(f"{own.bundle(container)}/address"), SOON)
    shim = own.shim(container)
    assert wait_for(lambda: has_rootfs(shim), SOON), "no Create has come"
    own.die()
    own.finish(running, timeout=SOON)
    own.start()
    assert wait_gone(shim, SOON + BOOT)
    own.ctr("containers", "delete", container).check()
