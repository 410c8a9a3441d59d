"""What a program does with files is what it is under runc, in the root file system as in a folder of the host, whichever
daemon serves them. docs/limitations.md says what is not.
"""

import os
from dataclasses import dataclass

import pytest
from harness import KATA, RUNC, leftovers
from harness.files import GROUP, Files, configurations, files_program

pytestmark = pytest.mark.vm

DAEMONS = ["C", "Rust", "ours"]
PLACES = ["root", "bind"]


@dataclass
class Folder:
    """A new folder: its path for the host and for the container, and who does things there."""

    host: str
    guest: str
    files: Files

    def tell(self, word, name, *words):
        return self.files.tell(word, os.path.join(self.guest, name), *words)

    def path(self, name):
        return os.path.join(self.host, name)

    def write(self, name, text):
        with open(self.path(name), "w", encoding="ascii") as file:
            file.write(text)

    def read(self, name):
        """What the host reads."""
        try:
            with open(self.path(name), encoding="ascii") as file:
                return file.read()
        except OSError as error:
            return error.strerror


def a_mapping_of_a_file_that_is_open_for_appending(folder):
    answer = folder.tell("append-map", "file")
    text = folder.read("file")
    return answer, len(text), text.count("x")


def a_folder_of_a_supplementary_group(folder):
    os.mkdir(folder.path("shared"))
    os.chown(folder.path("shared"), 0, GROUP)
    os.chmod(folder.path("shared"), 0o2775)
    answer = folder.tell("make-as-member", "shared")
    made = sorted(os.scandir(folder.path("shared")), key=lambda entry: entry.name)
    return answer, [(entry.name, *entry.stat(follow_symlinks=False)[3:6]) for entry in made]


def a_file_that_the_host_removed(folder):
    folder.write("file", "old")
    read = folder.tell("read", "file")
    os.unlink(folder.path("file"))
    return read, folder.tell("write", "file", "new"), folder.read("file")


def a_file_that_the_host_replaced(folder):
    folder.write("file", "old")
    read = folder.tell("read", "file")
    folder.write("other", "new")
    os.rename(folder.path("other"), folder.path("file"))
    return read, folder.tell("append", "file", "+"), folder.read("file")


def a_bound_file_that_the_host_replaced(folder):
    """The mount is of the old file, whatever has its name."""
    read = folder.tell("read", "/bound")
    with open(f"{folder.files.bound}.new", "w", encoding="ascii") as file:
        file.write("new")
    os.rename(f"{folder.files.bound}.new", folder.files.bound)
    return read, folder.tell("read", "/bound"), folder.tell("write", "/bound", "bound"), folder.read(folder.files.bound)


def a_file_without_a_name(folder):
    return folder.tell("tmpfile", "")


def an_attribute_of_a_user(folder):
    return folder.tell("xattr", "file")


def access_without_a_cache(folder):
    return folder.tell("direct", "file")


def a_link_that_the_host_exchanged(folder):
    for number in ("1", "2"):
        os.mkdir(folder.path(number))
        folder.write(f"{number}/file", number)
    os.symlink("1", folder.path("link"))
    read = folder.tell("read", "link/file")
    os.symlink("2", folder.path("new"))
    os.rename(folder.path("new"), folder.path("link"))
    return read, folder.tell("read", "link/file")


CASES = [
    a_mapping_of_a_file_that_is_open_for_appending,
    a_folder_of_a_supplementary_group,
    a_file_that_the_host_removed,
    a_file_that_the_host_replaced,
    a_link_that_the_host_exchanged,
    a_bound_file_that_the_host_replaced,
    a_file_without_a_name,
    an_attribute_of_a_user,
    access_without_a_cache,
]

# Where it is otherwise than under runc: docs/limitations.md.
IN_C = {("C", place) for place in PLACES}
IN_C_OR_ROOT = IN_C | {("Rust", "root")}
IN_C_OR_RUST = IN_C | {("Rust", place) for place in PLACES}
OTHERWISE = {
    a_mapping_of_a_file_that_is_open_for_appending: IN_C,
    a_folder_of_a_supplementary_group: IN_C,
    a_file_that_the_host_removed: IN_C_OR_ROOT,
    a_file_that_the_host_replaced: IN_C_OR_ROOT,
    a_link_that_the_host_exchanged: IN_C_OR_ROOT,
    a_file_without_a_name: IN_C_OR_RUST,
}


def makes_sense(daemon, place, case=None):
    return (daemon, place) not in OTHERWISE.get(case, ())


@pytest.fixture(scope="module")
def serve(session_containerd, tmp_path_factory):
    """serve(daemon, place): a new folder, and the same under runc."""
    work = tmp_path_factory.mktemp("files")
    program, found = files_program(work), configurations(work)
    before = leftovers.look(session_containerd, KATA)
    running = {}

    def start(name):
        folder = work / f"folder-{name}"
        folder.mkdir()
        flags = [] if name == "runc" else ["--runtime-config-path", found[name]]
        return Files(session_containerd, f"files-{name.lower()}", RUNC if name == "runc" else KATA, program, folder, flags)

    def serve(name, place, folder):
        if name not in running:
            running[name] = start(name)
        host, guest = (os.path.join(path, folder) for path in running[name].places()[place])
        os.mkdir(host)
        return Folder(host, guest, running[name])

    yield serve
    for files in running.values():
        assert files.end().rc == 0
    left = leftovers.wait_none(session_containerd, KATA, before)
    assert not left, "\n".join(left)


@pytest.mark.parametrize("daemon", DAEMONS)
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("case", CASES, ids=[case.__name__ for case in CASES])
def test_files_are_as_under_runc(serve, case, daemon, place):
    ours, theirs = (serve(name, place, f"{case.__name__}-{daemon}") for name in (daemon, "runc"))
    assert case(ours) == case(theirs)


@pytest.mark.parametrize("daemon", ["C", "Rust"])
@pytest.mark.parametrize("place", PLACES)
def test_a_file_without_a_name_is_refused(serve, daemon, place):
    """No virtiofsd makes one."""
    folder = serve(daemon, place, "nameless")
    assert folder.tell("tmpfile", "") == "EOPNOTSUPP"
