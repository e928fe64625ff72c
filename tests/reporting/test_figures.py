from __future__ import annotations

import io
import math

import numpy as np
import pytest
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image

from voltphase import DONN, DeviceStates, Grid, Regions
from voltphase.data import ImageDataset
from voltphase.devices import DevicePanel
from voltphase.optics import SourceLight
from voltphase.reporting import charts, maps, run_view, style
from voltphase.reporting.answers import (
    ClassificationPictures,
    Example,
    TaskPictures,
    choose_examples,
    confusion_matrix,
    draw_regions,
    pictures_of,
)
from voltphase.reporting.run_view import Light, measure_light
from voltphase.tasks import Classification, Metric, readout_of, require_regions
from voltphase.tasks.classification import ACCURACY
from voltphase.training import evaluate

GRID = Grid((12, 16), pitch=(40e-6, 30e-6), offset=(1e-4, 0.0))
REGIONS = Regions(((1, 1, 3, 3), (1, 9, 3, 4), (7, 5, 3, 3)), GRID.shape)


def device(levels: int, amplitude: float | None = None) -> DeviceStates:
    generator = np.random.default_rng(levels)
    return DeviceStates(
        control=np.arange(float(levels)),
        amplitude=np.full(levels, amplitude) if amplitude else generator.uniform(0.3, 1, levels),
        phase=np.linspace(-2, 9, levels),
        name=f"panel {levels}",
    )


def level_maps(devices: list[DeviceStates]) -> list[np.ndarray]:
    generator = np.random.default_rng(0)
    return [generator.integers(0, len(states), GRID.shape) for states in devices]


def shown(figure: Figure) -> list[np.ndarray]:
    """The arrays a figure shows as pictures."""
    return [np.asarray(axes.images[0].get_array()) for axes in figure.axes if axes.images]


def rectangles(axes: Axes) -> list[Rectangle]:
    """The boxes and bars drawn on axes."""
    return [patch for patch in axes.patches if isinstance(patch, Rectangle)]


def test_confusion_counts_shown_by_row_and_answered_by_column():
    predictions, labels = np.array([0, 1, 1, 2, 0]), np.array([0, 1, 2, 2, 2])
    assert confusion_matrix(predictions, labels, 4).tolist() == [
        [1, 0, 0, 0],
        [0, 1, 0, 0],
        [1, 1, 1, 0],
        [0, 0, 0, 0],
    ]


def test_a_plane_is_drawn_where_it_lies():
    left, right, bottom, top = style.extent(GRID)
    np.testing.assert_allclose([left, right, top, bottom], [-0.24, 0.24, -0.24 + 0.1, 0.24 + 0.1])


def test_maps_show_the_states_of_each_pixel():
    devices = [device(4), device(7), device(4)]
    levels = level_maps(devices)
    for array, level in zip(shown(maps.level_figure(levels, devices, [GRID] * len(devices))), levels, strict=True):
        np.testing.assert_array_equal(array, level)
    for array, level, states in zip(
        shown(maps.phase_figure(levels, devices, [GRID] * len(devices))), levels, devices, strict=True
    ):
        np.testing.assert_allclose(np.exp(1j * array), np.exp(1j * states.phase[level]))
        assert array.min() >= 0
        assert array.max() < 2 * math.pi
    for array, level, states in zip(
        shown(maps.amplitude_figure(levels, devices, [GRID] * len(devices))), levels, devices, strict=True
    ):
        np.testing.assert_array_equal(array, states.amplitude[level])


@pytest.mark.parametrize(("devices", "bars"), [([device(4)] * 3, 1), ([device(4), device(7)], 2)])
def test_one_bar_of_levels_unless_devices_have_different_numbers_of_them(devices, bars):
    figure = maps.level_figure(level_maps(devices), devices, [GRID] * len(devices))
    assert len(figure.axes) == len(devices) + bars


@pytest.mark.parametrize("depth", [1, 7])
def test_any_depth_can_be_drawn(depth):
    devices = [device(3)] * depth
    levels = level_maps(devices)
    points = 2 * depth + 2
    shares = {"in any region": 1e-13, "in the right one": 0.0}
    light = Light(np.linspace(0, 1, points), np.geomspace(1, 1e-12, points), shares)
    with style.house_style():
        for figure in (
            maps.level_figure(levels, devices, [GRID] * len(devices)),
            charts.level_use_figure(levels, devices),
            charts.light_figure(light, depth),
        ):
            assert style.svg(figure).startswith(b"<?xml")


