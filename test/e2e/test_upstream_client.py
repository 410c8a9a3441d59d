"""The agent under a client of upstream's protocol alone: no hello is taken, no stream is opened, and none of our own fields is set.
Standard streams are read and written by calls."""

import itertools
import shutil
import signal

import pytest

from harness import SANITIZER
from harness.bare_guest import MEMORY_MIB, SHARED, TAG, BareGuest
from harness.ttrpc import Status

pytestmark = pytest.mark.vm

MEBIBYTE = 1 << 20
CAPS = [f"CAP_{name}" for name in ("CHOWN", "KILL", "SETUID", "SETGID")]
MOUNTS = [
    ("/proc", "proc", "proc", []),
    ("/dev", "tmpfs", "tmpfs", ["nosuid", "mode=755"]),
    ("/dev/pts", "devpts", "devpts", ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]),
    ("/sys", "sysfs", "sysfs", ["nosuid", "noexec", "nodev", "ro"]),
]


def process(*command, terminal=False):
    return {"Args": command, "Env": ["PATH=/bin:/sbin"], "Cwd": "/", "User": {}, "Terminal": terminal,
            "Capabilities": {"Bounding": CAPS, "Effective": CAPS, "Permitted": CAPS}}


@pytest.fixture(scope="module")
def guest(prefix, rootfs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("guest", numbered=True)
    for parent in (folder, folder.parent, folder.parent.parent):
        parent.chmod(0o755)  # the device is no root
    with BareGuest(prefix, folder) as running:
        shutil.copytree(rootfs, running.share / "rootfs", symlinks=True)
        running.agent().CreateSandbox(sandbox_id="pod", hostname="pod", storages=[
            {"driver": "virtio-fs", "source": TAG, "fstype": "virtiofs", "mount_point": SHARED, "options": ["nodev"]}])
        yield running
        console = running.console.read_text(errors="replace")
        assert not SANITIZER.search(console), console


@pytest.fixture
def agent(guest):
    return guest.agent()


_numbers = itertools.count(1)


class Container:
    """One without ports. Its init's exec_id is the container's id, as with upstream's agent, or nothing."""

    def __init__(self, agent, command, terminal=False, namespaces=("ipc", "uts", "mnt"), sandbox_pidns=False, limit=0):
        self.agent, self.id = agent, f"upstream-{next(_numbers)}"
        agent.CreateContainer(container_id=self.id, exec_id=self.id, sandbox_pidns=sandbox_pidns, OCI={
            "Version": "1.1.0",
            "Process": process(*command, terminal=terminal),
            "Root": {"Path": f"{SHARED}/rootfs", "Readonly": True},
            "Mounts": [{"destination": place, "type": kind, "source": source, "options": options} for place, kind, source, options in MOUNTS],
            "Linux": {"Namespaces": [{"Type": name} for name in namespaces], "Resources": {"Memory": {"Limit": limit}}},
        })

    def start(self):
        self.agent.StartContainer(container_id=self.id)
        return self

    def exec(self, exec_id, *command, terminal=False):
        self.agent.ExecProcess(container_id=self.id, exec_id=exec_id, process=process(*command, terminal=terminal))

    def begin(self, method, exec_id=None, **fields):
        return self.agent.begin(method, container_id=self.id, exec_id=self.id if exec_id is None else exec_id, **fields)

    def call(self, method, exec_id=None, **fields):
        return self.begin(method, exec_id, **fields)()

    def write(self, data, exec_id=None):
        return self.call("WriteStdin", exec_id, data=data).len

    def read(self, exec_id=None, method="ReadStdout", length=32 << 10):
        """To the end."""
        data = b""
        while part := self.call(method, exec_id, len=length).data:
            assert len(part) <= length
            data += part
        return data

    def read_line(self, exec_id=None):
        data = b""
        while not data.endswith(b"\n"):
            data += self.call("ReadStdout", exec_id, len=100).data
        return data

    def errors(self, exec_id=None):
        return self.read(exec_id, "ReadStderr")

    def wait(self, exec_id=None):
        return self.call("WaitProcess", exec_id).status

    def remove(self):
        self.agent.RemoveContainer(container_id=self.id)


@pytest.fixture
def run(agent):
    """run(COMMAND...): a container that runs."""
    made = []

    def start(*command, **options):
        made.append(Container(agent, command, **options).start())
        return made[-1]

    yield start
    for container in made:
        container.remove()


def test_health_and_details_are_those_of_the_protocol(agent):
    assert agent.Check().status == 1
    assert agent.Version().grpc_version
    assert "virtio-fs" in agent.GetGuestDetails(mem_block_size=True).agent_details.storage_handlers


def test_a_container_is_read_and_written_by_calls(agent):
    container = Container(agent, ["sh", "-c", "cat; echo bad >&2; exit 7"])
    assert container.write(b"before its start\n") == 17
    container.start()
    assert container.call("ReadStdout", len=100).data == b"before its start\n"
    assert container.write(b"in\n", exec_id="") == 3
    container.call("CloseStdin")
    assert container.read() == b"in\n"
    assert container.errors() == b"bad\n"
    assert container.wait() == 7
    container.remove()
    with pytest.raises(Status, match="InvalidArgument"):
        container.wait()


def test_output_is_there_before_and_after_the_wait(run):
    container = run("sleep", "1000")
    container.exec("first", "sh", "-c", "echo out; echo err >&2; exit 3")
    assert container.wait("first") == 3
    assert (container.read("first"), container.errors("first")) == (b"out\n", b"err\n")
    container.exec("second", "sh", "-c", "echo out; exit 4")
    assert container.read("second") == b"out\n"
    assert container.wait("second") == 4
    with pytest.raises(Status, match="NotFound"):
        container.read("first")


def test_megabytes_go_both_ways_through_a_process_that_is_read_slowly(run):
    container = run("sleep", "1000")
    container.exec("copy", "cat")
    sent = bytes(range(256)) * (4 * MEBIBYTE // 256 - 4)
    writing = container.begin("WriteStdin", "copy", data=sent)
    with pytest.raises(TimeoutError):
        writing(timeout=1)  # nobody reads
    reading, received = 0, b""
    while len(received) < len(sent):
        reading += 1
        received += container.call("ReadStdout", "copy", len=1 << 20).data
    assert writing().len == len(sent)
    assert reading > 1 and received == sent
    container.call("WriteStdin", "copy")  # of nothing: the end
    assert container.read("copy") == b""
    assert container.wait("copy") == 0


def test_a_read_waits_for_output_and_one_whose_client_has_gone_takes_none(guest, run):
    container = run("cat")
    gone = guest.agent()
    gone.begin("ReadStdout", container_id=container.id, exec_id=container.id, len=100)
    gone.Check()  # the call before has come, too
    gone.close()
    guest.agents.remove(gone)
    with pytest.raises(Status, match="DeadlineExceeded"):
        container.call("ReadStdout", len=100, timeout_ns=200_000_000)
    waiting = container.begin("ReadStdout", len=100)
    container.write(b"here\n")
    assert waiting().data == b"here\n"


def test_a_terminal_has_a_size_and_one_output(run):
    container = run("sleep", "1000")
    container.exec("tty", "sh", "-c", "stty -echo; echo ready; read line; stty size; exit 5", terminal=True)
    assert container.read_line("tty") == b"ready\r\n"
    container.call("TtyWinResize", "tty", row=33, column=44)
    assert container.errors("tty") == b""
    container.write(b"go\n", "tty")
    assert container.wait("tty") == 5
    assert container.read("tty") == b"33 44\r\n"
    with pytest.raises(Status, match="Unavailable"):
        container.call("TtyWinResize", row=1, column=1)


def test_the_output_of_a_killed_process_ends(run):
    container = run("sh", "-c", "echo last; exec sleep 1000")
    assert container.read_line() == b"last\n"
    reading = container.begin("ReadStdout", len=100)
    container.exec("beside", "sleep", "1000")
    container.call("SignalProcess", "beside", signal=signal.SIGTERM)
    assert container.wait("beside") == 128 + signal.SIGTERM
    container.call("SignalProcess", "", signal=signal.SIGKILL)
    assert (reading().data, container.read()) == (b"", b"")
    assert container.wait() == 128 + signal.SIGKILL


def test_a_spec_without_a_pid_namespace_gets_one_of_its_own(run):
    first, second = (run("sh", "-c", "echo $$ $(readlink /proc/self/ns/pid); exec cat") for _ in range(2))
    answers = [container.read_line().split() for container in (first, second)]
    assert [answer[0] for answer in answers] == [b"1", b"1"]
    assert answers[0][1] != answers[1][1]


def test_one_that_shares_it_is_in_the_pods(run):
    first, second = (run("sh", "-c", "readlink /proc/self/ns/pid; exec sleep 1000", sandbox_pidns=True) for _ in range(2))
    assert first.read_line() == second.read_line()
    second.exec("ps", "ps")
    assert second.read("ps").count(b"sleep 1000") == 2


def test_ipc_and_uts_are_the_pods(run):
    command = "echo $(readlink /proc/self/ns/ipc) $(readlink /proc/self/ns/uts) $(hostname); exec sleep 1000"
    first, second = (run("sh", "-c", command) for _ in range(2))
    line = first.read_line()
    assert line == second.read_line()
    assert line.startswith(b"ipc:[") and line.endswith(b"] pod\n")


def test_running_out_of_memory_is_an_event(agent, run):
    event = agent.begin("GetOOMEvent")
    container = run("sh", "-c", "tail /dev/zero", limit=32 * MEBIBYTE)
    assert event().container_id == container.id
    assert container.wait() == 128 + signal.SIGKILL


def test_figures_and_a_pause(agent, run):
    container = run("sleep", "1000")
    agent.PauseContainer(container_id=container.id)
    agent.ResumeContainer(container_id=container.id)
    assert agent.StatsContainer(container_id=container.id).cgroup_stats.pids_stats.current == 1
    agent.UpdateContainer(container_id=container.id, resources={"Memory": {"Limit": 64 * MEBIBYTE}})
    assert agent.StatsContainer(container_id=container.id).cgroup_stats.memory_stats.usage.limit == 64 * MEBIBYTE
    agent.OnlineCPUMem(wait=True, nb_cpus=1, cpu_only=True)  # it is there already


def test_metrics_have_upstreams_names(agent):
    first, second = ([line for line in agent.GetMetrics().metrics.splitlines() if not line.startswith("#")] for _ in range(2))
    samples = dict(line.rsplit(" ", 1) for line in second)
    assert float(samples["kata_agent_scrape_count"]) == float(dict(line.rsplit(" ", 1) for line in first)["kata_agent_scrape_count"]) + 1
    total = float(samples['kata_guest_meminfo{item="mem_total"}'])
    assert MEMORY_MIB * MEBIBYTE * 0.7 < total < MEMORY_MIB * MEBIBYTE
    assert 0 < float(samples["kata_agent_total_rss"]) < total
    for name in ('load{item="load1"}', 'tasks{item="cur"}', 'cpu_time{cpu="total",item="user"}', 'vm_stat{item="pgfault"}',
                 'netdev_stat{interface="lo",item="recv_bytes"}'):
        assert f"kata_guest_{name}" in samples


def test_a_volume_has_figures(agent):
    usage, inodes = agent.GetVolumeStats(volume_guest_path=SHARED).usage
    assert (usage.unit, inodes.unit) == (1, 2)
    assert usage.total >= usage.used + usage.available > 0
    with pytest.raises(Status, match="No such file"):
        agent.GetVolumeStats(volume_guest_path=f"{SHARED}/nowhere")
    agent.RemoveStaleVirtiofsShareMounts()


def test_what_is_not_built_is_unimplemented(agent):
    for method in "SetPolicy", "ResizeVolume", "AddSwapPath", "MemHotplugByProbe", "MemAgentMemcgSet", "MemAgentCompactSet":
        with pytest.raises(Status, match=f"Unimplemented.*{method}"):
            getattr(agent, method)()
