"""Containers of a pod that run out of memory. KATA_OOM_ROUNDS: how often (20)."""

import os

from harness.cri_pods import RUNNING
from harness.events import Events

MIB = 1 << 20
ROUNDS = int(os.environ.get("KATA_OOM_ROUNDS", "20"))


def test_the_right_container_says_so_before_its_exit(cri_pods):
    """In its first second, while the other one does the same later, or uses what it may."""
    limit = {"memory_limit_in_bytes": 32 * MIB}
    pod = cri_pods.run()
    other = pod.start("sh", "-c", "tail -c 8m /dev/zero | sleep 1000", name="other", resources=limit)
    before = None
    with Events(pod.containerd) as events:
        for number in range(ROUNDS):
            container = pod.start("tail", "-c", "200m", "/dev/zero", resources=limit)
            status = container.wait_exited()
            assert (status.exit_code, status.reason) == (137, "OOMKilled"), (number, status)
            events.wait(container.id, "/tasks/delete")
            seen = [event.topic for event in events.of(container.id)]
            assert seen == [f"/tasks/{name}" for name in ("create", "start", "oom", "exit", "delete")], (number, seen)
            if before:
                before.remove()
            before = container
        assert other.status.state == RUNNING
        assert [event.topic for event in events.of(other.id)] == []
    pod.end()
