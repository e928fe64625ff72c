from __future__ import annotations

import hashlib
import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from voltphase import DONN, Grid
from voltphase.core.errors import DataError, DeploymentError
from voltphase.data import ImageDataset, dataset_of, load
from voltphase.deployment import deploy, verify
from voltphase.deployment.folder import manifest_digest
from voltphase.deployment.formulas import CONVENTIONS
from voltphase.deployment.proof.compare import Comparison, compare
from voltphase.deployment.records import data_digest
from voltphase.tasks import Classification


def replace_logits(folder: Path, logits: np.ndarray) -> None:
    np.save(folder / "expected-logits.npy", logits)
    manifest = json.loads((folder / "manifest.json").read_text())
    digest = hashlib.sha256((folder / "expected-logits.npy").read_bytes()).hexdigest()
    manifest["reference"]["logits"] |= {"sha256": digest, "dtype": logits.dtype.str}
    manifest["manifest_sha256"] = manifest_digest(manifest)
    (folder / "manifest.json").write_text(json.dumps(manifest))


def test_what_was_deployed_passes(tmp_path, make, dataset):
    model = make()
    folder = deploy(model, tmp_path / "bench", dataset=dataset)
    result = verify(folder, dataset)
    accuracy = (model(dataset.images).argmax(1) == dataset.labels).double().mean().item()
    assert result.passed
    assert result.accuracy == result.expected_accuracy == accuracy
    assert result.images == result.predictions_equal == 30
    assert result.max_logit_difference < 1e-4
    assert [(check.what, check.verdict) for check in result.checks] == [
        ("files", "passed"),
        ("manifest", "passed"),
        *[(what, "passed") for what in ("readings", "predictions", "accuracy", "logits", "predictions", "accuracy")],
    ]
    assert f"accuracy {accuracy:.4f} from the files, {accuracy:.4f} expected" in str(result)
    assert str(result).splitlines()[-1] == "passed"


@pytest.mark.parametrize(
    ("images", "targets", "kind"),
    [
        (np.arange(24, dtype=np.uint8), np.array([1, 0]), "uint8"),
        (np.linspace(0, 1, 24, dtype=np.float32), np.array([[0.5, 1], [2, 3]]), "float32"),
        (np.linspace(0, 1, 24), np.array([[[0.5], [1]], [[2], [3]]], np.float32), "float64"),
        (np.arange(24, dtype=np.uint16) * 257, np.array([[1 + 2j], [3j]], np.complex64), "float32"),
    ],
    ids=["bytes and labels", "numbers", "pictures", "16 bits and fields"],
)
def test_the_digest_of_data_is_what_its_recipe_says(images, targets, kind):
    """The recipe of data_sha256 in README.txt, with numpy alone."""
    data = dataset_of((images.reshape(2, 3, 4), targets))
    assert f"'torch.{kind}'" in CONVENTIONS["data_sha256"]
    pixels = images / np.float32(65535) if images.dtype == np.uint16 else images
    numbers = np.stack([targets.real, targets.imag], -1) if targets.dtype.kind == "c" else targets
    recipe = hashlib.sha256(f"((2, 3, 4), 'torch.{kind}')".encode("ascii"))
    recipe.update(pixels.astype(pixels.dtype.newbyteorder("<")).tobytes())
    recipe.update(numbers.astype("<i8" if targets.dtype.kind == "i" else "<f8").tobytes())
    assert data_digest(data.images, data.targets) == recipe.hexdigest()


def test_other_logits_fail(deployed, dataset):
    logits = np.load(deployed / "expected-logits.npy")
    replace_logits(deployed, logits[:, ::-1])
    result = verify(deployed, dataset)
    assert not result.passed
    assert result.predictions_equal < result.images
    assert result.logits_different == 60  # the middle one of three stays
    failed = [check.what for check in result.checks if check.passed is False]
    assert failed[:2] == ["logits", "predictions"]  # the accuracy may be as large by chance
    assert str(result).splitlines()[-1].startswith("FAILED: ")


def test_other_images_are_refused(deployed, dataset):
    others = ImageDataset(dataset.images.flip(0), dataset.labels, "noise", dataset.classes)
    with pytest.raises(DeploymentError, match=r"expected the 30 images of noise \(test\) .* got others \(30 images\)"):
        verify(deployed, others)


