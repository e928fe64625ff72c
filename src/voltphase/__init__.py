"""Diffractive optical neural networks for the devices a laboratory really has."""

from __future__ import annotations

from voltphase import codesign, devices, optics
from voltphase.codesign import CodesignLayer, GumbelSoftmax, LinearSchedule
from voltphase.devices import DeviceStates
from voltphase.errors import VoltphaseError
from voltphase.grid import Grid
from voltphase.model import DONN
from voltphase.optics import ImageSource, Propagator
from voltphase.readout import RegionReadout, Regions

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