def test_a_very_deep_network_shows_its_first_twenty_layers():
    devices = [device(3)] * 30
    assert len(shown(maps.phase_figure(level_maps(devices), devices, [GRID] * len(devices)))) == 20


def test_level_use_is_a_share_of_pixels():
    devices = [device(5)]
    levels = [np.zeros(GRID.shape, int)]
    levels[0][:3] = 4
    heights = [bar.get_height() for bar in rectangles(charts.level_use_figure(levels, devices).axes[0])]
    assert heights == [0.75, 0, 0, 0, 0.25]


@pytest.mark.parametrize("epochs", [1, 3, 200])
def test_learning_of_any_length(epochs):
    metrics = {
        "epoch": np.arange(1.0, epochs + 1),
        "train_loss": np.geomspace(2, 0.1, epochs),
        "temperature": np.linspace(10, 1, epochs),
        "train_accuracy": np.linspace(0.1, 0.9, epochs),
        "test_accuracy": np.linspace(0.6, 0.95, epochs),
    }
    figure = charts.learning_figure(metrics, ACCURACY)
    accuracy, loss, temperature = figure.axes
    test, training = accuracy.lines
    np.testing.assert_array_equal(test.get_ydata(), metrics["test_accuracy"])
    np.testing.assert_array_equal(training.get_ydata(), metrics["train_accuracy"])
    np.testing.assert_array_equal(loss.lines[0].get_ydata(), metrics["train_loss"])
    np.testing.assert_array_equal(temperature.lines[0].get_ydata(), metrics["temperature"])


def test_a_metric_that_is_no_share_and_a_task_that_registers_no_pictures_can_be_drawn():
    metric = Metric("error", lambda outputs, targets: outputs - targets, higher_is_better=False)
    curves = {"train_error": np.array([3.0, 2.0]), "test_error": np.array([4.0, 2.5])}
    history = {"epoch": np.array([1.0, 2.0]), "train_loss": np.ones(2), "temperature": np.ones(2), **curves}
    assert charts.learning_figure(history, metric).axes[0].get_title() == "error"
    intensity = {name: np.ones(GRID.shape) for name in ("source", "detector")}
    example = Example(0, np.zeros((4, 4), np.uint8), 0.5, np.array([0.4]), np.array([0.4]), intensity)
    figure = maps.propagation_figure(example, TaskPictures(), dict.fromkeys(intensity, GRID))
    assert len(shown(figure)) == 2
    light = Light(np.linspace(0, 1, 4), np.geomspace(1, 0.1, 4), {})
    assert charts.light_figure(light, 1).axes[0].get_legend() is not None


def test_examples_are_right_answers_of_different_classes_and_a_wrong_one():
    labels = np.array([0, 0, 1, 2, 3, 4, 5])
    predictions = np.array([1, 0, 1, 2, 3, 4, 5])
    chosen = choose_examples(predictions, labels, 4)
    assert chosen == [1, 4, 6, 0] or chosen == [1, 3, 6, 0]
    assert choose_examples(labels, labels, 4)[0] == 0
    assert len(choose_examples(labels, labels, 4)) == 4
    assert choose_examples(1 - labels.clip(max=1), labels.clip(max=1), 4) == [0]
    assert choose_examples(np.array([2]), np.array([2]), 4) == [0]


def test_regions_are_drawn_on_their_samples():
    logits = np.array([0.1, 0.7, 0.2])
    intensity = {name: np.ones(GRID.shape) for name in ("source", "layer 1", "detector")}
    example = Example(3, np.zeros((4, 4), np.uint8), 2, logits, 1, intensity)
    pictures = ClassificationPictures(REGIONS, ("a", "b", "c"))
    figure = maps.propagation_figure(example, pictures, dict.fromkeys(example.intensity, GRID))
    detector, bars = figure.axes[2], figure.axes[3]
    boxes = [(patch.get_x(), patch.get_y(), patch.get_width(), patch.get_height()) for patch in rectangles(detector)]
    for box, (row, column, height, width) in zip(boxes, REGIONS.boxes, strict=True):
        y, x = GRID.coordinates()
        expected = [float(x[column]) * 1e3 - 0.015, float(y[row]) * 1e3 - 0.02, width * 0.03, height * 0.04]
        np.testing.assert_allclose(box, expected)
    dashed = [patch.get_linestyle() for patch in detector.patches]
    assert dashed == ["-", "-", "--"]
    assert [bar.get_width() for bar in rectangles(bars)] == logits.tolist()
    assert [label.get_text() for label in bars.get_yticklabels()] == ["a 0", "b 1", "c 2"]


