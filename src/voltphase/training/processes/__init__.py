"""Several processes that train one network: who they are, how they are started, and what they tell one another."""

from __future__ import annotations

from voltphase.training.processes.place import process_count
from voltphase.training.processes.ranks import ALONE, Ranks
from voltphase.training.processes.start import Call, is_first, training_together

__all__ = ["ALONE", "Call", "Ranks", "is_first", "process_count", "training_together"]
