"""Every kind of link that a network plugin makes: two pods and the host reach each other, by IPv4 and IPv6, and routes and rules
are as they are in the namespace, attribute by attribute. With KATA_NETWORK_MEGABYTES, which is how much passes, each kind has every MTU."""

import json
import os
import subprocess

import pytest
from harness.networks import GATEWAY, GATEWAY6, Bridge, add_veth, has_kind, ip, look, numbered
from harness.processes import wait_for
from harness.programs import IP, WITH_PROGRAMS
from harness.traffic import MEGABYTES, host_pings, sh

MTUS = [1280, 1500, 9000]
ALL = "KATA_NETWORK_MEGABYTES" in os.environ
UPLINK = "up0"
MOST = "OnBridge-1500"  # has all bytes always, the others a megabyte
DATAGRAMS = 100


class Kind:
    """How a namespace gets its link: a class for each, whose host side is made by its construction."""

    link = "eth0"
    needs = None  # of the kernel

    def __init__(self, mtu):
        self.mtu = mtu
        self.spaces = []

    def add(self):
        space = numbered()
        self.spaces.append(space)
        self.connect(space)
        return space

    def close(self):
        for space in self.spaces:
            space.close()


class OnBridge(Kind):
    def __init__(self, mtu):
        super().__init__(mtu)
        self.bridge = Bridge("kata-br")

    def connect(self, space):
        add_veth(space, self.bridge.name, self.link, self.mtu)
        space.set_up(self.link)

    def close(self):
        super().close()
        self.bridge.close()


class BridgeInside(OnBridge):
    """The address is on a bridge of the namespace, whose port has none."""

    link = "br0"

    def connect(self, space):
        add_veth(space, self.bridge.name, "port0", self.mtu)
        space.ip("link", "add", "br0", "type", "bridge")
        space.ip("link", "set", "port0", "up")
        space.settle("port0")  # it keeps the address that it gets before it is a port
        space.ip("link", "set", "port0", "master", "br0")
        space.set_up("br0")


class Vlan(OnBridge):
    """The packets of the namespace have a tag; the host's own bridge takes it off."""

    needs = "vlan"
    link = "tagged"

    def connect(self, space):
        outer = add_veth(space, None, "port0", self.mtu)
        space.ip("link", "set", "port0", "up")
        space.ip("link", "add", "tagged", "link", "port0", "type", "vlan", "id", "5")
        ip("link", "add", f"{outer}.5", "link", outer, "type", "vlan", "id", "5")
        ip("link", "set", f"{outer}.5", "master", self.bridge.name, "up")
        space.set_up("tagged")


class Ptp(Kind):
    """A link for each pod, routed by the host; the gateway is no neighbour by its address."""

    def __init__(self, mtu):
        super().__init__(mtu)
        for name in ("net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding"):
            subprocess.run(["busybox", "sysctl", "-w", f"{name}=1"], check=True, capture_output=True)

    def connect(self, space):
        outer = add_veth(space, None, self.link, self.mtu)
        ip("addr", "add", f"{GATEWAY}/32", "dev", outer)
        ip("-6", "addr", "add", f"{GATEWAY6}/128", "dev", outer, "nodad")
        ip("route", "add", f"{space.address}/32", "dev", outer)
        ip("-6", "route", "add", f"{space.address6}/128", "dev", outer)
        space.ip("link", "set", self.link, "up")
        for own, all_of_it, gateway in ((f"{space.address}/32", "0.0.0.0/0", GATEWAY),
                                        (f"{space.address6}/128", "::/0", GATEWAY6)):
            space.ip("addr", "add", own, "dev", self.link, *(["nodad"] if ":" in own else []))
            space.ip("route", "add", gateway, "dev", self.link, "scope", "link")
            space.ip("route", "add", all_of_it, "via", gateway, "dev", self.link)
        space.settle(self.link)


class Macvlan(Kind):
    """Links that share one of the host's; the host is at its other end."""

    kind, more = "macvlan", ["mode", "bridge"]

    def __init__(self, mtu):
        super().__init__(mtu)
        ip("link", "add", UPLINK, "mtu", str(mtu), "type", "veth", "peer", "name", "net0", "mtu", str(mtu))
        for link in (UPLINK, "net0"):
            ip("link", "set", link, "up")
        ip("addr", "add", f"{GATEWAY}/16", "dev", "net0")
        ip("addr", "add", f"{GATEWAY6}/64", "dev", "net0", "nodad")

    def connect(self, space):
        ip("link", "add", "link", UPLINK, f"sub{space.number}", "type", self.kind, *self.more)
        ip("link", "set", f"sub{space.number}", "netns", space.name, "name", self.link)
        space.set_up(self.link)

    def close(self):
        super().close()
        ip("link", "del", UPLINK)


class Macvtap(Macvlan):
    kind = needs = "macvtap"


class IpvlanL2(Macvlan):
    kind = needs = "ipvlan"
    more = ["mode", "l2"]


