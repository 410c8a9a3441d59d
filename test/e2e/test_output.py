"""Where output goes beside ctr's own FIFOs: files, logging programs, FIFOs that nobody reads; and what becomes of output
at the exit.

KATA_OUTPUT_RUNS: how many containers write a megabyte and end, four at a time; a tenth of them with a slow reader.
"""

import glob
import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from harness import RUNC
from harness.output import difference, is_full, read_at_once, read_slowly, through_cat
from harness.pods import exec_spec
from harness.processes import wait_for

RUNS = int(os.environ.get("KATA_OUTPUT_RUNS", 8))

LOGGER = """#!/bin/sh
sleep 0.3
echo "$CONTAINER_ID $CONTAINER_NAMESPACE $*" >{dir}/args
exec 5>&-
cat <&4 >{dir}/err &
cat <&3 >{dir}/out
wait
"""


@pytest.fixture
def patient(tmp_path):
    """A configuration by which Delete waits for output longer than a test does: an exit that waited as long would not come."""
    path = tmp_path / "patient.toml"
    path.write_text("".join(f"timeouts.{name}_ms = 600000\n" for name in ("stdio_stall", "stdio_drain", "logger_grace")))
    return str(path)


def run_with(containerd, runtime, container, uri, script, patient):
    flags = [] if runtime == RUNC else ["--runtime-config-path", patient]
    containerd.run_detached(container, "sh", "-c", script, runtime=runtime, flags=["--log-uri", uri, *flags])
    assert wait_for(lambda: containerd.task_state(container) == "STOPPED", pause=0.1)
    containerd.ctr("tasks", "delete", container).check()
    containerd.ctr("containers", "delete", container).check()


def test_output_goes_to_a_file(containerd, runtime, name, tmp_path, patient):
    log = tmp_path / "a directory" / "log"
    run_with(containerd, runtime, name(), f"file://{tmp_path}/a%20directory/log", "seq 100000; echo err >&2", patient)
    lines = log.read_text().splitlines()
    assert sorted(lines) == sorted([*map(str, range(1, 100001)), "err"])


def test_output_goes_to_a_logging_program(containerd, runtime, name, tmp_path, patient):
    container = name()
    program = tmp_path / "logger"
    program.write_text(LOGGER.format(dir=tmp_path))
    program.chmod(0o755)
    run_with(containerd, runtime, container, f"binary://{program}?key=value", "seq 100000; echo err >&2", patient)
    assert (tmp_path / "out").read_text() == "".join(f"{n}\n" for n in range(1, 100001))
    assert (tmp_path / "err").read_text() == "err\n"
    assert (tmp_path / "args").read_text() == f"{container} {containerd.namespace} key value\n"


def test_output_to_a_device_is_taken(containerd, runtime, name, patient):
    run_with(containerd, runtime, name(), "file:///dev/null", "seq 100000; echo err >&2", patient)


def test_a_file_that_cannot_be_opened_is_named(containerd, runtime, name, tmp_path):
    result = containerd.run(name(), "true", runtime=runtime, flags=("--log-uri", f"file://{tmp_path}"))
    assert result.rc == 1 and str(tmp_path) in result.error


def test_a_logging_program_that_is_missing_is_named(containerd, runtime, name):
    result = containerd.run(name(), "true", runtime=runtime, flags=("--log-uri", "binary:///nosuch/logger"))
    assert result.rc == 1 and "/nosuch/logger" in result.error


def test_output_that_nobody_reads_holds_up_nothing_else(containerd, runtime, name):
    container = name()
    running = containerd.run_background(container, "sh", "-c", "while :; do echo " + "x" * 1000 + "; done",
                                        runtime=runtime)
    fifos = glob.glob(f"/run/containerd/fifo/*/{container}-stdout")
    assert fifos
    for path in (f"/proc/self/fd/{running.stdout.fileno()}", *fifos):
        assert wait_for(lambda: is_full(path))
    assert containerd.exec(container, "echo", "still here").out == b"still here\n"
    containerd.ctr("tasks", "kill", "-s", "SIGKILL", container).check()
    assert wait_for(lambda: containerd.task_state(container) == "STOPPED", pause=0.1)
    assert containerd.finish(running).rc == 137


