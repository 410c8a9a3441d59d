"""The options of `ctr run`: what docs/limitations.md says of each. Those with tests of their own are not tried again."""

import json
import os
import re
import stat
from pathlib import Path

import pytest
from harness import REPO, RUNC

MIB = 1 << 20
CGROUP = ["--mount", "type=cgroup,src=cgroup,dst=/sys/fs/cgroup,options=ro"]
PATH = ["--env", "PATH=/bin"]

# The first file there is: cgroup v1's under runc on such a host, v2's in a guest.
LIMITS = """
    cd /sys/fs/cgroup
    cat memory/memory.limit_in_bytes 2>/dev/null || cat memory.max
    cat cpu/cpu.cfs_quota_us cpu/cpu.cfs_period_us 2>/dev/null || tr ' ' '\\n' <cpu.max
    cat cpu/cpu.shares 2>/dev/null || cat cpu.weight
"""
WEIGHT_OF_512_SHARES = "20"  # as cgroup v2 counts, which the guest has
NO_DIRECTORIES = {
    "defaultAction": "SCMP_ACT_ALLOW",
    "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38}],
}

# The flags that try a row of the document's table which says `refused`.
REFUSED = {
    "--apparmor-profile": ["--apparmor-profile", "some"],
    "--net-host": ["--net-host"],
    "--no-pivot": ["--no-pivot"],
    "--rdt-class": ["--rdt-class", "some"],
    "--runc-binary": ["--runc-binary", "/usr/sbin/runc"],
    "--runc-systemd-cgroup": ["--runc-systemd-cgroup", "--cgroup", "machine.slice:a:b"],
    "--uidmap, --gidmap, --remap-labels": ["--uidmap", "0:1000:100", "--gidmap", "0:1000:100"],
    "--with-ns": ["--with-ns", "ipc:/proc/self/ns/ipc"],
    "--with-ns network": ["--with-ns", "network:/proc/self/ns/net"],
}


def rows():
    """options -> what the document says of them."""
    text = Path(REPO, "docs/limitations.md").read_text(encoding="utf-8")
    return dict(re.findall(r"^\| `(--[^|]*?)` \| ([^|]*?) \|", text, re.M))


def run(containerd, runtime, name, script, *flags):
    return containerd.run(name(), "sh", "-c", script, runtime=runtime, flags=flags)


def test_each_option_is_in_the_document(containerd):
    told = {option for options in rows() for option in re.findall(r"--[\w-]+", options)}
    known = set(re.findall(r"^ +(--[\w-]+)", containerd.ctr("run", "--help").check().text, re.M)) - {"--help"}
    assert known == told


def test_each_refusal_of_the_document_is_tried():
    assert {options for options, says in rows().items() if says.startswith("refused")} == REFUSED.keys()


@pytest.mark.vm
@pytest.mark.parametrize("options", REFUSED)
def test_refused_in_one_line_that_names_it(containerd, runtime, name, options):
    result = run(containerd, runtime, name, "true", *REFUSED[options])
    assert result.rc == 1 and len(result.error.splitlines()) == 1, str(result)
    expected = re.search("`(.*)`", rows()[options])[1]
    assert expected in result.error


def test_environment_image_device_seccomp_and_quota(containerd, runtime, name, tmp_path):
    environment, profile = tmp_path / "environment", tmp_path / "profile.json"
    environment.write_text("FROM_FILE=a b\n")
    profile.write_text(json.dumps(NO_DIRECTORIES))
    flags = ["--env-file", str(environment), "--platform", "linux/amd64", "--snapshotter", "native",
             "--snapshotter-label", "a=b", "--device", "/dev/fuse", "--seccomp", "--seccomp-profile", str(profile),
             "--cpu-quota", "20000", "--cpu-period", "50000", *CGROUP]
    script = f"echo $FROM_FILE; echo >/new && echo written; (: </dev/fuse) && echo fuse; mkdir /x 2>&1; {LIMITS}"
    lines = run(containerd, runtime, name, script, *flags).check().text.splitlines()
    assert lines[:4] == ["a b", "written", "fuse", "mkdir: can't create directory '/x': Function not implemented"]
    assert lines[5:7] == ["20000", "50000"]


def test_the_default_seccomp_profile_and_no_output_at_all(containerd, runtime, name):
    script = "echo out; echo err >&2; grep -q '^Seccomp:.2$' /proc/self/status && ! unshare -U true && exit 3"
    result = run(containerd, runtime, name, script, "--seccomp", "--null-io")
    assert (result.rc, result.out, result.err) == (3, b"", b"")


def test_a_root_file_system_of_ones_own_and_limits(containerd, runtime, name, rootfs):
    flags = ["--rm", "--runtime", runtime, "--rootfs", "--rootfs-propagation", "rslave", *PATH,
             "--memory-limit", str(64 * MIB), "--cpus", "0.5", "--cpu-shares", "512", *CGROUP]
    done = containerd.ctr("run", *flags, str(rootfs), name(), "sh", "-c", f"echo made >/made; {LIMITS}").check()
    memory, quota, period, weight = done.text.split()
    assert (memory, quota, period) == (str(64 * MIB), "50000", "100000")
    assert weight == WEIGHT_OF_512_SHARES or runtime == RUNC and weight == "512"
    made = rootfs / "made"
    assert made.read_text() == "made\n"
    made.unlink()


@pytest.mark.vm  # runc has it since 1.4
@pytest.mark.parametrize("word, found", [("slave", []), ("shared", ["/"]), ("rshared", ["/", "/proc"])])
def test_the_propagation_of_the_root(containerd, runtime, name, word, found):
    script = "while read a b c d at e tag rest; do echo $at $tag; done </proc/self/mountinfo"
    lines = run(containerd, runtime, name, script, "--rootfs-propagation", word).check().text.splitlines()
    assert [line.split()[0] for line in lines if re.match("(/|/proc) shared:", line)] == found, lines


def test_a_propagation_that_is_none_is_named(containerd, runtime, name):
    result = run(containerd, runtime, name, "true", "--rootfs-propagation", "nosuch")
    assert result.rc == 1 and "nosuch" in result.error and len(result.error.splitlines()) == 1, str(result)


def test_labels_annotations_and_a_place_for_the_fifos(containerd, runtime, name, tmp_path):
    container, fifos = name(), tmp_path / "fifos"
    containerd.run_detached(container, "sleep", "1000", runtime=runtime, flags=[
        "--label", "a=label", "--annotation", "an=annotation", "--fifo-dir", str(fifos)])
    info = json.loads(containerd.ctr("containers", "info", container).check().text)
    made = [path for path in fifos.rglob("*") if stat.S_ISFIFO(os.lstat(path).st_mode)]
    containerd.delete(container)
    assert info["Labels"]["a"] == "label" and info["Spec"]["annotations"]["an"] == "annotation"
    assert made
