"""Network namespaces on a bridge, made by ip(8) in the sandbox's own network, as a CNI plugin makes them."""

import ctypes
import itertools
import json
import os
import socket
import subprocess
import threading

from .processes import SOON, wait_for

GATEWAY = "10.88.0.1"
GATEWAY6 = "fd88::1"

_numbers = itertools.count(2)


def ip(*args):
    return _run("ip", *args)


def make_folder():
    """ip(8) makes and mounts /run/netns once, and leaves it."""
    ip("netns", "add", "first")
    ip("netns", "del", "first")


def _run(*command):
    done = subprocess.run(command, capture_output=True, text=True, timeout=SOON)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
    return done.stdout


class Bridge:
    """A bridge of the host with an address, and the namespaces that hang on it."""

    def __init__(self, name):
        self.name = name
        self.spaces = []
        ip("link", "add", name, "type", "bridge")
        ip("link", "set", name, "up")
        ip("addr", "add", f"{GATEWAY}/16", "dev", name)
        ip("-6", "addr", "add", f"{GATEWAY6}/64", "dev", name, "nodad")

    def add(self, link="eth0", mtu=1500):
        self.spaces.append(Space(self, next(_numbers), link, mtu))
        return self.spaces[-1]

    def close(self):
        for space in self.spaces:
            space.close()
        ip("link", "del", self.name)


class Namespace:
    """A network namespace with a name, until close()."""

    def __init__(self, number):
        self.number = number
        self.name = f"pod{number}"
        self.path = f"/run/netns/{self.name}"
        self.address, self.address6 = f"10.88.0.{number}", f"fd88::{number}"
        self.mac = f"02:00:00:88:00:{number:02x}"
        ip("netns", "add", self.name)
        self.ip("link", "set", "lo", "up")

    def ip(self, *args):
        return ip("-n", self.name, *args)

    def set_up(self, link):
        """A link with addresses and default routes of both families, as the only one of the network."""
        self.ip("link", "set", link, "up")
        self.ip("addr", "add", f"{self.address}/16", "dev", link)
        self.ip("-6", "addr", "add", f"{self.address6}/64", "dev", link, "nodad")
        self.ip("route", "add", "default", "via", GATEWAY)
        self.ip("-6", "route", "add", "default", "via", GATEWAY6, "dev", link)
        self.settle(link)

    def settle(self, link):
        """The link-local address comes a moment after the link is up, and is tentative for a second."""
        assert wait_for(lambda: self._is_settled(link)), self.ip("addr")

    def _is_settled(self, link):
        addresses = self.ip("-6", "addr", "show", "dev", link)
        return "fe80:" in addresses and "tentative" not in self.ip("-6", "addr")

    def flags(self):
        """The options of `ctr run`."""
        return ["--with-ns", f"network:{self.path}"]

    def look(self):
        return look("-n", self.name)

    def close(self):
        subprocess.run(["ip", "netns", "del", self.name], capture_output=True, check=False)


class Space(Namespace):
    """One with a veth to the bridge."""

    def __init__(self, bridge, number, link, mtu):
        super().__init__(number)
        self.link, self.mtu = link, mtu
        add_veth(self, bridge.name, link, mtu)
        self.set_up(link)


def add_veth(space, bridge, link, mtu):
    """A link of a namespace whose other end is a port of a bridge, or, with no bridge, the host's."""
    outer = f"veth{space.number}"
    ip("link", "add", outer, "mtu", str(mtu), "type", "veth", "peer", "name", link, "netns", space.name,
       "address", space.mac, "mtu", str(mtu))
    ip("link", "set", outer, *(["master", bridge] if bridge else []), "up")
    return outer


def numbered():
    """A namespace of a number that no other has."""
    return Namespace(next(_numbers))


def has_kind(kind):
    """Whether this kernel has links of a kind."""
    done = subprocess.run(["ip", "link", "add", "probe", "link", "lo", "type", kind], capture_output=True, text=True,
                          check=False)
    subprocess.run(["ip", "link", "del", "probe"], capture_output=True, check=False)
    return "Unknown device type" not in done.stderr


_libc = ctypes.CDLL(None, use_errno=True)


def socket_in(path, family, kind=socket.SOCK_STREAM):
    """A socket of the namespace at the path: made by a thread that is in it."""
    made = []

    def make():
        where = os.open(path, os.O_RDONLY)
        try:
            if _libc.setns(where, 0) == 0:
                made.append(socket.socket(family, kind))
        finally:
            os.close(where)

    thread = threading.Thread(target=make)
    thread.start()
    thread.join()
    assert made, f"cannot enter {path}: errno {ctypes.get_errno()}"
    return made[0]


# What changes by itself: counters, life times, and what the kernel has learned of its neighbours.
_VOLATILE = {"stats", "stats64", "valid_life_time", "preferred_life_time", "age", "expires", "used"}


def look(*where):
    """Links, addresses, routes, rules, permanent neighbours and qdiscs of a namespace, to be compared."""
    found = {
        kind: _steady(json.loads(ip(*where, "-j", "-d", *command) or "[]"))
        for kind, command in {
            "links": ("addr",),
            "routes": ("route", "show", "table", "all"),
            "routes6": ("-6", "route", "show", "table", "all"),
            "rules": ("rule",),
            "neighbours": ("neigh", "show", "nud", "permanent"),
        }.items()
    }
    found["qdiscs"] = _run("tc", *where, "qdisc")
    return found


def _steady(value):
    if isinstance(value, dict):
        return {key: _steady(one) for key, one in value.items() if key not in _VOLATILE and not key.endswith("_timer")}
    if isinstance(value, list):
        return [_steady(one) for one in value]
    return value
