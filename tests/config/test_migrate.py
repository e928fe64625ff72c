"""Settings as version 0.1.0 spelled them."""

from __future__ import annotations

import json
import re
import warnings
from pathlib import Path
from typing import Any

import pytest

from voltphase.config import current_settings, load_config, parse_config
from voltphase.config.migrate import OldSettingWarning
from voltphase.core.errors import ConfigError
from voltphase.sweeps.runs import identity

RUNS = Path(__file__).parents[1] / "training" / "version-0.1.0"
BAG = {"hard": False, "mix": "complex", "nearest": "control", "order": None, "spread": False}
SCHEDULE = {"name": "exponential", "start": 10.0, "end": 0.1, "temperatures": None, "shares": None, "per": "step"}


def written(**relaxation: Any) -> dict[str, Any]:
    """A configuration as version 0.1.0 wrote it down."""
    return {
        "seed": 0,
        "data": {"name": "digits", "dir": None, "train_limit": None, "test_limit": None},
        "optics": {"size": 64},
        "device": {"model": "tn-slm", "parameters": {}, "levels": 8},
        "codesign": {"relaxation": {**BAG, **relaxation}, "schedule": SCHEDULE, "gain": 1.0},
        "readout": {"regions": "paper", "differential": True, "measure": "fraction", "scale": "calibrated"},
        "training": {"epochs": 20, "batch_size": 100, "loss": "cross-entropy"},
    }


@pytest.mark.parametrize(
    ("relaxation", "overrides"),
    [
        ({"name": "proximity"}, []),
        ({"name": "proximity", "hard": True}, ["codesign.relaxation.hard=true"]),
        ({"name": "gumbel-softmax", "hard": True}, ["codesign.relaxation.name=gumbel-softmax"]),
        ({"name": "reinmax", "hard": True}, ["codesign.relaxation.name=reinmax"]),
        ({"name": "ptq", "hard": True, "mix": "polar"}, ["codesign.relaxation.name=ptq"]),
        ({"name": "unconstrained", "mix": "polar"}, ["codesign.relaxation.name=unconstrained"]),
    ],
)
def test_what_it_wrote_is_the_same_run_today_without_a_word(relaxation: dict[str, Any], overrides: list[str]):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        old, new = parse_config(written(**relaxation)), load_config("digits", overrides)
    assert old.codesign == new.codesign
    assert old.task == new.task
    assert identity(old, ["device"]) == identity(new, ["device"])


@pytest.mark.parametrize("name", ["temperatures", "start"])
def test_settings_of_another_schedule_are_left_out(name: str):
    content = written(name="proximity")
    content["codesign"]["schedule"] = {**SCHEDULE, "name": "paper-step"}
    assert parse_config(content).codesign.schedule.model_dump() == {"name": "paper-step", "per": "step"}


def test_what_meant_something_is_kept():
    with pytest.raises(ConfigError, match=r"codesign\.relaxation\.order is of ptq and qat, not of proximity"):
        parse_config(written(name="proximity", order=3))


def test_a_file_of_a_users_own_still_works_and_says_the_new_name(tmp_path: Path):
    (tmp_path / "mine.yaml").write_text(
        "preset: digits\nreadout: {differential: yes, scale: 2}\ntraining: {loss: mse}\n"
        "codesign: {relaxation: {name: reinmax, hard: true}}\n"
    )
    with pytest.warns(OldSettingWarning, match="readout is called task now; training.loss is called task.loss now"):
        config = load_config(tmp_path / "mine.yaml")
    task = config.task
    assert (task.differential, task.scale, task.loss) == (True, 2, "mse")
    assert config.codesign.relaxation.name == "reinmax"


def test_an_override_in_the_old_spelling_still_works_and_says_the_new_name():
    with pytest.warns(OldSettingWarning, match=r"readout\.scale is called task\.scale now"):
        assert load_config("digits", ["readout.scale=3"]).task.scale == 3
    with pytest.warns(OldSettingWarning), pytest.raises(ConfigError, match=r"^--set: expected task\.loss .*: did you"):
        load_config("digits", ["training.loss=msse"])


def test_a_name_that_is_chosen_over_a_file_leaves_out_what_the_file_says_of_another(tmp_path: Path):
    file = tmp_path / "config.yaml"
    file.write_text(load_config("digits", ["recipe=paper"]).to_yaml())
    relaxation = load_config(file, ["codesign.relaxation.name=ptq"]).codesign.relaxation
    assert relaxation.model_dump() == {"name": "ptq", "nearest": "control", "order": None}
    assert load_config(file, ["codesign.relaxation.name=proximity"]).codesign.relaxation.hard is True
    for order in (("name=proximity", "mix=polar"), ("mix=polar", "name=proximity")):
        with pytest.raises(ConfigError, match=r"codesign\.relaxation\.mix is of .*, not of proximity"):
            load_config(file, [f"codesign.relaxation.{setting}" for setting in order])


@pytest.mark.parametrize("run", ["default", "ptq", "mixed", "panel"])
def test_settings_by_their_dotted_names(run: str):
    found = current_settings(json.loads((RUNS / run / "summary.json").read_text(encoding="utf-8"))["settings"])
    assert not any(key.startswith("readout.") or key == "training.loss" for key in found)
    assert found["task.differential"] is (run != "mixed")
    assert current_settings(found) == found


@pytest.mark.parametrize(
    ("lines", "names", "values"),
    [
        (
            "training: {loss: mse}\ntask: {loss: cross-entropy}",
            ("training.loss", "task.loss"),
            "'mse' and 'cross-entro",
        ),
        ("readout: {scale: 2}\ntask: {scale: 3, measure: mean}", ("readout.scale", "task.scale"), "2 and 3"),
        ("readout: {scale: 2}\ntask:", ("readout", "task"), "{'scale': 2} and None"),
    ],
)
def test_a_setting_in_both_spellings_is_said_once(tmp_path: Path, lines: str, names: tuple[str, str], values: str):
    (tmp_path / "mine.yaml").write_text(f"preset: digits\n{lines}\n")
    words = (
        f"mine.yaml: {names[0]} is called {names[1]} now, and expected to be the same as that, but they are {values}"
    )
    with pytest.raises(ConfigError, match=re.escape(words)):
        load_config(tmp_path / "mine.yaml")
    (tmp_path / "same.yaml").write_text("preset: digits\ntraining: {loss: mse}\ntask: {loss: mse}\n")
    with pytest.warns(OldSettingWarning):
        assert load_config(tmp_path / "same.yaml").task.loss == "mse"
