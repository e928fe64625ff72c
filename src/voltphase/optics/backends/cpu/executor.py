"""A stack as one function of images and modulations, with its adjoint in closed form."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from voltphase.core import checks
from voltphase.core.buffers import borrow
from voltphase.core.dtypes import matrix_products
from voltphase.optics.backends.base import Executor, Options
from voltphase.optics.backends.cpu.layout import FieldLayout
from voltphase.optics.backends.cpu.micro_batches import MicroBatches
from voltphase.optics.backends.cpu.packed_map import PackedMap
from voltphase.optics.backends.cpu.planner import Plan, build_maps
from voltphase.optics.backends.cpu.region_sums import AmplitudeSums, IntensitySums, RegionSums
from voltphase.optics.stack import Stack


class CpuExecutor(Executor):
    """Images through modulated planes to a detector, in micro-batches that stay in the caches.

    What is kept for the backward pass is the field on each plane and nothing else.

    Args:
        stack: Kernels between the planes.
        options: Precision.
        plan: How each kernel is applied.
    """

    def __init__(self, stack: Stack, options: Options, plan: Plan) -> None:
        super().__init__(stack, options)
        self.engines = plan.engines
        maps = build_maps(plan, options.dtype)
        transposes = {each: each.transposed() for each in dict.fromkeys(maps)}
        self.maps = nn.ModuleList(maps)
        self.transposes = nn.ModuleList(transposes[each] for each in maps)
        self.layouts: list[FieldLayout] = [each.target for each in maps]

    def micro_batches(self, modulations: Sequence[Tensor], batch: int) -> MicroBatches:
        """Return what runs ``batch`` images with packed modulations."""
        maps, transposes = (cast(list[PackedMap], list(modules)) for modules in (self.maps, self.transposes))
        return MicroBatches(maps, transposes, modulations, batch)

    def _field(self, images: Tensor, modulations: tuple[Tensor, ...]) -> Tensor:
        return _Field.apply(self, _is_differentiated(images, *modulations), images, *modulations)

    def _sums(
        self, images: Tensor, modulations: tuple[Tensor, ...], masks: tuple[Tensor, Tensor], *, amplitude: bool
    ) -> Tensor:
        kind = AmplitudeSums if amplitude else IntensitySums
        regions = kind(self.layouts[-1], *masks, self.dtype.to_real())
        return _Sums.apply(self, _is_differentiated(images, *modulations), regions, images, *modulations)


def _is_differentiated(*inputs: Tensor) -> bool:
    return torch.is_grad_enabled() and any(tensor.requires_grad for tensor in inputs)


class _Field(torch.autograd.Function):
    """The detector field."""

    @staticmethod
    def forward(ctx: Any, executor: CpuExecutor, keep: bool, images: Tensor, *modulations: Tensor) -> Tensor:
        layout = executor.layouts[-1]
        fields = borrow((len(images), *layout.shape), executor.dtype, images.device)

        def receive(part: slice, field: Tensor, _: Tensor) -> None:
            fields[part] = layout.unpack(field)

        _forward(ctx, executor, keep, receive, images, modulations)
        return fields

    @staticmethod
    @checks.first_order
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        def seed(part: slice, field: Tensor, out: Tensor) -> None:
            out.copy_(ctx.executor.layouts[-1].pack(gradients[0][part]).conj())

        return None, None, *_backward(ctx, seed, ctx.needs_input_grad[2:])


class _Sums(torch.autograd.Function):
    """Sums of light on the detector."""

    @staticmethod
    def forward(
        ctx: Any, executor: CpuExecutor, keep: bool, regions: RegionSums, images: Tensor, *modulations: Tensor
    ) -> Tensor:
        ctx.regions = regions
        sums = images.new_empty(len(images), regions.count, dtype=executor.dtype.to_real())

        def receive(part: slice, field: Tensor, free: Tensor) -> None:
            sums[part] = regions.sums(field, free)

        _forward(ctx, executor, keep, receive, images, modulations)
        return sums

    @staticmethod
    @checks.first_order
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        def seed(part: slice, field: Tensor, out: Tensor) -> None:
            ctx.regions.conjugate_gradient(gradients[0][part], field, out)

        return None, None, None, *_backward(ctx, seed, ctx.needs_input_grad[3:])


def _forward(
    ctx: Any,
    executor: CpuExecutor,
    keep: bool,
    receive: Callable[[slice, Tensor, Tensor], None],
    images: Tensor,
    modulations: tuple[Tensor, ...],
) -> None:
    packed = [
        layout.pack(modulation[None]).contiguous()
        for layout, modulation in zip(executor.layouts, modulations, strict=False)
    ]
    ctx.executor, ctx.batch, ctx.real = executor, len(images), not images.is_complex()
    ctx.tf32 = executor.tf32 and executor.training
    kept = [] if keep else None
    with matrix_products(images.device, tf32=ctx.tf32):
        for part, field, free in executor.micro_batches(packed, ctx.batch).forward(images, kept):
            receive(part, field, free)
    if kept is not None:
        ctx.save_for_backward(*packed, *kept)


def _backward(
    ctx: Any, seed: Callable[[slice, Tensor, Tensor], None], wanted: Sequence[bool]
) -> tuple[Tensor | None, ...]:
    executor: CpuExecutor = ctx.executor
    depth = len(executor.layouts) - 1
    modulations, kept = ctx.saved_tensors[:depth], ctx.saved_tensors[depth:]
    with matrix_products(modulations[0].device, tf32=ctx.tf32):
        images, gradients = executor.micro_batches(modulations, ctx.batch).backward(kept, seed, wanted)
    return (images.real if ctx.real and images is not None else images), *gradients
