"""The installed guest without a shim: whoever connects by its vsock device is a client of the agent, as upstream's are."""

import contextlib
import os
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from .parts import SHARE
from .ttrpc import Connection, Status, message, services

AGENT_PORT = 1024
GUEST_CID = 3
DEVICE_UID = 65534
MEMORY_MIB = 512
BOOT_SECONDS = 240
TAG = "kataShared"  # upstream's
SHARED = "/run/kata-containers/shared/containers"  # where upstream's runtimes have the guest mount it
QEMU = "qemu-system-x86_64"
VIRTIOFSD = "/usr/lib/qemu/virtiofsd"


class Agent:
    """The guest's agent: agent.StartContainer(container_id="c"). begin() for calls that wait."""

    def __init__(self, path):
        self.connection = Connection(path, connect=AGENT_PORT)

    def close(self):
        self.connection.close()

    def begin(self, method, timeout_ns=0, **fields):
        name, known = next((name, service.methods_by_name[method]) for name, service in
                           ((name, services(name)) for name in ("grpc.AgentService", "grpc.Health"))
                           if method in service.methods_by_name)
        request = message(known.input_type.full_name)(**fields).SerializeToString()
        stream = self.connection.begin(name, method, request, timeout_ns)
        output = message(known.output_type.full_name)
        return lambda timeout=None: output.FromString(self.connection.answer(stream, timeout))

    def __getattr__(self, method):
        return lambda **fields: self.begin(method, **fields)()


class BareGuest:
    """A machine of the installed parts. share: the directory that it mounts; path: its vsock socket, as Firecracker's."""

    def __init__(self, prefix, folder):
        self.prefix = Path(prefix)
        self.folder = Path(folder)
        self.share = self.folder / "share"
        self.share.mkdir()
        self.path = str(self.folder / "vsock.sock")
        self.console = self.folder / "console"
        self.processes = []
        self.agents = []

    def __enter__(self):
        try:
            self._boot()
            return self
        except BaseException:
            self.__exit__()
            raise

    def __exit__(self, *_):
        for agent in self.agents:
            agent.close()
        for process in reversed(self.processes):
            process.kill()
            process.wait()

    def _start(self, command, *fds, **options):
        self.processes.append(subprocess.Popen(command, pass_fds=[one.fileno() for one in fds], **options))

    def _boot(self):
        os.chown(self.folder, DEVICE_UID, DEVICE_UID)
        share, vmm = self._start_virtiofsd(), self._start_device()
        kernel = self.prefix / SHARE
        memory = tempfile.TemporaryFile(dir="/dev/shm")
        memory.truncate(MEMORY_MIB << 20)
        devices = []
        for name, driver, end in ("share", f"vhost-user-fs-pci,tag={TAG}", share), ("vsock", "vhost-user-vsock-pci", vmm):
            devices += ["-chardev", f"socket,id={name},fd={end.fileno()},server=off", "-device", f"{driver},chardev={name}"]
        with open(self.console, "wb") as console, memory:
            self._start([
                QEMU, "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", "-machine", "q35,memory-backend=memory", "-accel", "tcg", "-cpu",
                "max,erms=off",
                "-m", f"{MEMORY_MIB}M", "-object",
                f"memory-backend-file,id=memory,size={MEMORY_MIB}M,share=on,mem-path=/proc/self/fd/{memory.fileno()}",
                "-bios", "qboot.rom", "-serial", "stdio", "-kernel", kernel / "kernel", "-initrd", kernel / "initramfs",
                "-append", "console=ttyS0 quiet panic=-1 lsm=landlock", *devices,
            ], memory, share, vmm, stdin=subprocess.DEVNULL, stdout=console, stderr=subprocess.STDOUT)
        share.close()
        vmm.close()

    def _start_virtiofsd(self):
        path = str(self.folder / "virtiofsd.sock")
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
            listener.bind(path)
            listener.listen(1)
            client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            client.connect(path)
            with open(self.folder / "virtiofsd.log", "wb") as log:
                self._start([VIRTIOFSD, f"--fd={listener.fileno()}", "-o", f"source={self.share}", "-o", "sandbox=chroot"],
                            listener, stdout=log, stderr=log)
        return client

    def _start_device(self):
        ours, vmm = socket.socketpair()
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener, ours:
            listener.bind(self.path)
            listener.listen(16)
            with open(self.folder / "vsock.log", "wb") as log:
                self._start([
                    self.prefix / "libexec/kata-containers/kata-vsock", "--cid", str(GUEST_CID), "--dir", self.folder, "--uid", str(DEVICE_UID),
                    "--gid", str(DEVICE_UID), "--parent", str(os.getpid()), "--vmm", str(ours.fileno()), "--listen", str(listener.fileno()),
                ], listener, ours, stdout=log, stderr=log)
        return vmm

    def agent(self):
        """A connection of its own, once the agent serves."""
        deadline = time.monotonic() + BOOT_SECONDS
        while True:
            with contextlib.suppress(OSError):
                self.agents.append(Agent(self.path))
                return self.agents[-1]
            ended = [process.args[0] for process in self.processes if process.poll() is not None]
            assert not ended, f"{ended} ended: {self.console.read_text(errors='replace')[-2000:]}"
            assert time.monotonic() < deadline, self.console.read_text(errors="replace")[-2000:]
            time.sleep(0.1)
