"""One hard choice of a device's states, drawn or not, with its gradient in closed form.

Plain autograd keeps five tensors of ``levels x rows x columns`` for it; this keeps one, and works through the
pixels in pieces that stay in the processor's cache. On a GPU with Triton, kernels do it in one launch for all levels
and keep none; their noise is of another stream than the CPU's, so that one seed gives other draws on a GPU.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import reduce
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from voltphase.codesign.state_table import StateTable
from voltphase.core import checks
from voltphase.core.buffers import borrow
from voltphase.core.dtypes import exact_products
from voltphase.core.installed import triton_obstacle

Mix = Literal["complex", "polar"]

# Numbers in a piece: 1 MB of float32, so that what a piece needs stays in the level-2 caches of a CPU; elsewhere
# 256 MB, for the sake of memory alone.
_CACHED, _HELD = 1 << 18, 1 << 26


def sample_states(
    scores: Tensor,
    table: StateTable,
    temperature: float | Tensor,
    generator: torch.Generator | None,
    mix: Mix = "complex",
    *,
    sampled: bool = True,
) -> Tensor:
    """Draw one state per pixel, from ``levels x rows x columns`` scores: the straight-through Gumbel-Softmax.

    Forward: ``level = argmax(scores + g)`` and ``m = values[level]`` with one ``g ~ Gumbel(0, 1)`` per score.
    Backward: as if the one-hot choice ``w`` had been ``softmax((scores + g) / temperature)``. The two mixes agree on
    every one-hot ``w`` but not on how ``m`` changes with it: ``"complex"`` takes ``m = w . values``, ``"polar"``, the
    paper's, ``m = (w . amplitude) * exp(1j * w . phase)``. ``log softmax(scores)`` differs from ``scores`` by a
    constant per pixel, which neither argmax nor softmax can see.

    Without ``sampled`` there is no noise: the straight-through softmax. At several wavelengths one draw gives the
    states of its level at each, and their gradients add.

    Raises:
        ConfigError: if the temperature is not a number above zero, or ``torch.func`` transforms it.

    Source: "Differentiable Discrete Device-to-System Codesign for Optical Neural Networks via
    Gumbel-Softmax", eq. 2 to 4.
    """
    temperature = checks.softness(temperature)
    checks.require_plain("a relaxation")
    if by_kernel(scores.device):
        from voltphase.codesign.kernels.draws import Draw

        return Draw.apply(scores, table, temperature, generator, mix, sampled)
    return _Draw.apply(scores, table, temperature, generator, mix, sampled)


def by_kernel(device: torch.device) -> bool:
    """Return whether Triton's kernels choose states on a device: on a GPU, if Triton is installed."""
    return device.type == "cuda" and triton_obstacle("cuda") is None


def gumbel_noise(shape: tuple[int, ...] | torch.Size, generator: torch.Generator | None, **options: Any) -> Tensor:
    """Return the ``g`` that :func:`sample_states` adds to such scores, from a generator in the same state."""
    gumbel = torch.empty(shape[0], torch.Size(shape[1:]).numel(), **options)
    if by_kernel(gumbel.device):
        from voltphase.codesign.kernels.draws import fill_gumbel

        return fill_gumbel(gumbel, generator).view(shape)
    for part in pixel_blocks(len(gumbel), gumbel.shape[1], gumbel.device):
        gumbel[:, part] = -_log_exponential(torch.empty_like(gumbel[:, part]), generator)
    return gumbel.view(shape)


def argmax_levels(scores: Tensor) -> Tensor:
    """Return ``scores.argmax(0)``, the first of equals: an int64 tensor of the shape of ``scores[0]``.

    On CPUs torch's takes up to 20 ns a number over the first axis, this 0.4.

    Examples:
        >>> argmax_levels(torch.tensor([[0.1, 3.0], [0.5, 3.0]]))
        tensor([1, 0])
    """
    flat = scores.detach().flatten(1)
    if by_kernel(flat.device):
        from voltphase.codesign.kernels.draws import highest_levels

        return highest_levels(flat).view(scores.shape[1:])
    levels = torch.empty(flat.shape[1], dtype=torch.int64, device=flat.device)
    for part in pixel_blocks(len(flat), flat.shape[1], flat.device):
        piece = flat[:, part]
        levels[part] = first_argmax(piece, piece.amax(0), torch.empty_like(piece))
    return levels.view(scores.shape[1:])


def first_argmax(scores: Tensor, maximum: Tensor, free: Tensor) -> Tensor:
    """Return the first level of the highest score of each pixel, int64, from ``levels x pixels`` real ones.

    ``maximum`` is ``scores.amax(0)``; ``free``, a tensor like ``scores`` or these themselves, is overwritten.
    """
    # Two amax, which are vectorised as argmax is not. Where a score is not a number, nothing is highest.
    count = len(scores)
    rank = torch.arange(count, 0, -1, dtype=free.dtype, device=free.device)[:, None]
    return (count - torch.eq(scores, maximum, out=free).mul_(rank).amax(0).long()).clamp_(max=count - 1)


