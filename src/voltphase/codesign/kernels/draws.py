"""Draws, their gradient and the highest score on a GPU: one launch each, however many levels there are.

Scores lie as ``levels x pixels``. A program goes through all levels of a block of pixels, several levels at a time.
The noise is made where it is used, by Philox, keyed with a seed in the device's memory and counted by pixel and by
fours of levels: nothing waits for the host, a CUDA graph draws anew whenever it is replayed, and the backward pass
makes the same noise again instead of keeping it. All is computed in the precision of the scores, from 31 random bits
for each of them.
"""

from __future__ import annotations

# To a type checker a kernel is Python, which it is not.
# pyright: reportArgumentType=false, reportGeneralTypeIssues=false, reportOperatorIssue=false
from typing import Any, Final

import torch
import triton
import triton.language as tl
from torch import Tensor

from voltphase.codesign.state_table import StateTable
from voltphase.core import checks

# Pixels of a program, and fours of levels that it works on at a time: 8 numbers a thread, and 72 registers (Triton 3.9,
# backward), few enough for the 625 programs of 200 x 200 pixels to run at once on an H100.
PIXELS: Final = 64
_FOURS: Final = 4


@triton.jit
def gumbel(bits, DTYPE: tl.constexpr):
    """Return Gumbel(0, 1) noise from 32 random bits, between -3.1 and 16.6."""
    # Below one in any case; zero, which has no logarithm, comes once in 2^31 times.
    uniform = tl.maximum(tl.uint_to_uniform_float(bits), 2.3283064e-10).to(DTYPE)
    return -tl.log(-tl.log(uniform))


@triton.jit
def four_gumbels(seed, four, pixel, DTYPE: tl.constexpr):
    """Return the noise of the levels ``4 four`` to ``4 four + 3``; all 0 where the seed is None."""
    zero = four * 0 + pixel * 0
    if seed is None:
        a = zero.to(DTYPE)
        b, c, d = a, a, a
    else:
        a, b, c, d = tl.philox(tl.load(seed), zero + pixel, zero + four, zero, zero)
        a, b, c, d = gumbel(a, DTYPE), gumbel(b, DTYPE), gumbel(c, DTYPE), gumbel(d, DTYPE)
    return a, b, c, d


@triton.jit
def load_scores(scores, level, levels, pixel, pixels):
    """Load scores, -inf outside."""
    inside = (level < levels) & (pixel < pixels)
    return tl.load(scores + level.to(tl.int64) * pixels + pixel, inside, -float("inf"))


@triton.jit
def higher(score, level, best, at):
    """Return the highest scores so far and their levels; what is not a number is higher than all."""
    better = (score > best) | (score != score)
    return tl.where(better, score, best), tl.where(better, level, at)


@triton.jit
def first_highest(best, at, levels):
    """Return the highest score of each pixel and the first level that has it; where one is not a number, the last."""
    broken = tl.max((best != best).to(tl.int32), axis=0, keep_dims=True)
    top = tl.max(best, axis=0, keep_dims=True)
    first = tl.min(tl.where(best == top, at, levels - 1), axis=0, keep_dims=True)
    return tl.where(broken > 0, float("nan"), top), tl.where(broken > 0, levels - 1, first)


@triton.jit
def highest_kernel(
    scores, seed, values, choice, maximum, drawn, levels, pixels, FOURS: tl.constexpr, PIXELS: tl.constexpr
):
    """Write the level of each pixel's highest score, with noise unless the seed is None; and that score and state."""
    dtype: tl.constexpr = scores.dtype.element_ty
    pixel = tl.program_id(0) * PIXELS + tl.arange(0, PIXELS)[None, :]
    best = tl.full([FOURS, PIXELS], -float("inf"), dtype)
    at = tl.zeros([FOURS, PIXELS], tl.int32)
    for start in range(0, tl.cdiv(levels, 4), FOURS):
        four = start + tl.arange(0, FOURS)[:, None]
        noise = four_gumbels(seed, four, pixel, dtype)
        for j in tl.static_range(4):
            score = load_scores(scores, 4 * four + j, levels, pixel, pixels) + noise[j]
            best, at = higher(score, 4 * four + j, best, at)
    top, first = first_highest(best, at, levels)
    inside = pixel < pixels
    tl.store(choice + pixel, first.to(tl.int64), inside)
    if values is not None:
        tl.store(maximum + pixel, top, inside)
        tl.store(drawn + 2 * pixel, tl.load(values + 2 * first), inside)
        tl.store(drawn + 2 * pixel + 1, tl.load(values + 2 * first + 1), inside)


