"""What nerdctl asks of a runtime, by a program that does what its hook does (test/lib/nerdctl-hook). Debian has no nerdctl. The
same under runc."""

import json
import os
import subprocess

import pytest
from harness import KATA, REPO, RUNC
from harness.cni import Cni, host_local
from harness.networks import look
from harness.processes import kill, wait_for
from harness.traffic import PORT, echo_once, sh, wait_listening

HOOK = os.path.join(REPO, "test/lib/nerdctl-hook")
BRIDGE = {"type": "bridge", "bridge": "nerdctl0", "isGateway": True, "ipam": host_local("10.4.0.0/24")}
PORTMAP = {"type": "portmap", "capabilities": {"portMappings": True}}
PUBLISHED = 8080


@pytest.fixture(params=[RUNC, KATA], ids=["runc", "kata"])
def runtime(request):
    """Both, whatever TEST_RUNTIME says."""
    return request.param


@pytest.fixture
def network():
    made = Cni("bridge", BRIDGE, PORTMAP)
    before = look()
    yield made
    made.close()
    assert not made.leases() and not made.records()
    subprocess.run(["ip", "link", "del", "nerdctl0"], check=False, capture_output=True)
    assert wait_for(lambda: look() == before), (look(), before)


@pytest.fixture
def run(containerd, runtime, name, rootfs, tmp_path, network):
    """run(HOSTNAME, COMMAND...): `nerdctl run -d`: its id and its folder."""
    running = []

    def start(hostname, *command, ports=()):
        container, store = name(), tmp_path / "store"
        folder = store / container
        folder.mkdir(parents=True)
        (folder / "hosts").touch()
        spec = containerd.spec(rootfs, *command)
        spec["annotations"] = {
            "nerdctl/namespace": containerd.namespace, "nerdctl/hostname": hostname, "nerdctl/state-dir": str(folder),
            "nerdctl/ports": json.dumps(ports), "nerdctl/pid-file": str(folder / "pid"),
        }
        spec["hooks"] = {key: [{"path": HOOK, "args": ["nerdctl-hook", event]}]
                         for key, event in (("createRuntime", "createRuntime"), ("poststop", "postStop"))}
        spec["mounts"].append({"destination": "/etc/hosts", "type": "bind", "source": str(folder / "hosts"),
                               "options": ["bind", "rprivate"]})
        containerd.run_spec(container, spec, runtime=runtime, flags=["-d", *containerd.own_fifos]).check()
        running.append(container)
        return container, folder

    yield start
    for container in running:
        if containerd.task_state(container):
            containerd.delete(container)


def address_of(folder):
    """Of a container."""
    return json.loads((folder / "meta.json").read_text())["ips"][0].split("/")[0]


def test_the_network_of_a_hook_is_there_when_the_first_process_starts(containerd, run):
    container, folder = run("web", "sh", "-c", "{ ip addr; cat /etc/hosts; } >/dev/shm/seen; mv /dev/shm/seen /dev/shm/first; sleep 1000")
    first = sh(containerd, container, "until cat /dev/shm/first 2>/dev/null; do sleep 0.1; done")
    assert f"inet {address_of(folder)}/24" in first and f"{address_of(folder)} web" in first, first
    assert int((folder / "pid").read_text()) == containerd.task_pid(container)
    sh(containerd, container, "ping -c 1 -W 30 10.4.0.1")


def test_names_are_found_by_hosts_files_that_change_in_place(containerd, run):
    first, _ = run("web", "sleep", "1000")
    second, folder = run("db", "sleep", "1000")
    assert wait_for(lambda: f"{address_of(folder)} db" in sh(containerd, first, "cat /etc/hosts"))
    sh(containerd, first, "ping -c 1 -W 30 db")
    sh(containerd, second, "ping -c 1 -W 30 web")
    containerd.delete(second)
    assert wait_for(lambda: "db" not in sh(containerd, first, "cat /etc/hosts"))


def test_a_published_port_leads_to_the_container(containerd, run):
    if subprocess.run(["iptables", "-t", "nat", "-S"], capture_output=True, check=False).returncode:
        pytest.skip("iptables has no table nat in this kernel")
    ports = [{"hostPort": PUBLISHED, "containerPort": PORT, "protocol": "tcp", "hostIP": ""}]
    container, _ = run("web", "nc", "-l", "-p", str(PORT), "-e", "cat", ports=ports)
    wait_listening(containerd, container)
    assert echo_once("10.4.0.1", PUBLISHED, megabytes=1)


@pytest.mark.parametrize("runtime", [KATA], indirect=True)  # runc's shim leaves its container's process and its address
def test_a_killed_shim_gives_its_address_back(containerd, run, network):
    container, folder = run("web", "sleep", "1000")
    kill(containerd.shim(container))
    assert wait_for(lambda: containerd.task_state(container) is None)
    assert wait_for(lambda: not (folder / "meta.json").exists())  # removed after the address
    assert not network.leases()
    containerd.ctr("containers", "delete", container).check()
