"""Network namespaces that a spec names: `ctr run --with-ns network:PATH`, on a bridge with veths."""

import json
import os
import re
import time

import pytest

from harness.networks import GATEWAY, ip
from harness.processes import kill, wait_for, wait_gone
from harness.traffic import sh

SLEEP = ["sleep", "1000"]


def routes_of(text):
    """{(destination, gateway, link)} of what ip prints, iproute2's or busybox's."""
    found = set()
    for line in text.splitlines():
        words = line.split()
        if not words or words[0] in ("local", "broadcast", "anycast", "multicast", "ff00::/8"):
            continue
        after = dict(zip(words[1:], words[2:]))
        found.add((words[0], after.get("via"), after["dev"]))
    return found


def test_a_pod_has_what_is_in_its_namespace(containerd, bridge, run_in):
    space = bridge.add(link="net-0.x")
    space.ip("addr", "add", "192.168.7.9/24", "dev", space.link)
    space.ip("route", "add", "10.99.0.0/16", "via", "10.88.0.200")
    space.ip("route", "add", "169.254.1.1", "dev", space.link, "scope", "link")
    space.ip("neigh", "add", "10.88.0.77", "lladdr", "02:00:00:00:00:77", "dev", space.link, "nud", "permanent")
    container = run_in(space)
    shown = sh(containerd, container, "ip addr")
    assert re.search(rf"{space.link}: <\S*UP,LOWER_UP> mtu 1500", shown), shown
    assert space.mac in shown, shown
    assert {f"{space.address}/16", f"{space.address6}/64", "192.168.7.9/24"} <= set(re.findall(r"inet6? (\S+)", shown))
    assert "tentative" not in shown, shown
    for family in ("-4", "-6"):
        inside, outside = (routes_of(sh(containerd, container, f"ip {family} route")), routes_of(space.ip(family, "route")))
        assert inside == outside
    assert "02:00:00:00:00:77" in sh(containerd, container, "ip neigh"), "a permanent neighbour"


def test_no_address_is_tentative_when_the_first_process_starts(containerd, runtime, name, bridge):
    space = bridge.add()
    done = containerd.run(name(), "ip", "-6", "addr", runtime=runtime, flags=space.flags()).check()
    assert space.address6 in done.text and "tentative" not in done.text, done


def test_datagrams_larger_than_a_packet_arrive_whole(containerd, bridge, run_in):
    spaces = [bridge.add(), bridge.add()]
    first, second = (run_in(space) for space in spaces)
    sh(containerd, first, f"ping -c 1 -W 30 -s 9000 {spaces[1].address}")
    sh(containerd, second, f"ping -6 -c 1 -W 30 -s 9000 {spaces[0].address6}")


def test_several_links_are_several_cards(containerd, bridge, run_in):
    space = bridge.add()
    for number in (1, 2):
        space.ip("link", "add", f"net{number}", "type", "veth", "peer", "name", f"peer{number}", "netns", "1")
        space.ip("link", "set", f"net{number}", "up")
        space.ip("addr", "add", f"10.{number}.0.2/24", "dev", f"net{number}")
        ip("addr", "add", f"10.{number}.0.1/24", "dev", f"peer{number}")
        ip("link", "set", f"peer{number}", "up")
    space.ip("link", "add", "idle", "type", "bridge")
    container = run_in(space)
    links = set(re.findall(r"^\d+: ([^:@]+)", sh(containerd, container, "ip link"), re.M))
    assert links == {"lo", "eth0", "net1", "net2"}
    for target in (GATEWAY, "10.1.0.1", "10.2.0.1"):
        sh(containerd, container, f"ping -c 1 -W 30 {target}")


