"""Everything of a run that the report and the overview show, gathered once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch

from voltphase.codesign import CodesignLayer
from voltphase.core.errors import DataError
from voltphase.core.files import checked_path
from voltphase.network.donn import DONN
from voltphase.optics.grid import Grid
from voltphase.tasks import require_regions

if TYPE_CHECKING:
    from voltphase.config import Config
    from voltphase.data import ImageDataset

_EXAMPLES = 4
# Fields of all planes are kept for so many images at a time.
_BATCH = 16
_LIGHT_IMAGES = 64


@dataclass(frozen=True, eq=False)
class Example:
    """A test image on its way through the network.

    Args:
        index: In the test set.
        image: A ``height x width`` uint8 array.
        label: The right class.
        logits: What the network answers, one per class.
        intensity: Of the light that arrives on each plane, ``rows x columns`` arrays by the plane's name.
    """

    index: int
    image: np.ndarray
    label: int
    logits: np.ndarray
    intensity: dict[str, np.ndarray]

    @property
    def prediction(self) -> int:
        """The class of the highest logit."""
        return int(self.logits.argmax())


@dataclass(frozen=True, eq=False)
class Light:
    """How much light is left along the axis, as fractions of the source's, mean over test images.

    Args:
        distance: From the source in metres, ``points``; a layer has two, before and after it.
        kept: The fraction of the light, ``points``.
        in_regions: The fraction that falls into any detector region.
        in_right_region: The fraction that falls into the region of the image's class, of a pair the one for it.
    """

    distance: np.ndarray
    kept: np.ndarray
    in_regions: float
    in_right_region: float


@dataclass(frozen=True, eq=False)
class RunView:
    """A finished run, looked at: its parts and what it answers to its test images."""

    name: str
    model: DONN
    config: Config
    summary: dict[str, Any]
    metrics: dict[str, np.ndarray]
    test: ImageDataset
    predictions: np.ndarray
    examples: list[Example]
    light: Light

    @property
    def layers(self) -> list[CodesignLayer]:
        """The network's layers, in the order light meets them."""
        return _layers(self.model)

    @property
    def grids(self) -> dict[str, Grid]:
        """Where the samples of each plane lie, by the plane's name as in :attr:`Example.intensity`."""
        grids = self.model.grids
        layers = {f"layer {number}": grid for number, grid in enumerate(grids[1:-1], start=1)}
        return {"source": grids[0], **layers, "detector": grids[-1]}

    @classmethod
    def of(cls, run: str | Path, data_dir: str | Path | None = None) -> RunView:
        """Load a run folder and its test set, and run the test set through the deployed states.

        Raises:
            DataError: if the folder is no finished run, its metrics are damaged, or its data cannot be had.
            ConfigError: if the network's relaxation has no levels to show.
        """
        from voltphase.training import RunFolder, build_dataset, evaluate, load_run

        run = checked_path(run, DataError)
        model, config, summary = load_run(run)
        model.levels()  # a network that has none is refused at once
        epochs = RunFolder(run).read_metrics()
        test = build_dataset(config, "test", data_dir)
        evaluation = evaluate(model, test)
        predictions = evaluation.predictions.numpy()
        chosen = choose_examples(predictions, test.labels.numpy())
        return cls(
            name=run.resolve().name,
            model=model,
            config=config,
            summary=summary,
            metrics={key: np.array([epoch[key] for epoch in epochs]) for key in epochs[0]},
            test=test,
            predictions=predictions,
            examples=[_example(model, test, index, evaluation.outputs[index].numpy()) for index in chosen],
            light=measure_light(model, test.images[:_LIGHT_IMAGES], test.labels[:_LIGHT_IMAGES]),
        )


def choose_examples(predictions: np.ndarray, labels: np.ndarray, count: int = _EXAMPLES) -> list[int]:
    """Indices of ``count`` images to show: the first right answers of classes far apart, then the first wrong one."""
    wrong = np.flatnonzero(predictions != labels)[:1].tolist()
    firsts = [
        int(np.flatnonzero((predictions == labels) & (labels == label))[0]) for label in _right(predictions, labels)
    ]
    wanted = min(count - len(wrong), len(firsts))
    spread = np.linspace(0, len(firsts) - 1, wanted).round().astype(int) if wanted else []
    return [firsts[position] for position in spread] + wrong


@torch.no_grad()
def measure_light(model: DONN, images: torch.Tensor, labels: torch.Tensor) -> Light:
    """How much light is left along the axis; the gain of emulation, which no hardware has, is taken out."""
    powers, regions, right = [], [], []
    layout = require_regions(model.readout).regions
    boxes, each = layout.boxes, 2 if layout.paired else 1
    gains = np.cumprod([1.0, *(layer.gain for layer in _layers(model))]) ** 2
    # The source, then each layer before and after, then the detector: gain enters with each "after".
    passed = np.concatenate([[0], np.repeat(np.arange(1, len(gains)), 2) - np.tile([1, 0], len(gains) - 1), [-1]])
    # Light per sample goes with the sample's area.
    areas = np.array([grid.pitch[0] * grid.pitch[1] for grid in model.grids])
    areas = np.repeat(areas / areas[0], [1, *[2] * len(model.layers), 1])
    for part, part_labels in zip(images.split(_BATCH), labels.split(_BATCH), strict=True):
        planes = model.planes(part)
        powers.append(torch.stack([field.abs().square().sum((-2, -1)) for field in planes.values()], -1))
        detector = planes["detector"].abs().square()
        sums = torch.stack([detector[:, r : r + h, c : c + w].sum((-2, -1)) for r, c, h, w in boxes], -1)
        regions.append(sums.sum(-1))
        right.append(sums.gather(-1, part_labels[:, None] * each).squeeze(-1))
    power = torch.cat(powers).double().cpu().numpy() / gains[passed] * areas
    source = power[:, 0].clip(min=np.finfo(np.float64).tiny)
    positions = np.cumsum(model.distances)
    return Light(
        distance=np.concatenate([[0], np.repeat(positions[:-1], 2), positions[-1:]]),
        kept=(power / source[:, None]).mean(0),
        in_regions=float((torch.cat(regions).double().cpu().numpy() / gains[-1] * areas[-1] / source).mean()),
        in_right_region=float((torch.cat(right).double().cpu().numpy() / gains[-1] * areas[-1] / source).mean()),
    )


def _layers(model: DONN) -> list[CodesignLayer]:
    return cast("list[CodesignLayer]", list(model.layers))


def _right(predictions: np.ndarray, labels: np.ndarray) -> np.ndarray:
    return np.unique(labels[predictions == labels])


def _example(model: DONN, test: ImageDataset, index: int, logits: np.ndarray) -> Example:
    planes = model.planes(test.images[index : index + 1])
    arriving = {name: field[0] for name, field in planes.items() if not name.endswith(" out")}
    return Example(
        index=index,
        image=test.images[index].numpy(),
        label=int(test.labels[index]),
        logits=logits,
        intensity={name.removesuffix(" in"): field.abs().square().cpu().numpy() for name, field in arriving.items()},
    )
