"""What is asked of the light: readouts, losses and metrics."""

from __future__ import annotations

from voltphase.tasks.base import TASKS, Metric, Readout, RegionSums, Task, all_outputs, loss_of, readout_of
from voltphase.tasks.classification import Classification
from voltphase.tasks.hybrid import ElectronicReadout, Hybrid
from voltphase.tasks.image import Image
from voltphase.tasks.logic import Logic
from voltphase.tasks.region_readout import Measure, RegionReadout, require_regions
from voltphase.tasks.regions import Regions
from voltphase.tasks.regression import Regression
from voltphase.tasks.segmentation import MaskWarning, Segmentation
from voltphase.tasks.window_readout import WindowReadout

__all__ = [
    "TASKS",
    "Classification",
    "ElectronicReadout",
    "Hybrid",
    "Image",
    "Logic",
    "MaskWarning",
    "Measure",
    "Metric",
    "Readout",
    "RegionReadout",
    "RegionSums",
    "Regions",
    "Regression",
    "Segmentation",
    "Task",
    "WindowReadout",
    "all_outputs",
    "loss_of",
    "readout_of",
    "require_regions",
]
