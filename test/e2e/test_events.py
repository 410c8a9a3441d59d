"""The events that containerd publishes for a task: which, in which order, with what inside."""

import os

from harness.events import Events
from harness.processes import alive


def topics(events):
    return [event.topic for event in events]


def test_a_foreground_run_creates_starts_exits_deletes(containerd, runtime, name):
    container = name()
    with Events(containerd) as events:
        assert containerd.run(container, "sh", "-c", "exit 7", runtime=runtime).rc == 7
        events.wait(container, "/tasks/delete")
        seen = events.of(container)
    assert topics(seen) == ["/tasks/create", "/tasks/start", "/tasks/exit", "/tasks/delete"]
    create, start, ended, delete = seen
    assert create["bundle"] == containerd.bundle(container)
    assert create["rootfs"][0]["type"] in ("overlay", "bind")
    assert create["io"]["stdout"].startswith("/run/containerd/fifo/")
    assert create["pid"] > 0
    assert {start["pid"], ended["pid"], delete["pid"]} == {create["pid"]}
    assert (ended["id"], ended["exit_status"], delete["exit_status"]) == (container, 7, 7)
    assert ended["exited_at"] == delete["exited_at"]


def test_an_exec_is_added_started_and_exits(containerd, runtime, name):
    container = name()
    with Events(containerd) as events:
        containerd.run_detached(container, "sleep", "1000", runtime=runtime)
        assert containerd.exec(container, "sh", "-c", "exit 3", exec_id="x").rc == 3
        events.wait(container, "/tasks/exit", id="x")
        containerd.delete(container)
        events.wait(container, "/tasks/delete")
        seen = events.of(container)
    assert topics(seen) == [
        "/tasks/create", "/tasks/start",
        "/tasks/exec-added", "/tasks/exec-started", "/tasks/exit",
        "/tasks/exit", "/tasks/delete",
    ]
    added, started, ended, init_ended = seen[2:6]
    assert (added["exec_id"], started["exec_id"], ended["id"]) == ("x", "x", "x")
    assert started["pid"] == ended["pid"] > 0
    assert ended["exit_status"] == 3
    assert (init_ended["id"], init_ended["exit_status"]) == (container, 137)


def test_a_start_that_fails_ends_in_exit_or_delete_alone(containerd, runtime, name):
    """Create fails as the executable is missing: containerd hears of no start."""
    container = name()
    with Events(containerd) as events:
        assert containerd.run(container, "nosuch", runtime=runtime).rc != 0
        assert containerd.run(f"{container}-after", "true", runtime=runtime).rc == 0
        events.wait(f"{container}-after", "/tasks/delete")
        seen = topics(events.of(container))
    assert "/tasks/start" not in seen and "/tasks/create" not in seen, seen


def test_the_pid_of_an_event_is_alive_on_the_host(containerd, runtime, name):
    container = name()
    with Events(containerd) as events:
        containerd.run_detached(container, "sleep", "1000", runtime=runtime)
        pid = events.wait(container, "/tasks/start")["pid"]
        assert alive(pid)
        containerd.delete(container)
        events.wait(container, "/tasks/delete")


def test_events_of_two_containers_do_not_mix(containerd, runtime, name):
    one, two = name(), name()
    with Events(containerd) as events:
        first = containerd.run_background(one, "sh", "-c", "sleep 1000", runtime=runtime)
        assert containerd.run(two, "sh", "-c", "exit 9", runtime=runtime).rc == 9
        assert events.wait(two, "/tasks/exit")["exit_status"] == 9
        events.wait(two, "/tasks/delete")
        assert "/tasks/exit" not in topics(events.of(one))
        containerd.ctr("tasks", "kill", "-s", "SIGKILL", one).check()
        assert containerd.finish(first).rc == 137
        assert events.wait(one, "/tasks/exit")["exit_status"] == 137


def test_out_of_memory_comes_before_the_exit(containerd, runtime, name):
    """In every container: a kernel that has many kills to tell tells some late."""
    flags = ["--memory-limit", str(64 << 20)]
    with Events(containerd) as events:
        for _ in range(int(os.environ.get("KATA_OOM_CONTAINERS", "6"))):
            container = name()
            killed = containerd.run(container, "tail", "-c", "200m", "/dev/zero", runtime=runtime, flags=flags)
            assert killed.rc == 137, str(killed)
            events.wait(container, "/tasks/delete")
            seen = topics(events.of(container))
            assert seen == ["/tasks/create", "/tasks/start", "/tasks/oom", "/tasks/exit", "/tasks/delete"], container


def test_a_second_out_of_memory_comes_before_the_exit_too(containerd, runtime, name):
    """A child is killed, and at once the init: the shim does not ask again so soon."""
    script = "(tail -c 200m /dev/zero); exec tail -c 200m /dev/zero"
    container = name()
    with Events(containerd) as events:
        killed = containerd.run(container, "sh", "-c", script, runtime=runtime, flags=["--memory-limit", str(64 << 20)])
        assert killed.rc == 137, str(killed)
        events.wait(container, "/tasks/delete")
        seen = topics(events.of(container))
    assert seen[-3:] == ["/tasks/oom", "/tasks/exit", "/tasks/delete"], seen
