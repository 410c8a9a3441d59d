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


def _script(folder, name, function, program, comment=""):
    """A program with libraries that are not the installed ones: a script in the folder."""
    top = _unpacked(function)
    path = os.path.join(folder, name)
    with open(path, "w", encoding="ascii") as script:
        script.write(f"#!/bin/sh\n{comment}exec {top}/usr/lib64/ld-linux-x86-64.so.2 "
                     f'--library-path {top}/usr/lib/x86_64-linux-gnu {top}/{program} "$@"\n')
    os.chmod(path, 0o755)
    return path


def newer_virtiofsd(folder):
    """The virtiofsd in Rust."""
    return _script(folder, "virtiofsd", "newer_virtiofsd", "usr/libexec/virtiofsd", "# It has the option --inode-file-handles.\n")


def newer_erofs(folder):
    """The mkfs.erofs that containerd calls."""
    return _script(folder, "mkfs.erofs", "newer_erofs", "usr/bin/mkfs.erofs")
