"""Diffractive optical neural networks for the devices a laboratory really has."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from voltphase import codesign, devices, optics
    from voltphase.codesign import CodesignLayer, GumbelSoftmax, LinearSchedule
    from voltphase.core.errors import VoltphaseError
    from voltphase.devices import DeviceStates
    from voltphase.network.donn import DONN
    from voltphase.optics import ImageSource, Propagator
    from voltphase.optics.grid import Grid
    from voltphase.tasks.region_readout import RegionReadout, Regions

__all__ = [
    "DONN",
    "CodesignLayer",
    "DeviceStates",
    "Grid",
    "GumbelSoftmax",
    "ImageSource",
    "LinearSchedule",
    "Propagator",
    "RegionReadout",
    "Regions",
    "VoltphaseError",
    "codesign",
    "devices",
    "optics",
]

_HOMES = {
    "DONN": "network.donn",
    "CodesignLayer": "codesign",
    "DeviceStates": "devices",
    "Grid": "optics.grid",
    "GumbelSoftmax": "codesign",
    "ImageSource": "optics",
    "LinearSchedule": "codesign",
    "Propagator": "optics",
    "RegionReadout": "tasks.region_readout",
    "Regions": "tasks.region_readout",
    "VoltphaseError": "core.errors",
}


def __getattr__(name: str) -> Any:
    # Loaded when asked for: PyTorch takes seconds, in which a command line that imports it cannot be ended in order.
    if name in _HOMES:
        value = getattr(import_module(f"voltphase.{_HOMES[name]}"), name)
        globals()[name] = value
        return value
    if not name.startswith("_") and find_spec(f"voltphase.{name}") is not None:
        return import_module(f"voltphase.{name}")
    raise AttributeError(f"module 'voltphase' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