def test_fifos_that_nobody_opens_hold_up_nothing(containerd, runtime, pods, name, tmp_path):
    unread, other = tmp_path / "unread", tmp_path / "other"
    os.mkfifo(unread)
    os.mkfifo(other)
    ends = [os.open(unread, os.O_RDONLY | os.O_NONBLOCK)] if runtime == RUNC else []  # its shim wants one to be opened
    pod = pods.start("sh", "-c", "while :; do echo " + "x" * 1000 + "; done")
    pod.create(stdout=str(unread), stderr=str(unread))
    pod.task.Start(id=pod.id)
    reader = os.open(other, os.O_RDONLY | os.O_NONBLOCK)
    assert wait_for(lambda: is_full(unread))
    assert pod.task.State(id=pod.id).status == 2
    assert pod.run_exec("unread", "sh", "-c", "head -c 10000 /dev/zero; exit 4", stdout=str(unread), stderr=str(unread)) == 4
    assert pod.run_exec("read", "echo", "still here", stdout=str(other), stderr=str(other)) == 0
    assert os.read(reader, 100) == b"still here\n"
    os.close(reader)
    assert containerd.run(name(), "echo", "another", runtime=runtime).out == b"another\n"
    assert pod.kill() == 137
    pod.task.Delete(id=pod.id)
    for end in ends:
        os.close(end)


@pytest.mark.vm
def test_a_reader_that_comes_after_the_exit_gets_all(pods, tmp_path):
    """As ctr on a busy machine does, whose thread that opens a FIFO sleeps for longer than an exec takes."""
    fifo = tmp_path / "late"
    os.mkfifo(fifo)
    pod = pods.start("sleep", "1000")
    pod.create()
    pod.task.Start(id=pod.id)
    ids = {"id": pod.id, "exec_id": "late"}
    pod.task.Exec(spec=exec_spec("echo", "here I am"), stdout=str(fifo), stderr=str(fifo), **ids)
    wait = pod.task.begin("Wait", **ids)
    pod.task.Start(**ids)
    assert wait().exit_status == 0
    delete = pod.task.begin("Delete", **ids)
    with open(fifo, "rb") as late:
        assert late.read() == b"here I am\n"
    assert delete().exit_status == 0


def lost(containerd, runtime, names, read):
    """What went wrong: in a line for each run that lost something."""
    def one(container):
        data = os.urandom(1_000_000)
        got, error = through_cat(containerd, runtime, container, data, read)
        return error or difference(got, data)

    with ThreadPoolExecutor(4) as pool:
        return [line for line in pool.map(one, names) if line]


@pytest.mark.vm  # runc's shim loses some
def test_no_byte_is_lost_at_exit(containerd, runtime, name):
    assert not lost(containerd, runtime, [name() for _ in range(RUNS)], read_at_once)


@pytest.mark.vm  # and here nearly all
def test_no_byte_is_lost_to_a_slow_reader(containerd, runtime, name):
    assert not lost(containerd, runtime, [name() for _ in range(max(2, RUNS // 10))], read_slowly)


@pytest.mark.vm  # runc's shim tells an exit whatever becomes of the output
def test_a_reader_that_stands_still_delays_no_exit(containerd, runtime, name, patient):
    container = name()
    running = containerd.run_background(container, "sh", "-c", "seq 100000; sleep 1000", runtime=runtime,
                                        flags=("--runtime-config-path", patient))
    assert running.stdout.readline() == b"1\n"
    running.send_signal(signal.SIGSTOP)
    try:
        containerd.kill(container).check()
        containerd.wait_state(container, "STOPPED")
    finally:
        running.send_signal(signal.SIGCONT)
    assert containerd.finish(running).rc == 137


def test_a_child_in_the_background_delays_no_exit(pods, tmp_path, patient, monkeypatch):
    monkeypatch.setenv("KATA_CONF_FILE", patient)
    fifo = tmp_path / "out"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    pod = pods.start("sleep", "1000")
    pod.create()
    pod.task.Start(id=pod.id)
    ids = {"id": pod.id, "exec_id": "e"}
    # The child writes on for longer than any deadline of output.
    spec = exec_spec("sh", "-c", "while :; do echo child; sleep 0.05; done & echo parent; exit 5")
    pod.task.Exec(spec=spec, stdout=str(fifo), stderr=str(fifo), **ids)
    wait = pod.task.begin("Wait", **ids)
    pod.task.Start(**ids)
    got = b""
    while b"parent" not in got:
        got += read_some(reader)
    assert wait().exit_status == 5
    os.close(reader)


def read_some(fd):
    try:
        return os.read(fd, 65536)
    except BlockingIOError:
        time.sleep(0.01)
        return b""
