"""Several detectors behind the last layer: each has its share of what one alone would have at its distance."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import voltphase as vp
from voltphase.core.errors import ConfigError, GeometryError
from voltphase.optics import Coherence, Lens
from voltphase.tasks import Classification, Image, RegionReadout, Regions, require_regions

IMAGES = torch.rand(3, 28, 28, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
DEVICE = vp.devices.tn_slm().pick(8)
WAYS = (0.02, 0.035)
TASK = Classification("grid", classes=4, measure="sum", scale=1.0)


def network(detectors: vp.Detectors | None = None, last: object = 0.02, **changes: object) -> vp.DONN:
    options: dict[str, object] = {
        "grid": vp.Grid(32, 36e-6),
        "wavelength": 532e-9,
        "distances": [0.02, 0.03] if detectors else [0.02, 0.03, last],
        "devices": [DEVICE] * 2,
        "dtype": torch.complex128,
        "task": TASK,
        "detectors": detectors,
    }
    return vp.DONN(**(options | changes)).eval()  # pyright: ignore[reportArgumentType]


def light(model: vp.DONN) -> torch.Tensor:
    """Return the intensity on the whole detector."""
    return model.detector_field(IMAGES).abs().square()


def sums(model: vp.DONN) -> torch.Tensor:
    """Return the light in each region, ``images x regions``, pairs one after the other."""
    regions = require_regions(model.readout).regions
    readout = RegionReadout(Regions(regions.boxes, regions.shape), "sum", 1.0)
    return readout.read(readout.window(model.detector_field(IMAGES)))


@pytest.mark.parametrize("shares", [None, (0.3, 0.7)])
def test_each_has_its_share_of_what_one_alone_would_have(shares: tuple[float, float] | None) -> None:
    model = network(vp.Detectors(WAYS, "classes", shares))
    each = [share * light(network(last=way)) for share, way in zip(shares or (0.5, 0.5), WAYS, strict=True)]
    torch.testing.assert_close(light(model), torch.cat(each, -1))
    torch.testing.assert_close(light(network(vp.Detectors(WAYS, "sum", shares))), each[0] + each[1])


def test_planes_up_to_the_last_layer_are_those_of_one_detector() -> None:
    model, other = network(vp.Detectors(WAYS, "difference")), network(last=WAYS[1])
    for name, field in other.planes(IMAGES).items():
        torch.testing.assert_close(model.planes(IMAGES, 1)[name], field, msg=name)
    assert model.planes(IMAGES)["detector"].shape == (3, 32, 32)
    paths = [beam.paths for beam in model.beams.beams]
    assert all(path is other for path, other in zip(*(each[:-1] for each in paths), strict=True))


def test_light_goes_through_the_layers_once() -> None:
    model = network(vp.Detectors(WAYS, "classes"), devices=[DEVICE] * 4, networks=vp.Networks(2))
    assert len(model.beams.beams) == 4
    crossed: list[int] = []
    (executor,) = model.beams.executors
    executor.get_submodule("trunk").register_forward_hook(lambda *_: crossed.append(1))
    model(IMAGES)
    assert len(crossed) == 2  # of two networks
    assert model.footprint.walks == 2


def test_one_layer_is_enough() -> None:
    one = {"devices": [DEVICE], "distances": [0.02]}
    each = [light(network(devices=[DEVICE], distances=[0.02, way])) / 2 for way in WAYS]
    torch.testing.assert_close(light(network(vp.Detectors(WAYS, "classes"), **one)), torch.cat(each, -1))


def test_light_is_shared_and_none_is_made() -> None:
    clear = vp.devices.DeviceStates(np.arange(2.0), np.ones(2), np.array([0, 0.1]), "clear", "V")
    short = {"devices": [clear] * 2, "distances": 1e-4}
    model = network(vp.Detectors((1e-4, 2e-4, 1e-4), "classes", (0.2, 0.3, 0.5)), **short)
    sent = model.source(IMAGES).abs().square().sum()
    each = light(model).unflatten(-1, (3, 32)).sum((0, 1, 3)) / sent
    torch.testing.assert_close(each, torch.tensor([0.2, 0.3, 0.5], dtype=torch.float64), rtol=1e-3, atol=0)


@pytest.mark.parametrize("measure", ["sum", "fraction", "amplitude"])
@pytest.mark.parametrize("combine", ["sum", "classes", "difference"])
def test_light_summed_at_once_is_that_of_the_whole_detector(measure: str, combine: str) -> None:
    task = Classification("grid", classes=4, measure=measure, scale=1.0)  # pyright: ignore[reportArgumentType]
    model = network(vp.Detectors(WAYS, combine, (0.4, 0.6)), task=task)  # pyright: ignore[reportArgumentType]
    torch.testing.assert_close(model(IMAGES), model.readout(model.detector_field(IMAGES)))
    reading = model.read(IMAGES)
    expected = light(model).sum((-2, -1)) / model.source(IMAGES).abs().square().sum((-2, -1))
    assert bool((reading.light_share <= expected).all())


def test_one_speaks_for_and_one_against() -> None:
    model = network(vp.Detectors(WAYS, "difference", (0.25, 0.75)))
    speaks_for = 0.25 * sums(network(last=WAYS[0]))[:, 0::2]
    against = 0.75 * sums(network(last=WAYS[1]))[:, 1::2]
    torch.testing.assert_close(model(IMAGES), (speaks_for - against) / (speaks_for + against))


def test_detectors_share_the_classes() -> None:
    model = network(vp.Detectors(WAYS, "classes"))
    expected = torch.cat([network(last=WAYS[0])(IMAGES)[:, :2], network(last=WAYS[1])(IMAGES)[:, 2:]], 1)
    torch.testing.assert_close(model(IMAGES), expected)


def test_ways_may_have_elements() -> None:
    way = (0.01, Lens(0.1), 0.03)
    model = network(vp.Detectors((0.02, way), "classes"))
    torch.testing.assert_close(light(model)[..., 32:], light(network(last=way)) / 2)
    assert "lens" in str(model.explain())


def test_networks_share_each_of_the_detectors() -> None:
    about = {"devices": [DEVICE] * 4, "networks": vp.Networks(2)}
    model = network(vp.Detectors(WAYS, "classes", (0.3, 0.7)), **about)
    each = [share * light(network(last=way, **about)) for share, way in zip((0.3, 0.7), WAYS, strict=True)]
    torch.testing.assert_close(light(model), torch.cat(each, -1))


def test_each_wave_of_light_is_shared() -> None:
    about = {"coherence": Coherence(2, 60e-6), "skips": [vp.Skip(0, 2, 0.3)]}
    model = network(vp.Detectors(WAYS, "classes"), **about)
    torch.testing.assert_close(light(model)[..., 32:], light(network(last=WAYS[1], **about)) / 2)
    assert len(model.beams.beams) == 4


def test_pictures_of_all_are_added() -> None:
    task = Image(window=(8, 8, 16, 16))
    model = network(vp.Detectors(WAYS), task=task)
    torch.testing.assert_close(model(IMAGES), model.readout(model.detector_field(IMAGES)))


def test_gradients_are_those_of_finite_differences() -> None:
    model = network(vp.Detectors(WAYS, "difference", (0.4, 0.6)))
    modulations = [layer.modulation().detach().requires_grad_() for layer in model.layers]
    weights = torch.randn(3, 4, generator=torch.Generator().manual_seed(2), dtype=torch.float64)

    def loss(given: list[torch.Tensor]) -> torch.Tensor:
        return (weights * model.measure(IMAGES, given)).sum()

    gradients = torch.autograd.grad(loss(modulations), modulations)
    for number, (modulation, gradient) in enumerate(zip(modulations, gradients, strict=True)):
        step = torch.randn(modulation.shape, generator=torch.Generator().manual_seed(number), dtype=torch.complex128)
        # The error of a central difference falls with the square of its width, and is 1e-8 of it here.
        ends = [
            loss([one + side * (index == number) * step for index, one in enumerate(modulations)])
            for side in (1e-4, -1e-4)
        ]
        expected = float((ends[0] - ends[1]).detach()) / 2e-4
        assert float((gradient.conj() * step).real.sum()) == pytest.approx(expected, rel=1e-5)


def test_what_it_runs_on_names_the_way_to_each_detector() -> None:
    model = network(vp.Detectors(WAYS, "difference", (0.25, 0.75)))
    explained = str(model.explain())
    assert "2 beams through 1 set of kernels" in explained
    assert "gap 3      fresnel over 20 mm" in explained
    assert "gap 4      fresnel over 35 mm" in explained
    alone = network(vp.Detectors(WAYS), devices=[vp.devices.tn_slm().pick(4)], distances=0.02)
    assert "reference: what is before several detectors is one gap" in str(alone.explain())
    assert "0.25 of the light 20 mm on, 0.75 of the light 35 mm on; the first speaks for the classes" in repr(model)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"distances": [0.02, 0.03, 0.02]}, "expected 2 distances .* those behind it are in detectors.* but got 3"),
        (
            {"networks": vp.Networks(2, "classes")},
            "networks to combine by sum where there are several detectors, which combine by difference, but got class",
        ),
        (
            {"task": Classification("grid", classes=4, differential=False)},
            "pair of regions .* for detectors to combine",
        ),
        ({"task": Image(window=(8, 8, 16, 16))}, "reads regions .* for detectors to combine by difference"),
        ({"detectors": (0.02, 0.03)}, r"voltphase.Detectors\(distances\)"),
        (
            {"task": Image(measure="field"), "detectors": vp.Detectors(WAYS)},
            "the amplitude of several networks or detectors, but got one of the field",
        ),
        ({"detectors": vp.Detectors([0.02] * 5, "classes")}, "one class for each of 5 detectors"),
        ({"detectors": vp.Detectors((0.02, -0.01))}, "expected distances of at least 0"),
    ],
)
def test_what_makes_no_detectors_is_refused(changes: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        network(**({"detectors": vp.Detectors(WAYS, "difference")} | changes))  # pyright: ignore[reportArgumentType]


def test_a_skip_ends_at_the_last_layer() -> None:
    with pytest.raises(GeometryError, match="plane 2 at most, the last layer, behind which 2 detectors share"):
        network(vp.Detectors(WAYS), skips=[vp.Skip(1, 3)])


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (([0.02],), "distances of two detectors or more, but got 1: leave detectors out"),
        ((WAYS, "sum", (0.5, 0.4)), r"add up to 1, .* 0.5 \+ 0.4 = 0.9"),
        ((WAYS, "sum", (0.5, 0.3, 0.2)), "shares of the light of 2 detectors, but got 3"),
        ((WAYS, "sum", (0.0, 1.0)), "the share of light of a detector"),
        (((0.1, 0.2, 0.3), "difference"), "expected 2 detectors, the first of which"),
        ((WAYS, "product"), "a way to combine detectors"),
        (("near",), "distances of detectors"),
    ],
)
def test_detectors_that_cannot_be(given: tuple[object, ...], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        vp.Detectors(*given)  # pyright: ignore[reportArgumentType]
