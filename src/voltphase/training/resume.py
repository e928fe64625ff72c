"""What an earlier training has left in a run folder: a finished network, or something to go on from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from voltphase.config import Config
from voltphase.core.errors import ConfigError, DataError
from voltphase.network.donn import DONN
from voltphase.training.build import as_settled, build_model
from voltphase.training.checkpoint import read_checkpoint
from voltphase.training.run_folder import RunFolder
from voltphase.training.weights import read_model, restore


@dataclass(frozen=True)
class Left:
    """What a training begins with.

    Attributes:
        resume: Whether there is a run to go on with.
        data_given: Whether images are given in Python.
        finished: Summary of a run that is finished already.
        checkpoint: What to go on from.
        devices: Digests of the devices that the run was started with.
    """

    resume: bool
    data_given: bool
    finished: dict[str, Any] | None = None
    checkpoint: dict[str, Any] | None = None
    devices: list[str] | None = None

    def require_same_masks(self, folder: RunFolder, masks: dict[str, Any]) -> None:
        """Refuse masks of other digests than those the run was started with, with a ConfigError."""
        if (left := self.finished or self.checkpoint) is None:
            return
        for key, where in (("mask", "optics.source.mask"), ("masks", "one in optics.distances")):
            if left.get("voltphase", left).get(key) != masks.get(key):
                raise ConfigError(
                    f"expected the mask that {folder.path} was started with, but {where} is another now: restore its "
                    "file, or start again with --overwrite"
                )

    @property
    def old(self) -> bool:
        """Whether version 0.1.0 may have begun the checkpoint: it did not say where images came from."""
        return self.checkpoint is not None and "data_given" not in self.checkpoint["voltphase"]


def left_in(folder: RunFolder, config: Config, data_given: bool, *, resume: bool, overwrite: bool) -> Left:
    """Return what a training into a folder begins with.

    Args:
        folder: Run folder.
        config: What is to be trained.
        data_given: Whether images are given in Python.
        resume: Whether a run that is there is to go on.
        overwrite: Whether it is to be replaced.

    Raises:
        VoltphaseError: if the folder must not be written to, or what is there is no run to go on with.
    """
    folder.check(config, resume=resume, overwrite=overwrite)
    if not resume or not folder.config_file.is_file():
        return Left(False, data_given)
    if folder.finished:
        epochs = folder.read_summary(config.task.build().metrics)["epochs"]
        folder.read_metrics(least=min(epochs, 1))
        summary = load_run(folder.path)[2]
        return Left(True, data_given, finished=summary, devices=[about["digest"] for about in summary["devices"]])
    if not folder.begun:
        return Left(True, data_given)
    checkpoint = read_checkpoint(folder.checkpoint_file, config)
    about = checkpoint["voltphase"]
    if about.get("data_given", data_given) != data_given:
        before, now = ("images given in Python", "the configuration's data set")[:: -1 if data_given else 1]
        raise ConfigError(
            f"expected to resume {folder.path} on {before}, which it was started on, but got {now}: give the same, or "
            "start again with --overwrite"
        )
    return Left(True, data_given, checkpoint=checkpoint, devices=about["devices"])


def load_run(path: str | Path) -> tuple[DONN, Config, dict[str, Any]]:
    """Return the trained network of a run folder in evaluation mode, its configuration and its summary.

    Nothing but the folder is needed: the device tables and the masks are in ``model.safetensors``.

    Args:
        path: Path of the folder of a finished run.

    Raises:
        DataError: if the folder is no finished run, is damaged, or its files contradict each other.
    """
    folder = RunFolder(path)
    config = folder.read_config()
    if config.data.dir is not None and not Path(config.data.dir).is_dir():
        # The data have moved since the run was trained: they are where data are by default, or nowhere.
        config = config.model_copy(update={"data": config.data.model_copy(update={"dir": None})})
    summary = folder.read_summary(config.task.build().metrics)
    stored = read_model(folder.model_file)
    if len(stored.devices) != config.optics.layers:
        raise DataError(
            f"expected {folder.model_file} to hold {config.optics.layers} layers as its config.yaml says, "
            f"but it holds {len(stored.devices)}: one of them is of another run"
        )
    task = as_settled(config.task.build(), summary.get("task", {}), folder.summary_file)
    masked = config.optics.source.mask is not None
    if masked != (stored.mask is not None):
        raise DataError(
            f"expected {folder.model_file} to hold {'a mask' if masked else 'no mask'} as its config.yaml says, but it "
            f"holds {'none' if masked else 'one'}: one of them is of another run"
        )
    if (wanted := config.optics.masks) != len(stored.masks):
        raise DataError(
            f"expected {folder.model_file} to hold {wanted} masks between planes as its config.yaml says, but it holds "
            f"{len(stored.masks)}: one of them is of another run"
        )
    light = config.optics.source.build(stored.mask)
    model = build_model(config, stored.devices, stored.image_shape, task=task, light=light, masks=stored.masks)
    restore(model, stored.parameters, folder.model_file)
    folder.check_settings(config, summary)
    return model.eval(), config, summary
