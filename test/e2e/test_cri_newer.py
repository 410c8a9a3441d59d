"""Pods of Kubernetes with later releases of containerd, which know a pod as a sandbox."""

import json
from pathlib import Path

import pytest
from harness.cri_pods import NOTREADY, READY, RUNNING
from harness.cri_streams import exec_stream
from harness.processes import alive, wait_for

SUITES = ["trixie", "forky"]


@pytest.fixture(scope="session", params=SUITES)
def cri_suite(request):
    return request.param


@pytest.fixture(params=["runc", "kata", "kata-sandbox"])
def handler(request):
    return request.param


def makes_sense(cri_suite, handler=None):
    """containerd 1.7 has no Sandbox API for CRI, unless it is told to try."""
    return (cri_suite, handler) != ("trixie", "kata-sandbox")


def test_it_is_newer(cri):
    major, minor = cri.cri.Version().runtime_version.lstrip("v").split(".")[:2]
    assert (int(major), int(minor)) >= (1, 7)


def test_containers_share_a_pod(cri_pods, handler, cri):
    pod = cri_pods.run(namespaces={"pid": "POD"})
    first = pod.start("sh", "-c", "exit 3", name="first")
    assert first.wait_exited().exit_code == 3
    one, two = pod.start("sleep", "1001", name="one"), pod.start("sh", "-c", "echo out; echo err >&2; exec sleep 1002", name="two")
    one.output("sh", "-c", "echo text >/dev/shm/file")
    assert two.output("cat", "/dev/shm/file") == "text\n"
    assert one.output("hostname") == "pod-1\n"
    assert wait_for(lambda: {"sleep 1001", "sleep 1002"} <= set(two.output("ps", "-o", "args").splitlines()))
    assert wait_for(lambda: (two.text(), two.text("stderr")) == ("out\n", "err\n")), two.log()
    machine = handler != "runc" and cri.part(pod.id, "qemu-system")
    pod.stop()
    assert pod.status.state == NOTREADY
    assert not machine or not alive(machine)
    pod.remove()


def test_commands_streams_and_figures(cri_pods):
    pod = cri_pods.run()
    container = pod.start("sleep", "1000")
    done = container.exec("sh", "-c", "echo out; echo err >&2; exit 9")
    assert (done.exit_code, done.stdout, done.stderr) == (9, b"out\n", b"err\n")
    with exec_stream(container, "sh", "-c", "echo out; echo err >&2; exit 9") as stream:
        assert stream.finish() == (9, b"out\n", b"err\n")
    assert pod.cri.ContainerStats(container_id=container.id).stats.memory.working_set_bytes.value > 0
    linux = pod.cri.PodSandboxStats(pod_sandbox_id=pod.id).stats.linux
    assert [one.attributes.id for one in linux.containers] == [container.id]
    pod.cri.UpdateContainerResources(container_id=container.id, linux={"cpu_shares": 512})
    pod.end()


def test_a_container_is_started_again_and_again(cri_pods):
    pod = cri_pods.run()
    sidecar = pod.start("sleep", "1000", name="sidecar")
    for number in range(5):
        container = pod.start("sh", "-c", f"exit {number}")
        assert container.wait_exited().exit_code == number
        container.remove()
    assert sidecar.status.state == RUNNING
    pod.end()


def test_a_pod_lives_on_when_containerd_is_started_again(cri_pods, cri):
    pod = cri_pods.run()
    container = pod.start("sleep", "1000")
    cri.die()
    cri.start()
    assert (pod.status.state, container.status.state) == (READY, RUNNING)
    assert container.exec("true").exit_code == 0
    assert pod.start("true", name="more").wait_exited().exit_code == 0
    pod.end()


@pytest.mark.parametrize("handler", ["kata"], indirect=True)  # containerd 2.1 forgets a shim of runc's
def test_a_killed_sandbox_is_not_ready(cri_pods, cri):
    pod = cri_pods.run()
    container = pod.start("sleep", "1000")
    cri.kill(pod.id).check()
    assert wait_for(lambda: pod.status.state == NOTREADY)
    assert container.wait_exited().exit_code == 137
    pod.end()


@pytest.mark.parametrize("handler", ["kata"])
def test_what_a_device_of_cdi_means_is_in_the_container(cri_pods, cri, tmp_path):
    """containerd puts it into the spec: variables, the guest's own device, a mount, a hook of the host."""
    (tmp_path / "file").write_text("of the host\n")
    edits = {
        "env": ["FROM=cdi"], "deviceNodes": [{"path": "/dev/fuse", "permissions": "rw"}],
        "mounts": [{"hostPath": str(tmp_path), "containerPath": "/from-host", "options": ["ro", "bind"]}],
        "hooks": [{"hookName": "createRuntime", "path": "/bin/sh", "args": ["sh", "-c", f"echo hooked >{tmp_path}/hooked"]}],
    }
    spec = Path(cri.dir, "cdi", "example.json")
    spec.parent.mkdir(exist_ok=True)
    spec.write_text(json.dumps({"cdiVersion": "0.5.0", "kind": "example.com/device", "devices": [{"name": "one", "containerEdits": edits}]}))
    pod = cri_pods.run()
    container = pod.start("sleep", "1000", annotations={"cdi.k8s.io/test": "example.com/device=one"})
    script = "echo $FROM; cat /from-host/file /from-host/hooked; (: </dev/fuse) && echo opened; touch /from-host/new 2>/dev/null || echo read-only"
    assert container.output("sh", "-c", script) == "cdi\nof the host\nhooked\nopened\nread-only\n"
    pod.end()
    spec.unlink()
