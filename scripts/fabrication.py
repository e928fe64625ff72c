"""How long fabrication targets take for a random design, and how large their files are.

python scripts/fabrication.py --size 500 --levels 4
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np

from voltphase.deployment.targets import Gds, Heights, Layer, Stl
from voltphase.devices import model
from voltphase.optics.grid import Grid


def main() -> None:
    """Print a line for each target."""
    parser = argparse.ArgumentParser(description="Time and size of fabrication targets.")
    parser.add_argument("--size", type=int, default=500, help="rows and columns of the design")
    parser.add_argument("--levels", type=int, default=4, help="levels of the device")
    given = parser.parse_args()
    layer = Layer(1, Grid(given.size, pitch=36e-6), model("printed", given.levels), 532e-9)
    levels = np.random.default_rng(0).integers(0, given.levels, layer.grid.shape)
    for target in (Gds(), Gds(layers="terraces"), Gds(layers="masks"), Stl(), Heights()):
        with tempfile.TemporaryDirectory() as place:
            folder, began = Path(place), time.perf_counter()
            written = target.write(folder, [layer], [levels])
            contents = {path.name: path.read_bytes() for path in folder.iterdir()}
            wrote = time.perf_counter()
            (found,) = target.read([layer], written, contents)
            read = time.perf_counter()
        assert np.array_equal(found, levels)
        sizes = ", ".join(f"{name} {len(content) / 1e6:.2f} MB" for name, content in contents.items())
        print(f"{target}: written in {wrote - began:.2f} s, read in {read - wrote:.2f} s; {sizes}")


if __name__ == "__main__":
    main()
