"""What training and deploying are called with is refused before anything is done."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import voltphase as vp
from voltphase import training
from voltphase.config import load_config
from voltphase.core.errors import ConfigError, DataError

WRONG = [
    ({"resume": "x"}, "expected resume to be True or False, but got 'x'"),
    ({"overwrite": "yes"}, "expected overwrite to be True or False, but got 'yes'"),
    ({"watch": 5}, "expected watch as a function, but got 5"),
]


@pytest.mark.parametrize(("given", "words"), [*WRONG, ({"console": 5}, "a Console of rich or None, but got 5")])
@pytest.mark.parametrize(
    "call",
    [training.train, lambda config, out, **given: training.train_several([config], [out], **given)],
    ids=["train", "several"],
)
def test_training_refuses_what_is_no_switch_and_no_function(
    call: Callable[..., Any], given: dict[str, Any], words: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=words):
        call(load_config("digits"), tmp_path / "run", **given)
    with pytest.raises(ConfigError, match="expected a configuration, but got 'digits': read one with"):
        call("digits", tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("given", "words"), [*WRONG, ({"progress": 5}, "expected progress to be True or False")])
def test_the_short_way_does_too(given: dict[str, Any], words: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=words):
        vp.train("digits", out=tmp_path / "run", **given)
    assert not (tmp_path / "run").exists()


def test_what_else_could_be_given_is_named(tmp_path: Path) -> None:
    wrong: Any = 5
    with pytest.raises(
        ConfigError, match="a configuration, the name of a preset or the path of a YAML file, but got 5"
    ):
        vp.train(wrong, out=tmp_path / "run")
    with pytest.raises(DataError, match="a trained network, a run or the path of a run folder, but got 5"):
        vp.deploy(wrong, tmp_path / "bench")
    with pytest.raises(ConfigError, match="expected watch as a function, but got 5"):
        training.refine_run(tmp_path, tmp_path / "refined", watch=wrong)
    with pytest.raises(DataError, match="keys train, test and perhaps val, but got none"):
        vp.train("digits", out=tmp_path / "run", data={})
