"""What the e2e tests and the benchmarks share: a private containerd, ctr, and a look at processes."""

import os
import re

REPO = os.path.realpath(os.path.join(os.path.dirname(__file__), "../../.."))
RUNC = "io.containerd.runc.v2"
KATA = "io.containerd.kata.v2"
IMAGE = "localhost/busybox:latest"
# The beginning of a sanitizer's report in a log: its first line is all that a shim tells of its device's last words, and
# an agent's is on the console that the shim logs when it debugs.
SANITIZER = re.compile(r"AddressSanitizer|={65}|==\d+==|: runtime error: ")
