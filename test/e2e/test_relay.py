"""The loopback of a pod's namespace on the host: who connects to localhost there reaches the guest's, as containerd does for
a forwarded port; and a nameserver there, as docker's, is reached from the guest."""

import contextlib
import hashlib
import os
import socket
import socketserver
import struct
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from harness.networks import socket_in
from harness.processes import SOON, kill, wait_for

MIB = 1 << 20
MEGABYTES = 100
LOCALHOSTS = {socket.AF_INET: "127.0.0.1", socket.AF_INET6: "::1"}

pytestmark = pytest.mark.vm


@pytest.fixture
def space(bridge):
    """A namespace with a network of its own."""
    return bridge.add()


@pytest.fixture
def serve(containerd, runtime, name, space):
    """serve(SCRIPT, *FLAGS): a container in the namespace that runs it; it is deleted in the end."""
    running = []

    def start(script, *flags):
        container = name()
        containerd.run_detached(container, "sh", "-c", script, runtime=runtime, flags=[*space.flags(), *flags])
        running.append(container)
        return container

    yield start
    for container in running:
        if containerd.task_state(container):
            containerd.delete(container)


def connect(space, port, family=socket.AF_INET):
    """A connection to localhost in the namespace; None when it is refused or reset."""
    stream = socket_in(space.path, family)
    stream.settimeout(SOON)
    try:
        stream.connect((LOCALHOSTS[family], port))
        return stream
    except ConnectionError:
        stream.close()
        return None


def answer_of(space, port, data, family=socket.AF_INET):
    """What a server answers to data and their end; None when nobody listens."""
    stream = connect(space, port, family)
    if not stream:
        return None
    with stream:
        try:
            stream.sendall(data)
            stream.shutdown(socket.SHUT_WR)
            return stream.makefile("rb").read()
        except ConnectionError:
            return None


def listens(space, port, family=socket.AF_INET):
    return wait_for(lambda: answer_of(space, port, b"?", family) is not None, pause=0.2)


ECHO = "nc -ll -p 7000 -e cat"


@pytest.mark.parametrize("family", LOCALHOSTS)
def test_a_connection_reaches_a_server_whichever_family_it_listens_on(serve, space, family):
    serve("httpd -p 127.0.0.1:7001 & httpd -f -p [::1]:7002")
    for port in (7001, 7002):
        assert listens(space, port, family)
        assert b"404 Not Found" in answer_of(space, port, b"GET / HTTP/1.0\r\n\r\n", family)


def test_the_end_of_a_direction_goes_on_and_the_other_is_still_open(serve, space):
    serve("nc -ll -p 7000 -e sh -c 'sha256sum; sleep 0.5; echo later'")
    assert listens(space, 7000)
    data = os.urandom(4 * MIB)
    assert answer_of(space, 7000, data) == f"{hashlib.sha256(data).hexdigest()}  -\nlater\n".encode()


def test_a_server_that_ends_first_is_still_sent_to(containerd, serve, space):
    container = serve("echo first | nc -l -p 7000 | sha256sum >/tmp/got; sleep 1000")
    sh = lambda script: containerd.exec(container, "sh", "-c", script).text
    assert wait_for(lambda: ":1B58 " in sh("cat /proc/net/tcp*"), pause=0.2), "it listens"
    data = os.urandom(4 * MIB)
    with connect(space, 7000) as stream:
        assert stream.makefile("rb").read() == b"first\n"
        stream.sendall(data)
        stream.shutdown(socket.SHUT_WR)
        assert wait_for(lambda: sh("cat /tmp/got") == f"{hashlib.sha256(data).hexdigest()}  -\n", pause=0.2), sh("cat /tmp/got")


def test_bytes_are_the_same_both_ways(serve, space):
    serve(ECHO)
    assert listens(space, 7000)
    sent, received = hashlib.sha256(), hashlib.sha256()
    with connect(space, 7000) as stream:

        def send():
            for _ in range(MEGABYTES):
                block = os.urandom(1000000)
                sent.update(block)
                stream.sendall(block)
            stream.shutdown(socket.SHUT_WR)

        sender = threading.Thread(target=send)
        sender.start()
        size = 0
        while block := stream.recv(MIB):
            received.update(block)
            size += len(block)
        sender.join()
    assert size == MEGABYTES * 1000000
    assert sent.digest() == received.digest()


