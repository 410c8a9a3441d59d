"""`start` as each containerd runs it, and -info, spoken by hand."""

import hashlib
import json
import os
import re
import signal
import subprocess

from conftest import CONTAINERD

NAME = hashlib.sha256(f"{CONTAINERD}/default/web".encode()).hexdigest()
ADDRESS = f"unix:///run/containerd/s/{NAME}"


def field(number, value):
    """A string or bytes field of a protobuf message, shorter than 128 bytes."""
    data = value.encode() if isinstance(value, str) else value
    assert len(data) < 128
    return bytes([number << 3 | 2, len(data)]) + data


def spoken(bundle, stdin=b"", **environment):
    """What `start` answers to this containerd: standard output and error together."""
    bundle.env.update(environment)
    result = bundle.start(input=stdin, stdin=None, stderr=subprocess.STDOUT)
    assert result.returncode == 0, result
    return result.stdout


def kill_and_delete(bundle):
    """Where an orderly end would wait for a containerd that takes the last events."""
    bundle.end(signal.SIGKILL)
    assert bundle.delete().returncode == 0


def params(**changes):
    """BootstrapParams as containerd 2.3 writes them."""
    fields = {1: "web", 2: "default", 4: "v2.3.0", 5: f"{CONTAINERD}.ttrpc", 6: CONTAINERD, 7: "/bin/containerd"}
    fields.update({int(key[1:]): value for key, value in changes.items()})
    return b"".join(field(number, value) for number, value in fields.items())


def test_containerd_1_6_gets_the_address(bundle):
    assert spoken(bundle, TTRPC_ADDRESS=f"{CONTAINERD}.ttrpc") == ADDRESS.encode()
    kill_and_delete(bundle)


def test_containerd_1_7_gets_json(bundle):
    answer = json.loads(spoken(bundle, MAX_SHIM_VERSION="2"))
    assert answer == {"version": 2, "address": ADDRESS, "protocol": "ttrpc"}
    assert bundle.read("address") == ADDRESS
    bundle.end()


def test_crio_gets_the_address(bundle):
    """It sets what containerd's library sets, has no socket for events, and reads no JSON."""
    bundle.containerd = ""
    assert re.fullmatch(rb"unix:///run/containerd/s/[0-9a-f]{64}", spoken(bundle, MAX_SHIM_VERSION="2", TTRPC_ADDRESS=""))
    kill_and_delete(bundle)


def test_containerd_2_3_gets_a_bootstrap_result(bundle):
    answer = spoken(bundle, params(), MAX_SHIM_VERSION="2")
    assert answer == b"\x08\x03" + field(2, ADDRESS) + field(3, "ttrpc")
    kill_and_delete(bundle)


def test_the_directory_of_sockets_is_containerds_choice(bundle, tmp_path):
    directory = f"/run/s{os.getpid()}"
    answer = spoken(bundle, params(_9=directory))
    assert answer == b"\x08\x03" + field(2, f"unix://{directory}/{NAME}") + field(3, "ttrpc")
    assert os.path.exists(f"{directory}/{NAME}")
    kill_and_delete(bundle)
    assert not os.path.exists(f"{directory}/{NAME}")


def test_the_socket_directory_must_be_absolute(bundle):
    result = bundle.start(input=params(_9="run"), stdin=None)
    assert result.returncode == 1
    assert b'invalid socket directory "run": not an absolute path' in result.stderr


def test_bootstrap_params_of_another_container_are_not_believed(bundle):
    result = bundle.start(input=params(_1="other"), stdin=None)
    assert result.returncode == 1
    assert b'runtime options of type "other"' in result.stderr


def test_options_of_runc_are_refused_in_bootstrap_params(bundle):
    no_pivot = field(1, "containerd.runc.v1.Options") + field(2, b"\x08\x01")
    result = bundle.start(input=params(_8=field(1, no_pivot)), stdin=None)
    assert result.returncode == 1
    assert b'"containerd.runc.v1.Options" are runc\'s' in result.stderr


def test_a_configuration_file_that_is_not_there_is_named(bundle):
    options = field(1, "runtimeoptions.v1.Options") + field(2, field(2, "/etc/kata.toml"))
    result = bundle.start(input=options, stdin=None)
    assert result.returncode == 1
    assert b'cannot open "/etc/kata.toml": No such file or directory' in result.stderr


def test_empty_options_are_none(bundle):
    assert spoken(bundle, field(1, "runtimeoptions.v1.Options")) == ADDRESS.encode()
    bundle.end()


def test_info_tells_name_and_version(bundle):
    result = bundle.run("-info", input=b"", stdin=None)
    assert result.returncode == 0
    assert result.stdout.startswith(field(1, "io.containerd.kata.v2") + b"\x12")


def test_info_gives_the_options_back(bundle):
    options = field(1, "runtimeoptions.v1.Options") + field(2, field(2, "/etc/kata.toml"))
    result = bundle.run("-info", input=options, stdin=None)
    assert result.returncode == 0
    assert field(3, options) in result.stdout


def test_info_tells_the_features_as_json(bundle):
    """containerd 2.x offers CRI what it finds in them, as read-only mounts of a whole tree."""
    result = bundle.run("-info", input=b"", stdin=None)
    kind = b"types.containerd.io/opencontainers/runtime-spec/1/features/Features"
    assert kind in result.stdout
    features, _ = json.JSONDecoder().raw_decode(result.stdout[result.stdout.index(b"{"):].decode())
    assert "rro" in features["mountOptions"]
    assert features["linux"]["mountExtensions"]["idmap"]["enabled"] is False


def test_info_tells_which_mounts_are_the_runtimes(bundle):
    """containerd 2.2 and later: the others it makes itself, by loop devices of the host."""
    result = bundle.run("-info", input=b"", stdin=None)
    assert field(5, field(1, "containerd.io/runtime-allow-mounts") + field(2, "format/*,mkdir/*,erofs,ext4")) in result.stdout
