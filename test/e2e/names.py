#!/usr/bin/python3
"""Prints the names of all e2e tests as ./test/run reports them, without running anything."""

import ast
import os
from pathlib import Path

from report import name_of

HERE = Path(__file__).parent

for path in sorted(HERE.glob("test_*.py")):
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            print(name_of(f"{path.name}::{node.name}", os.environ.get("KATA_STAGE", "e2e")))
