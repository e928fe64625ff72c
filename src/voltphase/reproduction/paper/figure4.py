"""Figure 4: time and memory of an epoch against the number of levels, at depth 5."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from voltphase.devices.models.models import lcos
from voltphase.reproduction.cells import cell, paper_recipe
from voltphase.reproduction.markdown import MISSING, claim, table
from voltphase.reproduction.sizes import Preset
from voltphase.sweeps.results import Outcomes
from voltphase.sweeps.runs import Cell

NAME: Final = "figure4"
TITLE: Final = "Figure 4: time and memory against levels"

METHODS: Final[dict[str, dict[str, Any]]] = {
    "codesign": {},
    "proximity": {"codesign.relaxation.name": "proximity", "codesign.relaxation.mix": "complex"},
}
# The first epoch pays for memory that is touched for the first time.
_EPOCHS: Final = 3
_EPOCH_IMAGES: Final = 60_000


def write_device(path: Path) -> None:
    """Write the table of a modelled device of 1024 levels, for cells of up to 784.

    Raises:
        OutputError: if it cannot be written.
    """
    lcos(1024).save(path)


def cells(preset: Preset) -> list[Cell]:
    """Few images on the first data set, each cell in a process of its own."""
    depth, data = max(preset.depths), next(iter(preset.systems))
    recipe = {
        **paper_recipe(depth, preset.depths[depth], _EPOCHS),
        "data.train_limit": preset.speed_images,
        "data.test_limit": min(preset.speed_images, 500),
        "device.file": preset.fine_device,
    }
    return [
        cell(
            preset,
            NAME,
            {"data": data, "method": method, "levels": levels},
            {**recipe, "device.levels": levels, **settings},
            own_process=True,
        )
        for levels in preset.speed_levels
        for method, settings in METHODS.items()
    ]


def seconds_per_epoch(result: dict[str, Any]) -> float:
    """Training time of 60,000 images, from the median speed of all epochs but the first."""
    return _EPOCH_IMAGES / statistics.median(row["images_per_second"] for row in result["epochs"][1:])


def megabytes(result: dict[str, Any]) -> float | None:
    """The most memory held while training beyond what the process held before it, in MB."""
    measured = result["measured"]
    peak, before = measured.get("peak_bytes"), measured.get("bytes_before")
    return None if peak is None or before is None else (peak - before) / 1e6


def report(outcomes: Outcomes) -> str:
    """Time and memory, a line for each number of levels."""
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
    images = outcomes[0].cell.settings["data.train_limit"] if len(outcomes) else 0
    note = (
        f"\nSeconds per epoch of 60,000 images, extrapolated from {images}; memory is the peak of a process of its own "
        "beyond what it holds before training (on a GPU, PyTorch's peak).\n"
    )
    return table(heading, rows) + note


def conclusion(outcomes: Outcomes) -> str:
    """The paper's claim and the numbers here."""
    return claim("time is linear in the levels", _growth(outcomes))


def _growth(outcomes: Outcomes) -> Iterator[tuple[str, float | None]]:
    fewest, most = min(outcomes.distinct("levels")), max(outcomes.distinct("levels"))
    for method in METHODS:
        few, many = (outcomes.where(method=method, levels=levels).results for levels in (fewest, most))
        times = seconds_per_epoch(many[0]) / seconds_per_epoch(few[0]) if few and many else None
        yield f"{method}, {most} levels take so many times as long as {fewest}:", times
