"""Measure what large systems and large data sets take, and keep it for docs/scale.md.

    python -m benchmarks.scale                    # about ten minutes of one core, and 8 GB of memory
    python -m benchmarks.scale --only checkpointing

Each training runs in a process of its own, on one thread; its time is that of the CPU, which other work on the machine
changes little. ``python scripts/results.py render`` writes the page.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from dataclasses import asdict, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from benchmarks.scale.points import FILE, KINDS, Point, apart, main, write_images
from voltphase.core.files import write_json
from voltphase.training.provenance import commit, hardware, versions

RESULTS: Final = Path(__file__).resolve().parents[1] / "results" / "scale-cpu.json"
POINTS: Final[dict[str, list[Point]]] = {
    "checkpointing": [
        Point(size, depth, batch, steps=2, checkpointed=checkpointed)
        for size, depth, batch in ((64, 5, 500), (200, 20, 100), (1000, 10, 4))
        for checkpointed in (False, True)
    ],
    "fitting": [
        Point(400, 5, 32),
        Point(400, 5, 8),
        Point(400, 5, 1),
        Point(400, 5, 32, levels=256),
        Point(400, 5, 8, levels=64, relaxation="gumbel-softmax"),
        Point(1000, 20, 2, levels=256, steps=2, checkpointed=True),
    ],
    "largest": [
        Point(2000, 10, 1, steps=2, checkpointed=True),
        Point(2000, 10, 4, steps=1, checkpointed=True),
    ],
}


def measure(only: list[str], *, again: bool) -> None:
    """Measure what is asked for and what was not measured before, or all of it again."""
    kept: dict[str, Any] = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.is_file() else {}
    for name in only:
        if name == "data":
            kept[name] = _data()
        else:
            kept[name] = [row for row in kept.get(name, ()) if not again and _point(row) in POINTS[name]]
            for point in POINTS[name]:
                if point not in map(_point, kept[name]):
                    kept[name].append(_said(apart("training", asdict(point))))
                    _write(kept)
            kept[name].sort(key=lambda row: POINTS[name].index(_point(row)))
        _write(kept)


def _point(row: dict[str, Any]) -> Point:
    return Point(**{field.name: row[field.name] for field in fields(Point)})


def _write(kept: dict[str, Any]) -> None:
    kept |= {"date": datetime.now(UTC).date().isoformat(), "commit": commit(), "versions": versions()}
    write_json(RESULTS, kept | {"processor": hardware()["processor"]})


def _data() -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        write_images(Path(folder))
        systems = [{"size": 16, "depth": 1}, {"size": 64, "depth": 5}]
        fetched = [apart("fetching", {"folder": folder, "batch": 500, "steps": 9, **system}) for system in systems]
    for row in fetched:
        del row["folder"]
    return {"file_bytes": FILE, "fetching": list(map(_said, fetched))}


def _said(row: dict[str, Any]) -> dict[str, Any]:
    print(row, file=sys.stderr, flush=True)
    return row


if __name__ == "__main__":
    if len(sys.argv) == 3 and sys.argv[1] in KINDS:
        main(*sys.argv[1:])
    else:
        parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
        parser.add_argument("--only", nargs="+", choices=[*POINTS, "data"], default=[*POINTS, "data"])
        parser.add_argument("--again", action="store_true", help="measure anew what is kept already")
        arguments = parser.parse_args()
        measure(arguments.only, again=arguments.again)
