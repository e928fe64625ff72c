"""Profiles of panels: those that come with voltphase, and files of one's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from voltphase.core.errors import ConfigError, DeploymentError
from voltphase.panels import load_profile, profiles

MINE = """
name: my-panel
make: home
model: one
rows: 600
columns: 800
pitch: 20e-6
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "mine.yaml"


def test_those_that_come_with_voltphase_are_named_as_their_files() -> None:
    assert {name: panel.name for name, panel in profiles().items()} == {name: name for name in profiles()}
    assert len(profiles()) > 20


@pytest.mark.parametrize(
    ("name", "shape", "pitch", "bits", "suffix"),
    [
        ("santec-slm-200", (1200, 1920), 8e-6, 10, ".csv"),
        ("hamamatsu-x15213", (1024, 1272), 12.5e-6, 8, ".bmp"),
        ("holoeye-pluto-2", (1080, 1920), 8e-6, 8, ".bmp"),
        ("meadowlark-1920x1152", (1152, 1920), 9.2e-6, 8, ".bmp"),
        ("meadowlark-1024x1024", (1024, 1024), 17e-6, 8, ".bmp"),
        ("thorlabs-exulus-hd1", (1080, 1920), 6.4e-6, 8, ".bmp"),
        ("ti-dlp6500", (1080, 1920), 7.56e-6, 1, ".bmp"),
        ("ti-plm-p67", (800, 1280), 10.8e-6, 4, ".bmp"),
    ],
)
def test_what_is_known_of_panels(name: str, shape: tuple[int, int], pitch: float, bits: int, suffix: str) -> None:
    panel = load_profile(name)
    assert (panel.shape, panel.pitch, panel.bits, panel.suffix) == (shape, pitch, bits, suffix)


def test_every_panel_says_what_could_not_be_confirmed() -> None:
    assert all(panel.unconfirmed and panel.orientation and panel.bench for panel in profiles().values())


def test_a_file_of_ones_own_needs_little(file: Path) -> None:
    file.write_text(MINE)
    panel = load_profile(file)
    assert (panel.shape, panel.bits, panel.file_words) == ((600, 800), 8, "8-bit grey BMP")
    assert (panel.fill_factor, panel.unconfirmed, panel.correction.added) == (None, [], "none")


