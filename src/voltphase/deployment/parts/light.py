"""Light that is more than one coherent wave, as data: its wavelengths, their weights and methods, and its coherence."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, Self, cast

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from voltphase.core.units import LONGEST_DISTANCE, LONGEST_WAVELENGTH, SHORTEST_WAVELENGTH, metres
from voltphase.deployment.formulas import FORMULAS
from voltphase.deployment.parts.beams import MOST_BEAMS
from voltphase.deployment.propagation import MOST_DISTANCES, MethodRecord
from voltphase.deployment.records import Record, refuse
from voltphase.optics.light import Coherence
from voltphase.optics.light.coherence import INCOHERENT, MOST_MODES
from voltphase.optics.light.spectrum import MOST_LINES, MOST_WAVELENGTHS
from voltphase.optics.methods import Method
from voltphase.optics.methods.auto import find_method
from voltphase.optics.methods.geometry import Geometry
from voltphase.optics.paths import Placed, method_over, planes_of

if TYPE_CHECKING:
    from voltphase.network.donn import DONN
    from voltphase.optics.gap import Gap

_Wavelength = Annotated[float, Field(ge=SHORTEST_WAVELENGTH, le=LONGEST_WAVELENGTH)]

_ADDED: Final = (
    "Light of each line, and behind each screen, goes to the detector by itself; the intensity there, which stands for "
    "abs(V)^2 in all else, is the sum of weight * abs(V)^2 over the lines{channel}, V by the methods of the line. "
    "states_of is which of a device's tables in spectrum, counted from 0, light of a line meets."
)
_PAST: Final = (
    " On skips light of a line goes by its methods in past, one for each skip in turn, in place of the skip's own."
)
_SCREENS: Final = (
    " V of a line is that of each of the screens s_m in turn, by which the field on the source is multiplied, and "
    "abs(V)^2 the mean over them. With complex numbers n, s_m(y, x) = g_m(y, x) / sqrt(mean over m of "
    "abs(g_m(y, x))^2), and g_m(y, x) = sum over knots j and k of n_m(j, k) exp(-((y - y_j)^2 + (x - x_k)^2) / "
    "length_m^2); y_j = j length_m / 2 for whole numbers j from -J to J, J = ceil((Y + 4 length_m) / (length_m / 2)) "
    "with Y half the distance of the first sample from the last, and x_k likewise, y and x being counted from the "
    "middle of the plane. Along an axis whose pitch is more than {incoherent:g} length_m, knots are the samples and "
    "the exponential 1 at its own and 0 at any other. n = sqrt(-ln u) exp(2 pi i v), u and v by turns from the stream "
    "of words w of 64 bits of numpy.random.PCG64(seed).random_raw(), each (floor(w / 2^11) + 1/2) / 2^53, for one "
    "screen after the other, row by row."
)


class LineRecord(Record):
    """Light of one wavelength."""

    wavelength_m: _Wavelength
    weight: Annotated[float, Field(gt=0, le=1)]
    states_of: Annotated[int, Field(ge=0, lt=MOST_WAVELENGTHS)]
    methods: Annotated[list[MethodRecord], Field(max_length=MOST_DISTANCES)]
    past: Annotated[list[MethodRecord], Field(max_length=MOST_BEAMS)] = []  # noqa: RUF012 - pydantic copies it

    @model_serializer(mode="wrap")
    def _serialize(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # Light without skips is written as it always was.
        return {key: value for key, value in handler(self).items() if key != "past" or value}


class CoherenceRecord(Record):
    """How far waves of the source know of each other."""

    modes: Annotated[int, Field(ge=2, le=MOST_MODES)]
    length_m: Annotated[float, Field(gt=0, le=LONGEST_DISTANCE)]
    seed: Annotated[int, Field(ge=0)]

    @property
    def coherence(self) -> Coherence:
        """The coherence itself."""
        return Coherence(self.modes, self.length_m, self.seed)


class LightRecord(Record):
    """Light of several lines, or partly coherent."""

    lines: Annotated[list[LineRecord], Field(min_length=1, max_length=MOST_LINES * MOST_WAVELENGTHS)]
    channels: Literal["sum", "wavelengths"]
    coherence: CoherenceRecord | None = None
    formulas: dict[str, Any]
    formula: str

    @classmethod
    def of(cls, model: DONN) -> LightRecord | None:
        """Return the record of a network's light, or None of one coherent wave, which needs none."""
        about, lines = model.coherence, model.spectrum.each
        if len(lines) == 1 and about is None:
            return None
        records = [
            LineRecord(
                wavelength_m=line.wavelength,
                weight=line.weight,
                states_of=line.band,
                methods=[MethodRecord.of(method) for method in methods_of(model, line.wavelength)],
                past=[MethodRecord.of(method) for method in methods_past(model, line.wavelength)],
            )
            for line in lines
        ]
        apart = model.readout.channels > 1
        return cls(
            lines=records,
            channels="wavelengths" if apart else "sum",
            coherence=about and CoherenceRecord(modes=about.modes, length_m=about.length, seed=about.seed),
            formulas=_formulas(records),
            formula=_formula(apart=apart, screens=about is not None, skips=bool(model.skips)),
        )

    @model_validator(mode="after")
    def _check(self) -> Self:
        apart, screens = self.channels == "wavelengths", self.coherence is not None
        formula = _formula(apart=apart, screens=screens, skips=bool(self.lines[0].past))
        if self.formulas != _formulas(self.lines) or self.formula != formula:
            raise refuse("expected the formulas of this light as this version computes it, but got others")
        if not abs(sum(line.weight for line in self.lines) - 1) < 1e-9:
            raise refuse("expected weights of lines that add up to 1, but they do not")
        if self.channels == "wavelengths" and {line.states_of for line in self.lines} != {0, 1}:
            raise refuse("expected lines of two wavelengths for a detector that tells them apart, but got others")
        return self

    def check(self, wavelength: float, distances: int, skips: int) -> None:
        """Refuse light around another wavelength in metres, or whose lines go over other distances and skips."""
        first = [line for line in self.lines if line.states_of == 0]
        middle = sum(line.weight / line.wavelength_m for line in first) / (sum(line.weight for line in first) or 1.0)
        if not math.isclose(middle * wavelength, 1, rel_tol=1e-9):
            raise refuse("expected wavelength_m in the middle of the lines with states_of 0, but it is not")
        if any((len(line.methods), len(line.past)) != (distances, skips) for line in self.lines):
            also = f" and {skips} skips" if skips else ""
            raise refuse(f"expected methods for {distances} distances{also} of each line of light, but got others")

    @model_serializer(mode="wrap")
    def _serialize(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {key: value for key, value in handler(self).items() if key != "coherence" or value is not None}

    @property
    def wavelengths(self) -> int:
        """Number of wavelengths that a device has states at."""
        return 1 + max(line.states_of for line in self.lines)

    def words(self) -> str:
        """Return the light as a person reads it."""
        lines = ", ".join(f"{metres(line.wavelength_m, 6)} ({line.weight:.4g} of it)" for line in self.lines)
        apart = " and told apart by the detector" if self.channels == "wavelengths" else ""
        screens = self.coherence
        far = (
            "" if screens is None else f"; partly coherent, over {metres(screens.length_m)}, as {screens.modes} screens"
        )
        return f"{lines}, of intensities that are added{apart}{far}"


def distances_of(model: DONN) -> list[float]:
    """Return the distances between the planes and elements of a network in metres, to further detectors last."""
    return [step for steps in model.layout.every_span for step in steps if not isinstance(step, Placed)]


def methods_of(model: DONN, wavelength: float) -> list[Method]:
    """Return the method over each distance of a network in light of a wavelength in metres."""
    gaps = zip(planes_of(model.way, model.layout.every_span), distances_of(model), strict=True)
    return [
        find_method(method_over(model.method, sides, distance), Geometry(*sides, wavelength, distance))[0]
        for sides, distance in gaps
    ]


def methods_past(model: DONN, wavelength: float) -> list[Method]:
    """Return the method on each skip of a network in light of one of its wavelengths in metres."""
    past = next(beam.past for beam in model.beams.beams if beam.wavelength == wavelength)
    return [cast("Gap", way[0]).method for way in past]


def _formulas(lines: list[LineRecord]) -> dict[str, Any]:
    return {method.name: FORMULAS[method.name] for line in lines for method in (*line.methods, *line.past)}


def _formula(*, apart: bool, screens: bool, skips: bool) -> str:
    channel = " of each wavelength, which are the two channels of the detector" if apart else ""
    past, behind = _PAST if skips else "", _SCREENS.format(incoherent=1 / INCOHERENT) if screens else ""
    return f"{_ADDED.format(channel=channel)}{past}{behind}"
