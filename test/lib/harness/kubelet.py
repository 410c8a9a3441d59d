"""What a kubelet makes of manifests: calls of CRI. As much of it as deploy/kubernetes uses."""

from fractions import Fraction

import yaml

UNITS = {"Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30, "m": Fraction(1, 1000)}
CPU_PERIOD = 100000  # microseconds
SHARES_OF_A_CPU = 1024


def manifest(path):
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def quantity(text):
    for unit, factor in UNITS.items():
        if text.endswith(unit):
            return Fraction(text.removesuffix(unit)) * factor
    return Fraction(text)


def resources(*amounts):
    """LinuxContainerResources of {"cpu": …, "memory": …}, added up."""
    cpu, memory = (sum(quantity(one.get(kind, "0")) for one in amounts) for kind in ("cpu", "memory"))
    return {"cpu_period": CPU_PERIOD, "cpu_quota": int(cpu * CPU_PERIOD), "cpu_shares": int(cpu * SHARES_OF_A_CPU),
            "memory_limit_in_bytes": int(memory)}


def sandbox_resources(pod, runtime_class):
    """LinuxPodSandboxConfig's: the containers' limits, and the overhead of the class, each by itself."""
    limits = [one["resources"]["limits"] for one in pod["spec"]["containers"]]
    return {"resources": resources(*limits), "overhead": resources(runtime_class["overhead"]["podFixed"])}


class Volumes:
    """The pod's empty directories, on the node."""

    def __init__(self, pod, folder):
        self.paths = {one["name"]: folder / one["name"] for one in pod["spec"]["volumes"]}
        for path in self.paths.values():
            path.mkdir(mode=0o777)

    def mounts(self, container):
        return [{"container_path": one["mountPath"], "host_path": str(self.paths[one["name"]])} for one in container.get("volumeMounts", ())]


def start(pod, container, volumes):
    """A container of the manifest, in a CriPod."""
    limits = container.get("resources", {}).get("limits")
    return pod.start(*container["command"], name=container["name"], mounts=volumes.mounts(container), resources=limits and resources(limits))
