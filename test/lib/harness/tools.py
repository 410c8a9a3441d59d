"""Programs of the host that the tests' image lacks, as a directory to bind into a container."""

import re
import shutil
import subprocess
from pathlib import Path

PROGRAMS = ["/usr/sbin/xtables-legacy-multi", "/usr/sbin/xtables-nft-multi", "/usr/sbin/nft"]
XTABLES = "/usr/lib/x86_64-linux-gnu/xtables"
PLACE = "/tools"  # in the container


def make_tools(folder):
    """PROGRAMS with their libraries, and a script for each name of theirs."""
    folder = Path(folder)
    libraries = set()
    for name in ("bin", "lib"):
        (folder / name).mkdir()
    for program in PROGRAMS:
        shutil.copy(program, folder / "lib")
        listed = subprocess.run(["ldd", program], check=True, capture_output=True, text=True).stdout
        libraries.update(re.findall(r"(/\S+)", listed))
    for library in libraries:
        shutil.copy(library, folder / "lib")
    shutil.copytree(XTABLES, folder / "xtables", symlinks=True)
    for name, program in ("iptables", "xtables-legacy-multi iptables"), ("iptables-nft", "xtables-nft-multi iptables"), ("nft", "nft"):
        script = folder / "bin" / name
        lib = f"{PLACE}/lib"
        run = f"exec {lib}/ld-linux-x86-64.so.2 --library-path {lib} {lib}/{program}"
        script.write_text(f'#!/bin/sh\nXTABLES_LIBDIR={PLACE}/xtables {run} "$@"\n', encoding="ascii")
        script.chmod(0o755)
    return folder
