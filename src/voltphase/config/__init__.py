"""What a training run is made of, as checked settings read from YAML."""

from __future__ import annotations

from voltphase.config.load import Preset, load_config, parse_config, presets, recipes
from voltphase.config.sections import (
    CodesignConfig,
    Config,
    DataConfig,
    DeviceConfig,
    OpticsConfig,
    ReadoutConfig,
    RelaxationConfig,
    ScheduleConfig,
    TrainingConfig,
)

__all__ = [
    "CodesignConfig",
    "Config",
    "DataConfig",
    "DeviceConfig",
    "OpticsConfig",
    "Preset",
    "ReadoutConfig",
    "RelaxationConfig",
    "ScheduleConfig",
    "TrainingConfig",
    "load_config",
    "parse_config",
    "presets",
    "recipes",
]
