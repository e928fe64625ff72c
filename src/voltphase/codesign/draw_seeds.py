"""Seeds of a layer's draws: those of NumPy's SeedSequence, many at once."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

_AT_ONCE: Final = 256
_WORD: Final = 0xFFFFFFFF
_POOL: Final = 4
# Constants of numpy.random.SeedSequence, whose streams are promised to stay as they are.
_INTO_POOL: Final = (0x43B0D7E5, 0x931E8875)
_OUT_OF_POOL: Final = (0x8B51F9DD, 0x58F38DED)
_MIX: Final = (np.uint32(0xCA01F9DD), np.uint32(0x4973F715))

Words = NDArray[np.uint32]


def draw_seed(seed: int, draw: int) -> int:
    """Return the first 63 bits of the stream ``[seed, draw]`` of :class:`numpy.random.SeedSequence`.

    They are found for 256 draws in a row: one by one they take the host longer than a GPU takes to be told of a step.

    Args:
        seed: Seed of the layer, at least 0.
        draw: Number of the draw, at least 0.

    Examples:
        >>> draw_seed(3, 1000) == int(np.random.SeedSequence([3, 1000]).generate_state(1, np.uint64)[0] >> 1)
        True
    """
    if not 0 <= draw <= _WORD - _AT_ONCE:
        return int(np.random.SeedSequence([seed, draw]).generate_state(1, np.uint64)[0] >> np.uint64(1))
    return _seeds(seed, draw // _AT_ONCE)[draw % _AT_ONCE]


@lru_cache(maxsize=256)
def _seeds(seed: int, block: int) -> list[int]:
    draws = np.arange(block * _AT_ONCE, (block + 1) * _AT_ONCE, dtype=np.uint32)
    words = [np.full(_AT_ONCE, word, np.uint32) for word in _words(seed)] + [draws]
    hashed = _hashing(*_INTO_POOL)
    pool = [hashed(words[place] if place < len(words) else np.zeros_like(draws)) for place in range(_POOL)]
    for source in range(_POOL):
        for place in range(_POOL):
            if place != source:
                pool[place] = _mixed(pool[place], hashed(pool[source]))
    for word in words[_POOL:]:
        pool = [_mixed(old, hashed(word)) for old in pool]
    hashed = _hashing(*_OUT_OF_POOL)
    low, high = (hashed(word).astype(np.uint64) for word in pool[:2])
    return [int(value) for value in (low | high << np.uint64(32)) >> np.uint64(1)]


def _words(number: int) -> list[int]:
    """Return the words of 32 bits of a number, from the lowest."""
    return [number >> shift & _WORD for shift in range(0, max(number.bit_length(), 1), 32)]


def _hashing(constant: int, factor: int) -> Callable[[Any], Words]:
    def hashed(words: Words) -> Words:
        nonlocal constant
        mixed = words ^ np.uint32(constant)
        constant = constant * factor & _WORD
        mixed = mixed * np.uint32(constant)
        return mixed ^ mixed >> np.uint32(16)

    return hashed


def _mixed(one: Words, other: Words) -> Words:
    mixed = one * _MIX[0] - other * _MIX[1]
    return mixed ^ mixed >> np.uint32(16)
