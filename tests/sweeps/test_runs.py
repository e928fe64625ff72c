from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from voltphase.config import Config, parse_config
from voltphase.core.errors import ConfigError
from voltphase.devices.models import tn_slm
from voltphase.reproduction.ours import interpretations, pitch, study
from voltphase.reproduction.paper import figure2, figure3, table1, table2
from voltphase.reproduction.paper.figure4 import write_device
from voltphase.reproduction.registry import EXPERIMENTS, OF_THE_PAPER, choose
from voltphase.reproduction.sizes import SIZES, Size, get
from voltphase.sweeps.runs import Run, identity
from voltphase.training import build_devices


@pytest.fixture
def ready(tmp_path: Path) -> Size:
    """The size cpu with a table for figure 4."""
    write_device(tmp_path / "fine.csv")
    return get("cpu").on(None, fine_device=tmp_path / "fine.csv")


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", EXPERIMENTS)
def test_runs_of_an_experiment_have_names_of_their_own(size: str, name: str):
    names = Counter(run.name for run in EXPERIMENTS[name].runs(get(size)))
    assert names
    assert max(names.values()) == 1
    assert all("/" not in run and " " not in run for run in names)


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_run_is_a_configuration(name: str, ready: Size):
    for run in EXPERIMENTS[name].runs(ready):
        assert run.config.seed == run.labels.get("seed", 0)
        assert run.config.data.name == run.labels["data"]
        assert run.config.optics.depth == run.labels.get("depth", 5)


def test_the_diagonal_of_table_1_is_the_papers_recipe_with_the_papers_lambda():
    diagonal = table1.runs(get("paper"))[:6]
    assert [(c.config.optics.depth, c.config.codesign.gain) for c in diagonal] == 2 * [(1, 90.0), (3, 5.0), (5, 1.8)]
    config = diagonal[2].config
    assert (config.task.loss, config.training.learning_rate, config.training.batch_size) == ("mse", 0.5, 500)
    assert (config.codesign.schedule.start, config.codesign.schedule.end) == (50, 1)
    assert config.device is not None
    assert config.device.levels == 8


def test_other_states_of_a_device_are_still_the_presets_device(ready: Size):
    runs = pitch.runs(replace(ready, device={"model": "lcos"}))
    devices = [run.config.device for run in runs if run.labels["states"] == "spread"]
    assert [(device.model, device.levels, device.pick) for device in devices if device] == 4 * [("lcos", 8, "spread")]


def test_at_another_size_the_best_lambda_of_a_depth_comes_first_and_the_papers_are_all_there(ready: Size):
    runs = table1.runs(replace(ready, best_lambdas={1: 90.0, 3: 5.0, 5: 4.0}))
    assert [c.config.codesign.gain for c in runs[:3]] == [90.0, 5.0, 4.0]
    deepest = [c.labels["variant"] for c in runs if c.fits(["mnist"], depth=5)]
    assert {"lambda90", "lambda5", "lambda1.8", "lambda4"} < set(deepest)


def test_a_run_that_two_experiments_need_is_one_run(ready: Size):
    tables = {run.digest for run in table1.runs(ready)}
    assert {run.digest for run in table2.runs(ready)} < tables
    swept = [run.name for run in study.runs(ready) if run.digest in tables]
    assert len(swept) == 12
    assert all(name.startswith("sweep-mnist") for name in swept)


def test_a_digest_tells_what_matters_from_what_does_not(ready: Size, tmp_path: Path):
    run = table1.runs(ready)[0]

    def changed(**settings: object) -> str:
        settings = {key.replace("__", "."): value for key, value in settings.items()}
        return Run(run.experiment, run.labels, run.system, {**run.settings, **settings}).digest

    assert changed(training__threads=3, training__accelerator="cpu", data__dir=str(tmp_path)) == run.digest
    for different in (changed(seed=1), changed(training__epochs=3), changed(device__levels=4)):
        assert different != run.digest


def test_a_setting_that_is_added_later_makes_no_run_another_one(ready: Size):
    config = table1.runs(ready)[0].config
    before = config.model_dump()
    del before["optics"]["engine"]
    older = parse_config({key: value for key, value in before.items() if value is not None})
    assert identity(older, ["device"]) == identity(config, ["device"])
    assert identity(config, ["device"]) != identity(config, ["another"])


def test_a_measured_device_is_known_by_its_states_and_a_model_by_its_settings(
    ready: Size, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    for name in ("mine", "same"):
        tn_slm().save(tmp_path / f"{name}.csv")

    def digests() -> list[str]:
        measured = [ready.on(tmp_path / f"{name}.csv") for name in ("mine", "same")]
        return [table1.runs(size)[0].digest for size in (*measured, ready)]

    mine, same, modelled = digests()
    assert mine == same
    monkeypatch.setattr("voltphase.sweeps.runs.build_devices", elsewhere)
    other, _, again = digests()
    assert other != mine
    assert again == modelled


def elsewhere(config: Config) -> list[Any]:
    """Devices as a processor computes them that rounds otherwise."""
    tables = [device.tables[0] for device in build_devices(config)]
    return [replace(table, phase=np.nextafter(table.phase, 9.0)) for table in tables]


def test_choosing_runs(ready: Size):
    runs = table1.runs(ready)
    assert {run.labels["data"] for run in runs if run.fits(["mnist"])} == {"mnist"}
    assert {run.labels["depth"] for run in runs if run.fits([], depth=5)} == {5}
    assert [c.name for c in runs if c.fits(["mnist", "*lambda90*"], 1)] == ["mnist-depth1-lambda90-seed0"]
    assert {run.labels["depth"] for run in runs if run.fits(["depth=3"])} == {3}
    assert [run for run in figure2.runs(ready) if run.fits([], depth=1)] == [], "no label says its depth, 5"
    assert all(run.fits([], depth=5) for run in figure2.runs(ready))
    assert {run.labels["lambda"] for run in interpretations.runs(ready) if run.fits(["lambda=90"])} == {90.0}


def test_a_depth_that_table_1_leaves_out_has_a_lambda_between_its_neighbours(ready: Size):
    assert ready.best_lambda(3) == 5.0
    assert ready.best_lambda(4) == pytest.approx((5.0 * ready.best_lambdas[5]) ** 0.5)


def test_all_is_the_five_of_the_paper():
    assert sorted(OF_THE_PAPER) == ["figure2", "figure3", "figure4", "table1", "table2"]
    assert [one.name for one in choose("all")] == list(OF_THE_PAPER)
    assert [one.name for one in choose("study")] == ["study"]


def test_every_run_of_the_study_has_as_many_states_as_it_asks_for_on_a_modulator_of_86(tmp_path: Path):
    tn_slm(86).save(tmp_path / "measured.csv")
    for run in study.runs(get("cpu").on(tmp_path / "measured.csv")):
        wanted = [device.levels for device in run.config.layer_devices]
        assert [len(states) for states in build_devices(run.config)] == wanted


def test_names_that_do_not_exist():
    with pytest.raises(ConfigError, match=r"expected an experiment out of table1, .*, all, but got 'table3'"):
        choose("table3")
    with pytest.raises(ConfigError, match="expected a preset out of smoke, cpu, paper, but got 'gpu'"):
        get("gpu")


def test_the_paper_preset_is_the_papers_system():
    size = get("paper")
    config = table1.runs(size)[2].config
    optics = config.optics
    assert (optics.size, optics.distances, optics.pitch, optics.wavelength) == (200, 0.30, 36e-6, 532e-9)
    assert (config.training.epochs, figure3.SIZES["paper"].ptq_seeds) == (100, 10)