def test_a_dozen_links_are_a_dozen_cards(containerd, bridge, run_in):
    """The machine has more root ports than the usual, for those that are there when it starts."""
    space = bridge.add()
    for number in range(1, 12):
        space.ip("link", "add", f"net{number}", "type", "veth", "peer", "name", f"peer{number}", "netns", "1")
        space.ip("link", "set", f"net{number}", "up")
        space.ip("addr", "add", f"10.{number}.0.2/24", "dev", f"net{number}")
        ip("addr", "add", f"10.{number}.0.1/24", "dev", f"peer{number}")
        ip("link", "set", f"peer{number}", "up")
    container = run_in(space)
    sh(containerd, container, " && ".join(f"ping -c 1 -W 30 10.{number}.0.1" for number in range(1, 12)))
    space.ip("link", "add", "late", "type", "veth", "peer", "name", "later")
    space.ip("link", "set", "late", "up")
    space.ip("addr", "add", "10.99.0.2/24", "dev", "late")
    assert wait_for(lambda: "10.99.0.2" in sh(containerd, container, "ip addr"))


@pytest.mark.parametrize("limit", [0, 1, 3])
def test_a_card_has_a_queue_for_each_vcpu(containerd, bridge, run_in, traffic, limit):
    """The machine has one vCPU and those of the limit, if the host has as many. Both sides use all queues."""
    space = bridge.add()
    cpus = min(1 + limit, os.cpu_count())
    container = run_in(space, *(["--cpus", str(limit)] if limit else []), *traffic.flags)
    assert sh(containerd, container, "nproc").strip() == str(cpus)
    inside = sh(containerd, container, "ls /sys/class/net/eth0/queues").split()
    assert sorted(inside) == [f"{way}-{number}" for way in ("rx", "tx") for number in range(cpus)]
    tap = re.search(r"(tap\d+_kata)", space.ip("link")).group(1)
    outside = json.loads(space.ip("-d", "-j", "link", "show", tap))[0]["linkinfo"]["info_data"]
    assert outside.get("numqueues", 1) == cpus and not outside.get("numdisabled"), outside
    traffic.exchange(containerd, None, container, space.address, megabytes=2, datagrams=10)


def test_the_namespace_is_as_before_when_the_pod_is_gone(containerd, bridge, run_in):
    space = bridge.add()
    before = space.look()
    container = run_in(space)
    assert "ingress" in space.look()["qdiscs"]
    containerd.delete(container)
    assert wait_for(lambda: space.look() == before), (space.look(), before)
    again = run_in(space)
    sh(containerd, again, f"ping -c 1 -W 30 {GATEWAY}")


def test_a_killed_shim_leaves_the_namespace_as_before(containerd, bridge, run_in):
    space = bridge.add()
    before = space.look()
    container = run_in(space, *containerd.own_fifos)
    assert "_kata" in space.ip("link")
    shim = containerd.shim(container)
    kill(shim)
    assert wait_gone(shim)
    assert wait_for(lambda: "_kata" not in space.ip("link")), space.ip("link")
    assert wait_for(lambda: containerd.task_state(container) is None)
    assert wait_for(lambda: space.look() == before), (space.look(), before)
    containerd.ctr("containers", "delete", container).check()
    again = run_in(space)
    sh(containerd, again, f"ping -c 1 -W 30 {GATEWAY}")


def test_with_the_model_none_nothing_is_connected(containerd, runtime, name, bridge, tmp_path):
    space = bridge.add()
    before = space.look()
    config = tmp_path / "configuration.toml"
    config.write_text('[runtime]\ninternetworking_model = "none"\n', encoding="ascii")
    container = name()
    containerd.run_detached(container, *SLEEP, runtime=runtime,
                            flags=[*space.flags(), "--runtime-config-path", str(config)])
    try:
        assert space.look() == before
        assert "eth0" not in sh(containerd, container, "ip link")
    finally:
        containerd.delete(container)


@pytest.mark.parametrize("way", ["rx", "tx"])
def test_the_rate_is_limited_as_configured(containerd, bridge, run_in, traffic, tmp_path, way):
    """2 MB at 8 Mbit/s, each way apart."""
    space = bridge.add()
    before = space.look()
    config = tmp_path / "configuration.toml"
    config.write_text(f"[hypervisor.qemu]\n{way}_rate_limiter_max_rate = 8_000_000\n", encoding="ascii")
    container = run_in(space, *traffic.flags, "--runtime-config-path", str(config))
    began = time.monotonic()
    traffic.exchange(containerd, None, container, space.address, megabytes=2)
    assert time.monotonic() - began > 1.5
    containerd.delete(container)
    assert wait_for(lambda: space.look() == before), (space.look(), before)


