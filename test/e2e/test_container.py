"""What a container sees of itself and its machine, beside what it sees under runc in the same test."""

import json
import os
import re

import pytest
from harness import RUNC
from harness.processes import wait_for

MIB = 1 << 20
LINGER = "; sleep 0.3"  # runc's shim loses what has not been read when a process ends (test/bench/output)

STATUS_OF_THE_RUNTIME = (
    "Name", "Umask", "Tgid", "PPid", "TracerPid", "Uid", "Gid", "Groups", "NStgid", "NSpid", "NSpgid",
    "NSsid", "Threads", "SigPnd", "ShdPnd", "SigBlk", "SigIgn", "SigCgt", "CapInh", "CapPrm", "CapEff", "CapBnd",
    "CapAmb", "NoNewPrivs", "Seccomp", "Seccomp_filters",
)


def printed(tested, run):
    """What a run prints. Under runc it is nothing where ctr comes to open the output after the end, in spite of LINGER, as on a
    busy machine: then it runs again."""
    text = run().check().text
    return wait_for(lambda: run().check().text) if tested == RUNC and not text else text


def both_specs(containerd, runtime, name, spec):
    """The same of a spec."""
    return [printed(tested, lambda: containerd.run_spec(name(), spec, runtime=tested, flags=["--rm"])) for tested in (RUNC, runtime)]


def both(containerd, runtime, name, script, flags=()):
    """What a script prints under runc and under the runtime in test."""
    return [
        printed(tested, lambda: containerd.run(name(), "sh", "-c", script + LINGER, runtime=tested, flags=flags))
        for tested in (RUNC, runtime)
    ]


def shown(containerd, runtime, name, script, flags=()):
    return containerd.run(name(), "sh", "-c", script, runtime=runtime, flags=flags).check().text.strip()


def spec_of(containerd):
    return json.loads(containerd.ctr("oci", "spec").check().text)


SAME_IN_BOTH = {
    "ids": "id",
    "environment": "env | sort",
    "working_directory_and_umask": "pwd; umask",
    "hostname": "hostname; cat /proc/sys/kernel/hostname; cat /proc/sys/kernel/domainname",
    # /dev/core is a link to what only some kernels have.
    "devices": "for f in /dev/* /dev/pts/*; do"
               " [ $f = /dev/core ] || stat -c '%N %F %a %u %g %t %T' $f; done",
    "open_files": "for fd in /proc/$$/fd/*; do echo $fd; done",
    "processes": "echo /proc/[0-9]*; cat /proc/1/comm",
    "network": "ls /sys/class/net; ip address show; ip route",
    "root_directory": r"""ls -l / | awk '{ print $1, $3, $4, $9 }' | grep -v ^total""",
    "device_rules": "for n in '1 3' '1 11' '5 1' '7 0' '8 0'; do"
                    " rm -f /tmp/n; mknod /tmp/n c $n && (: </tmp/n) 2>&1; done; echo",
    "writes_to_the_kernel": "for f in /proc/sys/kernel/hostname /proc/sys/vm/drop_caches /proc/irq/default_smp_affinity;"
                            " do (echo x >$f) 2>&1; done; mkdir /sys/x 2>&1; echo",
    "mounts_forbidden": "mount -t tmpfs x /mnt 2>&1; umount /proc 2>&1; echo",
}


@pytest.mark.parametrize("script", SAME_IN_BOTH.values(), ids=SAME_IN_BOTH.keys())
def test_same_as_under_runc(containerd, runtime, name, script):
    theirs, ours = both(containerd, runtime, name, script)
    assert ours == theirs
    assert theirs.strip()


def test_limits_are_those_of_runc(containerd, runtime, name):
    theirs, ours = (
        {line[:line.index("(")].strip(): line.split()[-1] for line in text.splitlines()}
        for text in both(containerd, runtime, name, "ulimit -S -a; ulimit -H -n; ulimit -H -c".replace(
            "ulimit -H -n; ulimit -H -c", "echo \"hard(n) $(ulimit -H -n)\"; echo \"hard core(c) $(ulimit -H -c)\""))
    )
    assert ours == theirs
    assert theirs["open files"] == "1024"


