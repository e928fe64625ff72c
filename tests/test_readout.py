from __future__ import annotations

import math

import pytest
import torch

from voltphase.errors import ConfigError, GeometryError
from voltphase.readout import Measure, RegionReadout, Regions

MEASURES: tuple[Measure, ...] = ("sum", "mean", "amplitude", "fraction")
TINY = Regions(((0, 1, 2, 2), (3, 0, 1, 3)), (5, 4))


@pytest.fixture
def field() -> torch.Tensor:
    return torch.randn(3, 5, 4, dtype=torch.complex128, generator=torch.Generator().manual_seed(1))


def by_slicing(field: torch.Tensor, measure: Measure) -> torch.Tensor:
    parts = [field[:, r : r + h, c : c + w].flatten(1) for r, c, h, w in TINY.boxes]
    return {
        "sum": lambda: torch.stack([(p.abs() ** 2).sum(1) for p in parts], 1),
        "mean": lambda: torch.stack([(p.abs() ** 2).mean(1) for p in parts], 1),
        "amplitude": lambda: torch.stack([p.abs().mean(1) for p in parts], 1),
        "fraction": lambda: (
            torch.stack([(p.abs() ** 2).sum(1) for p in parts], 1) / (field.abs() ** 2).sum((1, 2))[:, None]
        ),
    }[measure]()


@pytest.mark.parametrize("measure", MEASURES)
def test_each_measure_is_what_it_says(field: torch.Tensor, measure: Measure) -> None:
    readout = RegionReadout(TINY, measure, scale=2.5)
    torch.testing.assert_close(readout(field), 2.5 * by_slicing(field, measure), rtol=1e-6, atol=0)


@pytest.mark.parametrize("measure", ["sum", "mean", "amplitude"])
def test_the_window_is_no_larger_than_the_regions(measure: Measure) -> None:
    readout = RegionReadout(TINY, measure, scale=1.0)
    assert readout.window_rows.tolist() == [0, 1, 3]
    assert readout.window_columns.tolist() == [0, 1, 2]


def test_fraction_does_not_depend_on_the_brightness(field: torch.Tensor) -> None:
    readout = RegionReadout(TINY, "fraction", scale=1.0)
    torch.testing.assert_close(readout(7 * field), readout(field))
    assert torch.equal(readout(torch.zeros_like(field)), torch.zeros(3, 2, dtype=torch.float64))


def test_calibration_happens_once_on_the_first_batch_in_training(field: torch.Tensor) -> None:
    readout = RegionReadout(TINY, "mean")
    readout.eval()
    torch.testing.assert_close(readout(field), by_slicing(field, "mean"))
    assert readout.scale == 1.0
    readout.train()
    assert readout(field).mean().item() == pytest.approx(3.0)
    assert readout.scale == pytest.approx(3.0 / by_slicing(field, "mean").mean().item())
    assert readout(2 * field).mean().item() == pytest.approx(12.0)


def test_a_learned_scale_survives_a_state_dict(field: torch.Tensor) -> None:
    readout, other = RegionReadout(TINY, "mean"), RegionReadout(TINY, "mean")
    readout(field)
    other.load_state_dict(readout.state_dict())
    assert other.scale == readout.scale
    torch.testing.assert_close(other(5 * field), readout(5 * field), rtol=0, atol=0)


def test_the_scale_is_trained_and_a_fixed_one_is_not(field: torch.Tensor) -> None:
    learned = RegionReadout(TINY, "mean")
    learned(field).sum().backward()
    # d(logits)/d(log scale) = logits.
    assert learned.log_scale.grad is not None
    assert learned.log_scale.grad.item() == pytest.approx(6 * 3.0)
    assert list(RegionReadout(TINY, "mean", scale=2.0).parameters()) == []


def test_the_papers_regions() -> None:
    regions = Regions.paper()
    assert regions.boxes[0] == (40, 40, 20, 20)
    assert regions.boxes[3] == (90, 30, 20, 20)
    assert regions.boxes[9] == (140, 140, 20, 20)
    assert Regions.paper(64).boxes[0] == (13, 13, 6, 6)
    assert len(Regions.paper(10)) == 10


@pytest.mark.parametrize(
    ("boxes", "message"),
    [
        (((0, 0, 2, 2),), "expected at least two detector regions, but got 1"),
        (((0, 0, 2, 2), (0, 0, 0, 2)), "expected detector region 1 to hold samples, but it is 0 x 2"),
        (
            ((0, 0, 2, 2), (8, 3, 3, 2)),
            "expected detector region 1 inside the 10 x 10 detector, but it covers rows 8 to 10 and columns 3 to 4",
        ),
    ],
)
def test_impossible_regions_are_refused(boxes, message: str) -> None:
    with pytest.raises(GeometryError) as caught:
        Regions(boxes, (10, 10))
    assert str(caught.value).startswith(message)


def test_unknown_measures_and_scales_are_refused() -> None:
    with pytest.raises(ConfigError, match="expected a measure out of sum, mean, amplitude, fraction, but got 'max'"):
        RegionReadout(TINY, "max")  # pyright: ignore[reportArgumentType]
    for scale in (0, -1, math.nan, "auto"):
        with pytest.raises(ConfigError, match="expected a readout scale above zero or 'calibrated'"):
            RegionReadout(TINY, "mean", scale)  # pyright: ignore[reportArgumentType]
