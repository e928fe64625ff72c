"""Several designs trained at once, each to what it comes to alone."""

from __future__ import annotations

from voltphase.training.several.together import train_several

__all__ = ["train_several"]
