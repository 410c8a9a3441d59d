"""CNI networks as `ctr run --cni` uses them: the first configuration of /etc/cni/net.d, by the plugins of /opt/cni/bin. Both
are the sandbox's own (test/lib/sandbox)."""

import json
import os
import subprocess

CONFIGURATION = "/etc/cni/net.d/10-test.conflist"
LEASES = "/var/lib/cni/leases"
PLUGINS = "/opt/cni/bin"
RECORDS = "/var/lib/cni/results"
VERSION = "0.4.0"


class Cni:
    """One network, until close()."""

    def __init__(self, name, *plugins):
        self.name = name
        self.plugins = plugins
        os.makedirs(os.path.dirname(CONFIGURATION), exist_ok=True)
        if not os.path.exists(PLUGINS):
            os.symlink("/usr/lib/cni", PLUGINS)
        with open(CONFIGURATION, "w", encoding="ascii") as file:
            json.dump({"cniVersion": VERSION, "name": name, "plugins": plugins}, file)

    def close(self):
        os.unlink(CONFIGURATION)

    def leases(self):
        """The addresses that are leased."""
        folder = os.path.join(LEASES, self.name)
        return sorted(one for one in os.listdir(folder) if one[0].isdigit()) if os.path.exists(folder) else []

    def records(self):
        """What ADD has left for a DEL to come."""
        return os.listdir(RECORDS) if os.path.exists(RECORDS) else []


def host_local(*subnets, routes=("0.0.0.0/0",)):
    """The key "ipam" of a plugin."""
    return {
        "type": "host-local", "dataDir": LEASES,
        "ranges": [[{"subnet": subnet}] for subnet in subnets],
        "routes": [{"dst": route} for route in routes],
    }
