"""Planes of any sizes with other pitches along y than along x, on the back ends for CPUs, against plain sums."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import voltphase as vp
from voltphase.optics.backends import BACKENDS, Executor, Options
from voltphase.optics.backends.base import Engine
from voltphase.optics.paths import paths_between, stack_of
from voltphase.validation.brute_force import Field, Reals, direct_sum, point_kernel

GREEN, DISTANCE = 532e-9, 0.05
# Sums of some dozen terms in two orders, and the phases of 1e5 wavelengths.
ROUNDING = 1e-9

SIZES = st.integers(1, 7)
PITCHES = st.sampled_from([(20e-6, 30e-6), (36e-6, 24e-6)])
PLANES = st.lists(
    st.builds(
        vp.Grid,
        st.tuples(SIZES, SIZES).filter(lambda shape: shape[0] != shape[1]),
        st.shared(PITCHES, key="pitch"),
        st.sampled_from([(0.0, 0.0), (2e-5, -1e-5)]),
    ),
    min_size=3,
    max_size=4,
)


def paraxial(rows: Reals, columns: Reals, pitch: tuple[float, float]) -> Field:
    """What one sample sends by Fresnel's integral: Goodman, eq. 4-14."""
    factor = np.exp(2j * math.pi * (DISTANCE / GREEN % 1)) * pitch[0] * pitch[1] / (1j * GREEN * DISTANCE)
    return factor * np.exp(1j * math.pi / (GREEN * DISTANCE) * (rows[:, None] ** 2 + columns**2))


def summed(planes: Sequence[vp.Grid], method: str, images: Tensor, modulations: Sequence[Tensor]) -> Tensor:
    field = images.numpy()
    for number, (source, target) in enumerate(pairwise(planes)):
        exact = partial(point_kernel, width=source.pitch, wavelength=GREEN, distance=DISTANCE)
        field = direct_sum(
            field, source, target, partial(paraxial, pitch=source.pitch) if method == "fresnel-impulse" else exact
        )
        if number < len(modulations):
            field = modulations[number].numpy() * field
    return torch.from_numpy(field)


def executor_on(name: str, engine: Engine, planes: Sequence[vp.Grid], method: str) -> Executor:
    stack = stack_of(
        paths_between(planes, [DISTANCE] * (len(planes) - 1), wavelength=GREEN, method=method, engine=engine)
    )
    options, backend = Options(torch.complex128, engine), BACKENDS[name]()
    assert backend.obstacle(stack, options) is None
    return backend.compile(stack, options)


def assert_light_is_the_sum(executor: Executor, planes: Sequence[vp.Grid], method: str) -> None:
    generator = torch.Generator().manual_seed(0)

    def noise(*shape: int) -> Tensor:
        return torch.randn(shape, dtype=torch.complex128, generator=generator)

    images, modulations = noise(2, *planes[0].shape), [noise(*plane.shape) for plane in planes[1:-1]]
    expected = summed(planes, method, images, modulations)
    inputs = [one.requires_grad_() for one in (images, *modulations)]
    found = executor(inputs[0], inputs[1:])
    size = float(expected.norm())
    assert float((found.detach() - expected).norm()) <= ROUNDING * size
    # Light is linear in the images and in each modulation: the gradient of a product with it is the adjoint's answer.
    probe = noise(*found.shape)
    there = torch.vdot(probe.flatten(), found.flatten())
    for back, one in zip(torch.autograd.grad(there.real, inputs), inputs, strict=True):
        again = torch.vdot(back.flatten(), one.flatten())
        assert float((again - there).detach().abs()) <= ROUNDING * size * float(probe.norm())


CHOICES: list[tuple[str, Engine, str]] = [
    *((name, engine, "fresnel-impulse") for name in ("reference", "cpu") for engine in ("matrix", "fft", "auto")),
    *((name, "fft", "rayleigh-sommerfeld") for name in ("reference", "cpu")),
]


@pytest.mark.filterwarnings("ignore::voltphase.optics.sampling.SamplingWarning")  # of what the sum does as well
@pytest.mark.parametrize(("name", "engine", "method"), CHOICES)
@settings(deadline=None, max_examples=10)
@given(planes=PLANES)
def test_light_on_rectangles_is_the_sum_over_their_samples(
    name: str, engine: Engine, method: str, planes: list[Any]
) -> None:
    assert_light_is_the_sum(executor_on(name, engine, planes, method), planes, method)
