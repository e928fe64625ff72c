from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

from voltphase.codesign.relaxations.proximity import spacing
from voltphase.config import Config
from voltphase.core.errors import TrainingError
from voltphase.training.batches import ImageBatches
from voltphase.training.build import build_datasets, build_devices, build_model
from voltphase.training.evaluation import Tally
from voltphase.training.loop import TrainingModule
from voltphase.training.steps import Learner, TrainingStep, make_optimizer

Make = Callable[..., Config]


def module_for(config: Config) -> TrainingModule:
    images, tests = (build_datasets(config)[split] for split in ("train", "test"))
    model = build_model(config, build_devices(config), images.image_shape)
    return TrainingModule(
        model,
        config.training,
        config.codesign.schedule.build(),
        ImageBatches(images, config.training.batch_size),
        ImageBatches(tests, config.training.batch_size),
        temperature_per_epoch=config.codesign.schedule.per == "epoch",
    )


def test_scores_and_scale_have_their_own_learning_rates(tiny: Make):
    module = module_for(tiny("training.learning_rate=0.7", "training.scale_learning_rate=0.03"))
    *designs, scale = module.configure_optimizers()["optimizer"].param_groups
    assert [id(p) for group in designs for p in group["params"]] == [id(layer.design) for layer in module.model.layers]
    # In units of the spacing of each device's states.
    assert [group["lr"] for group in designs] == pytest.approx(
        [0.7 * float(spacing(layer.table.values)) for layer in module.model.layers]
    )
    assert scale["lr"] == 0.03
    assert [id(p) for p in scale["params"]] == [id(module.model.readout.log_scale)]


def test_a_fixed_scale_is_not_trained(tiny: Make):
    module = module_for(tiny("task.scale=2.0", "codesign.relaxation.name=softmax", "training.learning_rate=0.7"))
    assert [group["lr"] for group in module.configure_optimizers()["optimizer"].param_groups] == [0.7, 0.7]


def test_learning_rates_fall_to_zero_along_half_a_cosine_or_stay(tiny: Make):
    # 150 images in batches of 40 are 4 steps, 3 epochs are 12.
    found: Any = module_for(tiny("training.learning_rate=0.8")).configure_optimizers()
    optimizer, decay = found["optimizer"], found["lr_scheduler"]
    assert decay["interval"] == "step"
    rates = []
    for _ in range(12):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        decay["scheduler"].step()
    assert rates == pytest.approx([rates[0] / 2 * (1 + math.cos(math.pi * step / 12)) for step in range(12)])
    assert optimizer.param_groups[-1]["lr"] == pytest.approx(0, abs=1e-9)
    assert list(module_for(tiny("training.learning_rate_decay=none")).configure_optimizers()) == ["optimizer"]


def test_the_temperature_goes_from_start_to_end_with_the_steps(tiny: Make):
    module = module_for(tiny("codesign.schedule.start=9", "codesign.schedule.end=1"))
    # 150 images in batches of 40 are 4 steps, 3 epochs are 12.
    temperatures = [module.temperature(step) for step in range(12)]
    assert temperatures[0] == 9
    assert temperatures[-1] == 1
    assert temperatures[4] == pytest.approx(9 ** (1 - 4 / 11))


def test_the_temperature_can_stay_for_an_epoch(tiny: Make):
    module = module_for(tiny("codesign.schedule.start=9", "codesign.schedule.end=1", "codesign.schedule.per=epoch"))
    assert [module.temperature(4 * epoch + 3) for epoch in range(3)] == pytest.approx([9, 3, 1])


def test_a_single_step_is_taken_at_the_last_temperature(tiny: Make):
    module = module_for(tiny("training.epochs=1", "codesign.schedule.per=epoch", "codesign.schedule.end=0.5"))
    assert module.temperature(0) == 0.5


def test_every_layer_gets_the_temperature(tiny: Make):
    config = tiny()
    module = module_for(config)
    step = TrainingStep([Learner(module.model.train(), make_optimizer(module.model, config.training), Tally(()))])
    step([(*next(iter(module.train_dataloader())), 7.5)])
    assert {layer.temperature for layer in module.model.layers} == {7.5}
    assert not step.recorded  # on a CPU


def test_an_epoch_whose_last_step_spoilt_a_parameter_has_diverged(tiny: Make):
    module = module_for(tiny("task.scale=2.0"))
    module.close_epoch()
    module.model.layers[1].design.data[0, 3, 4] = math.nan
    with pytest.raises(TrainingError) as caught:
        module.close_epoch()
    assert str(caught.value) == (
        "expected a finite loss and finite parameters, but training diverged in epoch 2, loss 0: lower "
        "training.learning_rate, or check the amplitudes of the devices"
    )
    assert len(module.history) == 1


@pytest.mark.parametrize(
    ("settings", "temperatures"),
    [
        (["name=linear", "start=9", "end=1"], [9, 5, 1]),
        (["name=exponential", "start=9", "end=1"], [9, 3, 1]),
        (["name=cosine", "start=9", "end=1"], [9, 5, 1]),
        (["name=static", "start=9"], [9, 9, 9]),
        (["name=piecewise", "temperatures=[7, 2]", "shares=[2, 1]"], [7, 7, 2]),
        (["name=paper-step"], [50, 30, 1]),
        (["name=paper-cosine"], [50, 30, 1]),
    ],
)
def test_schedules_are_chosen_by_name(settings: list[str], temperatures: list[float], tiny: Make):
    schedule = tiny(*(f"codesign.schedule.{setting}" for setting in settings)).codesign.schedule.build()
    assert [schedule.temperature(progress) for progress in (0, 0.5, 1)] == pytest.approx(temperatures)
