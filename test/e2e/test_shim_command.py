"""containerd-shim-kata-v2 as containerd calls it: start, delete, -v."""

import os
import re

import pytest
from harness.processes import descendants, kill, process, wait_gone

pytestmark = pytest.mark.vm


def start(shim_command, container, bundle):
    """Starts a shim: its pid."""
    started = shim_command(container, bundle, "start")
    assert started.returncode == 0, started
    return int((bundle / "shim.pid").read_text())


def test_start_prints_the_address_and_nothing_else(containerd, shim_command, spec_bundle):
    bundle = spec_bundle("true")
    started = shim_command("x", bundle, "start")
    output = (started.stdout + started.stderr).decode()
    assert started.returncode == 0 and re.fullmatch(r"unix:///run/containerd/s/[0-9a-f]{64}", output), output
    assert (bundle / "address").read_text() == output
    pid = int((bundle / "shim.pid").read_text())
    assert os.path.realpath(f"/proc/{pid}/exe") == os.path.realpath(shim_command.path)
    kill(pid)
    assert wait_gone(pid)
    assert shim_command("x", bundle, "delete").returncode == 0


def test_delete_needs_no_shim_and_may_come_twice(containerd, shim_command, spec_bundle):
    bundle = spec_bundle("true")
    pid = start(shim_command, "x", bundle)
    below = descendants(pid)
    kill(pid)
    for _ in range(2):
        deleted = shim_command("x", bundle, "delete")
        assert deleted.returncode == 0, deleted
        assert b"\x10\x89\x01" in deleted.stdout, "field 2, exit_status: 137"
    assert all(wait_gone(one.pid) for one in below)


def test_delete_without_a_start(containerd, shim_command, spec_bundle):
    assert shim_command("never", spec_bundle("true"), "delete").returncode == 0


def test_a_killed_shim_does_not_stop_the_next(containerd, shim_command, spec_bundle):
    bundle = spec_bundle("true")
    first = start(shim_command, "x", bundle)
    kill(first)
    assert wait_gone(first)
    second = start(shim_command, "x", bundle)
    assert second != first
    kill(second)
    assert wait_gone(second)
    assert shim_command("x", bundle, "delete").returncode == 0


def test_version(shim_command):
    shown = shim_command.run("-v")
    assert shown.returncode == 0
    assert re.search(r"containerd-shim-kata-v2.*\d+\.\d+\.\d+", (shown.stdout + shown.stderr).decode(), re.S)


@pytest.mark.parametrize("arguments", [[], ["nosuch"], ["-nosuch", "start"], ["-id", "x"]])
def test_a_wrong_command_line_is_told(shim_command, arguments):
    shown = shim_command.run(*arguments)
    assert shown.returncode not in (0, -6, -11)
    assert shown.stdout + shown.stderr


def test_the_process_title_says_what_it_is(containerd, runtime, name):
    container = name()
    containerd.run_detached(container, "sleep", "1000", runtime=runtime)
    shim = process(containerd.shim(container))
    assert "kata" in shim.comm or "kata" in shim.command
    assert container in shim.command
    containerd.delete(container)
