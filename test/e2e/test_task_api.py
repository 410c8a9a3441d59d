"""The Task service by ttrpc, without containerd in between: the tables of docs/task-api.md, and misuse."""

import json
import os
import re
import threading
from pathlib import Path

import pytest
from harness import REPO, RUNC
from harness.pods import PROCESS_TYPE, any_of, exec_spec
from harness.ttrpc import Closed, Connection, Status, message

WAITS = 1.0  # seconds without an answer that count as waiting


# The tables

SPOILING = ("Pause", "Resume", "Kill", "Kill of all", "Start", "Delete", "Create", "Exec")  # when answered by OK


def tables():
    """The document's tables, each a list of rows."""
    text = Path(REPO, "docs/task-api.md").read_text(encoding="utf-8")
    found = []
    for block in re.findall(r"(?:^\|.*\n)+", text, re.M):
        rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in block.splitlines()]
        found.append([rows[0], *rows[2:]])
    return found


def column(table, state, ours):
    """call -> the code it is answered with in this state."""
    at = table[0].index(state)
    return {row[0]: row[at].split(" → ")[-1 if ours else 0] for row in table[1:]}


def texts(prefix=""):
    """(call, state) -> text"""
    return {
        (call.removeprefix("exec "), state): text
        for call, states, text in tables()[2][1:] for state in states.split(", ")
        if call.startswith("exec ") == bool(prefix)
    }


CONTAINER, EXEC, *_ = tables()


def container_calls(pod):
    task, container = pod.task, pod.id
    return {
        "State": lambda: task.begin("State", id=container),
        "Pids": lambda: task.begin("Pids", id=container),
        "Stats": lambda: task.begin("Stats", id=container),
        "Connect": lambda: task.begin("Connect", id=container),
        "Wait": lambda: task.begin("Wait", id=container),
        "ResizePty": lambda: task.begin("ResizePty", id=container, width=80, height=25),
        "CloseIO": lambda: task.begin("CloseIO", id=container, stdin=True),
        "Update": lambda: task.begin("Update", id=container, resources=any_of("LinuxResources", {"memory": {"limit": 1 << 27}})),
        "Checkpoint": lambda: task.begin("Checkpoint", id=container, path=str(pod.bundle / "checkpoint")),
        "Kill with no signal of the kernel's": lambda: task.begin("Kill", id=container, signal=99),
        "Kill with signal 0": lambda: task.begin("Kill", id=container, signal=0),
        "Pause": lambda: task.begin("Pause", id=container),
        "Resume": lambda: task.begin("Resume", id=container),
        "Exec": lambda: task.begin("Exec", id=container, exec_id="other", spec=exec_spec("true")),
        "Kill": lambda: task.begin("Kill", id=container, signal=9),
        "Kill of all": lambda: task.begin("Kill", id=container, signal=9, all=True),
        "Start": lambda: task.begin("Start", id=container),
        "Delete": lambda: task.begin("Delete", id=container),
        "Create": lambda: task.begin("Create", id=container, bundle=str(pod.bundle)),
    }


def exec_calls(pod):
    task, ids = pod.task, {"id": pod.id, "exec_id": "e"}
    return {
        "State": lambda: task.begin("State", **ids),
        "Wait": lambda: task.begin("Wait", **ids),
        "ResizePty": lambda: task.begin("ResizePty", width=80, height=25, **ids),
        "CloseIO": lambda: task.begin("CloseIO", stdin=True, **ids),
        "Kill": lambda: task.begin("Kill", signal=9, **ids),
        "Start": lambda: task.begin("Start", **ids),
        "Delete": lambda: task.begin("Delete", **ids),
        "Exec": lambda: task.begin("Exec", spec=exec_spec("true"), **ids),
    }


def outcome(begun):
    """(code, text) of the answer."""
    try:
        begun(timeout=WAITS)
        return "OK", ""
    except TimeoutError:
        return "waits", ""
    except Status as status:
        return status.code, re.sub(r": (not found|already exists|failed precondition)$", "", status.text)


