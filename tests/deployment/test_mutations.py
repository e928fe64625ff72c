"""Whatever is changed in a manifest, the folder is refused, or fails, or is the same system."""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from voltphase import DONN, Grid
from voltphase.core.errors import DeploymentError
from voltphase.data import ImageDataset, load
from voltphase.deployment import Emulator, deploy, verify
from voltphase.deployment.manifest import Manifest, manifest_digest
from voltphase.devices import DevicePanel
from voltphase.optics import FresnelPixels, Mask, SourceLight
from voltphase.tasks import Classification

#: A folder of voltphase 0.1.0: no checksum, a method's name only, no inputs that travel along.
FORMAT_1 = Path(__file__).parent / "format-1"
#: Folders of the version after: a table of states for each layer, and a panel with pairs of regions.
FORMAT_2 = FORMAT_1.with_name("format-2")
SHAPE = (10, 12)
#: Mutations of the longest manifest are shared out, as one test of them all would keep one worker busy to the end.
_PARTS = 3
REMOVED: Any = object()
HOSTILE = ["", "x" * 5000, "../x", "a\0b", "\ud800", "angular-spectrum"]


@pytest.fixture
def images() -> ImageDataset:
    images = torch.randint(0, 256, (24, 5, 6), generator=torch.Generator().manual_seed(5), dtype=torch.uint8)
    return ImageDataset(images, torch.arange(24) % 2, "noise", ("left", "right"))


@pytest.fixture
def folder(make_device: Any, tmp_path: Path, images: ImageDataset) -> Path:
    """A table, a panel, a method with a parameter, a beam off the axis behind a mask, and background light."""
    regions = np.indices(SHAPE).sum(0) % 3 - 1
    panel = DevicePanel((make_device(2, seed=1), make_device(2, seed=2)), regions, 0.5j, "two kinds of pixel")
    model = DONN(
        grid=Grid(SHAPE, pitch=(36e-6, 30e-6)),
        wavelength=532e-9,
        distances=[0.01, 0.02, 0.015],
        devices=[make_device(3, "V"), panel],
        task=Classification(((1, 1, 3, 3), (6, 1, 3, 4), (1, 7, 3, 3), (6, 7, 3, 4)), True, "mean", 5.0),
        image_shape=(5, 6),
        gain=[2.0, 0.5],
        method=FresnelPixels(0.87),
        source=SourceLight(waist=3e-4, centre=(2e-5, 1e-5), mask=Mask(0.2 + 0.8 * regions.astype(bool))),
        background_light=0.01,
        seed=3,
    ).eval()
    return deploy(model, tmp_path / "bench", dataset=images)


def test_an_edited_manifest_is_said_to_be_edited(folder: Path, images: ImageDataset):
    content = json.loads((folder / "manifest.json").read_text())
    count = 0
    for changed in mutations(content):
        (folder / "manifest.json").write_text(json.dumps(changed))
        if changed.get("format") == content["format"] and changed.get("format_version") == content["format_version"]:
            with pytest.raises(DeploymentError, match=r"manifest\.json was changed after deployment|manifest_sha256"):
                Manifest.read(folder)
        else:
            with pytest.raises(DeploymentError):
                Manifest.read(folder)
        count += 1
    assert count > 300
    # The same content in another layout is not edited.
    (folder / "manifest.json").write_text(json.dumps(content, sort_keys=True, indent=7))
    assert verify(folder, images).passed


def seal(changed: dict[str, Any]) -> dict[str, Any]:
    return {**changed, "manifest_sha256": manifest_digest(changed)}


@pytest.mark.filterwarnings("ignore::voltphase.core.errors.VoltphaseWarning")
@pytest.mark.parametrize("part", range(_PARTS))
def test_every_field_with_a_checksum_that_fits(folder: Path, images: ImageDataset, part: int):
    content = json.loads((folder / "manifest.json").read_text())
    assert_refused_or_the_same(folder, content, images, seal, part)


@pytest.mark.filterwarnings("ignore::voltphase.core.errors.VoltphaseWarning")
def test_every_field_of_the_second_format(tmp_path: Path):
    folder = tmp_path / "bench"
    shutil.copytree(FORMAT_2 / "panel", folder)
    content = json.loads((folder / "manifest.json").read_text())
    assert_refused_or_the_same(folder, content, load("digits", "test").take(30), seal)


@pytest.mark.parametrize("name", ["tables", "panel"])
def test_the_second_format_is_still_verified(name: str):
    result = verify(FORMAT_2 / name)
    assert str(result).splitlines()[-1] == "passed"
    assert result.images == result.predictions_equal == 30