def test_other_labels_are_refused(deployed, dataset):
    others = ImageDataset(dataset.images, dataset.labels.flip(0), "noise", dataset.classes)
    with pytest.raises(DeploymentError, match="got others"):
        verify(deployed, others)


def test_other_names_of_classes_are_refused(deployed, dataset):
    others = ImageDataset(dataset.images, dataset.labels, "noise", ("right", "left", "low"))
    with pytest.raises(DeploymentError, match="expected the classes left, right, low of"):
        verify(deployed, others)


def test_without_the_data_set_the_inputs_that_travel_along_are_verified(deployed):
    result = verify(deployed)
    assert result.passed
    assert result.images == result.predictions_equal == 20
    assert result.checks[-1].verdict == "not checked"
    assert "'noise', no data set known by name" in result.checks[-1].figures


def test_a_data_set_that_is_not_at_hand_is_left_out_with_a_word_and_wanted_where_a_folder_is_named(
    deployed, tmp_path, monkeypatch
):
    manifest = json.loads((deployed / "manifest.json").read_text())
    manifest["reference"]["data"] = "mnist"
    manifest["manifest_sha256"] = manifest_digest(manifest)
    (deployed / "manifest.json").write_text(json.dumps(manifest))
    monkeypatch.setenv("VOLTPHASE_DATA", str(tmp_path / "none"))
    monkeypatch.setattr(
        "voltphase.data.files.download._try", lambda *_, **__: pytest.fail("downloads without being asked")
    )
    result = verify(deployed)
    assert result.passed
    assert (result.checks[-1].what, result.checks[-1].passed) == ("test set", None)
    assert "t10k-images-idx3-ubyte.gz" in result.checks[-1].figures

    def fail(*_: object, **__: object) -> None:
        raise DataError("no such server")

    monkeypatch.setattr("voltphase.data.files.download._try", fail)
    with pytest.raises(DataError, match="no such server"):
        verify(deployed, data_dir=tmp_path / "none")


def test_without_a_test_set_inputs_of_noise_travel_along(tmp_path, make, dataset):
    folder = deploy(make(), tmp_path / "bench")
    result = verify(folder)
    assert result.passed
    assert result.images == result.predictions_equal == 20
    assert math.isnan(result.accuracy)
    assert "of 20 images of noise" in str(result)
    with pytest.raises(DeploymentError, match="expected no data set"):
        verify(folder, dataset)


def test_other_readings_fail(deployed):
    readings = np.load(deployed / "sample-readings.npy")
    readings[3, 1] *= 1.001
    np.save(deployed / "sample-readings.npy", readings)
    manifest = json.loads((deployed / "manifest.json").read_text())
    digest = hashlib.sha256((deployed / "sample-readings.npy").read_bytes()).hexdigest()
    manifest["samples"]["readings"]["sha256"] = digest
    manifest["manifest_sha256"] = manifest_digest(manifest)
    (deployed / "manifest.json").write_text(json.dumps(manifest))
    result = verify(deployed)
    assert not result.passed
    assert result.logits_different == 1
    assert [check.what for check in result.checks if check.passed is False] == ["readings"]


def test_a_changed_note_is_noticed(deployed):
    with (deployed / "README.txt").open("a") as note:
        note.write("Turn everything upside down.\n")
    with pytest.raises(DeploymentError, match=r"README\.txt as it was deployed, .*changed after deployment"):
        verify(deployed)


def test_changed_logits_are_noticed(deployed, dataset):
    np.save(deployed / "expected-logits.npy", np.zeros((30, 3), np.float32))
    with pytest.raises(DeploymentError, match=r"expected-logits\.npy as it was deployed, but its SHA-256 differs"):
        verify(deployed, dataset)


@pytest.mark.parametrize(
    "logits", [np.zeros((29, 3), np.float32), np.zeros((30, 3), np.int64), np.full((30, 3), np.nan, np.float32)]
)
def test_logits_of_another_kind_are_refused(deployed, dataset, logits):
    replace_logits(deployed, logits)
    with pytest.raises(DeploymentError, match=r"expected finite logits of shape \(30, 3\) in .*expected-logits\.npy"):
        verify(deployed, dataset)


