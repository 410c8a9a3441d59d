"""`ctr run --cni`: the interfaces come between Create and Start, into the network namespace of the task's pid. The same under
runc."""

import re
import subprocess
import time

import pytest
from harness import KATA, RUNC
from harness.cni import Cni, host_local
from harness.networks import has_kind, ip, look
from harness.processes import wait_for
from harness.traffic import host_pings, sh

SLEEP = ["sleep", "1000"]
SUBNET, SUBNET6 = "10.90.0.0/16", "fd90::/64"
GATEWAY, GATEWAY6 = "10.90.0.1", "fd90::1"
DUAL = host_local(SUBNET, SUBNET6, routes=("0.0.0.0/0", "::/0"))
UPLINK = "up0"


@pytest.fixture(params=[RUNC, KATA], ids=["runc", "kata"])
def runtime(request):
    """Both, whatever TEST_RUNTIME says."""
    return request.param


@pytest.fixture
def uplink():
    """What macvlan and ipvlan share: one end of a veth. The host is at the other."""
    ip("link", "add", UPLINK, "type", "veth", "peer", "name", "net0")
    for link in (UPLINK, "net0"):
        ip("link", "set", link, "up")
    ip("addr", "add", f"{GATEWAY}/16", "dev", "net0")
    ip("addr", "add", f"{GATEWAY6}/64", "dev", "net0", "nodad")
    yield UPLINK
    ip("link", "del", UPLINK)


@pytest.fixture
def network():
    """network(PLUGIN...): the network that --cni adds. In the end no plugin has anything of it."""
    made = []

    def make(*plugins):
        made.append(Cni("test", *plugins))
        return made[-1]

    yield make
    for one in made:
        one.close()
        assert not one.leases() and not one.records()


@pytest.fixture
def run(containerd, runtime, name, traffic):
    """run(): `ctr run --cni` that goes on. It ends when the test does, and so does what it had of the network."""
    running = []

    def start(*flags):
        container = name()
        running.append((container, containerd.run_background(container, *SLEEP, runtime=runtime, flags=["--cni", *traffic.flags, *flags])))
        return container

    yield start
    for container, client in running:
        containerd.kill(container)
        done = containerd.finish(client)
        assert done.rc == 137 and not done.error, done  # where DEL fails, ctr says so and goes on


def bridge(**more):
    return {"type": "bridge", "bridge": "cni0", "isGateway": True, "ipam": DUAL, **more}


@pytest.fixture
def no_bridge():
    """The plugin leaves its bridge."""
    yield
    subprocess.run(["ip", "link", "del", "cni0"], capture_output=True, check=False)


def expect_network(containerd, traffic, container, gateway=GATEWAY, gateway6=GATEWAY6):
    """Addresses, routes, ping both ways, TCP both ways."""
    shown = sh(containerd, container, "ip addr; ip route; ip -6 route")
    address = re.search(r"inet (10\.90\.\d+\.\d+)/", shown).group(1)
    address6 = re.search(r"inet6 (fd90::\w+)/", shown).group(1)
    assert "tentative" not in shown, shown
    assert re.search(rf"^default via {gateway} dev eth0", shown, re.M), shown
    assert re.search(rf"^default via {gateway6} dev eth0", shown, re.M), shown
    for target in (gateway, gateway6):
        sh(containerd, container, f"ping -c 1 -W 30 {target}")
    for own in (address, address6):
        host_pings(own)
        traffic.exchange(containerd, None, container, own, megabytes=1)
    for target in (gateway, gateway6):
        traffic.exchange(containerd, container, None, target, megabytes=1)


def test_bridge(containerd, traffic, no_bridge, network, run):
    network(bridge())
    expect_network(containerd, traffic, run())


def test_two_containers_on_a_bridge_reach_each_other(containerd, traffic, no_bridge, network, run):
    network(bridge())
    first, second = run(), run()
    address = re.search(r"inet (10\.90\.\d+\.\d+)/", sh(containerd, second, "ip addr")).group(1)
    sh(containerd, first, f"ping -c 1 -W 30 {address}")
    traffic.exchange(containerd, first, second, address, megabytes=1)


