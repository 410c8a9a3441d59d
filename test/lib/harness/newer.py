"""The containerd of later suites of Debian."""

import os
import subprocess

from . import REPO


def newer_containerd(suite):
    """The folder it is unpacked in, from the cache."""
    script = f'. {REPO}/test/lib/steps.sh; newer_containerd "$1"'
    command = ["bash", "-c", script, "newer_containerd", suite]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def newer_path(suite):
    """A PATH on which this containerd and its ctr come first."""
    return f"{newer_containerd(suite)}/usr/bin:{os.environ['PATH']}"
