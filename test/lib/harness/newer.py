"""The containerd and the docker of later suites of Debian."""

import os
import subprocess

from . import REPO


def _unpacked(function, suite=""):
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


def newer_virtiofsd(folder):
    """The virtiofsd in Rust: a script in the folder, as its libraries are not the installed ones."""
    top = _unpacked("newer_virtiofsd")
    path = os.path.join(folder, "virtiofsd")
    with open(path, "w", encoding="ascii") as script:
        script.write("#!/bin/sh\n# It has the option --inode-file-handles.\n"
                     f"exec {top}/usr/lib64/ld-linux-x86-64.so.2 --library-path {top}/usr/lib/x86_64-linux-gnu "
                     f'{top}/usr/libexec/virtiofsd "$@"\n')
    os.chmod(path, 0o755)
    return path