def test_ptp(containerd, traffic, network, run):
    network({"type": "ptp", "mtu": 1400, "ipam": DUAL})
    container = run()
    assert "mtu 1400" in sh(containerd, container, "ip link show eth0")
    expect_network(containerd, traffic, container)


def test_macvlan(containerd, traffic, uplink, network, run):
    network({"type": "macvlan", "master": uplink, "mode": "bridge", "ipam": DUAL})
    expect_network(containerd, traffic, run())


def test_ipvlan(containerd, traffic, uplink, network, run):
    if not has_kind("ipvlan"):
        pytest.skip("this kernel has no ipvlan")
    network({"type": "ipvlan", "master": uplink, "ipam": DUAL})
    expect_network(containerd, traffic, run())


@pytest.fixture
def outside():
    """A host that knows no way back to the containers."""
    ip("netns", "add", "outside")
    ip("link", "add", "out0", "type", "veth", "peer", "name", "eth0", "netns", "outside")
    ip("addr", "add", "10.91.0.1/24", "dev", "out0")
    ip("link", "set", "out0", "up")
    ip("-n", "outside", "addr", "add", "10.91.0.2/24", "dev", "eth0")
    ip("-n", "outside", "link", "set", "eth0", "up")
    yield "10.91.0.2"
    ip("link", "del", "out0")  # else it goes a moment after the namespace, in the next test
    ip("netns", "del", "outside")


def test_a_container_behind_a_masquerade_reaches_others(containerd, outside, no_bridge, network, run):
    if subprocess.run(["iptables", "-t", "nat", "-S"], capture_output=True, check=False).returncode:
        pytest.skip("iptables has no table nat in this kernel")
    network(bridge(ipMasq=True, ipam=host_local(SUBNET)))
    container = run()
    sh(containerd, container, f"ping -c 1 -W 30 {outside}")
    subprocess.run(["iptables", "-t", "nat", "-F"], check=True)  # with no namespace, the plugin's DEL leaves its rules


def test_the_rate_of_a_container_is_limited(containerd, traffic, no_bridge, network, run):
    """8 Mbit/s, each way, by a plugin after the one that makes the interface."""
    if not has_kind("ifb"):
        pytest.skip("this kernel has no ifb")
    rates = {f"{way}{what}": value for way in ("ingress", "egress") for what, value in (("Rate", 8_000_000), ("Burst", 800_000))}
    network(bridge(ipam=host_local(SUBNET)), {"type": "bandwidth", **rates})
    container = run()
    address = re.search(r"inet (10\.90\.\d+\.\d+)/", sh(containerd, container, "ip addr")).group(1)
    began = time.monotonic()
    traffic.exchange(containerd, None, container, address, megabytes=2)
    assert time.monotonic() - began > 1.5  # 2 MB and 8 Mbit/s


def test_the_host_is_as_before(containerd, runtime, name, network):
    """A container whose process ends by itself; the one after it gets an address, too."""
    network({"type": "ptp", "ipam": host_local(SUBNET)})
    before = look()
    for _ in range(2):
        done = containerd.run(name(), "ip", "addr", runtime=runtime, flags=["--cni"]).check()
        assert "inet 10.90." in done.text
        assert wait_for(lambda: look() == before), (look(), before)


def test_a_network_that_cannot_be_added_leaves_nothing(containerd, runtime, name, network):
    network({"type": "macvlan", "master": "nowhere", "ipam": host_local(SUBNET)})
    before, container = look(), name()
    done = containerd.run(container, "true", runtime=runtime, flags=["--cni"])
    assert done.rc and 'plugin type="macvlan" failed' in done.error, done
    containerd.wait_state(container, "CREATED")  # ctr leaves it
    containerd.ctr("tasks", "delete", "--force", container).check()
    containerd.ctr("containers", "delete", container).check()
    assert wait_for(lambda: look() == before), (look(), before)
