from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voltphase.config import Config, load_config, parse_config, presets, recipes
from voltphase.core.errors import ConfigError
from voltphase.settings.yaml_io import read_yaml, write_yaml


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


LENS_ALONE = "[0.1, {name: lens, focal_length: 0.1}, 0.1]"


def problem(*overrides: str, source: str | Path = "digits") -> str:
    with pytest.raises(ConfigError) as caught:
        load_config(source, overrides)
    return str(caught.value)


def test_there_are_presets_for_a_minute_a_coffee_and_the_paper():
    assert list(presets()) == ["digits", "fashion-small", "mnist-small", "paper", "two-wavelengths"]
    assert all(preset.description and not preset.description.startswith("#") for preset in presets().values())


def test_the_paper_preset_is_the_papers_system():
    config = load_config("paper")
    assert (config.optics.size, config.optics.depth, config.optics.distances) == (200, 5, 0.30)
    assert (config.optics.wavelength, config.optics.pitch) == (532e-9, 36e-6)
    assert (config.training.epochs, config.training.batch_size, config.training.learning_rate) == (100, 500, 0.5)
    assert config.task.loss == "mse"
    assert (config.codesign.schedule.start, config.codesign.schedule.end) == (50, 1)


def test_the_small_presets_keep_the_fresnel_number_of_the_paper():
    paper = load_config("paper").optics
    for name in ("mnist-small", "fashion-small"):
        small = load_config(name).optics
        assert isinstance(small.wavelength, float)
        assert isinstance(paper.wavelength, float)
        assert isinstance(small.distances, float)
        assert isinstance(small.size, int)
        assert isinstance(small.pitch, float)
        assert isinstance(paper.distances, float)
        assert isinstance(paper.size, int)
        assert isinstance(paper.pitch, float)
        # N² pitch² / (wavelength · distance): half width squared over wavelength and distance, up to a constant
        fresnel_number = (small.size * small.pitch) ** 2 / (small.wavelength * small.distances)
        assert fresnel_number == pytest.approx(
            (paper.size * paper.pitch) ** 2 / (paper.wavelength * paper.distances), rel=0.7
        )
        assert small.size / paper.size == pytest.approx(small.distances / paper.distances)


@pytest.mark.parametrize("name", ["digits", "fashion-small", "mnist-small", "paper", "two-wavelengths"])
def test_a_resolved_file_loads_back_identically(name: str, tmp_path: Path):
    config = load_config(name, ["seed=3", "data.dir=some/where", 'device.file="7e3"'])
    assert load_config(write(tmp_path / "config.yaml", config.to_yaml())) == config


def test_a_resolved_file_with_lists_loads_back_identically(tmp_path: Path):
    config = parse_config(
        {
            "optics": {"depth": 2, "distances": [0.1, 2e-7, 3]},
            "devices": [{"file": "/tmp/a.csv", "levels": 4}, {"model": "tn-slm", "levels": None}],
            "codesign": {"gain": [1.8, 5]},
            "task": {"regions": [[0, 0, 4, 4], [8, 8, 4, 4]], "scale": 20},
        }
    )
    assert load_config(write(tmp_path / "config.yaml", config.to_yaml())) == config


def test_a_resolved_file_says_everything():
    content = read_yaml(load_config("digits").to_yaml(), "")
    for section, model in Config.model_fields.items():
        if section != "devices":  # its place is taken by device
            assert section in content, model
    assert content["device"] == {
        "file": None,
        "model": "tn-slm",
        "parameters": {},
        "levels": 8,
        "pick": "spread",
        "border": 0,
    }


# Words that YAML of one version or another takes for something else than text, and what would break a line.
_TRAPS = [
    "no",
    "on",
    "~",
    "null",
    "1e3",
    "1_000",
    "010",
    "0o10",
    "0x1f",
    "1:30",
    "2026-02-30",
    "<<",
    "=",
    "- a",
    "a: b",
]
_TRAPS += ["a #b", "!x", "&a", "*a", "", " a ", "\ufeffa", "\x85", "\u2028", "\udcff", "a b " * 60, "\U0001f600" * 50]
_TEXTS = st.text(st.characters(exclude_categories=()), max_size=12) | st.sampled_from(_TRAPS)


