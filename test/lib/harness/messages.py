"""Messages and services of .proto files, compiled when they are needed."""

import subprocess
import tempfile
from functools import cache, cached_property
from pathlib import Path

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory


class Messages:
    """All that some files define, in a pool of their own: ours would clash with the ones inside Python's protobuf.

    files: name as imports have it -> text.
    """

    def __init__(self, files):
        self.files = files

    @cached_property
    def pool(self):
        with tempfile.TemporaryDirectory(prefix="kata-proto.") as folder:
            for name, text in self.files.items():
                path = Path(folder, name)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text, encoding="ascii")
            command = ["protoc", f"--proto_path={folder}", "--include_imports", f"--descriptor_set_out={folder}/all"]
            subprocess.run([*command, *sorted(self.files)], check=True)
            made = descriptor_pb2.FileDescriptorSet.FromString(Path(folder, "all").read_bytes())
        pool = descriptor_pool.DescriptorPool()
        for file in made.file:
            pool.Add(file)
        return pool

    @cache
    def message(self, name):
        """The class of a message: message("containerd.task.v2.KillRequest")."""
        return message_factory.MessageFactory(self.pool).GetPrototype(self.pool.FindMessageTypeByName(name))

    def service(self, name):
        """The descriptor of a service."""
        return self.pool.FindServiceByName(name)
