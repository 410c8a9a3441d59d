"""`start` and `delete`: what they print, what they leave, what they survive."""

import ctypes
import fcntl
import hashlib
import json
import os
import signal
import socket
import subprocess
import threading
import time

import pytest
from conftest import CONFIG, CONTAINERD, leftovers
from harness.processes import alive, kill, process, wait_for, wait_gone

NEVER_MS = "600000"  # longer than a command of a test may take
INIT_PID = 4711  # fake_service.c
PIDFD_GETFD = 438  # the number of the system call, on every architecture


def varint(value):
    out = b""
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def killed(pid):
    """The start of a DeleteResponse: pid (absent when 0), exit_status 137."""
    return (b"\x08" + varint(pid) if pid else b"") + b"\x10" + varint(137)


def status_of(pid):
    with open(f"/proc/{pid}/status", encoding="utf-8") as file:
        return dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)


def pod_of(address):
    return f"/run/kata/{address.rsplit('/', 1)[1][:32]}"


def assert_nothing_left(bundle):
    assert wait_for(lambda: not leftovers()), leftovers()
    assert bundle.read("rootfs/precious") == "data"


# start


def test_start_prints_the_address_and_nothing_else(bundle):
    name = hashlib.sha256(f"{CONTAINERD}/default/web".encode()).hexdigest()
    result = bundle.start(stderr=subprocess.STDOUT)
    assert result.stdout.decode() == f"unix:///run/containerd/s/{name}"
    assert bundle.read("address") == result.stdout.decode()
    assert alive(bundle.pid)
    with open(f"/run/kata/{name[:32]}/id", encoding="utf-8") as file:
        assert file.read() == "default/web\n"
    bundle.end()


def test_the_server_is_a_daemon(bundle):
    bundle.started()
    proc, status = f"/proc/{bundle.pid}", status_of(bundle.pid)
    assert os.getsid(bundle.pid) == bundle.pid
    assert os.readlink(f"{proc}/cwd") == "/"
    assert [os.readlink(f"{proc}/fd/{fd}") for fd in range(3)] == ["/dev/null"] * 3
    assert os.readlink(f"{proc}/ns/mnt") != os.readlink("/proc/self/ns/mnt")
    assert status["Seccomp"] == "2"
    assert status["NoNewPrivs"] == "0"
    command = process(bundle.pid).command
    assert command.endswith(f"containerd-shim-kata-v2 -namespace default -id web -address {CONTAINERD}")
    bundle.end()


def test_the_server_is_killed_before_containerd(bundle):
    with open("/proc/self/oom_score_adj", encoding="ascii") as file:
        ours = int(file.read())
    bundle.started()
    with open(f"/proc/{bundle.pid}/oom_score_adj", encoding="ascii") as file:
        assert int(file.read()) == min(ours + 1, 1000)
    bundle.end()


def test_cores_of_its_own_are_asked_for_or_refused(bundle):
    bundle.env["SCHED_CORE"] = "1"
    result = bundle.start()
    if result.returncode == 0:
        bundle.end()
    else:  # a kernel or a processor that cannot
        assert b"cannot create a core scheduling group (SCHED_CORE is set): " in result.stderr
        assert_nothing_left(bundle)


def test_the_server_keeps_no_descriptor_of_its_caller(bundle):
    read_end, write_end = os.pipe()
    bundle.started(pass_fds=[write_end])
    os.close(write_end)
    assert os.read(read_end, 1) == b""
    os.close(read_end)
    bundle.end()


def test_mounts_of_the_share_are_seen_by_nobody_else(bundle):
    pod = pod_of(bundle.started())
    assert os.listdir(f"{pod}/share/rootfs") == []
    assert os.listdir(f"/proc/{bundle.pid}/root{pod}/share/rootfs") == ["precious"]
    with open(f"/proc/{bundle.pid}/mountinfo", encoding="utf-8") as file:
        share = [line for line in file if line.split()[4] == f"{pod}/share"]
    assert "shared:" in share[0]
    assert os.listdir(f"/proc/{bundle.pid}/root{pod}/view/rootfs") == ["precious"]
    with open(f"/proc/{bundle.pid}/mountinfo") as file:
        view = [line for line in file if line.split()[4] == f"{pod}/view"]
    assert view[0].split()[5].startswith("ro")
    bundle.end()


