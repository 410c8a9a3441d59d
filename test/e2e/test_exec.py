"""`ctr task exec` in a running container."""

import hashlib
import os

import pytest


@pytest.fixture
def container(containerd, runtime, name):
    """A container that sleeps."""
    made = name()
    containerd.run_detached(made, "sleep", "1000", runtime=runtime)
    yield made
    if made in containerd.ctr("tasks", "ls", "-q").text.split():
        containerd.delete(made)


def test_output_error_output_and_exit_code(containerd, container):
    result = containerd.exec(container, "sh", "-c", "echo out; echo err >&2; exit 6")
    assert (result.rc, result.out, result.err) == (6, b"out\n", b"err\n")


def test_it_runs_in_the_container(containerd, container):
    shown = containerd.exec(container, "sh", "-c", "cat /proc/1/cmdline; readlink /proc/1/root").check().out
    assert shown.startswith(b"sleep\x001000\x00")
    for namespace in ("pid", "mnt", "ipc", "uts", "net", "cgroup"):
        same = containerd.exec(
            container, "sh", "-c", f"[ $(readlink /proc/1/ns/{namespace}) = $(readlink /proc/self/ns/{namespace}) ]",
        )
        assert same.rc == 0, namespace


def test_it_has_the_containers_environment_and_privileges(containerd, container):
    script = "tr '\\0' '\\n' </proc/{}/environ; grep -E '^(Cap|NoNew|Seccomp|Uid|Gid)' /proc/{}/status"
    of_init = containerd.exec(container, "sh", "-c", script.format(1, 1)).check().text
    of_exec = containerd.exec(container, "sh", "-c", script.format("self", "self")).check().text
    changed = ("SHLVL", "PWD", "HOME")
    assert [line for line in of_exec.splitlines() if not line.startswith(changed)] == [
        line for line in of_init.splitlines() if not line.startswith(changed)
    ]


def test_working_directory_and_user(containerd, container):
    flags = ["--cwd", "/usr", "--user", "1234:5"]
    assert containerd.exec(container, "sh", "-c", "pwd; id -u; id -g", flags=flags).check().text == "/usr\n1234\n5\n"


def test_1_megabyte_in_and_out(containerd, container):
    data = os.urandom(1 << 20)
    assert containerd.exec(container, "cat", stdin=data).check().out == data


def test_10_megabytes_of_output(containerd, container):
    result = containerd.exec(container, "sh", "-c", "seq 1400000").check()
    expected = "".join(f"{number}\n" for number in range(1, 1400001)).encode()
    assert len(expected) > 10_000_000
    assert hashlib.sha256(result.out).digest() == hashlib.sha256(expected).digest()


def test_many_at_once(containerd, container):
    running = [
        containerd.exec_background(container, "sh", "-c", f"echo out {number}; echo err {number} >&2; exit {number}")
        for number in range(10)
    ]
    for number, one in enumerate(running):
        result = containerd.finish(one)
        assert (result.rc, result.text, result.error) == (number, f"out {number}\n", f"err {number}\n")


def test_killed_by_a_signal(containerd, container):
    running = containerd.exec_background(container, "sh", "-c", "echo ready; exec sleep 1000", exec_id="victim")
    assert running.stdout.readline() == b"ready\n"
    containerd.kill(container, flags=["--exec-id", "victim"]).check()
    assert containerd.finish(running).rc == 137
    assert containerd.task_state(container) == "RUNNING"


def test_a_detached_one_is_deleted_by_its_id(containerd, container):
    containerd.exec_detached(container, "sleep", "1000", exec_id="loose")
    assert "loose" in containerd.ctr("tasks", "ps", container).check().text
    containerd.kill_exec(container, "loose")
    deleted = containerd.ctr("tasks", "delete", "--exec-id", "loose", container)
    assert deleted.rc == 137, str(deleted)
    assert "loose" not in containerd.ctr("tasks", "ps", container).check().text


def test_a_missing_executable_is_named(containerd, container):
    result = containerd.exec(container, "nosuch")
    assert result.rc == 1
    assert 'exec: "nosuch": executable file not found in $PATH' in result.error
    assert containerd.exec(container, "true").rc == 0


def test_a_file_that_cannot_run_is_refused(containerd, container):
    result = containerd.exec(container, "/etc/passwd")
    assert result.rc == 1
    assert 'exec: "/etc/passwd": permission denied' in result.error


def test_an_id_in_use_is_refused(containerd, container):
    containerd.exec_detached(container, "sleep", "1000", exec_id="twice")
    result = containerd.exec(container, "true", exec_id="twice")
    assert result.rc == 1
    assert "twice: already exists" in result.error
    containerd.kill_exec(container, "twice")
    assert containerd.ctr("tasks", "delete", "--exec-id", "twice", container).rc == 137
    assert containerd.exec(container, "true", exec_id="twice").rc == 0


def test_none_in_a_stopped_container(containerd, container):
    containerd.kill(container).check()
    containerd.wait_state(container, "STOPPED")
    result = containerd.exec(container, "true")
    assert result.rc == 1
    assert "cannot exec in a stopped state" in result.error
    containerd.ctr("tasks", "delete", container).check()
    containerd.ctr("containers", "delete", container).check()


def test_the_end_of_the_container_ends_it(containerd, container):
    running = containerd.exec_background(container, "sh", "-c", "echo ready; exec sleep 1000")
    assert running.stdout.readline() == b"ready\n"
    containerd.kill(container).check()
    assert containerd.finish(running).rc == 137
    containerd.wait_state(container, "STOPPED")
    containerd.ctr("tasks", "delete", container).check()
    containerd.ctr("containers", "delete", container).check()
