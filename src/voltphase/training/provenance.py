"""Where, on what and with what a result was made."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from voltphase.core.installed import package_version


def versions() -> dict[str, str]:
    """Return the versions of Python and of what computes."""
    # What PyTorch says of itself names its build too, such as +cu130; the installed package may leave that out.
    return {
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "voltphase": package_version(),
        **{package: metadata.version(package) for package in ("lightning", "numpy")},
    }


def commit() -> str | None:
    """Return the commit of the checkout this code runs from, with a ``+`` if files differ; None outside one."""
    folder = Path(__file__).parent
    # A package installed into an environment inside somebody's checkout is not that checkout's code.
    if _git(folder, "ls-files", "--error-unmatch", Path(__file__).name) is None:
        return None
    head = _git(folder, "rev-parse", "HEAD")
    changed = _git(folder, "status", "--porcelain", "--untracked-files=no", "--", "..")
    return f"{head}+" if head and changed else head or None


def hardware(device: torch.device | None = None) -> dict[str, Any]:
    """Return the machine: system, processor, threads in use, and the GPU if ``device`` is one."""
    found: dict[str, Any] = {
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "threads": torch.get_num_threads(),
    }
    if device is not None and device.type == "cuda":
        found["gpu"] = torch.cuda.get_device_name(device)
    return found


def _processor() -> str:
    if sys.platform == "linux":
        with suppress(OSError):
            for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _git(folder: Path, *arguments: str) -> str | None:
    # In a hook of git, variables name the repository of the hook.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments],
            env=environment,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
