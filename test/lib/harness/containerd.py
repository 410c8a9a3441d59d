"""A private containerd, by test/lib/containerd, and ctr as its client."""

import copy
import http.client
import itertools
import json
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from . import IMAGE, REPO
from .processes import SOON, descendants, kill, process, processes, wait_for, wait_gone


class Timeout(AssertionError):
    """A command did not end in time. The text says what the machine looked like then."""


@dataclass
class Result:
    args: list
    rc: int
    out: bytes
    err: bytes

    @property
    def text(self):
        return self.out.decode(errors="replace")

    @property
    def error(self):
        return self.err.decode(errors="replace")

    def __str__(self):
        return f"{' '.join(self.args)}: rc {self.rc}\nstdout: {self.text[-4000:]}\nstderr: {self.error[-4000:]}"


class Containerd:
    """One containerd with a namespace of its own. Its shims come from bin_dir, else from PATH. scratch: it has the snapshotter
    blockfile, whose file systems have so many MiB. erofs: it has that one, and finds a mkfs.erofs in the path."""

    options = ()  # of test/lib/containerd

    def __init__(self, bin_dir, namespace="test", path=None, scratch=0, erofs=False):
        self.dir = tempfile.mkdtemp(prefix="kata-test.")
        if scratch:
            command = ["mkfs.ext4", "-q", "-O", "^has_journal", os.path.join(self.dir, "scratch"), f"{scratch}M"]
            subprocess.run(command, check=True)
        if erofs:
            Path(self.dir, "erofs").touch()
        self.bin_dir = bin_dir
        self.namespace = namespace
        self.cgroups = namespace  # the folder of its containers' cgroups
        self.path = path or os.environ["PATH"]
        self.own_fifos = ["--fifo-dir", self.dir]  # for FIFOs that ctr will not remove
        self.log = os.path.join(self.dir, "containerd.log")
        self.address = os.path.join(self.dir, "sock")
        self.env = dict(
            os.environ,
            PATH=self.path,
            CONTAINERD_ADDRESS=self.address,
            CONTAINERD_NAMESPACE=namespace,
            CONTAINERD_SNAPSHOTTER="overlayfs",
        )

    def _script(self, *args):
        env = dict(os.environ, PATH=self.path)
        done = subprocess.run(
            [os.path.join(REPO, "test/lib/containerd"), *args],
            env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=2 * SOON,
        )
        if done.returncode:
            raise RuntimeError(f"containerd {' '.join(args)}: {done.stderr}\n{self.log_tail()}")
        return done.stderr

    def start(self):
        self._script("start", self.dir, self.bin_dir, *self.options)
        if " ok" not in self.ctr("plugins", "ls", "id==overlayfs").text:
            self.env["CONTAINERD_SNAPSHOTTER"] = "native"
        return self

    @property
    def trees(self):
        """Where a pod has files."""
        return ["/run", os.path.join(self.dir, "state")]

    def stop(self):
        """Ends containerd; what a test left behind is in the returned text."""
        left = self._script("stop", self.dir)
        shutil.rmtree(self.dir)
        return left

    def die(self):
        """kill -9 of containerd itself; start() brings it back, with its state."""
        pid = self.pid
        kill(pid)
        assert wait_gone(pid)

    @property
    def pid(self):
        with open(os.path.join(self.dir, "pid"), encoding="ascii") as file:
            return int(file.read())

    @property
    def own_pids(self):
        """Of what may have been started again."""
        return {self.pid}

    def import_image(self, path):
        self.ctr("images", "import", path).check()

    def unpack_image(self, path, snapshotter):
        """The same for another snapshotter than the default one; of a later containerd."""
        self.ctr("images", "import", "--local", "--snapshotter", snapshotter, path, timeout=10 * SOON).check()

    def heap_objects(self):
        """How many objects its heap has when all garbage is collected."""
        debug = http.client.HTTPConnection("containerd")
        debug.sock = socket.socket(socket.AF_UNIX)
        with closing(debug):
            debug.sock.connect(os.path.join(self.dir, "debug"))
            debug.request("GET", "/debug/pprof/heap?debug=1&gc=1")
            text = debug.getresponse().read().decode()
        return int(re.search(r"^# HeapObjects = (\d+)$", text, re.MULTILINE)[1])

    def log_size(self):
        return os.path.getsize(self.log)

    def log_tail(self, start=0, limit=20000):
        """What containerd and its shims logged since start, at most the last limit bytes."""
        try:
            with open(self.log, "rb") as file:
                file.seek(max(start, self.log_size() - limit))
                return file.read().decode(errors="replace")
        except FileNotFoundError:
            return ""

    def wait_logged(self, pattern, start=0):
        """The log since start, when the regular expression is found in it: lines of a shim come to it by a FIFO, later than
        what else the shim does is seen."""
        found = []
        assert wait_for(lambda: found.append(self.log_tail(start, limit=sys.maxsize)) or re.search(pattern, found[-1])), (
            f"nothing of {pattern!r} is logged: {found[-1]}"
        )
        return found[-1]

    def deadlines_met(self, start):
        """What the runtime, by its log since start, has waited for in vain: nothing, where it was told by an event."""
        return re.findall(r".*\bwithin \d+ ms.*", self.log_tail(start, limit=sys.maxsize))

    def bundle(self, container):
        return os.path.join(self.dir, "state/io.containerd.runtime.v2.task", self.namespace, container)

    def shim(self, container):
        """The pid of a container's shim. runc's writes no shim.pid, but keeps its arguments."""
        try:
            with open(os.path.join(self.bundle(container), "shim.pid"), encoding="ascii") as file:
                return int(file.read())
        except FileNotFoundError:
            arguments = f"-namespace {self.namespace} -id {container} "
            return next(one.pid for one in processes() if arguments in one.command)

    def part(self, container, command):
        """The pid of the process below a container's shim whose command line begins so, its path aside."""
        found = [one.pid for one in descendants(self.shim(container))
                 if os.path.basename(one.command.split(" ")[0]).startswith(command)]
        assert found, f"no {command} below the shim of {container}: " + ", ".join(map(str, descendants(self.shim(container))))
        return found[0]

    def in_namespace(self, namespace):
        """The same containerd, in another of its namespaces."""
        other = copy.copy(self)
        other.namespace = other.cgroups = namespace
        other.env = dict(self.env, CONTAINERD_NAMESPACE=namespace)
        return other

    def ctr(self, *args, timeout=SOON, stdin=None):
        """Runs ctr to its end. stdin: bytes, or None for none."""
        running = self.popen(*args, stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE)
        return self.finish(running, timeout=timeout, stdin=stdin)

    def popen(self, *args, program="ctr", **options):
        settings = dict(
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env=self.env, start_new_session=True,
        )
        settings.update(options)
        return subprocess.Popen([program, *args], **settings)

    def finish(self, running, timeout=SOON, stdin=None):
        try:
            out, err = running.communicate(stdin, timeout)
        except subprocess.TimeoutExpired:
            state = self.dump()
            os.killpg(running.pid, signal.SIGKILL)
            out, err = running.communicate()
            tail = f"stdout: {(out or b'')[-2000:]!r}\nstderr: {(err or b'')[-2000:]!r}"
            raise Timeout(f"{' '.join(running.args)}: no end in {timeout} s\n{tail}\n{state}") from None
        return Completed(running.args, running.returncode, out or b"", err or b"")

    def dump(self):
        """The processes below the shims and below us, for a test that hangs."""
        lines = [str(one) for one in descendants(1)] or [str(process(os.getpid()))]
        return "processes:\n  " + "\n  ".join(lines)

    # The forms of ctr that most tests use.

    def run(self, container, *command, runtime, flags=(), **options):
        """`ctr run --rm`, in the foreground."""
        return self.ctr(*run_args(container, command, runtime, ("--rm", *flags)), **options)

    def run_detached(self, container, *command, runtime, flags=()):
        self.ctr(*run_args(container, command, runtime, ("-d", *flags))).check()

    def spec(self, rootfs, *command):
        """The spec that ctr makes by default, as a dictionary, for a root file system in a directory."""
        spec = json.loads(self.ctr("oci", "spec").check().text)
        spec["root"] = {"path": str(rootfs)}
        spec["process"].update(args=list(command), env=["PATH=/usr/sbin:/usr/bin:/sbin:/bin"], terminal=False)
        spec["linux"]["cgroupsPath"] = f"/{self.namespace}/{secrets.token_hex(4)}"
        return spec

    def run_spec(self, container, spec, *, runtime, flags=(), **options):
        """`ctr run` of a spec of one's own, whose root.path is the root file system."""
        path = os.path.join(self.dir, f"{container}.json")
        with open(path, "w", encoding="ascii") as file:
            json.dump(spec, file)
        return self.ctr("run", "--runtime", runtime, *flags, "--config", path, container, **options)

    def run_background(self, container, *command, runtime, flags=(), **options):
        """`ctr run --rm` that goes on; end it with finish(). Returns when the container's task runs."""
        running = self.popen(*run_args(container, command, runtime, ("--rm", *flags)), **options)
        if not wait_for(lambda: running.poll() is not None or self.task_state(container) == "RUNNING", pause=0.1):
            self.finish(running, timeout=0.1)
        return running

    def exec(self, container, *command, exec_id=None, flags=(), **options):
        """`ctr task exec`, in the foreground."""
        return self.ctr(*exec_args(container, command, exec_id, flags), **options)

    def exec_detached(self, container, *command, exec_id):
        """`ctr task exec -d`. ctr never removes its FIFOs: they are put where no look for leftovers goes."""
        self.exec(container, *command, exec_id=exec_id, flags=["-d", *self.own_fifos]).check()

    def exec_background(self, container, *command, exec_id=None, flags=(), **options):
        """`ctr task exec` that goes on; end it with finish()."""
        return self.popen(*exec_args(container, command, exec_id, flags), **options)

    def kill(self, container, number="SIGKILL", flags=()):
        return self.ctr("tasks", "kill", "-s", number, *flags, container)

    def kill_exec(self, container, exec_id):
        """Kills a detached exec: returns when it has ended."""
        self.kill(container, flags=["--exec-id", exec_id]).check()
        assert wait_for(lambda: exec_id not in self.ctr("tasks", "ps", container).check().text), f"{exec_id} goes on"

    def wait_state(self, container, state, timeout=SOON):
        seen = []
        assert wait_for(lambda: seen.append(self.task_state(container)) or seen[-1] == state, timeout, 0.05), (
            f"task {container}: {seen[-1]}, not {state}, after {timeout} s"
        )

    def task(self, container):
        """(pid, state) of a container's task, (None, None) when there is none. It is looked for twice: containerd leaves out one
        whose shim does not answer within two seconds."""
        return self._listed(container) or self._listed(container) or (None, None)

    def _listed(self, container):
        for line in self.ctr("tasks", "ls").text.splitlines()[1:]:
            name, pid, state = line.split()
            if name == container:
                return int(pid), state
        return None

    def task_pid(self, container):
        return self.task(container)[0]

    def task_state(self, container):
        return self.task(container)[1]

    def delete(self, container):
        """Ends a detached container: kill, delete of task and container."""
        self.kill(container)
        self.wait_state(container, "STOPPED")
        self.ctr("tasks", "delete", container).check()
        self.ctr("containers", "delete", container).check()

    def end_all(self):
        """After a failed test: ends what it left, as far as containerd knows it."""
        for container in self.ctr("containers", "ls", "-q").text.split():
            self.ctr("tasks", "delete", "--force", container)
            self.ctr("containers", "delete", container)


class Completed(Result):
    def check(self):
        assert self.rc == 0, str(self)
        return self


def run_args(container, command, runtime, flags):
    return ["run", "--runtime", runtime, *flags, IMAGE, container, *command]


_exec_numbers = itertools.count(1)


def exec_args(container, command, exec_id, flags):
    return ["tasks", "exec", "--exec-id", exec_id or f"exec-{next(_exec_numbers)}", *flags, container, *command]
