"""Data sets of grey images as tensors."""

from __future__ import annotations

from voltphase.data.arrays import Arrays
from voltphase.data.base import DATASETS, SPLITS, DataSource, default_data_dir, load, splits_of
from voltphase.data.cifar import Cifar10
from voltphase.data.dataset import ImageDataset, grey, held_out
from voltphase.data.emnist import Emnist
from voltphase.data.given import Data, DataWarning, Images, check_together, dataset_of, given_datasets
from voltphase.data.mnist import FashionMnist, Kmnist, Mnist
from voltphase.data.pairs import PicturePairs
from voltphase.data.pictures import Pictures
from voltphase.data.small import Digits, LogicTable

__all__ = [
    "DATASETS",
    "SPLITS",
    "Arrays",
    "Cifar10",
    "Data",
    "DataSource",
    "DataWarning",
    "Digits",
    "Emnist",
    "FashionMnist",
    "ImageDataset",
    "Images",
    "Kmnist",
    "LogicTable",
    "Mnist",
    "PicturePairs",
    "Pictures",
    "check_together",
    "dataset_of",
    "default_data_dir",
    "given_datasets",
    "grey",
    "held_out",
    "load",
    "splits_of",
]
