"""Devices computed from their physics: a catalogue of small functions, each of a few physical parameters.

Lengths are in metres, angles and phases in radians. Phases count from that of level 0, and follow the time dependence
exp(-i omega t): more optical path is more phase.
"""

from __future__ import annotations

import difflib
import inspect
import math
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, get_origin

import numpy as np

from voltphase.core import checks
from voltphase.core.errors import DeviceError
from voltphase.core.units import require_angles, require_thickness, require_wavelength
from voltphase.devices.models.jones import extraordinary_index, linear, molecular_tilt, twisted_nematic
from voltphase.devices.models.thin_film import continuous_phase, film_transmission, lorentz_lorenz
from voltphase.devices.pick import Pick
from voltphase.devices.states import DeviceStates
from voltphase.devices.tables.load import load
from voltphase.devices.tables.paths import given_path
from voltphase.devices.tables.two_files import find_pair

# Steps of a model's control value at which its phase is followed, over its whole range.
_FINE = 4096
# Of 16 bits, as many as a driver has.
_MOST_LEVELS = 1 << 16
_LARGEST_INDEX = 1e3


def tn_slm(
    levels: int = 256,
    *,
    twist: float = math.pi / 2,
    birefringence: float = 0.12,
    ordinary_index: float = 1.5,
    thickness: float = 4e-6,
    wavelength: float = 532e-9,
    polariser: float = math.radians(10),
    analyser: float = math.radians(40),
    threshold: float = 1.0,
    saturation: float = 1.0,
    voltage: tuple[float, float] = (1.0, 3.0),
) -> DeviceStates:
    """Twisted-nematic liquid crystal between polarisers: amplitude and phase change together, unevenly.

    Jones calculus of a uniformly twisted cell whose molecules tilt with the voltage: B. E. A. Saleh and K. Lu, "Theory
    and design of the liquid crystal television as an optical spatial phase modulator", Optical Engineering 29, 240
    (1990); A. Yariv and P. Yeh, Optical Waves in Crystals (1984), chapter 5. The defaults, a cell near the first
    minimum of Gooch and Tarry between polarisers set for phase, give 5.8 rad and amplitudes of 0.41 to 1.

    Args:
        levels: Grey levels, the control values 0 to ``levels - 1``, mapped linearly onto the voltage.
        twist: Of the director from entrance to exit.
        birefringence: Extraordinary less ordinary index.
        ordinary_index: Of the liquid crystal.
        thickness: Of the liquid crystal.
        wavelength: In vacuum.
        polariser: Angle from the director at the entrance.
        analyser: Angle from the director at the entrance.
        threshold: Voltage at which molecules begin to tilt.
        saturation: Voltage above it that tilts them by 49.6 degrees.
        voltage: At the lowest and the highest grey level; may fall.

    Returns:
        ``levels`` states, amplitude relative to the brightest of them.

    Raises:
        DeviceError: if a parameter is out of its range, or polarisers and cell let no light through.
    """
    count = _count(levels)
    _positive(
        birefringence=birefringence,
        ordinary_index=ordinary_index,
        saturation=saturation,
    )
    require_wavelength(wavelength, DeviceError)
    require_thickness(thickness, wavelength, "thickness", DeviceError)
    require_angles(DeviceError, twist=twist, polariser=polariser, analyser=analyser)
    _finite(threshold=threshold)
    low, high = checks.pair(
        voltage, "voltage", error=DeviceError, advice="give those of the lowest and the highest level"
    )
    step = math.ceil(_FINE / (count - 1))
    applied = np.linspace(low, high, step * (count - 1) + 1)
    extraordinary = ordinary_index + birefringence
    index = extraordinary_index(molecular_tilt(applied, threshold, saturation), ordinary_index, extraordinary)
    retardance = np.pi * (index - ordinary_index) * thickness / wavelength
    # The phase that both polarisations share moves with the voltage too; its part for the ordinary index does not.
    common = np.exp(1j * retardance)
    light = common * (linear(analyser) @ (twisted_nematic(twist, retardance) @ linear(polariser))[..., None])[..., 0]
    amplitude = np.abs(light[::step])
    if amplitude.max() < 1e-12:
        raise DeviceError(
            "expected polariser and analyser of tn_slm to let light through the cell, but all levels are dark: "
            "turn one of them"
        )
    return DeviceStates(
        control=np.arange(count, dtype=np.float64),
        amplitude=amplitude / amplitude.max(),
        phase=continuous_phase(light, step),
        name="tn-slm",
        source=(
            f"modelled: twisted nematic by Jones calculus, twist {twist:.4g} rad, birefringence {birefringence:g}, "
            f"thickness {thickness:g} m, wavelength {wavelength:g} m, polariser {polariser:.4g} rad, analyser "
            f"{analyser:.4g} rad, {low:g} to {high:g} V"
        ),
    )