# More is better; net.core.* are a network namespace's, which runc makes anew.
AT_LEAST_THE_HOSTS = (
    "vm/max_map_count", "fs/aio-max-nr", "fs/file-max", "fs/inotify/max_queued_events", "fs/inotify/max_user_instances",
    "fs/inotify/max_user_watches", "fs/nr_open", "fs/pipe-max-size", "kernel/keys/maxkeys", "kernel/pid_max",
    "kernel/threads-max", "net/core/somaxconn",
)


def test_limits_of_a_spec_without_any_are_those_that_runc_inherits(containerd, runtime, name, spec_file, rootfs):
    spec = spec_file(rootfs, "sh", "-c", "cat /proc/self/limits" + LINGER)
    spec["process"].pop("rlimits", None)
    theirs, ours = both_specs(containerd, runtime, name, spec)
    assert ours.splitlines() == theirs.splitlines()
    assert "Max processes" in ours


def test_settings_without_a_namespace_are_at_least_the_hosts(containerd, runtime, name):
    files = [f"/proc/sys/{one}" for one in AT_LEAST_THE_HOSTS]
    ours = shown(containerd, runtime, name, f"cat {' '.join(files)}").split()
    for file, value in zip(files, ours, strict=True):
        with open(file, encoding="ascii") as host:
            assert int(value) >= int(host.read()), file


def status(text):
    return dict(re.findall(r"^(\w+):[ \t]*(.*?) *$", text, re.M))


def test_process_status_is_that_of_runc(containerd, runtime, name):
    theirs, ours = map(status, both(containerd, runtime, name, "cat /proc/1/status"))
    for key in STATUS_OF_THE_RUNTIME:
        assert ours.get(key) == theirs.get(key), key
    assert (ours["NoNewPrivs"], ours["Seccomp"], ours["CapEff"]) == ("1", "0", "00000000a80425fb")


def mounts(text):
    """target -> (type, options). inode64 is told by some kernels only."""
    rows = (line.split() for line in text.splitlines())
    return {row[1]: (row[2], set(row[3].split(",")) - {"inode64"}) for row in rows}


def test_mounts_are_those_of_runc(containerd, runtime, name):
    """All but the root: masked and read-only paths as far as the kernel has them."""
    theirs, ours = map(mounts, both(containerd, runtime, name, "cat /proc/mounts"))
    linux = spec_of(containerd)["linux"]
    of_the_kernel = {path for path in linux["maskedPaths"] + linux["readonlyPaths"]}
    del theirs["/"], ours["/"]
    for target in theirs.keys() | ours.keys():
        if target in of_the_kernel and (target in theirs) != (target in ours):
            continue
        assert ours.get(target) == theirs.get(target), target
    assert {"/proc", "/dev", "/dev/pts", "/dev/shm", "/dev/mqueue", "/sys", "/run", "/proc/sys"} <= ours.keys()


def test_masked_and_read_only_paths_are_so(containerd, runtime, name):
    """Whatever of them the kernel has."""
    linux = spec_of(containerd)["linux"]
    masked, read_only = " ".join(linux["maskedPaths"]), " ".join(linux["readonlyPaths"])
    script = f"""
        for p in {masked}; do
            if [ -d $p ]; then [ -z "$(ls -A $p)" ] || echo "$p is not empty"
            elif [ -e $p ]; then [ "$(wc -c <$p)" = 0 ] && [ -c $p ] || echo "$p is not masked"; fi
        done
        for p in {read_only}; do
            [ ! -e $p ] || grep -q " $p [a-z]* ro" /proc/mounts || echo "$p is not read-only"
        done
        echo end"""
    assert shown(containerd, runtime, name, script) == "end"


def test_root_is_writable_and_shared_with_nobody(containerd, runtime, name):
    script = "echo x >/etc/new && mkdir -p /a/b && ln -s new /etc/link && cat /etc/link && chown 5:6 /etc/new" \
             " && stat -c '%u %g %a' /etc/new"
    theirs, ours = both(containerd, runtime, name, script)
    assert ours == theirs == "x\n5 6 644\n"
    assert shown(containerd, runtime, name, "ls /etc/new 2>/dev/null; echo end") == "end"