@triton.jit
def weigh(score, level, levels, chosen, highest, cold, columns, first_chosen, second_chosen):
    """Return the weights of levels, the chosen one's being 1, and what is mixed as it differs from the chosen's."""
    there = level < levels
    weight = tl.where(there, tl.exp((score - highest) * cold), 0)
    # Not by the exponential: noise made a second time might be rounded otherwise.
    weight = tl.where(level == chosen, 1, weight)
    first = tl.load(columns + 2 * level, there, 0) - first_chosen
    return weight, first, tl.load(columns + 2 * level + 1, there, 0) - second_chosen


@triton.jit
def draw_gradient_kernel(
    scores,
    seed,
    temperature,
    choice,
    maximum,
    values,
    columns,
    slope,
    gradient,
    levels,
    pixels,
    POLAR: tl.constexpr,
    FOURS: tl.constexpr,
    PIXELS: tl.constexpr,
):
    """Write the gradient of all scores: first the sums of the weights, about the chosen state, then what they give."""
    dtype: tl.constexpr = scores.dtype.element_ty
    pixel = tl.program_id(0) * PIXELS + tl.arange(0, PIXELS)[None, :]
    inside = pixel < pixels
    chosen = tl.load(choice + pixel, inside, 0).to(tl.int32)
    highest = tl.load(maximum + pixel, inside, 0)
    first_chosen, second_chosen = tl.load(columns + 2 * chosen), tl.load(columns + 2 * chosen + 1)
    by_first, by_second = tl.load(slope + 2 * pixel, inside, 0), tl.load(slope + 2 * pixel + 1, inside, 0)
    if POLAR:
        # The derivatives of the modulation by amplitude and phase, exp(i phase) and i times itself.
        along, across = by_first, by_second
        real, imag = tl.load(values + 2 * chosen), tl.load(values + 2 * chosen + 1)
        by_first = along * tl.cos(second_chosen) + across * tl.sin(second_chosen)
        by_second = across * real - along * imag
    cold = 1 / tl.load(temperature)

    total = tl.zeros([FOURS, PIXELS], dtype)
    mean_first, mean_second = total, total
    for start in range(0, tl.cdiv(levels, 4), FOURS):
        four = start + tl.arange(0, FOURS)[:, None]
        noise = four_gumbels(seed, four, pixel, dtype)
        for j in tl.static_range(4):
            score = load_scores(scores, 4 * four + j, levels, pixel, pixels) + noise[j]
            weight, first, second = weigh(
                score, 4 * four + j, levels, chosen, highest, cold, columns, first_chosen, second_chosen
            )
            total += weight
            mean_first += weight * first
            mean_second += weight * second
    norm = 1 / tl.sum(total, axis=0, keep_dims=True)
    mean_of_first = tl.sum(mean_first, axis=0, keep_dims=True) * norm
    mean_of_second = tl.sum(mean_second, axis=0, keep_dims=True) * norm
    alpha, beta = by_first * cold * norm, by_second * cold * norm
    for start in range(0, tl.cdiv(levels, 4), FOURS):
        four = start + tl.arange(0, FOURS)[:, None]
        noise = four_gumbels(seed, four, pixel, dtype)
        for j in tl.static_range(4):
            level = 4 * four + j
            score = load_scores(scores, level, levels, pixel, pixels) + noise[j]
            weight, first, second = weigh(
                score, level, levels, chosen, highest, cold, columns, first_chosen, second_chosen
            )
            result = weight * (alpha * (first - mean_of_first) + beta * (second - mean_of_second))
            tl.store(gradient + level.to(tl.int64) * pixels + pixel, result, inside & (level < levels))


@triton.jit
def noise_kernel(seed, noise, levels, pixels, FOURS: tl.constexpr, PIXELS: tl.constexpr):
    """Write the noise that draws with this seed add."""
    dtype: tl.constexpr = noise.dtype.element_ty
    pixel = tl.program_id(0) * PIXELS + tl.arange(0, PIXELS)[None, :]
    for start in range(0, tl.cdiv(levels, 4), FOURS):
        four = start + tl.arange(0, FOURS)[:, None]
        gumbels = four_gumbels(seed, four, pixel, dtype)
        for j in tl.static_range(4):
            level = 4 * four + j
            inside = (level < levels) & (pixel < pixels)
            tl.store(noise + level.to(tl.int64) * pixels + pixel, gumbels[j], inside)


