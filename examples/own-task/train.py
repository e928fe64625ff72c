"""A task of one's own, which strips.py beside this file is, from Python and with nothing to install.

python examples/own-task/train.py strips
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import strips  # noqa: F401 - registers the task

import voltphase as vp


def main(folder: Path, overrides: Sequence[str] = ()) -> None:
    """Train, report, deploy and verify."""
    config = vp.config.load_config(Path(__file__).with_name("strips.yaml"), overrides)
    run = vp.train(config, out=folder / "run")
    result = vp.verify(vp.deploy(run, folder / "bench"))
    print(f"report: {vp.report(run)}; {result.verdict}")
    print(f"accuracy {run.summary['test_accuracy']:.4f}, among the two most likely {run.summary['test_top_two']:.4f}")


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        sys.exit("usage: python train.py FOLDER, a new one")
    main(Path(sys.argv[1]))
