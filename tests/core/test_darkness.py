"""Where there is no light: no number that is none, in values and in slopes."""

from __future__ import annotations

import math
from contextlib import nullcontext

import numpy as np
import pytest
import torch
from torch import Tensor

from voltphase import DONN, Grid, ImageSource, RegionReadout, Regions
from voltphase.codesign import GumbelSoftmax, Proximity, ReinMax, Relaxation, StateTable
from voltphase.codesign.relaxations.proximity import spacing
from voltphase.core.errors import ConfigError, DataError, TrainingError
from voltphase.core.units import UnitWarning
from voltphase.devices import DeviceStates, dmd, tn_slm
from voltphase.optics import SourceLight
from voltphase.tasks import Classification, Measure
from voltphase.tasks.classification import LOSSES

SIZE = 16
MEASURES: tuple[Measure, ...] = ("sum", "mean", "amplitude", "fraction")


def network(measure: Measure = "fraction", *, pairs: bool = False, dtype: torch.dtype = torch.complex64) -> DONN:
    return DONN(
        grid=Grid(SIZE, 36e-6),
        wavelength=532e-9,
        distances=0.05,
        devices=[tn_slm(4)] * 2,
        task=Classification(differential=pairs, measure=measure),
        image_shape=(8, 8),
        dtype=dtype,
    )


def images(count: int) -> Tensor:
    return torch.randint(1, 256, (count, 8, 8), generator=torch.Generator().manual_seed(1)).to(torch.uint8)


def gradients(model: DONN, batch: Tensor, loss: str = "cross-entropy") -> tuple[Tensor, list[Tensor]]:
    logits = model(batch)
    (LOSSES[loss](logits, torch.arange(len(batch)) % 10) * len(batch)).backward()
    return logits.detach(), [p.grad for p in model.parameters() if p.grad is not None]