class IpvlanL3(Macvlan):
    kind = needs = "ipvlan"
    more = ["mode", "l3"]


KINDS = [OnBridge, Ptp, Macvlan, Macvtap, IpvlanL2, IpvlanL3, BridgeInside, Vlan]
TABLE = [(kind, mtu) for kind in KINDS for mtu in MTUS if ALL or mtu == 1500 or kind is OnBridge]


@pytest.fixture
def kind(request):
    """What a test is parametrized by, made; in the end the host's network is as before."""
    made_of, mtu = request.param
    if made_of.needs and not has_kind(made_of.needs):
        pytest.skip(f"this kernel has no {made_of.needs}")
    before = look()
    made = made_of(mtu)
    yield made
    made.close()
    assert wait_for(lambda: look() == before), (look(), before)


@pytest.mark.parametrize("kind", TABLE, indirect=True, ids=lambda row: f"{row[0].__name__}-{row[1]}")
def test_two_pods_and_the_host(containerd, kind, run_in, traffic, request):
    spaces = [kind.add(), kind.add()]
    before = [space.look() for space in spaces]
    first, second = (run_in(space, *traffic.flags) for space in spaces)
    assert f"mtu {kind.mtu}" in sh(containerd, first, f"ip link show {kind.link}")
    for container, other in ((first, spaces[1]), (second, spaces[0])):
        pings = [f"ping -c 1 -W 30 -s {kind.mtu - 28} {target}" for target in (other.address, GATEWAY)]
        pings += [f"ping -6 -c 1 -W 30 -s {kind.mtu - 48} {target}" for target in (other.address6, GATEWAY6)]
        sh(containerd, container, " && ".join(pings))
    host_pings(spaces[0].address, kind.mtu - 28)
    megabytes = MEGABYTES if ALL or request.node.callspec.id == MOST else 1
    for client, server, address in (
        (first, second, spaces[1].address), (second, first, spaces[0].address6),
        (first, None, GATEWAY), (second, None, GATEWAY6), (None, first, spaces[0].address), (None, second, spaces[1].address6),
    ):
        said = traffic.exchange(containerd, client, server, address, megabytes, DATAGRAMS)
        print(f"{request.node.callspec.id}: {client and 'pod' or 'host'} to {server and 'pod' or 'host'} at {address}: {said}")
    for container in (first, second):
        containerd.delete(container)
    assert wait_for(lambda: [space.look() for space in spaces] == before)


def told(text):
    """Addresses, routes and rules as iproute2 prints them in JSON, without what is a kernel's own."""
    found = json.loads(text or "[]")
    for one in found:
        for address in one.get("addr_info", []):
            address.pop("nodad", None)
        if one.get("ipproto") == "tcp":
            one["ipproto"] = "ipproto-6"  # a container has no /etc/protocols
    return {
        json.dumps(one.get("addr_info", one), sort_keys=True) for one in found
        if one and not one.get("dev", "").endswith("_kata")  # the shim's tap
    }


ROUTES = [
    "10.99.0.0/16 via 10.88.0.200 dev eth0 metric 100 mtu 1400 advmss 1300",
    "10.98.0.0/16 via 10.88.0.200 dev eth0 src {address} initcwnd 20 rtt 50ms",
    "10.97.0.0/16 via 192.168.9.9 dev eth0 onlink",
    "10.96.0.0/16 dev eth0 scope link proto static",
    "10.95.0.0/16 nexthop via 10.88.0.201 dev eth0 weight 3 nexthop via 10.88.0.202 dev eth0 weight 1",
    "10.94.0.0/16 via 10.88.0.203 dev eth0 table 100",
    "default via 10.88.0.204 dev eth0 table 101 proto bird",
    "default via 10.88.0.205 dev eth0 metric 200",
    "blackhole 10.93.0.0/16", "unreachable 10.92.0.0/16 metric 7", "prohibit 10.91.0.0/16",
    "169.254.1.1 dev eth0 scope link", "10.90.0.0/16 via 169.254.1.1 dev eth0",
    "10.89.0.0/16 via 10.88.0.206 dev eth0 tos 0x10", "10.87.0.0/16 via inet6 fe80::9 dev eth0",
    "10.86.0.0/16 via 10.88.0.207 dev eth0 mtu lock 1400 hoplimit 9 quickack 1",
]
ROUTES6 = [
    "fd99::/64 via fd88::200 dev eth0 metric 100 mtu 1400 advmss 1300",
    "fd98::/64 via fd88::200 dev eth0 src {address6}",
    "fd97::/64 via fe80::77 dev eth0 onlink",
    "fd96::/64 dev eth0 proto static pref high",
    "fd95::/64 nexthop via fd88::201 dev eth0 weight 3 nexthop via fd88::202 dev eth0 weight 1",
    "fd94::/64 via fd88::203 dev eth0 table 100",
    "default via fd88::204 dev eth0 table 101",
    "blackhole fd93::/64", "unreachable fd92::/64",
]
RULES = [
    "from {address} table 100 priority 100", "fwmark 0x10/0xf0 table 101 priority 101", "to 10.94.0.0/16 iif lo table 100 priority 102",
    "from all ipproto tcp dport 80 table 101 priority 103", "from all uidrange 0-99 table 100 priority 104",
    "not from 10.1.0.0/16 tos 0x10 blackhole priority 105",
]
RULES6 = ["from {address6} table 100 priority 100", "to fd94::/64 table 100 suppress_prefixlength 0 priority 101"]
LISTS = ["addr show dev eth0", "route show table all", "-6 route show table all", "rule", "-6 rule"]


