from __future__ import annotations

import json
import math
import warnings
from pathlib import Path

import pytest

from voltphase import validation
from voltphase.core.errors import OutputError
from voltphase.optics import FresnelTransfer
from voltphase.optics.backends import BACKENDS
from voltphase.optics.kernels.maps import FourierMap
from voltphase.validation import Comparison, suite
from voltphase.validation.cases import methods as agreement
from voltphase.validation.comparison import ADJOINT, CLOSED_FORM, ROUNDING

# All but that for GPUs, whose kernels are in single precision.
IN_DOUBLE = [name for name in BACKENDS if name != "cuda"]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Comparison], Path]:
    out = tmp_path_factory.mktemp("validation") / "deep" / "folder"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return validation.run(out), out


def test_every_case_passes(written: tuple[list[Comparison], Path]) -> None:
    rows, _ = written
    assert [row for row in rows if not row.passed] == []


def test_no_case_is_missing(written: tuple[list[Comparison], Path]) -> None:
    rows, _ = written
    named = {row.case for row in rows}
    for case in (
        "circular aperture, on axis",
        "Poisson spot by Babinet",
        "Airy pattern at a lens focus",
        "square aperture",
        "straight edge",
        "Gaussian beam, width",
        "Gaussian beam, curvature",
        "Gaussian beam, Gouy phase",
        "Gaussian beam, on-axis intensity",
        "Talbot image",
        "Talbot image at half distance",
        "energy conservation",
        "skip as an interferometer",
        "two-wavelength Talbot images",
        "focus of two wavelengths, a lens of glass",
        "focus of two wavelengths, a lens that is flat",
        "visibility of a band as 5 lines",
        "coherence behind an incoherent disc",
        "coherence behind an incoherent disc, by screens",
        "incoherent image",
        "incoherent image, 144 screens",
        "field behind a relay",
        "light a distance behind a relay",
        "z1 + z2 composition",
        "round trip z, -z",
        "blazed grating's angle",
        "zero order of a fill factor",
        *(f"{count}-level blazed grating, efficiency" for count in (2, 4, 8, 16)),
        "against Rayleigh-Sommerfeld",
        "engines: matrix against fft",
        "engines: halves against whole matrices",
        "engines: fft against the sum itself",
        "adjoint dot product",
        *(
            f"{backend} back end against steps: {kernel}"
            for backend in IN_DOUBLE
            for kernel in ("matrices", "transforms")
        ),
        *(f"adjoint dot product, {name} back end: a convolution" for name in IN_DOUBLE),
        "reference back end against steps: plane waves",
        "gradcheck",
    ):
        assert case in named
    assert all(row.limited_by for row in rows)


def test_tolerances_are_the_promised_ones(written: tuple[list[Comparison], Path]) -> None:
    rows, _ = written
    assert (CLOSED_FORM, ROUNDING, ADJOINT) == (1e-3, 1e-10, 1e-12)
    by_chance = {row.case: row.tolerance for row in rows if row.limited_by.startswith("chance")}
    assert sorted(by_chance.values()) == [2 / 32, 1 / 12, 1 / 6, 1 / 3]
    assert max(row.tolerance for row in rows if row.case not in by_chance) <= CLOSED_FORM
    assert max(row.tolerance for row in rows if row.case.startswith("engines")) <= ROUNDING
    assert max(row.tolerance for row in rows if row.case.startswith("adjoint")) <= ADJOINT


def test_the_table_is_written_with_its_columns(written: tuple[list[Comparison], Path]) -> None:
    rows, out = written
    table = json.loads((out / "validation.json").read_text(encoding="utf-8"))
    assert len(table) == len(rows)
    assert list(table[0]) == ["case", "method", "error", "tolerance", "pass", "limited by"]
    assert table[0]["error"] == rows[0].error
    assert table[0]["pass"] is True
    assert (out / "validation.png").read_bytes().startswith(b"\x89PNG")
    assert sorted(path.name for path in out.iterdir()) == ["validation.json", "validation.png"]


def test_a_row_beyond_its_tolerance_fails() -> None:
    assert Comparison("a", "b", 1e-3, 1e-3, "c").passed
    assert not Comparison("a", "b", 1.1e-3, 1e-3, "c").passed
    broken = Comparison("a", "b", math.nan, 1e-3, "c")
    assert not broken.passed
    assert broken.as_json()["error"] is None


def test_a_broken_engine_is_not_hidden_by_a_sound_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agreement, "METHODS", {"fresnel": FresnelTransfer})
    adjoint = FourierMap.adjoint
    monkeypatch.setattr(FourierMap, "adjoint", lambda self, field: adjoint(self, field) * math.nan)
    assert [row.case for row in agreement.adjoints() if not row.passed] == ["adjoint dot product"]


def test_a_place_that_cannot_be_written_is_found_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(suite, "CASES", (lambda: pytest.fail("worked in vain"),))
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=r"cannot write .*file.inside: not a directory; choose a place"):
        validation.run(tmp_path / "file" / "inside")
