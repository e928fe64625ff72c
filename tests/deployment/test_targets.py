"""Targets by their names: those of other packages deploy, and are read back, like ours."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pytest
from annotated_types import Ge
from numpy.typing import NDArray

from voltphase import DONN
from voltphase.core.errors import DeploymentError
from voltphase.data import ImageDataset
from voltphase.deployment import TARGETS, Emulator, Target, deploy, verify
from voltphase.deployment.manifest import Manifest, manifest_digest
from voltphase.deployment.targets.base import Layer, Written
from voltphase.tasks import Classification, RegionReadout


@dataclass(frozen=True)
class Sheet(Target):
    """All layers in one table of text, one below the other.

    Args:
        first: Number that stands for level 0.
    """

    first: Annotated[int, Ge(0)] = 0

    def write(self, folder: Path, layers: Sequence[Layer], levels: Sequence[NDArray[np.integer]]) -> list[Written]:
        """Write ``layer-sheet.csv``; see :meth:`Target.write`."""
        np.savetxt(folder / "layer-sheet.csv", np.concatenate(levels) + self.first, fmt="%d", delimiter=",")
        return [Written(["layer-sheet.csv"], {"rows": len(level)}) for level in levels]

    def read(
        self, layers: Sequence[Layer], written: Sequence[Written], contents: Mapping[str, bytes]
    ) -> list[NDArray[np.integer]]:
        """Return the levels; see :meth:`Target.read`."""
        table = np.loadtxt(contents["layer-sheet.csv"].decode().splitlines(), dtype=np.int64, delimiter=",", ndmin=2)
        ends = np.cumsum([one.details["rows"] for one in written])
        return np.split(table - self.first, ends[:-1])


@pytest.fixture
def sheet() -> Iterator[None]:
    """A package that adds the target for as long as a test takes."""
    TARGETS.register("sheet")(Sheet)
    yield
    TARGETS._entries.pop("sheet")


@pytest.fixture
def bench(sheet: None, tmp_path: Path, make: Callable[..., DONN], dataset: ImageDataset) -> Path:
    return deploy(make(), tmp_path / "bench", dataset=dataset, target=Sheet(first=3))


def change(folder: Path, edit: Callable[[dict[str, Any]], object]) -> None:
    content = json.loads((folder / "manifest.json").read_text())
    edit(content)
    content["manifest_sha256"] = manifest_digest(content)
    (folder / "manifest.json").write_text(json.dumps(content))


def test_a_target_of_another_package_is_written_verified_and_described(bench: Path, dataset: ImageDataset):
    assert verify(bench, dataset).passed
    manifest = Manifest.read(bench)
    assert (manifest.target.name, manifest.target.settings) == ("sheet", {"first": 3})
    assert not list(bench.glob("*.png"))
    assert "layer-sheet.csv: for panel 8 grey level, 8 levels, CSV." in (bench / "README.txt").read_text()


def test_its_files_are_held_to_their_hash_and_to_the_levels(bench: Path):
    table = (bench / "layer-sheet.csv").read_bytes()
    (bench / "layer-sheet.csv").write_bytes(table.replace(b"3", b"4", 1))
    with pytest.raises(DeploymentError, match=r"layer-sheet\.csv as it was deployed"):
        verify(bench)
    (bench / "layer-sheet.csv").write_bytes(table)
    change(bench, lambda content: content["target"]["settings"].update(first=2))
    with pytest.raises(DeploymentError, match=r"the same levels in .*layer-sheet\.csv and layer-1-levels\.npy"):
        verify(bench)


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (lambda content: content["target"].update(name="no-such"), r"target: expected name out of .*but got 'no-such'"),
        (lambda content: content["target"]["settings"].update(first=-1), r"target\.settings\.first to be at least 0"),
        (lambda content: content["target"]["settings"].update(last=1), r"target\.settings: expected first, but got"),
        (lambda content: content["layers"][0]["target"].update(details={}), "can read, but it fails with KeyError"),
        (lambda content: content["layers"][0]["target"]["details"].update(rows="x"), "can read, but it fails with"),
    ],
)
def test_what_the_manifest_says_of_it_is_not_trusted(bench: Path, edit: Callable[[dict[str, Any]], object], words: str):
    change(bench, edit)
    with pytest.raises(DeploymentError, match=words) as caught:
        verify(bench)
    assert "\n" not in str(caught.value)


def test_without_the_package_the_folder_says_what_it_needs(bench: Path):
    entry = TARGETS._entries.pop("sheet")
    try:
        with pytest.raises(DeploymentError, match=r"but got 'sheet': install the package that this target comes from"):
            Emulator.from_folder(bench)
    finally:
        TARGETS.register("sheet")(entry)


def test_a_target_without_a_name_or_of_none_is_refused_before_any_work(tmp_path: Path, make: Callable[..., DONN]):
    for target, words in ((Sheet(), "register its class"), ("slm-imge", "did you mean slm-image")):
        with pytest.raises(DeploymentError, match=words):
            deploy(make(), tmp_path / "bench", target=target)
    assert list(tmp_path.iterdir()) == []


def test_a_readout_or_a_task_that_no_folder_can_describe_is_refused(tmp_path: Path, make: Callable[..., DONN]):
    model = make()
    model.readout.__class__ = type("Own", (RegionReadout,), {})
    with pytest.raises(DeploymentError, match=r"expected a readout that the folder can describe, .*but got Own"):
        deploy(model, tmp_path / "bench")
    model = make()
    model.task = type("Unnamed", (Classification,), {})()
    with pytest.raises(DeploymentError, match=r"expected a task out of .*, but got .*register its class"):
        deploy(model, tmp_path / "bench")
    assert list(tmp_path.iterdir()) == []
