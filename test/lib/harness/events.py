"""containerd's events, as `ctr events` prints them."""

import json
import os
import signal
import subprocess
import tempfile
from dataclasses import dataclass

from .processes import SOON, wait_for


@dataclass(frozen=True)
class Event:
    topic: str
    fields: dict

    def __getitem__(self, key):
        """A field; as JSON's, a number that is 0 is left out."""
        return self.fields.get(key, 0)


class Events:
    """Records from the with statement's begin to its end."""

    def __init__(self, containerd):
        self.containerd = containerd
        self.file = tempfile.TemporaryFile()

    def __enter__(self):
        self.process = self.containerd.popen("events", stdout=self.file, stderr=subprocess.DEVNULL)
        assert wait_for(self._listening, pause=0.05), "ctr events does not record"
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.file.close()

    def _listening(self):
        """Whether an event of our own making has come."""
        self.containerd.ctr("namespaces", "label", self.containerd.namespace, f"seen={os.urandom(4).hex()}").check()
        return wait_for(lambda: self._lines() != [], 0.2)

    def _lines(self):
        """Those that have come as a whole."""
        return os.pread(self.file.fileno(), 1 << 24, 0).decode().split("\n")[:-1]

    def of(self, container):
        """The task events of a container, in the order of their arrival."""
        events = []
        for line in self._lines():
            _date, _time, _offset, _zone, _namespace, topic, fields = line.split(" ", 6)
            event = Event(topic, json.loads(fields))
            if topic.startswith("/tasks/") and event["container_id"] == container:
                events.append(event)
        return events

    def wait(self, container, topic, timeout=SOON, **fields):
        """The first event of the topic with these fields."""

        def find():
            for event in self.of(container):
                if event.topic == topic and all(event[key] == value for key, value in fields.items()):
                    return event
            return None

        found = wait_for(find, timeout)
        assert found, f"no {topic} {fields} of {container} in {timeout} s, but {self.of(container)}"
        return found
