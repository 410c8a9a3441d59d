"""What is wrong is named in one clear line: what, where; and nothing is left of the attempt."""

import os
import re
import time

import pytest
from harness.parts import SHARE, altered_prefix, hidden, overridden_init
from harness.processes import wait_for
from harness.shim_command import ShimCommand

SHORT = "agent.kata.dial_timeout = 15"
IDLE = "timeouts.idle_ms = 4000"
SHORT_AFTER_HELLO = "timeouts.agent_ms = 3000"  # however long the guest takes to boot


def one_line(result):
    """ctr's error, which is one line."""
    lines = result.error.strip().splitlines()
    assert result.rc == 1 and len(lines) == 1 and lines[0].startswith("ctr: "), str(result)
    return lines[0]


# The executable


@pytest.mark.parametrize(
    "command, text",
    [
        ("nosuch", 'exec: "nosuch": executable file not found in $PATH'),
        ("/nosuch", 'exec: "/nosuch": stat /nosuch: no such file or directory'),
        ("/etc/passwd", 'exec: "/etc/passwd": permission denied'),
        ("/tmp", 'exec: "/tmp": permission denied'),
    ],
    ids=["not_in_path", "missing", "not_executable", "directory"],
)
def test_an_executable_that_cannot_run_fails_create(containerd, runtime, name, command, text):
    container = name()
    result = containerd.run(container, command, runtime=runtime)
    assert text in one_line(result)
    assert containerd.task_state(container) is None


def test_an_executable_of_no_known_format(containerd, runtime, name):
    """Found at execve, when the container has been created."""
    script = "printf 'no program' >/bin/odd && chmod 755 /bin/odd && exec /bin/odd"
    assert "odd" in containerd.run(name(), "sh", "-c", script, runtime=runtime).error


# The spec: (change, what both runc's answer and ours must say)

WRONG_SPECS = {
    "no_arguments": (lambda spec: spec["process"].update(args=[]), r"args"),
    "relative_working_directory": (lambda spec: spec["process"].update(cwd="tmp"), r"(?i)cwd"),
    "missing_root": (lambda spec: spec["root"].update(path="/no/such"), r"/no/such.*(?i:no such file)"),
    "unknown_rlimit": (
        lambda spec: spec["process"].update(rlimits=[{"type": "RLIMIT_NOSUCH", "soft": 1, "hard": 1}]),
        r"RLIMIT_NOSUCH",
    ),
    "soft_rlimit_above_hard": (
        lambda spec: spec["process"].update(rlimits=[{"type": "RLIMIT_NOFILE", "soft": 3, "hard": 1}]),
        r"(?i)rlimit.*invalid argument",
    ),
    "unknown_file_system": (
        lambda spec: spec["mounts"].append({"destination": "/mnt", "type": "nosuchfs", "source": "x"}),
        r"/mnt.*(?i:no such device|type \"nosuchfs\": not supported)",
    ),
    "sysctl_of_the_host": (
        lambda spec: spec["linux"].update(sysctl={"kernel.nosuch": "1"}), r"sysctl.*kernel[./]nosuch|kernel[./]nosuch"
    ),
    "unknown_sysctl": (lambda spec: spec["linux"].update(sysctl={"net.nosuch": "1"}), r"net[./]nosuch"),
    "unknown_user": (
        lambda spec: spec["process"].update(user={"uid": 4294967295, "gid": 0}), r"(?i)\buids?\b",
    ),
    "unknown_namespace": (lambda spec: spec["linux"]["namespaces"].append({"type": "nosuch"}), r"nosuch"),
    "too_long_hostname": (lambda spec: spec.update(hostname="x" * 80), r"host ?name"),
}


@pytest.mark.parametrize("change, text", WRONG_SPECS.values(), ids=WRONG_SPECS.keys())
def test_a_wrong_spec_is_named(containerd, runtime, name, spec_file, rootfs, change, text):
    spec = spec_file(rootfs, "true")
    change(spec)
    result = containerd.run_spec(name(), spec, runtime=runtime, flags=["--rm"])
    assert re.search(text, one_line(result)), str(result)


def test_an_unknown_user_of_an_exec_is_refused(containerd, runtime, name):
    container = name()
    containerd.run_detached(container, "sleep", "1000", runtime=runtime)
    result = containerd.exec(container, "id", flags=["--user", "nosuch"])
    assert result.rc == 1 and "no users found" in result.error
    containerd.delete(container)


# What ours cannot do, it refuses

