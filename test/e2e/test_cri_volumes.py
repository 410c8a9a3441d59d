"""What a kubelet mounts into the containers of a pod: folders of the node, kept up to date."""

import os
import subprocess
import threading
import time

import pytest
from harness.files import files_program
from harness.parts import static_program
from harness.processes import wait_for

UPDATES = int(os.environ.get("KATA_UPDATES", "50"))
BETWEEN = 0.03  # seconds, of two of them
KEPT_SECONDS = 1.5  # the guest keeps what it has seen of the host's files for one second, and a tick

# Unix sockets, of which busybox has no tool: "serve PATH" answers each with "hello", "ask PATH" prints an answer.
UNIX_SOCKET = r"""
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	char answer[16] = "";
	ssize_t n;

	strcpy(address.sun_path, argv[2]);
	if (strcmp(argv[1], "ask") == 0) {
		if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
			return 1;
		n = read(fd, answer, sizeof(answer));
		return n < 0 || fwrite(answer, 1, n, stdout) != n;
	}
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, 5) < 0)
		return 1;
	for (;;) {
		int client = accept(fd, NULL, NULL);

		if (client < 0 || write(client, "hello\n", 6) < 0)
			return 1;
		close(client);
	}
}
"""


@pytest.fixture(scope="session")
def unix_socket(tmp_path_factory):
    return static_program(tmp_path_factory.mktemp("unix") / "unix", text=UNIX_SOCKET)


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "volume"
    made.mkdir()
    return made


@pytest.fixture
def config_folder(tmp_path):
    made = tmp_path / "volumes/kubernetes.io~configmap/settings"
    made.mkdir(parents=True)
    return made


def mount(path, at, **more):
    return {"container_path": at, "host_path": str(path), **more}


class ConfigMap:
    """A folder as a kubelet writes it: each version is a folder of its own, and one rename shows it."""

    def __init__(self, folder, files):
        self.folder, self.version = folder, 0
        for name in files:
            os.symlink(f"..data/{name}", folder / name)
        self.write(files)

    def write(self, files):
        old, self.version = self.folder / f"..{self.version}", self.version + 1
        new = self.folder / f"..{self.version}"
        new.mkdir()
        for name, text in files.items():
            (new / name).write_text(text)
        os.symlink(new.name, self.folder / "..data_tmp")
        os.rename(self.folder / "..data_tmp", self.folder / "..data")
        if old.exists():
            for name in os.listdir(old):
                (old / name).unlink()
            old.rmdir()


def test_folders_and_files_of_the_node(cri_pods, folder, tmp_path):
    (folder / "a").write_text("1")
    (tmp_path / "file").write_text("of the node")
    pod = cri_pods.run()
    container = pod.start("sleep", "1000", mounts=[
        mount(folder, "/folder"), mount(folder, "/fixed", readonly=True), mount(tmp_path / "file", "/etc/file"),
    ])
    assert container.output("cat", "/etc/file") == "of the node"
    container.output("sh", "-c", "echo 2 >/folder/b; echo changed >/etc/file")
    assert ((folder / "b").read_text(), (tmp_path / "file").read_text()) == ("2\n", "changed\n")
    assert container.output("ls", "/fixed") == "a\nb\n"
    assert "Read-only file system" in container.exec("touch", "/fixed/c").stderr.decode()
    pod.end()


def test_changes_of_the_node_are_seen(cri_pods, folder):
    pod = cri_pods.run()
    container = pod.start("sleep", "1000", mounts=[mount(folder, "/data")])
    assert container.output("ls", "/data") == ""
    for number in range(3):
        (folder / "file").write_text(str(number))
        time.sleep(KEPT_SECONDS)
        assert container.output("cat", "/data/file") == str(number)
    (folder / "file").unlink()
    time.sleep(KEPT_SECONDS)
    assert container.output("ls", "/data") == ""
    pod.end()


def test_an_update_of_a_config_map_is_seen_whole(cri_pods, config_folder):
    names = [f"key-{number}" for number in range(20)]
    config = ConfigMap(config_folder, dict.fromkeys(names, "0"))
    pod = cri_pods.run()
    container = pod.start("sleep", "1000", mounts=[mount(config_folder, "/config", readonly=True)])
    for version in range(1, 4):
        assert container.output("sh", "-c", "cat /config/key-*") == str(version - 1) * len(names)
        config.write(dict.fromkeys(names, str(version)))
        assert wait_for(lambda: container.output("cat", "/config/key-0") == str(version))
        assert container.output("sh", "-c", "cat /config/..data/*") == str(version) * len(names)
    pod.end()


