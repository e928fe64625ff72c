from __future__ import annotations

import base64
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser

import matplotlib as mpl
import numpy as np
import pytest
from PIL import Image

from voltphase.core.errors import DataError, OutputError
from voltphase.reporting import overview_figure, save_overview, write_report
from voltphase.reporting import page as html
from voltphase.reporting.run_view import RunView
from voltphase.training.run_folder import RefinedRecord

VOID = {"meta", "img"}


class Page(HTMLParser):
    """Collects what a page holds, and notices tags that do not close."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []
        self.ids: set[str] = set()
        self.images: list[tuple[str, str]] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag not in VOID:
            self.open.append(tag)
        if "id" in values:
            self.ids.add(str(values["id"]))
        if "href" in values:
            self.links.append(str(values["href"]))
        if tag == "img":
            self.images.append((str(values["alt"]), str(values["src"])))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


@pytest.fixture(scope="session")
def view(run) -> RunView:
    return RunView.of(run)


@pytest.fixture(scope="session")
def page(run) -> Page:
    path = write_report(run)
    assert path == run / "report.html"
    page = Page()
    page.feed(path.read_text(encoding="utf-8"))
    assert page.open == []
    return page


def test_the_page_needs_nothing_beside_it(run, page):
    source = (run / "report.html").read_text(encoding="utf-8")
    assert all(image.startswith(("data:image/png;base64,", "data:image/svg+xml;base64,")) for _, image in page.images)
    without_images = re.sub(r'src="data:[^"]*"', "", source)
    assert not re.search(r"https?://|<script|<link|url\(|@import", without_images)
    assert len(source) < 4e6
    assert [link.removeprefix("#") in page.ids for link in page.links] == [True] * 6


def test_the_page_shows_every_part(page):
    names = [name for name, _ in page.images]
    assert [name for name in names if not name.startswith("Test image ")] == [
        "Learning curves",
        "Level maps",
        "Phase maps",
        "Amplitude maps",
        "States of tn-slm",
        "States of tn-slm",
        "Use of levels",
        "Confusion matrix",
        "Light left along the axis",
    ]
    assert 10 <= len(names) <= 13
    for _, source in page.images:
        kind, content = source.removeprefix("data:image/").split(";base64,")
        start = {"png": b"\x89PNG\r\n", "svg+xml": b"<?xml"}[kind]
        assert base64.b64decode(content, validate=True).startswith(start)


def test_the_page_tells_the_figures_of_the_run(view, page):
    text = " ".join(" ".join(page.text).split())
    accuracy = view.summary.metric("test_accuracy")
    assert accuracy == view.evaluation.metrics["accuracy"]
    for words in (
        f"{accuracy:.1%}",
        "of 40 test images answered right with one device state per pixel",
        "20 × 20, pitch 36 µm",
        "2, gaps of 20 mm",
        "532 nm",
        "(5 levels), ",
        f"{round(accuracy * 40)} of 40 right",
        "train_limit: 60",
        f"torch {view.summary.versions['torch']}",
    ):
        assert words in text


def test_the_page_tells_that_levels_were_refined(view, page, monkeypatch):
    assert "refined after training" not in page.text
    monkeypatch.setattr(html, "sections", lambda *_: [])
    refined = RefinedRecord(loss_before=0.31, loss_after=0.25, images=60, changed_pixels=17)
    seen = replace(view, summary=view.summary.model_copy(update={"refined": refined}))
    assert "loss 0.3100 to 0.2500 on 60 training images, 17 pixels changed" in html.report_html(seen)


def test_names_cannot_break_the_page(view, monkeypatch):
    monkeypatch.setattr(html, "sections", lambda *_: [])
    states = view.layers[0].device_states
    monkeypatch.setitem(states.__dict__, "name", '<b onclick="x">&')
    source = html.report_html(view)
    assert "<b onclick" not in source
    assert "&lt;b onclick=&quot;x&quot;&gt;&amp;" in source


def test_drawing_leaves_the_settings_of_others_alone(run):
    before = dict(mpl.rcParams)
    overview_figure(run)
    assert dict(mpl.rcParams) == before


def test_the_overview_is_a_picture(run, tmp_path):
    path = save_overview(run, tmp_path / "overview.png")
    image = np.asarray(Image.open(path).convert("RGB"))
    assert image.shape[1] > 900
    assert len(np.unique(image.reshape(-1, 3), axis=0)) > 50


def test_the_overview_goes_nowhere_without_a_folder(run, tmp_path):
    with pytest.raises(OutputError, match=r"cannot write .*overview\.png: no such file or directory"):
        save_overview(run, tmp_path / "missing" / "overview.png")


def test_no_run(tmp_path):
    with pytest.raises(DataError, match=r"expected the folder of a training run, but .*nothing does not exist"):
        write_report(tmp_path / "nothing")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, r"cannot read .*metrics\.csv: no such file or directory; .* train again"),
        ("", r"expected a row for each epoch in .*metrics\.csv, but there is none"),
        ("epoch,train_loss\n", r"expected a row for each epoch in .*metrics\.csv, but there is none"),
        ("epoch,train_loss\n1,high\n", r"expected a table of numbers in .*metrics\.csv, but it is damaged"),
        ("epoch,train_loss\n1\n", r"expected a table of numbers in .*metrics\.csv, but it is damaged"),
        ("train_loss\n1\n", r"expected a row for each epoch in .*metrics\.csv, but there is none"),
    ],
)
def test_damaged_metrics(run, tmp_path, content, message):
    copy = tmp_path / "copy"
    shutil.copytree(run, copy, ignore=shutil.ignore_patterns("report.html"))
    (copy / "metrics.csv").unlink() if content is None else (copy / "metrics.csv").write_text(content)
    with pytest.raises(DataError, match=message):
        write_report(copy)
    assert not (copy / "report.html").exists()


def test_to_load_deploy_and_draw_needs_neither_pyplot_nor_lightning_nor_a_folder_for_matplotlib():
    code = (
        "import sys, voltphase as vp; vp.load_run, vp.deploy, vp.verify, vp.report, vp.training.evaluate; "
        "print([m for m in ('matplotlib.pyplot', 'lightning') if m in sys.modules])"
    )
    environment = os.environ | {"MPLCONFIGDIR": "/proc/nowhere", "MPLBACKEND": "none"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")
