"""The shim's executable with a fake service (fake_service.c), run by hand as containerd runs it."""

import glob
import json
import os
import signal
import subprocess
import sys

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../../lib"))

from harness.processes import SOON, alive, kill, wait_for, wait_gone  # noqa: E402

CONTAINERD = "/run/containerd/containerd.sock"
CONFIG = {
    "ociVersion": "1.0.2",
    "process": {"args": ["true"], "cwd": "/", "user": {"uid": 0, "gid": 0}},
    "root": {"path": "rootfs"},
    "linux": {"namespaces": [{"type": "pid"}, {"type": "mount"}]},
}


class Bundle:
    """A bundle, and the shim's commands for its container."""

    def __init__(self, path, shim, reports, container="web", namespace="default"):
        self.path = str(path)
        self.shim = shim
        self.id = container
        self.namespace = namespace
        self.containerd = CONTAINERD
        self.env = dict(os.environ, ASAN_OPTIONS=f"log_path={reports}", UBSAN_OPTIONS=f"log_path={reports}")
        self.env.pop("TTRPC_ADDRESS", None)
        os.makedirs(f"{self.path}/rootfs")
        self.write("rootfs/precious", "data")
        self.write("config.json", json.dumps(CONFIG))
        self.write("log", "")

    def write(self, name, text):
        with open(f"{self.path}/{name}", "w", encoding="utf-8") as file:
            file.write(text)

    def read(self, name):
        with open(f"{self.path}/{name}", encoding="utf-8") as file:
            return file.read()

    def has(self, name):
        return os.path.exists(f"{self.path}/{name}")

    def run(self, *args, **options):
        settings = dict(
            cwd=self.path, env=self.env, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=SOON,
        )
        settings.update(options)
        return subprocess.run([self.shim, *args], check=False, **settings)

    def command(self, *args, **options):
        return self.run(
            "-namespace", self.namespace, "-address", self.containerd, "-publish-binary", "/usr/bin/containerd",
            "-id", self.id, *args, **options,
        )

    def start(self, **options):
        return self.command("start", **options)

    def started(self, **options):
        """Starts; returns the address."""
        result = self.start(**options)
        assert result.returncode == 0, result
        assert result.stderr == b""
        return result.stdout.decode()

    def delete(self, **options):
        return self.command("-bundle", self.path, "delete", **options)

    @property
    def pid(self):
        return int(self.read("shim.pid"))

    def end(self, number=signal.SIGTERM):
        kill(self.pid, number)
        assert wait_gone(self.pid)


def _shims():
    """The living servers that the tests have started."""
    pids = []
    for path in glob.glob("/proc/[0-9]*/cmdline"):
        try:
            with open(path, "rb") as file:
                command = file.read()
        except OSError:
            continue
        pid = int(path.split("/")[2])
        if b"containerd-shim-kata-v2" in command and b"pytest" not in command and alive(pid):
            pids.append(pid)
    return pids


def leftovers():
    """All that a pod could have left on the host."""
    with open("/proc/self/mountinfo", encoding="utf-8") as file:
        mounts = [line.split()[4] for line in file if "/run/kata" in line]
    return glob.glob("/run/kata/*") + glob.glob("/run/containerd/s/*") + mounts + _shims()


@pytest.fixture
def make_bundle(tmp_path):
    """make_bundle(container, namespace): nothing of its pod may be left after the test."""
    reports = tmp_path / "sanitizer"

    def make(container="web", namespace="default"):
        return Bundle(tmp_path / namespace / container, os.environ["KATA_SHIM"], reports, container, namespace)

    yield make
    wait_for(lambda: not leftovers())
    left = leftovers()
    for pid in _shims():
        kill(pid)
    assert not left
    assert not [path.read_text() for path in tmp_path.glob("sanitizer*")]


@pytest.fixture
def bundle(make_bundle):
    return make_bundle()
