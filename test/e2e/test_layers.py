"""An image of many layers: more than mount(2) has room for as absolute paths."""

import io
import tarfile

from harness.image import Layout

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


def test_every_layer_is_in_the_root_file_system(containerd, runtime, name, image, tmp_path):
    tag = "localhost/layers:latest"
    layout = Layout(image)
    layout.add_layers(tag, [layer(number) for number in range(1, LAYERS + 1)])
    layout.write(tmp_path / "image.tar")
    containerd.import_image(tmp_path / "image.tar")
    script = "ls /layer-* | wc -l; cat /last; echo; echo mine >/last && cat /last"
    result = containerd.ctr("run", "--rm", "--runtime", runtime, tag, name(), "sh", "-c", script).check()
    assert result.text.split() == [str(LAYERS), str(LAYERS), "mine"]
    containerd.ctr("images", "rm", "--sync", tag).check()
