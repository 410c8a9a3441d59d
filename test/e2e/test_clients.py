"""docs/clients.md and deploy/: what is to be pasted works."""

import os
import re
from pathlib import Path

import pytest
from harness import IMAGE, REPO, kubelet
from harness.processes import wait_for
from harness.snippets import commands

DEPLOY = Path(REPO, "deploy")


@pytest.mark.vm
def test_commands_for_ctr(containerd, image):
    lines = commands("ctr")
    assert len(lines) == 3, lines
    for line in lines:
        words = line.replace("docker.io/library/alpine:latest", IMAGE).split()
        assert words.pop(0) == "ctr"
        result = containerd.ctr(*words).check()
        if "uname" in words:
            assert result.text.strip() not in ("", os.uname().release), result
    assert not containerd.ctr("tasks", "ls", "-q").check().text
    containerd.ctr("containers", "delete", "demo").check()


@pytest.mark.parametrize("handler", ["kata"], indirect=True)  # which the RuntimeClass names
def test_manifests_for_kubernetes(cri_pods, handler, tmp_path):
    runtime_class, manifest = (kubelet.manifest(DEPLOY / f"kubernetes/{name}.yaml") for name in ("runtimeclass", "pod"))
    assert (runtime_class["handler"], manifest["spec"]["runtimeClassName"]) == (handler, runtime_class["metadata"]["name"])
    volumes = kubelet.Volumes(manifest, tmp_path)
    pod = cri_pods.run(linux=kubelet.sandbox_resources(manifest, runtime_class))
    (prepare,) = manifest["spec"]["initContainers"]
    assert kubelet.start(pod, prepare, volumes).wait_exited().exit_code == 0
    web, client = (kubelet.start(pod, one, volumes) for one in manifest["spec"]["containers"])
    probe = manifest["spec"]["containers"][0]["readinessProbe"]["exec"]["command"]
    assert wait_for(lambda: web.exec(*probe).exit_code == 0)
    client.wait_text("\n")
    kernel = client.text().strip()
    assert re.match(r"\d+\.\d+", kernel) and kernel != os.uname().release
    assert web.output("uname", "-r").strip() == kernel
    assert web.output("cat", "/sys/fs/cgroup/memory.max").strip() == str(128 << 20)
    pod.end()