@settings(max_examples=100, deadline=None)
@given(st.floats(allow_nan=False, allow_infinity=False) | _TEXTS | st.integers(-(10**90), 10**90) | st.booleans())
def test_any_value_survives_yaml(value: float | str | bool):
    back = read_yaml(write_yaml({"a": [value], "b": value}), "")
    assert back == {"a": [value], "b": value}
    assert type(back["b"]) is type(value)


@pytest.mark.parametrize(("text", "value"), [("5e-3", 5e-3), ("36E-6", 36e-6), ("1.", 1.0), (".5", 0.5), ("-2e1", -20)])
def test_numbers_are_read_as_people_write_them(text: str, value: float):
    assert load_config("digits", [f"training.learning_rate={abs(value):g}"]).training.learning_rate == abs(value)
    assert read_yaml(text, "") == value
    assert isinstance(read_yaml(text, ""), float)


def test_overrides_reach_groups_lists_and_absent_groups(tmp_path: Path):
    file = write(tmp_path / "c.yaml", "optics: {depth: 2}\ndevices: [{levels: 4}, {levels: 8}]\n")
    config = load_config(file, ["devices.1.levels=16", "training.threads=2", "optics.distances=[0.1, 0.2, 0.3]"])
    assert [device.levels for device in config.layer_devices] == [4, 16]
    assert config.training.threads == 2
    assert config.optics.distances == [0.1, 0.2, 0.3]


def test_later_overrides_win():
    assert load_config("digits", ["seed=1", "seed=2"]).seed == 2


def test_a_file_starts_from_a_preset_and_says_what_differs(tmp_path: Path):
    config = load_config(write(tmp_path / "mine.yaml", "preset: paper\noptics: {size: 100}\n"))
    assert config.optics.size == 100
    assert config.optics.distances == 0.30
    assert config.training == load_config("paper").training


def test_a_recipe_settles_what_is_not_said(tmp_path: Path):
    paper = load_config("paper")
    small = load_config("mnist-small", ["recipe=paper", "codesign.gain=5"])
    assert small.codesign == paper.codesign.model_copy(update={"gain": 5.0})
    assert (small.task, small.task.loss) == (paper.task, "mse")
    assert (small.optics, small.data) == (load_config("mnist-small").optics, load_config("mnist-small").data)
    assert load_config(write(tmp_path / "mine.yaml", "recipe: default\n")) == Config()
    assert list(recipes()) == ["default", "gumbel-softmax", "paper"]


def test_an_unknown_recipe_is_refused(tmp_path: Path):
    wanted = "expected recipe to be default, gumbel-softmax or paper, but got 'papr'"
    assert problem("recipe=papr") == f"--set: {wanted}"
    path = write(tmp_path / "p.yaml", "recipe: papr\n")
    assert problem(source=path) == f"{path}: {wanted}"
    assert problem("recipe=[paper]") == f"--set: {wanted.replace('papr', '[paper]')}"


@pytest.mark.parametrize(("one", "other"), [("default", "paper"), ("paper", "default"), ("paper", "gumbel-softmax")])
def test_a_recipe_by_set_is_over_what_the_file_says_of_learning(one: str, other: str, tmp_path: Path):
    """A run's own file gives everything, and would leave a recipe nothing to settle."""
    own = ["optics.size=32", "training.epochs=3", "training.batch_size=20", "device.levels=4"]
    file = write(tmp_path / "config.yaml", load_config("digits", [*own, f"recipe={one}"]).to_yaml())
    assert load_config(file, [f"recipe={other}"]) == load_config("digits", [*own, f"recipe={other}"])
    assert load_config(file, values={"recipe": other}) == load_config(file, [f"recipe={other}"])
    assert load_config(file, ["codesign.gain=3", f"recipe={other}"]).codesign.gain == 3


