"""Diffractive optical neural networks for the devices a laboratory really has.

Names are loaded when they are first used, so that ``import voltphase`` takes no time and ``voltphase.Propagator``
needs no library for training or plotting.

Examples:
    >>> import voltphase as vp
    >>> vp.Grid((200, 200), pitch=36e-6).shape
    (200, 200)
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from voltphase import (
        cli,
        codesign,
        config,
        core,
        data,
        deployment,
        devices,
        importing,
        loggers,
        network,
        optics,
        panels,
        reporting,
        reproduction,
        settings,
        sweeps,
        tasks,
        training,
        validation,
    )
    from voltphase.codesign import (
        CodesignLayer,
        GumbelSoftmax,
        LinearSchedule,
        PostTraining,
        Proximity,
        QuantizationAware,
        ReinMax,
        Softmax,
        Unconstrained,
    )
    from voltphase.core.errors import VoltphaseError
    from voltphase.deployment import verify
    from voltphase.devices import DeviceStates
    from voltphase.network.detectors import Detectors
    from voltphase.network.donn import DONN
    from voltphase.network.networks import Networks
    from voltphase.optics import ImageSource, Propagator
    from voltphase.optics.grid import Grid
    from voltphase.optics.skips import Skip
    from voltphase.optics.stack import Stack
    from voltphase.sweeps.search.call import sweep
    from voltphase.tasks import RegionReadout, Regions
    from voltphase.workflow import deploy, import_design, load_run, report, save, train

    __version__: str

__all__ = [
    "DONN",
    "CodesignLayer",
    "Detectors",
    "DeviceStates",
    "Grid",
    "GumbelSoftmax",
    "ImageSource",
    "LinearSchedule",
    "Networks",
    "PostTraining",
    "Propagator",
    "Proximity",
    "QuantizationAware",
    "RegionReadout",
    "Regions",
    "ReinMax",
    "Skip",
    "Softmax",
    "Stack",
    "Unconstrained",
    "VoltphaseError",
    "__version__",
    "cli",
    "codesign",
    "config",
    "core",
    "data",
    "deploy",
    "deployment",
    "devices",
    "import_design",
    "importing",
    "load_run",
    "loggers",
    "network",
    "optics",
    "panels",
    "report",
    "reporting",
    "reproduction",
    "save",
    "settings",
    "sweep",
    "sweeps",
    "tasks",
    "train",
    "training",
    "validation",
    "verify",
]

_NAMES = {
    "codesign": "CodesignLayer GumbelSoftmax LinearSchedule PostTraining Proximity QuantizationAware ReinMax Softmax "
    "Unconstrained",
    "core.errors": "VoltphaseError",
    "deployment": "verify",
    "devices": "DeviceStates",
    "network.detectors": "Detectors",
    "network.donn": "DONN",
    "network.networks": "Networks",
    "optics": "ImageSource Propagator",
    "optics.grid": "Grid",
    "optics.skips": "Skip",
    "optics.stack": "Stack",
    "tasks": "RegionReadout Regions",
    "sweeps.search.call": "sweep",
    "workflow": "deploy import_design load_run report save train",
}
#: The module that each name comes from; the other names are subpackages.
_HOMES = {name: home for home, names in _NAMES.items() for name in names.split()}


def __getattr__(name: str) -> Any:
    # Loaded when asked for: PyTorch takes seconds, in which a command line that imports it cannot be ended in order.
    if name not in __all__:
        raise AttributeError(f"module 'voltphase' has no attribute {name!r}")
    from voltphase.core.installed import needing_extras, package_version

    if name == "__version__":
        return package_version()
    with needing_extras():
        if name not in _HOMES:
            return import_module(f"voltphase.{name}")
        value = globals()[name] = getattr(import_module(f"voltphase.{_HOMES[name]}"), name)
    return value


def __dir__() -> list[str]:
    return sorted({*__all__, *(name for name in globals() if name.startswith("__"))})