def lcos(levels: int = 256, *, stroke: float | None = None, gamma: float = 1.0, amplitude: float = 1.0) -> DeviceStates:
    """Phase-only liquid crystal on silicon: even amplitude, phase by a power of the grey level.

    ``phase = stroke (g / (levels - 1))**gamma``. Z. Zhang, Z. You and D. Chu, "Fundamentals of phase-only liquid
    crystal on silicon (LCOS) devices", Light: Science & Applications 3, e213 (2014).

    Args:
        levels: Grey levels, the control values 0 to ``levels - 1``.
        stroke: Phase of the highest level, above zero and at most 2 pi. By default ``levels`` even steps make a full
            turn, so that the highest level does not repeat the lowest.
        gamma: 1 for a panel calibrated to be linear.
        amplitude: Of every level.

    Raises:
        DeviceError: if a parameter is out of its range.
    """
    count = _count(levels)
    turn = 2 * math.pi * (count - 1) / count if stroke is None else stroke
    _positive(stroke=turn, gamma=gamma, amplitude=amplitude)
    if turn > 2 * math.pi * (1 + 1e-9):
        raise DeviceError(f"expected a stroke of at most 2 pi rad, but got {turn:g}: more only repeats states")
    return DeviceStates(
        control=np.arange(count, dtype=np.float64),
        amplitude=np.full(count, amplitude),
        phase=turn * (np.arange(count) / (count - 1)) ** gamma,
        name="lcos",
        source=f"modelled: phase-only, stroke {turn:.6g} rad, gamma {gamma:g}",
    )


def ferroelectric(
    *, switching_angle: float = math.radians(45), retardance: float = math.pi, voltage: float = 5.0
) -> DeviceStates:
    """Ferroelectric liquid crystal between crossed polarisers: two states half a turn apart in phase.

    The cell is a retarder whose axis switches by ``switching_angle``, the polariser halfway between its two positions:
    light of amplitude ``sin(retardance / 2) sin(switching_angle)`` comes through with either sign. S. E. Broomfield,
    M. A. A. Neil and E. G. S. Paige, "Programmable multiple-level phase modulation that uses ferroelectric
    liquid-crystal spatial light modulators", Applied Optics 34, 6652 (1995).

    Args:
        switching_angle: Between the two positions of the axis, above zero and below pi.
        retardance: Phase between the two polarisations, above zero and below 2 pi; pi is a half-wave plate.
        voltage: The control values are its two signs.

    Raises:
        DeviceError: if a parameter is out of its range.
    """
    _positive(switching_angle=switching_angle, retardance=retardance, voltage=voltage)
    if switching_angle >= math.pi or retardance >= 2 * math.pi:
        raise DeviceError(
            f"expected a switching angle below pi and a retardance below 2 pi, but got {switching_angle:g} and "
            f"{retardance:g}: give both in radians"
        )
    amplitude = math.sin(retardance / 2) * math.sin(switching_angle)
    return DeviceStates(
        control=np.array([-voltage, voltage]),
        amplitude=np.full(2, amplitude),
        phase=np.array([0.0, math.pi]),
        name="ferroelectric",
        control_unit="V",
        source=f"modelled: axis switching by {switching_angle:.4g} rad, retardance {retardance:.4g} rad",
    )


def dmd(*, contrast: float = math.inf, reflectance: float = 1.0) -> DeviceStates:
    """Digital micromirrors: light or no light.

    D. Dudley, W. Duncan and J. Slaughter, "Emerging digital micromirror device (DMD) applications", Proc. SPIE 4985, 14
    (2003).

    Args:
        contrast: Intensity of a mirror that is on over one that is off, above 1.
        reflectance: Share of the power that a mirror that is on sends on, above 0 and at most 1.

    Raises:
        DeviceError: if a parameter is out of its range.
    """
    if not (isinstance(contrast, float) and contrast == math.inf):
        contrast = checks.number(contrast, "a contrast", above=1, error=DeviceError, advice="give on over off")
    reflectance = checks.number(reflectance, "a reflectance", above=0, most=1, error=DeviceError)
    on = math.sqrt(reflectance)
    return DeviceStates(
        control=np.array([0.0, 1.0]),
        amplitude=np.array([on / math.sqrt(contrast), on]),
        phase=np.zeros(2),
        name="dmd",
        control_unit="mirror state",
        source=f"modelled: contrast {contrast:g}, reflectance {reflectance:g}",
    )