def test_a_tie_within_rounding_may_fall_either_way():
    expected = torch.tensor([[1.0, 1.0 - 1e-7], [0.0, 1.0]])
    labels = torch.tensor([0, 1])
    assert not passed(compare(expected.flip(1), expected, labels, 1e-6, Classification()))
    near = expected.clone()
    near[0] = near[0].flip(0)
    result = compare(near, expected, labels, 1e-6, Classification())
    assert passed(result)
    assert (result.predictions_equal, result.value) == (1, 0.5)


def test_more_ties_than_one_in_five_hundred_are_no_ties():
    expected = torch.tensor([[1.0, 1.0 - 1e-7]]).repeat(1000, 1)
    lost = expected.clone()
    for count, verdict in ((2, True), (3, False)):
        lost[:count] = expected[:count].flip(1)
        assert passed(compare(lost, expected, None, 1e-6, Classification())) is verdict


def test_a_large_tolerance_does_not_make_another_class_a_tie():
    expected = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    result = compare(expected.flip(1) * 1e-3, expected, None, torch.full((2, 2), 0.4), Classification())
    assert (result.predictions_equal, result.unexplained) == (0, 2)
    assert not passed(result)


def test_a_recorded_accuracy_that_the_expected_logits_do_not_have_fails():
    expected = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    labels = torch.tensor([0, 1])
    assert passed(compare(expected, expected, labels, 1e-6, Classification(), 1.0))
    assert not passed(compare(expected, expected, labels, 1e-6, Classification(), 0.999))


def test_a_small_shift_that_rounding_does_not_explain_fails():
    expected = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    result = compare(expected + 1e-4, expected, torch.tensor([0, 1]), 1e-6, Classification())
    assert result.predictions_equal == 2
    assert not passed(result)


def passed(comparison: Comparison) -> bool:
    return all(check.passed for check in comparison.told())


def test_digits_are_found_by_name(tmp_path, make_device):
    test_set = load("digits", "test").take(40)
    model = DONN(
        grid=Grid((16, 16), 36e-6),
        wavelength=532e-9,
        distances=0.01,
        devices=[make_device(4)],
        task=Classification(differential=False),
        image_shape=(8, 8),
    ).eval()
    assert verify(deploy(model, tmp_path / "bench", dataset=test_set)).passed


@pytest.fixture
def bench(tmp_path: Path, make, dataset) -> Path:
    return deploy(make(), tmp_path / "bench", dataset=dataset)


def _resealed(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change a manifest and give it the checksum and the files' checksums that fit."""
    path = folder / "manifest.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    change(content)
    for layer in content["layers"]:
        for record in (*layer["target"]["files"], layer["levels"]):
            record["sha256"] = hashlib.sha256((folder / record["file"]).read_bytes()).hexdigest()
    content["manifest_sha256"] = manifest_digest(content)
    path.write_text(json.dumps(content), encoding="utf-8")


@pytest.mark.parametrize("place", [("layers", 0), ("readout",), ("propagation",), ()])
def test_a_key_that_nothing_reads_is_refused(bench: Path, place: tuple[Any, ...]):
    def add(content: dict[str, Any]) -> None:
        at: Any = content
        for step in place:
            at = at[step]
        at["flip"] = True

    _resealed(bench, add)
    with pytest.raises(DeploymentError, match=r"no key but those that this version knows, but got .*flip"):
        verify(bench)


def test_a_map_that_the_manifest_does_not_name_is_refused(bench: Path):
    shutil.copy(bench / "layer-1.png", bench / "layer-9.png")
    with pytest.raises(DeploymentError, match=r"but got layer-9\.png: remove it"):
        verify(bench)


def _saved(path: Path, **options: Any) -> None:
    Image.open(path).save(path, **options)


@pytest.mark.parametrize(
    "change",
    [
        lambda path: _saved(path, exif=b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"),
        lambda path: _saved(path, transparency=8),
        lambda path: _saved(path, save_all=True, append_images=[Image.open(path).rotate(180)]),
        lambda path: path.write_bytes(path.read_bytes() + b"garbage"),
        lambda path: path.write_bytes(path.read_bytes()[:-12]),
    ],
    ids=["turned", "transparent", "two frames", "bytes after its end", "without an end"],
)
def test_a_picture_that_other_programs_may_show_otherwise_is_refused(bench: Path, change: Callable[[Path], object]):
    change(bench / "layer-1.png")
    _resealed(bench, lambda content: None)
    with pytest.raises(DeploymentError, match=r"layer-1\.png"):
        verify(bench)