REFUSED_SPECS = {
    "user_namespace": (lambda spec: spec["linux"]["namespaces"].append({"type": "user"}), r"user namespace|namespaces"),
    "hooks": (lambda spec: spec.update(hooks={"createContainer": [{"path": "/usr/bin/nvidia-ctk"}]}), r"hooks\.createContainer"),
    "namespace_of_the_host": (
        lambda spec: spec["linux"]["namespaces"].append({"type": "time", "path": "/proc/1/ns/time"}), r"namespaces"
    ),
}


LONG_SPECS = {
    "five_megabytes_of_annotations": (
        lambda spec: spec.update(annotations={f"long.{i}": "x" * 50_000 for i in range(100)}), "arguments: 0",
    ),
    "150000_arguments": (lambda spec: spec["process"]["args"].extend(["x"] * 150_000), "arguments: 150000"),
}


@pytest.mark.parametrize("change, text", LONG_SPECS.values(), ids=LONG_SPECS.keys())
def test_a_spec_may_be_long(containerd, runtime, name, spec_file, rootfs, change, text):
    spec = spec_file(rootfs, "sh", "-c", 'echo "arguments: $#"', "name")
    change(spec)
    assert containerd.run_spec(name(), spec, runtime=runtime, flags=["--rm"]).check().text.strip() == text


@pytest.mark.vm
@pytest.mark.parametrize("change, text", REFUSED_SPECS.values(), ids=REFUSED_SPECS.keys())
def test_what_it_cannot_do_is_refused_by_name(containerd, runtime, name, spec_file, rootfs, change, text):
    spec = spec_file(rootfs, "true")
    change(spec)
    result = containerd.run_spec(name(), spec, runtime=runtime, flags=["--rm"])
    assert re.search(text, one_line(result)), str(result)


# Parts of the runtime


@pytest.mark.vm
@pytest.mark.prefix
@pytest.mark.parametrize(
    "part", [f"{SHARE}/kernel", f"{SHARE}/initramfs", "libexec/kata-containers/kata-vsock",
             "libexec/kata-containers/kata-placeholder"],
    ids=["kernel", "initramfs", "vsock_device", "placeholder"],
)
def test_a_missing_part_is_named(make_containerd, prefix, runtime, name, part):
    with altered_prefix(prefix, {part: None}) as altered:
        containerd = make_containerd(os.path.join(altered, "bin"))
        line = one_line(containerd.run(name(), "true", runtime=runtime))
    assert f"{altered}/{part}" in line and "No such file or directory" in line, line


@pytest.mark.vm
@pytest.mark.prefix
@pytest.mark.parametrize(
    "path, named",
    [("/usr/bin/qemu-system-x86_64", "/usr/bin/qemu-system-x86_64"),
     ("/usr/lib/qemu/virtiofsd", "/usr/libexec/virtiofsd")],  # Debian 12's; the first place that is looked in
    ids=["qemu", "virtiofsd"],
)
def test_a_missing_program_of_the_host_is_named(make_containerd, prefix, runtime, name, path, named):
    with hidden(path):
        containerd = make_containerd(os.path.join(prefix, "bin"))
        line = one_line(containerd.run(name(), "true", runtime=runtime))
    assert f'"{named}": No such file or directory' in line, line


@pytest.mark.vm
@pytest.mark.prefix
def test_a_kernel_that_is_none_is_told_by_qemu(make_containerd, prefix, runtime, name, tmp_path):
    (tmp_path / "kernel").write_bytes(b"no kernel\n" * 1000)
    with altered_prefix(prefix, {f"{SHARE}/kernel": tmp_path / "kernel"}) as altered:
        containerd = make_containerd(os.path.join(altered, "bin"))
        result = containerd.run(name(), "true", runtime=runtime)
    assert result.rc == 1 and "kernel" in result.error, str(result)


# Guests

DIES = r"""
#include <stdio.h>
int main(void) { puts("this guest gives up: no reason"); return 3; }
"""

NEVER_SPEAKS = r"""
#include <unistd.h>
int main(void) { for (;;) pause(); }
"""