def test_twenty_connections_at_once(serve, space):
    serve(ECHO)
    assert listens(space, 7000)
    streams = []
    for number in range(20):  # one by one: the server's backlog is short
        streams.append(connect(space, 7000))
        streams[-1].sendall(bytes([number]))
        assert streams[-1].recv(1) == bytes([number])

    def echo(stream):
        data = os.urandom(MIB)
        sender = threading.Thread(target=stream.sendall, args=(data,))
        sender.start()
        with stream:
            got = stream.makefile("rb").read(len(data))
            sender.join()
        return got == data

    with ThreadPoolExecutor(len(streams)) as pool:
        assert all(pool.map(echo, streams))


def test_a_port_that_nobody_listens_on_resets_the_connection(serve, space):
    serve("sleep 1000")
    for family, localhost in LOCALHOSTS.items():
        with socket_in(space.path, family) as stream, pytest.raises(ConnectionResetError):
            stream.settimeout(SOON)
            stream.connect((localhost, 7001))  # the reset can come before this returns
            stream.recv(1)


def test_resets_go_on_both_ways(containerd, serve, space):
    container = serve("nc -ll -p 7000 -e sleep 1 & nc -ll -p 7001 -e sh -c 'cat; echo ended $? >>/tmp/seen' 2>>/tmp/seen")
    assert listens(space, 7001)
    with connect(space, 7000) as stream, pytest.raises(ConnectionResetError):
        stream.sendall(b"nobody reads it")
        stream.recv(1)
    with connect(space, 7001) as stream:
        stream.sendall(b"?")
        assert stream.recv(1) == b"?"
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    seen = lambda: containerd.exec(container, "cat", "/tmp/seen").check().text
    assert wait_for(lambda: "reset by peer" in seen(), pause=0.2), seen()


def test_other_addresses_of_the_loopback_are_the_hosts(serve, space):
    serve("nc -ll -p 7000 -e sh -c 'cat >/dev/null; echo the guest'")
    assert listens(space, 7000)
    server = socket_in(space.path, socket.AF_INET)
    with server:
        server.bind(("127.0.0.11", 7000))
        server.listen()
        with socket_in(space.path, socket.AF_INET) as stream:
            stream.settimeout(SOON)
            stream.connect(("127.0.0.11", 7000))
            server.accept()[0].sendall(b"the host")
            assert stream.recv(100) == b"the host"
    assert answer_of(space, 7000, b"") == b"the guest\n"


def test_a_namespace_of_the_pods_own_is_served_alike(containerd, runtime, name):
    container = name()
    containerd.run_detached(container, "sh", "-c", ECHO, runtime=runtime)
    own = type("Own", (), {"path": f"/proc/{containerd.task_pid(container)}/ns/net"})
    assert listens(own, 7000)
    assert answer_of(own, 7000, b"hello") == b"hello"
    containerd.delete(container)


def test_a_shim_that_is_killed_leaves_nobody_listening(containerd, serve, space):
    container = serve(ECHO, *containerd.own_fifos)
    assert listens(space, 7000)
    with connect(space, 7000) as stream:
        stream.sendall(b"?")
        assert stream.recv(1) == b"?"
        kill(containerd.shim(container))
        with contextlib.suppress(ConnectionResetError):  # if the device had no time to say so, it just ends
            assert stream.recv(1) == b""
    assert wait_for(lambda: connect(space, 7000) is None)
    assert wait_for(lambda: containerd.task_state(container) is None)
    containerd.ctr("containers", "delete", container).check()


