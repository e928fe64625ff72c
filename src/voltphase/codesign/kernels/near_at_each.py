"""The states near a point at each of several wavelengths on a GPU: a launch forward and one backward.

A point is one of as many complex planes, ``2 wavelengths x pixels`` reals. Weights are computed again wherever they are
needed, so that two tensors are kept for the backward pass, however many levels there are: the points and the levels
that they chose.
"""

from __future__ import annotations

# To a type checker a kernel is Python, which it is not.
# pyright: reportArgumentType=false, reportGeneralTypeIssues=false, reportOperatorIssue=false
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from voltphase.codesign.kernels.draws import PIXELS, as_reals, first_highest, higher, on_device
from voltphase.codesign.kernels.near import STATES
from voltphase.core import checks


@triton.jit
def nearness_at_each(design, values, excess, level, there, levels, pixel, pixels, waves):
    """Return minus the square distance of points from states at all wavelengths together, -inf outside."""
    inside = pixel < pixels
    square = level * 0.0 + pixel * 0.0
    square = square.to(design.dtype.element_ty)
    for wave in range(waves):
        x = tl.load(design + 2 * wave * pixels + pixel, inside, 0)
        y = tl.load(design + (2 * wave + 1) * pixels + pixel, inside, 0)
        state = values + 2 * (wave * levels + level)
        x -= tl.load(state, there, 0)
        y -= tl.load(state + 1, there, 0)
        square += x * x + y * y
    if excess is not None:
        square += tl.load(excess + level, there, 0)
    return tl.where(there, -square, -float("inf"))


@triton.jit
def weigh_at_each(
    design, values, excess, chosen, best, cold, start, levels, pixel, pixels, waves, STATES: tl.constexpr
):
    """Return levels, which of them there are, and their weights, of which the chosen one's is 0 in place of 1."""
    level = start + tl.arange(0, STATES)[:, None]
    there = level < levels
    score = nearness_at_each(design, values, excess, level, there, levels, pixel, pixels, waves)
    weight = tl.where(there & (level != chosen), tl.exp((score - best) * cold), 0)
    return level, there, weight


@triton.jit
def off_chosen(values, wave, level, there, chosen, levels):
    """Return the states of levels at a wavelength, as seen from the chosen one's."""
    states = values + 2 * wave * levels
    x = tl.load(states + 2 * level, there, 0) - tl.load(states + 2 * chosen)
    return x, tl.load(states + 2 * level + 1, there, 0) - tl.load(states + 2 * chosen + 1)


@triton.jit
def near_at_each_kernel(
    design,
    values,
    excess,
    steepness,
    temperature,
    choice,
    modulation,
    levels,
    pixels,
    waves,
    HARD: tl.constexpr,
    STATES: tl.constexpr,
    PIXELS: tl.constexpr,
):
    """Write the level nearest to each point, and its states or the mix at each wavelength unless there is no place."""
    dtype: tl.constexpr = design.dtype.element_ty
    pixel = tl.program_id(0) * PIXELS + tl.arange(0, PIXELS)[None, :]
    inside = pixel < pixels
    best = tl.full([STATES, PIXELS], -float("inf"), dtype)
    at = tl.zeros([STATES, PIXELS], tl.int32)
    for start in range(0, levels, STATES):
        level = start + tl.arange(0, STATES)[:, None]
        score = nearness_at_each(design, values, excess, level, level < levels, levels, pixel, pixels, waves)
        best, at = higher(score, level, best, at)
    top, chosen = first_highest(best, at, levels)
    tl.store(choice + pixel, chosen.to(tl.int64), inside)
    if modulation is not None:
        cold = tl.load(steepness) / tl.load(temperature)
        for wave in range(waves):
            real = tl.load(values + 2 * (wave * levels + chosen))
            imag = tl.load(values + 2 * (wave * levels + chosen) + 1)
            if not HARD:
                others = tl.zeros([STATES, PIXELS], dtype)
                sum_x, sum_y = others, others
                for start in range(0, levels, STATES):
                    level, there, weight = weigh_at_each(
                        design, values, excess, chosen, top, cold, start, levels, pixel, pixels, waves, STATES
                    )
                    x, y = off_chosen(values, wave, level, there, chosen, levels)
                    others += weight
                    sum_x += weight * x
                    sum_y += weight * y
                total = 1 + tl.sum(others, axis=0, keep_dims=True)
                real += tl.sum(sum_x, axis=0, keep_dims=True) / total
                imag += tl.sum(sum_y, axis=0, keep_dims=True) / total
            tl.store(modulation + 2 * (wave * pixels + pixel), real, inside)
            tl.store(modulation + 2 * (wave * pixels + pixel) + 1, imag, inside)


