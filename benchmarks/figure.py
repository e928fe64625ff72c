"""One figure of the committed results."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voltphase.core.files import atomic_path

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Row = dict[str, Any]

# One colour for each contender, the same in every panel; bare arithmetic is dashed.
COLOURS = {
    "voltphase": "#0b6e99",
    "floor": "#0b6e99",
    "torch-fft": "#d98324",
    "lightridge-pad50": "#8a8a8a",
    "lightridge-pad100": "#4d4d4d",
    "torchoptics": "#b0413e",
    "voltphase-matrix": "#6aa84f",
    "floor-matrix": "#6aa84f",
    "voltphase-fft": "#a64d9e",
    "floor-fft": "#a64d9e",
}


def draw_figure(results: Path, out: Path) -> None:
    """Draw what ``results`` holds, for CPUs, to the PNG ``out``."""
    from matplotlib.figure import Figure

    step, sizes, levels = (_load(results / f"{name}-cpu.json") for name in ("step", "sizes", "levels"))
    figure = Figure(figsize=(11, 8), layout="constrained")
    axes = figure.subplots(2, 2)
    for draw, panel, rows in (
        (_bars, axes[0, 0], step),
        (_memory, axes[0, 1], step),
        (_sizes, axes[1, 0], sizes),
        (_levels, axes[1, 1], levels),
    ):
        if rows:
            draw(panel, rows)
        else:
            panel.set_axis_off()
    if step:
        machine, torch = step[0]["hardware"], step[0]["versions"]["torch"]
        figure.suptitle(
            f"Five layers on {machine['threads']} threads of {machine['processor']}, torch {torch}", fontsize=10
        )
    out.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(out) as temporary:
        figure.savefig(temporary, dpi=130)


def _load(path: Path) -> list[Row]:
    rows = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
    return [row for row in rows if "train_ms_per_image" in row]


def _by_name(rows: list[Row]) -> Iterator[tuple[str, list[Row]]]:
    for name in dict.fromkeys(row["name"] for row in rows):
        yield name, [row for row in rows if row["name"] == name]


def _column(rows: list[Row], key: str) -> list[Any]:
    return [row[key] for row in rows]


def _ranges(rows: list[Row]) -> list[list[float]]:
    median, lowest, highest = (_column(rows, f"train_ms_{which}") for which in ("per_image", "lowest", "highest"))
    return [
        [m - low for m, low in zip(median, lowest, strict=True)],
        [h - m for m, h in zip(median, highest, strict=True)],
    ]


def _bars(axes: Axes, rows: list[Row]) -> None:
    axes.set_title("Training step, 200 × 200, 8 levels", fontsize=10)
    names = list(dict.fromkeys(row["name"] for row in rows))
    batches = sorted({row["batch"] for row in rows})
    for index, batch in enumerate(batches):
        chosen = [row for row in rows if row["batch"] == batch]
        places = [names.index(row["name"]) + (index - (len(batches) - 1) / 2) * 0.8 / len(batches) for row in chosen]
        values = _column(chosen, "train_ms_per_image")
        axes.barh(
            places,
            values,
            height=0.75 / len(batches),
            xerr=_ranges(chosen),
            error_kw={"lw": 0.8, "ecolor": "#222222"},
            color=[COLOURS[row["name"]] for row in chosen],
            alpha=[0.45, 0.7, 1.0][-len(batches) :][index],
        )
        for place, value, high in zip(places, values, _column(chosen, "train_ms_highest"), strict=True):
            text = f"{value:,.{2 if value < 10 else 0}f}  (batch {batch})"
            axes.text(high * 1.08, place, text, va="center", fontsize=7)
    axes.set_xscale("log")
    axes.set_xlim(1, axes.get_xlim()[1] * 9)
    axes.set_yticks(range(len(names)), names, fontsize=8)
    axes.invert_yaxis()
    axes.set_xlabel("ms per image (median; bars span all runs)")


def _memory(axes: Axes, rows: list[Row]) -> None:
    axes.set_title("Peak memory of a training step, 200 × 200, 8 levels", fontsize=10)
    for name, chosen in _by_name([row for row in rows if row.get("peak_memory_mb") is not None]):
        axes.plot(_column(chosen, "batch"), _column(chosen, "peak_memory_mb"), "o-", color=COLOURS[name], label=name)
    axes.set(xscale="log", yscale="log", xlabel="batch", ylabel="MB above what importing takes")
    batches = sorted({row["batch"] for row in rows})
    axes.set_xticks(batches, [str(batch) for batch in batches])
    axes.set_yticks(megabytes := [100, 300, 1000, 3000, 10000], [str(megabyte) for megabyte in megabytes])
    axes.minorticks_off()
    axes.legend(fontsize=7)


def _sizes(axes: Axes, rows: list[Row]) -> None:
    axes.set_title("Training step against size, 8 levels", fontsize=10)
    for name, chosen in _by_name(rows):
        axes.plot(
            _column(chosen, "size"),
            _column(chosen, "train_ms_per_image"),
            "--" if name.startswith("floor") else "o-",
            color=COLOURS[name],
            lw=2.5 if name == "voltphase" else 1.2,
            label=name,
            zorder=3 if name == "voltphase" else 2,
        )
    axes.set(xscale="log", yscale="log", xlabel="samples along each side (batch)", ylabel="ms per image")
    sizes = sorted({row["size"] for row in rows})
    batch = {row["size"]: row["batch"] for row in rows}
    axes.set_xticks(sizes, [f"{size}\n({batch[size]})" for size in sizes])
    axes.minorticks_off()
    axes.legend(fontsize=7)


def _levels(axes: Axes, rows: list[Row]) -> None:
    axes.set_title("Training step against levels, 200 × 200, batch 500", fontsize=10)
    for name, chosen in _by_name(rows):
        places, values = _column(chosen, "levels"), _column(chosen, "train_ms_per_image")
        axes.errorbar(places, values, yerr=_ranges(chosen), fmt="o-", color=COLOURS[name], label=name, capsize=2)
    axes.set(xlabel="levels", ylabel="ms per image")
    axes.set_ylim(bottom=0)
    axes.legend(fontsize=7)
