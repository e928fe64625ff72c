"""The back end for CPUs, registered as ``cpu``: a stack as one function, with its adjoint in closed form."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from voltphase.core import checks
from voltphase.core.buffers import borrow
from voltphase.core.dtypes import matrix_products, with_standard_torch
from voltphase.optics.backends.base import BACKENDS, Backend, Executor, Options
from voltphase.optics.backends.cpu.layout import FieldLayout
from voltphase.optics.backends.cpu.micro_batches import MicroBatches
from voltphase.optics.backends.cpu.packed_map import PackedMap
from voltphase.optics.backends.cpu.planner import Plan, build_maps, make_plan, missing
from voltphase.optics.backends.cpu.region_sums import AmplitudeSums, IntensitySums, RegionSums
from voltphase.optics.stack import Stack


@BACKENDS.register("cpu")
class CpuBackend(Backend):
    """Matrix products of even and odd parts, and Fourier transforms, in micro-batches that stay in the caches."""

    def obstacle(self, stack: Stack, options: Options) -> str | None:
        return missing(stack, options.engine) if options.device == "cpu" else "it runs on CPUs alone"

    def cost(self, stack: Stack, options: Options) -> float:
        return make_plan(stack, options.engine).work.nanoseconds

    @with_standard_torch
    def compile(self, stack: Stack, options: Options) -> Executor:
        return CpuExecutor(stack, options, make_plan(stack, options.engine))


class CpuExecutor(Executor):
    """Images through modulated planes to a detector, in micro-batches that stay in the caches.

    What is kept for the backward pass is the field on each plane, or on some, and nothing else.
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
        return MicroBatches(maps, transposes, modulations, batch, checkpointed=self.checkpoint_fields)

    def _field(self, images: Tensor, modulations: tuple[Tensor, ...]) -> Tensor:
        return self._read(_Fields(self.layouts[-1], self.dtype), images, modulations)

    def _sums(
        self, images: Tensor, modulations: tuple[Tensor, ...], masks: tuple[Tensor, Tensor], *, amplitude: bool
    ) -> Tensor:
        kind = AmplitudeSums if amplitude else IntensitySums
        return self._read(kind(self.layouts[-1], *masks, self.dtype.to_real()), images, modulations)

    def _read(self, read: _Fields | RegionSums, images: Tensor, modulations: tuple[Tensor, ...]) -> Tensor:
        keep = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in (images, *modulations))
        return _Light.apply(self, keep, read, images, *modulations)


class _Fields:
    """The detector's fields as they are, where :class:`RegionSums` sums their light."""

    def __init__(self, layout: FieldLayout, dtype: torch.dtype) -> None:
        self.layout, self.dtype = layout, dtype

    def empty(self, images: Tensor) -> Tensor:
        return borrow((len(images), *self.layout.shape), self.dtype, images.device)

    def sums(self, field: Tensor, free: Tensor) -> Tensor:
        return self.layout.unpack(field)

    def conjugate_gradient(self, gradient: Tensor, field: Tensor, out: Tensor) -> None:
        out.copy_(self.layout.pack(gradient).conj())


class _Light(torch.autograd.Function):
    """What is read of the light on the detector: its field, or sums."""

    @staticmethod
    def forward(
        ctx: Any, executor: CpuExecutor, keep: bool, read: _Fields | RegionSums, images: Tensor, *modulations: Tensor
    ) -> Tensor:
        packed = [
            layout.pack(modulation[None]).contiguous()
            for layout, modulation in zip(executor.layouts, modulations, strict=False)
        ]
        ctx.executor, ctx.read, ctx.batch, ctx.real = executor, read, len(images), not images.is_complex()
        ctx.tf32 = executor.tf32 and executor.training
        found, kept = read.empty(images), [] if keep else None
        with matrix_products(images.device, tf32=ctx.tf32):
            for part, field, free in executor.micro_batches(packed, ctx.batch).forward(images, kept):
                found[part] = read.sums(field, free)
        if kept is not None:
            ctx.save_for_backward(*packed, images if executor.checkpoint_fields else None, *kept)
        return found

    @staticmethod
    @checks.first_order
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        executor: CpuExecutor = ctx.executor
        depth = len(executor.layouts) - 1
        modulations, images, *kept = ctx.saved_tensors[:depth], *ctx.saved_tensors[depth:]

        def seed(part: slice, field: Tensor, out: Tensor) -> None:
            ctx.read.conjugate_gradient(gradients[0][part], field, out)

        with matrix_products(modulations[0].device, tf32=ctx.tf32):
            batches = executor.micro_batches(modulations, ctx.batch)
            slopes, found = batches.backward(images, kept, seed, ctx.needs_input_grad[3:])
        return None, None, None, (slopes.real if ctx.real and slopes is not None else slopes), *found
