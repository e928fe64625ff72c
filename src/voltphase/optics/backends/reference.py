"""The plain walk: any kernel, on any device, map after map, with its adjoint in closed form."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from voltphase.core import checks
from voltphase.core.dtypes import exact_linear, matrix_products, with_standard_torch
from voltphase.optics.backends.base import BACKENDS, Backend, Executor, Options, checkpoint_stride
from voltphase.optics.kernels.kernel import Kernel
from voltphase.optics.kernels.map_choice import PER_POINT, Way, cheapest
from voltphase.optics.kernels.maps import LinearMap
from voltphase.optics.stack import Stack, walk


@BACKENDS.register("reference")
class Reference(Backend):
    """The plain walk over one map for each gap, which everything else is compared with."""

    def obstacle(self, stack: Stack, options: Options) -> str | None:
        return None if options.device in ("cpu", "cuda") else _lacking(options.device, options.dtype)

    def cost(self, stack: Stack, options: Options) -> float:
        maps = [cheapest(gap, options.engine).cost.nanoseconds for gap in stack.gaps]
        points = sum(rows * columns for rows, columns in stack.shapes)
        # The first gap is not crossed on the way back.
        one = sum(maps) + sum(maps[1:]) + _PASSES * PER_POINT * points
        return one if options.device == "cpu" else one / CORES_OF_A_GPU

    def compile(self, stack: Stack, options: Options) -> ReferenceExecutor:
        return ReferenceExecutor(stack, options)


# Complex numbers of a micro-batch on one plane of a CPU: half a dozen fields of 128 x 128. A training step takes from
# 9 % less to 1 % more than with all of the batch at once, and what is in work does not grow with the batch.
MICRO_BATCH = 100_000
# Times that a step passes over each plane's points besides what its maps do: modulating there and back, and summing
# the modulation's gradient.
_PASSES = 3.0
# Cores that a GPU is worth: a training step by transforms takes 58 µs an image on an H200 at 200 x 200 and depth 5 in
# batches of 500, and 10 ms on a core.
CORES_OF_A_GPU = 170.0


@functools.cache
def _lacking(device: str, dtype: torch.dtype) -> str | None:
    """Return what PyTorch lacks on a device that nobody has tried, such as Apple's "mps", found out by trying."""
    try:
        some = torch.ones(2, 2, dtype=dtype, device=device)
        torch.fft.ifft2(torch.fft.fft2(some @ some)).conj().abs()
    except (RuntimeError, TypeError, NotImplementedError, AssertionError) as error:
        reason = str(error).partition("\n")[0].rstrip(".")
        return f"PyTorch cannot compute with {dtype} on {device}: {reason}"
    return None


class ReferenceExecutor(Executor):
    """One map for each gap, walked forward, and backward by their adjoints."""

    @with_standard_torch
    def __init__(self, stack: Stack, options: Options) -> None:
        super().__init__(stack, options)
        made: dict[tuple[Kernel, ...], tuple[Way, LinearMap]] = {}
        for gap in stack.gaps:
            if gap not in made:
                way = cheapest(gap, options.engine)
                made[gap] = way, way.build(options.dtype)
        self.engines = tuple(made[gap][0].name for gap in stack.gaps)
        self.maps = nn.ModuleList(made[gap][1] for gap in stack.gaps)

    def micro_batch(self, fields: Tensor) -> int:
        """Return how many fields walk through the stack at a time."""
        if fields.device.type != "cpu":
            return max(1, len(fields))
        largest = max(rows * columns for rows, columns in self.shapes)
        return max(1, MICRO_BATCH // largest)

    def _field(self, images: Tensor, modulations: tuple[Tensor, ...]) -> Tensor:
        inputs = images.to(self.dtype), *modulations
        keep = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in inputs)
        field: Any = _Walk.apply(self, keep, *inputs)
        return field

    def _sums(
        self, images: Tensor, modulations: tuple[Tensor, ...], masks: tuple[Tensor, Tensor], *, amplitude: bool
    ) -> Tensor:
        return summed(self._field(images, modulations), masks, amplitude=amplitude)


