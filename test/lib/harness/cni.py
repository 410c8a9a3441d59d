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


def configured():
    """The network that another process has made."""
    with open(CONFIGURATION, encoding="ascii") as file:
        found = json.load(file)
    return Cni(found["name"], *found["plugins"])


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

    def add(self, container, namespace, **capabilities):
        """ADD as libcni does it (CNI 0.4.0): what the last plugin answers. The record is what delete() needs."""
        result = None
        for plugin in self.plugins:
            result = self._call("ADD", plugin, container, namespace, capabilities, result)
        os.makedirs(RECORDS, exist_ok=True)
        with open(self._record(container), "w", encoding="ascii") as file:
            json.dump({"result": result, "capabilities": capabilities}, file)
        return result

    def delete(self, container):
        """DEL without a namespace, which may have gone. No failure where nothing was added."""
        record = {"result": None, "capabilities": {}}
        if os.path.exists(self._record(container)):
            with open(self._record(container), encoding="ascii") as file:
                record = json.load(file)
        for plugin in reversed(self.plugins):
            self._call("DEL", plugin, container, "", record["capabilities"], record["result"])
        if os.path.exists(self._record(container)):
            os.unlink(self._record(container))

    def _record(self, container):
        return os.path.join(RECORDS, f"{self.name}-{container}-eth0")

    def _call(self, command, plugin, container, namespace, capabilities, result):
        asked = [name for name, wanted in plugin.get("capabilities", {}).items() if wanted]
        config = {"cniVersion": VERSION, "name": self.name, **plugin}
        config["runtimeConfig"] = {name: capabilities[name] for name in asked if name in capabilities}
        if result:
            config["prevResult"] = result
        env = dict(os.environ, CNI_COMMAND=command, CNI_CONTAINERID=container, CNI_NETNS=namespace, CNI_IFNAME="eth0",
                   CNI_PATH=PLUGINS)
        done = subprocess.run([os.path.join(PLUGINS, plugin["type"])], env=env, input=json.dumps(config),
                              capture_output=True, text=True, timeout=60, check=False)
        if done.returncode:
            raise RuntimeError(f"{plugin['type']} {command}: {done.stdout}{done.stderr}")
        return json.loads(done.stdout) if done.stdout else result

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
