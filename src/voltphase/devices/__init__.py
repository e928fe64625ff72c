"""What a pixel can be: measured tables in and out, models of devices, and whole panels."""

from __future__ import annotations

from voltphase.devices import models
from voltphase.devices.calibration import intensities as calibration
from voltphase.devices.device import Device
from voltphase.devices.models import MODELS, dmd, ferroelectric, lcos, model, phase_change, printed, ti_plm, tn_slm
from voltphase.devices.panel import DevicePanel
from voltphase.devices.response import FittedResponse, fit_response
from voltphase.devices.sources import find, load
from voltphase.devices.spectrum import DeviceSpectrum
from voltphase.devices.states import DeviceStates
from voltphase.devices.summary import DeviceWarning, Summary, summary
from voltphase.devices.tables.folder import load_folder, read_folder
from voltphase.devices.tables.load import load_table

__all__ = [
    "MODELS",
    "Device",
    "DevicePanel",
    "DeviceSpectrum",
    "DeviceStates",
    "DeviceWarning",
    "FittedResponse",
    "Summary",
    "calibration",
    "dmd",
    "ferroelectric",
    "find",
    "fit_response",
    "lcos",
    "load",
    "load_folder",
    "load_table",
    "model",
    "models",
    "phase_change",
    "printed",
    "read_folder",
    "summary",
    "ti_plm",
    "tn_slm",
]
