"""How much of an experiment is run: in seconds, on a CPU in hours, or as in the paper."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from voltphase.core.errors import ConfigError


@dataclass(frozen=True)
class Preset:
    """The size of all experiments.

    Attributes:
        name: What to type.
        description: What it costs and what for, in a line.
        systems: The configuration each data set starts from, by the name of the data set.
        settings: Settings that all cells share, over those of the system.
        epochs: Of a cell of the paper's tables and figures, if the experiment names no other.
        schedule_epochs: Of figure 2, whose schedules need room to anneal.
        paper_epochs: Of the paper's recipe in the study.
        default_epochs: Of the default recipe in the study.
        search_epochs: Of what the study compares side by side: changes to the default recipe, lambdas, orders.
        diagonal_epochs: Of the default recipe on the diagonal of table 1; the first also of one layer by its pitch.
        reading_epochs: Of each reading of the paper.
        depths: Of table 1, with the paper's lambda for each.
        best_lambdas: By depth, the best at this size: by the study's sweep, or the paper's at the size it is for.
        pitches: That one layer is tried at, in metres.
        comparison_depths: Of figure 3.
        levels: Of figure 3.
        speed_levels: Of figure 4.
        study_levels: Of the study.
        lambdas: Of the study's sweep.
        rates: Learning rates that the study tries for its baselines.
        best_rates: By baseline, the best of these at this size.
        ceiling_rates: Of free phases, the best of these at this size on one data set or another.
        seeds: How often a result that is a mean and a spread is repeated.
        ptq_seeds: How often quantization after training is repeated; the paper takes the mean of ten.
        pick_seeds: Number of seeds with which the study compares how states are picked, which differ by little.
        speed_images: Training images of an epoch whose time figure 4 takes.
        device: Section ``device`` of all cells but those of figure 4 and of mixed devices.
        fine_device: Table of figure 4's device.
        run: Settings of the machine, which no result depends on.
        conclusive: Whether its results can speak for the paper's claims, or against them.
    """

    name: str
    description: str
    systems: Mapping[str, str]
    settings: Mapping[str, Any]
    epochs: int
    schedule_epochs: int
    paper_epochs: int
    default_epochs: int
    search_epochs: int
    diagonal_epochs: tuple[int, ...]
    reading_epochs: int
    depths: Mapping[int, float]
    best_lambdas: Mapping[int, float]
    pitches: tuple[float, ...]
    comparison_depths: tuple[int, ...]
    levels: tuple[int, ...]
    speed_levels: tuple[int, ...]
    study_levels: tuple[int, ...]
    lambdas: tuple[float, ...]
    rates: tuple[float, ...]
    best_rates: Mapping[str, float]
    ceiling_rates: tuple[float, ...]
    seeds: int
    ptq_seeds: int
    pick_seeds: int
    speed_images: int
    device: Mapping[str, str] = field(default_factory=lambda: {"model": "tn-slm"})
    fine_device: str = "lcos-1024.csv"
    run: Mapping[str, Any] = field(default_factory=dict)
    conclusive: bool = True

    def on(
        self,
        device_file: str | Path | None,
        *,
        fine_device: str | Path = "lcos-1024.csv",
        data_dir: str | Path | None = None,
        threads: int | None = None,
    ) -> Preset:
        """The same with a measured device (a modelled one if None), data at ``data_dir`` and so many CPU threads.

        ``fine_device`` is a table of more than 784 states, for figure 4.
        """
        device = {"model": "tn-slm"} if device_file is None else {"file": str(Path(device_file).resolve())}
        data = None if data_dir is None else str(Path(data_dir).resolve())
        return replace(
            self, device=device, fine_device=str(fine_device), run={"data.dir": data, "training.threads": threads}
        )


#: What is said in place of conclusions where there can be none.
INCONCLUSIVE: Final = (
    "This is a smoke run: a toy system, trained for a moment. It shows that all of it runs; its accuracies are near "
    "chance and speak neither for the paper nor against it."
)
_PAPER_LAMBDAS: Final = {1: 90.0, 3: 5.0, 5: 1.8}
_FULL: Final = {
    "depths": _PAPER_LAMBDAS,
    "pitches": (36e-6, 28e-6, 20e-6, 14e-6),
    "comparison_depths": (3, 4, 5),
    "levels": (8, 12, 16),
    "speed_levels": (2, 8, 32, 128, 256, 512, 784),
    "study_levels": (2, 4, 8, 16, 64, 256),
    # What is learned is another quantity for each method: each is judged at its best rate.
    "rates": (0.003, 0.01, 0.03, 0.1, 0.3, 1.0),
    "best_rates": {"ptq": 0.1, "qat": 0.03},
    "ceiling_rates": (0.03, 0.3),
    "lambdas": (0.9, 1.8, 3.0, 5.0, 9.0, 20.0, 90.0),
    "seeds": 3,
    "systems": {"mnist": "mnist-small", "fashion-mnist": "fashion-small"},
}

PRESETS: Final[dict[str, Preset]] = {
    preset.name: preset
    for preset in (
        Preset(
            name="smoke",
            description="scikit-learn's digits, a system of toy size: shows in seconds that all of it runs",
            systems={"digits": "digits"},
            settings={
                "optics.size": 16,
                "optics.distances": 0.02,
                "data.train_limit": 60,
                "data.test_limit": 40,
                "training.batch_size": 30,
            },
            epochs=2,
            schedule_epochs=2,
            paper_epochs=2,
            default_epochs=2,
            search_epochs=1,
            diagonal_epochs=(2,),
            reading_epochs=1,
            depths={1: 90.0, 2: 20.0},
            best_lambdas={1: 90.0, 2: 30.0},
            pitches=(36e-6, 20e-6),
            comparison_depths=(2,),
            levels=(2, 8),
            speed_levels=(2,),
            study_levels=(2, 8),
            lambdas=(1.0, 20.0),
            rates=(0.03, 0.1),
            best_rates={"ptq": 0.1, "qat": 0.1},
            ceiling_rates=(0.03,),
            seeds=1,
            ptq_seeds=2,
            pick_seeds=1,
            speed_images=60,
            conclusive=False,
        ),
        Preset(
            name="cpu",
            description="64 x 64, all images, 5 or 10 epochs: the paper's five in about 2.5 hours of two cores",
            settings={},
            epochs=5,
            schedule_epochs=10,
            paper_epochs=40,
            default_epochs=10,
            search_epochs=5,
            diagonal_epochs=(20,),
            reading_epochs=3,
            best_lambdas={1: 90.0, 3: 5.0, 5: 5.0},
            ptq_seeds=3,
            pick_seeds=8,
            speed_images=2000,
            **_FULL,
        ),
        Preset(
            name="paper",
            description="200 x 200, 100 epochs, as in the paper: for a GPU",
            settings={"optics.size": 200, "optics.distances": 0.30},
            epochs=100,
            schedule_epochs=100,
            paper_epochs=100,
            default_epochs=10,
            search_epochs=20,
            diagonal_epochs=(8, 20),
            reading_epochs=20,
            best_lambdas=_PAPER_LAMBDAS,
            ptq_seeds=10,
            pick_seeds=3,
            speed_images=2000,
            **_FULL,
        ),
    )
}


def get(name: str) -> Preset:
    """The preset of that name.

    Raises:
        ConfigError: if there is none.
    """
    if name not in PRESETS:
        raise ConfigError(f"expected a preset out of {', '.join(PRESETS)}, but got {name!r}")
    return PRESETS[name]
