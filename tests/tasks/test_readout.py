from __future__ import annotations

import math

import pytest
import torch

from voltphase.core.errors import ConfigError, GeometryError, TrainingError
from voltphase.tasks import Measure, RegionReadout, Regions

MEASURES: tuple[Measure, ...] = ("sum", "mean", "amplitude", "fraction")
TINY = Regions(((0, 1, 2, 2), (3, 0, 1, 3)), (5, 4))
# The second pair's regions differ in size: sums and means give it different contrasts.
PAIRS = Regions(((0, 0, 2, 2), (3, 2, 2, 2), (0, 2, 2, 2), (3, 0, 1, 2)), (5, 4), paired=True)


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
    assert RegionReadout(TINY, "mean", mean_logit=20.0)(field).mean().item() == pytest.approx(20.0)


@pytest.mark.parametrize("regions", [TINY, PAIRS])
def test_without_light_there_is_nothing_to_calibrate_by(regions: Regions) -> None:
    readout = RegionReadout(regions, "sum")
    with pytest.raises(TrainingError) as caught:
        readout(torch.zeros(3, 5, 4, dtype=torch.complex64))
    assert str(caught.value) == (
        "expected light in the detector's regions to calibrate the readout's scale by, but it measures 0: check the "
        "amplitudes of the devices, or give task.scale a number"
    )
    assert not readout.calibrated


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
        with pytest.raises(ConfigError, match="expected a readout scale of at least"):
            RegionReadout(TINY, "mean", scale)  # pyright: ignore[reportArgumentType]


def contrasts(field: torch.Tensor, measure: Measure) -> torch.Tensor:
    parts = [field[:, r : r + h, c : c + w].abs().flatten(1) for r, c, h, w in PAIRS.boxes]
    light = {
        "sum": lambda part: part.square().sum(1),
        "mean": lambda part: part.square().mean(1),
        "amplitude": lambda part: part.mean(1),
        "fraction": lambda part: part.square().sum(1),  # the whole detector's light cancels
    }[measure]
    a, b, c, d = (light(part) for part in parts)
    return torch.stack(((a - b) / (a + b), (c - d) / (c + d)), 1)


@pytest.mark.parametrize("measure", MEASURES)
def test_a_pair_is_read_by_its_contrast(field: torch.Tensor, measure: Measure) -> None:
    readout = RegionReadout(PAIRS, measure, scale=2.5)
    torch.testing.assert_close(readout(field), 2.5 * contrasts(field, measure), rtol=1e-6, atol=0)
    torch.testing.assert_close(readout(7 * field), readout(field))
    one_by_one = torch.cat([readout(one[None]) for one in field])
    torch.testing.assert_close(one_by_one, readout(field))
    assert readout.row_masks.shape[1] == 4


def test_light_in_one_region_of_a_pair_alone_and_none_at_all() -> None:
    readout = RegionReadout(PAIRS, "sum", scale=3.0)
    field = torch.zeros(3, 5, 4, dtype=torch.complex64)
    field[0, 0, 0] = 2
    field[1, 4, 3] = 1
    assert readout(field).tolist() == [[pytest.approx(3.0), 0], [pytest.approx(-3.0), 0], [0, 0]]


def test_the_contrasts_gradient_is_exact(field: torch.Tensor) -> None:
    readout = RegionReadout(PAIRS, "amplitude", scale=2.0).double()
    assert torch.autograd.gradcheck(readout, (field.clone().requires_grad_(),))


def test_pairs_are_calibrated_by_the_spread_over_classes(field: torch.Tensor) -> None:
    readout = RegionReadout(PAIRS, "mean")
    logits = readout(field)
    assert logits.std(1).mean().item() == pytest.approx(0.3)
    assert readout.scale == pytest.approx(0.3 / contrasts(field, "mean").std(1).mean().item())
    # Swapping for and against turns every logit's sign, and the scale must not care.
    swapped = RegionReadout(Regions(tuple(PAIRS.boxes[i] for i in (1, 0, 3, 2)), PAIRS.shape, paired=True), "mean")
    torch.testing.assert_close(swapped(field), -logits)


@pytest.mark.parametrize("size", [10, 16, 64, 200, 201])
def test_ten_pairs_favour_neither_sign(size: int) -> None:
    regions = Regions.paper_pairs(size)
    assert (len(regions), regions.classes) == (20, 10)
    cover = torch.zeros(2, size, size)
    for index, (row, column, height, width) in enumerate(regions.boxes):
        cover[index % 2, row : row + height, column : column + width] += 1
    assert cover.sum(0).max() == 1  # no two overlap
    # Upside down, first regions lie where second ones did.
    assert torch.equal(cover[0].flip(0), cover[1])
    for first, second in zip(regions.boxes[0::2], regions.boxes[1::2], strict=True):
        assert first[1] == second[1]


def test_a_region_knows_its_class() -> None:
    assert [PAIRS.class_of(index) for index in range(4)] == [0, 0, 1, 1]
    assert [TINY.class_of(index) for index in range(2)] == [0, 1]
    assert (PAIRS.classes, TINY.classes) == (2, 2)


@pytest.mark.parametrize("count", [3, 5])
def test_half_a_pair_is_refused(count: int) -> None:
    with pytest.raises(GeometryError) as caught:
        Regions(((0, 0, 1, 1),) * count, (4, 4), paired=True)
    assert str(caught.value) == (
        f"expected two detector regions for each class, but got {count}: list the region for and the region against "
        "each class in turn"
    )


def test_a_detector_too_small_for_ten_pairs_is_refused() -> None:
    with pytest.raises(GeometryError, match="expected a detector of at least 10 x 10 for ten pairs of regions"):
        Regions.paper_pairs(9)