def test_read_only_root(containerd, runtime, name):
    theirs, ours = both(containerd, runtime, name, "echo x 2>&1 >/file; touch /run/file && echo run", ["--read-only"])
    assert ours == theirs
    assert "Read-only file system" in ours and "run" in ours


def test_flags_of_ctr_reach_the_process(containerd, runtime, name):
    flags = ["--cwd", "/usr/bin", "--env", "A=b c", "--env", "PATH=/bin"]
    theirs, ours = both(containerd, runtime, name, "pwd; echo \"$A\"; echo $PATH", flags)
    assert ours == theirs == "/usr/bin\nb c\n/bin\n"


def test_a_working_directory_is_made(containerd, runtime, name):
    theirs, ours = both(containerd, runtime, name, "pwd; stat -c '%u %g %a' .", ["--cwd", "/made/for/me"])
    assert ours == theirs == "/made/for/me\n0 0 755\n"


def test_capabilities_added_and_dropped(containerd, runtime, name):
    flags = ["--cap-add", "CAP_SYS_TIME", "--cap-drop", "CAP_KILL"]
    theirs, ours = map(status, both(containerd, runtime, name, "cat /proc/1/status", flags))
    for key in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert ours[key] == theirs[key], key
    assert int(ours["CapEff"], 16) >> 25 & 1 == 1 and int(ours["CapEff"], 16) >> 5 & 1 == 0


def test_new_privileges_allowed_when_asked(containerd, runtime, name):
    script = "grep NoNewPrivs /proc/self/status"
    theirs, ours = both(containerd, runtime, name, script, ["--allow-new-privs"])
    assert ours == theirs == "NoNewPrivs:\t0\n"


def test_user_and_groups_of_the_spec(containerd, runtime, name, spec_file, rootfs):
    script = "id; stat -c '%u %g' /proc/self; ls -l /proc/self/fd/1 >/dev/null && echo ok" + LINGER
    spec = spec_file(rootfs, "sh", "-c", script)
    spec["process"]["user"] = {"uid": 1234, "gid": 77, "additionalGids": [5, 600]}
    theirs, ours = both_specs(containerd, runtime, name, spec)
    assert ours == theirs
    assert ours.startswith("uid=1234 gid=77")


def test_limits_hostname_and_sysctl_of_the_spec(containerd, runtime, name, spec_file, rootfs):
    spec = spec_file(rootfs, "sh", "-c", "hostname; ulimit -n; ulimit -Hn; ulimit -u; cat /proc/sys/net/ipv4/ip_forward"
                                         " /proc/sys/kernel/msgmax /proc/self/oom_score_adj" + LINGER)
    spec["hostname"] = "a-name"
    spec["process"]["rlimits"] = [
        {"type": "RLIMIT_NOFILE", "soft": 100, "hard": 200},
        {"type": "RLIMIT_NPROC", "soft": 300, "hard": 300},
    ]
    spec["process"]["oomScoreAdj"] = 500
    spec["linux"]["sysctl"] = {"net.ipv4.ip_forward": "1", "kernel.msgmax": "4444"}
    theirs, ours = both_specs(containerd, runtime, name, spec)
    assert ours == theirs == "a-name\n100\n200\n300\n1\n4444\n500\n"


def test_without_a_pid_namespace_it_is_in_the_pods_and_not_the_agents(containerd, runtime, name, rootfs):
    spec = containerd.spec(rootfs, "sh", "-c", "sleep 2000 & exec sleep 1000")
    spec["linux"]["namespaces"] = [one for one in spec["linux"]["namespaces"] if one["type"] != "pid"]
    container = name()
    containerd.run_spec(container, spec, runtime=runtime, flags=["-d"]).check()
    assert wait_for(lambda: containerd.exec(container, "sh", "-c", "ps -o comm | grep -c sleep").text == "2\n")
    shown = containerd.exec(container, "sh", "-c", "cat /proc/[0-9]*/comm; kill -9 1; cat /proc/1/comm").check()
    assert set(shown.text.split()) - {"sh", "cat"} == {"pause", "sleep"}, str(shown)
    assert shown.text.endswith("\npause\n"), str(shown)
    changed = containerd.exec(container, "renice", "-n", "19", "-p", "1")
    assert containerd.exec(container, "true").rc == 0, str(changed)
    containerd.delete(container)


