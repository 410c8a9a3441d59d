"""docker of two later releases of Debian, with a dockerd of the tests' own: 26.1 sets networks up inside Create, by a hook,
28.5 between Create and Start."""

import hashlib
import json
import os
import re
import secrets
import subprocess
import urllib.request

import pytest
from harness import IMAGE, KATA
from harness.docker import BRIDGE, Docker
from harness.processes import SOON, alive, kill, process, wait_for
from harness.snippets import commands

SLEEP = ["sleep", "1000"]

pytestmark = pytest.mark.vm


@pytest.fixture(scope="module", params=["trixie", "forky"])
def module_docker(request, prefix, image):
    running = Docker(os.path.join(prefix, "bin"), request.param).start()
    running.import_image(image)
    running.run_rm("--network", "host", IMAGE, "true", runtime="runc").check()  # from now on the host's namespace is mounted
    yield running
    running.stop()


@pytest.fixture
def docker(module_docker, watched):
    """The module's dockerd: the test fails if it leaves anything behind."""
    yield from watched(module_docker)


@pytest.fixture(scope="module")
def web(module_docker):
    """A container that many tests look at."""
    module_docker.shared.add("web")
    module_docker.start_container(
        "web", "sh", "-c", "echo out; echo err >&2; exec sleep 1000", runtime=KATA,
        flags=["--shm-size", "10m", "--tmpfs", "/scratch:size=5m", "-m", "200m", "--cpus", "1.5", "--init"])
    yield "web"
    module_docker.text("rm", "-f", "web")


@pytest.fixture
def start(docker, name):
    """start(COMMAND...): the name of a container that runs. It is removed in the end."""
    started = []

    def run(*command, flags=(), runtime=KATA):
        started.append(name())
        docker.start_container(started[-1], *command, runtime=runtime, flags=flags)
        return started[-1]

    yield run
    if started:
        docker.text("rm", "-f", "-v", *started)


def as_runc(docker, *args, **options):
    """What docker run gives, the same with both runtimes."""
    kata, runc = (docker.run_rm(*args, runtime=runtime, **options) for runtime in (KATA, "runc"))
    assert (kata.rc, kata.out, kata.err) == (runc.rc, runc.out, runc.err), f"{kata}\n{runc}"
    return kata


def test_output_and_exit_code(docker):
    result = as_runc(docker, IMAGE, "sh", "-c", "echo out; echo err >&2; exit 7")
    assert (result.rc, result.out, result.err) == (7, b"out\n", b"err\n")


def test_the_commands_of_the_documentation(docker):
    lines = commands("docker")
    assert len(lines) == 3, lines
    results = [docker.docker(*line.replace(" alpine ", f" {IMAGE} ").split()[1:]).check() for line in lines[:2]]
    assert results[0].text.strip() not in ("", os.uname().release)
    # "runtimes" of the daemon's configuration names one of the runtime's own: the machine is smaller than by default.
    total = docker.sh("demo", "grep MemTotal /proc/meminfo").split()[1]
    assert int(total) < 512 << 10
    docker.text(*lines[2].split()[1:])


def test_input_and_terminals(docker):
    data = os.urandom(200_000)
    result = docker.run_rm("-i", IMAGE, "sha256sum", runtime=KATA, stdin=data)
    assert result.check().text.split()[0] == hashlib.sha256(data).hexdigest()
    command = f"docker run --rm -t --runtime {KATA} {IMAGE} sh -c 'tty; stty size; exit 4'"
    done = subprocess.run(["script", "-qec", command, "/dev/null"], env=docker.env, capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, timeout=60)
    assert done.returncode == 4 and "/dev/pts/0" in done.stdout, done


def test_logs_and_exec(docker, web):
    assert wait_for(lambda: "out" in docker.text("logs", web) and "err" in docker.docker("logs", web).error)
    result = docker.docker("exec", web, "sh", "-c", "echo in; exit 5")
    assert (result.rc, result.out) == (5, b"in\n"), result
    assert docker.text("exec", "-i", web, "cat", stdin=b"typed\n") == "typed\n"
    assert docker.text("exec", "-u", "nobody", "-w", "/tmp", "-e", "A=b", web, "sh", "-c", "id -un; pwd; echo $A") == "nobody\n/tmp\nb\n"


def test_limits_and_file_systems(docker, web):
    shown = docker.sh(web, "df -k /dev/shm /scratch; cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/cpu.max; ps -o args")
    assert re.findall(r" (\d+) .*(/dev/shm|/scratch)$", shown, re.M) == [("10240", "/dev/shm"), ("5120", "/scratch")], shown
    assert f"\n{200 << 20}\n150000 100000\n" in shown
    assert "docker-init -- sh -c" in shown and "sleep 1000" in shown
    docker.text("update", "-m", "300m", "--memory-swap", "-1", "--cpus", "1", web)
    assert docker.sh(web, "cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/cpu.max") == f"{300 << 20}\n100000 100000\n"


