"""Figure 4: time and memory of an epoch against the number of levels, at depth 5."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any, Final, NamedTuple

from voltphase.devices.models import lcos
from voltphase.reproduction.markdown import MISSING, Numbers, claim, table
from voltphase.reproduction.recipes import Cell, paper_recipe, runs_of
from voltphase.reproduction.sizes import Size
from voltphase.sweeps.results import Outcomes

NAME: Final = "figure4"
TITLE: Final = "Figure 4: time and memory against levels"

METHODS: Final[dict[str, dict[str, Any]]] = {
    "codesign": {},
    "proximity": {"codesign.relaxation.name": "proximity"},
}
# The first epoch pays for memory that is touched for the first time.
_EPOCHS: Final = 3
_EPOCH_IMAGES: Final = 60_000


class Figure4Sizes(NamedTuple):
    """How much of figure 4 is run."""

    images: int = 2000  # for training, in an epoch
    levels: tuple[int, ...] = (2, 8, 32, 128, 256, 512, 784)


SIZES: Final = {"smoke": Figure4Sizes(60, (2,)), "cpu": Figure4Sizes(), "paper": Figure4Sizes()}


def write_device(path: Path) -> None:
    """Write the table of a modelled device of 1024 levels, for runs with up to 784."""
    lcos(1024).save(path)


@runs_of(NAME, own_process=True)
def runs(size: Size) -> Iterator[Cell]:
    """Yield runs of few images on the first data set."""
    own, data = SIZES[size.name], next(iter(size.systems))
    recipe = {
        **paper_recipe(size.deepest, size.depths[size.deepest], _EPOCHS),
        "data.train_limit": own.images,
        "data.test_limit": min(own.images, 500),
        "device.file": size.fine_device,
    }
    for levels, (method, settings) in product(own.levels, METHODS.items()):
        yield {"data": data, "method": method, "levels": levels}, {**recipe, "device.levels": levels, **settings}


def seconds_per_epoch(result: dict[str, Any]) -> float:
    """Return the training time of 60,000 images, from the median speed of all epochs but the first."""
    return _EPOCH_IMAGES / statistics.median(row["images_per_second"] for row in result["epochs"][1:])


def megabytes(result: dict[str, Any]) -> float | None:
    """Return the most memory held while training beyond what the process held before it, in MB."""
    measured = result["measured"]
    peak, before = measured.get("peak_bytes"), measured.get("bytes_before")
    return None if peak is None or before is None else (peak - before) / 1e6


def report(outcomes: Outcomes) -> str:
    """Return the table: time and memory, a line for each number of levels."""
    rows = []
    for levels in outcomes.distinct("levels"):
        row = [str(levels)]
        for method in METHODS:
            results = outcomes.where(levels=levels, method=method).results
            if not results:
                row += [MISSING, MISSING]
                continue
            memory = megabytes(results[0])
            row += [f"{seconds_per_epoch(results[0]):.1f}", "–" if memory is None else f"{memory:.0f}"]
        rows.append(row)
    heading = ["levels", *(f"{method}: {what}" for method in METHODS for what in ("s per epoch", "MB"))]
    images = outcomes[0].run.settings["data.train_limit"] if len(outcomes) else 0
    note = (
        f"\nSeconds per epoch of 60,000 images, extrapolated from {images}; memory is the peak of a process of its own "
        "beyond what it holds before training (on a GPU, PyTorch's peak).\n"
    )
    return table(heading, rows) + note


@claim("time is linear in the levels")
def conclusion(outcomes: Outcomes) -> Numbers:
    """Yield how many times as long the most levels take as the fewest."""
    fewest, most = min(outcomes.distinct("levels")), max(outcomes.distinct("levels"))
    for method in METHODS:
        few, many = (outcomes.where(method=method, levels=levels).results for levels in (fewest, most))
        times = seconds_per_epoch(many[0]) / seconds_per_epoch(few[0]) if few and many else None
        yield f"{method}, {most} levels take so many times as long as {fewest}:", times