@pytest.mark.parametrize("handler", ["kata"], indirect=True)  # under runc a read may find an old file gone
def test_no_read_fails_while_a_config_map_is_updated(cri_pods, config_folder, tmp_path):
    config = ConfigMap(config_folder, {"key": "0"})
    pod = cri_pods.run()
    container = pod.start("sleep", "1000", mounts=[
        mount(config_folder, "/config", readonly=True), mount(files_program(tmp_path), "/files", readonly=True)])
    answers = []
    reader = threading.Thread(target=lambda: answers.append(
        container.output("sh", "-c", "echo follow /config/key last | /files")))
    reader.start()
    for version in range(1, UPDATES):
        time.sleep(BETWEEN)
        config.write({"key": str(version)})
    config.write({"key": "last"})
    reader.join()
    assert answers == ["begins\n0 failed\n"]
    pod.end()


def test_keys_of_a_config_map_come_and_go(cri_pods, config_folder):
    config = ConfigMap(config_folder, {"old": "1", "same": "1"})
    os.chown(config_folder / "..1/same", 12, 34)
    os.chmod(config_folder / "..1/same", 0o640)
    pod = cri_pods.run()
    container = pod.start("sleep", "1000", mounts=[mount(config_folder, "/config", readonly=True)])
    assert container.output("stat", "-L", "-c", "%a %u %g", "/config/same") == "640 12 34\n"
    config.write({"new": "2", "same": "2"})
    os.symlink("..data/new", config_folder / "new")
    (config_folder / "old").unlink()
    assert wait_for(lambda: container.output("ls", "/config") == "new\nsame\n")
    assert container.output("cat", "/config/new", "/config/same") == "22"
    assert "Read-only file system" in container.exec("touch", "/config/file").stderr.decode()
    pod.end()


def test_a_file_of_a_volume_is_mounted_by_a_sub_path(cri_pods, folder):
    (folder / "settings").write_text("a setting\n")
    pod = cri_pods.run()
    container = pod.start("sleep", "1000", mounts=[mount(folder / "settings", "/etc/settings", readonly=True)])
    assert container.output("cat", "/etc/settings") == "a setting\n"
    (folder / "new").write_text("another\n")
    os.rename(folder / "new", folder / "settings")  # the mount is of the old file
    assert container.output("cat", "/etc/settings") == "a setting\n"
    pod.end()


@pytest.fixture
def memory(folder):
    """An emptyDir of medium Memory, as a kubelet has it for a pod with an fsGroup."""
    path = folder / "volumes/kubernetes.io~empty-dir/cache"
    path.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", path], check=True)
    os.chown(path, 0, 1234)
    path.chmod(0o2777)
    yield path
    subprocess.run(["umount", path], check=True)


@pytest.fixture
def sub_path(memory, folder):
    """What the kubelet binds for a container with a subPath: a directory that it has made in the volume."""
    (memory / "a/b").mkdir(parents=True)
    path = folder / "volume-subpaths/cache/one/0"
    path.mkdir(parents=True)
    subprocess.run(["mount", "--bind", memory / "a/b", path], check=True)
    yield path
    subprocess.run(["umount", path], check=True)


def test_an_empty_folder_of_memory_is_shared(cri_pods, memory, unix_socket):
    mounts = [mount(memory, "/memory"), mount(unix_socket, "/unix", readonly=True)]
    pod = cri_pods.run()
    init = pod.start("sh", "-c", "echo text >/memory/file; stat -c '%a %u %g' /memory", name="init", mounts=mounts)
    assert init.wait_exited().exit_code == 0
    init.wait_text("2777 0 1234")
    init.remove()
    server = pod.start("/unix", "serve", "/memory/socket", name="server", mounts=mounts)
    one = pod.start("sleep", "1000", name="one", mounts=mounts)
    assert one.output("cat", "/memory/file") == "text\n"
    assert one.output("stat", "-c", "%g", "/memory/file") == "1234\n"
    assert one.output("df", "-k", "/memory").splitlines()[1].split()[:2] == ["tmpfs", "8192"]
    assert wait_for(lambda: one.exec("/unix", "ask", "/memory/socket").stdout == b"hello\n", pause=0.2), server.status
    assert one.exec("sh", "-c", "head -c 16000000 /dev/zero >/memory/large").exit_code != 0
    pod.end()


