"""A run of the benchmark as a page: what was asked for beside what was measured, and all that was measured."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from benchmarks.gpu.base import Row

Result = Mapping[str, Any]
OURS = {"tf32": "voltphase-graph-tf32", "single": "voltphase-graph"}


class Target(NamedTuple):
    """What a GPU is to reach.

    Attributes:
        text: What is measured.
        asked: The number asked for.
        measured: What a result says of it; None, or a KeyError, where it does not.
        least: Whether more is better.
        unit: Unit of both numbers.
    """

    text: str
    asked: float
    measured: Callable[[Result], float | None]
    least: bool = False
    unit: str = ""


def page(result: Result) -> str:
    """Return the page in Markdown."""
    machine = _rows(result, "environment")[0] if _rows(result, "environment") else {}
    versions = machine.get("versions", {})
    lines = [f"# voltphase on {machine.get('name', 'no GPU')}", ""]
    if not result["measurement"]:
        lines += ["**No measurement**: the script was tried on a CPU, at sizes that say nothing about speed.", ""]
    about = [
        *(f"{name} {versions[name]}" for name in ("torch", "python", "voltphase") if name in versions),
        *(
            f"{name} {machine[name]}"
            for name in ("triton", "lightridge", "cuda", "driver", "seed")
            if machine.get(name)
        ),
        f"commit {str(machine.get('commit'))[:12]}",
        str(machine.get("date")),
    ]
    lines += [", ".join(about) + ".", "", "## What was asked for", "", *_targets(result), ""]
    for name, stage in result["stages"].items():
        lines += [f"## {name[0].upper()}{name[1:]}", "", f"{stage['outcome']}, {stage['seconds']:.1f} s", ""]
        if "error" in stage:
            lines += [f"Error: {_cell(stage['error'])}", ""]
        if name != "environment":
            lines += [*_table(stage["rows"]), ""]
    return "\n".join(lines)


def _targets(result: Result) -> list[str]:
    lines = ["| | asked | measured | measured / asked | reached |", "|---|---|---|---|---|"]
    for target in TARGETS:
        try:
            found = target.measured(result)
        except KeyError:
            found = None
        asked = f"{'≥' if target.least else '≤'} {target.asked:g}{target.unit}"
        if found is None:
            lines.append(f"| {target.text} | {asked} | not measured | | |")
            continue
        reached = "yes" if (found >= target.asked if target.least else found <= target.asked) else "no"
        ratio = f"{found / target.asked:.2f}" if target.asked else ""
        verdict = reached if result["measurement"] else "no measurement"
        lines.append(f"| {target.text} | {asked} | {found:.4g}{target.unit} | {ratio} | {verdict} |")
    return lines


def _table(rows: Iterable[Row]) -> list[str]:
    """A table of rows with all columns that any has; above it what is the same in all, below it lists."""
    rows = list(rows)
    columns = list(dict.fromkeys(key for row in rows for key, value in row.items() if not isinstance(value, list)))
    if not columns:
        return ["Nothing."]
    alike = {key for key in columns if len(rows) > 1 and len({str(row.get(key)) for row in rows}) == 1}
    lines = [", ".join(f"{key} {_cell(rows[0][key])}" for key in columns if key in alike), ""] if alike else []
    columns = [key for key in columns if key not in alike]
    lines += [f"| {' | '.join(columns)} |", "|" + "---|" * len(columns)]
    lines += [f"| {' | '.join(_cell(row.get(column)) for column in columns)} |" for row in rows]
    for row in rows:
        for key, values in row.items():
            if isinstance(values, list) and values:
                lines += ["", f"{row.get('name', '')} {key}:", "", *(f"- {_cell(value)}" for value in values)]
    return lines


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, dict):
        return ", ".join(f"{key} {_cell(part)}" for key, part in value.items())
    return "" if value is None else str(value).replace("|", "\\|")


def _rows(result: Result, stage: str) -> list[Row]:
    return result["stages"].get(stage, {"rows": []})["rows"]


def _of(result: Result, stage: str, name: str, key: str, **where: object) -> float:
    for row in _rows(result, stage):
        if row.get("name") == name and key in row and all(row[column] == value for column, value in where.items()):
            return row[key]
    raise KeyError(key)


def _step(precision: str, kind: str = "train") -> Callable[[Result], float]:
    return lambda result: _of(result, "steps", OURS[precision], f"{kind}_ms")


def _faster(precision: str, kind: str = "train") -> Callable[[Result], float]:
    """How many times faster than LightRidge with the padding that its authors take."""
    return lambda result: _of(result, "steps", "lightridge-pad100", f"{kind}_ms") / _step(precision, kind)(result)


def _levels(count: int) -> Callable[[Result], float]:
    def dearer(result: Result) -> float:
        many, few = (_of(result, "levels", OURS["tf32"], "train_ms", levels=levels) for levels in (count, 8))
        return many / few

    return dearer


def _memory(result: Result) -> float:
    ours, plain = (_of(result, "steps", name, "peak_memory_mb") for name in (OURS["tf32"], "torch-fft"))
    return ours / plain


def _accuracies_apart(result: Result) -> float:
    keys = ("test_accuracy", "test_accuracy_on_cpu")
    found = [_of(result, "training", name, key) for name in ("tf32", "single") for key in keys]
    return max(found) - min(found)


def _failures(stage: str) -> Callable[[Result], float | None]:
    def failed(result: Result) -> float | None:
        # A suite that was stopped has not passed.
        counts = [row["failed"] for row in _rows(result, stage) if "failed" in row and "error" not in row]
        return float(sum(counts)) if counts else None

    return failed


TARGETS = (
    Target("training step, TF32", 5, _step("tf32"), unit=" ms"),
    Target("the same, aim", 3, _step("tf32"), unit=" ms"),
    Target("training step, single precision", 13, _step("single"), unit=" ms"),
    Target("the same, aim", 8, _step("single"), unit=" ms"),
    Target("epoch of `voltphase train`, TF32", 0.7, lambda r: _of(r, "training", "tf32", "epoch_seconds"), unit=" s"),
    Target("the same, aim", 0.45, lambda r: _of(r, "training", "tf32", "epoch_seconds"), unit=" s"),
    Target("faster than LightRidge, padding 100: training, TF32", 10, _faster("tf32"), least=True, unit=" ×"),
    Target("the same in single precision", 4.5, _faster("single"), least=True, unit=" ×"),
    Target("the same, inference in single precision", 4, _faster("single", "infer"), least=True, unit=" ×"),
    Target("step with 256 levels against 8", 1.3, _levels(256), unit=" ×"),
    Target("step with 784 levels against 8", 1.8, _levels(784), unit=" ×"),
    Target("peak memory against torch.fft", 0.5, _memory, unit=" ×"),
    Target(
        "eight designs together against one after another",
        4,
        lambda r: _of(r, "designs", "one after another", "train_ms") / _of(r, "designs", "together", "train_ms"),
        least=True,
        unit=" ×",
    ),
    Target("part of training outside of steps and test images", 0.1, lambda r: _of(r, "training", "tf32", "loop_part")),
    Target(
        "the same seed gives the same maps twice",
        1,
        lambda r: float(_of(r, "training", "tf32, same seed again", "same_maps")),
        least=True,
    ),
    Target("deployed accuracies apart: TF32, single, each on the GPU and a CPU", 0.002, _accuracies_apart),
    Target("tests of kernels that fail", 0, _failures("kernels against the oracle")),
    Target("tests that fail", 0, _failures("all tests")),
)
