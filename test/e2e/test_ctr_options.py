"""The options of `ctr run`, by the table of docs/ctr-run.md: as runc, or refused in one line."""

import re
from pathlib import Path

import pytest
from harness import REPO, RUNC

# Where other tests, or all of them, use the option; or why it cannot be tried here.
ELSEWHERE = {
    "--rm": "everywhere", "--detach": "test_task", "--runtime": "everywhere", "--tty": "test_run",
    "--config": "test_container", "--runtime-config-path": "test_configuration", "--pid-file": "test_task",
    "--log-uri": "test_output", "--memory-limit": "test_container", "--snapshotter": "everywhere, by the environment",
    "--cni": "needs plugins and their configuration", "--gpus": "needs NVIDIA's tools",
    "--apparmor-default-profile": "needs AppArmor on the host",
}

# option -> (flags, script)
AS_RUNC = {
    "--null-io": (["--null-io"], "echo x"),
    "--fifo-dir": (["--fifo-dir", "{tmp}"], "echo x; ls /"),
    "--platform": (["--platform", "linux/amd64"], "echo x"),
    "--remap-labels": (["--remap-labels"], "echo x"),
    "--cpus": (["--cpus", "0.5"], "echo x"),
    "--cpu-shares": (["--cpu-shares", "512"], "echo x"),
    "--cpu-quota": (["--cpu-quota", "50000", "--cpu-period", "100000"], "echo x"),
    "--cpu-period": (["--cpu-period", "100000"], "echo x"),
    "--snapshotter-label": (["--snapshotter-label", "a=b"], "echo x"),
    "--cwd": (["--cwd", "/usr"], "pwd"),
    "--env": (["--env", "A=b c"], "echo $A"),
    "--env-file": (["--env-file", "{tmp}/env"], "echo $FOO $X"),
    "--label": (["--label", "a=b"], "echo x"),
    "--annotation": (["--annotation", "a=b"], "echo x"),
    "--mount": (
        ["--mount", "type=bind,src={tmp},dst=/m,options=rbind:ro", "--mount", "type=tmpfs,src=x,dst=/t,options=size=1m"],
        "cat /m/env; touch /m/new 2>&1; df -k /t | awk 'END { print $1, $2 }'",
    ),
    "--read-only": (["--read-only"], "touch /x 2>&1; touch /run/x && echo run"),
    "--allow-new-privs": (["--allow-new-privs"], "grep NoNewPrivs /proc/self/status"),
    "--device": (["--device", "/dev/fuse"], "stat -c '%F %a %t %T' /dev/fuse; : </dev/fuse && echo opened"),
    "--cap-add": (["--cap-add", "CAP_SYS_ADMIN"], "grep ^Cap /proc/self/status; mount -t tmpfs x /mnt 2>&1; mkdir /mnt"),
    "--cap-drop": (["--cap-drop", "CAP_CHOWN"], "grep ^Cap /proc/self/status; chown 5 /etc/passwd 2>&1; echo end"),
    "--seccomp": (["--seccomp"], "grep ^Seccomp: /proc/self/status; unshare -U true 2>&1; echo end"),
    "--seccomp-profile": (["--seccomp", "--seccomp-profile", "{tmp}/profile"], "mkdir /x 2>&1; echo end"),
    "--rootfs-propagation": (["--rootfs-propagation", "rshared"], "awk '$5 == \"/\" { print $7 }' /proc/self/mountinfo"),
}

REFUSED = {
    "--uidmap": ["--uidmap", "0:100000:65536", "--gidmap", "0:100000:65536"],
    "--net-host": ["--net-host"],
    "--privileged": ["--privileged"],
    "--with-ns": ["--with-ns", "ipc:/proc/1/ns/ipc"],
    "--apparmor-profile": ["--apparmor-profile", "x"],
    "--rdt-class": ["--rdt-class", "x"],
    "--no-pivot": ["--no-pivot"],
}


def table():
    text = Path(REPO, "docs/ctr-run.md").read_text(encoding="utf-8")
    return dict(re.findall(r"^\| `(--[a-z-]+)` \| (.*) \|$", text, re.M))


def filled(flags, folder):
    return [flag.replace("{tmp}", str(folder)) for flag in flags]


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "env").write_text("FOO=bar\nX=y z\n")
    (tmp_path / "profile").write_text(
        '{"defaultAction": "SCMP_ACT_ALLOW", "syscalls":'
        ' [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38}]}'
    )
    return tmp_path


def test_the_table_is_complete(session_containerd):
    shown = session_containerd.ctr("run", "--help").text
    options = set(re.findall(r"^   (--[a-z-]+)", shown, re.M))
    assert options == set(table())
    tried = ELSEWHERE.keys() | AS_RUNC.keys() | REFUSED.keys() | {"--gidmap", "--cgroup", "--rootfs"}
    not_passed_on = {option for option, here in table().items() if here == "not passed on"}
    assert options == tried | not_passed_on


@pytest.mark.parametrize("option", AS_RUNC)
def test_an_option_does_as_under_runc(containerd, runtime, name, folder, option):
    assert table()[option].startswith("as runc")
    flags, script = AS_RUNC[option]
    theirs, ours = (
        containerd.run(name(), "sh", "-c", script, runtime=tested, flags=filled(flags, folder)) for tested in (RUNC, runtime)
    )
    assert (ours.rc, ours.text, ours.error) == (theirs.rc, theirs.text, theirs.error)


@pytest.mark.vm
@pytest.mark.parametrize("option", REFUSED)
def test_an_option_is_refused_by_name(containerd, runtime, name, option):
    words = table()[option].removeprefix("refused: ")
    result = containerd.run(name(), "true", runtime=runtime, flags=REFUSED[option])
    lines = result.error.strip().splitlines()
    assert result.rc == 1 and len(lines) == 1 and words in lines[0], str(result)


@pytest.mark.vm
def test_a_device_of_the_host_is_refused(containerd, runtime, name):
    result = containerd.run(name(), "true", runtime=runtime, flags=["--device", "/dev/kvm"])
    assert result.rc == 1 and "devices of the host are not supported" in result.error, str(result)


def test_a_bind_mount_is_writable_when_asked(containerd, runtime, name, folder):
    mount = f"type=bind,src={folder},dst=/m,options=rbind:rw"
    containerd.run(name(), "sh", "-c", "echo x >/m/new; rm /m/env", runtime=runtime, flags=["--mount", mount]).check()
    assert (folder / "new").read_text() == "x\n"
    assert not (folder / "env").exists()


def test_a_root_file_system_of_ones_own(containerd, runtime, name, rootfs):
    result = containerd.ctr(
        "run", "--rm", "--runtime", runtime, "--rootfs", "--env", "PATH=/bin", str(rootfs), name(), "ls", "-d", "/bin/busybox",
    )
    assert result.check().text == "/bin/busybox\n"


@pytest.mark.vm
def test_a_cgroup_path_is_the_guests_own(containerd, runtime, name):
    result = containerd.run(name(), "cat", "/proc/self/cgroup", runtime=runtime, flags=["--cgroup", "/mine"])
    assert result.check().text == "0::/\n"