@pytest.mark.parametrize("pairs", [False, True])
@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("loss", LOSSES)
def test_a_black_image_contributes_nothing(measure: Measure, pairs: bool, loss: str) -> None:
    lit = images(5)
    batch = torch.cat((lit, torch.zeros_like(lit[:1])))
    expected, slopes = gradients(network(measure, pairs=pairs, dtype=torch.complex128), lit, loss)
    logits, found = gradients(network(measure, pairs=pairs, dtype=torch.complex128), batch, loss)
    assert torch.equal(logits[5], torch.zeros(10, dtype=torch.float64))
    torch.testing.assert_close(logits[:5], expected)
    for one, other in zip(found, slopes, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("pairs", [False, True])
@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("faint", [0.0, 1e-45, 1e-38, 1e-30, 1e-19, 1e-16, 1e-8, 1e6])
def test_all_slopes_are_finite_however_faint_or_bright_the_light(measure: Measure, pairs: bool, faint: float) -> None:
    model = network(measure, pairs=pairs)
    model(images(5))  # calibrates
    batch = torch.cat((images(3) / 255, torch.ones(2, 8, 8) * faint)).requires_grad_()
    with pytest.warns(UnitWarning) if faint > 10 else nullcontext():
        logits, found = gradients(model, batch)
    assert batch.grad is not None
    for tensor in (logits, batch.grad, *found):
        assert bool(tensor.isfinite().all())


def test_a_batch_of_black_images_alone_is_no_batch_to_calibrate_by() -> None:
    model = network()
    logits, slopes = gradients(model, torch.zeros(2, 8, 8, dtype=torch.uint8))
    assert not logits.any()
    assert not any(bool(slope.any()) for slope in slopes)
    assert not model.readout.calibrated
    model(images(2))
    assert model.readout.calibrated
    _, slopes = gradients(model, torch.zeros(2, 8, 8, dtype=torch.uint8))
    assert not any(bool(slope.any()) for slope in slopes)


def test_black_images_do_not_move_the_calibration() -> None:
    lit = images(5)
    one, other = network(), network()
    one(lit)
    other(torch.cat((lit, torch.zeros(9, 8, 8, dtype=torch.uint8))))
    assert other.readout.scale == pytest.approx(one.readout.scale, rel=1e-6)


def test_light_that_is_not_a_number_stays_that() -> None:
    readout = RegionReadout(Regions.paper(10), "fraction", 1.0)
    field = torch.ones(2, 10, 10, dtype=torch.complex64)
    field[0, 5, 5] = math.nan
    assert readout(field)[0].isnan().all()
    assert readout(field)[1].isfinite().all()


@pytest.mark.parametrize("mix", ["complex", "polar"])
@pytest.mark.parametrize("kind", [GumbelSoftmax, ReinMax])
def test_a_dark_state_has_the_slope_of_its_amplitude(kind: type, mix: str) -> None:
    # Two states, off and on, of one phase: how much light there is follows the score of the state that is on.
    relaxation: Relaxation = kind(mix=mix)
    table = StateTable.of(dmd(), torch.complex128)
    scores = torch.zeros(2, 5, 5, dtype=torch.float64, requires_grad=True)
    relaxation.modulation(scores, table, 1.0, torch.Generator().manual_seed(0)).real.sum().backward()
    assert scores.grad is not None
    assert bool((scores.grad[1] > 0).all())


def test_a_black_pixel_of_amplitude_and_phase_has_a_slope() -> None:
    source = ImageSource(Grid(4, 36e-6), (4, 4), light=SourceLight("both"), dtype=torch.complex128)
    image = torch.zeros(4, 4, dtype=torch.float64, requires_grad=True)
    source(image).real.sum().backward()
    torch.testing.assert_close(image.grad, torch.ones_like(image))


@pytest.mark.parametrize("apart", [0.0, 1e-30, 1e-22, 1e-19, 1e-17, 1e-3])
def test_states_that_are_nearly_one_have_finite_slopes(apart: float) -> None:
    values = torch.tensor([1, 1 + apart, 1 - 1j * apart] if apart == 1e-3 else [0, apart, 1j * apart])
    table = StateTable(torch.arange(3.0), values.abs(), values.angle(), values.to(torch.complex64))
    design = torch.randn(2, 3, 3, generator=torch.Generator().manual_seed(0)).requires_grad_()
    made = Proximity().modulation(design, table, 0.05, torch.Generator())
    made.abs().sum().backward()
    assert design.grad is not None
    assert bool(made.isfinite().all())
    assert bool(design.grad.isfinite().all())
    assert float(spacing(table.values)) > 0


def test_gains_that_make_light_no_number_are_refused() -> None:
    def make(gain: float, dtype: torch.dtype) -> DONN:
        return DONN(
            grid=Grid(SIZE, 36e-6),
            wavelength=532e-9,
            distances=0.05,
            devices=[tn_slm(4)] * 3,
            task=Classification(differential=False),
            gain=gain,
            dtype=dtype,
        )

    for gain in (1e5, 1e-5):
        with pytest.raises(ConfigError, match="multiply light by"):
            make(gain, torch.complex64)
        make(gain, torch.complex128)


@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf, 1e30])
def test_images_that_are_no_amplitudes_are_refused(wrong: float) -> None:
    batch = torch.ones(1, 8, 8)
    batch[0, 3, 3] = wrong
    with pytest.raises(DataError, match="amplitudes of about 1"):
        network()(batch)


def test_grey_values_as_real_numbers_are_warned_of() -> None:
    with pytest.warns(UnitWarning, match="divide them by 255"):
        network()(images(2).float())


def test_a_device_without_light_is_said_to_be_one() -> None:
    model = network()
    with torch.no_grad():
        for layer in model.layers:
            layer.pixels.get_buffer("values").zero_()
    with pytest.raises(TrainingError, match="expected light"):
        model(images(2))


def test_a_device_of_states_alike_trains() -> None:
    device = DeviceStates(np.arange(3.0), np.ones(3), np.zeros(3), "dead")
    model = DONN(
        grid=Grid(SIZE, 36e-6),
        wavelength=532e-9,
        distances=0.05,
        devices=[device],
        task=Classification(differential=False),
        image_shape=(8, 8),
        relaxation=Proximity(),
    )
    _, slopes = gradients(model, images(3))
    assert all(bool(slope.isfinite().all()) for slope in slopes)


@pytest.mark.parametrize("faint", [0.0, 1e-45, 1e-40, 1e-38, 1e-30, 1.0])
def test_the_magnitude_of_a_field_has_a_finite_slope(faint: float) -> None:
    field = torch.full((1, 10, 10), faint, dtype=torch.complex64).requires_grad_()
    RegionReadout(Regions.paper(10), "amplitude", 1.0)(field).sum().backward()
    assert field.grad is not None
    assert bool(torch.view_as_real(field.grad).isfinite().all())
