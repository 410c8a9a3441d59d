"""Bytes of TCP and UDP between containers and the host, compared."""

import os
import re
import socket
import subprocess
import threading
from hashlib import sha256
from pathlib import Path

from . import REPO
from .parts import static_program
from .processes import wait_for

MEGABYTE = 1 << 20
MEGABYTES = int(os.environ.get("KATA_NETWORK_MEGABYTES", 8))
PORT = 5000
SECONDS = 60 + 3 * MEGABYTES  # of a transfer, without KVM


def sh(containerd, container, script, timeout=60):
    """What a script prints in a container."""
    return containerd.exec(container, "sh", "-c", script, timeout=timeout).check().text


def wait_listening(containerd, container, port=PORT):
    listens = rf":{port:04X} \S+ 0A "  # TCP_LISTEN: an earlier connection is not meant
    assert wait_for(lambda: re.search(listens, sh(containerd, container, "cat /proc/net/tcp*")))


def echo_once(address, port, megabytes):
    """Whether bytes come back as they were sent, both ways at once, from whatever listens there."""
    with socket.create_connection((address, port), 20) as stream:
        stream.settimeout(SECONDS)
        sent, received = _exchange(stream, megabytes)
    return sent == received


def _exchange(stream, megabytes):
    """Digests of what was sent and of what came back."""
    sent, received = sha256(), sha256()

    def send():
        for _ in range(megabytes):
            block = os.urandom(MEGABYTE)
            sent.update(block)
            stream.sendall(block)
        stream.shutdown(socket.SHUT_WR)

    sender = threading.Thread(target=send)
    sender.start()
    for block in iter(lambda: stream.recv(MEGABYTE), b""):
        received.update(block)
    sender.join()
    return sent.digest(), received.digest()


class Traffic:
    """Our program that sends and compares (test/lib/traffic.c), for the host and for containers that have the flags."""

    def __init__(self, folder):
        program = static_program(Path(folder, "traffic"), Path(REPO, "test/lib/traffic.c"))
        self.host = [program]
        self.inside = ["/traffic/traffic"]
        self.flags = ["--mount", f"type=bind,src={folder},dst=/traffic,options=rbind:ro"]

    def exchange(self, containerd, client, server, address, megabytes=MEGABYTES, datagrams=0):
        """Bytes of TCP both ways at once, then datagrams of 9,000 bytes there and back: what the client says of their speed.

        client, server: a container, or None, the host.
        """
        serving = self._start(containerd, server, "serve", str(PORT))
        asking = self._start(containerd, client, "connect", address, str(PORT), str(megabytes * MEGABYTE), str(datagrams))
        said = [containerd.finish(one, timeout=SECONDS) for one in (asking, serving)]
        assert all(one.rc == 0 for one in said), f"{client or 'host'} to {address}: {said[0]}; {said[1]}"
        return said[0].text.strip()

    def _start(self, containerd, where, *args):
        if where:
            return containerd.exec_background(where, *self.inside, *args)
        return subprocess.Popen([*self.host, *args], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                start_new_session=True)


def host_pings(address, size=56):
    subprocess.run(["busybox", "ping", "-c", "1", "-W", "30", "-s", str(size), address], check=True, capture_output=True)
