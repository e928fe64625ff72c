"""Data sets without files: the handwritten digits that come with scikit-learn, and truth tables of logic."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Final, Literal, get_args

import numpy as np
import torch
from annotated_types import Ge
from torch import Tensor

from voltphase.core import checks
from voltphase.core.errors import DataError
from voltphase.data.base import DATASETS
from voltphase.data.dataset import ImageDataset, held_out

# One digit in five is held out, drawn once for each class: another share or seed is another data set, whose
# accuracies cannot be compared.
_TEST_SHARE = 0.2
_SPLIT_SEED = 20220209

Gate = Literal["and", "or", "nand", "nor", "xor", "half-adder", "full-adder"]
# The output bits for each row of inputs, which count up as binary numbers do.
_TABLES: Final[dict[str, list[list[int]]]] = {
    "and": [[0], [0], [0], [1]],
    "or": [[0], [1], [1], [1]],
    "nand": [[1], [1], [1], [0]],
    "nor": [[1], [0], [0], [0]],
    "xor": [[0], [1], [1], [0]],
    "half-adder": [[0, 0], [1, 0], [1, 0], [0, 1]],  # sum and carry
    "full-adder": [[0, 0], [1, 0], [1, 0], [0, 1], [1, 0], [0, 1], [0, 1], [1, 1]],
}
_PORT: Final = 4  # pixels of a port's side, and of the dark between two


@DATASETS.register("digits")
@dataclass(frozen=True)
class Digits:
    """Handwritten digits, 8 x 8, values 0 to 16 scaled to 0 to 255, one in five held out; nothing to download."""

    def load(self, split: str, *, download: bool = True) -> ImageDataset:
        images, labels = _digits()
        test = held_out(labels, _TEST_SHARE, _SPLIT_SEED)
        chosen = test if split == "test" else ~test
        return ImageDataset(images[chosen], labels[chosen], "digits", tuple("0123456789"))


@lru_cache(maxsize=1)  # scikit-learn reads a text of numbers anew each time
def _digits() -> tuple[Tensor, Tensor]:
    from sklearn.datasets import load_digits

    values, targets = load_digits(return_X_y=True)
    scaled = np.rint(np.asarray(values).reshape(-1, 8, 8) * (255 / 16)).astype(np.uint8)
    return torch.from_numpy(scaled), torch.as_tensor(np.asarray(targets), dtype=torch.int64)


@DATASETS.register("logic")
@dataclass(frozen=True)
class LogicTable:
    """A truth table by ports: two squares for each input bit, of which the left is lit for 0 and the right for 1.

    So every row of the table has as much light. Targets are the output bits, for the task ``logic``; the test images
    are the rows of the table.

    Args:
        table: Name of a gate; or the output bits for each row of the inputs, such as [[0], [1], [1], [0]] of ``xor``.
        count: Number of training images, the rows of the table by turns.

    Raises:
        DataError: if the table is none.

    Examples:
        >>> LogicTable("xor").load("test")
        ImageDataset('logic', 4 images of 16 x 16, targets of shape (4, 1) of int64)
    """

    table: Gate | Sequence[Sequence[Annotated[int, Ge(0)]]] = "half-adder"
    count: Annotated[int, Ge(1)] = 400

    def __post_init__(self) -> None:
        advice = f"give output bits for each row of the inputs, or one of {', '.join(get_args(Gate))}"
        checks.whole(self.count, "a number of images", least=1, error=DataError)
        if isinstance(self.table, str) and self.table in _TABLES:
            return
        given = checks.items(self.table, "a truth table", error=DataError, advice=advice)
        rows = [checks.items(row, "a row of a truth table", error=DataError, advice=advice) for row in given]
        sizes = {len(row) for row in rows}
        fits = len(rows) > 1 and not len(rows) & (len(rows) - 1) and len(sizes) == 1 and 0 not in sizes
        if not fits or any(bit not in (0, 1) for row in rows for bit in row):
            raise DataError(
                f"expected 2, 4, 8 or so rows of as many bits each, 0 or 1, as a truth table, but got "
                f"{checks.shown(self.table)}: {advice}"
            )

    def load(self, split: str, *, download: bool = True) -> ImageDataset:
        table = _TABLES[self.table] if isinstance(self.table, str) else self.table
        rows, bits = len(table), len(table).bit_length() - 1
        images = torch.zeros(rows, 2 * _PORT * bits, 4 * _PORT, dtype=torch.uint8)
        for row in range(rows):
            for bit in range(bits):
                top, left = _PORT * (2 * bit) + _PORT // 2, _PORT // 2 + 2 * _PORT * (row >> (bits - 1 - bit) & 1)
                images[row, top : top + _PORT, left : left + _PORT] = 255
        order = torch.arange(self.count if split == "train" else rows) % rows
        return ImageDataset(images[order], torch.tensor([list(row) for row in table])[order], "logic")
