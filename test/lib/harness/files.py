"""test/lib/files.c in a container: a program that does one thing with a file after the other, as it is told."""

import os
import subprocess

from . import REPO
from .bench import PREFIX
from .newer import newer_virtiofsd
from .parts import static_program

SOURCE = os.path.join(REPO, "test/lib/files.c")
GROUP = 1001  # as there


def files_program(folder):
    return static_program(folder / "files", SOURCE)


def configurations(folder):
    """daemon that serves files -> a configuration.toml that names it"""
    made = {}
    daemons = {"C": "/usr/lib/qemu/virtiofsd", "Rust": newer_virtiofsd(folder), "ours": os.path.join(PREFIX, "libexec/kata-containers/kata-fs")}
    for name, path in daemons.items():
        made[name] = os.path.join(folder, f"{name}.toml")
        with open(made[name], "w", encoding="ascii") as file:
            file.write(f'[hypervisor.qemu]\nvirtio_fs_daemon = "{path}"\n')
    return made


def bind(source, target, *options):
    return ["--mount", f"type=bind,src={source},dst={target},options={':'.join(options)}"]


class Files:
    """One container that runs it. tell() is what it answers to a command; a folder of the host is at /bind, and
    /data of its root file system is seen on the host at .root."""

    def __init__(self, containerd, container, runtime, program, folder, flags=(), make_data=True):
        self.containerd, self.container, self.folder = containerd, container, folder
        self.bound = f"{folder}.bound"  # a file that is bound itself
        with open(self.bound, "w", encoding="ascii") as file:
            file.write("bound")
        self.running = containerd.run_background(
            container, "/files", runtime=runtime, stdin=subprocess.PIPE,
            flags=[*bind(program, "/files", "bind", "ro"), *bind(folder, "/bind", "rbind", "rw"),
                   *bind(self.bound, "/bound", "bind", "rw"), *flags])
        assert self.running.poll() is None, self.end()
        self.root = f"/proc/{containerd.task_pid(container)}/root/data"
        if make_data:  # it is not in the image
            os.makedirs(self.root, exist_ok=True)

    def places(self):
        """place -> (what the host calls it, what the container calls it)"""
        return {"root": (self.root, "/data"), "bind": (str(self.folder), "/bind")}

    def send(self, *words):
        self.running.stdin.write((" ".join(words) + "\n").encode())
        self.running.stdin.flush()

    def receive(self):
        return self.running.stdout.readline().decode().rstrip("\n")

    def tell(self, *words):
        self.send(*words)
        return self.receive()

    def end(self):
        return self.containerd.finish(self.running)
