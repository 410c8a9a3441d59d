"""A part of a running pod says nothing and does nothing any more, as a hung guest: SIGSTOP.

Each call ends at its deadline, SIGKILL and Delete end the pod all the same, and a part that comes to again
goes on as if nothing had been.
"""

import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest
from harness.events import Events
from harness.parts import altered_prefix
from harness.processes import SOON, descendants, kill, process, wait_for, wait_gone
from harness.ttrpc import Task

# Short, as each test waits for some of them; a call to a guest that is not silent takes a twentieth of it.
SHORT = """
timeouts.agent_ms = 4000
timeouts.agent_stop_ms = 1000
timeouts.kill_ms = 4000
timeouts.stdio_open_ms = 4000
timeouts.vmm_stop_ms = 500
"""
ANSWERS = 10  # in the three seconds that a shim gives a process that was killed


@pytest.fixture
def short(make_containerd, prefix):
    with altered_prefix(prefix, {}, SHORT) as altered:
        yield make_containerd(os.path.join(altered, "bin"))


def silence(containerd, container, part):
    """Stops it; virtiofsd is two processes."""
    pids = [one.pid for one in descendants(containerd.shim(container)) if f"/{part}" in one.command.split(" ")[0]]
    assert pids, part
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    return pids[0]


def ends_all(containerd, container, status, pids):
    """Deletes task and container; nothing of the pod is left, and the next one works."""
    deleted = containerd.ctr("tasks", "delete", container).check()
    assert f"exit with non-zero exit code {status}" in deleted.error
    containerd.ctr("containers", "delete", container).check()
    assert all(wait_gone(pid) for pid in pids)


def pod_processes(containerd, container):
    shim = containerd.shim(container)
    return [shim, *(one.pid for one in descendants(shim))]


@pytest.mark.vm
@pytest.mark.prefix
def test_calls_to_a_silent_guest_meet_their_deadline(short, runtime, name):
    container = name()
    short.run_detached(container, "sleep", "1000", runtime=runtime)
    pids = pod_processes(short, container)
    busy = short.exec_background(container, "sh", "-c", "echo ready; read line; echo $line; exit 4", stdin=subprocess.PIPE, exec_id="busy")
    assert busy.stdout.readline() == b"ready\n"
    machine = silence(short, container, "qemu-system")

    told = short.log_size()
    metrics = short.popen("tasks", "metrics", container)  # it only says that there are none: containerd's log says why
    paused = short.popen("tasks", "pause", container)
    signalled = short.popen("tasks", "kill", "-s", "SIGTERM", container)
    executed = short.exec_background(container, "sleep", "1234")
    assert short.finish(metrics).rc == 1
    short.wait_logged("StatsContainer: no answer within 4000 ms", told)
    for call, text in (
        (paused, "PauseContainer: no answer within 4000 ms"),
        (signalled, "SignalProcess: no answer within 4000 ms"),
        (executed, "did not take a stream on its vsock port 1027 within 4000 ms"),
    ):
        result = short.finish(call)
        assert result.rc == 1 and text in result.error, str(result)
    assert short.task_state(container) == "RUNNING"

    os.kill(machine, signal.SIGCONT)
    assert short.exec(container, "echo", "again").check().text == "again\n"
    assert "1234" not in short.exec(container, "ps").check().text
    assert short.finish(busy, stdin=b"awake\n").rc == 4

    with Events(short) as events:
        silence(short, container, "qemu-system")
        short.ctr("tasks", "kill", "-s", "SIGKILL", container).check()
        assert events.wait(container, "/tasks/exit")["exit_status"] == 137
    ends_all(short, container, 137, pids)
    assert short.run(name(), "true", runtime=runtime).rc == 0


def echo(running, line):
    running.stdin.write(line)
    running.stdin.flush()
    return running.stdout.readline()


def kill_running(short, container, running, pids):
    """SIGKILL ends a foreground run, and the pod with it."""
    short.ctr("tasks", "kill", "-s", "SIGKILL", container).check()
    assert short.finish(running).rc == 137
    assert all(wait_gone(pid) for pid in pids)