class Nameserver(socketserver.ThreadingTCPServer):
    """A stand-in for docker's resolver: by TCP at 127.0.0.11, port 53, of the namespace. It knows the names of ADDRESSES."""

    ADDRESSES = {b"db": ["10.99.0.7"], b"many": [f"10.98.{number // 250}.{number % 250}" for number in range(1000)]}
    daemon_threads = True

    class Handler(socketserver.StreamRequestHandler):
        def handle(self):
            while size := self.rfile.read(2):
                query = self.rfile.read(struct.unpack(">H", size)[0])
                answer = self.server.answer(query)
                self.wfile.write(struct.pack(">H", len(answer)) + answer)

    def __init__(self, space):
        super().__init__(("127.0.0.11", 53), self.Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = socket_in(space.path, socket.AF_INET)
        self.server_bind()
        self.server_activate()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def answer(self, query):
        labels, at = [], 12
        while query[at]:
            labels.append(query[at + 1:at + 1 + query[at]])
            at += 1 + query[at]
        kind = struct.unpack_from(">H", query, at + 1)[0]
        found = self.ADDRESSES.get(b".".join(labels))
        records = [b"\xc0\x0c" + struct.pack(">HHIH", 1, 1, 60, 4) + socket.inet_aton(one)
                   for one in found or []] if kind == 1 else []
        flags = 0x8180 if found else 0x8183  # NXDOMAIN
        return query[:2] + struct.pack(">HHHHH", flags, 1, len(records), 0, 0) + query[12:at + 5] + b"".join(records)


@pytest.fixture
def resolv_conf(tmp_path):
    """resolv_conf(ADDRESS): the flags of `ctr run` for a container with that nameserver."""

    def make(address):
        file = tmp_path / "resolv.conf"
        file.write_text(f"nameserver {address}\noptions ndots:0\n", encoding="ascii")
        return ["--mount", f"type=bind,src={file},dst=/etc/resolv.conf,options=rbind:ro"]

    return make


def test_names_are_resolved_by_the_hosts_nameserver(containerd, serve, space, resolv_conf):
    server = Nameserver(space)
    container = serve("nslookup -type=a db >/tmp/at-once 2>&1; sleep 1000", *resolv_conf("127.0.0.11"))
    sh = lambda script: containerd.exec(container, "sh", "-c", script)
    try:
        assert wait_for(lambda: "10.99.0.7" in sh("cat /tmp/at-once").text, pause=0.2), sh("cat /tmp/at-once")
        assert "10.99.0.7" in sh("nslookup -type=a db").check().text
        assert "10.99.0.7" in sh("ping -c 1 -W 1 db 2>&1; true").text, "by the C library"
        assert "NXDOMAIN" in sh("nslookup -type=a nobody 2>&1").text
        for _ in range(20):
            sh("nslookup -type=a db").check()
    finally:
        server.shutdown()
        server.server_close()


def test_the_nameserver_is_reached_by_tcp(containerd, serve, space, resolv_conf):
    server = Nameserver(space)
    container = serve("sleep 1000", *resolv_conf("127.0.0.11"))
    query = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\4many\0\0\1\0\1"
    octal = "".join(f"\\{byte:03o}" for byte in query)
    ask = lambda prefix, command: containerd.exec(
        container, "sh", "-c", f"printf '{prefix}{octal}' | {command} 127.0.0.11 53 | od -A n -t x1 | tr -d ' \\n'").check().text
    try:
        whole = bytes.fromhex(ask(f"\\000\\{len(query):03o}", "timeout 10 nc"))
        assert struct.unpack(">H", whole[:2])[0] == len(whole) - 2
        assert struct.unpack_from(">H", whole, 8)[0] == 1000, "answers"
    finally:
        server.shutdown()
        server.server_close()


def test_nothing_else_of_the_host_is_reached_by_the_nameserver(containerd, serve, space, resolv_conf):
    other = socket_in(space.path, socket.AF_INET)
    other.bind(("127.0.0.11", 54))
    other.listen()
    container = serve("sleep 1000", *resolv_conf("127.0.0.11"))
    sh = lambda script: containerd.exec(container, "sh", "-c", script)
    with other:
        assert sh("nc -w 2 127.0.0.11 54 </dev/null").rc != 0
        assert sh("nc -w 2 127.0.0.12 53 </dev/null").rc != 0
        assert "SERVFAIL" in sh("nslookup -type=a db 2>&1").text, "nobody is there"
        other.settimeout(1)
        with pytest.raises(TimeoutError):
            other.accept()


def test_a_server_of_the_pod_can_have_the_nameservers_port_at_all_addresses(containerd, serve, space, resolv_conf, traffic):
    server = Nameserver(space)
    container = serve("sleep 1000", *resolv_conf("127.0.0.11"), *traffic.flags)
    own = containerd.exec_background(container, *traffic.inside, "serve", "53")
    sh = lambda script: containerd.exec(container, "sh", "-c", script).check().text
    try:
        assert wait_for(lambda: ":0035 " in sh("cat /proc/net/tcp6"), SOON, 0.2)
        assert "10.99.0.7" in sh("nslookup -type=a db")
        sh(f"{traffic.inside[0]} connect 127.0.0.1 53 100000 20")
        assert containerd.finish(own).rc == 0
    finally:
        server.shutdown()
        server.server_close()


def test_a_nameserver_that_comes_with_a_network_is_reached(containerd, serve, space, resolv_conf, tmp_path):
    """docker rewrites the file, in its place, when the container gets a network of the user's."""
    container = serve("sleep 1000", *resolv_conf("10.88.0.1"))
    server = Nameserver(space)
    try:
        (tmp_path / "resolv.conf").write_text("nameserver 127.0.0.11\noptions ndots:0\n", encoding="ascii")
        space.ip("addr", "add", "10.77.0.2/24", "dev", "eth0")
        assert wait_for(lambda: "10.99.0.7" in containerd.exec(container, "nslookup", "-type=a", "db").text, SOON, 0.2)
    finally:
        server.shutdown()
        server.server_close()
