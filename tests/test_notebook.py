"""What a terminal and a notebook show of grids, devices, stacks, networks and runs."""

from __future__ import annotations

import base64
import io
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import voltphase as vp
from voltphase.core.display.pictures import phase_picture, states_picture
from voltphase.optics.kernels.kernel import Separable

SLM = vp.devices.tn_slm().pick(8)
GRID = vp.Grid(20, 36e-6)


def network(**changes: Any) -> vp.DONN:
    options: dict[str, Any] = {"grid": GRID, "wavelength": 532e-9, "distances": 0.02, "devices": [SLM] * 2}
    options |= {"image_shape": (8, 8)} | changes
    return vp.DONN(**options)


class Balanced(HTMLParser):
    """Counts what is open, and notes every tag."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.seen.append(tag)
        if tag != "img":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def picture_in(page: str) -> np.ndarray:
    (found, *_) = re.findall(r"data:image/png;base64,([^\"]*)", page)
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(found))))


def test_grids_say_where_their_samples_lie() -> None:
    assert repr(GRID) == "Grid(20 x 20 samples, pitch 36 µm)"
    uneven = vp.Grid((64, 60), (36e-6, 30e-6), (1e-3, 0.0))
    assert str(uneven) == "64 x 60 samples, pitch 36 µm (y), 30 µm (x), centre at 1 mm (y), 0 m (x)"


def test_a_network_is_described_plane_by_plane_and_says_what_runs() -> None:
    assert repr(network()).split("\n") == [
        "DONN(2 layers, light of 532 nm",
        "  source         images of 8 x 8 on 20 x 20 samples, pitch 36 µm",
        "  layers 1 to 2  20 x 20 samples, pitch 36 µm, 20 mm on; tn-slm, 8 levels",
        "  detector       20 x 20 samples, pitch 36 µm, 20 mm on; Classification",
        "  runs on        cpu back end; matrix in all gaps; single precision)",
    ]
    other = vp.devices.model("lcos").pick(16)
    assert "  layer 1   " in repr(network(devices=[SLM, other]))
    assert "  layer 2   20 x 20 samples, pitch 36 µm, 20 mm on; lcos, 16 levels" in repr(network(devices=[SLM, other]))


def test_a_stack_is_its_planes() -> None:
    kernel = Separable.select(range(4), range(4), (4, 4))
    assert repr(vp.Stack(((kernel,), (kernel,)))) == "Stack(2 gaps: 4 x 4 -> 4 x 4 -> 4 x 4)"


@pytest.mark.parametrize(
    ("make", "tag", "said"),
    [
        (lambda: GRID, "svg", "720 µm x 720 µm"),
        (lambda: SLM, "svg", "tn-slm"),
        (lambda: vp.devices.DevicePanel.uniform(SLM, (20, 20), border=2), "svg", "144 of them inactive"),
        (
            lambda: network()._stacks(network().beams.beams, network().beams.areas)[0],
            "svg",
            "Stack(3 gaps: 8 x 8 -&gt; 20 x 20",
        ),
        (network, "img", "layers 1 to 2"),
        (lambda: network(relaxation=vp.Unconstrained()), "table", "layers 1 to 2"),
    ],
)
def test_a_notebook_shows_facts_and_a_small_picture(make, tag: str, said: str) -> None:
    page = make()._repr_html_()
    parsed = Balanced(page)
    assert parsed.open == []
    assert tag in parsed.seen
    assert said in page
    assert len(page) < 40_000


def test_names_are_text_in_a_notebook() -> None:
    states = vp.DeviceStates(np.arange(2.0), np.ones(2), np.array([0.0, 3.0]), name="<script>alert(1)</script>")
    for shown in (states._repr_html_(), network(devices=[states])._repr_html_()):
        assert "<script>" not in shown
        assert "&lt;script&gt;" in shown


def test_to_look_at_a_network_draws_nothing() -> None:
    model, same = network(relaxation=vp.GumbelSoftmax()), network(relaxation=vp.GumbelSoftmax())
    repr(model)
    model._repr_html_()
    assert model.training
    images = torch.full((1, 8, 8), 255, dtype=torch.uint8)
    assert torch.equal(model(images), same(images))


def test_the_picture_of_a_layer_has_the_phase_as_its_hue() -> None:
    thirds = np.exp(2j * np.pi * np.array([[0, 1, 2]]) / 3) * [[1, 1, 0.5]]
    colours = picture_in(phase_picture(thirds, "three"))
    assert colours.tolist() == [[[255, 64, 64], [64, 255, 64], [32, 32, 128]]]
    large = picture_in(phase_picture(np.ones((300, 200), complex), "large"))
    assert large.shape == (100, 67, 3)
    assert large[0, 0].tolist() == [255, 64, 64]


def test_the_picture_of_states_has_a_dot_for_each() -> None:
    assert states_picture(SLM.values()).count("<circle") == 1 + len(SLM)


def test_a_run_shows_its_figures_and_its_network(tmp_path: Path) -> None:
    digits = [vp.data.load("digits", split) for split in ("train", "test")]
    model = network()
    model(digits[0].images[:10])  # settles the scale
    run = vp.save(model, tmp_path / "run", train=digits[0], test=digits[1])
    page = run._repr_html_()
    assert Balanced(page).open == []
    assert f"{run.summary['test_accuracy']:.1%}" in page
    assert "<img" in page