def test_a_file_of_ones_own_may_differ_from_a_known_panel_in_little(file: Path) -> None:
    file.write_text("like: hamamatsu-x15213\nname: ours\ncorrection: {full_scale: [[1064e-9, 217]]}\n")
    panel, base = load_profile(file), load_profile("hamamatsu-x15213")
    assert panel.correction.full_scale == [[1064e-9, 217]]
    assert panel.correction.format == base.correction.format
    assert panel.correction.modulo == 256
    assert panel.model_copy(update={"name": base.name, "correction": base.correction}) == base


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ("row: 600", "unknown key row: did you mean rows?"),
        ("pitch: 20", "expected pitch to be a length in metres .* but got 20: 20 µm is 2e-05"),
        ("rows: 0", "expected rows to be a whole number from 1 to 8192, but got 0"),
        ("rows: many", "expected rows to be a whole number .* but got 'many'"),
        ("bits: 10", "expected format to hold the panel's grey levels, but a value of 8 bits cannot hold .* of 10"),
        ("bits: 17", "expected bits to be a whole number from 1 to 16, but got 17"),
        ("name: My Panel", "expected name to be .* such as our-pluto, but got 'My Panel'"),
        ("name: ../../evil", r"expected name to be words of small letters .* but got '\.\./\.\./evil'"),
        (
            "name: holoeye-pluto-2",
            "mine.yaml: expected a name of its own, such as our-holoeye-pluto-2, but holoeye-pluto-2",
        ),
        (
            "correction: {added: file, modulo: 300}",
            "correction.modulo of at most 256, the grey levels there are, but got 300",
        ),
        ("correction: {added: file, modulo: 256, full_scale: [[532, 210]]}", "got .532, 210.: 532 nm is 5.32e-07"),
        ("correction: {added: file, modulo: 256, full_scale: [[532e-9, 300]]}", "full_scale up to 255, but got 300"),
        ("format: {name: jpeg}", "expected format.name to be .*santec-csv.* but got 'jpeg'"),
        ("format: {name: grey, kind: jpg}", "expected format.kind to be png or bmp, but got 'jpg'"),
        ("format: {name: grey, order: rgb}", "format.order is of bit-planes, not of grey"),
        ("format: {name: grey, depth: 16}", "format: expected a PNG for grey of 16 bits, but got bmp"),
        ("format: {name: grey, picture: [600, 799]}", "800 pixels from row 0, column 0 do not lie within .* 600 x 799"),
        ("format: {name: bit-planes}", "but a bit plane is of one bit, not of 8"),
        ("format: {name: ti-plm}", "but a mirror has 16 heights, 4 bits, not 8"),
        ("format: {name: two-colours}", "but two colours are for grey levels of 9 to 16 bits, not of 8"),
        ("format: {name: two-colours, lower: red}", "expected two colours for upper and lower, but got red for both"),
        ("correction: {added: file}", "correction.modulo where a correction is added in the file, .* modulo: null"),
        ("correction: {added: software, modulo: 256}", "and only there, but got added: software, modulo: 256"),
        ("correction: {full_scale: [[1e-6]]}", "expected correction.full_scale to be a list .* but item 0 is"),
        ("wavelengths: [1e-6]", "expected wavelengths to be a list"),
        ("like: santec-slm-201", "mine.yaml: expected like to be .* santec-slm-200.* but got 'santec-slm-201'"),
        ("rows: [", "mine.yaml, line 8: this cannot be read as YAML"),
    ],
)
def test_what_is_wrong_with_a_file_is_a_sentence(file: Path, change: str, sentence: str) -> None:
    key = change.partition(":")[0]
    kept = [line for line in MINE.splitlines() if not line.startswith(f"{key}:")]
    file.write_text("\n".join([*kept, change]) + "\n")
    with pytest.raises(ConfigError, match=sentence):
        load_profile(file)


def test_another_format_leaves_nothing_of_the_first(file: Path) -> None:
    file.write_text("like: hamamatsu-x15213\nname: ours\nformat: {name: santec-csv}\n")
    assert load_profile(file).suffix == ".csv"
    file.write_text("like: hamamatsu-x15213\nname: ours\nformat: {corner: [0, 8]}\n")
    assert load_profile(file).format.picture == [1024, 1280]


def test_what_lacks_in_a_file_is_named(file: Path) -> None:
    file.write_text(MINE.replace("pitch: 20e-6", ""))
    with pytest.raises(ConfigError, match=r"expected pitch to be a length in metres .* but it is missing"):
        load_profile(file)
    for text in ("", "- rows\n"):
        file.write_text(text)
        with pytest.raises(ConfigError, match="expected a group of keys such as rows: 1080"):
            load_profile(file)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("santec-slm200", r"did you mean santec-slm-200\?\): the panels are .*second-display"),
        ("nothing-like-it", "neither a panel nor a YAML file: the panels are"),
        ("there-is-no.yaml", "no such file"),
        (".", "neither a panel nor a YAML file"),
        ("", "expected a path, but got an empty text"),
        (3, "expected the name of a panel or the path of a YAML file, but got 3"),
    ],
)
def test_an_unknown_panel_is_a_sentence(name: str, sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        load_profile(name)


def test_what_is_no_frame_and_no_file_is_a_sentence() -> None:
    panel = load_profile("holoeye-pluto-2")
    with pytest.raises(DeploymentError, match="a list of frames for holoeye-pluto-2, but got 3"):
        panel.write(3)  # pyright: ignore[reportArgumentType]
    with pytest.raises(DeploymentError, match="the bytes of a file of holoeye-pluto-2, but got 'x'"):
        panel.read("x", "y")  # pyright: ignore[reportArgumentType]
    with pytest.raises(DeploymentError, match=r"a number of frames of holoeye-pluto-2.*, but got 'z'"):
        panel.read(b"x", "y", "z")  # pyright: ignore[reportArgumentType]
