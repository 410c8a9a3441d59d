"""A detached task's life: `ctr run -d`, `ctr task ls|ps|kill|start|delete`."""


def test_detached_task_runs_until_it_is_killed(containerd, runtime, name):
    container = name()
    containerd.run_detached(container, "sleep", "1000", runtime=runtime)
    assert containerd.task_state(container) == "RUNNING"
    containerd.kill(container).check()
    containerd.wait_state(container, "STOPPED")
    deleted = containerd.ctr("tasks", "delete", container).check()
    assert "exit with non-zero exit code 137" in deleted.error
    assert containerd.task_state(container) is None
    containerd.ctr("containers", "delete", container).check()


def test_detached_task_ends_by_itself(containerd, runtime, name):
    container = name()
    containerd.run_detached(container, "sh", "-c", "exit 5", runtime=runtime)
    containerd.wait_state(container, "STOPPED")
    assert "exit with non-zero exit code 5" in containerd.ctr("tasks", "delete", container).error
    containerd.ctr("containers", "delete", container).check()


def test_ps_lists_init_and_execs(containerd, runtime, name):
    container = name()
    containerd.run_detached(container, "sleep", "1000", runtime=runtime)
    containerd.exec_detached(container, "sleep", "1000", exec_id="second")
    lines = containerd.ctr("tasks", "ps", container).check().text.splitlines()
    assert lines[0].split() == ["PID", "INFO"]
    infos = sorted(line.split(None, 1)[1] for line in lines[1:])
    assert infos == ["&ProcessDetails{ExecID:second,XXX_unrecognized:[],}", "-"]
    assert all(int(line.split()[0]) > 0 for line in lines[1:])
    containerd.delete(container)


def test_kill_of_a_stopped_task_is_not_found(containerd, runtime, name):
    container = name()
    containerd.run_detached(container, "true", runtime=runtime)
    containerd.wait_state(container, "STOPPED")
    killed = containerd.kill(container)
    assert (killed.rc, killed.error) == (1, "ctr: process already finished: not found\n")
    containerd.ctr("tasks", "delete", container).check()
    containerd.ctr("containers", "delete", container).check()


def test_kill_all_ends_the_children_too(containerd, runtime, name):
    """An init without a handler ignores SIGTERM, as the first of a pid namespace does; its child does not."""
    container = name()
    script = "sleep 1000 & echo ready; wait; exit 7"
    running = containerd.run_background(container, "sh", "-c", script, runtime=runtime)
    assert running.stdout.readline() == b"ready\n"
    containerd.kill(container, "SIGTERM").check()
    assert containerd.exec(container, "pidof", "sleep").check().text
    assert containerd.task_state(container) == "RUNNING"
    containerd.kill(container, "SIGTERM", flags=["-a"]).check()
    assert containerd.finish(running).rc == 7


def test_a_running_task_is_not_deleted(containerd, runtime, name):
    container = name()
    containerd.run_detached(container, "sleep", "1000", runtime=runtime)
    deleted = containerd.ctr("tasks", "delete", container)
    assert deleted.rc != 0
    assert "task must be stopped before deletion: running" in deleted.error
    assert containerd.task_state(container) == "RUNNING"
    containerd.delete(container)


def test_a_running_task_is_deleted_by_force(containerd, runtime, name):
    container = name()
    containerd.run_detached(container, "sleep", "1000", runtime=runtime)
    containerd.ctr("tasks", "delete", "--force", container).check()
    assert containerd.task_state(container) is None
    containerd.ctr("containers", "delete", container).check()


def test_a_container_starts_again_after_its_task_was_deleted(containerd, runtime, name):
    container = name()
    create = ["containers", "create", "--runtime", runtime, "localhost/busybox:latest", container, "mkdir", "/made"]
    containerd.ctr(*create).check()
    containerd.ctr("tasks", "start", container).check()
    second = containerd.ctr("tasks", "start", container)
    assert second.rc == 1 and "File exists" in second.error, str(second)
    containerd.ctr("containers", "delete", container).check()


def test_children_of_init_end_with_it(containerd, runtime, name):
    """Delete comes back although a child had the output open."""
    result = containerd.run(name(), "sh", "-c", "sleep 1000 & echo out; exit 3", runtime=runtime)
    assert (result.rc, result.out) == (3, b"out\n"), str(result)


def test_pid_file_names_a_process_of_the_host(containerd, runtime, name, tmp_path):
    container, path = name(), tmp_path / "pid"
    containerd.run_detached(container, "sleep", "1000", runtime=runtime, flags=["--pid-file", str(path)])
    with open(f"/proc/{int(path.read_text())}/comm", encoding="ascii") as file:
        assert file.read().strip()
    containerd.delete(container)
