"""Fixtures of the e2e tests. Run them by ./test/run e2e, or, for pytest's own options, as root:
TEST_RUNTIME=io.containerd.runc.v2 test/lib/sandbox /usr/bin/python3 -m pytest test/e2e -k echo

Environment: TEST_RUNTIME (default io.containerd.kata.v2), TEST_CONTAINERD (trixie or forky: the containerd of a later suite of
Debian, for the suites of CRI), KATA_PREFIX (an installed tree or a build tree,
default build/release), KATA_IMAGE (the image's tar), and for ./test/run KATA_RESULTS and KATA_FAILURES (its files),
KATA_STAGE (the prefix of the tests' names) and KATA_PATTERN.
"""

import itertools
import json
import os
import re
import secrets
import subprocess
import sys

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../lib"))

from harness import KATA, REPO, RUNC, SANITIZER, leftovers  # noqa: E402
from harness.containerd import Containerd  # noqa: E402
from harness.cri_containerd import CriContainerd  # noqa: E402
from harness.cri_pods import CriPods  # noqa: E402
from harness.image import busybox_image, unpack  # noqa: E402
from harness.networks import Bridge, look, make_folder  # noqa: E402
from harness.newer import newer_path  # noqa: E402
from harness.parts import static_program  # noqa: E402
from harness.pods import Pods  # noqa: E402
from harness.processes import wait_for  # noqa: E402
from harness.shim_command import ShimCommand  # noqa: E402
from harness.traffic import Traffic  # noqa: E402
from report import Report, name_of  # noqa: E402

STAGE = os.environ.get("KATA_STAGE", "e2e")
HANDLERS = ["runc", "kata"]


@pytest.hookimpl(trylast=True)
def pytest_configure(config):
    config.addinivalue_line("markers", "vm: about virtual machines: not for runc")
    config.addinivalue_line("markers", "prefix: replaces parts of the installed runtime")
    if "KATA_RESULTS" in os.environ:
        config.pluginmanager.unregister(name="terminalreporter")
        config.pluginmanager.register(Report(os.environ["KATA_RESULTS"], os.environ["KATA_FAILURES"], STAGE))


def pytest_collection_modifyitems(config, items):
    pattern = os.environ.get("KATA_PATTERN", "")
    chosen = [item for item in items if re.search(pattern, name_of(item.nodeid, STAGE)) and _makes_sense(item)]
    config.hook.pytest_deselected(items=[item for item in items if item not in chosen])
    items[:] = chosen


def _makes_sense(item):
    """A module may say by makes_sense(**parameters) which combinations of parameters there are not."""
    judge = getattr(item.module, "makes_sense", None)
    return not judge or not hasattr(item, "callspec") or judge(**item.callspec.params)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """A failed test shows what containerd and the shims logged meanwhile."""
    outcome = yield
    report = outcome.get_result()
    if report.failed and hasattr(item, "log_start"):
        item.failed = True
        running, start = item.log_start
        report.sections.append(("containerd and shim log", running.log_tail(start)))


@pytest.fixture(scope="session")
def runtime():
    return os.environ.get("TEST_RUNTIME", KATA)


@pytest.fixture(scope="session")
def prefix():
    return os.environ.get("KATA_PREFIX", os.path.join(REPO, "build/release"))


@pytest.fixture(scope="session")
def image():
    return busybox_image()


@pytest.fixture(autouse=True)
def only_with_vms(request, runtime):
    if request.node.get_closest_marker("vm") and runtime != KATA:
        pytest.skip(f"about virtual machines; TEST_RUNTIME is {runtime}")


def _containerd(image, bin_dir, path=None):
    running = Containerd(bin_dir, f"e2e-{secrets.token_hex(4)}", path).start()
    running.import_image(image)
    return running


@pytest.fixture(scope="session")
def session_containerd(prefix, image):
    running = _containerd(image, os.path.join(prefix, "bin"))
    yield running
    running.stop()


@pytest.fixture
def containerd(session_containerd, runtime, request, only_with_vms):
    """The session's containerd, watched: the test fails if it leaves anything behind."""
    yield from _watched(session_containerd, runtime, request)


@pytest.fixture
def make_containerd(image, runtime, request, only_with_vms):
    """make_containerd(bin_dir, path=None): a containerd for one test, watched alike."""
    watched = []

    def make(bin_dir, path=None):
        running = _containerd(image, bin_dir, path)
        watched.append((running, _watched(running, runtime, request)))
        return next(watched[-1][1])

    yield make
    for running, watch in reversed(watched):  # the first saw none of the others
        try:
            next(watch, None)
        finally:
            running.stop()


