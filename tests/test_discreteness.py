"""No state is ever evaluated, exported or reported that the device does not have, whatever its table is like."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from voltphase import DONN, DeviceStates, Grid, GumbelSoftmax
from voltphase.codesign import Proximity, QuantizationAware, Relaxation, Softmax
from voltphase.deployment import Emulator, deploy
from voltphase.devices import Device, DevicePanel
from voltphase.reporting.maps import amplitude_map, phase_map
from voltphase.tasks import Classification

SIZE = 11


@st.composite
def tables(draw: st.DrawFn, control: np.ndarray, unit: str) -> DeviceStates:
    """States with ties, duplicates and darkness among them, in no order."""
    k = len(control)
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    amplitude, phase = random.uniform(0, 1.2, k), random.uniform(-20, 20, k)
    if draw(st.booleans()):
        amplitude = np.round(amplitude, 1)
    if draw(st.booleans()):
        amplitude[random.random(k) < 0.4] = 0
    if draw(st.booleans()):
        phase = np.round(phase / np.pi) * np.pi
    copied = random.integers(0, k, k) if draw(st.booleans()) else np.arange(k)
    amplitude, phase = amplitude[copied], phase[copied]
    amplitude[random.integers(k)] = 1
    return DeviceStates(control, amplitude, phase, "random", unit)


@st.composite
def devices(draw: st.DrawFn) -> Device:
    """One table, or a panel of up to three with inactive pixels."""
    k, unit = draw(st.integers(2, 784)), draw(st.sampled_from(["grey level", "V"]))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    control = random.permutation(1000)[:k] / (1 if unit == "grey level" else 7)
    count = draw(st.integers(0, 3))
    if count == 0:
        return draw(tables(control, unit))
    regions = random.integers(-1, count, (SIZE, SIZE))
    regions[0, 0] = 0
    inactive = draw(st.sampled_from([0j, 1 + 0j, 0.3 - 0.4j]))
    return DevicePanel(tuple(draw(tables(control, unit)) for _ in range(count)), regions, inactive)


def states_of_pixels(device: Device) -> np.ndarray:
    """``K x rows x columns``, whatever the device."""
    return np.stack([device.states_at(np.full((SIZE, SIZE), level)) for level in range(len(device))])


def distance(values: np.ndarray, device: Device) -> float:
    """How far the farthest pixel is from the nearest state it can be in."""
    return float(np.abs(states_of_pixels(device) - values).min(0).max())


@settings(max_examples=12)
@given(
    device=devices(),
    relaxation=st.sampled_from([GumbelSoftmax(), Softmax(), Proximity(), QuantizationAware(order=1)]),
    gain=st.sampled_from([1.0, 1.8]),
    seed=st.integers(0, 1000),
)
def test_only_states_that_the_device_has(device: Device, relaxation: Relaxation, gain: float, seed: int):
    model = DONN(
        grid=Grid(SIZE, 36e-6),
        wavelength=532e-9,
        distances=0.01,
        devices=[device],
        task=Classification(((0, 0, 4, 4), (6, 6, 4, 4)), False, "sum", 1.0),
        image_shape=(5, 5),
        relaxation=relaxation,
        gain=gain,
        seed=seed,
        dtype=torch.complex128,
    ).eval()
    (layer,), (levels,) = model.layers, model.levels()
    evaluated = layer.modulation().detach() / gain
    assert distance(evaluated.numpy(), device) < 1e-15
    with tempfile.TemporaryDirectory() as folder:
        bench = deploy(model, Path(folder) / "bench")
        emulator = Emulator.from_folder(bench)
        (exported,), (record,) = emulator.modulations(), emulator.manifest.layers
        image = np.asarray(Image.open(bench / record.target.files[0].file))
    assert distance(exported.numpy(), device) == 0
    np.testing.assert_allclose(exported, evaluated, rtol=0, atol=1e-15)
    np.testing.assert_array_equal(np.array(record.target.details["codes"])[levels.numpy()], image)
    if device.control_unit == "grey level":
        np.testing.assert_array_equal(image, device.control[levels.numpy()])
    reported = [make(levels.numpy(), layer.device_states) for make in (amplitude_map, phase_map)]
    # A phase modulo a turn is known to about 20 rad times the rounding of a double.
    assert distance(reported[0] * np.exp(1j * reported[1]), device) < 1e-13
    if device.inactive.any():
        inactive = torch.tensor(device.inactive)
        assert not levels[inactive].any()
        assert (image[device.inactive] == record.target.details["codes"][0]).all()
        assert (exported[inactive] == device.inactive_value).all()
