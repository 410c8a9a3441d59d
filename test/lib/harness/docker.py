"""A private dockerd of a later suite of Debian, over a private containerd, and docker as its client."""

import json
import os
import secrets
import subprocess
import tarfile

from . import IMAGE, REPO, cgroups
from .containerd import Containerd
from .newer import newer_docker_path
from .processes import SOON, kill, wait_for

BRIDGE = "172.29.0.1/16"  # of its default network


class Docker(Containerd):
    """One dockerd. Its runtimes are runc, io.containerd.kata.v2 and, by daemon.json and configured by kata.toml, kata."""

    def __init__(self, bin_dir, suite):
        super().__init__(bin_dir, "moby", newer_docker_path(suite))
        self.suite = suite
        self.cgroups = f"docker-{secrets.token_hex(4)}"
        self.socket = os.path.join(self.dir, "docker.sock")
        self.env["DOCKER_HOST"] = f"unix://{self.socket}"
        self.env["DOCKER_CONFIG"] = os.path.join(self.dir, "client")
        self.configuration = os.path.join(self.dir, "kata.toml")
        self.daemon = None
        self.shared = set()  # names of containers that outlive a test

    @property
    def trees(self):
        return [*super().trees, *(os.path.join(self.dir, kind) for kind in ("docker/containers", "docker/volumes", "exec"))]

    def start(self):
        super().start()
        self._write_configuration()
        self.start_daemon()
        return self

    def _write_configuration(self):
        with open(os.path.join(self.dir, "daemon.json"), "w", encoding="ascii") as file:
            json.dump({
                "data-root": f"{self.dir}/docker",
                "exec-root": f"{self.dir}/exec",
                "pidfile": f"{self.dir}/docker.pid",
                "hosts": [f"unix://{self.socket}"],
                "group": "root",
                "containerd": self.address,
                "live-restore": True,
                "bip": BRIDGE,
                "cgroup-parent": f"/{self.cgroups}",
                "init-path": "/usr/bin/tini-static",
                **self._runtimes(),
            }, file)
        if not os.path.exists(self.configuration):
            with open(self.configuration, "w", encoding="ascii") as file:
                file.write("[hypervisor.qemu]\ndefault_memory = 512\n")

    def _runtimes(self):
        """As docs/clients.md has them, but for the place of the file."""
        with open(os.path.join(REPO, "deploy/docker/daemon.json"), encoding="ascii") as file:
            configuration = json.load(file)
        options = configuration["runtimes"]["kata"]["options"]
        assert list(options) == ["ConfigPath"]
        options["ConfigPath"] = self.configuration
        return configuration

    def start_daemon(self):
        with open(self.log, "ab") as log:
            self.daemon = subprocess.Popen(
                ["dockerd", "--config-file", f"{self.dir}/daemon.json"],
                env=self.env, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        ready = wait_for(lambda: self.daemon.poll() is not None or self.docker("version").rc == 0, pause=0.1)
        assert ready and self.daemon.poll() is None, self.log_tail()

    def kill_daemon(self):
        """kill -9 of dockerd; start_daemon() brings it back."""
        kill(self.daemon.pid)
        self.daemon.wait(SOON)

    def stop(self):
        self.daemon.terminate()
        self.daemon.wait(SOON)
        left = super().stop()
        cgroups.remove(self.cgroups)  # which runc keeps
        return left

    @property
    def own_pids(self):
        return {*super().own_pids, self.daemon.pid}

    def end_all(self):
        names = self.docker("ps", "-a", "--format", "{{.Names}}").text.split()
        self.docker("rm", "-f", "-v", *(name for name in names if name not in self.shared))
        self.docker("network", "prune", "-f")
        self.docker("volume", "prune", "-a", "-f")

    def import_image(self, path):
        """docker keeps no image of an OCI layout by itself: the image's one layer, which is its largest blob."""
        with tarfile.open(path) as layout:
            blobs = [member for member in layout if member.name.startswith("./blobs/sha256/")]
            layer = layout.extractfile(max(blobs, key=lambda member: member.size)).read()
        changes = ["--change", 'CMD ["sh"]', "--change", "ENV PATH=/usr/sbin:/usr/bin:/sbin:/bin"]
        self.docker("import", *changes, "-", IMAGE, stdin=layer).check()

    def docker(self, *args, stdin=None, timeout=60):
        """Runs docker to its end. stdin: bytes, or None for none."""
        running = self.popen(*args, program="docker", stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE)
        return self.finish(running, timeout=timeout, stdin=stdin)

    def text(self, *args, **options):
        """What docker prints when it succeeds."""
        return self.docker(*args, **options).check().text

    # The forms of docker that most tests use.

    def run_rm(self, *args, runtime, **options):
        return self.docker("run", "--rm", "--runtime", runtime, *args, **options)

    def start_container(self, name, *command, runtime, flags=()):
        """`docker run -d`."""
        self.text("run", "-d", "--name", name, "--runtime", runtime, *flags, IMAGE, *command)

    def sh(self, container, script, **options):
        """What a shell in a container prints."""
        return self.text("exec", container, "sh", "-c", script, **options)

    def inspect(self, container, field):
        """One field as `docker inspect` has it: "State.Pid"."""
        return json.loads(self.text("inspect", "-f", f"{{{{json .{field}}}}}", container))

    def ip_of(self, container, network="bridge"):
        return self.inspect(container, "NetworkSettings.Networks")[network]["IPAddress"]
