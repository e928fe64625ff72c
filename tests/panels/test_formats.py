"""Files of panels: written and read back exactly, read by others alike, and what was done to one is named."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from ti_plm import PLM

from voltphase.core.errors import DeploymentError
from voltphase.panels import Profile, load_profile, profiles

FULL_SIZE = ["hamamatsu-x15213", "meadowlark-1920x1200-10bit", "santec-slm-200", "ti-dlp6500", "ti-plm-p47"]


def small(name: str, rows: int = 7, columns: int = 13) -> Profile:
    """Return a profile of fewer pixels; an odd number, so that rows of a BMP are padded."""
    return Profile.model_validate({**profiles()[name].model_dump(), "rows": rows, "columns": columns})


def frames_of(panel: Profile, count: int = 1, seed: int = 0) -> list[NDArray[np.uint16]]:
    generator = np.random.default_rng(seed)
    return [generator.integers(0, 2**panel.bits, panel.shape, dtype=np.uint16) for _ in range(count)]


def picture_of(content: bytes) -> NDArray[np.uint8]:
    return np.asarray(Image.open(io.BytesIO(content)))


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


@pytest.mark.parametrize("name", profiles())
@settings(max_examples=8, deadline=None)
@given(data=st.data())
def test_what_is_written_is_read(name: str, data: st.DataObject) -> None:
    panel = small(name, data.draw(st.integers(1, 9)), data.draw(st.integers(1, 9)))
    count = data.draw(st.integers(1, panel.frames_per_file))
    frames = frames_of(panel, count, data.draw(st.integers(0, 2**32)))
    content = panel.write(frames)
    assert len(content) <= panel.largest_file
    found = panel.read(content, f"map{panel.suffix}", count)
    assert [frame.dtype for frame in found] == [np.dtype(np.uint16)] * count
    np.testing.assert_array_equal(found, frames)


@pytest.mark.parametrize("name", FULL_SIZE)
def test_all_pixels_of_a_panel_are_written_and_read(name: str) -> None:
    panel = load_profile(name)
    frames = frames_of(panel)
    np.testing.assert_array_equal(panel.read(panel.write(frames), "map"), frames)


def test_the_extremes_are_levels_like_others() -> None:
    for panel in map(small, profiles()):
        frame = np.zeros(panel.shape, dtype=np.int64)
        frame[0, 0] = frame[-1, -1] = 2**panel.bits - 1
        np.testing.assert_array_equal(panel.read(panel.write([frame]), "map"), [frame])


@pytest.mark.parametrize("name", ["holoeye-pluto-2", "meadowlark-1920x1152", "thorlabs-exulus-hd1", "second-display"])
def test_pillow_sees_the_grey_levels(name: str) -> None:
    panel = small(name)
    (frame,) = frames_of(panel)
    np.testing.assert_array_equal(picture_of(panel.write([frame])), frame)


def test_a_panel_within_a_larger_picture_lies_where_its_maker_says() -> None:
    panel = load_profile("hamamatsu-x15213")
    (frame,) = frames_of(panel)
    picture = picture_of(panel.write([frame]))
    assert picture.shape == (1024, 1280)
    np.testing.assert_array_equal(picture[:, 4:1276], frame)
    assert not picture[:, :4].any()
    assert not picture[:, 1276:].any()


def test_a_csv_is_read_by_the_csv_module_and_as_slmsuite_reads_one() -> None:
    panel = small("santec-slm-200")
    (frame,) = frames_of(panel)
    text = panel.write([frame]).decode()
    header, *rows = csv.reader(io.StringIO(text))
    assert header == ["Y/X", *map(str, range(13))]
    assert [row[0] for row in rows] == [str(row) for row in range(7)]
    np.testing.assert_array_equal(np.array(rows, dtype=int)[:, 1:], frame)
    np.testing.assert_array_equal(np.loadtxt(io.StringIO(text), skiprows=1, dtype=int, delimiter=",")[:, 1:], frame)


def test_ten_bits_are_in_red_and_blue() -> None:
    panel = small("meadowlark-1920x1200-10bit")
    (frame,) = frames_of(panel)
    red, green, blue = picture_of(panel.write([frame])).astype(int).transpose(2, 0, 1)
    np.testing.assert_array_equal(red * 4 + blue, frame)
    assert not green.any()


def test_frames_of_one_bit_are_planes_of_green_then_red_then_blue() -> None:
    panel = small("ti-dlp6500")
    frames = frames_of(panel, 24)
    red, green, blue = picture_of(panel.write(frames)).transpose(2, 0, 1)
    planes = [(colour >> bit) & 1 for colour in (green, red, blue) for bit in range(8)]
    np.testing.assert_array_equal(planes, frames)


@pytest.mark.parametrize("model", ["p47", "p67"])
def test_electrodes_are_those_of_texas_instruments_for_the_phase(model: str) -> None:
    library, panel = PLM.from_db(model), small(f"ti-plm-{model}")
    (frame,) = frames_of(panel)
    phases = library.displacement_ratios[frame] * 15 / 16 * 2 * np.pi
    picture = picture_of(panel.write([frame]))
    np.testing.assert_array_equal(picture, library.process_phase_map(phases, enforce_shape=False))
    assert picture.shape == (14, 26)


def test_mirrors_and_their_table_are_those_of_the_library() -> None:
    for model in PLM.get_device_list():
        library, panel = PLM.from_db(model), load_profile(f"ti-plm-{model}")
        assert (panel.shape, panel.pitch) == (tuple(library.shape), library.pitch[0])


def grey(change: Callable[[Image.Image], bytes]) -> Callable[[bytes], bytes]:
    return lambda content: change(Image.open(io.BytesIO(content)))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (grey(lambda image: saved(image, "JPEG")), "expected a BMP in map.bmp, but it is a JPEG, which is not exact"),
        (grey(lambda image: saved(image, "PNG")), "expected a BMP in map.bmp, but it is a PNG"),
        (grey(lambda image: saved(image, "TIFF")), "but it is a TIFF"),
        (lambda content: b"hello", "but it is no picture"),
        (grey(lambda image: saved(image.convert("RGB"), "BMP")), "grey of 8 bits in map.bmp, but it is colour of 24"),
        (grey(lambda image: saved(image.quantize(7), "BMP")), "grey of 8 bits in map.bmp, but it is of a palette"),
        (grey(lambda image: saved(image.convert("1"), "BMP")), "but it is black and white"),
        (
            grey(lambda image: saved(image.resize((26, 14)), "BMP")),
            "expected 7 rows x 13 columns in map.bmp, but got 14 x 26",
        ),
        (grey(lambda image: saved(image.rotate(90, expand=True), "BMP")), "but got 13 x 7"),
        (lambda content: content + b"\0", "it holds more, or less, than such a BMP has"),
        (lambda content: content[:-20], "damaged|more, or less"),
        (lambda content: content[:22] + (-7).to_bytes(4, "little", signed=True) + content[26:], "more, or less"),
        (lambda content: content[:20], "damaged"),
    ],
)
def test_what_was_done_to_a_picture_is_named(change: Callable[[bytes], bytes], sentence: str) -> None:
    panel = small("holoeye-pluto-2")
    with pytest.raises(DeploymentError, match=sentence):
        panel.read(change(panel.write(frames_of(panel))), "map.bmp")


def test_a_png_with_more_than_its_picture_is_refused() -> None:
    panel = small("second-display")
    content = panel.write(frames_of(panel))
    with pytest.raises(DeploymentError, match="holds more, or less, than such a PNG has"):
        panel.read(saved(Image.open(io.BytesIO(content)), "PNG", dpi=(96, 96)), "map.png")
    with pytest.raises(DeploymentError, match=r"map\.png, but it is damaged"):
        panel.read(content[:60], "map.png")


def lines(change: Callable[[list[str]], list[str]]) -> Callable[[str], str]:
    return lambda text: "\n".join(change(text.split("\n")))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lines(lambda rows: rows[1:]), "to begin with Y/X,0,1,2 and so on"),
        (lines(lambda rows: [rows[0], *rows[2:]]), "expected 7 rows x 13 columns in map.csv, but got 6 x 13"),
        (lines(lambda rows: [row.rpartition(",")[0] for row in rows]), "but got 7 x 12, and 12 values in a row"),
        (lines(lambda rows: [rows[0], rows[2], rows[1], *rows[3:]]), "to number its rows and columns from 0"),
        (lambda text: text.replace("Y/X,0,1", "Y/X,1,2"), "to number its rows and columns from 0"),
        (lambda text: text.replace(",", ";"), "to begin with Y/X"),
        (lines(lambda rows: [rows[0], f"{rows[1]},3", *rows[2:]]), "expected rows of whole numbers"),
        (lines(lambda rows: [rows[0], rows[1].replace(",", ",a", 1), *rows[2:]]), "expected rows of whole numbers"),
        (lines(lambda rows: [rows[0], rows[1].replace(",", ",1.5", 1), *rows[2:]]), "expected rows of whole numbers"),
        (lines(lambda rows: rows[:1]), "expected 7 rows x 13 columns in map.csv, but got 0 x 13"),
        (lines(lambda rows: [rows[0], "0,1024" + ",0" * 12, *rows[2:]]), "0 to 1023 in map.csv, but got 1024 at row 0"),
        (lines(lambda rows: [rows[0], "0,-1" + ",0" * 12, *rows[2:]]), "but got -1 at row 0, column 0"),
    ],
)
def test_what_was_done_to_a_csv_is_named(change: Callable[[str], str], sentence: str) -> None:
    panel = small("santec-slm-200")
    content = change(panel.write(frames_of(panel)).decode()).encode()
    with pytest.raises(DeploymentError, match=sentence):
        panel.read(content, "map.csv")


def test_a_csv_that_a_spreadsheet_saved_has_the_same_levels() -> None:
    panel = small("santec-slm-200")
    frames = frames_of(panel)
    np.testing.assert_array_equal(panel.read(panel.write(frames).replace(b"\n", b"\r\n"), "map.csv"), frames)


def test_a_correction_that_a_spreadsheet_saved_is_one() -> None:
    panel = small("santec-slm-200")
    (frame,) = frames_of(panel)
    content = b"\xef\xbb\xbf" + panel.write([frame]).replace(b"\n", b"\r\n")
    np.testing.assert_array_equal(panel.read_correction(content, "cal.csv"), frame)
    with pytest.raises(DeploymentError, match=r"expected map\.csv to begin with Y/X"):
        panel.read(content, "map.csv")


@pytest.mark.parametrize("name", [*FULL_SIZE, "second-display"])
def test_damage_is_refused_or_harmless_and_nothing_else(name: str) -> None:
    panel, generator = small(name), np.random.default_rng(0)
    whole = panel.write(frames_of(panel))
    for _ in range(60):
        content = bytearray(whole)
        content[generator.integers(len(content))] = generator.integers(256)
        kept = content if generator.integers(2) else content[: generator.integers(len(content))]
        try:
            (frame,) = panel.read(bytes(kept), "map")
        except DeploymentError:
            continue
        assert (frame.shape, frame.dtype, len(kept)) == (panel.shape, np.uint16, len(whole))
        assert frame.max() < 2**panel.bits


def repainted(panel: Profile, at: tuple[int, ...], value: int) -> bytes:
    picture = picture_of(panel.write([np.zeros(panel.shape, dtype=np.uint16)])).copy()
    picture[at] = value
    return saved(Image.fromarray(picture), panel.suffix[1:])


@pytest.mark.parametrize(
    ("name", "at", "value", "sentence"),
    [
        ("hamamatsu-x15213", (3, 2), 9, "expected 0 around the panel's pixels in map, but got 9 at row 3, column 2"),
        ("meadowlark-1920x1200-10bit", (2, 3, 2), 4, "at most 3 in blue in map, but got 4 at row 2, column 3"),
        ("meadowlark-1920x1200-10bit", (2, 3, 1), 1, "at most 0 in green in map, but got 1"),
        ("ti-dlp6500", (4, 5, 0), 1, "expected 1 of 24 bit planes in map and 0 in the others.* row 4, column 5"),
        ("ti-plm-p67", (1, 2), 128, "0 or 255 for each electrode in map, but got 128 at row 1, column 2"),
    ],
)
def test_values_that_are_no_levels_are_named(name: str, at: tuple[int, ...], value: int, sentence: str) -> None:
    panel = small(name)
    with pytest.raises(DeploymentError, match=sentence):
        panel.read(repainted(panel, at, value), "map")


def test_grey_levels_beyond_the_panels_bits_are_named() -> None:
    panel = Profile.model_validate({**small("holoeye-luna", 3, 4).model_dump(), "bits": 6})
    with pytest.raises(DeploymentError, match="from 0 to 63 in map, but got 64 at row 1, column 2"):
        panel.read(repainted(panel, (1, 2), 64), "map")


@pytest.mark.parametrize(
    ("frames", "sentence"),
    [
        ([], "expected one frame for a file of holoeye-pluto-2, but got 0"),
        ([np.zeros((7, 13), dtype=np.uint8)] * 2, "but got 2"),
        ([np.zeros((13, 7), dtype=np.uint8)], r"frames of 7 x 13 whole numbers .* uint8 of shape \(13, 7\)"),
        ([np.zeros((7, 13))], "but got float64"),
        ([np.full((7, 13), 256)], "from 0 to 255 for holoeye-pluto-2, but got 256"),
        ([np.full((7, 13), -1)], "but got -1"),
    ],
)
def test_frames_that_no_file_can_hold_are_refused(frames: list[NDArray[np.integer]], sentence: str) -> None:
    with pytest.raises(DeploymentError, match=sentence):
        small("holoeye-pluto-2").write(frames)


def test_more_frames_than_a_file_has_are_refused() -> None:
    panel = small("ti-dlp6500")
    with pytest.raises(DeploymentError, match="1 to 24 frames for a file of ti-dlp6500, but got 25"):
        panel.read(panel.write(frames_of(panel)), "map", 25)


def test_a_makers_correction_may_have_more_in_its_file_than_the_picture() -> None:
    panel = small("hamamatsu-x15213")
    (frame,) = frames_of(panel)
    content = saved(Image.fromarray(frame.astype(np.uint8)), "BMP", dpi=(300, 300)) + b"\0\0"
    np.testing.assert_array_equal(panel.read_correction(content, "CAL.bmp"), frame)
    with pytest.raises(DeploymentError, match=r"expected 7 rows x 13 columns in CAL\.bmp, but got 6 x 13"):
        panel.read_correction(saved(Image.new("L", (13, 6)), "BMP"), "CAL.bmp")


def test_a_panel_whose_makers_software_corrects_it_takes_no_correction() -> None:
    with pytest.raises(DeploymentError, match=r"but got my\.bmp: HOLOEYE's software adds it"):
        small("holoeye-luna").read_correction(b"", "my.bmp")
    with pytest.raises(DeploymentError, match=r"but got my\.bmp: Texas Instruments is not known to give any"):
        small("ti-dlp9000").read_correction(b"", "my.bmp")
