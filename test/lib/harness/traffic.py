"""Bytes of TCP and UDP between containers and the host, compared."""

import os
import re
import socket
import subprocess
import tempfile
import threading
from hashlib import sha256

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
    assert wait_for(lambda: re.search(listens, sh(containerd, container, "cat /proc/net/tcp*")), 20)


def echoed_by_container(containerd, container, address, megabytes=MEGABYTES):
    """Whether bytes come back from a container as they were sent to it: both directions at once."""
    serving = containerd.exec_background(container, "nc", "-l", "-p", str(PORT), "-e", "cat")
    wait_listening(containerd, container)
    same = echo_once(address, PORT, megabytes)
    containerd.finish(serving, timeout=20)
    return same


def echo_once(address, port, megabytes):
    """The same, from whatever listens there."""
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


def echoed_by_host(containerd, container, address, megabytes=MEGABYTES):
    """Whether a container gets back from the host what it sent there."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.create_server((address, PORT), family=family) as server:
        server.settimeout(SECONDS)
        echo = threading.Thread(target=_echo, args=(server,))
        echo.start()
        script = (f"head -c {megabytes << 20} /dev/urandom >/tmp/data; sha256sum </tmp/data;"
                  f"nc {address} {PORT} </tmp/data | sha256sum")
        sent, received = sh(containerd, container, script, SECONDS).splitlines()
        echo.join()
    return sent == received


def _echo(server):
    """All of it comes first: nc reads nothing while it waits to write."""
    stream, _ = server.accept()
    with stream, tempfile.TemporaryFile() as kept:
        for block in iter(lambda: stream.recv(MEGABYTE), b""):
            kept.write(block)
        kept.seek(0)
        stream.sendfile(kept)


def transfer(containerd, sender, receiver, address, megabytes=MEGABYTES):
    """Whether bytes of TCP come from one container to another as they were sent."""
    sent = sh(containerd, sender, f"head -c {megabytes << 20} /dev/urandom >/tmp/data; sha256sum </tmp/data", SECONDS)
    # The end of its input would be the end of the connection for the sender.
    script = f"mkfifo /tmp/quiet; exec 3<>/tmp/quiet; nc -l -p {PORT} <&3 | sha256sum; rm /tmp/quiet"
    listening = containerd.exec_background(receiver, "sh", "-c", script)
    wait_listening(containerd, receiver)
    sh(containerd, sender, f"nc {address} {PORT} </tmp/data", timeout=SECONDS)
    return containerd.finish(listening, timeout=SECONDS).check().text == sent


def host_pings(address, size=56):
    subprocess.run(["busybox", "ping", "-c", "1", "-W", "5", "-s", str(size), address], check=True, capture_output=True)
