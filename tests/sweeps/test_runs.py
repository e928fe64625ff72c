from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from voltphase.config import parse_config
from voltphase.core.errors import ConfigError
from voltphase.devices.models.models import tn_slm
from voltphase.reproduction.cells import best_lambda
from voltphase.reproduction.ours import interpretations as readings
from voltphase.reproduction.ours import pitch as reach
from voltphase.reproduction.ours import study
from voltphase.reproduction.paper import figure2, table1, table2
from voltphase.reproduction.paper.figure4 import write_device
from voltphase.reproduction.registry import EXPERIMENTS, OF_THE_PAPER, choose
from voltphase.reproduction.sizes import PRESETS, Preset, get
from voltphase.sweeps.runs import Cell, identity
from voltphase.training import build_devices


@pytest.fixture
def ready(tmp_path: Path) -> Preset:
    """The preset cpu with a table for figure 4."""
    write_device(tmp_path / "fine.csv")
    return get("cpu").on(None, fine_device=tmp_path / "fine.csv")


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("name", EXPERIMENTS)
def test_cells_of_an_experiment_have_names_of_their_own(preset: str, name: str):
    names = Counter(cell.name for cell in EXPERIMENTS[name].cells(get(preset)))
    assert names
    assert max(names.values()) == 1
    assert all("/" not in cell and " " not in cell for cell in names)


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_cell_is_a_configuration(name: str, ready: Preset):
    for cell in EXPERIMENTS[name].cells(ready):
        assert cell.config.seed == cell.labels.get("seed", 0)
        assert cell.config.data.name == cell.labels["data"]
        assert cell.config.optics.depth == cell.labels.get("depth", 5)


def test_the_diagonal_of_table_1_is_the_papers_recipe_with_the_papers_lambda():
    diagonal = table1.cells(get("paper"))[:6]
    assert [(c.config.optics.depth, c.config.codesign.gain) for c in diagonal] == 2 * [(1, 90.0), (3, 5.0), (5, 1.8)]
    config = diagonal[2].config
    assert (config.training.loss, config.training.learning_rate, config.training.batch_size) == ("mse", 0.5, 500)
    assert (config.codesign.schedule.start, config.codesign.schedule.end) == (50, 1)
    assert config.device is not None
    assert config.device.levels == 8


def test_other_states_of_a_device_are_still_the_presets_device(ready: Preset):
    cells = reach.cells(replace(ready, device={"model": "lcos"}))
    devices = [cell.config.device for cell in cells if cell.labels["states"] == "spread"]
    assert [(device.model, device.levels, device.pick) for device in devices if device] == 4 * [("lcos", 8, "spread")]


def test_at_another_size_the_best_lambda_of_a_depth_comes_first_and_the_papers_are_all_there(ready: Preset):
    cells = table1.cells(replace(ready, best_lambdas={1: 90.0, 3: 5.0, 5: 4.0}))
    assert [c.config.codesign.gain for c in cells[:3]] == [90.0, 5.0, 4.0]
    deepest = [c.labels["variant"] for c in cells if c.fits(["mnist"], depth=5)]
    assert {"lambda90", "lambda5", "lambda1.8", "lambda4"} < set(deepest)


def test_a_run_that_two_experiments_need_is_one_run(ready: Preset):
    tables = {cell.digest for cell in table1.cells(ready)}
    assert {cell.digest for cell in table2.cells(ready)} < tables
    swept = [cell.name for cell in study.cells(ready) if cell.digest in tables]
    assert len(swept) == 12
    assert all(name.startswith("sweep-mnist") for name in swept)


def test_a_digest_tells_what_matters_from_what_does_not(ready: Preset, tmp_path: Path):
    cell = table1.cells(ready)[0]

    def changed(**settings: object) -> str:
        settings = {key.replace("__", "."): value for key, value in settings.items()}
        return Cell(cell.experiment, cell.labels, cell.system, {**cell.settings, **settings}).digest

    assert changed(training__threads=3, training__accelerator="cpu", data__dir=str(tmp_path)) == cell.digest
    for different in (changed(seed=1), changed(training__epochs=3), changed(device__levels=4)):
        assert different != cell.digest


def test_a_setting_that_is_added_later_makes_no_run_another_one(ready: Preset):
    config = table1.cells(ready)[0].config
    before = config.model_dump()
    del before["optics"]["engine"]
    older = parse_config({key: value for key, value in before.items() if value is not None})
    assert identity(older, ["device"]) == identity(config, ["device"])
    assert identity(config, ["device"]) != identity(config, ["another"])


def test_a_device_is_known_by_its_states_and_not_by_its_file(ready: Preset, tmp_path: Path):
    tn_slm().save(tmp_path / "mine.csv")
    assert table1.cells(ready.on(tmp_path / "mine.csv"))[0].digest == table1.cells(ready)[0].digest


def test_choosing_cells(ready: Preset):
    cells = table1.cells(ready)
    assert {cell.labels["data"] for cell in cells if cell.fits(["mnist"])} == {"mnist"}
    assert {cell.labels["depth"] for cell in cells if cell.fits([], depth=5)} == {5}
    assert [c.name for c in cells if c.fits(["mnist", "*lambda90*"], 1)] == ["mnist-depth1-lambda90-seed0"]
    assert {cell.labels["depth"] for cell in cells if cell.fits(["depth=3"])} == {3}
    assert [cell for cell in figure2.cells(ready) if cell.fits([], depth=1)] == [], "no label says its depth, 5"
    assert all(cell.fits([], depth=5) for cell in figure2.cells(ready))
    assert {cell.labels["lambda"] for cell in readings.cells(ready) if cell.fits(["lambda=90"])} == {90.0}


def test_a_depth_that_table_1_leaves_out_has_a_lambda_between_its_neighbours(ready: Preset):
    assert best_lambda(ready, 3) == 5.0
    assert best_lambda(ready, 4) == pytest.approx((5.0 * ready.best_lambdas[5]) ** 0.5)


def test_all_is_the_five_of_the_paper():
    assert sorted(OF_THE_PAPER) == ["figure2", "figure3", "figure4", "table1", "table2"]
    assert [one.name for one in choose("all")] == list(OF_THE_PAPER)
    assert [one.name for one in choose("study")] == ["study"]


def test_every_cell_of_the_study_has_as_many_states_as_it_asks_for_on_a_modulator_of_86(tmp_path: Path):
    tn_slm(86).save(tmp_path / "measured.csv")
    for cell in study.cells(get("cpu").on(tmp_path / "measured.csv")):
        wanted = [device.levels for device in cell.config.layer_devices]
        assert [len(states) for states in build_devices(cell.config)] == wanted


def test_names_that_do_not_exist():
    with pytest.raises(ConfigError, match=r"expected an experiment out of table1, .*, all, but got 'table3'"):
        choose("table3")
    with pytest.raises(ConfigError, match="expected a preset out of smoke, cpu, paper, but got 'gpu'"):
        get("gpu")


def test_the_paper_preset_is_the_papers_system():
    preset = get("paper")
    config = table1.cells(preset)[2].config
    optics = config.optics
    assert (optics.size, optics.distances, optics.pitch, optics.wavelength) == (200, 0.30, 36e-6, 532e-9)
    assert (config.training.epochs, preset.ptq_seeds) == (100, 10)
