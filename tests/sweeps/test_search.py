"""What a sweep's file may say, and what is tried of it."""

from __future__ import annotations

import math
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from voltphase.core.errors import ConfigError
from voltphase.devices.models import tn_slm
from voltphase.sweeps.search import read_sweep
from voltphase.sweeps.search.space import grid, parse_search

GAIN = {"codesign.gain": [1.0, 3.0]}
RELAXATIONS = {"codesign.relaxation": [{"name": "gumbel-softmax"}, {"name": "proximity"}]}


def sweep_of(**given: Any) -> Any:
    return read_sweep({"config": "digits", "search": GAIN, "sampler": "grid", **given})


def test_a_grid_is_all_combinations_and_a_setting_is_there_only_where_its_condition_holds() -> None:
    search = {
        "optics.depth": {"low": 1, "high": 3, "step": 2},
        "codesign.relaxation.name": ["gumbel-softmax", "proximity"],
        "codesign.relaxation.hard": {"choices": [True, False], "if": {"codesign.relaxation.name": "gumbel-softmax"}},
    }
    points = grid(parse_search(search))
    assert len(points) == 2 * (2 + 1)
    assert points[2] == {"optics.depth": 1, "codesign.relaxation.name": "proximity"}
    assert [point.get("codesign.relaxation.hard") for point in points] == 2 * [True, False, None]
    assert all(sweep_of(search=search).config_of(point).optics.depth == point["optics.depth"] for point in points)


def test_whole_numbers_make_whole_numbers_and_steps_are_as_they_are_written() -> None:
    assert grid(parse_search({"a": {"low": 2, "high": 5}})) == [{"a": n} for n in (2, 3, 4, 5)]
    assert grid(parse_search({"a": {"low": 0.1, "high": 0.4, "step": 0.1}})) == [{"a": x} for x in (0.1, 0.2, 0.3, 0.4)]


def test_a_grid_may_be_cut_and_settings_may_be_groups_and_lists(tmp_path: Path) -> None:
    tn_slm(8).save(tmp_path / "mine.csv")
    (tmp_path / "sweep.yaml").write_text(
        "config: digits\nset: {optics: {depth: 2}, device.file: mine.csv, device.levels: null}\n"
        "search: {optics.distances: [[0.1, 0.2, 0.1], 0.1], codesign.gain: [1, 3]}\n"
        "sampler: grid\ntrials: 3\nseeds: 2\n"
    )
    sweep = read_sweep(tmp_path / "sweep.yaml")
    assert (sweep.trials, sweep.seeds) == (3, [0, 1])
    config = sweep.config_of(sweep.grid[0], 1)  # pyright: ignore[reportOptionalSubscript]
    assert (config.optics.depth, config.optics.distances, config.seed) == (2, [0.1, 0.2, 0.1], 1)
    assert config.device is not None
    assert config.device.file == str(tmp_path / "mine.csv")


def test_python_may_give_paths_arrays_and_numbers_of_numpy(tmp_path: Path) -> None:
    for name in ("a.csv", "b.csv"):
        tn_slm(8).save(tmp_path / name)
    files = [tmp_path / "a.csv", tmp_path / "b.csv"]
    search = {"codesign.gain": np.array([1.0, 3.0]), "device.file": files}
    sweep = sweep_of(search=search, set={"device.levels": None}, seeds=np.int64(2))
    assert (sweep.trials, sweep.seeds) == (4, [0, 1])
    assert sweep.grid[1] == {"codesign.gain": 1.0, "device.file": str(files[1])}


