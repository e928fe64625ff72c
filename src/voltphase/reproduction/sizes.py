"""How large the experiments are: in seconds, on a CPU in hours, or as in the paper.

What only one experiment needs to know of its size stands beside that experiment, under the names of these sizes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

_MODELLED: Final = {"model": "tn-slm"}
_PAPER_LAMBDAS: Final = {1: 90.0, 3: 5.0, 5: 1.8}
_DATA: Final = {"mnist": "mnist-small", "fashion-mnist": "fashion-small"}


@dataclass(frozen=True)
class Size:
    """What all experiments of a size share."""

    name: str  # as users type it after --preset
    description: str  # what it costs and what for, in a line
    systems: Mapping[str, str] = field(default_factory=lambda: _DATA)  # configuration by the name of the data set
    settings: Mapping[str, Any] = field(default_factory=dict)  # of all runs, over those of the system
    depths: Mapping[int, float] = field(default_factory=lambda: _PAPER_LAMBDAS)  # of table 1, with the paper's lambda
    # The best at this size: lambda by depth (of the study's sweep, or the paper's at its size), learning rate by
    # baseline, and the rates of free phases that are best on one data set or another.
    best_lambdas: Mapping[int, float] = field(default_factory=lambda: _PAPER_LAMBDAS)
    best_rates: Mapping[str, float] = field(default_factory=lambda: {"ptq": 0.1, "qat": 0.03})
    free_rates: tuple[float, ...] = (0.03, 0.3)
    conclusive: bool = True  # whether results can speak for the paper's claims, or against them
    device: Mapping[str, str] = field(default_factory=lambda: _MODELLED)  # but of figure 4 and of mixed devices
    fine_device: str = "lcos-1024.csv"  # path of the table of figure 4's, which has more than 784 states
    machine: Mapping[str, Any] = field(default_factory=dict)  # settings that no result depends on

    @property
    def deepest(self) -> int:
        """The most layers of table 1, which most experiments have."""
        return max(self.depths)

    def best_lambda(self, depth: int) -> float:
        """Return the best lambda of a depth; the geometric mean of its neighbours' if table 1 leaves it out."""
        known = self.best_lambdas
        if depth in known:
            return known[depth]
        below, above = max(other for other in known if other < depth), min(other for other in known if other > depth)
        return (known[below] * known[above]) ** 0.5

    def on(
        self,
        device_file: str | Path | None,
        *,
        fine_device: str | Path = "lcos-1024.csv",
        data_dir: str | Path | None = None,
        threads: int | None = None,
    ) -> Size:
        """Return this size on a machine and with a measured device; with a modelled one if None."""
        device = _MODELLED if device_file is None else {"file": str(Path(device_file).resolve())}
        data = None if data_dir is None else str(Path(data_dir).resolve())
        machine = {"data.dir": data, "training.threads": threads}
        return replace(self, device=device, fine_device=str(fine_device), machine=machine)


#: What is said in place of conclusions where there can be none.
INCONCLUSIVE: Final = (
    "This is a smoke run: a toy system, trained for a moment. It shows that all of it runs; its accuracies are near "
    "chance and speak neither for the paper nor against it."
)

SIZES: Final[dict[str, Size]] = {
    size.name: size
    for size in (
        Size(
            "smoke",
            "scikit-learn's digits, a system of toy size: shows in seconds that all of it runs",
            systems={"digits": "digits"},
            settings={
                "optics.size": 16,
                "optics.distances": 0.02,
                "data.train_limit": 60,
                "data.test_limit": 40,
                "training.batch_size": 30,
            },
            depths={1: 90.0, 2: 20.0},
            best_lambdas={1: 90.0, 2: 30.0},
            best_rates={"ptq": 0.1, "qat": 0.1},
            free_rates=(0.03,),
            conclusive=False,
        ),
        Size(
            "cpu",
            "64 x 64, all images, 5 or 10 epochs: the paper's five in about 2.5 hours of two cores",
            best_lambdas={1: 90.0, 3: 5.0, 5: 5.0},
        ),
        Size(
            "paper",
            "200 x 200, 100 epochs, as in the paper: for a GPU",
            settings={"optics.size": 200, "optics.distances": 0.30},
        ),
    )
}


def get(name: str) -> Size:
    """Return the size of that name."""
    from voltphase.core import checks  # here, for a command line that starts without PyTorch

    return SIZES[checks.word(name, "a preset", [*SIZES])]
