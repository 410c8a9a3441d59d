"""The image that tests run, as test/lib/image makes it."""

import hashlib
import io
import json
import os
import subprocess
import tarfile
from pathlib import Path

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


PAUSE = "localhost/pause:latest"
PAUSE_COMMAND = ["sh", "-c", "trap exit TERM; while :; do sleep 1000 & wait; done"]  # reaps what comes to it


def pause_image(image, folder):
    """An image of CRI's pause containers, of the same file system: the path of its tar, in a folder of its own."""
    layout = Path(folder, "layout")
    with tarfile.open(image) as tar:
        tar.extractall(layout)

    def read(descriptor):
        return json.loads((layout / "blobs/sha256" / descriptor["digest"].removeprefix("sha256:")).read_bytes())

    def write(descriptor, value):
        blob = json.dumps(value).encode()
        digest = hashlib.sha256(blob).hexdigest()
        (layout / "blobs/sha256" / digest).write_bytes(blob)
        descriptor.update(digest=f"sha256:{digest}", size=len(blob))

    index = json.loads((layout / "index.json").read_bytes())
    manifest = read(index["manifests"][0])
    config = read(manifest["config"])
    config["config"]["Cmd"] = PAUSE_COMMAND
    write(manifest["config"], config)
    write(index["manifests"][0], manifest)
    index["manifests"][0]["annotations"]["io.containerd.image.name"] = PAUSE
    (layout / "index.json").write_text(json.dumps(index), encoding="ascii")
    made = str(Path(folder, "pause.tar"))
    with tarfile.open(made, "w") as tar:
        tar.add(layout, ".")
    return made


class Layout:
    """An OCI image layout: the blobs of another one, and more."""

    def __init__(self, image):
        with tarfile.open(image) as tar:
            self.files = {info.name: tar.extractfile(info).read() for info in tar if info.isfile()}

    def blob(self, descriptor):
        return json.loads(self.files[f"./blobs/sha256/{descriptor['digest'].removeprefix('sha256:')}"])

    def add(self, kind, data):
        digest = hashlib.sha256(data).hexdigest()
        self.files[f"./blobs/sha256/{digest}"] = data
        return {"mediaType": f"application/vnd.oci.image.{kind}", "digest": f"sha256:{digest}", "size": len(data)}

    def add_layers(self, name, layers):
        """Layers: tars, uncompressed."""
        index = json.loads(self.files["./index.json"])
        manifest = self.blob(index["manifests"][0])
        config = self.blob(manifest["config"])
        for layer in layers:
            manifest["layers"].append(self.add("layer.v1.tar", layer))
            config["rootfs"]["diff_ids"].append(manifest["layers"][-1]["digest"])
        manifest["config"] = self.add("config.v1+json", json.dumps(config).encode())
        index["manifests"] = [self.add("manifest.v1+json", json.dumps(manifest).encode())]
        index["manifests"][0]["annotations"] = {"io.containerd.image.name": name}
        self.files["./index.json"] = json.dumps(index).encode()

    def write(self, path):
        with tarfile.open(path, "w") as tar:
            for name, data in self.files.items():
                info = tarfile.TarInfo(name)
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