def test_all_paths_are_named_from_the_folder_of_the_file_and_are_watched(tmp_path: Path) -> None:
    names = ["source.npy", "a.npy", "b.npy"]
    for number, name in enumerate(names):
        np.save(tmp_path / name, np.full((16, 16), 1 - number / 4))
    tn_slm(8).save(tmp_path / "mine.csv")
    (tmp_path / "sweep.yaml").write_text(
        "config: digits\n"
        "set: {optics: {size: 16, depth: 1, source: {mask: source.npy}}, devices: [{file: mine.csv, levels: null}]}\n"
        "search:\n  optics.distances:\n"
        "  - [[0.1, {name: mask, file: a.npy}], 0.1]\n"
        "  - [[0.1, {name: mask, file: b.npy}], 0.1]\n"
        "sampler: grid\n"
    )
    sweep = read_sweep(tmp_path / "sweep.yaml")
    config = sweep.config_of(sweep.grid[1])  # pyright: ignore[reportOptionalSubscript]
    assert config.optics.source.mask == str(tmp_path / "source.npy")
    assert config.devices is not None
    assert config.devices[0].file == str(tmp_path / "mine.csv")
    assert config.model_dump()["optics"]["distances"][0][1]["file"] == str(tmp_path / "b.npy")
    before = sweep.tables()
    assert len(before) == 1 + 2
    np.save(tmp_path / "b.npy", np.zeros((16, 16)) + 0.1)
    assert sum(one != other for one, other in zip(before.values(), sweep.tables().values(), strict=True)) == 1


def test_a_setting_of_a_group_that_is_searched_changes_no_choice() -> None:
    only = {"choices": [True], "if": {"codesign.relaxation": RELAXATIONS["codesign.relaxation"][0]}}
    sweep = sweep_of(search={**RELAXATIONS, "codesign.relaxation.hard": only})
    before = sweep.definition()
    first, second = (sweep.config_of(values).codesign.relaxation for values in sweep.grid)
    assert (first.name, first.model_dump()["hard"], second.name) == ("gumbel-softmax", True, "proximity")
    assert sweep.definition() == before
    assert before["search"]["codesign.relaxation"] == RELAXATIONS["codesign.relaxation"]