def test_inspect_top_and_stats(docker, web):
    pid = docker.inspect(web, "State.Pid")
    assert process(pid).command.startswith("kata-container: ")
    assert docker.inspect(web, "State.Status") == "running"
    assert docker.inspect(web, "HostConfig.Runtime") == KATA
    assert str(pid) in docker.text("top", web)
    docker.sh(web, f"ping -c 1 {BRIDGE.split('/')[0]}")
    figures = json.loads(docker.text("stats", "--no-stream", "--format", "{{json .}}", web))
    assert 0 < float(figures["MemUsage"].split("MiB")[0]) < 300, figures
    assert int(figures["PIDs"]) >= 2 and not figures["NetIO"].startswith("0B"), figures


def test_copies_and_a_commit(docker, web, tmp_path):
    (tmp_path / "in").write_text("of the host\n")
    docker.text("cp", str(tmp_path / "in"), f"{web}:/tmp/in")
    assert docker.sh(web, "cat /tmp/in; echo of the guest >/tmp/out") == "of the host\n"
    docker.text("cp", f"{web}:/tmp/out", str(tmp_path / "out"))
    assert (tmp_path / "out").read_text() == "of the guest\n"
    docker.text("commit", web, "committed")
    assert docker.run_rm("committed", "cat", "/tmp/in", "/tmp/out", runtime="runc").check().text == "of the host\nof the guest\n"
    docker.text("rmi", "committed")


def test_pause(docker, web):
    docker.text("pause", web)
    assert docker.inspect(web, "State.Status") == "paused"
    docker.text("unpause", web)
    assert docker.sh(web, "echo on") == "on\n"


def events_of(docker, container):
    filters = ["--since", "1h", "--until", "0s", "--filter", f"container={container}"]
    return sorted(docker.text("events", *filters, "--format", "{{.Action}}").splitlines())


def live(docker, container):
    """Begins, ends and begins again in each way: the sorted names of docker's events."""
    assert wait_for(lambda: "begun" in docker.text("logs", container))
    docker.text("stop", container)
    assert docker.inspect(container, "State.ExitCode") == 5
    docker.text("start", container)
    docker.text("kill", container)
    assert docker.text("wait", container) == "137\n"
    docker.text("restart", "-t", "0", container)
    kill(docker.inspect(container, "State.Pid"))  # as docker itself does when a container does not end
    assert docker.text("wait", container) == "137\n"
    assert wait_for(lambda: events_of(docker, container).count("die") == 3), events_of(docker, container)
    return events_of(docker, container)


def test_a_containers_life_is_as_with_runc(docker, start):
    command = ["sh", "-c", "trap 'exit 5' TERM; echo begun; while :; do sleep 0.1; done"]
    events = live(docker, start(*command))
    assert events == live(docker, start(*command, runtime="runc"))
    assert events.count("start") == 3 and events.count("stop") == 1


def test_volumes(docker, tmp_path):
    (tmp_path / "file").write_text("of the host\n")
    script = """cat /bind/file /ro/file /one; echo text >/bind/new; echo text >/named/new; touch /ro/no; touch /no
        touch /tmpfs/yes; df -k /tmpfs | tail -n 1 | sed 's/tmpfs *\\([0-9]*\\).*/\\1/'"""
    result = as_runc(docker, "--read-only", "-v", f"{tmp_path}:/bind", "-v", f"{tmp_path}:/ro:ro",
                     "-v", f"{tmp_path}/file:/one", "-v", "named:/named", "--tmpfs", "/tmpfs:size=1m", IMAGE, "sh", "-c", script)
    assert result.out == b"of the host\n" * 3 + b"1024\n", result
    assert result.error.count("Read-only file system") == 2, result
    assert (tmp_path / "new").read_text() == "text\n"
    assert docker.run_rm("-v", "named:/named", IMAGE, "cat", "/named/new", runtime="runc").check().text == "text\n"
    docker.text("volume", "rm", "named")


def test_a_privileged_container_has_the_machines_devices(docker):
    script = "mount -t tmpfs tmpfs /tmp && ls /dev/null /dev/net/tun && ls /sys/fs/cgroup >/dev/null && : </dev/net/tun && echo opened"
    assert as_runc(docker, "--privileged", IMAGE, "sh", "-c", script).text == "/dev/net/tun\n/dev/null\nopened\n"


