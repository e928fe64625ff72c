"""LightRidge's trained layers, of its versions 0.2: phases, or scores of the levels of a device.

``DiffractLayer_Raw`` keeps ``phase`` in radians, without bounds; ``DiffractLayer`` keeps ``voltage``, scores of
``rows x columns x levels``, of which training draws one level by Gumbel-Softmax. Both keep ``h``, the kernel of the
space in front of them on the plane with its padding, and their parameter a second time under a name of its own. Light
first crosses the space and then meets the map, and the last module, which crosses the space before the detector, has a
map that is not used. Of the rest a file says nothing: wavelength, pixel size, distance, ``amplitude_factor``, detector,
and the tables of the device are arguments of the constructors.

Source: LightRidge 0.2.2, ``layers.py``; its time dependence is exp(-i omega t).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from voltphase.config import OpticsConfig
from voltphase.core.errors import ConfigError, DataError
from voltphase.importing.weights.tensors import ForeignLayers, Tensors, Travel, distances_of, modules_of

_Module = dict[str, NDArray[Any]]

#: LightRidge's names of its kernels, and ours of the same mathematics.
_METHODS: Final = {
    "Fresnel": "fresnel",
    "Fresnel2": "fresnel-impulse",
    "Sommerfeld": "rayleigh-sommerfeld",
}
# Two kernels of one geometry differ by the rounding of single precision alone; 1 less their overlap is below 1e-6.
_SAME: Final = 1e-4


def read_lightridge(tensors: Tensors, layers: Sequence[str] | None) -> ForeignLayers | None:
    """Return the layers in the weights of a model of LightRidge, or None if they are no such weights.

    Args:
        tensors: Tensors by their names.
        layers: Names of the modules that are layers; None for those in the list of modules.

    Raises:
        DataError: if it is not clear which modules are layers, or these are of several kinds.
    """
    modules = modules_of(tensors)
    known = {name: each for name, each in modules.items() if "h" in each and {"phase", "voltage"} & {*each}}
    if not known:
        return None
    names = _listed(known) if layers is None else _named(known, layers)
    scores = ["voltage" in known[name] for name in names]
    if any(scores) != all(scores):
        raise DataError(f"expected layers of one kind, but {names[scores.index(False)]} has phases and others scores")
    maps = [_map(name, known[name]) for name in names]
    last = [name for name in known if name not in names]
    notes = ["LightRidge: amplitude_factor, detector and data are no part of its weights: codesign.gain, task, data"]
    if all(scores):
        notes.append(
            "LightRidge draws a level by its score anew in each evaluation: each pixel is put into that of the highest"
        )
    kernels = [known[name]["h"] for name in (*names, *(last if len(last) == 1 else ()))]
    return ForeignLayers(
        "LightRidge",
        names,
        maps,
        "level" if all(scores) else "phase",
        lambda optics: _travel(kernels, maps[0].shape[0], optics),
        levels=known[names[0]]["voltage"].shape[-1] if all(scores) else None,
        notes=tuple(notes),
    )


def _listed(known: dict[str, _Module]) -> list[str]:
    """Return the modules of the one list of modules there is, in its order."""
    numbered = [(found[1], int(found[2]), name) for name in known if (found := re.fullmatch(r"(.*)\.(\d+)", name))]
    if len({prefix for prefix, _, _ in numbered}) != 1:
        raise DataError(
            "expected one list of layers in the weights, such as diffractive_layers.0 and diffractive_layers.1, but "
            f"got {', '.join(known)}: say in maps.layers which are layers, in the order light meets them"
        )
    return [name for _, _, name in sorted(numbered)]


def _named(known: dict[str, _Module], layers: Sequence[str]) -> list[str]:
    for name in layers:
        if name not in known:
            raise DataError(f"expected in maps.layers modules of the weights, {', '.join(known)}, but got {name}")
    return [*layers]


def _map(name: str, module: _Module) -> NDArray[Any]:
    found = module["voltage"].argmax(-1) if "voltage" in module else module["phase"]
    if found.ndim != 2 or found.shape[0] != found.shape[1]:
        raise DataError(f"expected a square map in {name} of LightRidge's weights, but got {found.shape}")
    return found


def _travel(kernels: Sequence[NDArray[Any]], size: int, optics: OpticsConfig) -> Travel:
    distances, wavelength = distances_of(optics), optics.wavelengths[0]
    found = {_name_of(kernel, optics, distance) for kernel, distance in zip(kernels, distances, strict=False)}
    if None in found or len(found) > 1:
        raise ConfigError(
            f"expected the light of LightRidge over {distances[0]:g} m at {wavelength:g} m on a pitch of "
            f"{optics.pitches[0][0]:g} m, but the kernels h in the weights are of other light: correct "
            "optics.distances, optics.wavelength and optics.pitch"
        )
    if (name := str(found.pop())) == "Fresnel3":
        return Travel(
            "fresnel-pixels",
            "LightRidge's Fresnel3, whose pixels are wider than their pitch, is no method here: fresnel-pixels is the "
            "nearest, and readings differ",
        )
    padding = (kernels[0].shape[-1] - size) // 2
    return Travel(
        _METHODS[name],
        f"LightRidge's {name} is {_METHODS[name]} here, but that light which leaves the plane comes back there, past a "
        f"padding of {padding}, and is gone here",
    )


def _name_of(kernel: NDArray[Any], optics: OpticsConfig, distance: float) -> str | None:
    """Return LightRidge's name of a kernel, or None if it is none of a geometry."""
    if kernel.ndim == 3:
        return "Fresnel3"
    other, nearest = 1.0, None
    # Near the axis Fresnel2 and Sommerfeld are all but the same.
    for name, wanted in _kernels(kernel.shape[-1], optics, distance):
        # But for a common factor, which says nothing of where light goes.
        alike = abs(np.vdot(kernel, wanted)) / (np.linalg.norm(kernel) * np.linalg.norm(wanted))
        if 1 - alike < other:
            other, nearest = float(1 - alike), name
    return nearest if other < _SAME else None


def _kernels(count: int, optics: OpticsConfig, distance: float) -> Iterator[tuple[str, NDArray[np.complex128]]]:
    """Yield LightRidge's kernels on a plane with its padding, each by its name, without common factors."""
    wavelength, pitch = optics.wavelengths[0], optics.pitches[0][0]
    steps = np.arange(count) - count // 2
    squares = np.add.outer(steps**2, steps**2).astype(np.float64)
    yield "Fresnel", np.fft.fftshift(np.exp(-1j * math.pi * wavelength * distance * squares / (count * pitch) ** 2))
    across = squares * pitch**2
    yield "Fresnel2", np.fft.fft2(np.fft.ifftshift(np.exp(1j * math.pi / (wavelength * distance) * across)))
    k, r = 2 * math.pi / wavelength, np.sqrt(across + distance**2)
    # What all points have in common is left out before the cosine of a large number is asked for.
    yield "Sommerfeld", np.fft.fft2(np.fft.fftshift((1 / r - 1j * k) / r**2 * np.exp(1j * k * across / (r + distance))))
