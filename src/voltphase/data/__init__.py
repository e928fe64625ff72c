"""Data sets of grey images as tensors."""

from __future__ import annotations

from voltphase.data.arrays import Arrays
from voltphase.data.base import DATASETS, SPLITS, DataSource, default_data_dir, load
from voltphase.data.dataset import ImageDataset, grey
from voltphase.data.digits import Digits
from voltphase.data.given import Data, DataWarning, Images, check_together, dataset_of, given_datasets
from voltphase.data.mnist import FashionMnist, Mnist
from voltphase.data.pictures import Pictures

__all__ = [
    "DATASETS",
    "SPLITS",
    "Arrays",
    "Data",
    "DataSource",
    "DataWarning",
    "Digits",
    "FashionMnist",
    "ImageDataset",
    "Images",
    "Mnist",
    "Pictures",
    "check_together",
    "dataset_of",
    "default_data_dir",
    "given_datasets",
    "grey",
    "load",
]
