"""Kernel modules that the guest loads when a container needs them."""

import os
import re

import pytest
from harness.parts import SHARE, altered_prefix
from harness.processes import wait_for
from harness.tools import PLACE, make_tools

pytestmark = pytest.mark.vm
NET_ADMIN = ["--cap-add", "CAP_NET_ADMIN", "--cap-add", "CAP_NET_RAW"]
NOBODY = 65534

# As a mesh's init container does it: what the pod sends to port 80 goes to the proxy, but what the proxy sends.
MESH = f"""
set -e
iptables -t nat -N MESH
iptables -t nat -A OUTPUT -p tcp -m conntrack --ctstate NEW -j MESH
iptables -t nat -A MESH -m owner --uid-owner {NOBODY} -j RETURN
iptables -t nat -A MESH -p tcp --dport 80 -m comment --comment mesh -j REDIRECT --to-ports 15001
iptables -t mangle -A PREROUTING -p tcp --dport 81 -m mark ! --mark 1 -j TPROXY --on-port 15001 --tproxy-mark 1
iptables -t mangle -A PREROUTING -p tcp -m socket -j CONNMARK --save-mark
"""


@pytest.fixture(scope="session")
def tools(tmp_path_factory):
    return make_tools(tmp_path_factory.mktemp("tools"))


def with_tools(tools):
    return ["--mount", f"type=bind,src={tools},dst={PLACE},options=rbind:ro"]


def shown(containerd, runtime, name, script, flags=()):
    result = containerd.run(name(), "sh", "-c", f"export PATH=$PATH:{PLACE}/bin; {script}", runtime=runtime, flags=flags)
    assert result.rc == 0, str(result)
    return result.text


@pytest.mark.parametrize("handler", ["kata"])
@pytest.mark.parametrize("iptables", ["iptables", "iptables-nft"])
def test_a_meshs_init_container_redirects_what_the_pod_sends(cri_pods, tools, iptables):
    mounts = [{"container_path": PLACE, "host_path": str(tools), "readonly": True}]
    admin = {"capabilities": {"add_capabilities": ["NET_ADMIN", "NET_RAW"]}}
    script = f"export PATH=$PATH:{PLACE}/bin; {MESH.replace('iptables ', iptables + ' ')}"
    pod = cri_pods.run()
    init = pod.start("sh", "-c", script, name="init", security=admin, mounts=mounts)
    assert init.wait_exited().exit_code == 0, init.log()
    pod.start("sh", "-c", "while :; do echo proxied | nc -l -p 15001; done", name="proxy")
    app = pod.start("sleep", "1000", name="app")

    def fetch(command):
        return app.exec("sh", "-c", command).stdout.decode()

    assert wait_for(lambda: fetch("nc -w 5 192.0.2.1 80 </dev/null") == "proxied\n")
    assert fetch("su -s /bin/sh nobody -c 'nc -w 1 192.0.2.1 80 </dev/null'") == ""
    pod.end()


def test_what_containers_use_is_loaded(containerd, runtime, name, tools):
    script = """
    nft 'add table inet t; add chain inet t c { type nat hook output priority 0; };
         add set inet t s { type ipv4_addr; }; add rule inet t c ip daddr @s tcp dport 80 counter log redirect to :15001'
    nft list chain inet t c | grep -c redirect
    for kind in dummy wireguard ifb; do ip link add x-$kind type $kind && echo $kind; done
    """
    assert shown(containerd, runtime, name, script, [*NET_ADMIN, *with_tools(tools)]).split() == ["1", "dummy", "wireguard", "ifb"]


def test_links_are_those_that_were_asked_for(containerd, runtime, name, tools):
    """Modules that come on demand make none of their own: its name would be taken."""
    script = "for kind in dummy ifb bond; do ip link add ${kind}0 type $kind; done; awk -F '[: ]+' 'NR > 2 { print $2 $1 }' /proc/net/dev"
    links = shown(containerd, runtime, name, script, [*NET_ADMIN, *with_tools(tools)])
    assert sorted(re.findall(r"[a-z]+0|lo", links)) == ["bond0", "dummy0", "ifb0", "lo"], links


def test_file_systems_are_loaded_and_what_no_container_uses_is_not(containerd, runtime, name):
    script = """
    for type in nfs squashfs xfs romfs zonefs; do mount -t $type none /tmp 2>/dev/null; done
    awk '{ print $NF }' /proc/filesystems | grep -E 'nfs$|squashfs|xfs|romfs|zonefs' | sort | tr '\\n' ' '
    """
    flags = ["--cap-add", "CAP_SYS_ADMIN"]
    assert shown(containerd, runtime, name, script, flags).split() == ["nfs", "squashfs", "xfs"]


@pytest.mark.prefix
def test_an_image_without_them_has_those_of_its_initramfs(make_containerd, prefix, runtime, name):
    with altered_prefix(prefix, {f"{SHARE}/modules": None}) as altered:
        containerd = make_containerd(os.path.join(altered, "bin"))
        script = "ip link add d type dummy 2>/dev/null || echo no dummy; grep . /proc/sys/kernel/modprobe"
        assert shown(containerd, runtime, name, script, NET_ADMIN) == "no dummy\n/init\n"


def test_no_container_sees_the_directory(containerd, runtime, name):
    assert shown(containerd, runtime, name, "find / -name 'xt_owner*' -o -name .modules | grep -v ^/proc; cat /proc/mounts").count("modules") == 0
