"""A private containerd that serves Kubernetes, as its CRI plugin does it."""

import os
import secrets
import shutil

from . import cgroups
from .containerd import Containerd
from .cri import Cri
from .image import pause_image
from .processes import wait_for

SANDBOXES = "io.containerd.sandbox.controller.v1.shim"
CACHE = "/var/lib/cni"  # libcni's, which no setting moves


class CriContainerd(Containerd):
    """Its pods are in the namespace k8s.io, and their cgroups in a folder of its own."""

    options = ("cri",)

    def __init__(self, bin_dir, path=None):
        super().__init__(bin_dir, "k8s.io", path)
        self.cgroups = f"cri-{secrets.token_hex(4)}"
        self.cri = Cri(self.address)

    def start(self):
        super().start()
        self.cri.wait_ready()
        return self

    def stop(self):
        self.cri.close()
        left = super().stop()
        cgroups.remove(self.cgroups)
        return left

    def import_images(self, image):
        """The tests' image, and one of it for pause containers: returns when CRI has seen them."""
        folder = os.path.join(self.dir, "pause")
        for path in (image, pause_image(image, folder)):
            self.import_image(path)
        shutil.rmtree(folder)
        assert wait_for(lambda: len(self.cri.ListImages().images) == 2), self.cri.ListImages()

    def bundle(self, container):
        """A sandbox of the Sandbox API has its own place for them."""
        sandbox = os.path.join(self.dir, "state", SANDBOXES, self.namespace, container)
        return sandbox if os.path.isdir(sandbox) else super().bundle(container)

    @property
    def trees(self):
        files = [os.path.join(self.dir, "root/io.containerd.grpc.v1.cri", kind) for kind in ("sandboxes", "containers")]
        return [*super().trees, *files, os.path.join(self.dir, "root", SANDBOXES), os.path.join(self.dir, "leases"), CACHE]

    def end_all(self):
        for pod in self.cri.ListPodSandbox().items:
            self.cri.StopPodSandbox(pod_sandbox_id=pod.id)
            self.cri.RemovePodSandbox(pod_sandbox_id=pod.id)
        super().end_all()
