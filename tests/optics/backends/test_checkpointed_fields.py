"""Fields that are computed again for the backward pass: the same bits, and fewer of them kept."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn

import voltphase as vp
from voltphase.core.errors import ConfigError
from voltphase.optics.backends import BACKENDS, Executor, Options
from voltphase.optics.backends.base import Engine, checkpoint_stride
from voltphase.optics.backends.cpu.packed_map import PackedMap
from voltphase.optics.backends.reference import ReferenceExecutor
from voltphase.optics.kernels.axis import Toeplitz
from voltphase.optics.kernels.common_grid import CommonGrid
from voltphase.optics.kernels.kernel import Separable
from voltphase.optics.stack import Stack

# Eight planes of other sizes behind the source: seven are modulated.
PLANES = [(5, 6), (6, 6), (7, 5), (6, 8), (6, 6), (5, 7), (6, 6), (6, 5), (4, 6)]
BATCH = 5


def chirp(grid: CommonGrid) -> Tensor:
    distance = grid.displacements().abs()
    return torch.polar(1 / (1 + distance), distance**2 / 7 + 0.3 * distance)


def axis(targets: int, sources: int) -> Toeplitz:
    grid = CommonGrid(1.0, (sources - targets) / 2, sources, 1, targets, 1)
    return Toeplitz(True, grid, partial(chirp, grid))


STACK = Stack(tuple((Separable(axis(b[0], a[0]), axis(b[1], a[1])),) for a, b in pairwise(PLANES)))


def fields_of(executor: Executor, images: Tensor, modulations: list[Tensor]) -> Tensor:
    return executor(images, modulations)


def sums_of(executor: Executor, images: Tensor, modulations: list[Tensor]) -> Tensor:
    generator = torch.Generator().manual_seed(3)
    masks = [torch.rand(side, 2, generator=generator) for side in PLANES[-1]]
    return executor.sums(images, modulations, *masks)


def results(
    executor: Executor, read: Callable[..., Tensor], wanted: list[bool], batch: int
) -> tuple[list[Tensor], int]:
    """What is read and the gradients, and how many numbers of fields and images are kept for these."""
    generator = torch.Generator().manual_seed(1)
    inputs = [torch.rand(batch, *PLANES[0], generator=generator)]
    inputs += [torch.randn(shape, dtype=torch.complex64, generator=generator) for shape in PLANES[1:-1]]
    inputs = [one.requires_grad_(want) for one, want in zip(inputs, wanted, strict=True)]
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda one: kept.append(one.numel()) or one, lambda one: one):
        found = read(executor, inputs[0], inputs[1:])
    loss = (found * torch.arange(found.numel()).view_as(found)).abs().square().sum()
    gradients = torch.autograd.grad(loss, [one for one in inputs if one.requires_grad])
    return [found.detach(), *gradients], sum(kept)


ALL, MODULATIONS = [True] * 8, [False] + [True] * 7
LATER, IMAGES = [False] * 5 + [True, False, True], [True] + [False] * 7


@pytest.mark.parametrize("images_at_once", [1, 2, BATCH])
@pytest.mark.parametrize(("name", "engine"), [("cpu", "matrix"), ("cpu", "fft"), ("reference", "auto")])
def test_gradients_are_the_same_bits(
    name: str, engine: Engine, images_at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ReferenceExecutor, "micro_batch", lambda executor, fields: images_at_once)
    backend = BACKENDS[name]()
    made = [backend.compile(STACK, Options(engine=engine, checkpoint_fields=some)) for some in (False, True)]
    for executor in made:
        for each in executor.modules():
            if isinstance(each, PackedMap):
                each.micro_batch = images_at_once * max(one.scratch for one in packed_maps(executor))
    for read, wanted in ((fields_of, ALL), (sums_of, MODULATIONS), (sums_of, LATER), (fields_of, IMAGES)):
        (whole, kept), (again, fewer) = (results(executor, read, wanted, BATCH) for executor in made)
        assert len(whole) == 1 + sum(wanted)
        assert all(torch.equal(*pair) for pair in zip(whole, again, strict=True))
        if wanted is ALL or wanted is MODULATIONS:
            assert fewer < kept - 2 * BATCH * 30


def packed_maps(executor: nn.Module) -> list[PackedMap]:
    return [each for each in executor.modules() if isinstance(each, PackedMap)]


def test_a_batch_in_many_parts_keeps_nothing_but_the_images() -> None:
    assert checkpoint_stride(8, 100) == 8
    assert checkpoint_stride(8, 1) == 3
    assert checkpoint_stride(1, 1) == 1


def test_a_network_learns_the_same() -> None:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 255, (6, 28, 28), dtype=torch.uint8, generator=generator)
    found = []
    for checkpointed in (False, True):
        model = vp.DONN(
            grid=vp.Grid(16, 36e-6),
            wavelength=532e-9,
            distances=0.02,
            devices=[vp.devices.tn_slm().pick(8)] * 5,
            checkpoint_fields=checkpointed,
        )
        model(images).square().sum().backward()
        found.append([layer.design.grad for layer in model.layers])
    for whole, again in zip(*found, strict=True):
        assert whole is not None
        assert torch.equal(whole, again)


def test_the_option_is_true_or_false() -> None:
    with pytest.raises(ConfigError, match="checkpoint_fields"):
        Options(checkpoint_fields=2)  # pyright: ignore[reportArgumentType]
