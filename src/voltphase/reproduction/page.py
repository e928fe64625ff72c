"""Tables and figures of experiments on a Markdown page, from their JSON files and nothing else."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from voltphase.core.errors import OutputError
from voltphase.core.files import checked_path, read_text, write_bytes, write_errors, write_text
from voltphase.core.words import counted, duration
from voltphase.reporting.style import house_style, png
from voltphase.reproduction.drawings import DRAWINGS
from voltphase.reproduction.markdown import marks, replace_block
from voltphase.reproduction.registry import Experiment
from voltphase.reproduction.sizes import INCONCLUSIVE, Size
from voltphase.sweeps.results import Outcomes, ResultFolder

_NEW_PAGE = "# The paper, result by result\n"

# Far more than any page a person writes.
_LARGEST_PAGE = 16 << 20


def render(page: Path, folder: ResultFolder, size: Size, experiments: Sequence[Experiment]) -> list[Path]:
    """Write each experiment's table and figure into a page, between marks, and return the files written.

    What is written around the marks stays. Figures go to ``figures/reproduce-PRESET-EXPERIMENT.png`` beside the page. A
    block that the page lacks is put at its end.

    Raises:
        OutputError: if a file cannot be written, or the page is no text or lacks one of two marks.
    """
    page = checked_path(page, OutputError)
    figures = page.parent / "figures"
    with write_errors(page):
        figures.mkdir(parents=True, exist_ok=True)
    text = read_text(page, OutputError, _LARGEST_PAGE) if page.exists() else _NEW_PAGE
    written = [page]
    for experiment in experiments:
        outcomes = folder.outcomes(experiment.runs(size))
        picture = figures / f"reproduce-{size.name}-{experiment.name}.png"
        with house_style():
            write_bytes(picture, png(DRAWINGS[experiment.name](outcomes)))
        written.append(picture)
        block = _block(experiment, size, outcomes, f"figures/{picture.name}")
        text = _with_block(page, text, experiment, size, block)
    write_text(page, text)
    return written


def _block(experiment: Experiment, size: Size, outcomes: Outcomes, picture: str) -> str:
    conclusion = experiment.conclusion(outcomes) if size.conclusive else f"\n{INCONCLUSIVE}\n"
    parts = [experiment.report(outcomes) + conclusion, _state(experiment, size, outcomes)]
    if outcomes.results:
        parts += [_origin(outcomes), f"![{experiment.title}]({picture})"]
    return "\n".join(part if part.endswith("\n") else f"{part}\n" for part in parts)


def _state(experiment: Experiment, size: Size, outcomes: Outcomes) -> str:
    command = f"`{shlex.join(['voltphase', 'reproduce', experiment.name, '--preset', size.name])}`"
    there, all_of_them = len(outcomes.results), len(outcomes)
    if there == all_of_them:
        return f"All {there} cells, by {command}."
    return f"{there} of {all_of_them} cells are there; what is missing is one command away: {command}."


def _origin(outcomes: Outcomes) -> str:
    results = outcomes.results
    machines, devices, commits = {}, {}, {}
    for result in results:
        summary = result["summary"]
        hardware, commit = summary.get("hardware", {}), str(summary.get("commit"))
        threads = hardware.get("threads", 0)
        machine = hardware.get("gpu") or f"{hardware.get('processor')}, {counted(threads, 'thread')}"
        machines[f"{machine}, torch {summary.get('versions', {}).get('torch')}"] = None
        devices |= dict.fromkeys(result["devices"])
        commits[f"{commit[:9]}{'+' if commit.endswith('+') else ''}"] = None
    minutes = sum(_seconds(result) for result in results) / 60
    epochs = sorted({result["summary"]["epochs"] for result in results})
    return (
        f"Device: {', '.join(devices)}. Epochs: {', '.join(map(str, epochs))}. Made in {duration(minutes)} on "
        f"{'; '.join(machines)}; commit {', '.join(commits)}."
    )


def _seconds(result: dict[str, Any]) -> float:
    # Of runs that shared a GPU each counts for its share of the time.
    summary = result["summary"]
    return summary["seconds"] / summary.get("trained_together", 1) + result["finishing_seconds"]


def _with_block(page: Path, text: str, experiment: Experiment, size: Size, block: str) -> str:
    name = f"{size.name} {experiment.name}"
    begin, end = marks(name)
    if begin not in text and end not in text:
        text = f"{text.rstrip()}\n\n## {experiment.title}, preset {size.name}\n\n{begin}\n{end}\n"
    return replace_block(text, name, block, page)
