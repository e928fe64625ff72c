"""TorchOptics' trained elements, of its versions 1: phases, amplitudes, complex factors or thicknesses.

Each element keeps ``z``, ``spacing`` and ``offset`` of its plane in metres beside what it does to light: ``phase`` in
radians (``PhaseModulator``), ``amplitude`` (``AmplitudeModulator``), ``modulation`` (``Modulator``) or ``thickness`` in
metres (``PolychromaticPhaseModulator``). A plane that only looks (``Detector``, ``LinearDetector``) keeps no more, or a
``weight``. A system sorts elements by ``z``; light starts at 0. Wavelength and index are no part of the weights.

Source: TorchOptics 1.0.2, ``elements/`` and ``planar_grid.py``; its time dependence is exp(-i omega t), and its first
axis is the rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from voltphase.config import OpticsConfig
from voltphase.core.errors import ConfigError, DataError
from voltphase.importing.design import Kind
from voltphase.importing.weights.tensors import ForeignLayers, Tensors, Travel, distances_of, modules_of

_Module = dict[str, NDArray[Any]]

_PLANE: Final = frozenset({"z", "spacing", "offset"})
_KINDS: Final[dict[str, Kind]] = {
    "phase": "phase",
    "thickness": "height",
    "amplitude": "complex",
    "modulation": "complex",
}
# Positions may be kept in single precision.
_ROUNDING: Final = 1e-6
_TRAVEL: Final = Travel(
    None,
    "TorchOptics' ASM is angular-spectrum here, its DIM rayleigh-sommerfeld and its ASM_FRESNEL fresnel: which of them "
    "its AUTO took is not in the weights, say it in optics.method",
)


def read_torchoptics(tensors: Tensors, layers: Sequence[str] | None) -> ForeignLayers | None:
    """Return the modulators in the weights of a system of TorchOptics, or None if they are no such weights.

    Args:
        tensors: Tensors by their names.
        layers: Names of the modules that are layers; None for all that modulate light.

    Raises:
        DataError: if there is an element among them that is none of the modulators of scalar light, or their planes are
            not around the axis or have several pitches.
    """
    planes = {name: module for name, module in modules_of(tensors).items() if {*module} >= _PLANE}
    if not planes:
        return None
    for name in layers or ():
        if name not in planes:
            raise DataError(f"expected in maps.layers modules of the weights, {', '.join(planes)}, but got {name}")
    planes = dict(sorted(planes.items(), key=lambda plane: float(plane[1]["z"])))
    own = {name: _own(name, module) for name, module in planes.items() if layers is None or name in layers}
    names = [*layers] if layers else [name for name, tensor in own.items() if tensor is not None]
    if not names or any(own[name] is None for name in names):
        raise DataError("expected modulators in TorchOptics' weights, but got planes that only look at light")
    modules = [planes[name] for name in names]
    kinds: list[Kind] = [_KINDS[str(own[name])] for name in names]
    maps = [module[str(own[name])] for name, module in zip(names, modules, strict=True)]
    kind: Kind = kinds[0] if len({*kinds}) == 1 else "complex"
    if kind == "complex":
        if "height" in kinds:
            raise DataError("expected thicknesses in all of TorchOptics' elements or in none, but got some of each")
        maps = [np.exp(1j * one) if of == "phase" else one for one, of in zip(maps, kinds, strict=True)]
    weighed = [name for name, module in planes.items() if "weight" in module]
    notes = [f"TorchOptics: the weight of {name} is not taken, say in task how light is read" for name in weighed]
    detectors = [name for name in planes if name not in names and planes[name]["z"] > modules[-1]["z"]]
    at = [0.0, *(float(module["z"]) for module in modules), *(float(planes[name]["z"]) for name in detectors[:1])]
    gaps = [after - before for before, after in pairwise(at)]
    optics = {"pitch": _pitch(names, modules), **({"distances": gaps} if detectors and min(gaps) > 0 else {})}
    return ForeignLayers(
        "TorchOptics",
        names,
        maps,
        kind,
        lambda given: _travel(given, optics["pitch"], gaps),
        optics,
        notes=tuple(notes),
    )


def _own(name: str, module: _Module) -> str | None:
    """Return the name of what an element does to light; None if it only looks."""
    found = {*module} - _PLANE - {"weight"}
    if not found:
        return None
    if len(found) == 1 and (only := found.pop()) in _KINDS:
        if module[only].ndim == 2:
            return only
        raise DataError(
            f"expected modulators of scalar light in TorchOptics' weights, but {name} is one of polarised light: there "
            "is one polarisation here"
        )
    raise DataError(
        f"expected modulators and detectors in TorchOptics' weights, but {name} is another element, with "
        f"{', '.join(sorted({*module} - _PLANE))}: say in maps.layers which are layers, if light does not need it"
    )


def _pitch(names: Sequence[str], modules: Sequence[_Module]) -> float:
    pitches = np.concatenate([module["spacing"].ravel() for module in modules]).astype(np.float64)
    for name, module in zip(names, modules, strict=True):
        if module["offset"].any():
            raise DataError(f"expected planes around the axis in TorchOptics' weights, but {name} has an offset")
    if np.ptp(pitches) > _ROUNDING * pitches[0]:
        raise DataError(
            f"expected one spacing in all of TorchOptics' planes, but got some from {pitches.min():g} to "
            f"{pitches.max():g} m"
        )
    return float(f"{pitches[0]:.7g}")


def _travel(optics: OpticsConfig, pitch: float, gaps: Sequence[float]) -> Travel:
    """Refuse a geometry other than that of the planes; where light starts, before the first, is left to the design."""
    inner = list(zip(distances_of(optics)[1:], gaps[1:], strict=False))
    if not np.allclose(optics.pitches, pitch, rtol=_ROUNDING, atol=0):
        raise ConfigError(
            f"expected optics.pitch to be {pitch:g}, the spacing in TorchOptics' weights, but got {optics.pitch}: "
            "leave it out"
        )
    for number, (given, there) in enumerate(inner, start=1):
        if abs(given - there) > _ROUNDING * abs(there):
            raise ConfigError(
                f"expected optics.distances as the planes in TorchOptics' weights have them, {there:g} m behind layer "
                f"{number}, but got {given:g}: correct it"
            )
    return _TRAVEL