@pytest.mark.vm
@pytest.mark.prefix
def test_a_process_that_waits_for_a_silent_file_server_can_be_killed(short, runtime, name):
    container = name()
    script = "true </etc/passwd; read line; echo $line; read line; echo $line; true </no/such/file; sleep 1000"
    running = short.run_background(container, "sh", "-c", script, runtime=runtime, stdin=subprocess.PIPE)
    pids = pod_processes(short, container)
    assert echo(running, b"one\n") == b"one\n", "now its code is in the guest's memory"
    silence(short, container, "virtiofsd")
    told = short.log_size()
    assert echo(running, b"two\n") == b"two\n"
    kill_running(short, container, running, pids)
    short.wait_logged("was killed and has not ended within 4000 ms", told)  # the guest's kernel could not kill it


SANDBOX_STEP = re.compile(r"boot done .* create-the-sandbox=")


def silence_file_server_after_hello(containerd, shim, begun):
    """Whether CreateSandbox was still to come: it comes some 30 ms later. The machine stands still meanwhile."""
    assert wait_for(lambda: "agent serves" in containerd.log_tail(begun), pause=0.0005)
    machine = [one.pid for one in descendants(shim) if "-nodefaults" in one.command]
    servers = [one.pid for one in descendants(shim) if "/virtiofsd" in one.command.split(" ")[0]]
    assert machine and servers
    for pid in machine + servers:
        os.kill(pid, signal.SIGSTOP)
    early = not SANDBOX_STEP.search(containerd.log_tail(begun))
    for pid in machine if early else machine + servers:
        os.kill(pid, signal.SIGCONT)
    return servers if early else []


def run_with_silent_file_server(containerd, runtime, container):
    """`ctr run` on its way, and the file servers that are stopped since the hello; none: it was too late for that."""
    begun = containerd.log_size()
    running = containerd.popen("run", "--rm", "--runtime", runtime, "localhost/busybox:latest", container, "echo", "served")
    assert wait_for(lambda: os.path.exists(f"{containerd.bundle(container)}/shim.pid"))
    servers = silence_file_server_after_hello(containerd, containerd.shim(container), begun)
    if not servers:
        containerd.finish(running).check()
    return running, servers


@pytest.mark.vm
@pytest.mark.prefix
def test_the_mount_of_the_share_waits_for_no_file_server(make_containerd, prefix, runtime, name):
    with altered_prefix(prefix, {}, "agent.kata.enable_debug = true") as altered:
        short = make_containerd(os.path.join(altered, "bin"))
        servers, tries = [], 0
        while not servers and tries < 20:
            begun, tries = short.log_size(), tries + 1
            running, servers = run_with_silent_file_server(short, runtime, name())
        assert servers, "CreateSandbox was always faster"
        short.wait_logged(SANDBOX_STEP, begun)
        time.sleep(0.5)
        assert all(process(pid).state == "T" for pid in servers) and running.poll() is None
        for pid in servers:
            os.kill(pid, signal.SIGCONT)
        assert short.finish(running).check().text == "served\n"


def uninterruptible(pid):
    """Whether a thread of it sleeps so. The process itself looks like a zombie once it is killed."""
    try:
        threads = [Path(f"/proc/{pid}/task/{thread}/stat").read_text() for thread in os.listdir(f"/proc/{pid}/task")]
    except (FileNotFoundError, ProcessLookupError):  # it goes
        return False
    return any(stat.rpartition(")")[2].split()[0] == "D" for stat in threads)


def stuck_of(pids):
    return [pid for pid in pids if uninterruptible(pid)]


def answers_until(containerd, task, container, text):
    """How many calls the shim answers until it has logged the text."""
    count, begun = 0, time.monotonic()
    while text not in containerd.log_tail():
        assert time.monotonic() < begun + SOON, f"{count} answers, but no {text!r}"
        task.State(id=container)
        count += 1
    task.close()
    return count