def answer(begun, expected):
    """As outcome(), but only who is expected to wait is given up after WAITS."""
    code, text = outcome(begun if expected == "waits" else lambda timeout: begun())
    return code, text


def differences(expected, said, fresh, calls):
    """Tries all calls of a column; what differs, as lines."""
    wrong, pod = [], None
    for call, code in expected.items():
        if pod is None:
            pod = fresh()
        got, text = answer(calls(pod)[call](), code)
        if got != code or (said.get(call) and said[call] != text and not text.endswith(said[call])):
            wrong.append(f"{call}: expected {code} {said.get(call, '')!r}, got {got} {text!r}")
        if call in SPOILING and got == "OK":
            pod = None
    return wrong


@pytest.mark.parametrize("state", CONTAINER[0][1:])
def test_calls_about_a_container(pods, runtime, state):
    said = {call: text for (call, where), text in texts().items() if where == state}
    expected = column(CONTAINER, state, runtime != RUNC)
    wrong = differences(expected, said, lambda: pods.container(state), container_calls)
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("state", EXEC[0][1:])
def test_calls_about_an_exec(pods, runtime, state):
    said = {call: text for (call, where), text in texts("exec").items() if where == state}
    expected = column(EXEC, state, runtime != RUNC)
    running = pods.container("running")
    wrong = differences(expected, said, lambda: running.with_exec(state), exec_calls)
    assert not wrong, "\n".join(wrong)


def test_another_containers_id_is_not_found(pods):
    pod = pods.container("running")
    for method in ("State", "Start", "Delete", "Pids", "Pause", "Resume", "Kill", "Wait", "Stats"):
        with pytest.raises(Status) as raised:
            getattr(pod.task, method)(id="other")
        assert raised.value.code == "NotFound", method


# Answers


def test_state_tells_all_there_is(pods):
    pod = pods.container("created")
    created = pod.task.State(id=pod.id)
    assert (created.id, created.bundle, created.exit_status, created.exec_id) == (pod.id, str(pod.bundle), 0, "")
    assert created.pid > 0 and created.status == 1
    pod.task.Start(id=pod.id)
    running = pod.task.State(id=pod.id)
    assert (running.status, running.pid) == (2, created.pid)
    pod.kill()
    stopped = pod.task.State(id=pod.id)
    assert (stopped.status, stopped.exit_status, stopped.pid) == (3, 137, created.pid)
    deleted = pod.task.Delete(id=pod.id)
    assert (deleted.pid, deleted.exit_status, deleted.exited_at) == (created.pid, 137, stopped.exited_at)


def test_connect_tells_the_pids(pods):
    pod = pods.container("running")
    connected = pod.task.Connect(id=pod.id)
    assert connected.task_pid == pod.task.State(id=pod.id).pid
    assert os.path.exists(f"/proc/{connected.shim_pid}")


def test_pids_name_the_execs(pods):
    pod = pods.container("running")
    pod.with_exec("running")
    listed = pod.task.Pids(id=pod.id).processes
    details = [one.info.type_url for one in listed if one.HasField("info")]
    assert len(listed) == 2 and details == ["containerd.runc.v1.ProcessDetails"]


def test_two_waits_are_both_answered(pods):
    pod = pods.container("running")
    waits = [pod.task.begin("Wait", id=pod.id) for _ in range(2)]
    other = pod.another_connection()
    waits.append(other.begin("Wait", id=pod.id))
    pod.task.Kill(id=pod.id, signal=15)
    pod.task.Kill(id=pod.id, signal=9)
    answers = [wait() for wait in waits]
    assert {one.exit_status for one in answers} == {137}
    assert len({one.exited_at.nanos for one in answers}) == 1
    other.close()


def test_50_calls_at_once(pods):
    pod = pods.container("running")
    calls = [pod.task.begin("State", id=pod.id) for _ in range(50)]
    assert {call().status for call in calls} == {2}


def test_50_connections_at_once(pods):
    pod = pods.container("running")
    connections = [pod.another_connection() for _ in range(50)]
    calls = [one.begin("State", id=pod.id) for one in connections]
    assert {call().status for call in calls} == {2}
    for one in connections:
        one.close()


