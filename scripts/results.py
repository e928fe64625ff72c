"""Keep the figures of training runs, and render the tables of the documentation from them and from the benchmarks.

    python scripts/results.py add runs/mnist-small --command "voltphase train mnist-small --out runs/mnist-small"
    python scripts/results.py overview runs/mnist-small
    python scripts/results.py render
    python scripts/results.py gpu benchmarks/results/gpu-nvidia-h200.json

``add`` copies a run's summary, settings and figures of every epoch to ``results/runs/NAME.json``; ``overview`` draws a
run as the picture at the top of README.md; ``gpu`` writes a page beside what ``make gpu`` has measured; ``render``
writes the tables between the marks of README.md and pages of docs, as the others do as well, and the pages of all GPUs.
A number there is never typed by hand.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from voltphase.config import parse_config
from voltphase.core.errors import VoltphaseError
from voltphase.core.files import write_json, write_text
from voltphase.reporting import save_overview
from voltphase.reproduction.markdown import replace_block
from voltphase.sweeps.results import public_settings
from voltphase.training import RunFolder

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # a script is started with its own folder there
gpu_page = import_module("benchmarks.gpu.page").page
scale_page = import_module("benchmarks.scale.page")
README = ROOT / "README.md"
OVERVIEW = ROOT / "docs" / "figures" / "overview.png"
RUNS = ROOT / "results" / "runs"
SPEED = ROOT / "benchmarks" / "results" / "step-cpu.json"
SPEED_BATCH = 100
GPUS = SPEED.parent
TASKS = ROOT / "docs" / "tasks.md"
EFFICIENCY = GPUS / "efficiency-cpu.json"
HOLOGRAMS = GPUS / "holograms-cpu.json"
SCALE = ROOT / "docs" / "scale.md"
MEASURED_SCALE = GPUS / "scale-cpu.json"
LIGHT = ROOT / "docs" / "light.md"
WAVELENGTHS = GPUS / "wavelengths-cpu.json"
SWEEPS = ROOT / "docs" / "sweeps.md"
WORKERS = GPUS / "sweep-workers-cpu.json"


def add(run: Path, command: str) -> Path:
    """Keep the figures of a run folder and return the file they are kept in."""
    folder = RunFolder(run)
    config = folder.read_config()
    path = RUNS / f"{run.name}.json"
    kept = {
        "command": command,
        "summary": folder.read_summary(config.task.build().metrics),
        "config": public_settings(config),
        "epochs": folder.read_metrics(),
    }
    write_json(path, kept)
    return path


def accuracy_table(runs: Path = RUNS) -> str:
    """Return a table of all kept runs, in Markdown."""
    lines = [
        "| command | device | test accuracy, deployed states | training accuracy | epochs | time | hardware |",
        "|---|---|---|---|---|---|---|",
    ]
    for path in sorted(runs.glob("*.json")):
        kept = json.loads(path.read_text(encoding="utf-8"))
        lines.append(_row(kept["command"], kept["summary"], kept["config"]))
    return "\n".join(lines) + "\n"


def speed_table(path: Path = SPEED) -> str:
    """Return a table of one setting of the benchmarks, in Markdown."""
    rows = [row for row in json.loads(path.read_text(encoding="utf-8")) if row["batch"] == SPEED_BATCH]
    ours = next(row for row in rows if row["name"] == "voltphase")
    machine = ours["hardware"]
    lines = [
        f"{ours['size']} × {ours['size']}, {ours['depth']} layers, {ours['levels']} states, batch {ours['batch']}, "
        f"{machine['threads']} threads of {machine['processor']}, torch {ours['versions']['torch']}:",
        "",
        "| | training step, ms per image | inference, ms per image | against voltphase: training, inference |",
        "|---|---|---|---|",
    ]
    for row in rows:
        if "train_ms_per_image" not in row:
            continue
        train, infer = row["train_ms_per_image"], row["infer_ms_per_image"]
        ratios = f"{train / ours['train_ms_per_image']:.2f} ×, {infer / ours['infer_ms_per_image']:.2f} ×"
        lines.append(f"| {row['name']} | {train:.2f} | {infer:.2f} | {ratios} |")
    return "\n".join(lines) + "\n"


def _row(command: str, summary: dict[str, Any], config: dict[str, Any]) -> str:
    # A measured device may have the name of a modelled one.
    devices = dict.fromkeys(
        f"{'modelled' if given.file is None else 'measured'} {device['name']}, {device['levels']} states"
        for device, given in zip(summary["devices"], parse_config(config).layer_devices, strict=True)
    )
    hardware = summary["hardware"]
    cells = (
        f"`{command}`",
        " / ".join(devices),
        f"**{summary['test_accuracy']:.4f}**",
        f"{summary['train_accuracy']:.4f}",
        str(summary["epochs"]),
        f"{summary['seconds'] / 60:.1f} min",
        f"{hardware['processor']}, {hardware['threads']} thread{'' if hardware['threads'] == 1 else 's'}",
    )
    return f"| {' | '.join(cells)} |"


def efficiency_table(path: Path = EFFICIENCY) -> str:
    """Return the table of `scripts/efficiency.py`, in Markdown."""
    kept = json.loads(path.read_text(encoding="utf-8"))
    rows, seeds = kept["rows"], len({row["seed"] for row in kept["rows"]})
    chosen = dict(setting.split("=") for setting in kept["settings"])
    lines = [
        f"{chosen['data.train_limit']} digits, {chosen['training.epochs']} epochs, {seeds} seeds, mean ± standard "
        "deviation:",
        "",
        "| weight | test accuracy | light in the regions | contrast margin |",
        "|---|---|---|---|",
    ]
    for weight in dict.fromkeys(row["weight"] for row in rows):
        of = [row for row in rows if row["weight"] == weight]
        accuracy, light, margin = (
            [row[f"test_{key}"] for row in of] for key in ("accuracy", "light_share", "contrast_margin")
        )
        lines.append(f"| {weight:g} | {_percent(accuracy)} | {_percent(light, 2)} | {_spread(margin, 3)} |")
    return "\n".join(lines) + "\n"


def hologram_table(path: Path = HOLOGRAMS) -> str:
    """Return the table of `scripts/holograms.py`, in Markdown."""
    rows = json.loads(path.read_text(encoding="utf-8"))["rows"]
    lines = [
        "| target | learned by | trained | Gerchberg and Saxton | weighted form |",
        "|---|---|---|---|---|",
    ]
    for target, measure in dict.fromkeys((row["target"], row["measure"]) for row in rows):
        cells = []
        for way in ("trained", "plain", "weighted"):
            of = [row for row in rows if (row["target"], row["measure"], row["way"]) == (target, measure, way)]
            efficiency, uneven = ([row[key] for row in of] for key in ("efficiency", "nonuniformity"))
            cells.append(f"{_percent(efficiency)}, {_spread(uneven, 3)}")
        lines.append(f"| {target} | {measure} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _spread(values: Sequence[float], digits: int) -> str:
    """Return the mean, and where there are several the standard deviation."""
    return f"{mean(values):.{digits}f}" + (f" ± {stdev(values):.{digits}f}" if len(values) > 1 else "")


def _percent(values: Sequence[float], digits: int = 1) -> str:
    return f"{_spread([100 * value for value in values], digits)} %"


def wavelengths_table(path: Path = WAVELENGTHS) -> str:
    """Return the tables of `scripts/wavelengths.py`, in Markdown."""
    kept = json.loads(path.read_text(encoding="utf-8"))
    rows, costs = kept["rows"], kept["costs"]
    seeds, epochs = len({row["seed"] for row in rows}), rows[0]["epochs"]
    lines = [
        f"One layer of 64 × 64, MNIST, {epochs} epochs, {seeds} seeds, mean ± standard deviation:",
        "",
        "| light | a class is read by the contrast of | test accuracy, deployed states |",
        "|---|---|---|",
    ]
    for light in dict.fromkeys(row["light"] for row in rows):
        by_wavelength = "task.differential=wavelength" in kept["lights"][light]
        told = "its region at one and the other" if by_wavelength else "two regions"
        lines.append(f"| {light} | {told} | {_percent([r['test_accuracy'] for r in rows if r['light'] == light], 2)} |")
    counts, steps, made = (
        " | ".join(cells)
        for cells in (
            [f"{row['wavelengths']}" for row in costs],
            [f"{row['against_one']:.2f} ×" for row in costs],
            [f"{1e3 * row['seconds_to_make']:.0f} ms" for row in costs],
        )
    )
    return "\n".join(
        [
            *lines,
            "",
            f"Its training step in light of more wavelengths, against one, batch {kept['batch']}, one thread of "
            f"{kept['hardware']['processor']}, and the making of the network:",
            "",
            f"| wavelengths | {counts} |",
            f"|---|{'---|' * len(costs)}",
            f"| a training step | {steps} |",
            f"| making the network | {made} |",
            "",
        ]
    )


def workers_table(path: Path = WORKERS) -> str:
    """Return what `scripts/sweep_workers.py` has seen, in Markdown."""
    kept = json.loads(path.read_text(encoding="utf-8"))
    grid, error, (lowest, highest) = kept["best"], kept["best"]["standard_error"], kept["undecided"]
    lines = [
        f"{kept['trials']} trials of {kept['seeds']} seeds by {kept['workers']} workers, one of them killed "
        f"{kept['kills']} times: none lost, none doubled.",
        "",
        "| storage | time | λ of the least loss | loss |",
        "|---|---|---|---|",
    ]
    lines += [
        f"| {row['storage']} | {row['seconds']:.0f} s | {row['lambda']:.2f} ({row['lambda_against_grid']:+.0%}) "
        f"| {row['train_loss']:.4f} ({row['loss_against_grid']:+.1%}) |"
        for row in kept["sweeps"]
    ]
    steps = [one / other - 1 for other, one in pairwise(row["codesign.gain"] for row in kept["grid"])]
    lines += [
        f"| a grid of {len(kept['grid'])}, {100 * mean(steps):.0f} % apart | | {grid['lambda']:.2f} "
        f"| {grid['train_loss']:.4f} ± {error:.4f} |",
        "",
        f"Three workers share two busy cores. Of the grid's λ those from {lowest:g} to {highest:g} cannot be told from "
        "the best, as their losses are within two standard errors of it.",
    ]
    return "\n".join(lines) + "\n"


#: The pages with tables, and what makes the tables of each.
PAGES: dict[Path, Callable[[], dict[str, str]]] = {
    README: lambda: {"accuracy": accuracy_table(), "speed": speed_table()},
    TASKS: lambda: {"efficiency": efficiency_table(), "holograms": hologram_table()},
    SCALE: lambda: scale_page.blocks(json.loads(MEASURED_SCALE.read_text(encoding="utf-8"))),
    LIGHT: lambda: {"wavelengths": wavelengths_table()},
    SWEEPS: lambda: {"workers": workers_table()},
}


def rendered(page: Path) -> str:
    """Return the text of a page with the present tables."""
    text = page.read_text(encoding="utf-8")
    for name, table in PAGES[page]().items():
        text = replace_block(text, name, table, page)
    return text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    actions = parser.add_subparsers(dest="action", required=True)
    adding = actions.add_parser("add", help="keep the figures of a run folder")
    adding.add_argument("run", type=Path)
    adding.add_argument("--command", required=True, help="what was typed to train it")
    drawing = actions.add_parser("overview", help="draw a run folder as the picture at the README's top")
    drawing.add_argument("run", type=Path)
    actions.add_parser("render", help="write the tables into README.md and docs, and the pages of GPUs")
    page = actions.add_parser("gpu", help="write a page beside a file of `make gpu`")
    page.add_argument("file", type=Path)
    arguments = parser.parse_args()
    try:
        if arguments.action == "add":
            add(arguments.run, arguments.command)
        elif arguments.action == "overview":
            save_overview(arguments.run, OVERVIEW)
        for file in [arguments.file] if arguments.action == "gpu" else GPUS.glob("gpu-*.json"):
            write_text(file.with_suffix(".md"), gpu_page(json.loads(file.read_text(encoding="utf-8"))))
        for path in PAGES:
            write_text(path, rendered(path))
    except VoltphaseError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
