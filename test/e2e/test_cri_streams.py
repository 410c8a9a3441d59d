"""Streams of Kubernetes: commands with input or a terminal, attach, forwarded ports."""

import hashlib
import os

import pytest
from harness.cri_streams import DATA, ERROR, PORT_SIZE, attach_stream, exec_stream, port_stream
from harness.processes import wait_for

MIB = 1 << 20
BLOCK = 32 << 10
ECHO = ["nc", "-ll", "-p", "7000", "-e", "cat"]


def test_a_command_with_its_streams(cri_pods):
    container = cri_pods.run().start("sleep", "1000")
    with exec_stream(container, "sh", "-c", "echo out; echo err >&2; exit 9") as stream:
        assert stream.finish() == (9, b"out\n", b"err\n")
    with exec_stream(container, "true") as stream:
        assert stream.finish() == (0, b"", b"")
    container.pod.end()


def test_input_of_a_command_arrives_whole(cri_pods):
    container = cri_pods.run().start("sleep", "1000")
    data = os.urandom(4 * MIB)
    with exec_stream(container, "sh", "-c", f"head -c {len(data)} | sha256sum", stdin=True) as stream:
        for begin in range(0, len(data), BLOCK):
            stream.send(data[begin:begin + BLOCK])
        assert stream.finish() == (0, f"{hashlib.sha256(data).hexdigest()}  -\n".encode(), b"")
    container.pod.end()


def test_output_of_a_command_arrives_whole(cri_pods):
    container = cri_pods.run().start("sleep", "1000")
    with exec_stream(container, "sh", "-c", "seq 1000000; exit 3") as stream:
        code, out, _ = stream.finish()
    assert (code, out) == (3, "".join(f"{number}\n" for number in range(1, 1000001)).encode())
    container.pod.end()


def test_a_shell_in_a_terminal(cri_pods):
    container = cri_pods.run().start("sleep", "1000")
    with exec_stream(container, "sh", stdin=True, tty=True) as stream:
        stream.wait(b"# ")
        stream.resize(123, 45)
        stream.send(b"while [ \"$(stty size)\" != '45 123' ]; do sleep 0.1; done; echo size is $(stty size)\n")
        stream.wait(b"size is 45 123")
        stream.send(b"exit 5\n")
        assert stream.finish()[0] == 5
    container.pod.end()


def test_attach_to_a_container(cri_pods):
    container = cri_pods.run().start("sh", "-c", 'while read -r line; do echo "got $line"; echo "err $line" >&2; done', stdin=True)
    for word in ("one", "two"):  # the second finds the input open
        with attach_stream(container, stdin=True) as stream:
            stream.send(f"{word}\n".encode())
            stream.wait(f"got {word}\n".encode())
            stream.wait(f"err {word}\n".encode(), channel=2)
    container.wait_text("got two\n")  # the log and who is attached are written by themselves
    assert container.text() == "got one\ngot two\n"
    container.pod.end()


def test_attach_to_a_terminal(cri_pods):
    container = cri_pods.run().start("sh", stdin=True, tty=True)
    with attach_stream(container, stdin=True, tty=True) as stream:
        stream.send(b"echo $((6 * 7)); tty\n")
        stream.wait(b"42\r\n/dev/")
    container.pod.end()


def test_a_port_is_forwarded_byte_by_byte(cri_pods):
    pod = cri_pods.run()
    pod.start(*ECHO)
    data = os.urandom(4 * MIB)
    with connected(pod, 7000) as stream:
        for begin in range(0, len(data), BLOCK):
            stream.send(data[begin:begin + BLOCK])
            stream.wait_size(PORT_SIZE + begin + BLOCK, DATA)
        assert stream.got(DATA)[PORT_SIZE:] == data
    pod.end()


def test_ports_are_forwarded_at_once(cri_pods):
    pod = cri_pods.run()
    pod.start(*ECHO)
    connected(pod, 7000).socket.close()
    streams = [port_stream(pod, 7000) for _ in range(20)]
    for number, stream in enumerate(streams):
        stream.send(f"{number}\n".encode())
    for number, stream in enumerate(streams):
        stream.wait(f"{number}\n".encode(), DATA)
        stream.socket.close()
    pod.end()


def test_a_server_on_localhost_alone_is_reached(cri_pods):
    pod = cri_pods.run()
    server = pod.start("httpd", "-f", "-p", "127.0.0.1:7000")
    assert wait_for(lambda: b"404" in server.exec("wget", "-O", "-", "http://127.0.0.1:7000/").stderr, pause=0.2)
    with port_stream(pod, 7000) as stream:
        stream.send(b"GET / HTTP/1.0\r\n\r\n")
        stream.wait(b"404 Not Found", DATA)
    pod.end()


@pytest.mark.parametrize("handler", ["kata"], indirect=True)  # containerd asks /etc/hosts for an address of IPv6
def test_a_server_on_the_localhost_of_ipv6_alone_is_reached(cri_pods):
    pod = cri_pods.run()
    server = pod.start("httpd", "-f", "-p", "[::1]:7000")
    assert wait_for(lambda: b"404" in server.exec("wget", "-O", "-", "http://[::1]:7000/").stderr, pause=0.2)
    with port_stream(pod, 7000) as stream:
        stream.send(b"GET / HTTP/1.0\r\n\r\n")
        stream.wait(b"404 Not Found", DATA)
    pod.end()


def test_a_port_that_nobody_listens_on_is_refused(cri_pods):
    pod = cri_pods.run()
    pod.start("sleep", "1000")
    with port_stream(pod, 7001) as stream:
        # Of a machine: by its guest, after the connection was made on the host.
        stream.wait(b"refused" if cri_pods.handler == "runc" else b"reset", ERROR)
    pod.end()


def connected(pod, port):
    """A stream to a port whose server may still be starting."""

    def connect():
        stream = port_stream(pod, port)
        try:
            stream.send(b"?")
            stream.wait_size(PORT_SIZE + 1, DATA)
        except (ConnectionError, AssertionError):
            return None
        stream.received[DATA] = stream.received[DATA][:PORT_SIZE]
        return stream

    return wait_for(connect, pause=0.2)