@triton.jit
def near_at_each_gradient_kernel(
    design,
    values,
    excess,
    steepness,
    temperature,
    choice,
    slope,
    gradient,
    levels,
    pixels,
    waves,
    STATES: tl.constexpr,
    PIXELS: tl.constexpr,
):
    """Write the gradient of the points: the covariance of the states with what they gain, all from the chosen one."""
    dtype: tl.constexpr = design.dtype.element_ty
    pixel = tl.program_id(0) * PIXELS + tl.arange(0, PIXELS)[None, :]
    inside = pixel < pixels
    chosen = tl.load(choice + pixel, inside, 0).to(tl.int32)
    best = nearness_at_each(design, values, excess, chosen, chosen < levels, levels, pixel, pixels, waves)
    cold = tl.load(steepness) / tl.load(temperature)
    zero = tl.zeros([STATES, PIXELS], dtype)
    for along in range(waves):
        others, gains, sum_x, sum_y, gained_x, gained_y = zero, zero, zero, zero, zero, zero
        for start in range(0, levels, STATES):
            level, there, weight = weigh_at_each(
                design, values, excess, chosen, best, cold, start, levels, pixel, pixels, waves, STATES
            )
            gain = zero
            for wave in range(waves):
                x, y = off_chosen(values, wave, level, there, chosen, levels)
                here = slope + 2 * (wave * pixels + pixel)
                gain += x * tl.load(here, inside, 0) + y * tl.load(here + 1, inside, 0)
            gain *= weight
            x, y = off_chosen(values, along, level, there, chosen, levels)
            others += weight
            gains += gain
            sum_x += weight * x
            sum_y += weight * y
            gained_x += gain * x
            gained_y += gain * y
        norm = 1 / (1 + tl.sum(others, axis=0, keep_dims=True))
        mean = tl.sum(gains, axis=0, keep_dims=True) * norm
        by_x = tl.sum(gained_x, axis=0, keep_dims=True) - mean * tl.sum(sum_x, axis=0, keep_dims=True)
        by_y = tl.sum(gained_y, axis=0, keep_dims=True) - mean * tl.sum(sum_y, axis=0, keep_dims=True)
        tl.store(gradient + 2 * along * pixels + pixel, 2 * cold * norm * by_x, inside)
        tl.store(gradient + (2 * along + 1) * pixels + pixel, 2 * cold * norm * by_y, inside)


def nearest_levels_at_each(design: Tensor, values: Tensor, excess: Tensor | None) -> Tensor:
    """Return the first level whose states are nearest to each of ``2 wavelengths x pixels`` points, int64."""
    design = design.contiguous()
    choice = torch.empty(design.shape[1], dtype=torch.int64, device=design.device)
    _launch(near_at_each_kernel, design, values, excess, None, None, choice, None, HARD=True)
    return choice


class NearAtEach(torch.autograd.Function):
    """The modulations of :class:`voltphase.codesign.relaxations.proximity.Proximity` at several wavelengths."""

    @staticmethod
    def forward(
        ctx: Any,
        design: Tensor,
        values: Tensor,
        width: Tensor,
        temperature: float | Tensor,
        hard: bool,
        excess: Tensor | None,
    ) -> Tensor:
        flat = design.flatten(1).contiguous()
        steepness, temperature = 1 / (2 * len(values) * width.square()), on_device(temperature, flat)
        choice = torch.empty(flat.shape[1], dtype=torch.int64, device=flat.device)
        modulation = torch.empty((len(values), *design.shape[1:]), dtype=values.dtype, device=flat.device)
        places = choice, torch.view_as_real(modulation)
        _launch(near_at_each_kernel, flat, values, excess, steepness, temperature, *places, HARD=hard)
        ctx.save_for_backward(flat, values, excess, steepness, temperature, choice)
        return modulation

    @staticmethod
    @checks.first_order
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        flat, *_ = ctx.saved_tensors
        gradient = torch.empty_like(flat)
        _launch(near_at_each_gradient_kernel, *ctx.saved_tensors, as_reals(gradients[0]), gradient)
        return gradient.view(-1, *gradients[0].shape[1:]), *(None,) * 5


def _launch(kernel: Any, design: Tensor, values: Tensor, *arguments: Tensor | None, **constants: bool) -> None:
    """Run a kernel over all blocks of pixels of points, of states ``wavelengths x levels``."""
    (waves, levels), pixels = values.shape, design.shape[1]
    states = min(STATES, triton.next_power_of_2(levels))
    with torch.cuda.device_of(design):
        kernel[triton.cdiv(pixels, PIXELS),](
            design, as_reals(values), *arguments, levels, pixels, waves, **constants, STATES=states, PIXELS=PIXELS
        )