def test_devices_of_a_file_replace_the_device_of_its_preset(tmp_path: Path):
    text = "preset: digits\noptics: {depth: 2}\ndevices: [{levels: 2}, {levels: 4}]\n"
    assert [device.levels for device in load_config(write(tmp_path / "m.yaml", text)).layer_devices] == [2, 4]


def test_an_empty_file_is_all_defaults(tmp_path: Path):
    assert load_config(write(tmp_path / "empty.yaml", "")) == Config()


def test_a_measured_device_takes_the_place_of_the_modelled_one():
    device = load_config("digits", ["device.file=/tmp/slm.csv"]).layer_devices[0]
    assert (device.file, device.model) == ("/tmp/slm.csv", None)
    assert load_config("digits", ["device.file=null"]).layer_devices[0].model == "tn-slm"


def test_a_device_is_a_file_or_a_model_and_the_later_word_counts(tmp_path: Path):
    file = tmp_path / "mine.yaml"
    file.write_text("preset: digits\ndevice: {file: a.csv}\n")
    device = load_config(file, ["device.model=lcos"]).layer_devices[0]
    assert (device.file, device.model) == (None, "lcos")
    file.write_text("preset: digits\ndevices: [{model: lcos}]\noptics: {depth: 1}\n")
    assert load_config(file, ["devices.0.file=/b.csv"]).layer_devices[0].file == "/b.csv"
    file.write_text("preset: digits\ndevice: {file: /a.csv, model: lcos}\n")
    both = r"expected device\.file or device\.model, but got both, '/a\.csv' and 'lcos': set one of them to null"
    with pytest.raises(ConfigError, match=both):
        load_config(file)
    with pytest.raises(ConfigError, match=both):
        load_config("digits", ["device.file=/a.csv", "device.model=lcos"])


def test_one_device_stands_for_every_layer():
    config = load_config("digits", ["optics.depth=3", "device.levels=4"])
    assert [device.levels for device in config.layer_devices] == [4, 4, 4]


def test_each_plane_may_have_a_size_and_a_pitch_of_its_own():
    optics = load_config("digits", ["optics.depth=2", "optics.size=[20, 24, 16, 30]"]).optics
    assert optics.sizes == [(20, 20), (24, 24), (16, 16), (30, 30)]
    assert optics.pitches == [(optics.pitch, optics.pitch)] * 4
    optics = load_config("digits", ["optics.depth=1", "optics.size=20", "optics.pitch=[1e-5, 8e-6, 1e-5]"]).optics
    assert (optics.sizes, optics.pitches) == ([(20, 20)] * 3, [(1e-5, 1e-5), (8e-6, 8e-6), (1e-5, 1e-5)])