def test_a_pair_is_drawn_as_for_and_against_its_class():
    pairs = Regions(((1, 1, 3, 3), (1, 9, 3, 4), (7, 5, 3, 3), (7, 10, 3, 3)), GRID.shape, paired=True)
    figure = style.new_figure(2, 2)
    axes = figure.subplots()
    draw_regions(axes, pairs, GRID, prediction=0, label=1)
    assert [text.get_text() for text in axes.texts] == ["0+", "0−", "1+", "1−"]
    assert [patch.get_linestyle() for patch in axes.patches] == ["-", "-", "--", "--"]


@pytest.mark.parametrize("shape", [(32, 64), (48, 80), (64, 24)])
def test_labels_of_regions_overlap_neither_each_other_nor_other_regions(shape: tuple[int, int]):
    grid, task = Grid(shape, 36e-6), Classification(differential=True)
    regions = require_regions(readout_of(task, shape)).regions
    light = {name: np.ones(grid.shape) for name in ("source", "layer 1", "detector")}
    example = Example(0, np.zeros((8, 8)), 1, np.arange(10.0), 3, light)
    with style.house_style():
        figure = maps.propagation_figure(
            example, ClassificationPictures(regions, list("0123456789")), dict.fromkeys(light, grid)
        )
        figure.draw_without_rendering()
        axes = next(axes for axes in figure.axes if axes.texts)
        letters = [text.get_window_extent() for text in axes.texts]
        boxes = [patch.get_window_extent() for patch in axes.patches]
    for number, own in enumerate(letters):
        # What a font calls the extent of a letter has room above and below it.
        core = own.expanded(1.0, 0.7)
        assert not any(core.overlaps(other.expanded(1.0, 0.7)) for other in letters[number + 1 :])
        assert not any(core.overlaps(box) for index, box in enumerate(boxes) if index != number)


def test_planes_stand_in_a_row_as_high_as_each_other():
    grids = {"source": Grid(16, 36e-6), "layer 1": Grid((16, 32), 36e-6), "detector": Grid((16, 24), 36e-6)}
    light = {name: np.ones(grid.shape) for name, grid in grids.items()}
    example = Example(0, np.zeros((8, 8)), 1, np.arange(10.0), 3, light)
    figure = maps.propagation_figure(example, TaskPictures(), grids)
    figure.draw_without_rendering()
    heights = [axes.get_window_extent().height for axes in figure.axes if axes.images]
    assert max(heights) == pytest.approx(min(heights), rel=0.02)


def test_many_planes_keep_the_first_and_the_last():
    names = [f"plane {index}" for index in range(40)]
    kept = maps.shown_planes(names)
    assert len(kept) == 7
    assert (kept[0], kept[-1]) == ("plane 0", "plane 39")
    assert maps.shown_planes(names[:7]) == names[:7]


def test_a_panel_is_drawn_pixel_by_pixel_and_its_dead_pixels_blank():
    regions = np.random.default_rng(2).integers(-1, 2, GRID.shape)
    panel = DevicePanel((device(4), device(4, amplitude=0.7)), regions, 0.5j)
    levels = np.where(panel.inactive, 0, level_maps([device(4)])[0])
    drawn = maps.level_figure([levels], [panel], [GRID]).axes[0].images[0].get_array()
    assert isinstance(drawn, np.ma.MaskedArray)
    np.testing.assert_array_equal(drawn.mask, panel.inactive)
    (phase,), (amplitude,) = (
        shown(make([levels], [panel], [GRID])) for make in (maps.phase_figure, maps.amplitude_figure)
    )
    np.testing.assert_allclose(amplitude * np.exp(1j * phase), panel.states_at(levels))
    heights = [bar.get_height() for bar in rectangles(charts.level_use_figure([levels], [panel]).axes[0])]
    np.testing.assert_allclose(heights, np.bincount(levels[~panel.inactive]) / (~panel.inactive).sum())
    different = charts.different_devices([device(4), panel])
    assert [table.digest for table in different] == [table.digest for table in panel.tables]


