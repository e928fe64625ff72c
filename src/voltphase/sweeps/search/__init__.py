"""A search over settings: what it tries, how it goes on, and what it leaves."""

from __future__ import annotations

from voltphase.core.installed import needing_extras

with needing_extras():
    from voltphase.sweeps.search.settings import SweepConfig, read_sweep
    from voltphase.sweeps.search.sweep import SweepResult, folder_of, prepared_sweep, run_sweep

__all__ = ["SweepConfig", "SweepResult", "folder_of", "prepared_sweep", "read_sweep", "run_sweep"]
