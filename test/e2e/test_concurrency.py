"""Two clients at once: no call hangs, none is answered twice. Overlapping calls of one client are in test_task_api.py."""

import threading

from harness.pods import exec_spec
from harness.processes import wait_for
from harness.ttrpc import Status

ROUNDS = 5


def outcome(call):
    """The code of the answer."""
    try:
        call()
        return "OK"
    except Status as status:
        return status.code


def at_once(*calls):
    """Runs them in threads of their own; returns what they did."""
    results = [None] * len(calls)

    def run(number):
        results[number] = calls[number]()

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    return results


def test_two_clients_do_the_same(pods):
    pod = pods.container("running")
    clients = [pod.task, pod.another_connection()]

    def both(method, **fields):
        return sorted(at_once(*(lambda c=client: outcome(lambda: getattr(c, method)(**fields)) for client in clients)))

    for number in range(ROUNDS):
        ids = {"id": pod.id, "exec_id": f"e{number}"}
        assert both("Exec", spec=exec_spec("sleep", "1000"), **ids) == ["AlreadyExists", "OK"]
        starts = both("Start", **ids)
        assert starts.count("OK") == 1, starts
        waits = [client.begin("Wait", **ids) for client in clients]
        assert "OK" in both("Kill", signal=9, **ids)
        assert [wait().exit_status for wait in waits] == [137, 137]
        assert both("Delete", **ids) == ["NotFound", "OK"]
    assert pod.task.State(id=pod.id).status == 2
    clients[1].close()


def test_execs_and_two_who_remove_the_container(containerd, runtime, name):
    container = name()
    containerd.run_detached(container, "sleep", "1000", runtime=runtime)
    execs = [containerd.exec_background(container, "sleep", "1000", flags=containerd.own_fifos) for _ in range(8)]
    assert wait_for(lambda: containerd.ctr("tasks", "ps", container).text.count("ExecID") > 3)
    removals = at_once(*[lambda: containerd.ctr("tasks", "delete", "--force", container)] * 2)
    assert any(done.rc in (0, 137) for done in removals), removals
    assert all(containerd.finish(one).rc != 0 for one in execs)
    assert containerd.task_state(container) is None
    containerd.ctr("containers", "delete", container).check()
