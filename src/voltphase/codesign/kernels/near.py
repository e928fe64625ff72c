"""The states near a point on a GPU: one launch forward and one backward, however many levels there are."""

from __future__ import annotations

# To a type checker a kernel is Python, which it is not.
# pyright: reportArgumentType=false, reportGeneralTypeIssues=false, reportOperatorIssue=false
from typing import Any, Final

import torch
import triton
import triton.language as tl
from torch import Tensor

from voltphase.codesign.kernels.draws import PIXELS, as_reals, first_highest, higher, on_device
from voltphase.core import checks

# States that a program works on at a time: six sums for each of 64 x 16 numbers are 48 registers a thread.
STATES: Final = 16
# Pixels of a program of the backward pass.
_WIDE: Final = 256


@triton.jit
def nearness(x, y, values, excess, level, levels):
    """Return minus the square distance of points from states, -inf outside, and the states."""
    there = level < levels
    real, imag = tl.load(values + 2 * level, there, 0), tl.load(values + 2 * level + 1, there, 0)
    square = (x - real) * (x - real) + (y - imag) * (y - imag)
    if excess is not None:
        square += tl.load(excess + level, there, 0)
    return tl.where(there, -square, -float("inf")), real, imag


@triton.jit
def nearest(x, y, values, excess, levels, STATES: tl.constexpr, PIXELS: tl.constexpr):
    """Return the highest nearness of each pixel, and the first level that has it."""
    best = tl.full([STATES, PIXELS], -float("inf"), x.dtype)
    at = tl.zeros([STATES, PIXELS], tl.int32)
    for start in range(0, levels, STATES):
        level = start + tl.arange(0, STATES)[:, None]
        score, _, _ = nearness(x, y, values, excess, level, levels)
        best, at = higher(score, level, best, at)
    return first_highest(best, at, levels)


@triton.jit
def nearest_kernel(design, values, excess, choice, levels, pixels, STATES: tl.constexpr, PIXELS: tl.constexpr):
    """Write the level of the state nearest to each point."""
    pixel = tl.program_id(0) * PIXELS + tl.arange(0, PIXELS)[None, :]
    inside = pixel < pixels
    x, y = tl.load(design + pixel, inside, 0), tl.load(design + pixels + pixel, inside, 0)
    _, first = nearest(x, y, values, excess, levels, STATES, PIXELS)
    tl.store(choice + pixel, first.to(tl.int64), inside)


@triton.jit
def inverse_square_spacing(values, levels, FLOOR: tl.constexpr, ALL: tl.constexpr):
    """Return 1 over the square of the spacing; see :func:`voltphase.codesign.relaxations.proximity.spacing`."""
    level = tl.arange(0, ALL)
    there = level < levels
    real, imag = tl.load(values + 2 * level, there, 0), tl.load(values + 2 * level + 1, there, 0)
    real = tl.where(there, real - tl.sum(real, axis=0) / levels, 0)
    imag = tl.where(there, imag - tl.sum(imag, axis=0) / levels, 0)
    variance = tl.sum(real * real + imag * imag, axis=0) / levels
    return tl.where(variance > FLOOR, levels / tl.maximum(variance, FLOOR), 1)


