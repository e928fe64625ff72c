"""Data sets of grey images as tensors of bytes."""

from __future__ import annotations

from voltphase.data.dataset import ImageDataset
from voltphase.data.sources import NAMES, SPLITS, default_data_dir, load

__all__ = ["NAMES", "SPLITS", "ImageDataset", "default_data_dir", "load"]
