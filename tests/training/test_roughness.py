"""Even layers: the roughness of a modulation, its part in the loss, and what a weight does to a design."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import optim

import voltphase as vp
from voltphase.codesign.roughness import roughness
from voltphase.tasks import Classification
from voltphase.training.evaluation import Tally
from voltphase.training.steps.learner import Learner

QUICK = ["optics.size=32", "optics.depth=1", "training.epochs=3", "data.train_limit=300", "data.test_limit=50"]
QUICK += ["device.model=printed", "device.levels=8", "training.accelerator=cpu"]


def test_the_roughness_of_what_is_known() -> None:
    generator = torch.Generator().manual_seed(0)
    phase = 2 * np.pi * torch.rand(200, 300, generator=generator, dtype=torch.float64)
    random = torch.polar(torch.ones_like(phase), phase)
    # Of neighbours that have nothing to do with each other; its own scatter is a 300th.
    assert roughness(random).item() == pytest.approx(1, abs=0.02)
    assert roughness(7 * random).item() == pytest.approx(roughness(random).item(), rel=1e-12)
    turns = torch.polar(
        torch.ones_like(phase), 2 * np.pi * torch.randint(0, 9, phase.shape, generator=generator).double()
    )
    assert roughness(turns).item() == pytest.approx(0, abs=1e-12)
    steps = torch.polar(torch.ones(4, 5, dtype=torch.float64), 0.3 * torch.arange(5.0).double().expand(4, 5))
    assert roughness(steps).item() == pytest.approx((1 - np.cos(0.3)) * 16 / (16 + 15), rel=1e-12)
    assert roughness(torch.ones(1, 1, dtype=torch.complex64)).item() == 0
    small = random[:3, :4].clone().requires_grad_()
    assert torch.autograd.gradcheck(roughness, small)


def test_the_loss_is_the_tasks_and_the_roughness_of_what_is_drawn() -> None:
    images, found = torch.randint(0, 256, (6, 8, 8), generator=torch.Generator().manual_seed(1), dtype=torch.uint8), {}
    for weights in ((0.0, 0.0), (0.7, 0.0), (0.7, 0.3)):
        model = vp.DONN(
            grid=vp.Grid(32, 36e-6),
            wavelength=532e-9,
            distances=0.02,
            devices=[vp.devices.tn_slm().pick(4)] * 2,
            task=Classification(differential=False),
            relaxation=vp.Softmax(),
            image_shape=(8, 8),
            gain=2.0,
            seed=3,
        ).train()
        model(images)  # settles the scale
        rough, light = weights
        optimizer = optim.SGD(model.parameters(), lr=0.0)
        one = Learner(model, optimizer, Tally(()), efficiency_weight=light, roughness_weight=rough)
        one.advance(images, torch.arange(6))
        one.tally.examples += 6
        found[weights] = one.tally.loss
        even = torch.stack([roughness(layer.modulation()) for layer in model.layers]).mean().item()
        share = model.read(images).light_share.mean().log().item()
    assert found[0.7, 0.0] == pytest.approx(found[0.0, 0.0] + 0.7 * even, rel=1e-6)
    assert found[0.7, 0.3] == pytest.approx(found[0.7, 0.0] - 0.3 * share, rel=1e-6)


def test_a_weight_makes_what_is_deployed_more_even(tmp_path: Path) -> None:
    rough = {}
    for weight in (0.0, 3.0):
        config = vp.config.load_config("digits", [*QUICK, f"training.roughness_weight={weight}"])
        model = vp.train(config, out=tmp_path / str(weight), progress=False).model
        rough[weight] = roughness(model.eval().layers[0].modulation().detach()).item()
    assert rough[0.0] > 0.8
    assert rough[3.0] < 0.8 * rough[0.0]