@pytest.mark.parametrize("handler", ["kata"])
def test_an_empty_folder_of_memory_is_the_guests(cri_pods, memory):
    """It is counted where it is used, and nothing of it is on the node."""
    pod = cri_pods.run()
    container = pod.start("sleep", "1000", mounts=[mount(memory, "/memory")])
    container.output("sh", "-c", "head -c 4000000 /dev/zero >/memory/large")
    rows = dict(row.split() for row in container.output("cat", "/sys/fs/cgroup/memory.stat").splitlines())
    assert int(rows["shmem"]) >= 4000000
    assert os.listdir(memory) == []
    pod.end()


@pytest.mark.parametrize("handler", ["kata"])
def test_an_empty_folder_of_memory_leaves_the_guest_its_own(cri_pods, memory):
    """Without limits a kubelet lets it have what the node has: it is full before the machine is out of memory."""
    subprocess.run(["mount", "-o", "remount,size=64g", memory], check=True)
    pod = cri_pods.run()
    container = pod.start("sleep", "1000", mounts=[mount(memory, "/memory")])
    done = container.exec("dd", "if=/dev/zero", "of=/memory/large", "bs=1M")
    assert done.exit_code == 1 and b"No space left on device" in done.stderr, done
    assert container.output("echo", "goes on") == "goes on\n"
    pod.end()


def test_a_sub_path_of_an_empty_folder_of_memory_is_in_it(cri_pods, memory, sub_path):
    pod = cri_pods.run()
    one = pod.start("sleep", "1000", name="one", mounts=[mount(sub_path, "/below")])
    all_of_it = pod.start("sleep", "1000", name="all", mounts=[mount(memory, "/memory")])
    one.output("sh", "-c", "echo text >/below/file")
    assert all_of_it.output("cat", "/memory/a/b/file") == "text\n"
    pod.end()


@pytest.mark.parametrize("handler", ["kata"])
def test_a_link_at_a_sub_path_leads_to_the_volume_alone(cri_pods, memory, sub_path):
    pod = cri_pods.run()
    one = pod.start("sleep", "1000", name="one", mounts=[mount(sub_path, "/below")])
    all_of_it = pod.start("sleep", "1000", name="all", mounts=[mount(memory, "/memory")])
    all_of_it.output("sh", "-c", "rm -r /memory/a/b; ln -s / /memory/a/b")
    one.stop()
    again = pod.start("sleep", "1000", name="one", mounts=[mount(sub_path, "/below")])
    assert again.output("ls", "/below") == "a\n"
    pod.end()


def test_containers_meet_at_a_socket_in_a_volume(cri_pods, folder, unix_socket):
    mounts = [mount(folder, "/sockets"), mount(unix_socket, "/unix", readonly=True)]
    pod = cri_pods.run()
    server = pod.start("/unix", "serve", "/sockets/here", name="server", mounts=mounts)
    client = pod.start("sleep", "1000", name="client", mounts=mounts)
    assert wait_for(lambda: client.exec("/unix", "ask", "/sockets/here").stdout == b"hello\n", pause=0.2), server.status
    pod.end()


def test_a_termination_message_is_written(cri_pods, tmp_path):
    (tmp_path / "message").touch()
    pod = cri_pods.run()
    container = pod.start("sh", "-c", "echo the reason >/dev/termination-log; exit 2", mounts=[mount(tmp_path / "message", "/dev/termination-log")])
    assert container.wait_exited().exit_code == 2
    assert (tmp_path / "message").read_text() == "the reason\n"
    pod.end()


def test_hosts_and_resolver_are_writable_as_the_root_is(cri_pods):
    pod = cri_pods.run()
    plain = pod.start("sleep", "1000", name="plain")
    fixed = pod.start("sleep", "1000", name="fixed", security={"readonly_rootfs": True})
    assert plain.exec("sh", "-c", "echo >>/etc/hosts && echo >>/etc/resolv.conf && touch /file").exit_code == 0
    for path in ("/etc/hosts", "/etc/resolv.conf", "/file"):
        assert "Read-only file system" in fixed.exec("sh", "-c", f"echo >>{path}").stderr.decode()
    pod.end()


def test_the_shared_memory_of_a_pod_has_its_size(cri_pods):
    pod = cri_pods.run()
    one, two = pod.start("sleep", "1000", name="one"), pod.start("sleep", "1000", name="two")
    rows = [container.output("df", "-k", "/dev/shm").splitlines()[1].split() for container in (one, two)]
    assert [(row[0], row[1]) for row in rows] == [("shm", "65536")] * 2
    pod.end()