def test_users_and_capabilities(docker):
    as_runc(docker, "--user", "1000:1001", "--group-add", "55", "--cap-drop", "ALL", "--cap-add", "NET_RAW", "--security-opt", "no-new-privileges",
            "--ulimit", "nofile=100:200", "--hostname", "myhost", "--network", "none", "--pids-limit", "50", "-w", "/tmp", "-e", "A=b", IMAGE, "sh", "-c",
            "id; grep -E 'Cap|NoNewPrivs|Seccomp:' /proc/self/status; ulimit -n; ulimit -Hn; hostname; pwd; echo $A; ip -o addr | cut -c -30")


REFUSED = {
    "--network host": "linux.namespaces: the host's network (no network namespace): not supported",
    "--network container:web": "the network of another machine: not supported",
    "--network container:other": "the network of another container: not supported; the machine would take its links away from it",
    "--ipc host": "linux.namespaces: the host's ipc namespace (none is named): not supported",
    "--ipc container:other": 'ipc: joining "/proc/',
    "--pid container:other": 'pid: joining "/proc/',
}


@pytest.mark.parametrize("flags", REFUSED)
def test_what_needs_the_host_or_another_machine_is_refused_in_one_line(docker, web, start, flags):
    other = start(*SLEEP, runtime="runc", flags=["--ipc", "shareable"]) if "other" in flags else web
    result = docker.run_rm(*flags.replace("other", other).split(" "), IMAGE, "true", runtime=KATA)
    assert result.rc == 125 and REFUSED[flags] in result.error, str(result)
    lines = [line for line in result.error.splitlines() if line and not line.startswith(("See ", "Run "))]
    assert len(lines) == 1, str(result)


def test_two_containers_the_host_and_a_published_port(docker, start):
    server = start("sh", "-c", "mkdir /www; echo page >/www/index.html; exec httpd -f -h /www -p 80", flags=["-p", "127.0.0.1:8080:80"])
    client = docker.run_rm(
        "--sysctl", "net.ipv4.ip_forward=0", IMAGE, "sh", "-c",
        f"ip -o -4 addr show eth0; ip route; ping -c 2 {docker.ip_of(server)} >&2; wget -q -O - http://{docker.ip_of(server)}", runtime=KATA).check()
    gateway = BRIDGE.split("/")[0]
    assert re.search(r"eth0 +inet 172\.29\.0\.\d+/16 ", client.text) and f"default via {gateway} dev eth0" in client.text, client
    assert client.text.endswith("page\n")
    docker.sh(server, f"ping -c 1 {gateway}")
    for address in (docker.ip_of(server), "127.0.0.1:8080"):
        with urllib.request.urlopen(f"http://{address}/", timeout=SOON) as answer:
            assert answer.read() == b"page\n"


def hooks_of(docker, container):
    path = os.path.join(docker.bundle(docker.inspect(container, "Id")), "config.json")
    with open(path, encoding="utf-8") as file:
        return json.load(file).get("hooks") or {}


def test_the_network_is_set_up_inside_create_or_after_it(docker, web):
    assert bool(hooks_of(docker, web).get("prestart")) == (docker.suite == "trixie")
    assert docker.ip_of(web) in docker.sh(web, "ip addr show eth0")


def test_the_first_process_finds_the_address_of_its_own_name(docker):
    """docker adds it to the file when it has set the network up: with 28.5, after Create."""
    script = "cat /etc/hosts; ip -o -4 addr show eth0"
    for _ in range(3):
        shown = docker.run_rm("--hostname", "own-name", IMAGE, "sh", "-c", script, runtime=KATA).check().text
        address = re.search(r"inet (172\.29\.0\.\d+)/", shown).group(1)
        assert re.search(rf"^{re.escape(address)}\s+own-name$", shown, re.M), shown


@pytest.fixture
def network(docker):
    """Another network, of the user's own, with IPv6."""
    made = f"net-{secrets.token_hex(3)}"
    docker.text("network", "create", "--subnet", "10.55.0.0/24", "--ipv6", "--subnet", "fd55::/64", made)
    yield made
    docker.text("network", "rm", made)


def test_networks_are_connected_and_disconnected_under_load(docker, web, network, start):
    """A card comes and goes in the guest, while another is busy."""
    other = start(*SLEEP, flags=["--network", network, "--ip", "10.55.0.9", "--ip6", "fd55::9"])
    gateway = BRIDGE.split("/")[0]
    load = docker.popen("exec", web, "sh", "-c", f"echo $$ >/tmp/ping; exec ping -q -i 0.01 -s 1400 {gateway}", program="docker")
    for _ in range(2):
        docker.text("network", "connect", network, web)
        joined = docker.inspect(web, "NetworkSettings.Networks")[network]
        address, address6 = joined["IPAddress"], joined["GlobalIPv6Address"]
        assert address6 and wait_for(lambda: all(f" {one}/" in docker.sh(web, "ip addr") for one in (address, address6)))
        docker.sh(web, "ping -c 2 -W 30 10.55.0.9 && ping -6 -c 2 -W 30 fd55::9")
        docker.sh(other, f"ping -c 2 -W 30 {address}")
        docker.text("network", "disconnect", network, web)
        assert wait_for(lambda: f" {address}/" not in docker.sh(web, "ip addr"))
    docker.sh(web, "kill -INT $(cat /tmp/ping)")
    sent, received = re.search(r"(\d+) packets transmitted, (\d+) packets received", docker.finish(load).text).groups()
    assert int(sent) > 10 and int(received) >= int(sent) - 1


