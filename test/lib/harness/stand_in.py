"""Who takes events in containerd's place while that is away."""

import contextlib
import os
import socket
import threading

from .ttrpc import HEADER, RESPONSE, message


class StandIn:
    """Listens where a containerd takes its events, and answers each. events: (topic, message) in their order."""

    def __init__(self, containerd):
        self.path = f"{containerd.address}.ttrpc"
        if os.path.exists(self.path):
            os.unlink(self.path)
        self.events = []
        self.connections = []
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(self.path)
        self.listener.listen()
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for one in [self.listener, *self.connections]:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        os.unlink(self.path)

    def _accept(self):
        while True:
            try:
                connection = self.listener.accept()[0]
            except OSError:
                return
            self.connections.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        with connection, connection.makefile("rb") as stream:
            while header := stream.read(HEADER.size):
                length, number, _, _ = HEADER.unpack(header)
                request = message("ttrpc.Request").FromString(stream.read(length))
                envelope = message("containerd.services.events.ttrpc.v1.ForwardRequest").FromString(request.payload).envelope
                event = message(envelope.event.type_url).FromString(envelope.event.value)
                answer = message("ttrpc.Response")().SerializeToString()
                connection.sendall(HEADER.pack(len(answer), number, RESPONSE, 0) + answer)
                self.events.append((envelope.topic, event))  # now it is not told again