def test_two_numbers_are_rows_and_columns_of_every_plane_or_of_one_in_a_list():
    config = load_config("digits", ["optics.depth=1", "optics.size=[20, 24]", "optics.pitch=[1e-5, 8e-6]"])
    assert config.optics.sizes == [(20, 24)] * 3
    assert config.optics.pitches == [(1e-5, 8e-6)] * 3
    assert parse_config(read_yaml(config.to_yaml(), "", lambda _: "any")) == config
    optics = load_config("digits", ["optics.depth=1", "optics.size=[20, [20, 24], [10, 12]]"]).optics
    assert optics.sizes == [(20, 20), (20, 24), (10, 12)]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (
            "optics.size=[20, 20, 20]",
            "expected optics.size to be a number or a pair for all planes, or a list of 4, one for each (source, the "
            "2 layers of optics.depth, detector), but got 3",
        ),
        (
            "optics.pitch=[36e-6]",
            "expected optics.pitch to be a number or a pair for all planes, or a list of 4, one for each (source, the "
            "2 layers of optics.depth, detector), but got 1",
        ),
        (
            "optics.size=[20, 20, 9, 20]",
            "--set: expected optics.size to be a whole number from 10 to 8192, a list of 2 of them or a list of "
            "either, but item 2 is 9",
        ),
        (
            "optics.size=[20, [20, 9], 20, 20]",
            "--set: expected optics.size to be a whole number from 10 to 8192, a list of 2 of them or a list of "
            "either, but item 1.1 is 9",
        ),
        (
            "optics.size=large",
            "--set: expected optics.size to be a whole number from 10 to 8192, a list of 2 of them or a list of "
            "either, but got 'large'",
        ),
        (
            "device.border=[1, 2]",
            "--set: expected device.border to be a whole number of pixels, or [top, bottom, left, right], but got "
            "[1, 2]",
        ),
    ],
)
def test_planes_and_borders_that_do_not_fit(override: str, message: str):
    with pytest.raises(ConfigError) as caught:
        load_config("digits", ["optics.depth=2", override])
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["optics.networks.combine=classes"], "optics.networks: expected 2 networks or more to share the classes"),
        (
            ["codesign.gain=[1, 1]"],
            r"codesign.gain to be a number or 6 numbers \(one for each of optics.depth layers of 3 ",
        ),
        (["optics.networks.combine=difference"], "expected 2 networks, the first of which speaks for the classes"),
    ],
)
def test_networks_that_do_not_fit(overrides: list[str], message: str):
    count = 1 if "classes" in overrides[0] else 3
    with pytest.raises(ConfigError, match=message):
        load_config("digits", ["optics.depth=2", f"optics.networks.count={count}", *overrides])


def test_every_network_has_layers_of_its_own():
    config = load_config("digits", ["optics.depth=2", "optics.networks.count=3", "optics.networks.combine=classes"])
    assert (config.optics.layers, len(config.layer_devices), len(config.optics.sizes)) == (6, 6, 4)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            ["optics.detectors.distances=[0.1]"],
            "optics.detectors: expected distances of two detectors or more, but got 1",
        ),
        (["optics.detectors.combine=classes"], "expected the distances of several detectors"),
        (
            ["optics.detectors={distances: [0.1, 0.2], shares: [0.5, 0.6]}"],
            "optics.detectors: expected shares of the light of detectors that add up to 1",
        ),
        (
            ["optics.detectors.distances=[0.1, 0.2]", "optics.distances=[0.1, 0.1, 0.1]"],
            r"optics.distances to be a number or 2 numbers .*; those behind it are in optics.detectors.distances\)",
        ),
        (
            ["optics.detectors.distances=[0.1, 0.2]", "optics.skips=[{start: 1, end: 3}]"],
            "optics.skips to end at plane 2 at most, the last layer, behind which detectors share the light, but got 3",
        ),
        (
            ["optics.detectors.distances=[0.1, 0.2]", "optics.networks={count: 2, combine: classes}"],
            "networks to combine by sum where there are several detectors",
        ),
    ],
)
def test_detectors_that_do_not_fit(overrides: list[str], message: str):
    with pytest.raises(ConfigError, match=message):
        load_config("digits", ["optics.depth=2", *overrides])


def test_distances_end_at_the_last_layer_before_several_detectors():
    ways = "[0.1, [0.05, {name: lens, focal_length: 0.1}, 0.2]]"
    config = load_config("digits", ["optics.depth=2", f"optics.detectors.distances={ways}", "optics.distances=0.3"])
    assert (config.optics.spans[:3], config.optics.lengths) == ([0.3, 0.3, 0.1], [0.3, 0.3, 0.1])
    detectors = config.optics.detectors.build()
    assert detectors is not None
    assert detectors.light == (0.5, 0.5)
    assert parse_config(read_yaml(config.to_yaml(), "")) == config


