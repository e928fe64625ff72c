"""A network whose design did not come from a training here, as the folder of a finished run."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import torch

from voltphase.config import Config
from voltphase.config.describe import undescribed
from voltphase.core.files import write_json, write_text
from voltphase.devices import Device
from voltphase.network.donn import DONN
from voltphase.tasks import all_outputs
from voltphase.training.provenance import summary_of
from voltphase.training.resume import load_run
from voltphase.training.run_folder import RunFolder
from voltphase.training.weights import save_model

if TYPE_CHECKING:
    from voltphase.data import ImageDataset

# Images that the network rebuilt from the folder answers as the one that is saved.
_COMPARED: Final = 20


def write_finished(
    path: Path,
    config: Config,
    model: DONN,
    devices: Sequence[Device],
    datasets: Mapping[str, ImageDataset],
    *,
    note: str,
    about: Mapping[str, Any],
) -> dict[str, Any]:
    """Write a network into a folder that is there, as that of a finished run of no epochs, and return its summary.

    Args:
        path: Path of the folder, with whatever its configuration names.
        config: Configuration that describes the network.
        model: Network.
        devices: States of each layer's device, or its panel, as configured.
        datasets: Images to judge it by, ``train`` and ``test`` among them.
        note: Comment at the head of the configuration's file.
        about: What else the summary says.

    Raises:
        OutputError: if a file cannot be written.
        ConfigError: if the network rebuilt from the folder gives other answers.
    """
    folder = RunFolder(path)
    write_text(folder.config_file, note + config.to_yaml())
    folder.write_metrics([])
    save_model(model, folder.model_file)
    none_yet = {"epochs": 0, "seconds": 0.0}
    summary = summary_of(config, model, datasets, devices, [[] for _ in devices], none_yet) | dict(about)
    write_json(folder.summary_file, summary)
    images = datasets["test"].images[:_COMPARED]
    rebuilt = load_run(path)[0]
    if not torch.equal(all_outputs(copy.deepcopy(model).cpu(), images), all_outputs(rebuilt, images)):
        raise undescribed("the answers that one rebuilt from it gives", "others")
    return summary
