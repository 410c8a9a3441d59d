"""Bind mounts of the host: what `ctr run --mount` names is in the container, and nothing else."""

import os
import socket
import subprocess

import pytest


def bind(source, target, *options):
    return ("--mount", f"type=bind,src={source},dst={target},options={':'.join(options)}")


def shown(containerd, runtime, name, script, *mounts):
    flags = [flag for mount in mounts for flag in mount]
    return containerd.run(name(), "sh", "-c", script, runtime=runtime, flags=flags).check().text.strip()


def refused(containerd, runtime, name, mount):
    result = containerd.run(name(), "true", runtime=runtime, flags=mount)
    lines = result.error.strip().splitlines()
    assert result.rc == 1 and len(lines) == 1, str(result)
    return lines[0]


@pytest.fixture
def data(tmp_path):
    directory = tmp_path / "data"
    directory.mkdir()
    (directory / "file").write_text("of the host\n")
    (tmp_path / "secret").write_text("secret\n")
    return directory


@pytest.fixture
def mounted_below(data):
    """Another file system on data/below, with a file in it."""
    below = data / "below"
    below.mkdir()
    subprocess.run(["mount", "-n", "-t", "tmpfs", "below", below], check=True)
    (below / "deep").write_text("deep\n")
    yield below
    subprocess.run(["umount", "-n", below], check=True)


def test_a_directory_is_read_and_written(containerd, runtime, name, data):
    script = "cat /data/file; echo of the container >/data/new; chmod 640 /data/new; chown 12:34 /data/new"
    assert shown(containerd, runtime, name, script, bind(data, "/data", "rbind", "rw")) == "of the host"
    new = data / "new"
    assert new.read_text() == "of the container\n"
    assert (new.stat().st_mode & 0o777, new.stat().st_uid, new.stat().st_gid) == (0o640, 12, 34)


def test_what_is_beside_a_directory_is_not_there(containerd, runtime, name, data):
    script = "ls -a /data; cat /data/../secret 2>&1 || ls -a /data/.."
    assert "secret" not in shown(containerd, runtime, name, script, bind(data, "/data", "rbind")).replace(
        "can't open '/data/../secret'", "")


def test_changes_are_seen_at_once_on_both_sides(containerd, runtime, name, data):
    script = "for i in 1 2 3 4 5 6 7 8 9 10; do echo line >>/data/log; done; wc -l </data/log"
    assert shown(containerd, runtime, name, script, bind(data, "/data", "rbind")) == "10"
    assert (data / "log").read_text() == "line\n" * 10


def test_a_file_alone(containerd, runtime, name, data):
    script = "cat /etc/one; ls /etc | grep -c one; echo changed >/etc/one"
    assert shown(containerd, runtime, name, script, bind(data / "file", "/etc/one", "bind", "rw")) == "of the host\n1"
    assert (data / "file").read_text() == "changed\n"


def test_read_only_is_read_only(containerd, runtime, name, data):
    script = "(echo x >/data/new) 2>&1; (echo x >/one) 2>&1; (rm /data/file) 2>&1; cat /one"
    text = shown(containerd, runtime, name, script, bind(data, "/data", "rbind", "ro"),
                 bind(data / "file", "/one", "bind", "ro"))
    assert text.count("Read-only file system") == 3
    assert text.endswith("of the host")
    assert os.listdir(data) == ["file"]


@pytest.mark.parametrize("option, found", [("rbind", "deep"), ("bind", "none")])
def test_what_is_mounted_below(containerd, runtime, name, data, mounted_below, option, found):
    script = "cat /data/below/deep 2>/dev/null || echo none"
    assert shown(containerd, runtime, name, script, bind(data, "/data", option)) == found


def test_rro_is_read_only_all_the_way_down(containerd, runtime, name, data, mounted_below):
    script = "(echo x >/data/new) 2>&1; (echo y >/data/below/new) 2>&1; cat /data/below/deep"
    text = shown(containerd, runtime, name, script, bind(data, "/data", "rbind", "rro"))
    assert text.count("Read-only file system") == 2 and text.endswith("deep"), text
    assert not (data / "new").exists() and not (mounted_below / "new").exists()


def test_two_files_of_two_file_systems_are_two(containerd, runtime, name, data, mounted_below):
    script = "stat -c '%d %i' /data/file /data/below/deep | sort -u | wc -l"
    assert shown(containerd, runtime, name, script, bind(data, "/data", "rbind")) == "2"


def test_a_link_is_followed_on_the_host(containerd, runtime, name, data, tmp_path):
    (tmp_path / "link").symlink_to("data")
    assert shown(containerd, runtime, name, "cat /data/file", bind(tmp_path / "link", "/data", "rbind")) == "of the host"


def test_a_link_of_the_container_leads_nowhere_on_the_host(containerd, runtime, name, data, tmp_path):
    script = f"ln -s {tmp_path}/secret /data/out; ln -s ../secret /data/up; cat /data/out /data/up 2>&1; echo end"
    text = shown(containerd, runtime, name, script, bind(data, "/data", "rbind"))
    assert text.count("No such file or directory") == 2


def test_mounts_on_one_another(containerd, runtime, name, data):
    script = "cat /mnt/a/file; cat /mnt/a/b"
    assert shown(containerd, runtime, name, script, bind(data, "/mnt/a", "rbind"),
                 bind(data / "file", "/mnt/a/b", "bind")) == "of the host\nof the host"


def test_a_source_that_is_not_there_is_named(containerd, runtime, name, tmp_path):
    text = refused(containerd, runtime, name, bind(tmp_path / "nosuch", "/data", "rbind"))
    assert f"{tmp_path}/nosuch" in text and "no such file or directory" in text.lower()


@pytest.mark.vm
def test_mounts_that_would_have_to_reach_the_host_are_refused(containerd, runtime, name, data):
    text = refused(containerd, runtime, name, bind(data, "/data", "rbind", "rshared"))
    assert '"/data": option "rshared": not supported' in text


@pytest.mark.vm
def test_a_socket_is_refused(containerd, runtime, name, tmp_path):
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        text = refused(containerd, runtime, name, bind(path, "/socket", "bind"))
    assert f'bind of "{path}", neither a file nor a directory: not supported' in text