def phase_change(
    levels: int = 16,
    *,
    amorphous: complex = 3.28,
    crystalline: complex = 4.05,
    thickness: float = 1e-6,
    wavelength: float = 1550e-9,
    before: float = 1.0,
    substrate: float = 1.45,
) -> DeviceStates:
    """Phase-change film: amplitude and phase by how much of it is crystalline.

    Mixtures by the Lorentz-Lorenz relation, transmission of a thin film by Airy's formula: Y. G. Chen et al.,
    "Engineering the phase front of light with phase-change material based planar lenses", Scientific Reports 5, 8660
    (2015). The default indices are about those of Sb2Se3 at 1550 nm: M. Delaney et al., "A new family of ultralow loss
    reversible phase-change materials for photonic integrated circuits: Sb2S3 and Sb2Se3", Advanced Functional Materials
    30, 2002447 (2020). Give those of your film at your wavelength.

    Args:
        levels: Crystallised fractions, evenly from 0 to 1; they are the control values.
        amorphous: Complex index n + i kappa at fraction 0.
        crystalline: Complex index at fraction 1.
        thickness: Of the film.
        wavelength: In vacuum.
        before: Index of the medium that the light comes from.
        substrate: Index of the medium that it goes to.

    Returns:
        ``levels`` states; the amplitude's square is the share of the power.

    Raises:
        DeviceError: if a parameter is out of its range.
    """
    count = _count(levels)
    _positive(before=before, substrate=substrate)
    require_wavelength(wavelength, DeviceError)
    require_thickness(thickness, wavelength, "thickness", DeviceError)
    amorphous, crystalline = _absorbing("amorphous", amorphous), _absorbing("crystalline", crystalline)
    step = math.ceil(_FINE / (count - 1))
    fraction = np.linspace(0.0, 1.0, step * (count - 1) + 1)
    index = lorentz_lorenz(fraction, amorphous, crystalline)
    light = film_transmission(index, thickness, wavelength, before, substrate)
    return DeviceStates(
        control=fraction[::step],
        amplitude=np.abs(light[::step]),
        phase=continuous_phase(light, step),
        name="phase-change",
        control_unit="crystallised fraction",
        source=(
            f"modelled: film of {thickness:g} m, index {amorphous:g} to {crystalline:g} on {substrate:g}, wavelength "
            f"{wavelength:g} m"
        ),
    )


def printed(
    levels: int = 16,
    *,
    index: complex = 1.52 + 0.001j,
    surroundings: float = 1.0,
    wavelength: float = 532e-9,
    height: float | None = None,
) -> DeviceStates:
    """Printed or etched relief: phase and absorption by the height of the material.

    ``phase = 2 pi (n - surroundings) h / wavelength``, ``amplitude = exp(-2 pi kappa h / wavelength)``; reflection at
    the surfaces, nearly the same for all heights, is left out. X. Lin et al., "All-optical machine learning using
    diffractive deep neural networks", Science 361, 1004 (2018), and its supplement on absorption.

    Args:
        levels: Heights, evenly from zero; they are the control values, in metres.
        index: Complex index n + i kappa of the material.
        surroundings: Index of the medium around it.
        wavelength: In vacuum.
        height: The greatest. By default ``levels`` even steps make a full turn of phase.

    Raises:
        DeviceError: if a parameter is out of its range.
    """
    count = _count(levels)
    material = _absorbing("index", index)
    _positive(surroundings=surroundings)
    require_wavelength(wavelength, DeviceError)
    contrast = material.real - surroundings
    if contrast == 0:
        raise DeviceError(
            f"expected an index other than the surroundings' {surroundings:g}, but both are the same: no height would "
            "change the phase"
        )
    greatest = wavelength / abs(contrast) * (count - 1) / count if height is None else height
    require_thickness(greatest, wavelength, "height", DeviceError)
    heights = np.linspace(0.0, greatest, count)
    return DeviceStates(
        control=heights,
        amplitude=np.exp(-2 * np.pi * material.imag * heights / wavelength),
        phase=2 * np.pi * contrast * heights / wavelength,
        name="printed",
        control_unit="m",
        source=f"modelled: index {material:g} in {surroundings:g}, up to {greatest:.4g} m, wavelength {wavelength:g} m",
    )


MODELS: dict[str, Callable[..., DeviceStates]] = {
    "tn-slm": tn_slm,
    "lcos": lcos,
    "ferroelectric": ferroelectric,
    "dmd": dmd,
    "phase-change": phase_change,
    "printed": printed,
}


