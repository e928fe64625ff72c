"""What the tests of imported designs share: how one is written into a folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

OPTICS = {"wavelength": 532e-9, "pitch": 36e-6, "distances": 0.02}

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """A function that writes a design of arrays, with what its file says, and returns its folder."""

    def write(*maps: np.ndarray, said: dict[str, Any] | None = None, **sections: Any) -> Path:
        folder = tmp_path / "design"
        folder.mkdir(exist_ok=True)
        names = [f"layer-{number}.npy" for number in range(1, len(maps) + 1)]
        for name, numbers in zip(names, maps, strict=True):
            np.save(folder / name, numbers)
        files = {"files": names} if maps else {}
        content = {"optics": OPTICS, **sections, "maps": {**files, **(said or {})}}
        (folder / "design.yaml").write_text(yaml.safe_dump(content))
        return folder

    return write
