"""What a laboratory has, made up: a table of 256 grey levels as a spreadsheet saves it, and a correction bitmap.

    python examples/laboratory.py

writes `slm.csv`, `flatness.bmp` and `panel.yaml` into the current folder; the README makes files to load of them.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

PANEL = """\
like: holoeye-pluto-2
name: left-slm
correction: {added: file, modulo: 256}
"""


def write(folder: Path) -> None:
    """Write the three files: a phase that rises unevenly to 2.2 pi, and a panel that is bent by some waves."""
    generator, grey = np.random.default_rng(0), np.arange(256)
    amplitude = 0.97 - 0.1 * np.sin(grey / 50) ** 2 + generator.normal(0, 0.003, 256)
    phase = 2.2 * np.pi * (grey / 255) ** 1.4 + generator.normal(0, 0.01, 256)
    # As a spreadsheet in a country of decimal commas saves a table.
    rows = [
        ";".join(f"{value:.6g}".replace(".", ",") for value in row) for row in zip(grey, amplitude, phase, strict=True)
    ]
    (folder / "slm.csv").write_text("\r\n".join(["Grey level;Amplitude;Phase [rad]", *rows]), encoding="utf-8-sig")
    y, x = np.mgrid[-0.5625:0.5625:1080j, -1:1:1920j]
    bent = np.round(190 * (x**2 + y**2) + 80 * x * y + 53 * y)
    Image.fromarray((bent % 256).astype(np.uint8)).save(folder / "flatness.bmp")
    (folder / "panel.yaml").write_text(PANEL, encoding="utf-8")


if __name__ == "__main__":
    write(Path())