def test_too_much_memory_kills_the_process(containerd, runtime, name):
    script = "dd if=/dev/zero of=/dev/null bs=200M count=1 2>/dev/null; echo $?"
    theirs, ours = both(containerd, runtime, name, script, ["--memory-limit", str(64 * MIB)])
    assert ours == theirs == "137\n"


def test_pids_limit_holds(containerd, runtime, name, spec_file, rootfs):
    spec = spec_file(rootfs, "sh", "-c", "for i in 1 2 3 4 5 6 7 8; do sleep 1 & done; wait; echo end")
    spec["linux"]["resources"]["pids"] = {"limit": 4}
    for tested in (RUNC, runtime):
        result = containerd.run_spec(name(), spec, runtime=tested, flags=["--rm"])
        assert "can't fork" in result.error, str(result)


def test_a_pids_limit_of_one_has_room_for_a_seccomp_profile(containerd, runtime, name, spec_file, rootfs):
    """What compiles the profile is not the container's."""
    spec = spec_file(rootfs, "sh", "-c", "echo alone")
    spec["linux"]["resources"]["pids"] = {"limit": 1}
    spec["linux"]["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
        {"names": ["mkdir"], "action": "SCMP_ACT_ERRNO"},
    ]}
    assert containerd.run_spec(name(), spec, runtime=runtime, flags=["--rm"]).check().text == "alone\n"


@pytest.mark.vm
def test_the_kernel_is_not_the_hosts(containerd, runtime, name):
    guest = shown(containerd, runtime, name, "uname -r; cat /proc/version; cat /proc/sys/kernel/random/boot_id")
    release, version, boot_id = guest.splitlines()
    with open("/proc/version", encoding="ascii") as file:
        assert version != file.read().strip()
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        assert boot_id != file.read().strip()
    assert release != os.uname().release


@pytest.mark.vm
def test_a_driver_that_is_not_loaded_is_loaded_when_its_device_is_opened(containerd, runtime, name, spec_file, rootfs):
    spec = spec_file(rootfs, "sh", "-c", "ls -d /sys/module/tun; tunctl -t tun7 && cat /sys/class/net/tun7/tun_flags")
    spec["linux"]["devices"] = [{"path": "/dev/net/tun", "type": "c", "major": 10, "minor": 200}]
    spec["linux"]["resources"]["devices"].append(
        {"allow": True, "type": "c", "major": 10, "minor": 200, "access": "rwm"}
    )
    for kind in ("bounding", "effective", "permitted"):
        spec["process"]["capabilities"][kind].append("CAP_NET_ADMIN")
    result = containerd.run_spec(name(), spec, runtime=runtime, flags=["--rm"]).check()
    assert "/sys/module/tun: No such file" in result.error
    assert result.text.splitlines()[-1].startswith("0x"), str(result)


@pytest.mark.vm
def test_one_cpu_and_2_gib_are_seen(containerd, runtime, name):
    cpus, online, memory = shown(
        containerd, runtime, name,
        "nproc; cat /sys/devices/system/cpu/online; awk '/^MemTotal/ { print $2 }' /proc/meminfo",
    ).split()
    assert (cpus, online) == ("1", "0")
    assert 1900 * 1024 < int(memory) < 2048 * 1024


@pytest.mark.vm
def test_limits_make_the_machine_bigger(containerd, runtime, name):
    """The limits of the workload come on top of what the guest itself has."""
    flags = ["--memory-limit", str(512 * MIB), "--cpus", "1"]
    cpus, memory = shown(
        containerd, runtime, name, "nproc; awk '/^MemTotal/ { print $2 }' /proc/meminfo", flags,
    ).split()
    assert int(cpus) == min(2, os.cpu_count())
    assert 2350 * 1024 < int(memory) < 2560 * 1024


@pytest.mark.vm
def test_host_memory_is_used_only_where_the_guest_touches_it(containerd, runtime, name):
    container = name()
    containerd.run_detached(container, "sleep", "1000", runtime=runtime)
    qemu = containerd.part(container, "qemu-system")
    with open(f"/proc/{qemu}/status", encoding="ascii") as file:
        resident = int(status(file.read())["VmRSS"].split()[0])
    containerd.delete(container)
    assert resident < 500 * 1024