def on_device(temperature: float | Tensor, like: Tensor) -> Tensor:
    """Return a temperature as a tensor of no axes that kernels read, without waiting for the device."""
    if isinstance(temperature, Tensor):
        return temperature.to(like)
    return torch.full((), temperature, dtype=like.dtype, device=like.device)


def as_reals(numbers: Tensor) -> Tensor:
    """Return complex numbers as pairs of real ones, contiguous."""
    return torch.view_as_real(numbers.resolve_conj()).contiguous()


def fill_gumbel(noise: Tensor, generator: torch.Generator | None) -> Tensor:
    """Fill a contiguous ``levels x pixels`` tensor with the noise that :class:`Draw` adds to such scores."""
    return _launch(noise_kernel, noise, _seed(generator, noise.device), noise)


def highest_levels(scores: Tensor) -> Tensor:
    """Return the first level of the highest score of each pixel, int64, from ``levels x pixels`` scores."""
    scores = scores.contiguous()
    choice = torch.empty(scores.shape[1], dtype=torch.int64, device=scores.device)
    _launch(highest_kernel, scores, scores, None, None, choice, None, None)
    return choice


class Draw(torch.autograd.Function):
    """The draw of :func:`voltphase.codesign.relaxations.sample_states.sample_states`, which checks its arguments."""

    @staticmethod
    def forward(
        ctx: Any,
        scores: Tensor,
        table: StateTable,
        temperature: float | Tensor,
        generator: torch.Generator | None,
        mix: str,
        sampled: bool,
    ) -> Tensor:
        flat = scores.reshape(len(scores), -1).contiguous()
        seed = _seed(generator, flat.device) if sampled else None
        choice = torch.empty(flat.shape[1], dtype=torch.int64, device=flat.device)
        maximum, values = torch.empty_like(choice, dtype=flat.dtype), as_reals(table.values)
        drawn = torch.empty(scores.shape[1:], dtype=table.values.dtype, device=flat.device)
        _launch(highest_kernel, flat, flat, seed, values, choice, maximum, torch.view_as_real(drawn))
        columns = [
            torch.stack((one.amplitude, one.phase), -1) if mix == "polar" else as_reals(one.values)
            for one in table.each
        ]
        ctx.save_for_backward(
            *(flat, seed, on_device(temperature, flat), choice, maximum),
            *(as_reals(one.values) for one in table.each),
            *columns,
        )
        ctx.shape, ctx.polar, ctx.wavelengths = scores.shape, mix == "polar", len(table.each)
        if not table.others:
            return drawn
        return torch.stack((drawn, *(one.values[choice].view(drawn.shape) for one in table.others)))

    @staticmethod
    @checks.first_order
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        if not ctx.needs_input_grad[0]:
            return (None,) * 6
        (flat, *drawing), tables = ctx.saved_tensors[:5], ctx.saved_tensors[5:]
        slopes = gradients[0].reshape(ctx.wavelengths, -1)
        gradient = torch.empty_like(flat)
        # The gradient is linear in the slope of each wavelength's modulation, and all are of one draw.
        for number, slope in enumerate(slopes):
            one = gradient if number == 0 else torch.empty_like(flat)
            table = tables[number :: ctx.wavelengths]
            _launch(draw_gradient_kernel, flat, flat, *drawing, *table, as_reals(slope), one, POLAR=ctx.polar)
            if number:
                gradient += one
        return gradient.view(ctx.shape), *(None,) * 5


def _seed(generator: torch.Generator | None, device: torch.device) -> Tensor:
    return torch.randint(1 << 62, (1,), generator=generator, device=device)


def _launch(kernel: Any, scores: Tensor, *arguments: Tensor | None, **constants: bool) -> Tensor:
    """Run a kernel over all blocks of pixels of ``levels x pixels`` scores, and return these."""
    levels, pixels = scores.shape
    fours = min(_FOURS, triton.next_power_of_2(triton.cdiv(levels, 4)))
    with torch.cuda.device_of(scores):
        kernel[triton.cdiv(pixels, PIXELS),](*arguments, levels, pixels, **constants, FOURS=fours, PIXELS=PIXELS)
    return scores
