from __future__ import annotations

import copy
import io
from typing import Any

import numpy as np
import pytest
import torch

import voltphase as vp
from voltphase.core.errors import ConfigError, GeometryError
from voltphase.optics import Aperture, Element, ThinLens
from voltphase.optics.backends import Options
from voltphase.optics.backends.select import select
from voltphase.optics.elements import LensWarning
from voltphase.optics.explain import RunExplanation
from voltphase.optics.paths import paths_between, stack_of
from voltphase.optics.stack import walk
from voltphase.tasks import Classification

SIZE = 20


def device(k: int, seed: int = 0) -> vp.DeviceStates:
    random = np.random.default_rng(seed)
    return vp.DeviceStates(np.arange(k, dtype=float), random.uniform(0.3, 1, k), random.uniform(0, 6, k), f"random {k}")


def network(depth: int = 2, **changes) -> vp.DONN:
    options = {
        "grid": vp.Grid(SIZE, 36e-6),
        "wavelength": 532e-9,
        "distances": 0.03,
        "devices": [device(8)] * depth,
        "task": Classification(differential=False),
        "image_shape": (8, 8),
        "relaxation": vp.GumbelSoftmax(),
    }
    return vp.DONN(**(options | changes))


@pytest.fixture
def images() -> torch.Tensor:
    return torch.randint(0, 256, (5, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def test_a_network_is_its_parts_in_the_order_light_meets_them(images: torch.Tensor) -> None:
    model = network(depth=3, dtype=torch.complex128, distances=[0.01, 0.02, 0.03, 0.04]).eval()
    field = torch.nn.functional.interpolate(
        images[:, None].double() / 255, size=(SIZE, SIZE), mode="bilinear", align_corners=False
    )[:, 0].to(torch.complex128)
    for distance, layer in zip([0.01, 0.02, 0.03], model.layers, strict=True):
        propagate = vp.Propagator(
            model.grids[0], wavelength=532e-9, distance=distance, method="fresnel", dtype=torch.complex128
        )
        field = propagate(field) * layer.states_at(layer.design.argmax(0))
    last = vp.Propagator(model.grids[0], wavelength=532e-9, distance=0.04, method="fresnel", dtype=torch.complex128)
    torch.testing.assert_close(model(images), model.readout(last(field)), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("measure", ["sum", "mean", "amplitude", "fraction"])
def test_the_fast_path_sees_what_the_planes_show(images: torch.Tensor, measure) -> None:
    model = network(task=Classification(differential=False, measure=measure, scale=2.0), dtype=torch.complex128).eval()
    torch.testing.assert_close(model(images), model.readout(model.planes(images)["detector"]), rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("measure", ["sum", "fraction"])
@pytest.mark.parametrize(
    ("method", "engine", "backend", "applied"),
    [
        ("fresnel", "matrix", "cpu", "matrix"),
        ("fresnel", "fft", "cpu", "fft"),
        ("fresnel", "matrix", "reference", "matrix"),
        ("fresnel", "fft", "reference", "fft"),
        ("angular-spectrum", "fft", "cpu", "fft"),
        ("angular-spectrum", "fft", "reference", "fft"),
        ("fresnel-wrapped", "auto", "cpu", "fft"),
        ("angular-spectrum", "matrix", "auto", "matrix"),
    ],
)
def test_every_method_engine_and_back_end_gives_what_one_step_after_the_other_gives(
    images: torch.Tensor, method: str, engine, backend: str, applied: str, measure
) -> None:
    task = Classification(differential=False, measure=measure, scale=2.0)
    model = network(method=method, engine=engine, backend=backend, task=task, dtype=torch.complex128)
    assert model.explain().engines[1] == applied

    def by_steps(images: torch.Tensor) -> torch.Tensor:
        *_, field = walk(model.propagators, model.source(images), [layer.modulation() for layer in model.layers])
        return model.readout(field)

    results = []
    for run in (model, by_steps):
        model.layers[0].draws, model.layers[1].draws = 0, 0
        logits = run(images)
        gradients = torch.autograd.grad(logits.square().sum(), [layer.design for layer in model.layers])
        results.append((logits, *gradients))
    torch.testing.assert_close(results[0], results[1], rtol=1e-9, atol=1e-13)


def test_what_runs_is_what_is_explained() -> None:
    model = network()
    explained = model.explain()
    assert explained.backend == "cpu"
    assert explained.summary == "cpu back end; matrix in all gaps; single precision"
    for part in ("back end   cpu: ", "gap 3      fresnel over 30 mm: matrix", "ms by reference"):
        assert part in str(explained)
    waves = network(method="angular-spectrum", engine="matrix", tf32=True).explain()
    assert waves.backend == "reference"
    assert "cpu cannot, because it has no map for the kernel of gap 1" in waves.reason
    assert "TF32 in the matrix products" in waves.summary
    with pytest.raises(ConfigError, match="'cpu' cannot, because it has no map"):
        network(method="angular-spectrum", engine="matrix", backend="cpu")
    with pytest.raises(ConfigError, match="a back end out of auto, cpu, cuda, reference, but got 'gpu'"):
        network(backend="gpu")


@pytest.mark.parametrize("size", [320, 400, 512])
def test_large_networks_say_that_transforms_run(size: int) -> None:
    plane = vp.Grid(size, 36e-6)
    gaps = paths_between([plane] * 4, [0.3] * 3, wavelength=532e-9, method="fresnel")
    options = Options(torch.complex64)
    stack = stack_of(gaps)
    selected = select(stack, options)
    assert selected.name == "cpu"
    executor = selected.backend.compile(stack, options)
    explained = RunExplanation.of(selected.name, selected.reason, [executor], gaps)
    assert "fft in all gaps" in explained.summary
    assert sorted(
        {type(each).__name__ for each in executor.modules()} & {"SeparableConvolution", "EvenOddMatrixMap"}
    ) == ["SeparableConvolution"]


@pytest.mark.parametrize("backend", ["cpu", "reference"])
def test_a_lens_and_an_aperture_stand_inside_a_network(images: torch.Tensor, backend: str) -> None:
    plane = vp.Grid(22, 36e-6)
    lens = ThinLens(plane, wavelength=532e-9, focal_length=0.3, dtype=torch.complex128)
    hole = Aperture(plane, diameter=6e-4, dtype=torch.complex128)
    distances = [0.03, (0.01, lens, 0.01, hole, 0.02), 0.03]
    model = network(distances=distances, backend=backend, dtype=torch.complex128).eval()
    assert model.distances == pytest.approx([0.03, 0.04, 0.03])
    options = {"wavelength": 532e-9, "method": "fresnel", "dtype": torch.complex128}
    grid, first, second = model.grids[0], model.layers[0], model.layers[1]
    field = vp.Propagator(grid, distance=0.03, **options)(model.source(images)) * first.modulation()
    field = lens(vp.Propagator(grid, plane, distance=0.01, **options)(field))
    field = hole(vp.Propagator(plane, distance=0.01, **options)(field))
    field = vp.Propagator(plane, grid, distance=0.02, **options)(field) * second.modulation()
    field = vp.Propagator(grid, distance=0.03, **options)(field)
    torch.testing.assert_close(model(images), model.readout(field), rtol=1e-9, atol=1e-13)
    torch.testing.assert_close(model.planes(images)["detector"], field)
    assert "gap 2      fresnel over 10 mm + lens + fresnel over 10 mm + aperture" in str(model.explain())
    with pytest.raises(GeometryError, match="expected an element between two distances"):
        network(distances=[0.03, (0.01, 0.02, lens), 0.03])
    with pytest.raises(GeometryError, match="where it stands"):
        network(distances=[0.03, (0.01, Element(torch.ones(20, 20)), 0.01), 0.03])


def test_an_element_is_as_exact_as_the_network_that_it_stands_in(images: torch.Tensor) -> None:
    plane = vp.Grid(22, 36e-6)
    answers = [
        network(
            distances=[0.03, (0.01, ThinLens(plane, wavelength=532e-9, focal_length=0.3, dtype=dtype), 0.03), 0.03],
            dtype=torch.complex128,
        ).eval()(images)
        for dtype in (torch.complex64, torch.complex128)
    ]
    assert torch.equal(*answers)


def test_an_engine_that_cannot_apply_the_method_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"expected an engine out of auto, fft for method 'fresnel-wrapped'"):
        network(method="fresnel-wrapped", engine="matrix")


def test_planes_of_different_sizes_are_met_one_after_another(images: torch.Tensor) -> None:
    grids = [vp.Grid(16, 40e-6), vp.Grid((24, 20), 36e-6), vp.Grid(18, 30e-6, (1e-4, 0.0)), vp.Grid(22, 36e-6)]
    distances, options = [0.01, 0.02, 0.03], {"wavelength": 532e-9, "method": "fresnel", "dtype": torch.complex128}
    task = Classification(differential=False, measure="sum", scale=2.0)
    model = network(grid=grids, distances=distances, task=task, dtype=torch.complex128).eval()
    assert [tuple(levels.shape) for levels in model.levels()] == [(24, 20), (18, 18)]
    field = torch.nn.functional.interpolate(
        images[:, None].double() / 255, size=(16, 16), mode="bilinear", align_corners=False
    )[:, 0].to(torch.complex128)
    for gap, distance in enumerate(distances):
        field = vp.Propagator(grids[gap], grids[gap + 1], distance=distance, **options)(field)
        if gap < 2:
            field = field * model.layers[gap].states_at(model.levels()[gap])
    torch.testing.assert_close(model(images), model.readout(field), rtol=1e-10, atol=1e-14)
    torch.testing.assert_close(model.planes(images)["detector"], field)
    model.train()(images).sum().backward()
    assert all(layer.design.grad is not None and layer.design.grad.any() for layer in model.layers)


def test_light_does_not_pass_a_dark_border(images: torch.Tensor) -> None:
    panel = vp.devices.DevicePanel.uniform(device(8), (SIZE, SIZE), border=(2, 1, 3, 0))
    model = network(devices=[panel, device(8)])
    for mode in (True, False):
        passed = model.train(mode).planes(images)["layer 1 out"].abs().amax(0) > 0
        assert torch.equal(passed, torch.tensor(~panel.inactive))


def test_planes_are_named_in_order(images: torch.Tensor) -> None:
    assert list(network().eval().planes(images)) == [
        *("source", "layer 1 in", "layer 1 out", "layer 2 in", "layer 2 out", "detector")
    ]


def test_a_batch_equals_its_images_one_by_one(images: torch.Tensor) -> None:
    model = network().eval()
    one_by_one = torch.cat([model(image[None]) for image in images])
    torch.testing.assert_close(model(images), one_by_one)


def test_single_and_double_precision_agree_and_neither_is_promoted(images: torch.Tensor) -> None:
    single, double = network().eval(), network(dtype=torch.complex128).eval()
    for ours, theirs in zip(double.layers, single.layers, strict=True):
        ours.design.data.copy_(theirs.design)
    assert single(images).dtype == torch.float32
    assert double(images).dtype == torch.float64
    torch.testing.assert_close(single(images).double(), double(images), rtol=1e-4, atol=1e-6)


@pytest.mark.filterwarnings("ignore:Casting complex values to real")
@pytest.mark.parametrize(
    ("part", "cast", "owner"),
    [
        ("", torch.float64, "ImageSource"),
        ("", torch.float16, "ImageSource"),
        ("", torch.float32, "CodesignLayer"),
        ("source", torch.float64, "ImageSource"),
        ("layers.1", torch.float32, "CodesignLayer"),
        ("executor", torch.float32, "CpuExecutor"),
    ],
)
def test_a_cast_is_refused_and_changes_nothing(images: torch.Tensor, part: str, cast: torch.dtype, owner: str) -> None:
    model = network().eval()
    before = model(images)
    with pytest.raises(
        ConfigError, match=rf"expected {owner} to keep the dtype it was made with, .* to {cast}: make it"
    ):
        model.get_submodule(part).to(cast)
    assert torch.equal(model(images), before)


def test_a_network_moves_and_is_copied_and_stored_whole(images: torch.Tensor) -> None:
    model = network().eval()
    torch.save(model, file := io.BytesIO())
    file.seek(0)
    for other in (copy.deepcopy(model), torch.load(file, weights_only=False), copy.deepcopy(model).float().cpu()):
        assert torch.equal(other(images), model(images))
    assert all(tensor.is_meta for tensor in (*other.to("meta").parameters(), *other.buffers()))


def test_evaluation_does_not_draw(images: torch.Tensor) -> None:
    model = network()
    assert not torch.equal(model(images), model(images))
    model.eval()
    assert torch.equal(model(images), model(images))


def test_gain_cannot_change_a_prediction_nor_a_fraction(images: torch.Tensor) -> None:
    plain, loud = network().eval(), network(gain=[1.5, 4.0]).eval()
    torch.testing.assert_close(plain(images), loud(images))
    power = network(gain=[1.5, 4.0], task=Classification(differential=False, measure="sum", scale=1.0)).eval()
    without = network(task=Classification(differential=False, measure="sum", scale=1.0)).eval()
    torch.testing.assert_close(power(images), 36 * without(images))


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (
            {"distances": [0.02, -0.02]},
            r"expected distances of at least 0 .* but distance 2 is -0\.02 m",
        ),
        ({"seed": 2**70}, r"expected a seed .*2147483647.*, but got 1180591620717411303424"),
    ],
)
def test_a_bench_has_no_way_back_and_a_seed_is_one_of_a_configuration(wrong: dict[str, Any], sentence: str):
    usual: dict[str, Any] = {"distances": 0.02, "devices": [vp.devices.tn_slm()]}
    with pytest.raises(ConfigError, match=sentence):
        vp.DONN(grid=vp.Grid(16, 36e-6), wavelength=532e-9, **(usual | wrong))


def test_different_devices_on_different_layers(images: torch.Tensor) -> None:
    model = network(devices=[device(2, 1), device(8, 2), device(30, 3)]).eval()
    assert [int(levels.max()) < k for levels, k in zip(model.levels(), (2, 8, 30), strict=True)] == [True] * 3
    assert model(images).shape == (5, 10)


def test_a_state_dict_is_the_whole_trained_model(images: torch.Tensor) -> None:
    one, two = network(seed=1), network(seed=2)
    one(images)
    two.load_state_dict(one.state_dict())
    assert torch.equal(one.eval()(images), two.eval()(images))
    assert all(isinstance(value, torch.Tensor) for value in one.state_dict().values())


def test_training_lowers_the_loss(images: torch.Tensor) -> None:
    model, labels = network(), torch.arange(5)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.5)
    losses = []
    for _ in range(40):
        loss = torch.nn.functional.cross_entropy(model(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert sum(losses[-5:]) < 0.5 * sum(losses[:5])


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"devices": []}, ConfigError, "expected at least one device, but got none"),
        (
            {"distances": [0.1, 0.1]},
            ConfigError,
            "expected 3 distances (one for each gap, source to detector)",
        ),
        (
            {"grid": [vp.Grid(SIZE, 36e-6)] * 3},
            ConfigError,
            "expected 4 grids (source, 2 layers, detector) or a single one, but got 3",
        ),
        (
            {"grid": [vp.Grid(SIZE, 36e-6), vp.Grid(30, 24e-6), vp.Grid(SIZE, 36e-6), vp.Grid(SIZE, 36e-6)]},
            GeometryError,
            "the sampling of plane 3 of 4 is wrong here: expected a pitch of 24 µm or less in y",
        ),
        (
            {"devices": [device(4), vp.devices.DevicePanel.uniform(device(8), (16, SIZE), border=1)]},
            ConfigError,
            "expected a panel of 20 x 20 pixels as its plane has, but random 8 has 16 x 20: change the size",
        ),
        ({"gain": [1.0, 2.0, 3.0]}, ConfigError, "expected 2 gains (one for each layer) or a single number"),
        (
            {"task": Classification([(0, 0, 20, 20), (180, 180, 20, 20)])},
            GeometryError,
            "expected detector region 1 inside the 20 x 20 detector",
        ),
    ],
)
def test_parts_that_do_not_fit_are_refused(changes: dict, error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        network(**changes)
    assert str(caught.value).startswith(message)


def test_a_lens_for_another_wavelength_is_told_of(recwarn: pytest.WarningsRecorder) -> None:
    red, near, green = (ThinLens(vp.Grid(20, 36e-6), wavelength=w, focal_length=0.1) for w in (633e-9, 533e-9, 532e-9))
    for lens in (near, green):
        network(distances=[0.03, (0.01, lens, 0.01), 0.03])
    assert not [one for one in recwarn if issubclass(one.category, LensWarning)]
    with pytest.warns(LensWarning, match=r"of a wavelength of 633 nm, .* 532 nm.* focuses at 0\.119 m, not at 0\.1 m"):
        network(distances=[0.03, (0.01, red, 0.01), 0.03])


def test_what_stands_between_planes_is_told_of():
    lens = vp.optics.Lens(0.1, diameter=3e-4, centre=(1e-5, 0.0))
    optics: Any = {"grid": vp.Grid(16, 36e-6), "wavelength": 532e-9, "devices": [vp.devices.tn_slm(4)]}
    model = vp.DONN(**optics, distances=[(0.01, lens, 0.02), 0.02])
    told = "source to layer 1: 10 mm, lens (focal length 0.1 m, diameter 300 µm, centre 10 µm and 0 m), 20 mm"
    assert f"between planes  {told}" in repr(model)
