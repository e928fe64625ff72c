"""What a result is, and where, on what and with what it was made."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from voltphase.codesign import CodesignLayer, PostTraining, QuantizationAware
from voltphase.config import Config
from voltphase.core.installed import package_version
from voltphase.data import ImageDataset
from voltphase.devices import Device
from voltphase.network.donn import DONN
from voltphase.optics.paths import masks_in
from voltphase.training.build import settled_by_data
from voltphase.training.evaluation import final_figures
from voltphase.training.experiment import settings
from voltphase.training.processes.ranks import ALONE, Ranks
from voltphase.training.weights import mask_digests


def summary_of(
    config: Config,
    model: DONN,
    datasets: Mapping[str, ImageDataset],
    devices: Sequence[Device],
    notes: Sequence[list[str]],
    trained: dict[str, Any],
    ranks: Ranks = ALONE,
) -> dict[str, Any]:
    """Return the summary of a trained network, with what is to be said of its training."""
    ran = model.explain()
    metrics, light = final_figures(model, datasets, config.training.batch_size, ranks)
    return {
        **metrics,
        **light,
        "deployable": all(layer.relaxation.discrete for layer in model.layers),
        "seed": config.seed,
        "settings": settings(config),
        **trained,
        **{f"{split}_images": len(dataset) for split, dataset in datasets.items()},
        "data": datasets["train"].name,
        **({"data_notes": about_data} if (about_data := data_notes(datasets)) else {}),
        **({"task": settled} if (settled := settled_by_data(model.task, config.task.build())) else {}),
        "devices": [_about(*one) for one in zip(devices, model.layers, notes, strict=True)],
        **mask_digests(model.source.light.mask, masks_in(model.layout.every_span)),
        **model.readout.figures(),
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "backend": ran.backend,
        "precision": ran.precision,
        "engines": list(ran.engines),
        "versions": versions(),
        "commit": commit(),
        "hardware": hardware(next(model.parameters()).device) | ranks.about(),
    }


def _about(device: Device, layer: CodesignLayer, notes: list[str]) -> dict[str, Any]:
    # The device as configured: of a panel that is uniform, the layer keeps the table alone.
    relaxation = layer.relaxation
    about: dict[str, Any] = {"name": device.name, "levels": len(device), "digest": device.digest}
    if notes:
        about["notes"] = notes
    if isinstance(relaxation, PostTraining | QuantizationAware):
        response = relaxation.response(layer.table)
        errors = {key: getattr(response, key) for key in ("amplitude_error", "phase_error", "error")}
        about["response"] = {"order": response.order, **errors}
    return about


def data_notes(datasets: Mapping[str, ImageDataset]) -> list[str]:
    """Return what is to be said of the images of a run."""
    return list(dict.fromkeys(note for dataset in datasets.values() for note in dataset.notes))


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
