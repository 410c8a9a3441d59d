"""The runtime's executable, called as containerd does."""

import os
import subprocess

from .processes import SOON


class ShimCommand:
    def __init__(self, path, containerd):
        self.path = path
        self.containerd = containerd

    def __call__(self, container, bundle, action):
        """start or delete of a container, in its bundle."""
        flags = ["-namespace", self.containerd.namespace, "-id", container, "-address", self.containerd.address,
                 "-publish-binary", "/usr/bin/containerd"]
        if action == "delete":
            flags += ["-bundle", str(bundle)]
        return self.run(*flags, action, cwd=bundle)

    def run(self, *arguments, cwd="/"):
        env = dict(os.environ, TTRPC_ADDRESS=f"{self.containerd.address}.ttrpc", GRPC_ADDRESS=self.containerd.address,
                   CONTAINERD_NAMESPACE=self.containerd.namespace)
        return subprocess.run(
            [self.path, *arguments], cwd=cwd, env=env, stdin=subprocess.DEVNULL, capture_output=True, timeout=SOON,
            check=False,
        )
