"""Everything of a run that the report and the overview show, gathered once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

import voltphase.reporting.numbers  # noqa: F401 - registers what its tasks show
from voltphase.codesign import CodesignLayer
from voltphase.core.errors import DataError
from voltphase.core.files import checked_path
from voltphase.devices import Device
from voltphase.network.donn import DONN
from voltphase.network.planes import detector_light
from voltphase.network.reading import light_units
from voltphase.optics.grid import Grid
from voltphase.optics.paths import length_of
from voltphase.reporting.answers import Example, TaskPictures, pictures_of
from voltphase.tasks import Metric

if TYPE_CHECKING:
    from voltphase.config import Config
    from voltphase.data import ImageDataset, Images
    from voltphase.training import Evaluation
    from voltphase.training.run_folder import Summary

# Fields of all planes are kept for so many images at a time.
_BATCH = 16
_LIGHT_IMAGES = 64


@dataclass(frozen=True, eq=False)
class Light:
    """How much light is left along the axis, as fractions of the source's, mean over test images.

    Args:
        distance: Distances from the source in metres; a layer has two, before and after it.
        kept: Fraction of the light at each distance.
        shares: Fractions on parts of the detector that matter to the task, by name: ``in any region``.
    """

    distance: np.ndarray
    kept: np.ndarray
    shares: dict[str, float]


@dataclass(frozen=True, eq=False)
class RunView:
    """A finished run, looked at: its parts and what it answers to its test images."""

    name: str  # of the run's folder
    model: DONN  # in evaluation mode
    config: Config
    summary: Summary
    history: dict[str, np.ndarray]  # figures of all epochs by their columns; none of a training elsewhere
    test: ImageDataset
    evaluation: Evaluation  # what the network answers to the test images
    pictures: TaskPictures  # what to show of the task's answers
    examples: list[Example]  # some of the test images on their way
    light: Light

    @property
    def layers(self) -> Sequence[CodesignLayer]:
        """The network's layers, in the order light meets them."""
        return self.model.layers

    @property
    def devices(self) -> list[Device]:
        """The device of each layer."""
        return [layer.device_states for layer in self.layers]

    @property
    def levels(self) -> list[np.ndarray]:
        """The level of each pixel of each layer."""
        return [layer.levels().cpu().numpy() for layer in self.layers]

    @property
    def data_name(self) -> str:
        """The name of the data set, in the configuration unless it was given in Python."""
        return self.test.name if self.summary.data_given else self.config.data.name

    @property
    def metric(self) -> Metric:
        """The metric of headlines."""
        return self.model.task.metrics[0]

    @property
    def grids(self) -> dict[str, Grid]:
        """The grid of each plane, by the plane's name as in :attr:`Example.intensity`."""
        grids = self.model.grids
        layers = {f"layer {number}": grid for number, grid in enumerate(grids[1:-1], start=1)}
        return {"source": grids[0], **layers, "detector": grids[-1]}

    @classmethod
    def of(cls, run: str | Path, data_dir: str | Path | None = None, test_set: Images | None = None) -> RunView:
        """Return a view of a run, after letting its test images through the deployed states.

        Args:
            run: Path of the run's folder.
            data_dir: Folder of the data sets; the one of the run's configuration by default.
            test_set: Test images of a run that was trained on images given in Python.

        Raises:
            DataError: if the folder is no finished run, its metrics are damaged, or its data cannot be had.
            ConfigError: if the network's relaxation has no levels to show.
        """
        # Here, so that drawing a device does not wait for Lightning.
        from voltphase.training import RunFolder, evaluate, load_run
        from voltphase.training.build import run_test_set
        from voltphase.training.run_folder import Summary

        run = checked_path(run, DataError)
        model, config, summary = load_run(run)
        model.levels()  # a network that has none is refused at once
        epochs = RunFolder(run).read_metrics(least=min(summary["epochs"], 1))
        test = run_test_set(RunFolder(run), config, summary, data_dir, test_set)
        evaluation = evaluate(model, test)
        pictures = pictures_of(model.task, model, test)
        return cls(
            name=run.resolve().name,
            model=model,
            config=config,
            summary=Summary.model_validate(summary),
            history={key: np.array([epoch[key] for epoch in epochs]) for key in (epochs[0] if epochs else ())},
            test=test,
            evaluation=evaluation,
            pictures=pictures,
            examples=[_example(model, test, evaluation, index) for index in pictures.choose(evaluation)],
            light=measure_light(model, *test[:_LIGHT_IMAGES], pictures),
        )


@torch.no_grad()
def measure_light(model: DONN, images: torch.Tensor, targets: torch.Tensor, pictures: TaskPictures) -> Light:
    """Return how much light is left along the axis; the gain of emulation, which no hardware has, is taken out."""
    powers, shares = [], []
    units = light_units(model)
    for part, part_targets in zip(images.split(_BATCH), targets.split(_BATCH), strict=True):
        # Of several beams, all that is as far from the source is taken together.
        power = torch.zeros(len(part), 2 * len(model.way) - 2, dtype=torch.float64)
        for number, beam in enumerate(model.beams.beams):
            for place, (name, field) in enumerate(model.planes(part, number).items()):
                power[:, place] += beam.weight * units[name] * field.abs().square().sum((-2, -1)).double().cpu()
        powers.append(power)
        shares.append(pictures.light_shares(detector_light(model, part), part_targets))
    power = torch.cat(powers).numpy()
    source = power[:, 0].clip(min=np.finfo(np.float64).tiny)
    farthest = max(map(length_of, model.layout.ends))  # where light on several detectors is drawn
    positions = np.cumsum([*model.distances[:-1], farthest])
    found = {name: torch.cat([part[name] for part in shares]).double().cpu().numpy() for name in shares[0]}
    return Light(
        distance=np.concatenate([[0], np.repeat(positions[:-1], 2), positions[-1:]]),
        kept=(power / source[:, None]).mean(0),
        shares={name: float((sums * units["detector"] / source).mean()) for name, sums in found.items()},
    )


@torch.no_grad()
def _example(model: DONN, test: ImageDataset, evaluation: Evaluation, index: int) -> Example:
    image = test.images[index : index + 1]
    by_phase = model.source.light.encoding == "phase"
    target, prediction = evaluation.targets[index].numpy(), evaluation.predictions[index].numpy()
    return Example(
        index=index,
        image=test.images[index].numpy(),
        target=target if target.ndim else target.item(),
        output=evaluation.outputs[index].numpy(),
        prediction=prediction if prediction.ndim else prediction.item(),
        intensity=_arriving(model, image),
        phase=model.source(image)[0].angle().remainder(2 * math.pi).cpu().numpy() if by_phase else None,
    )


def _arriving(model: DONN, image: torch.Tensor) -> dict[str, np.ndarray]:
    """Return the intensity of an image's light that arrives on each plane, of all beams together, by its name."""
    found: dict[str, torch.Tensor] = {}
    for number, beam in enumerate(model.beams.beams):
        for name, field in model.planes(image, number).items():
            if name != "detector" and not name.endswith(" out"):
                light, plane = beam.weight * field[0].abs().square(), name.removesuffix(" in")
                found[plane] = found[plane] + light if plane in found else light
    detected = detector_light(model, image)[0]
    return {name: light.cpu().numpy() for name, light in (found | {"detector": detected}).items()}