def _watched(running, runtime, request):
    request.node.log_start = (running, running.log_size())
    before = leftovers.look(running, runtime)
    yield running
    if getattr(request.node, "failed", False):  # the next test shall not fail for it, too
        running.end_all()
        return
    log = running.log_tail(request.node.log_start[1], limit=sys.maxsize)
    assert not SANITIZER.search(log), log
    left = leftovers.wait_none(running, runtime, before)
    if left:
        running.end_all()
    assert not left, "\n".join(["the test left something behind:", *left])


@pytest.fixture
def watched(runtime, request):
    """watched(RUNNING): yields a containerd of a longer life; the test fails if it leaves anything behind."""
    return lambda running: _watched(running, runtime, request)


_numbers = itertools.count(1)


@pytest.fixture
def name(request):
    """name(): a container id that no other test uses."""
    stem = re.sub(r"[^a-z0-9]+", "-", request.node.name.lower().removeprefix("test_"))[:40].strip("-")
    return lambda: f"{stem}-{next(_numbers)}"


@pytest.fixture(scope="session")
def rootfs(image, tmp_path_factory):
    """The image's root file system, unpacked into a directory: for specs of a test's own."""
    root = tmp_path_factory.mktemp("rootfs")
    unpack(image, root)
    return root


@pytest.fixture(scope="session", autouse=True)
def folder_of_namespaces():
    make_folder()


@pytest.fixture
def bridge():
    """A bridge, and afterwards a look at the host's own network: it is as before."""
    before = look()
    made = Bridge("kata-br")
    yield made
    made.close()
    assert wait_for(lambda: look() == before), (look(), before)


@pytest.fixture
def run_in(containerd, runtime, name):
    """run_in(SPACE): a detached container in a namespace; it is deleted in the end."""
    running = []

    def run(space, *flags):
        container = name()
        containerd.run_detached(container, "sleep", "1000", runtime=runtime, flags=[*space.flags(), *flags])
        running.append(container)
        return container

    yield run
    for container in running:
        if containerd.task_state(container):
            containerd.delete(container)


@pytest.fixture(scope="session")
def traffic(tmp_path_factory):
    return Traffic(tmp_path_factory.mktemp("traffic"))


@pytest.fixture
def spec_file(session_containerd):
    """spec_file(rootfs, COMMAND...): the spec that ctr makes by default, as a dictionary."""
    return session_containerd.spec


@pytest.fixture
def spec_bundle(spec_file, rootfs, tmp_path):
    """spec_bundle(COMMAND...): a bundle with ctr's default spec, as containerd makes one for a shim."""
    numbers = itertools.count(1)

    def make(*command):
        bundle = tmp_path / f"bundle-{next(numbers)}"
        bundle.mkdir()
        (bundle / "config.json").write_text(json.dumps(spec_file(rootfs, *command)))
        return bundle

    return make


@pytest.fixture
def shim_command(prefix, session_containerd):
    return ShimCommand(os.path.join(prefix, "bin/containerd-shim-kata-v2"), session_containerd)


@pytest.fixture
def pods(containerd, runtime, prefix, rootfs, tmp_path):
    """pods.start(): a shim of one's own, with a connection to its Task service."""
    path = "/usr/bin/containerd-shim-runc-v2" if runtime == RUNC else os.path.join(prefix, "bin/containerd-shim-kata-v2")
    made = Pods(path, containerd, rootfs, tmp_path)
    yield made
    made.end_all()


@pytest.fixture(scope="session")
def cri_suite():
    """The suite of Debian whose containerd serves Kubernetes, None for the installed one."""
    return os.environ.get("TEST_CONTAINERD")


@pytest.fixture(scope="session")
def session_cri(prefix, image, cri_suite):
    """The session's containerd that serves Kubernetes."""
    running = CriContainerd(os.path.join(prefix, "bin"), cri_suite and newer_path(cri_suite)).start()
    running.import_images(image)
    yield running
    running.stop()


@pytest.fixture(params=HANDLERS)
def handler(request):
    """The runtime of a pod of Kubernetes, as CRI calls it."""
    return request.param


@pytest.fixture
def cri(session_cri, handler, request):
    """The same, watched as the other one."""
    yield from _watched(session_cri, RUNC if handler == "runc" else KATA, request)


@pytest.fixture
def cri_pods(cri, handler, tmp_path):
    """cri_pods.run(): a pod of Kubernetes."""
    return CriPods(cri, handler, tmp_path)


@pytest.fixture
def stuck_fs(tmp_path):
    """A file system in which looking up "hang" has no answer: a sleep that SIGKILL does not end."""
    directory = tmp_path / "stuck"
    directory.mkdir()
    program = static_program(tmp_path / "stuck_fs", os.path.join(REPO, "test/lib/stuck_fs.c"))
    server = subprocess.Popen([program, directory], stdout=subprocess.PIPE)
    try:
        assert server.stdout.readline() == b"ready\n"
        yield directory, server
    finally:
        server.kill()
        server.wait()
        subprocess.run(["umount", "-n", "-l", directory], check=True)