def test_paths_are_taken_from_the_file_and_overrides_from_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    folder = tmp_path / "configs"
    folder.mkdir()
    file = write(folder / "c.yaml", "data: {dir: images}\ndevice: {file: slm.csv}\n")
    monkeypatch.chdir(tmp_path)
    config = load_config("configs/c.yaml")
    assert config.data.dir == str(folder / "images")
    assert config.layer_devices[0].file == str(folder / "slm.csv")
    assert load_config(file, ["device.file=slm.csv"]).layer_devices[0].file == str(tmp_path / "slm.csv")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("optics.pich=1", "--set: unknown key optics.pich: did you mean optics.pitch?"),
        ("training.pitch=1", "--set: unknown key training.pitch: did you mean optics.pitch?"),
        ("trainin.epochs=1", "--set: unknown key trainin: did you mean training?"),
        (
            "zzz=1",
            "--set: unknown key zzz: expected seed, data, optics, device, devices, codesign, task or training",
        ),
        (
            "optics.pitch=0",
            "--set: expected optics.pitch to be a length in metres from 1e-10 to below 0.1, a list of 2 of them or a "
            "list of either, but got 0",
        ),
        (
            "optics.wavelength=532",
            "--set: expected optics.wavelength to be a length in metres from 1e-09 to 0.01, or a list of them, but got "
            "532: 532 nm is 5.32e-07",
        ),
        *(
            (
                f"training.epochs={value}",
                f"--set: expected training.epochs to be a whole number of at least 1, but got {shown}",
            )
            for value, shown in (("many", "'many'"), ("2.5", "2.5"), ("true", "true"), ("0", "0"))
        ),
        *(
            (
                f"training.learning_rate={value}",
                f"--set: expected training.learning_rate to be a number above 0 and at most 1e+38, but got {shown}",
            )
            for value, shown in (("-1", "-1"), (".inf", "inf"))
        ),
        ("codesign.relaxation.hard=1", "--set: expected codesign.relaxation.hard to be true or false, but got 1"),
        (
            "data.name=mnits",
            "--set: expected data.name to be arrays, cifar-10, mnist, fashion-mnist, ",
        ),
        ("optics.method=fresnal", "--set: expected optics.method to be auto, angular-spectrum, "),
        ("device.model=tn-sml", "--set: expected device.model to be tn-slm, "),
        ("optics=5", "--set: expected optics to be a group of keys, but got 5"),
        (
            "optics.distances=[0.1, -2]",
            "--set: expected optics.distances to be a length in metres above 0 and at most 1000, or a list of them, "
            "or of lists of lengths and elements, but item 1 is -2",
        ),
        (
            "optics.distances=0.1 m",
            "--set: expected optics.distances to be a length in metres above 0 and at most 1000, or a list of them, "
            "or of lists of lengths and elements, but got '0.1 m': 0.1 m is 0.1",
        ),
        (
            "optics={wavelength: 532e-9, 633e-9}",
            "--set: unknown key optics.633e-9: it has no value, and several values are a list in brackets, as [1, 2]",
        ),
        (
            "optics.networks=2",
            "--set: expected optics.networks to be a group of keys, but got 2: its keys are count and",
        ),
        *(
            (
                f"optics.{key}={LENS_ALONE}",
                f"--set: optics.{key}: expected a number, or a list of distances and elements",
            )
            for key in ("distances", "detectors.distances")
        ),
        (
            "optics.distances=[[{name: lens, focal: 1}], 0.1]",
            "--set: unknown key optics.distances.0.0.focal: did you mean optics.distances.0.0.focal_length?",
        ),
        (
            "optics.panel=pluto",
            "--set: optics.panel: pluto is neither a panel nor a YAML file (did you mean holoeye-pluto",
        ),
        (
            "optics.coherence.length=1e-4",
            "--set: expected the number of modes that partly coherent light is computed as, but got none",
        ),
        ("optics.spectrum.lines=9", "--set: expected the bandwidth that lines stand for, but got none"),
        (
            "optics.distances=[0.1]",
            "expected optics.distances to be a number or 6 numbers (source to first layer, between the 5 layers of "
            "optics.depth, last layer to detector), but got 1",
        ),
        (
            "codesign.gain=[1, 2]",
            "expected codesign.gain to be a number or 5 numbers (one for each of optics.depth layers), but got 2",
        ),
        (
            "codesign.schedule.name=piecewise",
            "--set: expected codesign.schedule.temperatures to be a list of numbers from 1e-06 to 1e+06, but it is "
            "missing (and 1 more problem)",
        ),
        (
            "codesign.schedule.shares=[1]",
            "--set: codesign.schedule.shares is of piecewise, not of exponential",
        ),
        ("task.scale=auto", "--set: expected task.scale to be a number above 0 or calibrated, but got 'auto'"),
        (
            "task.regions=[[1, 2, 3, x]]",
            "--set: expected task.regions to be paper, grid or rings or a list of lists of 4 whole numbers, but item "
            "0.3 is 'x'",
        ),
        (
            "devices=[{levels: 4}]",
            "expected devices to list 5 devices, one for each of optics.depth layers, but got 1",
        ),
        *(
            (
                f"device.levels={value}",
                f"--set: expected device.levels to be a whole number of at least 2, or null, but got {shown}",
            )
            for value, shown in (("1", "1"), ("all", "'all'"))
        ),
        ("seed", "expected --set KEY=VALUE such as training.epochs=5, but got 'seed'"),
        ("training.epochs.x=1", "--set training.epochs.x: training.epochs holds no keys, it is 20"),
        (
            "optics.distances=[",
            "--set optics.distances, line 1: this cannot be read as YAML: expected the node content, but found "
            "'<stream end>'",
        ),
    ],
)
def test_what_does_not_fit_is_named(override: str, message: str):
    assert problem(override).startswith(message)