# Loads the modules, announces itself, and never takes a connection.
SAYS_HELLO_ONLY = r"""
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <linux/vm_sockets.h>

int main(void)
{
	char name[200], path[300];
	FILE *order = fopen("/modules/order", "r");
	struct sockaddr_vm host = { .svm_family = AF_VSOCK, .svm_cid = 2, .svm_port = 0x40000000u + 3 };
	struct sockaddr_vm any = { .svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_ANY, .svm_port = 1024 };
	int fd, listener;

	while (fgets(name, sizeof(name), order)) {
		name[strcspn(name, "\n")] = '\0';
		snprintf(path, sizeof(path), "/modules/%s", name);
		fd = open(path, O_RDONLY);
		syscall(SYS_finit_module, fd, "", 0);
		close(fd);
	}
	listener = socket(AF_VSOCK, SOCK_STREAM, 0);
	bind(listener, (struct sockaddr *)&any, sizeof(any));
	listen(listener, 8);
	do {
		fd = socket(AF_VSOCK, SOCK_STREAM, 0);
		usleep(10000);
	} while (connect(fd, (struct sockaddr *)&host, sizeof(host)) < 0 && close(fd) == 0);
	puts("says hello");
	dprintf(fd, "hello 0.0.0\n");
	for (;;)
		pause();
}
"""


@pytest.fixture
def run_guest(make_containerd, prefix, runtime, name, tmp_path):
    """run_guest(source, configuration): `ctr run` with this program as the guest's /init."""

    def run(source, configuration=""):
        made = overridden_init(prefix, source, tmp_path)
        with altered_prefix(prefix, {f"{SHARE}/initramfs": made}, configuration) as altered:
            containerd = make_containerd(os.path.join(altered, "bin"))
            return containerd.run(name(), "true", runtime=runtime)

    return run


@pytest.mark.vm
@pytest.mark.prefix
def test_a_guest_that_dies_while_booting_is_noticed_at_once(run_guest):
    result = run_guest(DIES)
    assert result.rc == 1
    assert re.search(r"cannot boot the virtual machine: the guest's kernel panicked: Attempted to kill init! .*; hint: .*enable_debug.*; "
                     r"the console's last lines: .*this guest gives up: no reason \| .*Kernel panic", result.error), str(result)


@pytest.mark.vm
@pytest.mark.prefix
@pytest.mark.parametrize(
    "source, configuration, said",
    [(NEVER_SPEAKS, SHORT, "no agent has announced itself within 15000 ms; hint: .*agent.kata.dial_timeout.*enable_debug"),
     (SAYS_HELLO_ONLY, SHORT_AFTER_HELLO,
      r"grpc\.AgentService\.SetGuestDateTime: no answer within 3000 ms; hint: .*table timeouts.*enable_debug.*; "
      r"the console's last lines: .*says hello")],
    ids=["before_hello", "after_hello"],
)
def test_an_agent_that_never_answers_meets_a_deadline(run_guest, source, configuration, said):
    result = run_guest(source, configuration)
    assert result.rc == 1
    assert re.search(f"cannot boot the virtual machine: {said}", result.error), str(result)


# The shim's own command line


@pytest.mark.vm
@pytest.mark.parametrize(
    "text, place",
    [
        ('{"ociVersion": "1.0.2", "process": {"args": ["true"', r"config\.json.*line 1"),
        ('{"ociVersion": "1.0.2",\n "process": {"args": ["a", 5]}}', r"config\.json.*process\.args\[1\]"),
        ("[]", r"config\.json"),
        ("", r"config\.json"),
        (None, r"config\.json.*No such file"),
    ],
    ids=["cut_off", "wrong_type", "no_object", "empty", "missing"],
)
def test_a_broken_config_json_is_named(containerd, shim_command, tmp_path, text, place):
    if text is not None:
        (tmp_path / "config.json").write_text(text)
    started = shim_command("broken", tmp_path, "start")
    output = (started.stdout + started.stderr).decode()
    assert started.returncode != 0
    assert re.search(place, output) and len(output.splitlines()) == 1, output


@pytest.mark.vm
@pytest.mark.prefix
def test_a_start_that_no_create_follows_ends_by_itself(containerd, prefix, spec_bundle):
    with altered_prefix(prefix, {}, IDLE) as altered:
        command = ShimCommand(os.path.join(altered, "bin/containerd-shim-kata-v2"), containerd)
        started = command("lonely", spec_bundle("true"), "start")
        address = (started.stdout + started.stderr).decode()
        assert started.returncode == 0 and re.fullmatch(r"unix:///run/containerd/s/[0-9a-f]{64}", address), address
        path = address.removeprefix("unix://")
        begun = os.stat(path).st_mtime
        assert wait_for(lambda: not os.path.exists(path), pause=0.1)
        assert time.time() - begun > 3.5, "it waited"
