"""What a training run is made of, as checked settings read from YAML."""

from __future__ import annotations

from voltphase.core.installed import needing_extras

with needing_extras():
    from voltphase.config.load import (
        Preset,
        Source,
        current_settings,
        load_config,
        parse_config,
        presets,
        read_source,
        recipes,
    )
    from voltphase.config.sections import (
        CodesignConfig,
        Config,
        DataConfig,
        DeviceConfig,
        OpticsConfig,
    )
    from voltphase.config.training import HOW_IT_RUNS, TrainingConfig

__all__ = [
    "HOW_IT_RUNS",
    "CodesignConfig",
    "Config",
    "DataConfig",
    "DeviceConfig",
    "OpticsConfig",
    "Preset",
    "Source",
    "TrainingConfig",
    "current_settings",
    "load_config",
    "parse_config",
    "presets",
    "read_source",
    "recipes",
]