def test_routes_and_rules_are_those_of_the_namespace(containerd, bridge, run_in):
    space = bridge.add()
    for family, kind, lines in (("-4", "route", ROUTES), ("-6", "route", ROUTES6), ("-4", "rule", RULES), ("-6", "rule", RULES6)):
        for line in lines:
            space.ip(family, kind, "add", *line.format(address=space.address, address6=space.address6).split())
    container = run_in(space, *WITH_PROGRAMS)
    for what in LISTS:
        inside = told(sh(containerd, container, f"{IP} -j -d {what}"))
        outside = told(space.ip("-j", "-d", *what.split()))
        assert inside == outside, f"{what}: inside only: {inside - outside}; outside only: {outside - inside}"


def test_links_that_swap_their_names_keep_their_addresses(containerd, bridge, run_in):
    """The guest's kernel numbers its cards itself, and the names of two of them are each other's."""
    space = bridge.add(link="eth1")
    ip("link", "add", "other", "type", "veth", "peer", "name", "eth0", "netns", space.name)
    ip("addr", "add", "10.1.0.1/24", "dev", "other")
    ip("link", "set", "other", "up")
    space.ip("addr", "add", "10.1.0.2/24", "dev", "eth0")
    space.ip("link", "set", "eth0", "up")
    container = run_in(space)
    shown = sh(containerd, container, "ip -4 addr show dev eth0; ip link show dev eth1")
    assert "inet 10.1.0.2/24" in shown and space.mac in shown, shown
    sh(containerd, container, f"ping -c 1 -W 30 10.1.0.1 && ping -c 1 -W 30 {GATEWAY}")


def test_names_of_any_kind_are_kept(containerd, bridge, run_in):
    space = bridge.add(link="a.b-c_d~1+@x{}")  # no '/', no ':', no space, at most 15 bytes
    assert "a.b-c_d~1+@x{}" in sh(containerd, run_in(space), "cat /proc/net/dev")


def test_what_is_down_or_has_no_address_is_no_card(containerd, bridge, run_in):
    space = bridge.add()
    for kind in ("dummy", "ifb", "ipip", "sit", "bridge"):
        if has_kind(kind):
            space.ip("link", "add", f"{kind}5", "type", kind)
    space.ip("link", "add", "down0", "type", "veth", "peer", "name", "down1")
    space.ip("addr", "add", "10.6.0.1/24", "dev", "down0")
    links = sh(containerd, run_in(space), "cat /proc/net/dev").splitlines()[2:]
    assert sorted(line.split(":")[0].strip() for line in links) == ["eth0", "lo"]


def test_two_links_with_one_mac_are_two_cards(containerd, bridge, run_in):
    """As under runc: the guest tells them apart by where they are plugged in."""
    space = bridge.add()
    ip("link", "add", "other", "type", "veth", "peer", "name", "eth1", "netns", space.name, "address", space.mac)
    ip("addr", "add", "10.1.0.1/24", "dev", "other")
    ip("link", "set", "other", "up")
    space.ip("addr", "add", "10.1.0.2/24", "dev", "eth1")
    space.ip("link", "set", "eth1", "up")
    sh(containerd, run_in(space), f"ping -c 1 -W 30 10.1.0.1 && ping -c 1 -W 30 {GATEWAY}")


def test_a_gateway_that_nobody_can_reach_is_as_under_runc(containerd, bridge, run_in):
    """onlink: the kernel takes it. Nothing answers, and the pod starts all the same."""
    space = bridge.add()
    space.ip("route", "replace", "default", "via", "203.0.113.1", "dev", "eth0", "onlink")
    shown = sh(containerd, run_in(space), f"ip route; ping -c 1 -W 30 {GATEWAY}")
    assert "default via 203.0.113.1 dev eth0" in shown, shown


def test_a_tap_of_another_program_is_a_card(containerd, request, run_in):
    """As of slirp or passt, which serve the other end of it: a descriptor."""
    space = numbered()
    request.addfinalizer(space.close)
    space.ip("tuntap", "add", "tap0", "mode", "tap")
    space.ip("addr", "add", "10.0.2.100/24", "dev", "tap0")
    space.ip("link", "set", "tap0", "up")
    assert "inet 10.0.2.100/24" in sh(containerd, run_in(space), "ip addr show dev tap0")