def test_a_client_that_leaves_in_mid_call_disturbs_nobody(pods):
    pod = pods.container("running")
    wait = pod.task.begin("Wait", id=pod.id)
    for _ in range(5):
        leaving = pod.another_connection()
        leaving.begin("Wait", id=pod.id)
        leaving.begin("Exec", id=pod.id, exec_id="left", spec=exec_spec("true"))
        leaving.close()
    assert pod.task.State(id=pod.id).status == 2
    pod.task.Kill(id=pod.id, signal=9)
    assert wait().exit_status == 137


def test_an_unknown_method_or_service_is_unimplemented(pods):
    pod = pods.container("running")
    connection = pod.task.connection
    for service, method in (("containerd.task.v2.Task", "Nosuch"), ("no.such.Service", "State"), ("", "")):
        with pytest.raises(Status) as raised:
            connection.answer(connection.begin(service, method))
        assert raised.value.code == "Unimplemented", (service, method)
    assert pod.task.State(id=pod.id).status == 2


def test_a_request_that_is_no_protobuf_is_refused(pods):
    pod = pods.container("running")
    connection = pod.task.connection
    with pytest.raises(Status):
        connection.answer(connection.begin("containerd.task.v2.Task", "State", b"\xff\xff\xff\xff"))
    assert pod.task.State(id=pod.id).status == 2


BROKEN = {
    "frame_of_garbage": lambda connection: connection.send(b"\xff" * 100),
    "frame_without_end": lambda connection: connection.send(b"x", length=1000),
    "huge_length": lambda connection: connection.send(b"", length=0xFFFFFFFF),
    "more_than_4_mib": lambda connection: connection.send(bytes(5 << 20)),
    "unknown_type": lambda connection: connection.send(b"", kind=77),
    "answer_to_nothing": lambda connection: connection.send(b"", kind=2),
    "even_stream": lambda connection: connection.send(b"", stream=2),
    "stream_0": lambda connection: connection.send(b"", stream=0),
}