def pixel_blocks(levels: int, pixels: int, device: torch.device) -> Iterator[slice]:
    """Yield runs of pixels whose scores fit into a CPU's cache, in order; equal on every machine, so draws are too."""
    size = max((_CACHED if device.type == "cpu" else _HELD) // levels, 1)
    return (slice(start, min(start + size, pixels)) for start in range(0, pixels, size))


def _log_exponential(out: Tensor, generator: torch.Generator | None) -> Tensor:
    """Fill ``out`` with log E, E ~ Exp(1): minus a Gumbel variable."""
    # A uniform of exactly 0 gives E = inf, a level never chosen; E = 0, a level always chosen, cannot come.
    return _uniform(out, generator).log_().neg_().log_()


def _uniform(out: Tensor, generator: torch.Generator | None) -> Tensor:
    """Fill ``out`` with multiples of 2^-24 in [0, 1)."""
    if out.device.type != "cpu" or out.dtype != torch.float32:
        return out.uniform_(generator=generator)
    # torch's exponential_ takes 21 ns a number, its uniform_ 3.2, numpy's SFC64 and these four passes 1.7.
    seed = int(torch.randint(1 << 62, (), generator=generator, device="cpu"))
    words = np.random.SFC64(seed).random_raw((out.numel() + 1) // 2)
    bits = torch.from_numpy(words.view(np.int32))[: out.numel()].view(out.shape)
    return out.copy_(bits.bitwise_right_shift_(8)).mul_(2.0**-24).add_(0.5)


class _Draw(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        scores: Tensor,
        table: StateTable,
        temperature: float | Tensor,
        generator: torch.Generator | None,
        mix: Mix,
        sampled: bool,
    ) -> Tensor:
        levels, flat = len(scores), scores.reshape(len(scores), -1)
        choice = torch.empty(flat.shape[1], dtype=torch.int64, device=flat.device)
        # How far each noisy score lies under its pixel's highest, one piece after another.
        below = borrow((flat.numel(),), flat.dtype, flat.device)
        for part in pixel_blocks(len(flat), flat.shape[1], flat.device):
            noisy = torch.empty_like(flat[:, part], memory_format=torch.contiguous_format)
            if sampled:
                torch.sub(flat[:, part], _log_exponential(noisy, generator), out=noisy)
            else:
                noisy.copy_(flat[:, part])
            maximum = noisy.amax(0)
            torch.sub(noisy, maximum, out=below[levels * part.start : levels * part.stop].view_as(noisy))
            choice[part] = first_argmax(noisy, maximum, noisy)
        # What evaluation sees. Amplitude and phase, put together again, would be off by the rounding of a large phase.
        drawn = table.over(lambda one: one.values.index_select(0, choice))
        ones = torch.ones_like(table.phase)
        # What is mixed, two reals for each level, and the derivatives of m by the two mixtures, real unless None.
        if mix == "polar":
            mixed = [column for one in table.each for column in (one.amplitude, one.phase)]
            by_first = table.over(lambda one: torch.polar(ones, one.phase).index_select(0, choice))
            ctx.save_for_backward(below, torch.stack((*mixed, ones)), by_first, 1j * drawn)
        else:
            mixed = [column for one in table.each for column in (one.values.real, one.values.imag)]
            ctx.save_for_backward(below, torch.stack((*mixed, ones)))
        ctx.temperature = temperature
        ctx.shape = scores.shape
        return drawn.view(*drawn.shape[:-1], *scores.shape[1:])

    @staticmethod
    @checks.first_order
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        if not ctx.needs_input_grad[0]:
            return (None,) * 6
        below, mixed, *derivatives = ctx.saved_tensors
        slope = gradients[0].flatten(-2)
        both = [(slope.conj() * by).real for by in derivatives] if derivatives else [slope.real, slope.imag]
        slopes = torch.stack(both, -2).flatten(0, -2)
        levels = ctx.shape[0]
        gradient = borrow((levels, below.numel() // levels), below.dtype, below.device)
        with exact_products(gradient.device):
            for part in pixel_blocks(len(gradient), gradient.shape[1], gradient.device):
                piece = below[levels * part.start : levels * part.stop].view(levels, -1)
                weights = torch.mul(piece, 1 / ctx.temperature).exp_()
                *means, total = mixed @ weights
                # dL/dscore_j = s_j (c_j - sum_k s_k c_k) / temperature, c_j = the sum over i of slope_i t_ij.
                scale = 1 / (ctx.temperature * total)
                scaled = [slope[part] * scale for slope in slopes]
                mean = -reduce(torch.add, map(torch.mul, scaled, means)) / total
                torch.mm(mixed.T, torch.stack((*scaled, mean)), out=gradient[:, part])
                gradient[:, part].mul_(weights)
        return gradient.view(ctx.shape), *(None,) * 5
