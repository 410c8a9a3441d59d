"""An image of many layers: more than mount(2) has room for as absolute paths."""

import hashlib
import io
import json
import tarfile

LAYERS = 64


def layer(number):
    """A tar with one file of its own, and one that every layer replaces."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name in (f"layer-{number}", "last"):
            info = tarfile.TarInfo(name)
            text = str(number).encode()
            info.size = len(text)
            tar.addfile(info, io.BytesIO(text))
    return out.getvalue()


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

    def add_layers(self, name, count):
        index = json.loads(self.files["./index.json"])
        manifest = self.blob(index["manifests"][0])
        config = self.blob(manifest["config"])
        for number in range(1, count + 1):
            manifest["layers"].append(self.add("layer.v1.tar", layer(number)))
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


def test_every_layer_is_in_the_root_file_system(containerd, runtime, name, image, tmp_path):
    tag = "localhost/layers:latest"
    layout = Layout(image)
    layout.add_layers(tag, LAYERS)
    layout.write(tmp_path / "image.tar")
    containerd.import_image(tmp_path / "image.tar")
    script = "ls /layer-* | wc -l; cat /last; echo; echo mine >/last && cat /last"
    result = containerd.ctr("run", "--rm", "--runtime", runtime, tag, name(), "sh", "-c", script).check()
    assert result.text.split() == [str(LAYERS), str(LAYERS), "mine"]
    containerd.ctr("images", "rm", "--sync", tag).check()
