"""Waits whose callers have gone. ttrpc cannot cancel a call, so each stays with the shim until the process ends:
they must not use up the room for other calls on containerd's one connection."""

import os
import signal

import pytest
from harness.processes import wait_for
from harness.ttrpc import Task

ATTACHES = int(os.environ.get("KATA_ABANDONED_ATTACHES", "200"))
AT_ONCE = 20
WAITS = 5000


def holds_a_fifo(pid):
    """`ctr task attach` opens the streams, and then asks for the exit."""
    try:
        return any("/run/containerd/fifo/" in os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd"))
    except FileNotFoundError:
        return False


def test_attaches_that_were_killed_leave_kill_and_delete_working(containerd, runtime, name):
    container = name()
    containerd.run_detached(container, "sleep", "1000", runtime=runtime)
    for first in range(0, ATTACHES, AT_ONCE):
        attaches = [containerd.popen("task", "attach", container) for _ in range(min(AT_ONCE, ATTACHES - first))]
        for attach in attaches:
            assert wait_for(lambda pid=attach.pid: holds_a_fifo(pid))
        for attach in attaches:
            attach.send_signal(signal.SIGKILL)
        for attach in attaches:
            attach.communicate()
    assert containerd.task_state(container) == "RUNNING"
    containerd.kill(container).check()
    containerd.wait_state(container, "STOPPED")
    containerd.ctr("tasks", "delete", container).check()
    containerd.ctr("containers", "delete", container).check()


@pytest.mark.vm
def test_five_thousand_waits_on_one_connection_leave_kill_and_delete_working(pods):
    pod = pods.container("running")
    task = Task(pod.address)
    waits = [task.begin("Wait", id=pod.id) for _ in range(WAITS)]
    assert task.State(id=pod.id).status == pod.task.State(id=pod.id).status
    task.Kill(id=pod.id, signal=signal.SIGKILL)
    assert {wait().exit_status for wait in waits} == {137}
    assert task.Delete(id=pod.id).exit_status == 137
    task.close()