@pytest.mark.filterwarnings("ignore::voltphase.core.errors.VoltphaseWarning")
def test_every_field_of_the_first_format(tmp_path: Path):
    folder = tmp_path / "bench"
    shutil.copytree(FORMAT_1, folder)
    content = json.loads((folder / "manifest.json").read_text())
    assert_refused_or_the_same(folder, content, load("digits", "test").take(40), lambda changed: changed)


def test_the_first_format_is_still_verified_and_said_to_have_no_checksum():
    result = verify(FORMAT_1)
    assert result.passed
    assert result.images == result.predictions_equal == 40
    manifest = next(check for check in result.checks if check.what == "manifest")
    assert (manifest.passed, "no checksum" in manifest.figures) == (None, True)


def test_a_detector_of_another_size_is_not_passed(tmp_path: Path):
    folder = tmp_path / "bench"
    shutil.copytree(FORMAT_1, folder)
    content = json.loads((folder / "manifest.json").read_text())
    content["readout"]["grid"]["shape"] = [300, 300]
    (folder / "manifest.json").write_text(json.dumps(content))
    result = verify(folder)
    assert not result.passed
    failed = [check.what for check in result.checks if check.passed is False]
    assert failed == ["logits", "predictions", "accuracy"] or failed == ["logits", "predictions"]


def assert_refused_or_the_same(
    folder: Path,
    content: dict[str, Any],
    images: ImageDataset,
    seal: Callable[[dict[str, Any]], dict[str, Any]],
    part: int | None = None,
) -> None:
    """Write every mutation, or those of a part, and hold `verify` to what it says of it."""
    expected = Emulator.from_folder(folder)
    logits = expected(images.images)
    refused = failed = same = 0
    parts = 1 if part is None else _PARTS
    for changed in islice(mutations(content), part, None, parts):
        (folder / "manifest.json").write_text(json.dumps(seal(changed)))
        try:
            result = verify(folder, images)
        except DeploymentError as error:
            refused += "\n" not in str(error)
            continue
        if not result.passed:
            failed += 1
            continue
        same += 1
        emulator = Emulator.from_folder(folder)
        found = emulator(images.images).to(logits.dtype)
        # Of a pair a hundred times darker than the detector, what rounding hides is a hundred times as large.
        torch.testing.assert_close(found, logits, rtol=0, atol=2e-4 * float(logits.abs().max()))
        assert torch.equal(found.argmax(1), logits.argmax(1))
        assert emulator.manifest.readout.classes == expected.manifest.readout.classes
        assert [layer.target.details for layer in emulator.manifest.layers] == [
            layer.target.details for layer in expected.manifest.layers
        ]
    assert refused > 100 // parts
    assert failed > 10 // parts
    assert same > 10 // parts  # names and words, or what rounding hides


def mutations(content: Any) -> Iterator[Any]:
    """The content with one value changed, every value in turn.

    Items of a list are read by the same code, so that what a value can become is shared out among those alike, such as
    rows of tables and corners of regions: together they become everything, and each of them something.
    """
    alike: dict[tuple[Any, ...], list[tuple[Any, ...]]] = {}
    for place in places(content):
        alike.setdefault(tuple(key if isinstance(key, str) else None for key in place), []).append(place)
    for group in alike.values():
        for number, place in enumerate(group):
            before = at(content, place)
            # Of texts that are compared as a whole, and of hashes, one change is as good as another.
            whole = {"conventions", "formulas"} & set(place) or str(place[-1]).endswith(("sha256", "digest"))
            ways = [*(["x", None] if whole else others(before)), REMOVED]
            for value in ways[number :: len(group)] or [ways[number % len(ways)]]:
                if value is not REMOVED and json.dumps(value) == json.dumps(before):
                    continue
                changed = copy.deepcopy(content)
                if value is REMOVED:
                    del at(changed, place[:-1])[place[-1]]
                else:
                    at(changed, place[:-1])[place[-1]] = value
                yield changed


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in items:
        yield (*path, key)
        yield from places(child, (*path, key))


def at(content: Any, place: tuple[Any, ...]) -> Any:
    for key in place:
        content = content[key]
    return content


def others(value: Any) -> list[Any]:
    """Values to put in the place of one: near to it, far from it, and of other types."""
    if isinstance(value, bool):
        return [not value, int(value), None]
    if isinstance(value, int):
        return [value + 1, -value - 1, float(value) + 0.5, 65536, 10**400, None]
    if isinstance(value, float):
        return [value * 1.01 + 1e-9, -value - 1e-6, 0, value * 1e3 + 1, 1e300, None]
    if isinstance(value, str):
        return [value + "x", *HOSTILE, 3, None]
    if isinstance(value, list):
        return [value[::-1] if value[::-1] != value else [*value, *value], value[:-1], [*value, *value[:1]], [], 7]
    if isinstance(value, dict):
        return [{}, [], None]
    return [0, "x", {}]