@pytest.mark.parametrize("send", BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_frame_harms_its_own_connection_only(pods, send):
    pod = pods.container("running")
    broken = Connection(pod.address)
    try:
        send(broken)
    except OSError:  # the shim has hung up before all was sent
        pass
    broken.close()
    assert pod.task.State(id=pod.id).status == 2


def test_shutdown_does_nothing_while_a_container_is_there(pods):
    pod = pods.container("running")
    pod.task.Shutdown(id=pod.id)
    assert pod.another_connection().State(id=pod.id).status == 2


def test_shutdown_ends_a_shim_without_containers(pods):
    pod = pods.container("deleted")
    try:
        pod.task.Shutdown(id=pod.id)
    except Closed:
        pass
    pod.wait_gone()


# Overlapping calls


def test_kill_while_it_starts(pods):
    for _ in range(3):
        pod = pods.container("created")
        start = pod.task.begin("Start", id=pod.id)
        kill = pod.task.begin("Kill", id=pod.id, signal=9)
        wait = pod.task.begin("Wait", id=pod.id)
        outcome(lambda timeout, call=start: call())
        outcome(lambda timeout, call=kill: call())
        assert wait().exit_status == 137
        pod.task.Delete(id=pod.id)


def test_delete_while_it_starts(pods):
    pod = pods.container("created")
    start = pod.task.begin("Start", id=pod.id)
    delete = pod.task.begin("Delete", id=pod.id)
    started, deleted = (outcome(lambda timeout, call=call: call()) for call in (start, delete))
    assert (started[0] == "OK") != (deleted[0] == "OK"), (started, deleted)


def test_kill_while_it_is_created(pods):
    pod = pods.start()
    create = pod.task.begin("Create", id=pod.id, bundle=str(pod.bundle))
    kill = pod.task.begin("Kill", id=pod.id, signal=9)
    killed = outcome(lambda timeout: kill())
    created = outcome(lambda timeout: create())
    assert killed[0] in ("OK", "NotFound")
    assert created[0] == "OK" or killed[0] == "OK"
    assert pod.task.connection.closed is False


def test_exec_while_the_container_ends(pods):
    for _ in range(3):
        pod = pods.container("running")
        kill = pod.task.begin("Kill", id=pod.id, signal=9)
        execs = [pod.task.begin("Exec", id=pod.id, exec_id=f"e{number}", spec=exec_spec("true")) for number in range(5)]
        starts = [pod.task.begin("Start", id=pod.id, exec_id=f"e{number}") for number in range(5)]
        kill()
        for call in (*execs, *starts):
            outcome(lambda timeout, call=call: call())
        assert pod.task.Wait(id=pod.id).exit_status == 137


def test_50_execs_at_once(pods, runtime):
    pod = pods.container("running")
    names = [f"e{number}" for number in range(5 if runtime == RUNC else 50)]  # runc's of 1.6 loses exits of many
    results = {}

    def run(name):
        pod.task.Exec(id=pod.id, exec_id=name, spec=exec_spec("sh", "-c", f"exit {name[1:]}"))
        wait = pod.task.begin("Wait", id=pod.id, exec_id=name)
        pod.task.Start(id=pod.id, exec_id=name)
        results[name] = wait().exit_status
        pod.task.Delete(id=pod.id, exec_id=name)

    threads = [threading.Thread(target=run, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert results == {name: int(name[1:]) for name in names}


@pytest.mark.parametrize("when", ["before", "during", "after"])
def test_input_closed_around_the_start_of_an_exec(pods, runtime, when):
    """CloseIO is the end of the input as soon as the FIFO has no other writer, whenever it comes."""
    if runtime == RUNC and when != "after":
        when = "after"  # runc's of 1.6 forgets one that comes before the process runs
    pod = pods.container("running")
    for number in range(20):
        ids = {"id": pod.id, "exec_id": f"e{number}"}
        paths = {stream: str(pod.bundle / f"{stream}-{number}") for stream in ("stdin", "stdout", "stderr")}
        for path in paths.values():
            os.mkfifo(path)
        ends = {stream: os.open(path, os.O_RDWR) for stream, path in paths.items()}
        os.write(ends["stdin"], b"x" * 1000)
        pod.task.Exec(spec=exec_spec("sh", "-c", "[ $(wc -c) = 1000 ]"), **paths, **ids)
        wait = pod.task.begin("Wait", **ids)
        if when == "before":
            pod.task.CloseIO(stdin=True, **ids)
        start = pod.task.begin("Start", **ids)
        if when == "during":
            pod.task.CloseIO(stdin=True, **ids)
        start()
        if when == "after":
            pod.task.CloseIO(stdin=True, **ids)
        for end in ends.values():
            os.close(end)
        assert wait().exit_status == 0, number
        pod.task.Delete(**ids)


def test_an_exec_may_have_the_containers_id(pods):
    pod = pods.container("running")
    assert pod.run_exec(pod.id, "sh", "-c", "exit 4") == 4
    assert pod.task.State(id=pod.id).status == 2


def test_an_exec_without_id_or_process_is_refused(pods, runtime):
    pod = pods.container("running")
    broken = message("google.protobuf.Any")(type_url=PROCESS_TYPE, value=b'{"args": [')
    wrong = message("google.protobuf.Any")(type_url=PROCESS_TYPE, value=json.dumps({"args": "true"}).encode())
    for spec in (broken, wrong):
        with pytest.raises(Status) as raised:
            pod.task.Exec(id=pod.id, exec_id="e", spec=spec)
        assert raised.value.code == ("Unknown" if runtime == RUNC else "InvalidArgument")
    pod.task.Exec(id=pod.id, exec_id="e", spec=exec_spec("true"))


@pytest.mark.parametrize("version", ["v2", "v3"])
def test_both_versions_of_the_service(pods, runtime, version):
    if runtime == RUNC and version == "v3":
        version = "v2"  # containerd 1.6's has no other
    pod = pods.container("running")
    task = pod.another_connection(version)
    assert task.State(id=pod.id).status == 2
    task.close()
