"""What a network is made from, checked: one of each for its planes, gaps and layers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final, cast

import torch
from torch import nn

from voltphase.codesign import CodesignLayer, Proximity, Relaxation
from voltphase.core import checks
from voltphase.core.errors import ConfigError, GeometryError
from voltphase.devices import Device
from voltphase.devices.spectrum import at_wavelengths, parts_of
from voltphase.devices.summary import warn_of
from voltphase.optics.grid import Grid
from voltphase.optics.light import Coherence, Spectrum
from voltphase.optics.skips import Skip
from voltphase.tasks import Readout, WindowReadout

#: Largest seed of a network, as of a configuration.
LARGEST_SEED: Final = 2**31 - 1
# More than any bench has; a network keeps a record of each.
_MOST_BEAMS: Final = 2**16
# Amplitudes that all layers together may multiply light by, above and below 1: intensities, summed over a detector and
# focused on a region of it, then are numbers of the dtype's range.
_BRIGHTEST = {torch.complex64: 1e12, torch.complex128: 1e100}


def grids_of(grid: Grid | Sequence[Grid], depth: int) -> list[Grid]:
    """Return the grid of each plane, of a single one for all or a list."""
    if isinstance(grid, Grid):
        return [grid] * (depth + 2)
    advice = "use voltphase.Grid"
    grids = [
        checks.instance(plane, Grid, "each plane as a grid", error=GeometryError, advice=advice)
        for plane in checks.items(grid, "a grid, or a list of them", error=GeometryError, advice=advice)
    ]
    if len(grids) != depth + 2:
        raise ConfigError(
            f"expected {depth + 2} grids (source, {depth} layers, detector) or a single one, but got {len(grids)}"
        )
    return grids


def checked_devices(given: Sequence[Device], spectrum: Spectrum) -> list[Device]:
    """Return the device of each layer, with its states at each wavelength of the light."""
    if isinstance(given, Device):
        raise ConfigError(
            f"expected a list of devices, one for each layer, but got {given!r} alone: write [device] * 5 for five "
            "layers of it"
        )
    advice = "read a table with voltphase.devices.load(path), or take a modelled one with voltphase.devices.model(name)"
    devices = checks.items(given, "a list of devices, one for each layer", advice=advice)
    if not devices:
        raise ConfigError("expected at least one device, but got none: a network needs a layer")
    what = "the states of a device or its panel"
    checked = [checks.instance(device, Device, what, advice=advice) for device in devices]
    made = {id(device): at_wavelengths(device, spectrum.wavelengths) for device in checked}
    return [made[id(device)] for device in checked]


def require_readable(readout: Readout, spectrum: Spectrum, coherence: Coherence | None, ways: int) -> None:
    """Refuse a readout that tells another number of wavelengths apart than the light has, or a field where none is.

    Args:
        readout: The readout.
        spectrum: Wavelengths of the light.
        coherence: How far its waves know of each other.
        ways: How many there are through networks to detectors.
    """
    several = len(spectrum.each) > 1 or coherence is not None
    if (several or ways > 1) and isinstance(readout, WindowReadout) and readout.measure == "field":
        light = spectrum if several else "several networks or detectors"
        raise ConfigError(
            f"expected a picture of the intensity or the amplitude of {light}, but got one of the "
            "field, which light of several waves that do not interfere has none of"
        )
    if readout.channels > 1 and readout.channels != len(spectrum.wavelengths):
        raise ConfigError(
            f"expected light of {readout.channels} wavelengths, which the detector tells apart, but got "
            f"{spectrum}: give that many, optics.wavelength, or a task that is not differential by wavelength"
        )


def forward_only(distances: list[float]) -> list[float]:
    """Return distances, of which none may be below zero: a propagator goes back, but light on a bench does not.

    Raises:
        ConfigError: if there is one.
    """
    for number, distance in enumerate(distances, start=1):
        if distance < 0:
            raise ConfigError(
                f"expected distances of at least 0 between the planes, but distance {number} is {distance:g} m: planes "
                "stand in the order light meets them (voltphase.Propagator alone goes backwards)"
            )
    return distances


def require_brightness(gains: Sequence[float], devices: Sequence[Device], networks: int, dtype: torch.dtype) -> None:
    """Refuse gains and amplitudes behind which light would be beyond the range of a dtype.

    Gain has to be a common factor of all light, as no hardware has it: it is the same for every network.

    Args:
        gains: Gain of each layer.
        devices: Device of each layer.
        networks: Number of networks, whose layers follow each other.
        dtype: Complex type of the light.
    """
    limit, depth = _BRIGHTEST[dtype], len(devices) // networks
    factors = [checks.number(gain, "a gain", above=0) for gain in gains]
    parts = [[table for part in parts_of(device) for table in part.tables] for device in devices]
    brightest = [max(float(table.amplitude.max()) for table in tables) for tables in parts]
    each = [slice(depth * number, depth * (number + 1)) for number in range(networks)]
    for own in each:
        exponent = sum(math.log10(factor) for factor in (*factors[own], *brightest[own]))
        if abs(exponent) > math.log10(limit):
            raise ConfigError(
                f"expected gains and amplitudes that multiply light by {1 / limit:g} to {limit:g} altogether, which "
                f"{str(dtype).removeprefix('torch.')} holds, but got about 1e{exponent:+.0f}: bring them nearer to 1"
            )
    products = [math.prod(factors[own]) for own in each]
    if not all(math.isclose(product, products[0]) for product in products):
        raise ConfigError(
            "expected gains that multiply the light of every network alike, as no hardware has a gain, but got "
            f"{', '.join(f'{product:g}' for product in products)}: give each network the same"
        )


def require_few(lines: int, networks: int, modes: int, detectors: int) -> None:
    """Refuse more beams than anybody waits for, before anything is made of them.

    Args:
        lines: Lines of the light, those of all its wavelengths.
        networks: Networks side by side.
        modes: Modes of partly coherent light.
        detectors: Detectors behind the last layer.
    """
    each = {"lines of light": lines, "networks": networks, "modes": modes, "detectors": detectors}
    if (count := math.prod(each.values())) > _MOST_BEAMS:
        told = " x ".join(f"{number} {what}" for what, number in each.items() if number > 1)
        raise ConfigError(
            f"expected at most {_MOST_BEAMS} beams, each of which is walked through the layers by itself, but got "
            f"{count}, {told}: take fewer of them"
        )


def require_no_gain(gains: Sequence[float], skips: Sequence[Skip]) -> None:
    """Refuse gains where light goes past layers: they would be no factor that all light has in common."""
    if skips and any(gain != 1 for gain in gains):
        raise ConfigError(
            "expected gain 1 of every layer where skips lead light past layers, as no hardware has a gain, but got "
            f"{', '.join(f'{gain:g}' for gain in gains)}: leave codesign.gain out"
        )


def one_each(values: Any, count: int, what: str, meaning: str, *, parts: bool = False) -> list[Any]:
    """Return one number for each of ``count`` things, of a single one for all or a list.

    Messages call the numbers ``what`` and the things ``meaning``; with ``parts``, each may be a list of parts.
    """
    if checks.is_number(values):
        return [float(values)] * count
    numbers = checks.items(values, wanted := f"{count} {what} ({meaning}) or a single number")
    if len(numbers) != count:
        raise ConfigError(f"expected {wanted}, but got {len(numbers)}")
    advice = "put what stands between two planes in a tuple, such as (0.1, element, 0.2)" if parts else ""
    return [
        tuple(value)
        if parts and isinstance(value, list | tuple)
        else checks.number(value, f"each of the {what}", advice=advice)
        for value in numbers
    ]


def layers_of(
    planes: Sequence[Grid],
    devices: Sequence[Device],
    gains: Sequence[float],
    scales: Sequence[float],
    relaxation: Relaxation,
    seed: int,
    dtype: torch.dtype,
) -> Sequence[CodesignLayer]:
    """Return the layers of a network, each of its own plane, device, gain and scale, with a seed of its own."""
    layers = [
        CodesignLayer(
            plane.shape,
            device,
            relaxation=relaxation,
            gain=gain,
            amplitude_grad_scale=scale,
            seed=seed * 1000 + index,
            dtype=dtype,
        )
        for index, (plane, device, gain, scale) in enumerate(zip(planes, devices, gains, scales, strict=True))
    ]
    # A ModuleList for torch, and for type checkers a sequence of what is in it.
    return cast("Sequence[CodesignLayer]", nn.ModuleList(layers))


def has_hooks(module: nn.Module) -> bool:
    """Return whether PyTorch's hooks run when a module does."""
    before, behind = module._forward_pre_hooks or module._backward_pre_hooks, module._forward_hooks
    return bool(before or behind or module._backward_hooks)


def warn_of_devices(devices: Sequence[Device], spectrum: Spectrum) -> None:
    """Warn of what looks wrong in tables of devices at the wavelengths of the light, of each device once."""
    for device in {device.digest: device for device in devices}.values():
        for part, wavelength in zip(parts_of(device), spectrum.wavelengths, strict=True):
            warn_of(part, wavelength, doubtful_only=True, one_of_several=len(spectrum.wavelengths) > 1)


def checked_relaxation(given: Relaxation | None) -> Relaxation:
    """Return a relaxation, the default one of None."""
    relaxation = Proximity() if given is None else given
    return checks.instance(relaxation, Relaxation, "a relaxation", advice="use voltphase.Proximity() or another one")