def light_of(model: DONN, images: torch.Tensor, labels: torch.Tensor) -> Light:
    dataset = ImageDataset(images, labels, "some", ("a", "b", "c"))
    return measure_light(model.eval(), images, labels, pictures_of(model.task, model, dataset))


def test_light_does_not_depend_on_how_finely_a_plane_is_sampled():
    clear = DeviceStates(np.arange(2.0), np.ones(2), np.zeros(2), "clear")
    images, labels = torch.full((1, 4, 4), 255, dtype=torch.uint8), torch.zeros(1, dtype=torch.int64)

    def light(detector: Grid) -> Light:
        grid = Grid(40, 30e-6)
        side = detector.rows // 4
        regions = Regions(((side, 0, 2 * side, 2 * side), (side, 2 * side, 2 * side, 2 * side)), detector.shape)
        model = DONN(
            grid=[grid, grid, detector],
            wavelength=532e-9,
            distances=2e-2,
            devices=[clear],
            task=Classification(regions.boxes, regions.paired, "sum", 1.0),
            image_shape=(4, 4),
        )
        return light_of(model, images, labels)

    coarse, fine = light(Grid(40, 30e-6)), light(Grid(120, 10e-6))
    # Sums over samples differ from the integral by what the diffraction at the aperture's edge leaves between them.
    np.testing.assert_allclose(fine.kept, coarse.kept, rtol=0.01)
    assert fine.shares == pytest.approx(coarse.shares, rel=0.01)


@pytest.mark.parametrize("gain", [1.0, [3.0, 0.2]])
def test_light_is_what_the_devices_leave_whatever_the_gain(gain):
    model = DONN(
        grid=GRID,
        wavelength=532e-9,
        distances=1e-3,
        devices=[device(4, amplitude=0.8), device(4, amplitude=0.5)],
        task=Classification(REGIONS.boxes, REGIONS.paired, "sum", 1.0),
        image_shape=(6, 8),
        gain=gain,
    ).eval()
    images = torch.randint(0, 256, (5, 6, 8), dtype=torch.uint8)
    light = light_of(model, images, torch.tensor([0, 1, 2, 0, 1]))
    np.testing.assert_allclose(light.distance, [0, 1e-3, 1e-3, 2e-3, 2e-3, 3e-3])
    assert light.kept[0] == 1
    np.testing.assert_allclose(light.kept[2] / light.kept[1], 0.64, rtol=1e-5)
    np.testing.assert_allclose(light.kept[4] / light.kept[3], 0.25, rtol=1e-5)
    assert (np.diff(light.kept) <= 1e-6).all()
    assert 0 < light.shares["in the right one"] < light.shares["in any region"] < light.kept[-1]


