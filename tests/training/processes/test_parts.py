"""A batch in parts, one after another or in several processes, has the gradients of the whole batch."""

from __future__ import annotations

import copy
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import pytest
import torch
from torch import Tensor

from voltphase.config import Config
from voltphase.core.errors import ConfigError
from voltphase.data import ImageDataset
from voltphase.training import load_run, train
from voltphase.training.batches import Augmentation, ImageBatches
from voltphase.training.build import build_devices, build_model, load_datasets
from voltphase.training.evaluation import Tally, evaluate, final_figures
from voltphase.training.processes import Ranks
from voltphase.training.processes.agreement import require_alike
from voltphase.training.run import _datasets
from voltphase.training.steps import Learner, make_optimizer

Make = Callable[..., Config]
T = TypeVar("T")
# Sums of a batch in another order, in single precision: a few units in the last place of the largest gradient.
ROUNDING = 2e-5


class Threads(Ranks):
    """Processes of which each is a thread here."""

    def __init__(self, rank: int, count: int, barrier: threading.Barrier, board: dict[Any, Any]) -> None:
        self.rank, self.count, self._barrier, self._board, self._turn = rank, count, barrier, board, 0

    def sum_over(self, tensors: Sequence[Tensor]) -> None:
        found = self.gathered([tensor.clone() for tensor in tensors])
        for number, tensor in enumerate(tensors):
            tensor.copy_(torch.stack([each[number] for each in found]).sum(0))

    def gathered(self, value: T) -> list[T]:
        self._turn += 1
        self._board[self._turn, self.rank] = value
        self._barrier.wait(60)
        return copy.deepcopy([self._board[self._turn, rank] for rank in range(self.count)])

    def of_first(self, make: Callable[[], T]) -> T:
        return self.gathered(make() if self.first else None)[0]  # pyright: ignore[reportReturnType]


