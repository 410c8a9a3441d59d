"""File systems in images, made of a folder, and damaged ones."""

import random
import subprocess
from pathlib import Path

LOOP = ["loop"]


def ext4(path, folder=None, mib=16):
    """Without checksums, which would find most damages before they do any."""
    content = ["-d", folder] if folder else []
    subprocess.run(["mkfs.ext4", "-q", "-O", "^metadata_csum,^has_journal", *content, path, f"{mib}M"], check=True)
    return path


def erofs(path, folder, program):
    """program: mkfs.erofs (harness.newer)."""
    subprocess.run([program, "--quiet", "-Enosbcrc", path, folder], check=True)
    return path


def layers(written, *images):
    """The mounts that containerd's snapshotter erofs says an image's layers are, the topmost first."""
    overlay = ["X-containerd.mkdir.path={{ mount 0 }}/upper:0755", "X-containerd.mkdir.path={{ mount 0 }}/work:0755",
               "workdir={{ mount 0 }}/work", "upperdir={{ mount 0 }}/upper"]
    lower = f"lowerdir={{{{ overlay 1 {len(images)} }}}}" if len(images) > 1 else "lowerdir={{ mount 1 }}"
    return [("ext4", written, ["rw", *LOOP]), *(("erofs", image, ["ro", *LOOP]) for image in images),
            ("format/mkdir/overlay", "overlay", [*overlay, lower])]


def damaged(image, path, seed, first, last, flips):
    """A copy with so many bits of its bytes from first to last the other way round."""
    data, choose = bytearray(Path(image).read_bytes()), random.Random(seed)
    for _ in range(flips):
        data[choose.randrange(first, min(last, len(data)))] ^= 1 << choose.randrange(8)
    Path(path).write_bytes(data)
    return path
