"""The ways of a container with later releases of containerd, which start a shim in other forms."""

import json
import os
import re

import pytest
from harness.events import Events
from harness.newer import newer_path
from harness.processes import wait_for

TOPICS = ["/tasks/create", "/tasks/start", "/tasks/exit", "/tasks/delete"]

pytestmark = pytest.mark.vm


@pytest.fixture(params=["trixie", "forky"])
def newer(request, make_containerd, prefix):
    """A containerd of a later suite of Debian, and its ctr."""
    return make_containerd(os.path.join(prefix, "bin"), newer_path(request.param))


def test_it_is_newer(newer):
    versions = re.findall(r"Version: +(\d+)\.(\d+)", newer.ctr("version").check().text)
    assert len(versions) == 2
    assert all((int(major), int(minor)) >= (1, 7) for major, minor in versions), versions


def test_output_exit_code_and_events(newer, runtime, name):
    container = name()
    with Events(newer) as events:
        result = newer.run(container, "sh", "-c", "echo out; echo err >&2; exit 7", runtime=runtime)
        assert (result.rc, result.out, result.err) == (7, b"out\n", b"err\n"), str(result)
        events.wait(container, "/tasks/delete")
        assert [event.topic for event in events.of(container)] == TOPICS


def test_input_and_signals(newer, runtime, name):
    container = name()
    data = os.urandom(200_000)
    assert newer.run(container, "cat", runtime=runtime, stdin=data).out == data
    running = newer.run_background(container, "sleep", "1000", runtime=runtime)
    newer.kill(container).check()
    assert newer.finish(running).rc == 137


def test_exec_and_the_rest_of_the_task_commands(newer, runtime, name):
    container = name()
    newer.run_detached(container, "sleep", "1000", runtime=runtime)
    assert newer.exec(container, "sh", "-c", "echo in; exit 3").rc == 3
    assert "pids.current" in newer.ctr("tasks", "metrics", container).check().text
    newer.ctr("tasks", "pause", container).check()
    newer.wait_state(container, "PAUSED")
    newer.ctr("tasks", "resume", container).check()
    newer.delete(container)


def test_a_container_lives_on_when_containerd_is_started_again(newer, runtime, name):
    container = name()
    newer.run_detached(container, "sleep", "1000", runtime=runtime)
    newer.die()
    newer.start()
    assert newer.task_state(container) == "RUNNING"
    assert newer.exec(container, "true").rc == 0
    newer.delete(container)


def test_settings_of_runc_are_refused_by_name(newer, runtime, name):
    container = name()
    result = newer.run(container, "true", runtime=runtime, flags=["--no-pivot"])
    assert result.rc == 1 and "are runc's, as those of ctr's --no-pivot" in result.error, str(result)
    newer.ctr("containers", "delete", container)
    assert wait_for(lambda: newer.task_state(container) is None)


@pytest.mark.parametrize("newer", ["forky"], indirect=True)
def test_the_features_are_seen(newer, runtime):
    """By containerd itself, which offers mount options to CRI by them."""
    info = newer.ctr("plugins", "inspect-runtime", "--runtime", runtime).check().text
    features = json.loads(info)["Features"]
    assert "rro" in features["mountOptions"]
    assert "user" not in features["linux"]["namespaces"]


def test_a_start_that_fails_says_why(newer, runtime, name):
    container = name()
    result = newer.run(container, "true", runtime=runtime, flags=["--runtime-config-path", "/nowhere.toml"])
    assert result.rc == 1
    assert "start failed: containerd-shim-kata-v2: " in result.error and result.error.count("\n") == 1, str(result)
    newer.ctr("containers", "delete", container)
    assert wait_for(lambda: newer.task_state(container) is None)
