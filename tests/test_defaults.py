"""One set of defaults: who writes Python gets what the command line gives."""

from __future__ import annotations

import pytest
import torch

import voltphase as vp
from voltphase.codesign import CodesignLayer
from voltphase.codesign.relaxations import RELAXATIONS
from voltphase.codesign.schedules import SCHEDULES
from voltphase.codesign.state_table import StateTable
from voltphase.config import parse_config
from voltphase.tasks import TASKS
from voltphase.training import build_devices, build_model
from voltphase.training.steps import make_optimizer

CONFIG = parse_config({"device": {"model": "tn-slm"}})


def test_a_network_is_by_default_what_a_configuration_describes_by_default() -> None:
    devices = build_devices(CONFIG)
    configured = build_model(CONFIG, devices, (28, 28))
    written = vp.DONN(grid=vp.Grid(64, pitch=36e-6), wavelength=532e-9, distances=0.096, devices=devices)
    assert (written.task, written.method) == (configured.task, configured.method)
    for one, other in zip(written.layers, configured.layers, strict=True):
        assert isinstance(one, CodesignLayer)
        for name in ("relaxation", "gain", "amplitude_grad_scale"):
            assert getattr(one, name) == getattr(other, name), name
        assert torch.equal(one.design, other.get_parameter("design"))  # the seed and the dtype
    images = torch.randint(0, 256, (2, 28, 28), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    assert torch.equal(written.eval()(images), configured.eval()(images))


def test_the_learning_rates_of_a_loop_of_ones_own_are_those_of_the_command_line() -> None:
    (device, *_) = devices = build_devices(CONFIG)
    model = build_model(CONFIG, devices, (28, 28))
    trained = make_optimizer(model, CONFIG.training).param_groups
    own = torch.optim.Adam(model.parameter_groups()).param_groups
    assert [group["lr"] for group in own] == [group["lr"] for group in trained]
    assert [group["params"] for group in own] == [group["params"] for group in trained]
    # One step of Adam moves each design by the rate: by a quarter of the unit of Proximity, the spacing of the states.
    unit = CONFIG.codesign.relaxation.build().lr_unit(StateTable.of(device.tables[0], torch.complex64))
    assert own[0]["lr"] == 0.25 * unit != 0.25


def test_a_layer_alone_has_the_relaxation_of_a_network() -> None:
    (device, *_) = build_devices(CONFIG)
    assert CodesignLayer((4, 4), device).relaxation == CONFIG.codesign.relaxation.build()


@pytest.mark.parametrize("name", RELAXATIONS)
def test_a_relaxation_by_name_is_that_of_its_constructor(name: str) -> None:
    assert parse_config({"codesign": {"relaxation": {"name": name}}}).codesign.relaxation.build() == RELAXATIONS[name]()


@pytest.mark.parametrize("name", sorted({*SCHEDULES} - {"piecewise"}))
def test_a_schedule_by_name_is_that_of_its_constructor(name: str) -> None:
    assert parse_config({"codesign": {"schedule": {"name": name}}}).codesign.schedule.build() == SCHEDULES[name]()


@pytest.mark.parametrize("name", TASKS)
def test_a_task_by_name_is_that_of_its_constructor(name: str) -> None:
    assert parse_config({"task": {"name": name}}).task.build() == TASKS[name]()