def test_a_second_start_finds_the_first_ones_shim(bundle):
    address = bundle.started()
    pid = bundle.pid
    os.unlink(f"{bundle.path}/address")
    assert bundle.started() == address
    assert bundle.read("address") == address
    assert bundle.pid == pid and alive(pid)
    bundle.end()


def test_starts_at_once_make_one_pod(bundle):
    results = []
    threads = [threading.Thread(target=lambda: results.append(bundle.started())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(results)) == 1 and len(results) == 8
    bundle.end()
    assert_nothing_left(bundle)


def test_one_id_in_two_namespaces_is_two_pods(make_bundle):
    one, two = make_bundle(namespace="one"), make_bundle(namespace="two")
    assert one.started() != two.started()
    assert alive(one.pid) and alive(two.pid)
    one.end()
    assert alive(two.pid)
    two.end()


def test_a_stale_socket_is_replaced(bundle):
    address = bundle.started()
    dead = bundle.pid
    bundle.end(signal.SIGKILL)
    assert os.path.exists(address.removeprefix("unix://"))
    assert bundle.started() == address
    assert bundle.pid != dead and alive(bundle.pid)
    bundle.end()
    assert_nothing_left(bundle)


def test_a_busy_shim_is_no_dead_one(bundle):
    address = bundle.started()
    pid = bundle.pid
    kill(pid, signal.SIGSTOP)
    clients = []
    for _ in range(200):
        client = socket.socket(socket.AF_UNIX)
        client.setblocking(False)
        clients.append(client)
        if client.connect_ex(address.removeprefix("unix://")):
            break
    assert bundle.started() == address
    for client in clients:
        client.close()
    kill(pid, signal.SIGCONT)
    bundle.end()


# what start refuses


def refused(bundle, **options):
    """The one line that a failed start says."""
    result = bundle.start(**options)
    assert result.returncode == 1, result
    assert not result.stdout
    assert b"\n" not in result.stderr
    assert not bundle.has("address") and not bundle.has("shim.pid")
    assert_nothing_left(bundle)
    return result.stderr.decode().removeprefix("containerd-shim-kata-v2: ")


def test_broken_json_is_said_with_its_line(bundle):
    bundle.write("config.json", '{\n  "process": {\n    "args": [,]\n  }\n}\n')
    error = refused(bundle)
    assert f'bundle "{bundle.path}": config.json: line 3' in error


def test_a_wrong_field_is_said_with_its_path(bundle):
    bundle.write("config.json", json.dumps(CONFIG | {"hostname": 7}))
    assert "config.json: hostname: expected string, found integer" in refused(bundle)


def test_a_missing_config_is_said(bundle):
    os.unlink(f"{bundle.path}/config.json")
    assert "config.json" in refused(bundle)


def test_without_a_config_it_is_a_sandbox(bundle):
    """Of the Sandbox API, which a containerd that knows JSON may have."""
    os.unlink(f"{bundle.path}/config.json")
    bundle.env["MAX_SHIM_VERSION"] = "2"
    answer = json.loads(bundle.started())
    assert answer == {"version": 2, "address": bundle.read("address"), "protocol": "ttrpc"}
    assert alive(bundle.pid)
    bundle.end()
    assert_nothing_left(bundle)


def test_delete_of_a_sandbox_needs_no_config(bundle):
    os.unlink(f"{bundle.path}/config.json")
    bundle.env["MAX_SHIM_VERSION"] = "2"
    bundle.started()
    bundle.write("netns", "/run/netns/gone")
    bundle.end(signal.SIGKILL)
    assert_deleted(bundle, INIT_PID)
    assert_deleted(bundle, INIT_PID)


def of_pod(bundle, kind, sandbox, *namespaces):
    """Makes it the bundle of a container of a CRI pod."""
    config = json.loads(bundle.read("config.json"))
    config["annotations"] = {"io.kubernetes.cri.container-type": kind, "io.kubernetes.cri.sandbox-id": sandbox}
    if namespaces:
        config["linux"]["namespaces"] = [{"type": name} for name in ("mount", *namespaces)]
    bundle.write("config.json", json.dumps(config))


@pytest.mark.parametrize("missing", ["network", "pid", "ipc"])
def test_a_sandbox_in_a_namespace_of_the_host_is_refused(bundle, missing):
    """hostNetwork, hostPID, hostIPC."""
    of_pod(bundle, "sandbox", bundle.id, *{"network", "pid", "ipc", "uts"} - {missing})
    assert f"linux.namespaces: the host's {missing} namespace (none is named): not supported" in refused(bundle)


def test_a_container_in_the_ipc_namespace_of_the_host_is_refused(bundle):
    """docker run --ipc host."""
    config = json.loads(bundle.read("config.json"))
    config["linux"]["namespaces"] = [{"type": name} for name in ("mount", "network", "pid", "uts")]
    config["mounts"] = [*config.get("mounts", []), {"destination": "/dev/shm", "source": "/dev/shm", "type": "bind", "options": ["rbind"]}]
    bundle.write("config.json", json.dumps(config))
    assert "linux.namespaces: the host's ipc namespace (none is named): not supported" in refused(bundle)


def test_a_sandbox_that_names_a_namespace_of_the_host_is_refused(bundle):
    of_pod(bundle, "sandbox", bundle.id, "network", "pid", "ipc")
    config = json.loads(bundle.read("config.json"))
    config["linux"]["namespaces"][3]["path"] = "/proc/1/ns/ipc"
    bundle.write("config.json", json.dumps(config))
    assert "linux.namespaces: the host's ipc namespace (\"/proc/1/ns/ipc\"): not supported" in refused(bundle)


def test_a_container_of_a_pod_that_is_not_there_is_refused(bundle):
    of_pod(bundle, "container", "abc")
    assert refused(bundle) == "cannot find sandbox \"abc\" of container \"web\": no shim serves it"


def test_containers_of_a_pod_have_one_shim(make_bundle):
    pod, first, second = make_bundle("pod"), make_bundle("first"), make_bundle("second")
    of_pod(pod, "sandbox", "pod", "network", "pid", "ipc", "uts")
    address = pod.started()
    for container in (first, second):
        of_pod(container, "container", "pod")
        assert container.started() == address
        assert container.read("address") == address
        assert not container.has("shim.pid")
    assert b"nothing is removed" in first.delete().stderr
    assert alive(pod.pid)
    pod.end()
    assert_nothing_left(pod)


def test_delete_does_not_wait_for_a_pod_that_does_not_end(make_bundle):
    """containerd 1.6 runs it for each container of a pod, one after the other."""
    pod, container = make_bundle("pod"), make_bundle("first")
    of_pod(pod, "sandbox", "pod", "network", "pid", "ipc", "uts")
    pod.started()
    of_pod(container, "container", "pod")
    container.started()
    container.env["DELETE_ENDING_MS"] = NEVER_MS
    assert container.delete().returncode == 0
    pod.end()
    assert_nothing_left(pod)


def test_what_the_service_says_is_what_start_says(bundle):
    bundle.write("service", "fail")
    assert refused(bundle) == "start the service: kernel '/nowhere': no such file"


def test_a_server_that_dies_is_noticed(bundle):
    bundle.write("service", "die")
    assert refused(bundle) == "the shim was killed by signal 9 (Killed) before it was ready"


def test_a_server_that_hangs_is_given_up(bundle):
    bundle.write("service", "hang")
    bundle.env["SERVER_READY_MS"] = "500"
    assert refused(bundle) == "the shim is not ready after 500 ms"


def test_a_failure_after_the_server_is_ready_ends_it(bundle):
    os.mkdir(f"{bundle.path}/address")
    result = bundle.start()
    assert result.returncode == 1
    assert b'cannot write "' in result.stderr
    assert_nothing_left(bundle)
    os.rmdir(f"{bundle.path}/address")


def test_an_answer_that_cannot_be_written_ends_the_server(bundle):
    with open("/dev/full", "wb") as full:
        result = bundle.start(stdout=full)
    assert result.returncode == 1
    assert b"standard output" in result.stderr
    assert not bundle.has("address")
    assert_nothing_left(bundle)


def kill_a_start(bundle):
    """Ends `start` while its server is still starting."""
    running = subprocess.Popen(
        [bundle.shim, "-namespace", "default", "-address", CONTAINERD, "-id", "web", "start"],
        cwd=bundle.path, env=bundle.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )
    assert wait_for(lambda: bundle.has("starting"))
    running.kill()
    running.communicate()
    os.unlink(f"{bundle.path}/starting")


def test_a_start_that_is_killed_leaves_nothing(bundle):
    bundle.write("service", "late")
    kill_a_start(bundle)
    assert_nothing_left(bundle)
    assert "this pod does not begin" in bundle.read("log")


def test_a_server_that_fails_after_its_start_was_killed_leaves_nothing(bundle):
    bundle.write("service", "futile")
    kill_a_start(bundle)
    assert_nothing_left(bundle)
    assert "kernel '/nowhere': no such file" in bundle.read("log")


@pytest.mark.parametrize(
    "args, text",
    [
        (["-id", "a/b", "-namespace", "n", "start"], 'invalid option -id "a/b"'),
        (["-id", "a", "start"], "option -namespace is missing"),
        (["-namespace", "n", "start"], "option -id is missing"),
        (["-id", "a", "-namespace", "n", "stop"], 'invalid command "stop": expected start, delete'),
        (["-what"], 'invalid option "-what": unknown'),
        (["-\x1b[31m\n"], 'invalid option "- [31m ": unknown'),
        (["-id", "a", "-namespace", "n", "-bundle", "/nowhere", "start"], 'cannot find bundle "/nowhere": No such file'),
    ],
)
def test_a_wrong_command_line_is_said(bundle, args, text):
    result = bundle.run(*args)
    assert result.returncode == 1
    assert text in result.stderr.decode()


def test_the_version_is_told(bundle):
    result = bundle.run("-v")
    assert result.returncode == 0
    assert result.stdout.startswith(b"containerd-shim-kata-v2: Kata Containers runtime in C, version ")


# the end of a pod


def test_a_shim_that_is_asked_to_end_leaves_nothing(bundle):
    bundle.started()
    bundle.end()
    assert_nothing_left(bundle)


def assert_serves(bundle, address):
    assert alive(bundle.pid)
    client = socket.socket(socket.AF_UNIX)
    client.connect(address.removeprefix("unix://"))
    client.close()
    assert os.listdir(pod_of(address))


def test_start_gets_no_pod_that_is_ending(bundle):
    """A restart of a container that comes before the end of its last shim."""
    bundle.write("service", "slow")
    bundle.started()
    dying = bundle.pid
    kill(dying, signal.SIGTERM)
    wait_for(lambda: "asked to end" in bundle.read("log"))
    address = bundle.started()
    assert bundle.pid != dying
    assert wait_gone(dying)
    assert_serves(bundle, address)
    bundle.end()
    assert_nothing_left(bundle)


def test_the_end_of_a_pod_leaves_its_successor_alone(bundle):
    """The pod's last steps are held up, where it can be, until there is another of the same name."""
    address = bundle.started()
    path = address.removeprefix("unix://")
    ending = bundle.pid
    root = os.open("/run/kata", os.O_RDONLY)
    fcntl.flock(root, fcntl.LOCK_EX)
    kill(ending, signal.SIGTERM)
    assert wait_for(lambda: socket.socket(socket.AF_UNIX).connect_ex(path))
    wait_gone(ending, 1)
    if alive(ending):
        kill(ending, signal.SIGSTOP)
        assert wait_for(lambda: status_of(ending)["State"].startswith("T"))
    os.close(root)
    bundle.started()
    if alive(ending):
        kill(ending, signal.SIGCONT)
    assert wait_gone(ending)
    assert_serves(bundle, address)
    bundle.end()
    assert_nothing_left(bundle)


def test_a_pod_that_does_not_end_is_told_by_start(bundle):
    bundle.write("hold", "")
    bundle.started()
    ending = bundle.pid
    kill(ending, signal.SIGTERM)
    assert wait_for(lambda: "asked to end" in bundle.read("log"))
    bundle.env |= {"START_ENDING_MS": "500", "DELETE_ENDING_MS": "200"}
    result = bundle.start()
    assert result.returncode == 1
    assert b"the last pod of this name has not ended" in result.stderr
    deleted = bundle.delete()
    assert deleted.returncode == 0
    assert b"nothing is removed" in deleted.stderr
    os.unlink(f"{bundle.path}/hold")
    assert wait_gone(ending)
    assert_nothing_left(bundle)


def test_a_pod_that_never_begins_leaves_nothing(bundle):
    bundle.write("service", "end")
    bundle.started()
    assert wait_gone(bundle.pid)
    assert_nothing_left(bundle)


def test_a_pod_whose_bundle_is_taken_away_ends(bundle):
    """containerd has given it up, as after a restart that did not reach the shim in time."""
    bundle.env["BUNDLE_LOOK_MS"] = "200"
    bundle.started()
    pid = bundle.pid
    os.rename(bundle.path, f"{bundle.path}.gone")
    bundle.path += ".gone"
    assert wait_gone(pid)
    assert_nothing_left(bundle)
    assert "is gone: the pod ends" in bundle.read("log")


def test_the_log_tells_of_the_pod(bundle):
    bundle.started()
    bundle.end()
    assert 'msg="serving namespace=default id=web pod=' in bundle.read("log")


def test_the_log_goes_into_a_fifo_whose_reader_comes_and_goes(bundle):
    os.unlink(f"{bundle.path}/log")
    os.mkfifo(f"{bundle.path}/log")
    bundle.started()  # nobody reads yet
    with open(os.open(f"{bundle.path}/log", os.O_RDONLY | os.O_NONBLOCK), "rb") as reader:
        said = []
        assert wait_for(lambda: said.append(reader.read() or b"") or b"serving" in b"".join(said)), said
    bundle.end()


# delete


def assert_deleted(bundle, pid):
    result = bundle.delete()
    assert result.returncode == 0, result
    assert result.stderr == b""
    assert result.stdout.startswith(killed(pid))
    assert_nothing_left(bundle)


def test_delete_removes_what_a_killed_shim_leaves(bundle):
    pod = pod_of(bundle.started())
    bundle.end(signal.SIGKILL)
    assert os.path.isdir(pod)
    assert_deleted(bundle, INIT_PID)
    assert_deleted(bundle, INIT_PID)


def test_delete_tells_the_time_of_now(bundle):
    before = int(time.time())
    response = bundle.delete().stdout
    timestamp = response[len(killed(0)):]
    assert timestamp[:1] == b"\x1a"
    seconds, shift = 0, 0
    for byte in timestamp[3:]:
        seconds |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            break
    assert before <= seconds <= time.time()


def test_delete_needs_no_start(bundle):
    assert_deleted(bundle, 0)


def test_delete_needs_no_bundle(bundle):
    bundle.started()
    bundle.end(signal.SIGKILL)
    result = bundle.command("-bundle", "/nowhere", "delete", cwd="/")
    assert result.returncode == 0, result
    assert_nothing_left(bundle)


def test_delete_after_half_a_start(bundle):
    pod = pod_of(bundle.started())
    bundle.end(signal.SIGKILL)
    for name in ("address", "shim.pid"):
        os.unlink(f"{bundle.path}/{name}")
    os.unlink(f"{pod}/id")
    assert_deleted(bundle, INIT_PID)


def test_delete_ignores_an_address_that_is_none(bundle):
    bundle.started()
    bundle.end(signal.SIGKILL)
    bundle.write("address", "unix:///etc/passwd")
    assert_deleted(bundle, INIT_PID)
    assert os.path.exists("/etc/passwd")


def test_delete_never_touches_a_living_pod(bundle):
    address = bundle.started()
    bundle.env["DELETE_ENDING_MS"] = "200"
    result = bundle.delete()
    assert result.returncode == 0
    assert b"nothing is removed" in result.stderr
    assert alive(bundle.pid) and os.path.isdir(pod_of(address))
    bundle.end()


def test_delete_of_another_container_leaves_its_pod_alone(make_bundle):
    pod, other = make_bundle("pod"), make_bundle("other")
    other.write("address", pod.started())
    other.env["DELETE_ENDING_MS"] = "200"
    assert other.delete().returncode == 0
    assert alive(pod.pid)
    pod.end()


def test_delete_waits_for_a_shim_that_is_ending(bundle):
    bundle.env["DELETE_ENDING_MS"] = NEVER_MS
    bundle.write("service", "slow")
    bundle.started()
    kill(bundle.pid, signal.SIGTERM)
    assert_deleted(bundle, INIT_PID)
    assert wait_gone(bundle.pid)


def test_delete_waits_for_the_socket_of_a_shim_that_was_killed(bundle):
    """The kernel closes the descriptors of a dying process one after another."""
    bundle.started()
    shim = os.pidfd_open(bundle.pid)
    getfd = ctypes.CDLL(None, use_errno=True).syscall
    taken = [getfd(PIDFD_GETFD, shim, int(fd), 0) for fd in os.listdir(f"/proc/{bundle.pid}/fd")]
    assert min(taken) >= 0
    bundle.end(signal.SIGKILL)
    late = threading.Timer(0.1, lambda: [os.close(fd) for fd in taken])
    late.start()
    assert_deleted(bundle, INIT_PID)
    late.join()
    os.close(shim)


def test_start_and_delete_by_turns(bundle):
    for _ in range(10):
        bundle.started()
        bundle.end(signal.SIGKILL)
        assert_deleted(bundle, INIT_PID)