class _Walk(torch.autograd.Function):
    """Light through a stack in micro-batches, keeping the fields that arrive on modulated planes and nothing else.

    Of ``stride`` planes in a row one is kept, and the others are walked to again.
    """

    @staticmethod
    def forward(ctx: Any, executor: ReferenceExecutor, keep: bool, fields: Tensor, *modulations: Tensor) -> Tensor:
        maps = cast("list[LinearMap]", list(executor.maps))
        ctx.maps, ctx.tf32, ctx.size = maps, executor.tf32 and executor.training, executor.micro_batch(fields)
        parts = fields.split(ctx.size)
        ctx.stride = checkpoint_stride(len(modulations), len(parts)) if executor.checkpoint_fields else 1
        kept, detected, arrived = [], [], fields
        with matrix_products(fields.device, tf32=ctx.tf32):
            for some in parts:
                for plane, arrived in enumerate(walk(maps, some, modulations), start=1):
                    if keep and plane <= len(modulations) and plane % ctx.stride == 0:
                        kept.append(arrived)
                detected.append(arrived)
        if keep:
            ctx.save_for_backward(*modulations, *([fields] if ctx.stride > 1 else []), *kept)
        return torch.cat(detected)

    @staticmethod
    @checks.first_order
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        depth, stride = len(ctx.maps) - 1, ctx.stride
        modulations, kept = ctx.saved_tensors[:depth], ctx.saved_tensors[depth:]
        sources = kept[0].split(ctx.size) if stride > 1 else ()
        kept, each = kept[int(stride > 1) :], depth // stride
        _, _, wants_fields, *wanted = ctx.needs_input_grad
        found = [torch.zeros_like(one) if want else None for one, want in zip(modulations, wanted, strict=True)]
        first = 0 if wants_fields else wanted.index(True) + 1  # nothing before it needs light
        back = []
        with matrix_products(gradients[0].device, tf32=ctx.tf32):
            for part, gradient in enumerate(gradients[0].split(ctx.size)):
                light = {stride * (index + 1): kept[part * each + index] for index in range(each)}
                light |= {0: sources[part]} if stride > 1 else {}
                for plane in reversed(range(max(first, 1), depth + 1)):
                    gradient = ctx.maps[plane].adjoint(gradient)
                    total = found[plane - 1]
                    if total is not None:
                        _walk_again(light, ctx.maps, modulations, plane, stride)
                        total += torch.linalg.vecdot(light.pop(plane), gradient, dim=0)
                    if plane > first:
                        gradient = modulations[plane - 1].conj() * gradient
                back.append(ctx.maps[0].adjoint(gradient) if wants_fields else None)
        return None, None, torch.cat(back) if wants_fields else None, *found


def _walk_again(
    light: dict[int, Tensor], maps: Sequence[LinearMap], modulations: Sequence[Tensor], plane: int, stride: int
) -> None:
    """Add the fields from the last plane with one up to ``plane``, unless it has one."""
    if plane not in light:
        start = plane // stride * stride
        field = light[start] if start == 0 else modulations[start - 1] * light[start]
        again = walk(maps[start:plane], field, modulations[start : plane - 1])
        light |= dict(enumerate(again, start=start + 1))


def summed(field: Tensor, masks: tuple[Tensor, Tensor], *, amplitude: bool) -> Tensor:
    """Return the light of a field summed over masks; see :meth:`Executor.sums`."""
    light = magnitude(field) if amplitude else field.real.square() + field.imag.square()
    rows, columns = (mask.to(light.dtype) for mask in masks)
    by_row = exact_linear(lambda light: light @ columns, lambda sums: sums @ columns.mT, light)
    return (by_row * rows).sum(-2)


def magnitude(field: Tensor) -> Tensor:
    """Return ``abs(field)``, whose slope is 0 where it is dark.

    Args:
        field: A complex tensor.
    """
    # Of numbers below the normal ones torch finds a slope that is not a number: they are dark.
    dark = field.detach().abs() < torch.finfo(field.dtype).tiny
    return torch.where(dark, 0, field).abs()
