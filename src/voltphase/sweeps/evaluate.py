"""What is worked out from a trained run: confidence, the accuracy of its exported files, and how it was made."""

from __future__ import annotations

import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from voltphase.deployment import Emulator, deploy
from voltphase.devices import Device
from voltphase.sweeps.confidence import CUTS, accuracy_when_cut
from voltphase.sweeps.results import public_settings
from voltphase.sweeps.runs import Run
from voltphase.tasks.base import all_outputs
from voltphase.training import RunFolder, build_dataset, build_devices, evaluate, load_run


def result_of(run: Run, folder: Path, measured: dict[str, Any]) -> dict[str, Any]:
    """Return the result of a trained run: all that tables and figures, or somebody who doubts them, may want to know.

    ``measured`` is what was measured around training, such as memory.
    """
    started = time.perf_counter()
    model, config, summary = load_run(folder)
    dataset = build_dataset(config, "test", run.config.data.dir)
    device = torch.device("cuda" if "gpu" in summary["hardware"] else "cpu")
    model.to(device)
    answers = evaluate(model, dataset)
    cuts = {f"{cut:g}": accuracy_when_cut(answers.outputs, answers.targets, cut) for cut in CUTS}
    deployed: dict[str, Any] = dict.fromkeys(answers.metrics)
    if summary["deployable"]:
        with tempfile.TemporaryDirectory() as temporary:
            emulator = Emulator.from_folder(deploy(model, Path(temporary) / "bench")).to(device)
        again = replace(answers, outputs=all_outputs(emulator, dataset.images))
        equal = int((again.predictions == answers.predictions).sum())
        deployed = {**again.metrics, "predictions_equal": equal, "images": len(dataset)}
    return {
        "config": public_settings(run.config),
        "seed": run.config.seed,
        "devices": list(dict.fromkeys(_origin(states) for states in build_devices(run.config))),
        "summary": {key: value for key, value in summary.items() if key != "settings"},  # those of config
        "accuracy_when_cut": cuts,
        "deployed": deployed,
        "own_process": run.own_process,
        "measured": measured,
        "finishing_seconds": round(time.perf_counter() - started, 3),
        "epochs": RunFolder(folder).read_metrics(),
    }


def _origin(device: Device) -> str:
    table = device.tables[0]
    return f"{'modelled' if table.source.startswith('modelled') else 'measured'} {device.name}"
