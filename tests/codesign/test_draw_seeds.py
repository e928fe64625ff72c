from __future__ import annotations

import numpy as np
import pytest

from voltphase.codesign.draw_seeds import draw_seed


@pytest.mark.parametrize("seed", [0, 1, 2**31, 2**32 - 1, 2**32, 2**63 + 5, 2**64 + 3, 2**200 + 7])
def test_seeds_are_those_of_numpys_seed_sequence(seed: int) -> None:
    for draw in [0, 1, 255, 256, 257, 1000, 10**6, 2**32 - 257, 2**32 - 256, 2**32 - 1, 2**32, 2**40 + 1]:
        state = np.random.SeedSequence([seed, draw]).generate_state(1, np.uint64)[0]
        assert draw_seed(seed, draw) == int(state >> np.uint64(1))


def test_every_seed_of_a_training_is_numpys() -> None:
    found = [draw_seed(7, draw) for draw in range(1500)]
    assert found == [
        int(np.random.SeedSequence([7, draw]).generate_state(1, np.uint64)[0] >> np.uint64(1)) for draw in range(1500)
    ]
    assert len(set(found)) == 1500


def test_no_draw_comes_before_the_first() -> None:
    with pytest.raises(ValueError, match="negative"):
        draw_seed(0, -1)