def test_links_come_and_go_while_the_pod_runs(containerd, bridge, run_in):
    space = bridge.add()
    container = run_in(space)
    for _ in range(2):
        space.ip("link", "add", "net1", "type", "veth", "peer", "name", "peer1", "netns", "1")
        ip("addr", "add", "10.1.0.1/24", "dev", "peer1")
        ip("link", "set", "peer1", "up")
        space.ip("link", "set", "net1", "up")
        space.ip("addr", "add", "10.1.0.2/24", "dev", "net1")
        space.ip("route", "add", "10.77.0.0/16", "via", "10.1.0.9")
        assert wait_for(lambda: "10.77.0.0/16" in sh(containerd, container, "ip route"))
        sh(containerd, container, "ping -c 2 -W 30 10.1.0.1")
        space.ip("link", "del", "net1")
        assert wait_for(lambda: "net1" not in sh(containerd, container, "ip addr"))
        assert wait_for(lambda: space.ip("link").count("_kata") == 1)
    sh(containerd, container, f"ping -c 1 -W 30 {GATEWAY}")


def test_permanent_neighbours_come_and_go_while_the_pod_runs(containerd, bridge, run_in):
    space = bridge.add()
    first, second = "10.88.0.77", "fd88::f:77"
    space.ip("neigh", "add", first, "lladdr", "02:00:00:00:00:77", "dev", space.link, "nud", "permanent")
    container = run_in(space)
    assert first in sh(containerd, container, "ip neigh")
    space.ip("neigh", "add", second, "lladdr", "02:00:00:00:00:78", "dev", space.link, "nud", "permanent")
    assert wait_for(lambda: "02:00:00:00:00:78" in sh(containerd, container, "ip neigh"), 20)
    for address, mac in ((first, "02:00:00:00:00:77"), (second, "02:00:00:00:00:78")):
        space.ip("neigh", "del", address, "dev", space.link)
        assert wait_for(lambda mac=mac: mac not in sh(containerd, container, "ip neigh"), 20)


def expect_refusal(containerd, runtime, container, flags, text):
    done = containerd.run(container, "true", runtime=runtime, flags=flags)
    assert done.rc != 0
    assert text in done.error and len(done.error.strip().splitlines()) == 1, done


def test_what_is_no_namespace_of_a_pod_is_refused_in_one_line(containerd, runtime, name, bridge, tmp_path):
    file = tmp_path / "file"
    file.touch()
    for path, text in (
        ("/run/netns/none", 'cannot open "/run/netns/none": No such file or directory'),
        (str(file), f'"{file}": not a namespace'),
        ("/proc/self/ns/uts", '"/proc/self/ns/uts": not a network namespace'),
        ("/proc/self/ns/net", '"/proc/self/ns/net": the host\'s network: not supported'),
    ):
        expect_refusal(containerd, runtime, name(), ["--with-ns", f"network:{path}"], text)


def test_links_that_cannot_be_served_are_refused_by_name(containerd, runtime, name, bridge):
    space = bridge.add()
    space.ip("tuntap", "add", "tun5", "mode", "tun")
    space.ip("addr", "add", "10.5.0.1/24", "dev", "tun5")
    space.ip("link", "set", "tun5", "up")
    before = space.look()
    expect_refusal(containerd, runtime, name(), space.flags(), 'link "tun5" of kind "tun": not supported')
    assert wait_for(lambda: space.look() == before)


def test_more_links_than_there_is_room_for_are_refused(containerd, runtime, name, bridge):
    space = bridge.add()
    for number in range(63):
        space.ip("link", "add", f"v{number}", "type", "veth", "peer", "name", f"w{number}")
        space.ip("addr", "add", f"10.100.{number}.1/24", "dev", f"v{number}")
        space.ip("link", "set", f"v{number}", "up")
    expect_refusal(containerd, runtime, name(), space.flags(), "64 links with addresses: not supported; at most 15 are")
