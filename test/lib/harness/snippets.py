"""What docs/clients.md gives to paste: blocks, each with a name after its language."""

import re
from pathlib import Path

from . import REPO

PAGE = Path(REPO, "docs/clients.md")


def blocks():
    """{name: text}"""
    found = re.findall(r"^```\w+ (\S+)\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.M | re.S)
    names = [name for name, _ in found]
    assert len(set(names)) == len(names), names
    return dict(found)


def commands(client):
    """The lines of the block "try-CLIENT"."""
    return blocks()[f"try-{client}"].splitlines()