def test_of_a_pair_the_right_region_is_the_one_for_the_class():
    boxes = ((1, 1, 3, 3), (1, 9, 3, 4), (7, 5, 3, 3), (7, 10, 3, 3))

    def light(regions: Regions, labels: list[int]) -> Light:
        task = Classification(regions.boxes, regions.paired, "sum", 1.0)
        model = DONN(grid=GRID, wavelength=532e-9, distances=1e-3, devices=[device(4)], task=task, image_shape=(6, 8))
        images = torch.randint(0, 256, (2, 6, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
        return light_of(model, images, torch.tensor(labels))

    pairs, singles = light(Regions(boxes, GRID.shape, paired=True), [0, 1]), light(Regions(boxes, GRID.shape), [0, 2])
    assert pairs.shares == singles.shares


def test_a_png_keeps_size_and_colours_even_of_single_dots():
    figure = style.new_figure(2, 1)
    axes = figure.subplots()
    axes.set_axis_off()
    axes.imshow(np.random.default_rng(0).uniform(size=(20, 40)), cmap=style.INTENSITY_MAP, aspect="auto")
    axes.plot([5], [5], "o", color=style.LIGHT_ON_DARK)
    axes.plot([25], [9], "o", color=style.ACCENT)
    picture = Image.open(io.BytesIO(style.png(figure, dots_per_inch=100)))
    assert picture.size == (200, 100)
    full = io.BytesIO()
    figure.savefig(full, format="png", dpi=100)
    difference = np.asarray(picture.convert("RGB")).astype(int) - np.asarray(Image.open(full).convert("RGB"))
    assert np.abs(difference).max() <= 12


def test_a_drawing_is_the_same_bytes_again():
    devices = [device(4)]
    with style.house_style():
        for save in (style.svg, style.png):
            first, second = (save(charts.level_use_figure(level_maps(devices), devices)) for _ in range(2))
            assert first == second


def test_the_last_bits_of_a_position_change_nothing_in_a_drawing():
    def drawn(width: float) -> bytes:
        figure = Figure(figsize=(3, 2))
        figure.add_axes((0.1, 0.1, width, 0.8)).plot([1, 2])
        return style.svg(figure)

    with style.house_style():
        assert b"url(#clip1)" in drawn(0.7)
        assert drawn(0.7) == drawn(0.7 + 1e-15)


@pytest.mark.parametrize(
    ("least", "labels"),
    [(0.3, ["10%", "20%", "50%", "100%"]), (0.04, ["1%", "10%", "100%"]), (0.1, ["10%", "20%", "50%", "100%"])],
)
def test_the_axis_of_light_is_labelled_in_one_way(least, labels):
    light = Light(np.array([0, 1e-2, 1e-2, 2e-2]), np.array([1, 0.9, 0.8, 2 * least]), {"in any region": least})
    with style.house_style():
        figure = charts.light_figure(light, 1)
        style.png(figure)
        axis = figure.axes[0].yaxis
        found = [
            (tick.get_loc(), tick.label1.get_text()) for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks())
        ]
    low, high = figure.axes[0].get_ylim()
    assert [text for place, text in sorted(found) if text and low <= place <= high] == labels


@pytest.mark.parametrize(("encoding", "by_phase"), [("amplitude", False), ("phase", True), ("both", False)])
def test_an_image_that_the_phase_alone_carries_is_drawn_as_that(encoding, by_phase):
    model = DONN(
        grid=GRID,
        wavelength=532e-9,
        distances=1e-3,
        devices=[device(4)],
        task=Classification(REGIONS.boxes, REGIONS.paired, "sum", 1.0),
        image_shape=GRID.shape,
        source=SourceLight(encoding),
    ).eval()
    images = torch.arange(192, dtype=torch.uint8).reshape(1, *GRID.shape)
    dataset = ImageDataset(images, torch.tensor([1]), "some", ("a", "b", "c"))
    example = run_view._example(model, dataset, evaluate(model, dataset), 0)
    figure = maps.propagation_figure(example, TaskPictures(), dict.fromkeys(example.intensity, GRID))
    drawn = shown(figure)[0]
    assert figure.axes[0].get_title() == ("input: phase" if by_phase else "input")
    values = images[0].numpy() / 255
    np.testing.assert_allclose(drawn, values * math.pi if by_phase else values**2, atol=1e-5)


def test_shares_have_two_digits_that_count():
    assert [charts.share(value) for value in (1, 0.456, 0.1, 0.0123, 0.00085, 0)] == [
        "100%",
        "46%",
        "10%",
        "1.2%",
        "0.085%",
        "0%",
    ]


def test_titles_keep_clear_of_the_edge_and_planes_of_one_size_are_drawn_so():
    grids = {name: Grid(16, 36e-6) for name in ("source", *(f"layer {n}" for n in range(1, 6)), "detector")}
    light = {name: np.random.default_rng(0).random((16, 16)) for name in grids}
    example = Example(0, np.zeros((8, 8)), 1, np.arange(10.0), 3, light)
    levels = [np.zeros((16, 16), int)] * 5
    with style.house_style():
        for figure in (
            maps.propagation_figure(example, TaskPictures(), grids),
            maps.level_figure(levels, [device(8)] * 5, list(grids.values())[1:-1]),
        ):
            style.png(figure)
            planes = [axes for axes in figure.axes if axes.images]
            top = figure.bbox.height - max(axes.title.get_window_extent().y1 for axes in planes)
            assert top > figure.dpi / 20  # a twentieth of an inch
            widths = [axes.get_window_extent().width for axes in planes]
            assert max(widths) == pytest.approx(min(widths), rel=0.01)
