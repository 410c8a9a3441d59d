"""The installed runtime with some of its parts missing or replaced, and guests that misbehave."""

import contextlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

SHARE = "share/kata-containers"
CONFIGURATION = "share/defaults/kata-containers/configuration.toml"


@contextlib.contextmanager
def altered_prefix(prefix, replacements, configuration=""):
    """A copy of an installed tree. replacements: path below the prefix -> a file in its place, or None for none.

    Executables are copied, since the runtime finds its other parts by the place of its executable; the rest is linked.
    """
    with tempfile.TemporaryDirectory(prefix="kata-prefix.") as copy:
        os.chmod(copy, 0o755)
        for folder in ("bin", "libexec"):
            shutil.copytree(os.path.join(prefix, folder), os.path.join(copy, folder))
        os.makedirs(os.path.join(copy, SHARE))
        for name in os.listdir(os.path.join(prefix, SHARE)):
            os.symlink(os.path.join(prefix, SHARE, name), os.path.join(copy, SHARE, name))
        for path, source in replacements.items():
            os.unlink(os.path.join(copy, path))
            if source:
                shutil.copy(source, os.path.join(copy, path))
        if configuration:
            file = Path(copy, CONFIGURATION)
            file.parent.mkdir(parents=True)
            file.write_text(configuration, encoding="utf-8")
        yield copy


@contextlib.contextmanager
def hidden(path):
    """The file is not there, for whoever starts now in our mount namespace: see test/lib/sandbox."""
    folder = os.path.realpath(os.path.dirname(path))
    with tempfile.TemporaryDirectory(prefix="kata-hidden.") as work:
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", work], check=True)
        try:
            for name in ("upper", "work"):
                os.mkdir(os.path.join(work, name))
            whiteout = os.path.join(work, "upper", os.path.basename(path))
            subprocess.run(["mknod", whiteout, "c", "0", "0"], check=True)
            options = f"lowerdir={folder},upperdir={work}/upper,workdir={work}/work"
            subprocess.run(["mount", "-t", "overlay", "overlay", "-o", options, folder], check=True)
            try:
                yield
            finally:
                subprocess.run(["umount", "-l", folder], check=True)
        finally:
            subprocess.run(["umount", "-l", work], check=True)


def _cpio_entry(name, mode, content):
    """As guest-image/initramfs writes them."""
    fields = [1, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name) + 1, 0]
    header = b"070701" + b"".join(b"%08X" % field for field in fields) + name.encode() + b"\0"
    return b"".join(part + bytes(-len(part) % 4) for part in (header, content))


def initramfs_with(prefix, init, made):
    """The installed initramfs with another program as /init, as the file made: the kernel unpacks one archive after
    the other."""
    override = _cpio_entry("init", 0o100755, Path(init).read_bytes()) + _cpio_entry("TRAILER!!!", 0, b"")
    Path(made).write_bytes(Path(prefix, SHARE, "initramfs").read_bytes() + override)
    return str(made)


def static_program(made, *sources, text=None):
    """A C program for a guest: of these files, or of a text."""
    stdin = None if text is None else text.encode()
    subprocess.run(["gcc", "-D_GNU_SOURCE", "-O1", "-static", "-o", made, "-x", "c", *(sources or ["-"])], input=stdin, check=True)
    return str(made)


def overridden_init(prefix, source, folder):
    """The installed initramfs with a C program as /init, in folder."""
    return initramfs_with(prefix, static_program(Path(folder, "init"), text=source), Path(folder, "initramfs"))
