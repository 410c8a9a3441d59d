"""A client of Kubernetes' Container Runtime Interface, with the messages of cri.proto."""

from pathlib import Path

import grpc

from .messages import Messages
from .processes import wait_for

_messages = Messages({"cri.proto": Path(__file__).with_name("cri.proto").read_text(encoding="ascii")})
SERVICES = [_messages.service(f"runtime.v1.{name}") for name in ("RuntimeService", "ImageService")]
METHODS = {method.name: method for service in SERVICES for method in service.methods}
DEADLINE = 60  # seconds
LARGEST = 64 << 20  # bytes of a message: an ExecSync answers with 16 MiB of each stream


class CriError(Exception):
    """An answer that is an error."""

    def __init__(self, code, text):
        super().__init__(f"{code}: {text}")
        self.code, self.text = code, text


class Cri:
    """cri.StartContainer(container_id="x"). deadline: seconds that a call may take; timeout is a field of some."""

    def __init__(self, address):
        sizes = [(f"grpc.max_{way}_message_length", LARGEST) for way in ("send", "receive")]
        self.channel = grpc.insecure_channel(f"unix:{address}", sizes)

    def close(self):
        self.channel.close()

    def begin(self, method, deadline=DEADLINE, **fields):
        """A call whose answer is asked for later; its attribute done() tells whether it has come."""
        known = METHODS[method]
        request = _messages.message(known.input_type.full_name)(**fields)
        call = self.channel.unary_unary(
            f"/{known.containing_service.full_name}/{method}",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=_messages.message(known.output_type.full_name).FromString,
        )
        pending = call.future(request, timeout=deadline, wait_for_ready=True)

        def answer():
            try:
                return pending.result()
            except grpc.RpcError as error:
                raise CriError(error.code().name, error.details()) from None

        answer.done = pending.done
        return answer

    def __getattr__(self, method):
        return lambda deadline=DEADLINE, **fields: self.begin(method, deadline, **fields)()

    def wait_ready(self):
        """Until pods can be made: the network's configuration has been read as well."""

        def ready():
            try:
                conditions = self.Status(deadline=5).status.conditions
                return all(one.status for one in conditions if one.type in ("RuntimeReady", "NetworkReady"))
            except CriError:
                return False

        assert wait_for(ready), self.Status()
