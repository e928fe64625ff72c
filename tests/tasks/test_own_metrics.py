"""Metrics of a task of one's own: their names, what they may return, and a run whose last value is no number."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from voltphase.config import load_config
from voltphase.core.errors import ConfigError, TrainingError
from voltphase.tasks import Classification, Metric, Task, readout_of
from voltphase.training import train
from voltphase.training.evaluation import Evaluation, Tally

SMALL = ["optics.depth=1", "optics.size=32", "training.epochs=1", "data.train_limit=40", "data.test_limit=20"]


def right(outputs: Tensor, targets: Tensor) -> Tensor:
    return outputs.argmax(1) == targets


def with_metrics(*metrics: Metric) -> Task:
    return type("Odd", (Classification,), {"metrics": metrics})()


@pytest.mark.parametrize(
    "names",
    [("Top",), ("a,b",), ("",), ("two words",), (3,), ("a", "a"), ("loss",), ("epoch",), ("images",), ("light_share",)],
)
def test_the_name_of_a_metric_is_a_word_of_its_own(names: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError, match=f"a metric of the task Odd is called {names[-1]!r}: rename it"):
        readout_of(with_metrics(*(Metric(name, right) for name in names)), (64, 64))


def test_a_metric_of_several_words_is_taken() -> None:
    readout_of(with_metrics(Metric("top_2", right), Metric("top-1", right)), (64, 64))


@pytest.mark.parametrize(
    ("returned", "got"),
    [
        (0.5, "0.5"),
        (None, "None"),
        (torch.tensor(0.5), r"shape \(\)"),
        (torch.ones(3), r"shape \(3,\)"),
        (torch.ones(4) * 1j, "complex64"),
    ],
)
def test_a_metric_that_is_not_one_number_for_each_example_is_refused_by_name(returned: object, got: str) -> None:
    task = with_metrics(Metric("odd", lambda outputs, targets: returned))  # pyright: ignore[reportArgumentType]
    outputs, targets = torch.ones(4, 10), torch.zeros(4, dtype=torch.int64)
    words = f"the task Odd: expected one real number for each of 4 examples from the metric odd, but got .*{got}"
    with pytest.raises(ConfigError, match=words):
        Tally(task.metrics, task).add(outputs, targets)
    with pytest.raises(ConfigError, match=words):
        Evaluation(task, outputs, targets).columns("test")


def test_means_that_make_no_number_are_refused_by_name() -> None:
    task = with_metrics(Metric("odd", lambda outputs, _: outputs))  # a row, of which no single number was made
    tally = Tally(task.metrics, task)
    tally.add(torch.ones(4, 10), torch.zeros(4))
    with pytest.raises(ConfigError, match="the task Odd: expected a number as the value of the metric odd"):
        tally.columns("train")


@pytest.mark.parametrize(
    ("value", "words"), [(lambda mean: math.nan, "but it is nan"), (lambda mean: 97.0, "but it is 97")]
)
def test_a_value_that_cannot_be_kept_ends_training_with_a_sentence_and_the_run_goes_on(
    value: Callable[[Tensor], float], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, out = load_config("digits", SMALL), tmp_path / "run"
    kept = Classification.metrics
    calls: list[Tensor] = []

    def late(mean: Tensor) -> float:  # right for the epoch's two figures, wrong for the summary's
        calls.append(mean)
        return float(mean) if len(calls) <= 2 else value(mean)

    monkeypatch.setattr(Classification, "metrics", (Metric("accuracy", right, percent=True, of_means=late),))
    with pytest.raises(TrainingError, match=f"accuracy of the task classification, .*{words}"):
        train(config, out)
    assert not (out / "summary.json").exists()
    monkeypatch.setattr(Classification, "metrics", kept)
    assert train(config, out, resume=True)["epochs"] == 1
