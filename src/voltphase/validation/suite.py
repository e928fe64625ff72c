"""All cases, run and written."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

from voltphase.core.errors import OutputError
from voltphase.core.files import checked_path, write_bytes, write_errors, write_json
from voltphase.optics import SamplingWarning
from voltphase.validation.cases import (
    airy_pattern,
    backends,
    blazed_gratings,
    circular_aperture,
    conservation,
    fill_factor,
    gaussian_beam,
    methods,
    rough_light,
    square_aperture,
    straight_edge,
    talbot,
)
from voltphase.validation.cases.systems import (
    bandwidth,
    chromatic_focus,
    incoherent_disc,
    incoherent_imaging,
    relays,
    two_wavelengths,
)
from voltphase.validation.comparison import Comparison, Curve, Findings

CASES: tuple[Callable[[], Findings], ...] = (
    circular_aperture.compare,
    airy_pattern.compare,
    square_aperture.compare,
    straight_edge.compare,
    gaussian_beam.compare,
    talbot.compare,
    conservation.compare,
    blazed_gratings.compare_angle,
    fill_factor.compare,
    blazed_gratings.compare_levels,
    two_wavelengths.compare,
    chromatic_focus.compare,
    bandwidth.compare,
    incoherent_disc.compare,
    incoherent_imaging.compare,
    relays.compare,
    rough_light.compare,
    methods.methods,
    methods.engines,
    methods.adjoints,
    backends.backends,
)


def run(out: Path | None = None) -> list[Comparison]:
    """Run every case, and write table and figure if there is a place to.

    Args:
        out: Folder for ``validation.json`` and ``validation.png``, made if missing; files of those names are replaced.

    Returns:
        The comparisons, in the order of the table. All is well if each of them ``passed``.

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
        findings = [one for case in CASES for one in case()]
    comparisons = [one for one in findings if isinstance(one, Comparison)]
    if out is not None:
        from voltphase.validation.figure import draw

        write_json(out / "validation.json", [comparison.as_json() for comparison in comparisons])
        write_bytes(out / "validation.png", draw(comparisons, [one for one in findings if isinstance(one, Curve)]))
    return comparisons