@triton.jit
def near_kernel(
    design,
    values,
    excess,
    temperature,
    modulation,
    jacobian,
    levels,
    pixels,
    HARD: tl.constexpr,
    FLOOR: tl.constexpr,
    ALL: tl.constexpr,
    STATES: tl.constexpr,
    PIXELS: tl.constexpr,
):
    """Write the nearest state or the mix, and the Jacobian of the mix: moments about the nearest, from the others."""
    pixel = tl.program_id(0) * PIXELS + tl.arange(0, PIXELS)[None, :]
    inside = pixel < pixels
    x, y = tl.load(design + pixel, inside, 0), tl.load(design + pixels + pixel, inside, 0)
    best, chosen = nearest(x, y, values, excess, levels, STATES, PIXELS)
    real, imag = tl.load(values + 2 * chosen), tl.load(values + 2 * chosen + 1)
    steepness = inverse_square_spacing(values, levels, FLOOR, ALL) / tl.load(temperature)

    others = tl.zeros([STATES, PIXELS], x.dtype)
    sum_x, sum_y, sum_xx, sum_xy, sum_yy = others, others, others, others, others
    for start in range(0, levels, STATES):
        level = start + tl.arange(0, STATES)[:, None]
        score, state_x, state_y = nearness(x, y, values, excess, level, levels)
        weight = tl.exp((score - best) * (0.5 * steepness))
        weight = tl.where((level < levels) & (level != chosen), weight, 0)
        off_x, off_y = state_x - real, state_y - imag
        others += weight
        sum_x += weight * off_x
        sum_y += weight * off_y
        sum_xx += weight * off_x * off_x
        sum_xy += weight * off_x * off_y
        sum_yy += weight * off_y * off_y
    norm = 1 / (1 + tl.sum(others, axis=0, keep_dims=True))
    mean_x, mean_y = tl.sum(sum_x, axis=0, keep_dims=True) * norm, tl.sum(sum_y, axis=0, keep_dims=True) * norm
    xx = tl.sum(sum_xx, axis=0, keep_dims=True) * norm - mean_x * mean_x
    xy = tl.sum(sum_xy, axis=0, keep_dims=True) * norm - mean_x * mean_y
    yy = tl.sum(sum_yy, axis=0, keep_dims=True) * norm - mean_y * mean_y
    if not HARD:
        real += mean_x
        imag += mean_y
    tl.store(modulation + 2 * pixel, real, inside)
    tl.store(modulation + 2 * pixel + 1, imag, inside)
    tl.store(jacobian + pixel, xx * steepness, inside)
    tl.store(jacobian + pixels + pixel, xy * steepness, inside)
    tl.store(jacobian + 2 * pixels + pixel, yy * steepness, inside)


@triton.jit
def near_gradient_kernel(jacobian, slope, gradient, pixels, BLOCK: tl.constexpr):
    """Write the gradient of the points."""
    pixel = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = pixel < pixels
    real, imag = tl.load(slope + 2 * pixel, inside, 0), tl.load(slope + 2 * pixel + 1, inside, 0)
    xx, xy = tl.load(jacobian + pixel, inside, 0), tl.load(jacobian + pixels + pixel, inside, 0)
    yy = tl.load(jacobian + 2 * pixels + pixel, inside, 0)
    tl.store(gradient + pixel, xx * real + xy * imag, inside)
    tl.store(gradient + pixels + pixel, xy * real + yy * imag, inside)


def nearest_levels(design: Tensor, values: Tensor, excess: Tensor | None) -> Tensor:
    """Return the first level of the state nearest to each of ``2 x pixels`` points, int64."""
    design = design.contiguous()
    choice = torch.empty(design.shape[1], dtype=torch.int64, device=design.device)
    _launch(nearest_kernel, design, as_reals(values), excess, choice)
    return choice


class Near(torch.autograd.Function):
    """The modulation of :class:`voltphase.codesign.relaxations.proximity.Proximity`, nearest states or their mix."""

    @staticmethod
    def forward(
        ctx: Any, design: Tensor, values: Tensor, temperature: float | Tensor, hard: bool, excess: Tensor | None
    ) -> Tensor:
        flat = design.flatten(1).contiguous()
        about = torch.finfo(flat.dtype)
        modulation = torch.empty(design.shape[1:], dtype=values.dtype, device=flat.device)
        jacobian = flat.new_empty(3, flat.shape[1])
        settings = {"HARD": hard, "FLOOR": about.tiny / about.eps, "ALL": triton.next_power_of_2(len(values))}
        tensors = (excess, on_device(temperature, flat), torch.view_as_real(modulation), jacobian)
        _launch(near_kernel, flat, as_reals(values), *tensors, **settings)
        ctx.save_for_backward(jacobian)
        return modulation

    @staticmethod
    @checks.first_order
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (jacobian,) = ctx.saved_tensors
        pixels, slope = jacobian.shape[1], as_reals(gradients[0])
        gradient = jacobian.new_empty(2, *gradients[0].shape)
        with torch.cuda.device_of(slope):
            launch: Any = near_gradient_kernel[triton.cdiv(pixels, _WIDE),]
            launch(jacobian, slope, gradient, pixels, BLOCK=_WIDE)
        return gradient, *(None,) * 4


def _launch(kernel: Any, design: Tensor, values: Tensor, *arguments: Tensor | None, **constants: Any) -> None:
    """Run a kernel over all blocks of the pixels of ``2 x pixels`` points."""
    levels, pixels = len(values), design.shape[1]
    states = min(STATES, triton.next_power_of_2(levels))
    with torch.cuda.device_of(design):
        kernel[triton.cdiv(pixels, PIXELS),](
            design, values, *arguments, levels, pixels, **constants, STATES=states, PIXELS=PIXELS
        )