@pytest.mark.vm
@pytest.mark.prefix
def test_a_file_server_that_cannot_be_killed_blocks_no_call(short, runtime, name, stuck_fs):
    container = name()
    directory, server = stuck_fs
    mount = ["--mount", f"type=bind,src={directory},dst=/stuck,options=rbind:rw"]
    short.run_detached(container, "sleep", "1000", runtime=runtime, flags=mount)
    pids = pod_processes(short, container)
    file_servers = [pid for pid in pids if "/virtiofsd" in process(pid).command.split(" ")[0]]
    machine = short.part(container, "qemu-system")
    task = Task(Path(short.bundle(container), "address").read_text(encoding="ascii"))
    caller = short.exec_background(container, "cat", "/stuck/hang")
    assert server.stdout.readline() == b"hanging\n"
    short.ctr("tasks", "kill", "-s", "SIGKILL", container).check()

    assert wait_gone(machine)
    assert answers_until(short, task, container, "virtiofsd did not end within 3000 ms of SIGKILL") > ANSWERS
    assert short.task_state(container) == "STOPPED"
    assert short.finish(caller).rc == 137
    # virtiofsd sleeps until the file system answers; another may do so for a moment, as for the disk.
    assert wait_for(lambda: len(stuck_of(pids)) == 1), stuck_of(pids)
    deleted = short.ctr("tasks", "delete", container).check()
    assert "exit with non-zero exit code 137" in deleted.error
    short.ctr("containers", "delete", container).check()
    assert all(wait_gone(pid) for pid in pids if pid not in file_servers)
    server.kill()
    assert all(wait_gone(pid) for pid in pids)
    assert wait_for(lambda: not stuck_of(pids))


@pytest.mark.vm
@pytest.mark.prefix
def test_a_pod_with_a_silent_vsock_device_can_be_killed(short, runtime, name):
    container = name()
    running = short.run_background(container, "sh", "-c", "echo before; exec sleep 1000", runtime=runtime)
    assert running.stdout.readline() == b"before\n"
    pids = pod_processes(short, container)
    silence(short, container, "kata-vsock")
    executed = short.exec_background(container, "true")
    kill_running(short, container, running, pids)
    assert short.finish(executed).rc == 1


@pytest.mark.vm
@pytest.mark.prefix
def test_a_vsock_device_that_does_not_answer_is_dead_and_its_pod_with_it(short, runtime, name):
    container = name()
    running = short.run_background(container, "sh", "-c", "echo before; exec sleep 1000", runtime=runtime)
    assert running.stdout.readline() == b"before\n"
    pids = pod_processes(short, container)
    told = short.log_size()
    silence(short, container, "kata-vsock")
    executed = short.exec(container, "true")
    assert executed.rc == 1 and "did not take a stream" in executed.error, str(executed)
    assert short.finish(running).rc == 137
    short.wait_logged("the vsock device has not answered within 4000 ms", told)
    assert all(wait_gone(pid) for pid in pids)


@pytest.mark.vm
@pytest.mark.prefix
def test_a_guest_silent_at_delete_is_deleted(short, runtime, name):
    container = name()
    short.run_detached(container, "sh", "-c", "exit 5", runtime=runtime)
    pids = pod_processes(short, container)
    short.wait_state(container, "STOPPED")
    silence(short, container, "qemu-system")
    ends_all(short, container, 5, pids)


@pytest.mark.vm
@pytest.mark.prefix
def test_a_guest_silent_while_it_boots_meets_a_deadline(make_containerd, prefix, runtime, name):
    with altered_prefix(prefix, {}, SHORT + "agent.kata.dial_timeout = 3") as altered:
        boot_in_silence(make_containerd(os.path.join(altered, "bin")), runtime, name())


def boot_in_silence(short, runtime, container):
    running = short.popen("run", "--rm", "--runtime", runtime, "localhost/busybox:latest", container, "true")
    assert wait_for(lambda: os.path.exists(f"{short.bundle(container)}/shim.pid"))
    shim = short.shim(container)
    assert wait_for(lambda: [one for one in descendants(shim) if "-nodefaults" in one.command])
    pids = pod_processes(short, container)
    silence(short, container, "qemu-system")
    result = short.finish(running)
    assert result.rc == 1 and "agent" in result.error and "3000 ms" in result.error, str(result)
    assert all(wait_gone(pid) for pid in pids)


@pytest.mark.vm
def test_a_shim_killed_beside_silent_parts_takes_them_along(containerd, runtime, name):
    """A signal that a stopped process would see only later does not do."""
    container = name()
    containerd.run_detached(container, "sleep", "1000", runtime=runtime, flags=containerd.own_fifos)
    pids = pod_processes(containerd, container)
    for part in ("qemu-system", "virtiofsd", "kata-vsock"):
        silence(containerd, container, part)
    with Events(containerd) as events:
        kill(containerd.shim(container))
        assert events.wait(container, "/tasks/exit")["exit_status"] == 137
        events.wait(container, "/tasks/delete")
    assert all(wait_gone(pid) for pid in pids)
    assert wait_for(lambda: containerd.task_state(container) is None)
    containerd.ctr("containers", "delete", container).check()