def test_a_sweep_is_what_its_configuration_was_when_it_was_read(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text("preset: digits\ntraining: {epochs: 3}\n")
    (tmp_path / "sweep.yaml").write_text("config: base.yaml\nsearch: {codesign.gain: [1, 3]}\nsampler: grid\n")
    sweep = read_sweep(tmp_path / "sweep.yaml")
    (tmp_path / "base.yaml").write_text("preset: digits\ntraining: {epochs: 9}\n")
    assert sweep.config_of({"codesign.gain": 3.0}).training.epochs == 3
    assert read_sweep(tmp_path / "sweep.yaml").base.training.epochs == 9


def test_what_is_best() -> None:
    assert [(aim.name, aim.direction) for aim in sweep_of().aims] == [("accuracy", "maximize")]
    aims = sweep_of(metric={"accuracy": "maximize", "optics.depth": "minimize"}, sampler="nsga2", trials=2).aims
    config = sweep_of().base
    summary, epoch = {"watched": "val", "val_accuracy": 0.5, "test_accuracy": 0.4}, {"val_accuracy": 0.3}
    assert [aim.of_run(config, summary, epoch) for aim in aims] == [0.5, config.optics.depth]
    loss = sweep_of(metric="train_loss").aims[0]
    assert (loss.direction, loss.of_run(config, summary, {"train_loss": 0.2})) == ("minimize", 0.2)


def test_bad_trials_end_early_where_that_can_be_done_and_is_no_grid() -> None:
    random = {"sampler": "random", "trials": 3}
    assert sweep_of(**random).prunes
    assert not sweep_of().prunes
    assert sweep_of(prune=True).prunes
    assert not sweep_of(**random, prune=False).prunes
    assert not sweep_of(**random, metric="test_light_share").prunes
    assert not sweep_of(**random, set={"training.epochs": 1}).prunes


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"serch": GAIN}, "serch"),
        ({"search": {}}, "search: expected at least one setting"),
        ({"search": {"codesign.gian": [1]}}, r"no setting codesign\.gian: did you mean codesign\.gain\?"),
        ({"set": {"trainin.epochs": 1}}, "set: there is no setting"),
        ({"set": GAIN}, "in set or in search, but it is in both"),
        ({"set": {"codesign.relaxation.hard": True}, "search": RELAXATIONS}, r"no codesign\.relaxation\.hard in set"),
        ({"search": {"codesign.relaxation.name": ["proximity"], **RELAXATIONS}}, r"before it in search"),
        ({"search": {"codesign.gain": 3}}, "expected a list of choices, or a group"),
        ({"search": {"codesign.gain": []}}, r"search\.codesign\.gain"),
        ({"search": {"codesign.gain": [1, 1]}}, "given twice"),
        ({"search": {"codesign.gain": {"low": 3, "high": 1}}}, "expected low below high, but got 3 and 1"),
        ({"search": {"codesign.gain": {"low": 0, "high": 1, "log": True}}}, "above 0 for log"),
        ({"search": {"codesign.gain": {"low": 0.1, "high": 1, "step": 0}}}, "a step above 0"),
        ({"search": {"codesign.gain": {"low": 1, "high": 2, "step": 1, "log": True}}}, "either log: true or a step"),
        (
            {"search": {"codesign.gain": {"low": 1, "high": 2, "step": 3}}},
            "a step no larger than from 1 to 2",
        ),
        ({"search": {"codesign.gain": {"low": 1, "high": 10**400}}}, "at most 2\\^53"),
        (
            {"search": {"optics.depth": {"low": 1, "high": 3, "step": 0.5}}},
            r"optics\.depth to be a whole .* 1\.0",
        ),
        ({"search": {"codesign.gain": [1.0, math.nan]}}, "without nan or infinity, but got nan"),
        ({"search": {"optics.distances": [0.1, [0.1, math.inf]]}}, "without nan or infinity"),
        ({"search": {"codesign.gain": [1.0, date(2026, 1, 1)]}}, "what a YAML file could hold"),
        ({"search": {"codesign.gain": {"low": 1.0, "high": 2}}}, "expected choices, or a range of whole numbers"),
        ({"search": {"codesign.gain": {"low": 1, "hihg": 2}}}, "hihg"),
        (
            {"search": {"codesign.gain": {"low": 1, "high": 10**7}}},
            "at most 10,000 combinations, but there are 10,000,000",
        ),
        ({"search": {"codesign.gain": {"choices": [1], "if": {"optics.depth": 1}}}}, r"gain\.if: .* got optics\.depth"),
        (
            {"search": {"codesign.gain": {"choices": [1], "condition": {}}}},
            "key condition: expected choices or if",
        ),
        ({"search": {**GAIN, "optics.depth": {"choices": [1], "if": {"codesign.gain": 2.0}}}}, r"may have .* got 2\.0"),
        ({"search": {**GAIN, "optics.depth": {"choices": [1], "if": {"codesign.gain": []}}}}, r"may have .* got \[\]"),
        ({"search": {"seed": [1, 2]}}, "seeds: 3"),
        ({"search": {"optics.depth": [-1, -2]}}, r"optics\.depth"),
        ({"sampler": "cma"}, "sampler"),
        ({"sampler": "tpe"}, "expected trials: how many, for sampler tpe"),
        ({"trials": 0}, "trials"),
        ({"sampler": "tpe", "trials": 10**6}, "at most 10,000 trials"),
        ({"seeds": []}, "seeds"),
        ({"metric": "acuracy"}, r"got 'acuracy': did you mean accuracy\?"),
        ({"metric": "optics.depth"}, r"write {optics\.depth: minimize}"),
        ({"metric": {"accuracy": "best"}}, r"metric"),
        ({"metric": {"optics.method": "minimize"}}, r"a number, but optics\.method is 'fresnel'"),
        ({"metric": "val_accuracy"}, r"for val_accuracy, but data\.val_fraction is 0"),
        ({"metric": ["accuracy", "seconds", "train_loss"]}, "one figure or two, but got 3"),
        ({"prune": True, "metric": "test_light_share"}, "for prune: true"),
        ({"config": "digts"}, "digts"),
    ],
)
def test_what_makes_no_sense_is_one_sentence(given: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence) as caught:
        sweep_of(**given)
    assert "\n" not in str(caught.value)


def test_what_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.yaml is not there"):
        read_sweep(tmp_path / "none.yaml")
    with pytest.raises(ConfigError, match="is no file"):
        read_sweep(tmp_path)
    (tmp_path / "list.yaml").write_text("- 1\n")
    with pytest.raises(ConfigError, match="expected keys such as config"):
        read_sweep(tmp_path / "list.yaml")
    with pytest.raises(ConfigError, match="expected the path of a YAML file or a mapping"):
        read_sweep(3)  # pyright: ignore[reportArgumentType]
