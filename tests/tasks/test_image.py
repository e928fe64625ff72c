"""Pictures of the light: what is read, what is compared, and what is refused."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torchmetrics.functional.image import peak_signal_noise_ratio, structural_similarity_index_measure

from voltphase import DONN, Grid
from voltphase.core.errors import ConfigError, DataError, GeometryError
from voltphase.devices import tn_slm
from voltphase.tasks import TASKS, Image, WindowReadout, loss_of
from voltphase.tasks.picture_metrics import correlation, metrics_of, nonuniformity, normalised_error, psnr, ssim

SHAPE = (12, 10)
# Sums of a hundred or so numbers in double precision.
ROUNDING = 1e-12


def light(seed: int = 0, batch: int = 3, shape: tuple[int, int] = SHAPE) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(batch, *shape, dtype=torch.complex128, generator=generator)


def pictures(seed: int, shape: tuple[int, ...] = (3, 20, 17)) -> torch.Tensor:
    return torch.rand(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def test_it_is_found_by_its_name() -> None:
    assert TASKS["image"] is Image
    assert isinstance(Image().make_readout(SHAPE), WindowReadout)


def test_a_pixel_is_its_part_of_all_light_on_the_detector() -> None:
    field, readout = light(), WindowReadout(SHAPE, window=(2, 1, 9, 8), pixels=(3, 4))
    intensity = field.abs().square()
    wanted = torch.empty(3, 3, 4, dtype=torch.float64)
    for row in range(3):
        for column in range(4):
            block = intensity[:, 2 + 3 * row : 5 + 3 * row, 1 + 2 * column : 3 + 2 * column]
            wanted[:, row, column] = block.sum((1, 2)) / intensity.sum((1, 2))
    torch.testing.assert_close(readout(field), wanted, rtol=ROUNDING, atol=0)
    roots = WindowReadout(SHAPE, (2, 1, 9, 8), (3, 4), "amplitude")
    torch.testing.assert_close(roots(field), wanted.sqrt(), rtol=ROUNDING, atol=0)
    assert readout.counted().sum() == 72
    assert readout.output_shape == (3, 4)


@pytest.mark.parametrize("measure", ["intensity", "amplitude", "field"])
def test_the_whole_detector_holds_all_light_however_bright(measure: Any) -> None:
    readout = WindowReadout(SHAPE, measure=measure)
    outputs = readout(light())
    assert outputs.shape == (3, *readout.output_shape)
    power = outputs if measure == "intensity" else outputs.square()
    torch.testing.assert_close(power.flatten(1).sum(1), torch.ones(3, dtype=torch.float64), rtol=ROUNDING, atol=0)
    torch.testing.assert_close(readout(1e-3 * light()), outputs, rtol=ROUNDING, atol=ROUNDING)


@pytest.mark.parametrize("measure", ["intensity", "amplitude", "field"])
@pytest.mark.parametrize("loss", ["mse", "correlation"])
def test_slopes_are_those_of_differences(measure: Any, loss: Any) -> None:
    task = Image(window=(1, 2, 4, 5), measure=measure, loss=loss)
    readout, targets = task.make_readout((7, 8)), light(1, 2, (4, 5))
    targets = targets if measure == "field" else targets.abs()

    def of(field: torch.Tensor) -> torch.Tensor:
        return task.compute_loss(readout(field), targets)

    assert torch.autograd.gradcheck(of, (light(2, 2, (7, 8)).requires_grad_(),))


@pytest.mark.parametrize("measure", ["intensity", "amplitude", "field"])
@pytest.mark.parametrize("loss", ["mse", "correlation"])
@pytest.mark.parametrize("dtype", [torch.complex64, torch.complex128])
def test_where_no_light_arrives_figures_and_slopes_are_finite(measure: Any, loss: Any, dtype: torch.dtype) -> None:
    task, targets = Image(measure=measure, loss=loss), light(1).abs()
    field = torch.zeros(3, *SHAPE, dtype=dtype)
    field[1:] = light(3, 2).to(dtype)
    field[2, 4:] = 0  # dark in part
    field.requires_grad_()
    outputs = task.make_readout(SHAPE)(field)
    task.compute_loss(outputs, targets).backward()
    assert field.grad is not None
    assert field.grad.isfinite().all()
    assert (field.grad[0] == 0).all()
    for metric in task.metrics:
        assert metric.of_each(outputs.detach(), targets).isfinite().all()


def test_errors_and_correlations_are_those_of_their_definitions() -> None:
    a, b = pictures(0), pictures(1)
    for one, other, error, related in zip(a, b, normalised_error(a, b), correlation(a, b), strict=True):
        cosine = (one * other).sum() / (one.norm() * other.norm())
        assert error.item() == pytest.approx(1 - cosine.item() ** 2, rel=1e-9)
        assert related.item() == pytest.approx(
            torch.corrcoef(torch.stack([one.flatten(), other.flatten()]))[0, 1].item()
        )
    # Of the same picture in another brightness, and of fields with another phase, there is none.
    assert normalised_error(3 * b, b).max() < 1e-24
    torch.testing.assert_close(correlation(2 * b + 1, b), torch.ones(3, dtype=torch.float64))
    fields = light(0)
    turned = fields * torch.polar(torch.tensor(0.3, dtype=torch.float64), torch.tensor(1.1, dtype=torch.float64))
    assert normalised_error(turned, fields).max() < 1e-24
    torch.testing.assert_close(correlation(turned, fields), torch.ones(3, dtype=torch.float64))


@pytest.mark.parametrize("shape", [(3, 40, 32), (2, 6, 7), (1, 11, 11)])
def test_psnr_and_ssim_are_torchmetrics_at_the_best_brightness(shape: tuple[int, ...]) -> None:
    wanted = 5 * pictures(0, shape)
    found = 0.02 * (wanted + pictures(1, shape))
    factor = (found * wanted).sum((1, 2), keepdim=True) / found.square().sum((1, 2), keepdim=True)
    peak = wanted.amax((1, 2), keepdim=True)
    both = (factor * found / peak)[:, None], (wanted / peak)[:, None]
    structure = structural_similarity_index_measure(*both, data_range=1.0, reduction="none")
    torch.testing.assert_close(ssim(found, wanted), structure, rtol=1e-9, atol=1e-9)
    noise = peak_signal_noise_ratio(*both, data_range=1.0, reduction="none", dim=(1, 2, 3))
    torch.testing.assert_close(psnr(found, wanted), noise, rtol=1e-6, atol=0)  # its range is of single precision


def test_uniformity_and_efficiency_are_those_of_the_signal() -> None:
    targets = torch.zeros(1, 4, 4)
    targets[:, 1:3, 1:3] = 7
    outputs = torch.full((1, 4, 4), 0.02)
    outputs[:, 1:3, 1:3] = torch.tensor([[0.1, 0.3], [0.1, 0.3]])
    assert nonuniformity(outputs, targets).item() == pytest.approx(0.5)  # 0.2 with a deviation of 0.1
    efficiency = next(metric for metric in metrics_of("intensity") if metric.name == "efficiency")
    assert efficiency.of(outputs, targets) == pytest.approx(0.8)
    of_root = next(metric for metric in metrics_of("amplitude") if metric.name == "efficiency")
    assert of_root.of(outputs.sqrt(), targets) == pytest.approx(0.8)
    assert of_root.percent


@pytest.mark.filterwarnings("ignore::voltphase.optics.sampling.SamplingWarning")  # of rough light, which a lens is not
def test_a_lens_of_states_focuses_as_a_square_aperture_does() -> None:
    # In the focus of n samples along an axis the light is (sin(pi s) / sin(pi s / n))^2, Born and Wolf, Principles of
    # Optics, section 8.6.1; the samples of this detector lie at s = ..., -1/2, 1/2, 3/2, ...
    n, pitch, wavelength = 64, 36e-6, 532e-9
    focal = 2 * n * pitch**2 / wavelength
    grid, detector = Grid(n, pitch), Grid(32, 2 * pitch)
    model = DONN(
        grid=[grid, grid, detector],
        wavelength=wavelength,
        distances=focal,
        devices=[tn_slm(4)],
        task=Image(),
        image_shape=(n, n),
        method="fresnel-impulse",
    ).eval()
    y, x = grid.coordinates()
    phase = -math.pi / (wavelength * focal) * (y[:, None] ** 2 + x**2)
    arriving = model.planes(torch.ones(1, n, n))["layer 1 in"][0]
    lens = torch.polar(1 / arriving.abs(), (phase - arriving.angle()).float())
    target = torch.zeros(1, 32, 32)
    target[:, 15:17, 15:17] = 1
    outputs = model.measure(torch.ones(1, n, n), [lens])
    s = torch.arange(-15.5, 16, dtype=torch.float64)
    across = (torch.sin(math.pi * s) / torch.sin(math.pi * s / n)).square()
    closed_form = float((across[15:17].sum() / across.sum()).square())
    assert model.task.metrics[1].of(outputs, target) == pytest.approx(closed_form, rel=1e-5)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"window": [0, 0, 4]}, "a window as .row, column, height, width., but got"),
        ({"window": [0, 0, 0, 4]}, "the height and width of a window"),
        ({"window": 4}, "a window as"),
        ({"pixels": [4, 0]}, "the pixels of a picture as .rows, columns. as a whole number of at least 1"),
        ({"measure": "sum"}, "a measure out of intensity, amplitude, field"),
        ({"loss": "hinge"}, "a loss out of mse, correlation"),
    ],
)
def test_other_settings_are_refused(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        Image(**settings)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"window": (0, 4, 12, 8)}, "inside the 12 x 10 detector, but it covers rows 0 to 11 and columns 4 to 11"),
        ({"window": (-1, 0, 4, 4)}, "rows -1 to 2"),
        ({"pixels": (5, 5)}, "a whole number of samples for each pixel .* 5 x 5 pixels in a window of 12 x 10"),
        ({"pixels": (6, 5), "measure": "field"}, "one sample for each pixel of a picture of the field"),
    ],
)
def test_a_window_that_does_not_fit_the_detector_is_refused(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(GeometryError, match=words):
        Image(**settings).make_readout(SHAPE)


def with_one(value: complex, index: int = 2) -> torch.Tensor:
    targets = torch.ones(4, 6, 6, dtype=torch.complex64 if isinstance(value, complex) else torch.float32)
    targets[index, 3] = torch.tensor(value)
    return targets


@pytest.mark.parametrize(
    ("settings", "classes", "targets", "words"),
    [
        ({}, ("a", "b"), torch.zeros(4, dtype=torch.int64), "a picture as the target .* labels of 2 classes"),
        ({}, (), torch.ones(4, 9), "tensor of count x rows x columns, but .* targets of 4 x 9"),
        ({"pixels": (3, 3)}, (), torch.ones(4, 6, 6), "targets of 3 x 3 pixels, .* but got 6 x 6"),
        ({}, (), with_one(-1.0), "at least 0, as light is, but that of image 2 of mine"),
        ({}, (), with_one(math.nan), "expected finite targets in mine"),
        ({"measure": "field"}, (), with_one(complex(0, math.inf)), "expected finite targets"),
        ({}, (), torch.ones(4, 6, 6) * torch.tensor([1, 0, 1, 1])[:, None, None], "that of image 1 of mine is dark"),
        ({"measure": "amplitude"}, (), with_one(1j), "real targets for pictures of the amplitude"),
    ],
)
def test_targets_that_light_cannot_be_compared_with_are_refused(
    settings: dict[str, Any], classes: tuple[str, ...], targets: torch.Tensor, words: str
) -> None:
    with pytest.raises(DataError, match=words):
        Image(**settings).check_data("mine", classes, targets)


def test_a_picture_has_the_pixels_of_its_targets_unless_it_is_said() -> None:
    targets = torch.ones(4, 6, 5)
    assert Image(loss="correlation").for_data((), targets) == Image(pixels=(6, 5), loss="correlation")
    assert Image(pixels=(3, 3)).for_data((), targets).pixels == (3, 3)


def test_targets_that_fit_pass() -> None:
    Image().check_data("mine", (), torch.ones(4, 6, 6, dtype=torch.uint8))
    Image(measure="field").check_data("mine", (), -torch.ones(4, 6, 6))
    Image(measure="field").check_data("mine", (), with_one(1j))


def test_targets_of_another_size_are_refused_where_the_detector_alone_says_which() -> None:
    task = Image()
    with pytest.raises(DataError, match=r"targets of 12 x 10 pixels, .* but got 6 x 6: .* set task\.pixels"):
        loss_of(task, task.make_readout(SHAPE)(light()), torch.ones(3, 6, 6))
