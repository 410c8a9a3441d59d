"""Disks: block devices and files of the host that a container has as such."""

import pytest
from harness.disks import Loop


@pytest.fixture
def loop(tmp_path):
    """loop(NAME, MIB, FLAGS...): a loop device; nobody has it open in the end."""
    made = []

    def make(name, mib, *flags):
        made.append(Loop(tmp_path, name, mib, *flags))
        return made[-1]

    yield make
    for one in made:
        one.detach()


def test_a_block_device_is_read_and_written(containerd, runtime, name, loop):
    one = loop("one", 8)
    one.write("of the host\n")
    script = f"""
        head -n 1 {one.path}; echo of the container | dd of={one.path} seek=1 conv=fsync 2>/dev/null
        blockdev --getsize64 {one.path}; stat -c '%F %a %u %g' {one.path}
    """
    shown = containerd.run(name(), "sh", "-c", script, runtime=runtime, flags=["--device", one.path]).check().text
    assert shown.splitlines() == ["of the host", str(8 << 20), "block special file 600 0 0"]
    assert one.read(17, at=512) == "of the container\n"
