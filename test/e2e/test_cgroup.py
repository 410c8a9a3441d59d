"""Containers that may write to their cgroup, as systemd, dockerd and kind want it."""

import pytest
from harness.pods import any_of
from harness.processes import wait_for

pytestmark = pytest.mark.vm  # a host may have cgroup v1

MOUNT = ["--mount", "type=cgroup,src=cgroup,dst=/cgroup,options=rw:nosuid:nodev:noexec"]
LIMIT = 64 << 20


def test_exec_works_where_controllers_are_enabled_below(containerd, runtime, name):
    """Then no process can be in the container's cgroup itself: an exec goes to the init's."""
    container = name()
    # While an exec of ours is in the cgroup itself, it cannot be enabled.
    script = "mkdir /cgroup/init && echo 0 >/cgroup/init/cgroup.procs && cd /cgroup;" \
             " until echo +pids >cgroup.subtree_control; do sleep 0.1; done 2>/dev/null; exec sleep 1000"
    containerd.run_detached(container, "sh", "-c", script, runtime=runtime, flags=MOUNT)
    assert wait_for(lambda: containerd.exec(container, "test", "-e", "/cgroup/init/pids.max").rc == 0, pause=0.2)
    assert containerd.exec(container, "cat", "/proc/self/cgroup").check().text == "0::/init\n"
    containerd.delete(container)


def test_its_own_limits_hold(containerd, runtime, name):
    container = name()
    flags = [*MOUNT, "--memory-limit", str(LIMIT)]
    containerd.run_detached(container, "sleep", "1000", runtime=runtime, flags=flags)
    lifted = containerd.exec(container, "sh", "-c", "echo max >/cgroup/memory.max")
    assert lifted.rc != 0 and "Operation not permitted" in lifted.error, str(lifted)
    assert containerd.exec(container, "cat", "/cgroup/memory.max").check().text == f"{LIMIT}\n"
    containerd.delete(container)


def test_updates_hold_in_their_order(pods):
    """Also one below the usage, which the kernel makes its writer reclaim; an exec runs meanwhile."""
    def with_cgroup(spec):
        spec["mounts"].append({"destination": "/cgroup", "type": "cgroup", "source": "cgroup", "options": ["ro"]})

    pod = pods.start("sleep", "1000", change=with_cgroup).to_state("running")
    fill = "dd if=/dev/null of=/file bs=1M seek=64 && dd if=/file of=/dev/null bs=1M"  # as page cache
    assert pod.run_exec("fill", "sh", "-c", f"{fill} && test $(cat /cgroup/memory.current) -gt {48 << 20}") == 0
    limits = [256 << 20, 24 << 20, 128 << 20]
    updates = [
        pod.task.begin("Update", id=pod.id, resources=any_of("LinuxResources", {"memory": {"limit": limit}}))
        for limit in limits
    ]
    assert pod.run_exec("meanwhile", "true") == 0
    for update in updates:
        update()
    assert pod.run_exec("look", "grep", "-qx", str(limits[-1]), "/cgroup/memory.max") == 0
    assert pod.kill() == 137


def test_what_it_makes_below_is_bounded_and_removed(containerd, runtime, name):
    """As deep as it can, and wider than a slice of the removal."""
    script = "mkdir -p /cgroup/$(printf 'x/%.0s' $(seq 40)) 2>/dev/null; find /cgroup -name x | wc -l;" \
             " cd /cgroup && mkdir $(seq 200) && ls -d [0-9]* | wc -l; cat cgroup.max.descendants"
    ran = containerd.run(name(), "sh", "-c", script, runtime=runtime, flags=MOUNT).check()
    assert ran.text.split() == ["32", "200", "4096"]
