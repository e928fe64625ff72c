"""All cases, run and written."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

from voltphase.core.errors import OutputError
from voltphase.core.files import atomic_path, checked_path, write_errors, write_json
from voltphase.optics import SamplingWarning
from voltphase.validation.cases import apertures, beams, gratings, invariants
from voltphase.validation.cases import backends as cascades
from voltphase.validation.cases import methods as agreement
from voltphase.validation.cases import rough_light as rough
from voltphase.validation.rows import Curve, Outcome, Row

CASES: tuple[Callable[[], Outcome], ...] = (
    apertures.circular,
    apertures.airy,
    apertures.square,
    apertures.straight_edge,
    beams.gaussian,
    gratings.talbot,
    invariants.conservation,
    gratings.blazed_angle,
    gratings.fill_factor,
    gratings.blazed_levels,
    rough.random_phases,
    agreement.methods,
    agreement.engines,
    agreement.adjoints,
    cascades.cascades,
)


def run(out: Path | None = None) -> list[Row]:
    """Run every case, and write table and figure if there is a place to.

    Args:
        out: Folder for ``validation.json`` and ``validation.png``, made if missing; files of those names are replaced.

    Returns:
        The table's rows, in order. Whether all is well is ``all(row.passed for row in rows)``.

    Raises:
        OutputError: if the folder cannot be made or written. It is tried before anything is computed.
    """
    if out is not None:
        out = checked_path(out, OutputError)
        with write_errors(out):
            out.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        # Of what rough light would be off by: most cases have smooth light, and each says what it is off by.
        warnings.simplefilter("ignore", SamplingWarning)
        outcomes = [case() for case in CASES]
    rows = [row for outcome in outcomes for row in outcome.rows]
    if out is not None:
        _write(out, rows, [curve for outcome in outcomes for curve in outcome.curves])
    return rows


def _write(out: Path, rows: list[Row], curves: list[Curve]) -> None:
    from voltphase.validation.figure import draw

    write_json(out / "validation.json", [row.as_json() for row in rows])
    with atomic_path(out / "validation.png") as temporary:
        temporary.write_bytes(draw(rows, curves))
