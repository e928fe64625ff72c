"""``python -m benchmarks``: see ``python -m benchmarks --help``."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import torch

from benchmarks.contenders import CONTENDERS, DEFAULT, Setting
from benchmarks.measuring import Row, machine, measure, own_peak
from benchmarks.versions import compare
from voltphase.core.files import write_json

RESULTS = Path(__file__).parent / "results"
SIZES = (64, 100, 200, 400, 800)
LEVELS = (2, 4, 8, 16, 32, 64, 128, 256, 512, 784)
BATCHES = (16, 100, 500)
BY_SIZE = ("voltphase", "voltphase-matrix", "voltphase-fft", "floor-matrix", "floor-fft", "torch-fft")


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what the command line asks for."""
    options = _parser().parse_args((sys.argv[1:] if arguments is None else arguments) or ["all"])
    if options.threads:
        torch.set_num_threads(options.threads)
    if options.command == "peak":
        print(own_peak(options.name, Setting(**json.loads(options.setting))))
        return 0
    if options.peers is not None:
        # Behind everything else, so that only what is not installed comes from there.
        sys.path.append(str(options.peers.resolve()))
    if options.command == "figure":
        from benchmarks.figure import draw_figure

        draw_figure(RESULTS, options.out)
        return 0
    if options.command == "versions":
        found = []
        for row in compare(options.old, rounds=options.rounds, threads=options.threads or torch.get_num_threads()):
            found.append({**row, **machine("cpu")})
            print(
                f"{row['method']:<18}{row['size']:>5}{row['old_ms_per_image']:>10.3f}{row['new_ms_per_image']:>10.3f} "
                f"ms an image, ratio {row['ratio']:.3f}; memory ratio {row['memory_ratio']:.3f}",
                flush=True,
            )
        write_json(options.json or RESULTS / "versions-cpu.json", found)
        return 0
    chosen = ("step", "sizes", "levels") if options.command == "all" else (options.command,)
    for command in chosen:
        rows = _rows(command, options)
        path = options.json or RESULTS / f"{command}-{options.device}.json"
        write_json(path, rows)
        print(f"wrote {path}")
    return 0


def _rows(command: str, options: argparse.Namespace) -> list[Row]:
    setting = Setting(options.size, options.depth, options.levels, options.batch, options.device, options.seed)
    where = {**machine(options.device), "rounds": options.rounds}
    rows: list[Row] = []
    for names, cell in _cells(command, options.contenders, setting, every_batch=options.command == "all"):
        measured = measure(names, cell, rounds=options.rounds, longest=options.longest, memory=options.memory)
        _show(measured)
        rows += [{**row, **where} for row in measured]
    return rows


def _cells(
    command: str, contenders: Sequence[str] | None, setting: Setting, *, every_batch: bool
) -> Iterable[tuple[Sequence[str], Setting]]:
    if command == "sizes":
        for size in SIZES:
            # About as many samples in each step, and enough images to share what is done once a step.
            batch = min(max(4_000_000 // size**2, 8), 500)
            yield contenders or BY_SIZE, replace(setting, size=size, batch=batch)
    elif command == "levels":
        for levels in LEVELS:
            yield contenders or ("voltphase",), replace(setting, levels=levels, batch=500)
    else:
        for batch in BATCHES if every_batch else (setting.batch,):
            # A step of 100 images takes minutes with TorchOptics.
            default = DEFAULT if batch <= BATCHES[0] else [name for name in DEFAULT if name != "torchoptics"]
            yield contenders or default, replace(setting, batch=batch)


def _show(rows: list[Row]) -> None:
    columns = ("train_ms_per_image", "infer_ms_per_image", "peak_memory_mb")
    first = rows[0]
    print(
        f"{first['size']} x {first['size']}, depth {first['depth']}, {first['levels']} levels, batch {first['batch']}, "
        f"{first['device']}, {first['threads']} threads"
    )
    print(f"{'name':<20}" + "".join(f"{column:>20}" for column in columns))
    for row in rows:
        cells = "".join(f"{row[column]:>20.3f}" if row.get(column) is not None else f"{'-':>20}" for column in columns)
        print(f"{row['name']:<20}{cells}  {row.get('error', '')}", flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--size", type=int, default=200, help="samples along each side of a plane")
    shared.add_argument("--depth", type=int, default=5, help="number of layers")
    shared.add_argument("--levels", type=int, default=8, help="states of each device")
    shared.add_argument("--batch", type=int, default=16, help="images in a step")
    shared.add_argument("--device", default="cpu")
    shared.add_argument("--seed", type=int, default=0)
    shared.add_argument("--rounds", type=_at_least_one, default=7, help="how often each contender is timed, in turns")
    shared.add_argument("--longest", type=float, default=60.0, help="seconds one contender's steps may take together")
    shared.add_argument("--threads", type=int, default=0, help="0: as many as torch takes")
    shared.add_argument("--memory", action=argparse.BooleanOptionalAction, default=True, help="measure peak memory")
    shared.add_argument("--peers", type=Path, help="a folder with other packages to compare with, if not installed")
    shared.add_argument("--contenders", nargs="+", choices=list(CONTENDERS), help="whom to measure")
    shared.add_argument("--json", type=Path, help="where to write the rows")
    for name, text in (
        ("step", "training step and inference of one cell"),
        ("sizes", "voltphase with each engine over sizes"),
        ("levels", "voltphase over numbers of levels, batch 500"),
        ("all", "all of these, at batches 16, 100 and 500, into benchmarks/results; the default"),
    ):
        commands.add_parser(name, parents=[shared], help=text)
    figure = commands.add_parser("figure", help="draw the committed results")
    figure.add_argument("--out", type=Path, default=Path("docs/figures/speed.png"))
    figure.set_defaults(peers=None, threads=0)
    versions = commands.add_parser("versions", help="a training step of this version against another one's, in turns")
    versions.add_argument("--old", type=Path, required=True, help="folder of a checkout of the other version")
    versions.add_argument("--rounds", type=_at_least_one, default=15, help="how often each version is timed, in turns")
    versions.add_argument("--threads", type=int, default=0, help="0: as many as torch takes")
    versions.add_argument("--json", type=Path, help="where to write the rows")
    versions.set_defaults(peers=None)
    peak = commands.add_parser("peak")
    peak.add_argument("name")
    peak.add_argument("setting")
    peak.add_argument("--threads", type=int, default=0)
    return parser


def _at_least_one(text: str) -> int:
    count = int(text)
    if count < 1:
        raise argparse.ArgumentTypeError(f"expected 1 or more, but got {count}")
    return count


if __name__ == "__main__":
    sys.exit(main())
