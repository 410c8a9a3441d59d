"""A containerd that ends in the middle of a pod's life, and comes back."""

from harness.cri_pods import CREATED, EXITED, NOTREADY, READY, RUNNING
from harness.processes import kill, wait_for, wait_gone

COUNT = "number=0; while :; do echo $number; number=$((number + 1)); sleep 0.1; done"


def again(cri):
    cri.die()
    cri.start()


def test_pods_and_containers_are_found_again(cri_pods, cri):
    pod, stopped = cri_pods.run(), cri_pods.run()
    stopped.stop()
    created = pod.create("echo", "late", name="created")
    running = pod.start("sleep", "1000", name="running")
    exited = pod.start("sh", "-c", "exit 4", name="exited")
    exited.wait_exited()
    again(cri)
    assert (pod.status.state, stopped.status.state) == (READY, NOTREADY)
    assert [one.status.state for one in (created, running, exited)] == [CREATED, RUNNING, EXITED]
    assert exited.status.exit_code == 4
    assert running.output("hostname") == "pod-1\n"
    assert created.start().wait_exited().exit_code == 0
    assert created.text() == "late\n"
    pod.start("sleep", "1000", name="new")
    pod.end()
    stopped.end()


def test_an_exit_meanwhile_is_seen(cri_pods, cri, tmp_path):
    (tmp_path / "volume").mkdir()
    volume = [{"container_path": "/data", "host_path": str(tmp_path / "volume")}]
    pod = cri_pods.run()
    container = pod.start("sh", "-c", "while [ ! -e /data/go ]; do sleep 0.1; done; touch /data/gone; exit 6", mounts=volume)
    other = pod.start("sleep", "1000", name="other")
    cri.die()
    (tmp_path / "volume/go").touch()
    assert wait_for((tmp_path / "volume/gone").exists)
    cri.start()
    assert container.wait_exited().exit_code == 6
    assert other.status.state == RUNNING
    pod.end()


def test_output_goes_on(cri_pods, cri):
    pod = cri_pods.run()
    container = pod.start("sh", "-c", COUNT)
    container.wait_text("5\n")
    again(cri)
    seen = len(container.text().split())
    container.wait_text(f"{seen + 10}\n")
    container.stop()
    numbers = [int(line) for line in container.text().split()]
    assert numbers == sorted(set(numbers))
    pod.end()


def test_a_sandbox_that_dies_meanwhile_is_not_ready(cri_pods, cri):
    pod = cri_pods.run()
    pod.start("sleep", "1000")
    pid = cri.task_pid(pod.id)
    cri.die()
    kill(pid)
    assert wait_gone(pid)
    cri.start()
    assert wait_for(lambda: pod.status.state == NOTREADY)
    pod.end()