def test_the_unknown_key_comes_first_and_the_rest_are_counted():
    assert problem("training.epochs=x", "seed=y", "optics.pich=1") == (
        "--set: unknown key optics.pich: did you mean optics.pitch? (and 2 more problems)"
    )


def test_the_file_is_named(tmp_path: Path):
    file = write(tmp_path / "my.yaml", "training: {epochs: ten}\n")
    assert problem(source=file) == f"{file}: expected training.epochs to be a whole number of at least 1, but got 'ten'"


def test_the_line_is_named_where_yaml_is_broken(tmp_path: Path):
    file = write(tmp_path / "my.yaml", "seed: 1\noptics: {size: 5\n")
    assert problem(source=file).startswith(f"{file}, line 3: this cannot be read as YAML: ")
    file = write(tmp_path / "twice.yaml", "seed: 1\nseed: 2\n")
    assert problem(source=file) == f"{file}, line 2: this cannot be read as YAML: the key seed appears twice"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "preset: [digits]",
            ": expected preset to be digits, fashion-small, mnist-small, paper or two-wavelengths, but got ['digits']",
        ),
        ("device: {{file}}", ", line 1: this cannot be read as YAML: expected a word as a key"),
        ("5: 3", ": unknown key 5: expected seed, data, "),
        ("~: 3", ": unknown key ~: expected seed, data, "),
        ("optics: {1.5: 3}", ": unknown key optics.1.5: expected optics.size, optics.pitch, "),
        ("a.b: 3", ": unknown key a.b: expected seed, data, "),
    ],
)
def test_keys_and_names_that_are_no_words_are_refused(text: str, message: str, tmp_path: Path):
    file = write(tmp_path / "my.yaml", text)
    assert problem(source=file).startswith(f"{file}{message}")


def test_a_home_folder_that_is_not_there_is_refused():
    sentence = "expected a path, but there is no home folder for ~nobody-has-this/x: write it in full"
    assert problem("device.file=~nobody-has-this/x") == problem(source="~nobody-has-this/x") == sentence


def test_a_mistyped_preset_or_path_gets_suggestions(tmp_path: Path):
    known = "the presets are digits, fashion-small, mnist-small, paper, two-wavelengths"
    assert problem(source="digts") == f"digts is neither a preset nor a file (did you mean digits?): {known}"
    write(tmp_path / "mine.yaml", "")
    near = tmp_path / "mien.yaml"
    assert (
        problem(source=near)
        == f"{near} is neither a preset nor a file (did you mean {near.parent / 'mine.yaml'}?): {known}"
    )
    assert problem(source=tmp_path).endswith("is a folder: a run's file is config.yaml in it")


