"""A ttrpc client for a shim's socket, with the messages of proto/*.proto."""

import socket
import struct
import threading
from pathlib import Path

from . import REPO
from .messages import Messages

REQUEST, RESPONSE = 1, 2
HEADER = struct.Struct(">IIBB")  # length, stream, type, flags
CODES = (
    "OK Canceled Unknown InvalidArgument DeadlineExceeded NotFound AlreadyExists PermissionDenied ResourceExhausted"
    " FailedPrecondition Aborted OutOfRange Unimplemented Internal Unavailable DataLoss Unauthenticated"
).split()


def _files():
    """proto/*.proto, and the Task service of version 3, which differs by its name."""
    files = {f"proto/{path.name}": path.read_text() for path in Path(REPO, "proto").glob("*.proto")}
    files["proto/task_v3.proto"] = files["proto/task_v2.proto"].replace("containerd.task.v2", "containerd.task.v3")
    return files


_messages = Messages(_files())
message = _messages.message
services = _messages.service


class Status(Exception):
    """An answer that is an error."""

    def __init__(self, code, text):
        super().__init__(f"{CODES[code]}: {text}")
        self.code, self.text = CODES[code], text


class Closed(Exception):
    """The connection ended before the answer."""


class Connection:
    """One connection; calls may overlap, from threads or by begin()."""

    def __init__(self, address, timeout=60, connect=None):
        """connect: a port of a guest, whose vsock device is at the address. OSError: nobody takes the connection."""
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.connect(address.removeprefix("unix://"))
        if connect is not None:
            self._connect_in_guest(connect)
        self.timeout = timeout
        self.answers = {}
        self.answered, self.wrong = set(), []
        self.arrived = threading.Condition()
        self.closed = False
        self.next_stream = 1
        threading.Thread(target=self._read, daemon=True).start()

    def _connect_in_guest(self, port):
        """As Firecracker's vsock device is asked (docs/vsock.md there)."""
        self.socket.sendall(f"CONNECT {port}\n".encode())
        answer = b""
        while not answer.endswith(b"\n"):
            byte = self.socket.recv(1)
            if not byte:
                self.socket.close()
                raise ConnectionRefusedError(f"port {port} of the guest")
            answer += byte

    def close(self):
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.socket.close()
        assert not self.wrong, f"no answers, or second ones: {self.wrong}"

    def _read(self):
        try:
            while True:
                length, stream, kind, _ = HEADER.unpack(self._exactly(HEADER.size))
                payload = self._exactly(length)
                with self.arrived:
                    if kind != RESPONSE or stream in self.answered:
                        self.wrong.append((kind, stream))
                    self.answered.add(stream)
                    self.answers[stream] = payload
                    self.arrived.notify_all()
        except OSError:
            pass
        finally:
            with self.arrived:
                self.closed = True
                self.arrived.notify_all()

    def _exactly(self, length):
        data = b""
        while len(data) < length:
            more = self.socket.recv(length - len(data))
            if not more:
                raise OSError("end of file")
            data += more
        return data

    def send(self, payload, kind=REQUEST, stream=None, length=None):
        """A frame, as right or wrong as asked: its stream."""
        with self.arrived:
            if stream is None:
                stream, self.next_stream = self.next_stream, self.next_stream + 2
            size = len(payload) if length is None else length
            self.socket.sendall(HEADER.pack(size, stream, kind, 0) + payload)
        return stream

    def begin(self, service, method, request=b"", timeout_ns=0):
        """Sends a request: the stream that its answer comes on. See answer()."""
        envelope = message("ttrpc.Request")(service=service, method=method, payload=request, timeout_nano=timeout_ns)
        return self.send(envelope.SerializeToString())

    def answer(self, stream, timeout=None):
        """The payload of the answer. Raises Status, Closed, or TimeoutError."""
        with self.arrived:
            came = self.arrived.wait_for(lambda: stream in self.answers or self.closed, timeout or self.timeout)
            if not came:
                raise TimeoutError(f"no answer on stream {stream}")
            if stream not in self.answers:
                raise Closed()
            response = message("ttrpc.Response").FromString(self.answers.pop(stream))
        if response.status.code:
            raise Status(response.status.code, response.status.message)
        return response.payload


class Task:
    """containerd's Task service: task.Kill(id="x", signal=9)."""

    def __init__(self, address, version="v2"):
        self.connection = Connection(address)
        self.package = f"containerd.task.{version}"
        self.service = _messages.service(f"{self.package}.Task")

    def close(self):
        self.connection.close()

    def begin(self, method, **fields):
        """A call whose answer is asked for later."""
        known = self.service.methods_by_name[method]
        request = message(known.input_type.full_name)(**fields).SerializeToString()
        stream = self.connection.begin(self.service.full_name, method, request)
        output = message(known.output_type.full_name)
        return lambda timeout=None: output.FromString(self.connection.answer(stream, timeout))

    def __getattr__(self, method):
        return lambda timeout=None, **fields: self.begin(method, **fields)(timeout)