#: Models of what is made to measure, with as many levels as one wants; of the others a pixel has those it has.
MADE_TO_MEASURE = ("phase-change", "printed")


def model_parameters(name: str) -> dict[str, inspect.Parameter]:
    """The parameters of a model in `MODELS`, but for the number of levels."""
    signature = inspect.signature(MODELS[name], eval_str=True)
    return {key: value for key, value in signature.parameters.items() if key != "levels"}


def build(
    name: str, levels: int | None = None, by: Pick = "spread", parameters: Mapping[str, Any] | None = None
) -> DeviceStates:
    """A modelled device with so many states, as training takes it.

    Those of `MADE_TO_MEASURE` are computed for that many levels, the others pick that many of theirs.

    Args:
        name: In `MODELS`.
        levels: How many states; None for as many as the model has by default.
        by: How they are picked, see `DeviceStates.pick`.
        parameters: Of the model's function, by name; a complex index may be a list [n, kappa].

    Raises:
        DeviceError: if there is no such parameter, its value is of another kind or out of its range, or there are
            fewer states than ``levels``.
    """
    known = model_parameters(name)
    given = {key: _parameter(name, key, value, known) for key, value in (parameters or {}).items()}
    if levels is not None and name in MADE_TO_MEASURE:
        return MODELS[name](levels, **given)
    states = MODELS[name](**given)
    return states if levels is None else states.pick(levels, by)


def _parameter(model: str, name: str, value: Any, known: Mapping[str, inspect.Parameter]) -> Any:
    if name not in known:
        close = difflib.get_close_matches(name, known, n=1)
        advice = f"did you mean {close[0]}?" if close else f"it has {', '.join(known)}"
        raise DeviceError(f"expected a parameter of the device {model}, but it has no {name!r}: {advice}")
    kind = known[name].annotation
    several = isinstance(value, list | tuple)
    numbers = list(value) if several else [value]
    if kind is complex:
        expected, fits = "a number or [n, kappa]", not several or len(numbers) == 2
    elif get_origin(kind) is tuple:
        expected, fits = "two numbers", several and len(numbers) == 2
    else:
        expected, fits = "a number", not several
    if not fits or any(isinstance(number, bool) or not isinstance(number, int | float) for number in numbers):
        raise DeviceError(f"expected {expected} as {name} of the device {model}, but got {value!r:.60}")
    if kind is complex:
        return complex(*numbers)
    return (float(numbers[0]), float(numbers[1])) if several else float(value)


def get(name_or_path: str | Path) -> DeviceStates:
    """A modelled device by its name in `MODELS`, with its default parameters, or else the measured one in a file.

    A model goes before a file of the same name; write ``./name`` for the file.

    Raises:
        DeviceError: if it is neither, or the table is malformed.
    """
    kinds = (str, os.PathLike)
    checks.instance(name_or_path, kinds, "the name of a modelled device or the path of a table", error=DeviceError)
    text = str(name_or_path)
    if text in MODELS:
        return MODELS[text]()
    with given_path(name_or_path) as path:
        if path.name != text or path.suffix or path.exists() or find_pair(path) is not None:
            return load(path)
    close = difflib.get_close_matches(text.lower().replace("_", "-"), MODELS, n=1)
    advice = f"did you mean {close[0]}?" if close else f"use one of {', '.join(MODELS)}, or the path of a table"
    raise DeviceError(f"expected a modelled device or a file, but {checks.shown(text)} is neither: {advice}")


def _count(levels: int) -> int:
    count = checks.whole(levels, "the number of levels", most=_MOST_LEVELS, error=DeviceError)
    if count < 2:
        raise DeviceError(f"expected at least two levels, but got {count}: a pixel needs a choice")
    return count


def _positive(**parameters: float) -> None:
    for name, value in parameters.items():
        checks.number(value, name.replace("_", " "), above=0, error=DeviceError)


def _finite(**parameters: float) -> None:
    for name, value in parameters.items():
        checks.number(value, name.replace("_", " "), error=DeviceError)


def _absorbing(name: str, given: complex) -> complex:
    index = checks.complex_number(given, name, error=DeviceError)
    # No material has more than a hundred, and powers of larger ones are no numbers.
    if not (0 < index.real <= _LARGEST_INDEX and 0 <= index.imag <= _LARGEST_INDEX):
        raise DeviceError(
            f"expected {name} as n + i kappa with n above zero and kappa at least zero, both at most "
            f"{_LARGEST_INDEX:g}, but got {index:g}: with exp(-i omega t), a positive kappa absorbs"
        )
    return index
