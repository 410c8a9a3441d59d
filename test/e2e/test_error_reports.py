"""Where the machine never comes up, or dies, the one line that reaches ctr says what failed first, what to do about it,
and what the guest printed last."""

import os
import re
import tempfile
from pathlib import Path

import pytest
from harness.processes import alive, descendants, kill, wait_for

pytestmark = pytest.mark.vm

LINE_MAX = 1200  # bytes: our text has at most 999, and ctr says before and after it what it did


def report(result):
    """The line of an error, with the parts that every one has: (cause, hint, console or None)."""
    line = result.error.removesuffix("\n")
    assert result.rc == 1 and line.isprintable() and len(line) < LINE_MAX, str(result)
    match = re.fullmatch(
        r"ctr: failed to create shim task: cannot boot the virtual machine: (.*?); hint: (.*?)(?:; the console's last lines: (.*))?: "
        r"(unavailable|unknown|context deadline exceeded|failed precondition|invalid argument)", line)
    assert match, line
    return match[1], match[2], match[3]


@pytest.fixture
def configured(containerd, runtime, name, tmp_path):
    """configured(TEXT): `ctr run ... true` in a machine with this configuration."""

    def run(text):
        path = tmp_path / "configuration.toml"
        path.write_text(text)
        return containerd.run(name(), "true", runtime=runtime, flags=("--runtime-config-path", str(path)))

    return run


@pytest.fixture
def script():
    """script(NAME, MODE=0o755): a program that says what is wrong, and fails. QEMU's user can find it."""
    with tempfile.TemporaryDirectory(prefix="kata-script.") as folder:
        os.chmod(folder, 0o755)

        def make(name, mode=0o755):
            path = Path(folder, name)
            path.write_text("#!/bin/sh\nprintf 'bad: \\033[31mthis\\377\\nit is broken\\n' >&2\nexit 3\n")
            path.chmod(mode)
            return path

        yield make


def test_a_part_that_cannot_be_started_is_named_with_what_to_do(configured, script):
    nothing, text = "/no/such", script("text", 0o644)
    for setting, cause, hint in (
        (f'path = "{nothing}"', 'cannot start QEMU: cannot execute "/no/such": No such file or directory', "package qemu-system-x86;"),
        (f'path = "{text}"', f'cannot start QEMU: cannot execute "{text}": Permission denied', "hypervisor.qemu.path"),
        (f'virtio_fs_daemon = "{nothing}"', 'cannot start virtiofsd: cannot execute "/no/such": No such file or directory',
         "hypervisor.qemu.virtio_fs_daemon"),
        (f'kernel = "{nothing}"', "cannot open the guest's kernel \"/no/such\": No such file or directory", "hypervisor.qemu.kernel"),
        (f'initrd = "{text.parent}"', f"cannot open the guest's initramfs \"{text.parent}\": not a regular file", "hypervisor.qemu.initrd"),
        ("default_maxmemory = 16", "no memory is left for the guest", "hypervisor.qemu.default_maxmemory"),
    ):
        said, advice, console = report(configured(f"hypervisor.qemu.{setting}\n"))
        assert said == cause and hint in advice and console is None


def test_a_qemu_that_fails_is_quoted_and_its_boot_logged_step_by_step(configured, containerd, script):
    start = containerd.log_size()
    said, advice, console = report(configured(f'hypervisor.qemu.path = "{script("qemu")}"\n'))
    assert said == "QEMU exited with status 3: bad: ?[31mthis? | it is broken"
    assert "hypervisor.qemu" in advice and console is None, "all it said is said already"
    containerd.wait_logged(r'msg="boot failed step=\S*"wait for the agent\'s hello\S*" ms=[0-9.]+ return-to-the-loop=[0-9.]+ '
                           r"enter-the-pod's-cgroup=[0-9.]+ take-a-uid=[0-9.]+ connect-the-networks=[0-9.]+ start-the-VM=[0-9.]+ "
                           r"wait-for-the-agent's-hello=[0-9.]+ error=", start)


def test_a_qemu_that_is_killed_while_it_boots_is_named(containerd, runtime, name):
    container = name()
    running = containerd.popen("run", "--rm", "--runtime", runtime, "localhost/busybox:latest", container, "true")

    def qemu():
        try:
            return [one.pid for one in descendants(containerd.shim(container)) if one.comm.startswith("qemu-system")]
        except (OSError, StopIteration, ValueError):
            return []

    pids = wait_for(lambda: running.poll() is not None or qemu())
    kill(pids[0])
    said, advice, console = report(containerd.finish(running))
    assert said == "QEMU was killed by signal 9 (Killed)" and "dmesg" in advice
    assert not alive(pids[0])


def test_a_call_after_the_guest_has_panicked_says_so(containerd, runtime, name, spec_file, rootfs):
    container = name()
    panic = "until [ -e /go ]; do sleep 0.1; done; echo c >/proc/sysrq-trigger; sleep 1000"  # not before its start is answered
    spec = spec_file(rootfs, "sh", "-c", panic)
    spec["linux"].update(maskedPaths=[], readonlyPaths=[])
    spec["mounts"] = [dict(one, options=["nosuid", "noexec", "nodev"]) if one["type"] == "proc" else one
                      for one in spec["mounts"]]
    containerd.run_spec(container, spec, runtime=runtime, flags=["-d"]).check()
    containerd.exec(container, "touch", "/go")  # which may end with the guest
    containerd.wait_state(container, "STOPPED")
    start = containerd.log_size()
    result = containerd.exec(container, "true")
    assert result.rc == 1
    assert re.search(
        r"cannot exec in a stopped state: the virtual machine has ended: the guest's kernel panicked: sysrq triggered crash; "
        r"hint: .*enable_debug.*; the console's last lines: .*Kernel panic", result.error), str(result)
    assert result.error.strip().isprintable() and len(result.error) < LINE_MAX
    containerd.ctr("tasks", "delete", container)
    containerd.ctr("containers", "delete", container).check()
