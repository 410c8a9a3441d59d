"""Root file systems of each snapshotter of containerd's, and the other places where a container has files: what a program does
there ends as it does under runc, what it has written is in the snapshot, and nothing is left. docs/limitations.md says what is
otherwise."""

import gzip
import io
import os
import subprocess
import tarfile
from dataclasses import dataclass, field

import pytest
from harness import KATA, REPO, RUNC, leftovers
from harness.containerd import Containerd
from harness.files import bind
from harness.newer import newer_erofs, newer_path
from harness.parts import static_program
from harness.processes import wait_for

pytestmark = pytest.mark.vm

SNAPSHOTTERS = ["overlayfs", "native", "blockfile", "erofs"]
ON_DISKS = ["blockfile"]  # the machine has them as disks: containerd 2.1 mounts the layers of erofs itself
# Where -> how many small files; those on disks have ten thousand.
PLACES = {"root": 200, "bind": 200, "tmpfs": 10000}
FOLDERS = {"root": "/made", "bind": "/bind/made", "tmpfs": "/dev/shm/made"}
OPERATIONS = [
    "append by a mapping", "a file without a name", "an attribute of a user", "a trusted attribute", "a file capability", "set-uid",
    "locks", "holes", "copy_file_range", "fallocate", "renames", "special files", "owner and mode", "O_DIRECT", "inotify",
    "an open file that is removed", "many small files", "fsync",
]


def makes_sense(snapshotter, place="root"):
    """The other places are the same with each snapshotter."""
    return place == "root" or snapshotter == SNAPSHOTTERS[0]


def is_otherwise(snapshotter, place, operation):
    """Than under runc: docs/limitations.md."""
    on_virtio_fs = place == "bind" or (place == "root" and snapshotter not in ON_DISKS)
    if place == "tmpfs":
        return operation in ("an attribute of a user", "O_DIRECT")
    return on_virtio_fs and operation in ("append by a mapping", "a file without a name", "a trusted attribute")


@dataclass
class Outcome:
    """Of one container on one snapshotter."""

    operations: dict = field(default_factory=dict)  # place -> operation -> how it ended
    restarted: str = ""
    changes: list = field(default_factory=list)  # of its snapshot, with the sizes of files
    of_the_host: str = ""  # who writes to its root file system by /proc/PID/root
    left: list = field(default_factory=list)


@pytest.fixture(scope="module")
def containerd(prefix, image, tmp_path_factory):
    folder = tmp_path_factory.mktemp("programs")
    newer_erofs(folder)
    path = f"{folder}:{newer_path('forky')}"
    running = Containerd(os.path.join(prefix, "bin"), "snapshotters", path, scratch=64, erofs=True).start()
    running.import_image(image)
    for snapshotter in SNAPSHOTTERS[1:]:
        running.unpack_image(image, snapshotter)
    yield running
    running.stop()


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    return static_program(tmp_path_factory.mktemp("ops") / "ops", os.path.join(REPO, "test/lib/root_ops.c"))


def loop_devices():
    return set(subprocess.run(["losetup", "-a"], check=True, capture_output=True, text=True).stdout.splitlines())


def run_operations(containerd, container, snapshotter, place):
    files = 10000 if place == "root" and snapshotter in ON_DISKS else PLACES[place]
    answer = containerd.exec(container, "/ops", FOLDERS[place], str(files)).check().text
    return dict(line.split(": ", 1) for line in answer.splitlines())


def write_by_the_host(pid):
    try:
        with open(f"/proc/{pid}/root/of-the-host", "wb"):
            return "ok"
    except OSError as error:
        return error.strerror


def end(containerd, container):
    containerd.kill(container)
    containerd.wait_state(container, "STOPPED")
    containerd.ctr("tasks", "delete", container)


def changes(containerd, container, snapshotter):
    """Of a snapshot, as `ctr snapshots diff` finds them."""
    layer = containerd.ctr("snapshots", "--snapshotter", snapshotter, "diff", container).check().out
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(layer))) as tar:
        return sorted((entry.name, entry.size, entry.mode) for entry in tar if entry.name.startswith("made"))


def try_all(containerd, container, snapshotter, runtime, program, folder):
    outcome = Outcome()
    flags = ["--snapshotter", snapshotter, *bind(program, "/ops", "bind", "ro"), *bind(folder, "/bind", "rbind", "rw")]
    containerd.run_detached(container, "sleep", "1000", runtime=runtime, flags=flags)
    for place in filter(lambda place: makes_sense(snapshotter, place), PLACES):
        outcome.operations[place] = run_operations(containerd, container, snapshotter, place)
    outcome.of_the_host = write_by_the_host(containerd.task_pid(container))
    end(containerd, container)
    outcome.changes = changes(containerd, container, snapshotter)
    containerd.ctr("tasks", "start", "-d", container).check()
    outcome.restarted = containerd.exec(container, "cat", "/made/kept").text
    end(containerd, container)
    containerd.ctr("containers", "delete", container).check()
    return outcome


@pytest.fixture(scope="module")
def outcome(containerd, program, tmp_path_factory):
    """outcome(snapshotter, runtime): of a container that has been tried once."""
    found = {}

    def try_once(snapshotter, runtime):
        before, loops = leftovers.look(containerd, runtime), loop_devices()
        folder = tmp_path_factory.mktemp("bind")
        made = try_all(containerd, f"{snapshotter}-{runtime.split('.')[2]}", snapshotter, runtime, program, folder)
        if runtime == KATA:
            made.left = leftovers.wait_none(containerd, runtime, before)
        assert wait_for(lambda: not loop_devices() - loops), loop_devices()
        return made

    def get(snapshotter, runtime):
        for one in (RUNC, KATA):  # in this order: containerd 2.1 keeps layers of erofs mounted that it has mounted once
            if (snapshotter, one) not in found:
                found[snapshotter, one] = try_once(snapshotter, one)
        return found[snapshotter, runtime]

    return get


@pytest.mark.parametrize("snapshotter", SNAPSHOTTERS)
@pytest.mark.parametrize("place", PLACES)
def test_operations_end_as_under_runc(outcome, snapshotter, place):
    ours, theirs = (outcome(snapshotter, runtime).operations[place] for runtime in (KATA, RUNC))
    assert list(theirs) == OPERATIONS
    other = {name: (ours[name], theirs[name]) for name in theirs if ours[name] != theirs[name]}
    assert not {name: ends for name, ends in other.items() if not is_otherwise(snapshotter, place, name)}


@pytest.mark.parametrize("snapshotter", SNAPSHOTTERS)
def test_what_was_written_is_in_the_snapshot_and_there_again(outcome, snapshotter):
    ours, theirs = outcome(snapshotter, KATA), outcome(snapshotter, RUNC)
    assert ours.restarted == theirs.restarted == "kept\n"
    assert [name for name, _, _ in ours.changes if name.endswith("/kept")] == ["made/kept"]
    known = {"made/mapped", "made/named"}  # see is_otherwise()
    assert [one for one in ours.changes if one[0] not in known] == [one for one in theirs.changes if one[0] not in known]


@pytest.mark.parametrize("snapshotter", SNAPSHOTTERS)
def test_nothing_is_left(outcome, snapshotter):
    assert not outcome(snapshotter, KATA).left


@pytest.mark.parametrize("snapshotter", SNAPSHOTTERS)
def test_who_writes_there_from_the_host_is_told_where_he_cannot(outcome, snapshotter):
    expected = "Read-only file system" if snapshotter in ON_DISKS else "ok"
    assert outcome(snapshotter, KATA).of_the_host == expected
