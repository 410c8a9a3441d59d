"""The image that tests run, as test/lib/image makes it."""

import os
import subprocess
import tarfile

from . import REPO


def busybox_image():
    """Its path: $KATA_IMAGE, or from the cache."""
    if "KATA_IMAGE" in os.environ:
        return os.environ["KATA_IMAGE"]
    script = f". {REPO}/test/lib/steps.sh; busybox_image"
    return subprocess.run(["bash", "-c", script], check=True, capture_output=True, text=True).stdout.strip()


def unpack(image, folder):
    """The image's one layer, which is its largest blob, into a folder."""
    with tarfile.open(image) as layout:
        blobs = [member for member in layout if member.name.startswith("./blobs/sha256/")]
        with tarfile.open(fileobj=layout.extractfile(max(blobs, key=lambda member: member.size))) as layer:
            layer.extractall(folder, numeric_owner=True)