def test_a_file_that_is_no_mapping_or_no_text_is_refused(tmp_path: Path):
    assert problem(source=write(tmp_path / "l.yaml", "- 1\n")).endswith(
        "l.yaml: expected a group of keys such as seed: 0, but got [1]"
    )
    (tmp_path / "b.yaml").write_bytes(b"\xff\xfe\x00\xd8")
    assert problem(source=tmp_path / "b.yaml").endswith("b.yaml: it is not UTF-8 text")
    assert problem(source=write(tmp_path / "p.yaml", "preset: papr\n")).endswith(
        "p.yaml: expected preset to be digits, fashion-small, mnist-small, paper or two-wavelengths, but got 'papr'"
    )


def test_both_device_and_devices_are_too_much(tmp_path: Path):
    file = write(tmp_path / "c.yaml", "optics: {depth: 1}\ndevice: {levels: 4}\ndevices: [{levels: 4}]\n")
    assert problem(source=file) == (
        f"{file}: expected either device (for all layers) or devices (one per layer), but got both"
    )


@pytest.mark.parametrize(
    "text",
    [
        "seed: !!int '5'",
        'seed: !!int ""',
        "optics: {pitch: !!float x}",
        "seed: ! 5",
        "data: !!binary aGVsbG8=",
        "data: !!set {name}",
        "data: &anchor {name: digits}",
        "data: {<<: {name: digits}}",
        "optics: {size: &a 64, depth: *a}",
        "a: &a [x]\nb: &b [*a, *a]\nc: [*b, *b]",
        "seed: 2026-02-30",
        "seed: 2026-02-28",
        "seed: 1:30",
        "seed: 010",
        "seed: 0x10",
        "seed: 1_000",
        "seed: .nan",
        "seed: .inf",
        "seed: 5.0",
        f"seed: {'9' * 4300}",
        f"seed: {'9' * 100}",
        f"optics: {{pitch: {'9' * 99}}}",
        f"seed: {'[' * 1000}",
        f"seed: {'[' * 1000}{']' * 1000}",
        f"seed: {'{a: ' * 1000}1{'}' * 1000}",
        f"seed: {'- ' * 1000}1",
        "seed:\t5\n\tdata: x",
        "seed: 5\0",
        "seed: 5\n---\nseed: 6",
        "%TAG ! tag:x,2000:\n---\nseed: !y 5",
        "seed: 5\n" + "#" * 200_000,
    ],
)
def test_text_that_yaml_turns_into_something_else_is_refused(text: str, tmp_path: Path):
    (tmp_path / "c.yaml").write_text(text)
    assert len(problem(source=tmp_path / "c.yaml")) < 500
    if len(text) < 100_000 and "\n" not in text and text.startswith("seed: "):
        assert len(problem(text.replace("seed: ", "seed="))) < 500


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        ("SLM #2.csv", "SLM #2.csv"),
        ("#1.csv", "#1.csv"),
        ("a: b.csv", "a: b.csv"),
        ("1e3", "1e3"),
        ("010", "010"),
        ("no", "no"),
        ("on", "on"),
        ("2026-02-30", "2026-02-30"),
        ("1:30", "1:30"),
        ("[a, b].csv", "[a, b].csv"),
        ("{a}", "{a}"),
        ("&a *b !c %d @e `f", "&a *b !c %d @e `f"),
        ("- x", "- x"),
        ("two  spaces ", "two  spaces "),
        ("=x=y", "=x=y"),
        ("\U0001f600\udcff", "\U0001f600\udcff"),
        ("'SLM #2.csv'", "SLM #2.csv"),
        ('"tab\\tulator"', "tab\tulator"),
        ("'null'", "null"),
        ("'half", "'half"),
        ("'one' and more", "'one' and more"),
    ],
)
def test_what_is_typed_for_a_text_is_taken_as_meant(
    typed: str, read: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    for override, config_of in (("device.file=", _file_of_device), ("data.dir=", _folder_of_data)):
        assert config_of(load_config("digits", [override + typed])) == str(tmp_path / read)
    config = load_config("digits", ["optics.depth=1", "devices=[{levels: 4}]", f"devices.0.file={typed}"])
    assert _file_of_device(config) == str(tmp_path / read)
    assert _file_of_device(parse_config(read_yaml(config.to_yaml(), ""))) == str(tmp_path / read)
    assert _folder_of_data(load_config("digits", values={"data.dir": read})) == str(tmp_path / read)


def _file_of_device(config: Config) -> str | None:
    return config.layer_devices[0].file


def _folder_of_data(config: Config) -> str | None:
    return config.data.dir


def test_null_is_none_and_a_tilde_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "c.yaml").write_text("data: {dir: here}\ndevice: {file: 1e3, levels: 4}\n")
    file = tmp_path / "c.yaml"
    assert _file_of_device(load_config(file)) == str(tmp_path / "1e3")
    config = load_config(file, ["data.dir=null", "device.file=null", "device.levels=null"])
    assert (config.data.dir, _file_of_device(config), config.layer_devices[0].levels) == (None, None, None)
    assert load_config(file, ["data.dir=~"]).data.dir == str(tmp_path)
    assert load_config(file, ["data.dir = ~/x"]).data.dir == str(tmp_path / "x")
    assert load_config(file, ["data.dir=./~"]).data.dir == str(Path.cwd() / "~")


