"""Whatever Python users give for an argument: it works, or an error of ours says in a sentence what was expected."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

import voltphase as vp
from voltphase import codesign, devices, optics
from voltphase.core.errors import ConfigError, VoltphaseError
from voltphase.data import ImageDataset
from voltphase.devices.calibration import intensities as calibration
from voltphase.optics import backends
from voltphase.tasks import Classification
from voltphase.training.batches import ImageBatches

SIZE, WAVELENGTH = 12, 532e-9
GRID = vp.Grid(SIZE, 36e-6)
SLM = devices.tn_slm(4)
PANEL = devices.DevicePanel.uniform(SLM, (SIZE, SIZE), border=1)
REGIONS = vp.Regions(((0, 0, 3, 3), (6, 6, 3, 3)), (SIZE, SIZE))
READOUT = vp.RegionReadout(REGIONS, "mean", 2.0)
TASK = Classification(REGIONS.boxes, False, "mean", 2.0)
FIELD = torch.ones(1, SIZE, SIZE, dtype=torch.complex64)
IMAGES = torch.ones(2, 28, 28, dtype=torch.uint8)
NETWORK = {
    "grid": GRID,
    "wavelength": WAVELENGTH,
    "distances": 0.05,
    "devices": [SLM],
    "task": TASK,
    "image_shape": (28, 28),
    "method": "fresnel",
    "relaxation": None,
    "gain": 1.0,
    "amplitude_grad_scale": 1.0,
    "seed": 0,
    "dtype": torch.complex64,
    "engine": "auto",
    "tf32": False,
}
MODEL = vp.DONN(**NETWORK)
PROPAGATOR = vp.Propagator(GRID, wavelength=WAVELENGTH, distance=0.05)
DATASET = ImageDataset(IMAGES, torch.tensor([0, 1]), "two", ("a", "b"))
TABLE = codesign.StateTable.of(SLM)
COLUMNS = {"control": [0.0, 1.0, 2.0], "amplitude": [1.0, 0.5, 0.2], "phase": [0.0, 1.0, 2.0], "name": "a"}


def relaxed(relaxation: codesign.Relaxation, temperature: Any) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return relaxation.modulation(relaxation.initial(TABLE, (3, 3), generator), TABLE, temperature, generator)


CALLS: dict[str, tuple[Callable[..., Any], Mapping[str, Any]]] = {
    "Grid": (vp.Grid, {"shape": 4, "pitch": 36e-6, "offset": (0.0, 0.0)}),
    "DONN": (vp.DONN, NETWORK),
    "DONN()": (MODEL, {"images": IMAGES}),
    "DONN.measure": (MODEL.measure, {"images": IMAGES, "modulations": None}),
    "DONN.planes": (MODEL.planes, {"images": IMAGES}),
    "DONN.set_temperature": (MODEL.set_temperature, {"temperature": 1.0}),
    "Propagator": (
        vp.Propagator,
        {
            "source": GRID,
            "target": None,
            "wavelength": WAVELENGTH,
            "distance": 0.05,
            "method": "auto",
            "engine": "auto",
            "dtype": torch.complex64,
            "check": True,
        },
    ),
    "Propagator()": (PROPAGATOR, {"field": FIELD}),
    "Propagator.adjoint": (PROPAGATOR.adjoint, {"field": FIELD}),
    "ImageSource": (
        vp.ImageSource,
        {"grid": GRID, "image_shape": (4, 4), "light": optics.SourceLight("both", 1.0), "dtype": torch.complex64},
    ),
    "ImageSource()": (vp.ImageSource(GRID, (28, 28)), {"images": IMAGES}),
    "plane_wave": (optics.plane_wave, {"grid": GRID, "wavelength": WAVELENGTH, "tilt": (0.0, 0.0)}),
    "gaussian_beam": (
        optics.gaussian_beam,
        {"grid": GRID, "wavelength": WAVELENGTH, "waist": 1e-4, "distance": 0.0, "centre": (0.0, 0.0)},
    ),
    "point_source": (
        optics.point_source,
        {"grid": GRID, "wavelength": WAVELENGTH, "distance": 0.5, "position": (0.0, 0.0)},
    ),
    "thin_lens": (
        optics.thin_lens,
        {"grid": GRID, "wavelength": WAVELENGTH, "focal_length": 0.3, "diameter": 2e-4, "centre": (0.0, 0.0)},
    ),
    "circular_aperture": (optics.circular_aperture, {"grid": GRID, "diameter": 2e-4, "centre": (0.0, 0.0)}),
    "rectangular_aperture": (
        optics.rectangular_aperture,
        {"grid": GRID, "size": (2e-4, 1e-4), "centre": (0.0, 0.0)},
    ),
    "Aperture": (optics.Aperture, {"grid": GRID, "diameter": 2e-4, "size": None, "dtype": torch.complex64}),
    "Element": (optics.Element, {"transmission": torch.ones(SIZE, SIZE), "grid": GRID, "dtype": torch.complex64}),
    "Element()": (optics.Element(torch.ones(SIZE, SIZE)), {"field": FIELD}),
    "image_interpolation": (optics.image_interpolation, {"size_in": 3, "size_out": 5}),
    "FresnelPixels": (optics.FresnelPixels, {"fill_factor": 0.9}),
    "FocalPlane": (optics.FocalPlane, {"front": 0.1}),
    "Options": (backends.Options, {"dtype": torch.complex64, "engine": "auto", "tf32": False}),
    "Regions": (vp.Regions, {"boxes": ((0, 0, 2, 2), (2, 2, 1, 1)), "shape": (4, 4), "paired": False}),
    "Regions.paper": (vp.Regions.paper, {"size": 20}),
    "Regions.paper_pairs": (vp.Regions.paper_pairs, {"size": 20}),
    "RegionReadout": (
        vp.RegionReadout,
        {"regions": REGIONS, "measure": "mean", "scale": 2.0, "mean_logit": 3.0},
    ),
    "Classification": (
        Classification,
        {"regions": REGIONS.boxes, "differential": False, "measure": "mean", "scale": 2.0, "loss": "mse"},
    ),
    "RegionReadout()": (READOUT, {"field": FIELD}),
    "CodesignLayer": (
        vp.CodesignLayer,
        {
            "shape": (4, 4),
            "device_states": SLM,
            "relaxation": None,
            "gain": 1.0,
            "amplitude_grad_scale": 1.0,
            "seed": 0,
            "dtype": torch.complex64,
        },
    ),
    "CodesignLayer()": (MODEL.layers[0], {"field": FIELD}),
    "CodesignLayer.set_levels": (MODEL.layers[0].set_levels, {"levels": torch.zeros(SIZE, SIZE, dtype=torch.int64)}),
    "GumbelSoftmax": (codesign.GumbelSoftmax, {"hard": True, "mix": "polar"}),
    "Softmax": (codesign.Softmax, {"hard": True, "mix": "polar"}),
    "ReinMax": (codesign.ReinMax, {"mix": "polar"}),
    "Proximity": (codesign.Proximity, {"hard": True, "spread": False}),
    "PostTraining": (codesign.PostTraining, {"nearest": "complex", "order": 2}),
    "QuantizationAware": (codesign.QuantizationAware, {"nearest": "complex", "order": 2}),
    "StaticSchedule": (codesign.StaticSchedule, {"start": 2.0}),
    "LinearSchedule": (codesign.LinearSchedule, {"start": 2.0, "end": 1.0}),
    "ExponentialSchedule": (codesign.ExponentialSchedule, {"start": 2.0, "end": 1.0}),
    "CosineSchedule": (codesign.CosineSchedule, {"start": 2.0, "end": 1.0}),
    "PiecewiseSchedule": (codesign.PiecewiseSchedule, {"temperatures": [2, 1], "shares": [1, 1]}),
    "schedule()": (codesign.LinearSchedule(2, 1), {"progress": 0.5}),
    "DeviceStates": (vp.DeviceStates, {**COLUMNS, "spread": None}),
    "DeviceStates.pick": (SLM.pick, {"k": 2, "by": "even"}),
    "DevicePanel": (
        devices.DevicePanel,
        {"tables": (SLM,), "regions": np.zeros((3, 3), int), "inactive_value": 0j, "name": ""},
    ),
    "DevicePanel.uniform": (
        devices.DevicePanel.uniform,
        {"states": SLM, "shape": (5, 5), "border": 1, "inactive_value": 0j},
    ),
    "DevicePanel.states_at": (PANEL.states_at, {"levels": np.zeros((SIZE, SIZE), int)}),
    "DevicePanel.pick": (PANEL.pick, {"k": 2, "by": "even"}),
    "fit_response": (devices.fit_response, {"states": SLM, "order": 2}),
    "from_readings": (
        calibration.from_readings,
        {
            "control": [0, 1, 2],
            "intensity": [1.0, 2.0, 3.0],
            "phase": [0.0, 1.0, 2.0],
            "reference": 4.0,
            "dark": 0.1,
            "name": "a",
        },
    ),
    "normalise": (calibration.normalise, {"states": SLM, "level": None, "amplitude": 1.0, "phase": 0.0}),
    "unwrap": (calibration.unwrap, {"states": SLM, "dark": 0.0}),
    "smooth": (calibration.smooth, {"states": SLM, "window": 3, "order": 1}),
    "tn_slm": (
        devices.tn_slm,
        {"grey_levels": 4, "twist": 1.0, "thickness": 4e-6, "wavelength": 5e-7, "voltage": (1, 3)},
    ),
    "lcos": (devices.lcos, {"grey_levels": 4, "stroke": 3.0, "gamma": 1.0, "amplitude": 1.0}),
    "ferroelectric": (devices.ferroelectric, {"switching_angle": 0.7, "retardance": 3.0, "voltage": 5.0}),
    "dmd": (devices.dmd, {"contrast": 100.0, "reflectance": 0.9}),
    "ti_plm": (devices.ti_plm, {"design_wavelength": 6e-7, "reflectance": 0.9, "wavelength": 5e-7}),
    "phase_change": (devices.phase_change, {"levels": 4, "amorphous": 3.3, "thickness": 1e-6, "before": 1.0}),
    "printed": (devices.printed, {"levels": 4, "index": 1.5, "surroundings": 1.0, "height": 1e-6}),
    "find": (devices.find, {"name_or_path": "lcos"}),
    "model": (devices.model, {"name": "printed", "levels": 4, "wavelength": 633e-9}),
    "ImageDataset": (
        ImageDataset,
        {"images": IMAGES, "targets": torch.tensor([0, 1]), "name": "two", "classes": ("a", "b")},
    ),
    "ImageDataset.take": (DATASET.take, {"count": 1}),
    "ImageBatches": (ImageBatches, {"dataset": DATASET, "batch_size": 1, "seed": 0}),
    **{
        f"{relaxation} temperature": (lambda temperature, r=relaxation: relaxed(r, temperature), {"temperature": 1.0})
        for relaxation in (
            *(codesign.RELAXATIONS[name]() for name in codesign.RELAXATIONS),
            *(codesign.GumbelSoftmax(hard=False), codesign.Softmax(hard=True)),
        )
    },
}
ARGUMENTS = [(name, argument) for name, (_, arguments) in CALLS.items() for argument in arguments]

WRONG: dict[str, Any] = {
    "None": None,
    "True": True,
    "text": "abc",
    "empty text": "",
    "bytes": b"\x00",
    "zero": 0,
    "minus one": -1,
    "minus a half": -0.5,
    "nan": math.nan,
    "inf": math.inf,
    "1e300": 1e300,
    "1e-300": 1e-300,
    "ten to the 400": 10**400,
    "complex": 1 + 2j,
    "list": [],
    "list of one": [0.5],
    "list of words": ["a", "b"],
    "list of None": [None, None],
    "pair": (1, 2),
    "pair of nan": (math.nan, math.inf),
    "ragged": [[1, 2], [3]],
    "dict": {},
    "object": object(),
    "class": int,
    "tensor": torch.tensor(1.0),
    "vector": torch.ones(2),
    "image": torch.ones(28, 28),
    "array": np.ones((2, 2)),
    "array of objects": np.array([None, "a"], dtype=object),
    "device": SLM,
    "grid": GRID,
    "generator": (i for i in range(2)),
    "sparse": torch.eye(3).to_sparse(),
    "meta": torch.ones(2, 28, 28, device="meta"),
}


def call(name: str, argument: str, value: Any) -> None:
    function, arguments = CALLS[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            function(**{**arguments, argument: value})
        except VoltphaseError as error:
            said = str(error)
        else:
            return
    assert said.startswith("expected ") or " is " in said
    assert "\n" not in said
    assert len(said) < 600


@pytest.mark.parametrize(("name", "argument"), ARGUMENTS)
def test_wrong_arguments_are_errors_of_ours(name: str, argument: str) -> None:
    for value in WRONG.values():
        call(name, argument, value)


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 64) | st.floats() | st.complex_numbers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4) | st.tuples(inner, inner) | st.dictionaries(st.text(max_size=2), inner, max_size=2)
    ),
    max_leaves=6,
)


@settings(max_examples=300, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(ARGUMENTS), ANYTHING)
def test_random_arguments_are_errors_of_ours(where: tuple[str, str], value: Any) -> None:
    call(*where, value)


@pytest.mark.parametrize("name", [name for name in CALLS if name.endswith(("temperature", "Schedule"))])
@pytest.mark.parametrize(
    "wrong", [0, 0.0, -1, math.nan, math.inf, -math.inf, True, "1", None, torch.tensor([1.0]), [1.0], 1e-30, 1e30, 1j]
)
def test_no_relaxation_and_no_schedule_takes_a_temperature_that_is_none(name: str, wrong: Any) -> None:
    function, arguments = CALLS[name]
    for argument in set(arguments) - {"shares", "temperatures"}:
        with pytest.raises(ConfigError):
            function(**{**arguments, argument: wrong})
    if "temperatures" in arguments:
        with pytest.raises(ConfigError):
            function([wrong, 1.0], [1, 1])


def test_one_device_alone_is_answered_with_how_to_write_a_list() -> None:
    for alone in (SLM, PANEL):
        with pytest.raises(ConfigError, match=r"\[device\] \* 5"):
            vp.DONN(**{**NETWORK, "devices": alone})
    vp.DONN(**{**NETWORK, "devices": (SLM,)})


@pytest.mark.parametrize(
    "same",
    [
        np.asarray(IMAGES),
        np.asarray(IMAGES)[::-1],
        [np.asarray(image) for image in IMAGES],
        [Image.fromarray(np.asarray(image)) for image in IMAGES],
        np.asarray(IMAGES, dtype=">f4") / 255,
        np.asarray(IMAGES, dtype=np.float16) / 255,
        IMAGES.double() / 255,
        (IMAGES / 255).tolist(),
    ],
    ids=["bytes", "backwards", "list of arrays", "list of pictures", "big endian", "half", "double", "nested lists"],
)
def test_images_are_taken_as_people_have_them(same: Any) -> None:
    network = MODEL.eval()
    torch.testing.assert_close(network(same), network(IMAGES), rtol=2e-3, atol=0)
    torch.testing.assert_close(
        vp.ImageSource(GRID, (28, 28))(same), vp.ImageSource(GRID, (28, 28))(IMAGES), rtol=2e-3, atol=0
    )


@pytest.mark.parametrize(
    ("images", "cure"),
    [
        (IMAGES[0], r"images\[None\]"),
        (IMAGES[:, None], r"images\[:, 0\]"),
        (IMAGES[..., None].expand(-1, -1, -1, 3), "grey images"),
        (IMAGES.long(), r"to\(torch\.uint8\)"),
        (IMAGES.to(torch.complex64), "abs"),
        (IMAGES.to("meta"), "device meta"),
    ],
    ids=["one", "a channel", "colours", "whole numbers", "complex", "meta"],
)
def test_images_of_other_kinds_are_refused_with_the_cure(images: torch.Tensor, cure: str) -> None:
    with pytest.raises(VoltphaseError, match=cure):
        MODEL(images)


def test_intensities_where_a_field_is_wanted_are_answered_with_how_to_make_one() -> None:
    intensities = torch.rand(2, SIZE, SIZE)
    for takes in (PROPAGATOR, PROPAGATOR.adjoint, READOUT):
        with pytest.raises(ConfigError, match=r"sqrt\(\)"):
            takes(intensities)
    made = READOUT(intensities.sqrt().to(torch.complex64))
    torch.testing.assert_close(made[:, 0], 2 * intensities[:, :3, :3].mean((1, 2)))


def test_a_method_as_an_object_is_kept() -> None:
    method = optics.FresnelPixels(0.87)
    network = vp.DONN(**{**NETWORK, "method": method})
    assert network.method == method
    assert {propagator.method for propagator in network.propagators} == {method}
    with pytest.raises(ConfigError, match="propagation method"):
        vp.DONN(**{**NETWORK, "method": optics.FresnelPixels})


def test_a_schedule_can_be_called() -> None:
    schedule = codesign.LinearSchedule(50, 1)
    assert schedule(0.25) == schedule.temperature(0.25)


def test_a_data_set_is_written_on_one_line() -> None:
    data = ImageDataset(np.asarray(IMAGES), np.array([0, 1]), "two\nlines", ("a", "b"))  # pyright: ignore[reportArgumentType]
    assert repr(data) == "ImageDataset('two lines', 2 images of 28 x 28, 2 classes)"
    assert isinstance(data.images, torch.Tensor)


def test_unknown_and_missing_arguments_are_pythons_own() -> None:
    with pytest.raises(TypeError):
        vp.DONN(**{**NETWORK, "colour": "red"})
    with pytest.raises(TypeError):
        vp.Grid()  # pyright: ignore[reportCallIssue]
