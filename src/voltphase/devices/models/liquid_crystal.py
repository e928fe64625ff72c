"""Modulators of liquid crystal."""

from __future__ import annotations

import math

import numpy as np

from voltphase.core import checks
from voltphase.core.errors import DeviceError
from voltphase.core.units import require_angles, require_thickness, require_wavelength
from voltphase.devices.models.base import FINE, MODELS, Levels, Positive, level_count, require_positive
from voltphase.devices.models.jones import extraordinary_index, linear, molecular_tilt, twisted_nematic
from voltphase.devices.models.thin_film import continuous_phase
from voltphase.devices.states import DeviceStates


@MODELS.register("tn-slm")
def tn_slm(
    grey_levels: Levels = 256,
    *,
    twist: float = math.pi / 2,
    birefringence: Positive = 0.12,
    ordinary_index: Positive = 1.5,
    thickness: Positive = 4e-6,
    wavelength: float = 532e-9,
    polariser: float = math.radians(10),
    analyser: float = math.radians(40),
    threshold: float = 1.0,
    saturation: Positive = 1.0,
    voltage: tuple[float, float] = (1.0, 3.0),
) -> DeviceStates:
    """Twisted-nematic liquid crystal between polarisers: amplitude and phase change together, unevenly.

    Jones calculus of a uniformly twisted cell whose molecules tilt with the voltage: B. E. A. Saleh and K. Lu, "Theory
    and design of the liquid crystal television as an optical spatial phase modulator", Optical Engineering 29, 240
    (1990); A. Yariv and P. Yeh, Optical Waves in Crystals (1984), chapter 5. The defaults, a cell near the first
    minimum of Gooch and Tarry between polarisers set for phase, give 5.8 rad and amplitudes of 0.41 to 1.

    Args:
        grey_levels: Number of grey levels; the control values 0 to ``grey_levels - 1`` are mapped linearly onto the
            voltage.
        twist: Angle in radians by which the director turns from entrance to exit.
        birefringence: Extraordinary less ordinary index of the liquid crystal.
        ordinary_index: Ordinary index of the liquid crystal.
        thickness: Thickness of the liquid crystal in metres.
        wavelength: Wavelength in vacuum, in metres; the indices have to be those at it.
        polariser: Angle of the polariser from the director at the entrance, in radians.
        analyser: Angle of the analyser from the director at the entrance, in radians.
        threshold: Voltage at which molecules begin to tilt.
        saturation: Voltage above the threshold that tilts molecules by 49.6 degrees.
        voltage: Voltages at the lowest and the highest grey level; they may fall.

    Returns:
        ``grey_levels`` states, amplitude relative to the brightest of them.

    Raises:
        DeviceError: if a parameter is out of its range, or polarisers and cell let no light through.
    """
    count = level_count(grey_levels)
    require_positive(birefringence=birefringence, ordinary_index=ordinary_index, saturation=saturation)
    require_wavelength(wavelength, DeviceError)
    require_thickness(thickness, wavelength, "thickness", DeviceError)
    require_angles(DeviceError, twist=twist, polariser=polariser, analyser=analyser)
    checks.number(threshold, "a threshold", error=DeviceError)
    advice = "give those of the lowest and the highest level"
    low, high = checks.pair(voltage, "voltage", error=DeviceError, advice=advice)
    step = math.ceil(FINE / (count - 1))
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
        wavelength=wavelength,
        source=(
            f"modelled: twisted nematic by Jones calculus, twist {twist:.4g} rad, birefringence {birefringence:g}, "
            f"thickness {thickness:g} m, wavelength {wavelength:g} m, polariser {polariser:.4g} rad, analyser "
            f"{analyser:.4g} rad, {low:g} to {high:g} V"
        ),
    )


@MODELS.register("lcos")
def lcos(
    grey_levels: Levels = 256, *, stroke: Positive | None = None, gamma: Positive = 1.0, amplitude: Positive = 1.0
) -> DeviceStates:
    """Phase-only liquid crystal on silicon: even amplitude, phase by a power of the grey level.

    ``phase = stroke (g / (grey_levels - 1))**gamma``. Z. Zhang, Z. You and D. Chu, "Fundamentals of phase-only liquid
    crystal on silicon (LCOS) devices", Light: Science & Applications 3, e213 (2014).

    Args:
        grey_levels: Number of grey levels; the control values are 0 to ``grey_levels - 1``.
        stroke: Phase of the highest level in radians at the wavelength used, above zero and at most 2 pi. By default
            ``grey_levels`` even steps make a full turn, so that the highest level does not repeat the lowest.
        gamma: Power of the grey level that the phase follows; 1 for a panel calibrated to be linear.
        amplitude: Amplitude of every level.

    Raises:
        DeviceError: if a parameter is out of its range.
    """
    count = level_count(grey_levels)
    turn = 2 * math.pi * (count - 1) / count if stroke is None else stroke
    require_positive(stroke=turn, gamma=gamma, amplitude=amplitude)
    if turn > 2 * math.pi * (1 + 1e-9):
        raise DeviceError(f"expected a stroke of at most 2 pi rad, but got {turn:g}: more only repeats states")
    return DeviceStates(
        control=np.arange(count, dtype=np.float64),
        amplitude=np.full(count, amplitude),
        phase=turn * (np.arange(count) / (count - 1)) ** gamma,
        name="lcos",
        source=f"modelled: phase-only, stroke {turn:.6g} rad, gamma {gamma:g}",
    )


@MODELS.register("ferroelectric")
def ferroelectric(
    *, switching_angle: float = math.radians(45), retardance: Positive = math.pi, voltage: Positive = 5.0
) -> DeviceStates:
    """Ferroelectric liquid crystal between crossed polarisers: two states half a turn apart in phase.

    The cell is a retarder whose axis switches by ``switching_angle``, the polariser halfway between its two positions:
    light of amplitude ``sin(retardance / 2) sin(switching_angle)`` comes through with either sign. S. E. Broomfield,
    M. A. A. Neil and E. G. S. Paige, "Programmable multiple-level phase modulation that uses ferroelectric
    liquid-crystal spatial light modulators", Applied Optics 34, 6652 (1995).

    Args:
        switching_angle: Angle in radians between the two positions of the axis, above zero and below pi.
        retardance: Phase in radians between the two polarisations at the wavelength used, above zero and below 2 pi; pi
            is a half-wave plate.
        voltage: Voltage whose two signs are the control values.

    Raises:
        DeviceError: if a parameter is out of its range.
    """
    require_positive(switching_angle=switching_angle, retardance=retardance, voltage=voltage)
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