@pytest.mark.parametrize("word", ["yes", "on", "true", "True", "TRUE"])
def test_a_switch_knows_the_words_for_it(word: str, tmp_path: Path):
    (tmp_path / "c.yaml").write_text(f"task: {{differential: {word}}}\n")
    assert load_config(tmp_path / "c.yaml").task.differential is True
    negative = {"yes": "no", "on": "off"}.get(word, "false")
    assert load_config("digits", [f"task.differential={negative}"]).task.differential is False


@pytest.mark.parametrize(
    "override",
    [
        "seed=",
        "data.dir=",
        "seed= ",
        "training.epochs=5 # five",
        "training.epochs=5 #2",
        "seed=#5",
        "optics.size=[8 #9",
    ],
)
def test_nothing_that_is_typed_is_left_out(override: str):
    assert override.partition("=")[0] in problem(override)


def test_yaml_runs_no_code(tmp_path: Path):
    file = write(tmp_path / "evil.yaml", "seed: !!python/object/apply:os.getpid []\n")
    assert "this cannot be read as YAML" in problem(source=file)


@pytest.mark.parametrize(
    "override",
    [
        "codesign.schedule.start=1e300",
        "codesign.schedule.end=1e-300",
        "codesign.gain=1e9",
        "training.learning_rate=1e300",
        "training.scale_learning_rate=1e300",
        "optics.pitch=1e-300",
    ],
)
def test_what_no_training_can_use_is_refused_before_anything_is_made(override: str):
    with pytest.raises(ConfigError, match=override.partition("=")[0]):
        load_config("digits", [override])


@pytest.mark.parametrize(
    ("text", "end"),
    [
        (f"recipe: {'x' * 5000}\n", f"but got '{'x' * 58}…"),
        ("recipe: null\n", "but got null"),
        ("preset: []\n", "but got []"),
        ("[]\n", "but got []"),
        ("seed: 1\n---\nseed: 2\n", "expected a single document in the stream, but found another document"),
    ],
)
def test_what_a_file_holds_is_named_as_it_is_written_and_cut_short(text: str, end: str, tmp_path: Path):
    assert problem(source=write(tmp_path / "f.yaml", text)).endswith(end)


def test_what_is_no_configuration_is_answered_with_what_can_be_one():
    assert problem(source=5).startswith(  # pyright: ignore[reportArgumentType]
        "expected the name of a preset or the path of a YAML file, but got 5: give"
    )
