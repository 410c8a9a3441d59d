"""What the e2e tests and the benchmarks share: a private containerd, ctr, and a look at processes."""

import os

REPO = os.path.realpath(os.path.join(os.path.dirname(__file__), "../../.."))
RUNC = "io.containerd.runc.v2"
KATA = "io.containerd.kata.v2"
IMAGE = "localhost/busybox:latest"