def in_each(count: int, do: Callable[[Ranks], T]) -> list[T]:
    """What ``do`` returns in each of so many threads."""
    barrier, board, found, failed = threading.Barrier(count), {}, {}, []

    def run(rank: int) -> None:
        try:
            found[rank] = do(Threads(rank, count, barrier, board))
        except BaseException as error:
            failed.append(error)
            barrier.abort()

    threads = [threading.Thread(target=run, args=(rank,)) for rank in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise failed[0]
    return [found[rank] for rank in range(count)]


def trained(
    config: Config, datasets: dict[str, ImageDataset], ranks: Ranks, accumulate: int, **weights: float
) -> tuple[list[Tensor], float, dict[str, float], dict[str, float]]:
    """Parameters, mean loss and metrics of three steps, the last of one image, and the figures at the end."""
    task = config.task.build().for_data(datasets["train"].classes, datasets["train"].targets)
    model = build_model(config, build_devices(config), datasets["train"].image_shape, task=task).train()
    tally = Tally(model.task.metrics)
    learner = Learner(
        model, make_optimizer(model, config.training), tally, accumulate=accumulate, ranks=ranks, **weights
    )
    for images, targets in ImageBatches(datasets["train"], 12, seed=1, ranks=ranks):
        learner.advance(images, targets)
        tally.examples += len(targets)
    whole = tally.of_all(ranks)
    metrics, light = final_figures(model, datasets, 10, ranks)
    return [one.detach().clone() for one in model.parameters()], whole.loss, whole.columns("train"), metrics | light


@pytest.mark.parametrize(
    ("settings", "weights"),
    [
        ([], {}),
        (["codesign.relaxation.name=gumbel-softmax", "task.scale=1.0"], {"roughness_weight": 0.3}),
        (["task.measure=amplitude"], {"efficiency_weight": 0.3, "roughness_weight": 0.1}),
        (["optics.precision=double"], {}),  # of all but the scale, which stays in single precision
    ],
    ids=["calibrated", "drawn, rough", "light", "double"],
)
def test_parts_and_processes_come_to_what_one_batch_comes_to(
    tiny: Make, settings: list[str], weights: dict[str, float]
) -> None:
    config = tiny("optics.size=12", "data.train_limit=25", "data.test_limit=2", *settings)
    datasets = load_datasets(config, None)
    parameters, loss, metrics, figures = trained(config, datasets, Ranks(), 1, **weights)
    for count, accumulate in ((1, 5), (2, 1), (3, 2)):
        found = in_each(count, lambda ranks, parts=accumulate: trained(config, datasets, ranks, parts, **weights))
        for other in found:
            assert other[1] == pytest.approx(loss, rel=1e-5)
            assert other[2] == metrics
            assert other[3] == pytest.approx(figures, rel=1e-4)
            # Each process has the very same design.
            assert all(torch.equal(*pair) for pair in zip(other[0], found[0][0], strict=True))
            for one, wanted in zip(other[0], parameters, strict=True):
                # Adam makes a step of a gradient however small, so that of a few scores rounding decides the sign.
                off = (one - wanted).abs() > ROUNDING * max(float(wanted.abs().max()), 1.0)
                assert float(off.double().mean()) < 0.01


def test_dark_images_settle_nothing_in_any_process(tiny: Make) -> None:
    config = tiny("optics.size=12", "data.train_limit=25", "data.test_limit=2")
    datasets = load_datasets(config, None)
    images = datasets["train"].images.clone()
    images[:13] = 0
    dark = {**datasets, "train": replace(datasets["train"], images=images)}
    one = trained(config, dark, Ranks(), 1)
    for count in (1, 2):
        for other in in_each(count, lambda ranks: trained(config, dark, ranks, 2)):
            torch.testing.assert_close(other[0][-1], one[0][-1], rtol=1e-5, atol=1e-6)  # the readout's scale


@pytest.mark.parametrize(("images", "batch_size", "count"), [(23, 5, 2), (23, 5, 3), (7, 7, 4), (3, 2, 3)])
def test_processes_share_each_batch_and_its_augmentation(images: int, batch_size: int, count: int) -> None:
    pictures = torch.randint(1, 256, (images, 6, 6), dtype=torch.uint8)
    dataset = ImageDataset(pictures, torch.arange(images), "numbered", tuple(map(str, range(images))))
    options: dict[str, Any] = {"augmentation": Augmentation(shift=0.2, rotation=0.3), "seed": 2}
    for more in ({}, options):
        whole = list(ImageBatches(dataset, batch_size, **more))
        parts = in_each(count, lambda ranks, more=more: list(ImageBatches(dataset, batch_size, ranks=ranks, **more)))
        assert all(len(part) == len(whole) for part in parts)
        for step, (wanted, targets) in enumerate(whole):
            assert torch.equal(torch.cat([part[step][1] for part in parts]), targets)
            shown = torch.cat([part[step][0].float() for part in parts])
            torch.testing.assert_close(shown, wanted.float(), atol=1e-5, rtol=0)


def test_evaluation_counts_each_image_once_and_an_empty_part_not(tiny: Make) -> None:
    config = tiny("optics.size=12", "data.train_limit=25", "data.test_limit=2")
    datasets = load_datasets(config, None)
    # One each, as processes have: to evaluate puts a network into another mode.
    model, *models = (build_model(config, build_devices(config), datasets["test"].image_shape) for _ in range(4))
    wanted, light = final_figures(model, datasets, 10)
    for found in in_each(3, lambda ranks: final_figures(models[ranks.rank], datasets, 10, ranks)):
        assert found[0] == wanted
        assert found[1] == pytest.approx(light, rel=1e-6)
    assert evaluate(model, datasets["test"]).columns("test").items() <= wanted.items()


def test_processes_with_other_images_or_settings_are_refused() -> None:
    def differing(ranks: Ranks) -> None:
        images = torch.full((2, 4, 4), 9 if ranks.first else 8, dtype=torch.uint8)
        require_alike(ranks, {"seed": 1}, {"test": ImageDataset(images, torch.zeros(2).long(), "one", ("a", "b"))})

    with pytest.raises(ConfigError, match=r"same test images, but process \d has others"):
        in_each(2, differing)
    with pytest.raises(ConfigError, match="same seed"):
        in_each(2, lambda ranks: require_alike(ranks, {"seed": ranks.rank}, {}))


def test_the_first_process_of_a_machine_loads_what_others_then_find_there(tiny: Make) -> None:
    config, order = tiny("data.train_limit=4", "data.test_limit=2"), []
    datasets = load_datasets(config, None)

    def load(ranks: Ranks) -> None:
        def loaded(*_: object) -> dict[str, ImageDataset]:
            time.sleep(0.0 if ranks.rank else 0.1)
            order.append(ranks.rank)
            return datasets

        ranks.local_rank = ranks.rank
        assert _datasets(config, None, False, ranks, loaded) is datasets

    in_each(2, load)
    assert order == [0, 1]


def test_a_run_goes_on_with_another_number_of_parts(tmp_path: Path, tiny: Make) -> None:
    few = ("optics.size=12", "data.train_limit=40", "data.test_limit=20", "training.epochs=2")
    whole, parted = tmp_path / "whole", tmp_path / "parted"
    train(tiny(*few), whole)

    def stop(_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(tiny(*few, "training.accumulate=3"), parted, watch=stop)
    train(tiny(*few, "training.accumulate=2"), parted, resume=True)
    (model, _, summary), (other, _, parted_summary) = load_run(whole), load_run(parted)
    assert parted_summary["train_accuracy"] == pytest.approx(summary["train_accuracy"], abs=0.051)
    same = [float((a == b).double().mean()) for a, b in zip(model.levels(), other.levels(), strict=True)]
    assert min(same) > 0.95
