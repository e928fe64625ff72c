"""A data set of another package that loads something else than images, or fails."""

from __future__ import annotations

import re

import pytest
import torch

from voltphase.core.errors import DataError
from voltphase.data import DATASETS, load


class Loads:
    def __init__(self, found: object) -> None:
        self.found = found

    def load(self, split: str, *, download: bool = True) -> object:
        if isinstance(self.found, Exception):
            raise self.found
        return self.found


class NoDownload:
    def load(self, split: str) -> None: ...


PAIR = (torch.ones(2, 4, 4), torch.zeros(2))


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (
            lambda: Loads(None),
            "expected an ImageDataset of the data set theirs, but got None: return one from its load",
        ),
        (lambda: Loads(3), "but got 3"),
        (lambda: Loads(PAIR), "but got (tensor("),
        (lambda: Loads(OSError("gone")), "a data set 'theirs' failed: OSError: gone: correct it"),
        (lambda: object(), "failed: AttributeError: 'object' object has no attribute 'load'"),
        (NoDownload, "failed: TypeError: NoDownload.load() got an unexpected keyword argument 'download'"),
    ],
)
def test_what_another_package_loads_is_checked(made: object, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(DATASETS, "_entries", dict(DATASETS))
    DATASETS.register("theirs")(made)  # pyright: ignore[reportArgumentType]
    with pytest.raises(DataError, match=re.escape(words)):
        load("theirs", "train")