def test_names_resolve_in_a_network_of_the_user(docker, network, start):
    """docker's resolver listens in the namespace on the host, behind nat rules."""
    server = start(*SLEEP, flags=["--network", network, "--ip", "10.55.0.9", "--network-alias", "backend"])
    client = start("sh", "-c", f"nslookup -type=a {server}; ping -c 1 backend; exec sleep 1000", flags=["--network", network])
    assert "nameserver 127.0.0.11" in docker.sh(client, "cat /etc/resolv.conf")
    assert wait_for(lambda: "packets received" in docker.text("logs", client)), docker.text("logs", client)
    shown = docker.text("logs", client)
    assert "Address: 10.55.0.9" in shown and "1 packets received" in shown, shown
    docker.sh(client, f"ping -c 1 {server}")


def test_names_resolve_in_a_network_that_comes_later(docker, network, start):
    """docker changes the container's resolv.conf then."""
    start(*SLEEP, flags=["--network", network, "--ip", "10.55.0.9", "--network-alias", "backend"])
    client = start(*SLEEP)
    assert "nameserver 127.0.0.11" not in docker.sh(client, "cat /etc/resolv.conf")
    docker.text("network", "connect", network, client)
    assert wait_for(lambda: "nameserver 127.0.0.11" in docker.sh(client, "cat /etc/resolv.conf"), SOON)
    found = "until nslookup -type=a backend 2>/dev/null; do sleep 0.2; done"
    assert "Address: 10.55.0.9" in docker.sh(client, f"timeout {SOON} sh -c '{found}'")
    docker.text("network", "disconnect", network, client)


def test_the_default_network_comes_back(docker, start):
    container = start(*SLEEP)
    docker.text("network", "disconnect", "bridge", container)
    assert wait_for(lambda: "eth" not in docker.sh(container, "ip addr"))
    docker.text("network", "connect", "bridge", container)
    address, gateway = docker.ip_of(container), BRIDGE.split("/")[0]
    assert wait_for(lambda: address in docker.sh(container, "ip addr"))
    docker.sh(container, f"ping -c 1 -W 30 {gateway}")


@pytest.mark.parametrize("module_docker", ["forky"], indirect=True)  # 26.1 has no such option
def test_settings_of_a_networks_link_are_the_guests(docker, web, network):
    """docker writes them into the namespace on the host, before the link is up."""
    option = '"com.docker.network.endpoint.sysctls=net.ipv4.conf.IFNAME.log_martians=1,net.ipv4.neigh.IFNAME.gc_stale_time=77"'
    docker.text("network", "connect", "--driver-opt", option, network, web)
    assert wait_for(lambda: docker.ip_of(web, network) in docker.sh(web, "ip addr"))
    settings = "cd /proc/sys/net/ipv4; cat conf/eth1/log_martians neigh/eth1/gc_stale_time conf/eth0/log_martians"
    assert wait_for(lambda: docker.sh(web, settings) == "1\n77\n0\n"), docker.sh(web, settings)
    docker.text("network", "disconnect", network, web)


def checked(docker, container):
    """When a health check has been made, its time."""
    checks = docker.inspect(container, "State.Health.Log")
    return checks and (checks[-1]["Output"], checks[-1]["ExitCode"]) == ("fine\n", 0) and checks[-1]["Start"]


def test_containers_live_on_when_dockerd_is_killed(docker, start):
    """With their logs and health checks."""
    container = start("sh", "-c", "while :; do echo line; sleep 0.1; done", flags=[
        "-p", "127.0.0.1:8081:80", "--health-cmd", "echo fine", "--health-interval", "1s"])
    pid = docker.inspect(container, "State.Pid")
    assert wait_for(lambda: docker.inspect(container, "State.Health.Status") == "healthy")
    last = checked(docker, container)
    docker.kill_daemon()
    assert alive(pid)
    docker.start_daemon()
    assert docker.inspect(container, "State.Status") == "running"
    assert docker.inspect(container, "State.Pid") == pid
    assert docker.sh(container, "echo still") == "still\n"
    before = docker.text("logs", container).count("line")
    assert wait_for(lambda: docker.text("logs", container).count("line") > before)
    assert wait_for(lambda: checked(docker, container) != last)
    docker.text("stop", "-t", "0", container)
    assert docker.inspect(container, "State.ExitCode") == 137
