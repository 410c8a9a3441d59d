"""Long use of one shim: what it holds does not grow. KATA_SOAK_EXECS=1000 for a longer look."""

import os

import pytest
from harness.processes import descendants, memory, process, wait_for

EXECS = int(os.environ.get("KATA_SOAK_EXECS", "100"))
ROUNDS = 5
SANITIZED = os.environ.get("KATA_STAGE", "e2e") != "e2e"  # AddressSanitizer keeps what is freed in quarantine
PARTS = {"shim": None, "kata-vsock": "kata-vsock", "qemu": "qemu-system"}


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def look(pids):
    """part -> (descriptors, kB of Pss, kB of its own that it has written). Pss falls when other shims start."""
    found = {}
    for part, pid in pids.items():
        kb = memory(pid)
        found[part] = (descriptors(pid), kb["Pss"], kb["Private_Dirty"])
    return found


def table(rows):
    lines = ["execs  " + "  ".join(f"{part:>10} fds    Pss  dirty" for part in rows[0][1])]
    for execs, found in rows:
        lines.append(f"{execs:5}  " + "  ".join(f"{fds:14} {pss:6} {dirty:6}" for fds, pss, dirty in found.values()))
    return "\n".join(lines)


@pytest.mark.vm
def test_execs_leave_nothing_in_the_shim(containerd, runtime, name, capsys):
    container = name()
    containerd.run_detached(container, "sleep", "100000", runtime=runtime)
    pids = {part: containerd.part(container, command) if command else containerd.shim(container)
            for part, command in PARTS.items()}
    rows = []
    for number in range(ROUNDS + 1):
        for _ in range(EXECS // ROUNDS):
            assert containerd.exec(container, "true").rc == 0
        rows.append(((number + 1) * (EXECS // ROUNDS), look(pids)))
    with capsys.disabled():
        print(f"\n{table(rows)}")
    (_, first), (_, last) = rows[0], rows[-1]  # the first round fills caches
    for part in ("shim", "kata-vsock"):
        settled = wait_for(lambda: descriptors(pids[part]) <= first[part][0])
        assert settled, f"descriptors of {part}:\n{table(rows)}"
        assert SANITIZED or last[part][2] <= first[part][2] * 1.05 + 64, f"memory of {part}:\n{table(rows)}"
    # That of the last exec goes a moment after the exec is deleted.
    assert wait_for(lambda: len(descendants(pids["shim"])) == 5), list(map(str, descendants(pids["shim"])))
    containerd.delete(container)


def test_execs_without_input_end(containerd, runtime, name):
    """`ctr task exec </dev/null`: ctr closes the input while the exec starts."""
    container = name()
    containerd.run_detached(container, "sleep", "100000", runtime=runtime)
    for number in range(EXECS // 5):
        result = containerd.exec(container, "echo", "x")
        assert (result.rc, result.out) == (0, b"x\n"), f"{number}: {result}"
    containerd.delete(container)


def test_one_container_after_the_other(containerd, runtime, name):
    for number in range(5):
        assert containerd.run(name(), "echo", str(number), runtime=runtime).check().text == f"{number}\n"
    assert process(containerd.pid).state != "Z"
