"""Streams to a container or a port of a pod: what Exec, Attach and PortForward of CRI answer with is an address to connect
to. Here it is spoken to by WebSocket; its protocol has channels and, as that of version 4 does, no end of input."""

import json

import websocket

from .processes import SOON

PROTOCOL = "v4.channel.k8s.io"
STDIN, STDOUT, STDERR, STATUS, RESIZE = range(5)
DATA, ERROR = range(2)  # of a forwarded port; each begins with the port's number
PORT_SIZE = 2


class Stream:
    """One connection: received is channel -> bytes."""

    def __init__(self, url):
        self.socket = websocket.create_connection(url.replace("http://", "ws://"), SOON, subprotocols=[PROTOCOL])
        self.received = {}
        self.closed = False

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data, channel=STDIN):
        self.socket.send_binary(bytes([channel]) + data)

    def _receive(self):
        try:
            operation, frame = self.socket.recv_data()
        except (ConnectionError, websocket.WebSocketConnectionClosedException):
            operation, frame = websocket.ABNF.OPCODE_CLOSE, b""
        if operation == websocket.ABNF.OPCODE_CLOSE:
            self.closed = True
        elif frame:
            self.received[frame[0]] = self.received.get(frame[0], b"") + frame[1:]

    def got(self, channel):
        return self.received.get(channel, b"")

    def wait(self, text, channel=STDOUT):
        """Until a channel has brought the text."""
        while text not in self.got(channel):
            assert not self.closed, self.received
            self._receive()

    def wait_size(self, size, channel):
        while len(self.got(channel)) < size:
            assert not self.closed, len(self.got(channel))
            self._receive()

    def finish(self):
        """Until the other side has closed: (exit code, stdout, stderr) of a command."""
        while not self.closed:
            self._receive()
        status = json.loads(self.got(STATUS))
        code = 0
        if status["status"] != "Success":
            code = next(int(cause["message"]) for cause in status["details"]["causes"] if cause["reason"] == "ExitCode")
        return code, self.got(STDOUT), self.got(STDERR)

    def resize(self, width, height):
        """Of a terminal."""
        self.send(json.dumps({"Width": width, "Height": height}).encode(), RESIZE)


def exec_stream(container, *command, stdin=False, tty=False):
    fields = {"stdin": stdin, "stdout": True, "stderr": not tty, "tty": tty}
    return Stream(container.cri.Exec(container_id=container.id, cmd=command, **fields).url)


def attach_stream(container, stdin=False, tty=False):
    fields = {"stdin": stdin, "stdout": True, "stderr": not tty, "tty": tty}
    return Stream(container.cri.Attach(container_id=container.id, **fields).url)


def port_stream(pod, port):
    """received begins with PORT_SIZE bytes on each channel. What cannot be forwarded is told on ERROR."""
    return Stream(pod.cri.PortForward(pod_sandbox_id=pod.id, port=[port]).url)
