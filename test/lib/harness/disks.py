"""Block devices of the host for tests: files, and loop devices on them."""

import subprocess
from pathlib import Path

MIB = 1 << 20


class Loop:
    """A loop device on a file of its own."""

    def __init__(self, folder, name, mib, *flags):
        self.file = Path(folder) / name
        with open(self.file, "wb") as file:
            file.truncate(mib * MIB)
        attached = subprocess.run(["losetup", "--find", "--show", *flags, self.file], check=True, stdout=subprocess.PIPE)
        self.path = attached.stdout.decode().strip()

    def write(self, text, at=0):
        """By the device: what it has cached is not what the file has."""
        with open(self.path, "r+b") as device:
            device.seek(at)
            device.write(text.encode())

    def read(self, size, at=0):
        with open(self.path, "rb") as device:
            device.seek(at)
            return device.read(size).decode()

    def grow(self, mib):
        with open(self.file, "r+b") as file:
            file.truncate(mib * MIB)
        subprocess.run(["losetup", "--set-capacity", self.path], check=True)

    def detach(self):
        """Fails as long as anybody has it open. Once is enough."""
        if not self.path:
            return
        subprocess.run(["losetup", "--detach", self.path], check=True)
        left = subprocess.run(["losetup", "--noheadings", "--output", "NAME", "--associated", self.file], check=True,
                              stdout=subprocess.PIPE)
        assert not left.stdout, f"{self.path} is in use"
        self.path = None
