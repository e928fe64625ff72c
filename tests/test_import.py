"""`import voltphase` brings the physics and the codesign, and none of the heavy tools around them."""

from __future__ import annotations

import json
import subprocess
import sys

HEAVY = {"lightning", "matplotlib", "optuna", "pooch", "pydantic", "rich", "sklearn", "typer"}

PROGRAM = """
import json, sys
import torch
before = set(sys.modules)
import voltphase
for name in voltphase.__all__:
    getattr(voltphase, name)
print(json.dumps(sorted({name.split(".")[0] for name in set(sys.modules) - before})))
"""


def test_import_is_light() -> None:
    result = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    loaded = set(json.loads(result.stdout))
    assert "voltphase" in loaded
    assert loaded & HEAVY == set()
    assert result.stderr == ""
