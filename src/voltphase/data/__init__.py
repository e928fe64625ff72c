"""Data sets of grey images as tensors of bytes."""

from __future__ import annotations

from voltphase.data.base import DATASETS, SPLITS, DataSource, default_data_dir, load
from voltphase.data.dataset import ImageDataset, Pair, dataset_of
from voltphase.data.digits import Digits
from voltphase.data.mnist import FashionMnist, Mnist

__all__ = [
    "DATASETS",
    "SPLITS",
    "DataSource",
    "Digits",
    "FashionMnist",
    "ImageDataset",
    "Mnist",
    "Pair",
    "dataset_of",
    "default_data_dir",
    "load",
]
