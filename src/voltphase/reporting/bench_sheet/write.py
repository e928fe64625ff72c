"""Writing a bench sheet with what belongs to it."""

from __future__ import annotations

from html import escape
from os import PathLike
from pathlib import Path
from shutil import rmtree
from typing import Final

import numpy as np
from PIL import Image

from voltphase.core.errors import OutputError
from voltphase.core.files import atomic_directory, checked_path
from voltphase.reporting.bench_sheet.content import Sheet
from voltphase.reporting.bench_sheet.drawing import sheet_figure
from voltphase.reporting.bench_sheet.pattern import pattern_of
from voltphase.reporting.style import drawing, house_style

_NAME: Final = "bench-sheet"
_PAGE: Final = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Bench sheet: {name}</title>
<style>@page {{ size: A4; margin: 0 }} body {{ margin: 0; font: 14px sans-serif }} svg {{ width: 100%; height: auto;
max-width: 60rem; display: block; margin: auto }} p {{ max-width: 56rem; margin: 1rem auto }}
@media print {{ p {{ display: none }} }}</style></head>
<body>
{svg}
<p>Beside this page: {links}. In input pictures a grey of 255 is {carried}.</p>
</body></html>
"""


def write_bench_sheet(folder: str | PathLike[str], out: str | PathLike[str] | None = None) -> Path:
    """Write one printable page for whoever sets a deployed system up, and pictures to set it up with.

    The folder holds ``bench-sheet.html`` and ``bench-sheet.pdf``, which say what goes where and what to expect,
    ``input-N.png``, test inputs for a modulator on the input plane, and ``test-*``, a test pattern for each device that
    something is loaded on, in the files of its target.

    Args:
        folder: Folder as :func:`voltphase.deployment.deploy` wrote it, of any target.
        out: Folder to make; the name of ``folder`` with ``-sheet`` behind it by default.

    Returns:
        The folder that was made.

    Raises:
        DeploymentError: if ``folder`` is no deployed folder, or a file is missing, was changed or contradicts another.
        OutputError: if ``out`` exists already or cannot be written.
    """
    sheet = Sheet.of(folder)
    deployed = Path(folder).resolve()
    path = checked_path(deployed.with_name(f"{deployed.name}-sheet") if out is None else out, OutputError)
    with atomic_directory(path) as temporary, house_style():
        inputs = _write_inputs(temporary, sheet)
        patterns = _write_patterns(temporary, sheet)
        figure = sheet_figure(sheet, patterns, inputs)
        (temporary / f"{_NAME}.pdf").write_bytes(drawing(figure, "pdf"))
        page = drawing(figure, "svg").decode("utf-8")
        names = dict.fromkeys([f"{_NAME}.pdf", *inputs, *(name for each in patterns for name in each)])
        links = ", ".join(f'<a href="{escape(name)}">{escape(name)}</a>' for name in names)
        told = {"name": escape(sheet.name), "svg": page[page.index("<svg") :], "links": links}
        html = _PAGE.format(**told, carried=escape(sheet.carried))
        (temporary / f"{_NAME}.html").write_bytes(html.encode("utf-8", "backslashreplace"))
    return path


def _write_inputs(folder: Path, sheet: Sheet) -> list[str]:
    names = []
    for number, values in enumerate(sheet.on_source, start=1):
        names.append(f"input-{number}.png")
        Image.fromarray(np.rint(255 * values).astype(np.uint8)).save(folder / names[-1], format="PNG", optimize=True)
    return names


def _write_patterns(folder: Path, sheet: Sheet) -> list[list[str]]:
    target = sheet.target
    if not target.loaded:
        return []
    made = folder / "made"
    made.mkdir()
    written = target.write(made, sheet.layers, [pattern_of(layer) for layer in sheet.layers])
    names = [[f"test-{name}" for name in target.to_load(one)] for one in written]
    for name in dict.fromkeys(name for each in names for name in each):
        # By another name than that of a map, so that nobody takes one for the other.
        (made / name.removeprefix("test-")).replace(folder / name)
    rmtree(made)
    return names
