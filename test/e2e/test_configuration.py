"""A configuration file that the runtime options name: what it says is done; what is wrong in it is named."""

from pathlib import Path

import pytest
from harness.processes import wait_for

pytestmark = pytest.mark.vm


@pytest.fixture
def configured(containerd, runtime, name, tmp_path):
    """configured(text, script): what the script prints in a machine configured by the text."""

    def run(text, script="true"):
        path = tmp_path / "configuration.toml"
        path.write_text(text)
        return containerd.run(name(), "sh", "-c", script, runtime=runtime,
                              flags=("--runtime-config-path", str(path)))

    return run


def test_machine_and_kernel_are_as_configured(configured):
    result = configured(
        """
        [hypervisor.qemu]
        default_vcpus = 2
        default_memory = 512
        kernel_params = "quickstart.word=1"
        virtio_fs_cache = "never"
        accel = "auto"
        """,
        "nproc; sed -n 's/MemTotal: *//p' /proc/meminfo; cat /proc/cmdline",
    ).check()
    vcpus, memory, parameters = result.text.strip().splitlines()
    assert vcpus == "2"
    assert 400 << 10 < int(memory.split()[0]) < 512 << 10
    assert parameters.endswith(" quickstart.word=1")


def test_the_agent_logs_every_step(configured, containerd):
    start = containerd.log_size()
    configured("agent.kata.enable_debug = true").check()
    containerd.wait_logged("container process", start)


def test_drop_ins_change_the_file(configured, tmp_path):
    drop_ins = tmp_path / "config.d"
    drop_ins.mkdir()
    (drop_ins / "10-smaller").write_text("hypervisor.qemu.default_memory = 256")
    text = configured("hypervisor.qemu.default_memory = 1024", "sed -n 's/MemTotal: *//p' /proc/meminfo").check().text
    assert int(text.split()[0]) < 256 << 10


def test_an_unknown_key_warns(configured, containerd, tmp_path):
    start = containerd.log_size()
    configured('[hypervisor.qemu]\nimage = "/x"\n').check()
    containerd.wait_logged(f"{tmp_path}/configuration.toml:2: unknown key hypervisor.qemu.image is ignored", start)


def test_the_guest_swaps_to_a_file_of_the_host(containerd, runtime, name, tmp_path):
    """What a container has written beyond its limit is the same when it is read."""
    path = tmp_path / "configuration.toml"
    path.write_text("""
        [hypervisor.qemu]
        default_memory = 256
        enable_guest_swap = true
        guest_swap_size_percent = 50
        guest_swap_create_threshold_secs = 0
        """)
    script = """until grep -q 'SwapTotal: *196604 kB' /proc/meminfo; do sleep 0.2; done
        dd if=/dev/urandom of=/piece bs=1M count=4 2>/dev/null; for i in $(seq 20); do cat /piece; done >/big/file
        awk '/SwapFree/ { print $2 < 190000 }' /proc/meminfo; head -c 4194304 /big/file | cmp - /piece && echo same"""
    flags = ("--runtime-config-path", str(path), "--memory-limit", str(48 << 20), "--mount", "type=tmpfs,src=tmpfs,dst=/big,options=size=100m")
    assert containerd.run(name(), "sh", "-c", script, runtime=runtime, flags=flags).check().text == "1\nsame\n"


def test_memory_is_of_huge_pages_where_the_host_has_them(configured, containerd, runtime, name, tmp_path):
    """The host has as many of them as before afterwards."""
    pool = Path("/sys/kernel/mm/hugepages/hugepages-2048kB")

    def pages(name):
        return int((pool / f"{name}_hugepages").read_text())

    def available():
        return pages("free") - pages("resv")

    (tmp_path / "configuration.toml").write_text(text := "hypervisor.qemu = {default_memory = 256, enable_hugepages = true}")
    before = pages("nr")
    try:
        (pool / "nr_hugepages").write_text(str(before + 1))
        if available() < 128:
            refused = configured(text)
            assert refused.rc == 1 and len(refused.error.strip().splitlines()) == 1, str(refused)
            assert f"the host has {2 * available()} MiB in free huge pages, and the machine needs 256 MiB" in refused.error
        (pool / "nr_hugepages").write_text(str(before + 128))
        if pages("nr") < before + 128:
            pytest.skip("the host has not the memory")
        free, container = available(), name()
        containerd.run_detached(container, "sleep", "1000", runtime=runtime, flags=("--runtime-config-path", str(tmp_path / "configuration.toml")))
        assert available() == free - 128 and pages("free") < free
        containerd.delete(container)
        assert wait_for(lambda: available() == free)
    finally:
        (pool / "nr_hugepages").write_text(str(before))


@pytest.mark.parametrize(
    "text, expected",
    [
        ('[hypervisor.qemu]\ndefault_memory = "2G"\n', ":2: hypervisor.qemu.default_memory: expected an integer"),
        ("[hypervisor.qemu\n", ":1: expected ']'"),
        ('[hypervisor.qemu]\nkernel = "/no/such"\n', '"/no/such": No such file or directory'),
        ('[hypervisor.qemu]\npath = "/no/such"\n', '"/no/such": No such file or directory'),
        ("[agent.kata]\ndial_timeout = 1\n", "1000 ms"),
    ],
    ids=["wrong_value", "not_toml", "missing_kernel", "missing_qemu", "too_short_a_boot"],
)
def test_what_is_wrong_is_named(configured, text, expected):
    result = configured(text)
    lines = result.error.strip().splitlines()
    assert result.rc == 1 and len(lines) == 1, str(result)
    assert expected in lines[0]
