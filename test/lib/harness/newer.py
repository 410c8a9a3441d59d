"""The containerd and the docker of later suites of Debian."""

import os
import subprocess

from . import REPO


def _unpacked(function, suite):
    """The folder that a function of steps.sh unpacks packages in, from the cache."""
    script = f'. {REPO}/test/lib/steps.sh; {function} "$1"'
    command = ["bash", "-c", script, function, suite]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def newer_containerd(suite):
    return _unpacked("newer_containerd", suite)


def newer_path(suite):
    """A PATH on which this containerd and its ctr come first."""
    return f"{newer_containerd(suite)}/usr/bin:{os.environ['PATH']}"


def newer_docker_path(suite):
    """The same with docker, its daemon and its proxy."""
    docker = _unpacked("newer_docker", suite)
    return f"{docker}/usr/bin:{docker}/usr/sbin:{newer_path(suite)}"
