"""A stack on a GPU as one function of images and modulations, with its adjoint in closed form."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn

from voltphase.core import checks
from voltphase.core.dtypes import matrix_products
from voltphase.optics.backends.base import Executor, Options
from voltphase.optics.backends.cuda.hops import Hop, Plane
from voltphase.optics.backends.cuda.kernels import modulate
from voltphase.optics.backends.cuda.layout import Images
from voltphase.optics.backends.cuda.region_sums import region_gradient, region_sums
from voltphase.optics.kernels.kernel import Separable
from voltphase.optics.stack import Stack


class Regions(NamedTuple):
    """Sums of light over regions, as what is read of a detector.

    Attributes:
        rows: Weight of each row in each region, float32.
        columns: Weight of each column in each region, float32.
        amplitude: Whether the amplitude is summed instead of the intensity.
    """

    rows: Tensor
    columns: Tensor
    amplitude: bool


class CudaExecutor(Executor):
    """Images through modulated planes to a detector, all of a batch at once.

    Products are cuBLAS's, on even and odd parts; all that happens between two of them is one kernel. What is kept for
    the backward pass is the field on each plane whose modulation is learned, in halves, and the detector's. Nothing
    waits for the device and no size depends on data: a CUDA graph can hold it, whose memory is PyTorch's to manage.

    Args:
        stack: Kernels between the planes.
        options: Precision.
        hops: The separable kernels that light meets.
        planes: What multiplies light between them.
    """

    def __init__(self, stack: Stack, options: Options, hops: Sequence[Separable], planes: Sequence[Plane]) -> None:
        super().__init__(stack, options)
        self.engines = ("matrix",) * len(stack.gaps)
        made = {kernel: Hop.there_and_back(kernel, self.dtype) for kernel in dict.fromkeys(hops)}
        self.hops = nn.ModuleList(made[kernel][0] for kernel in hops)
        self.transposes = nn.ModuleList(made[kernel][1] for kernel in hops)
        self.planes = planes
        for index, plane in enumerate(planes):
            factors = [one.factor for one in plane.factors]
            factor = torch.stack(factors).prod(0).to(self.dtype) if factors else None
            self.register_buffer(f"factor{index}", factor, persistent=False)

    def _field(self, images: Tensor, modulations: tuple[Tensor, ...]) -> Tensor:
        return self._read(None, images, modulations)

    def _sums(
        self, images: Tensor, modulations: tuple[Tensor, ...], masks: tuple[Tensor, Tensor], *, amplitude: bool
    ) -> Tensor:
        rows, columns = (_plain(mask.to(self.dtype.to_real())) for mask in masks)
        return self._read(Regions(rows, columns, amplitude), images, modulations)

    def _read(self, regions: Regions | None, images: Tensor, modulations: Sequence[Tensor]) -> Tensor:
        multipliers = [self._multiplier(index, modulations) for index in range(len(self.planes))]
        inputs = images, *multipliers
        keep = torch.is_grad_enabled() and any(one is not None and one.requires_grad for one in inputs)
        return _Light.apply(self, keep, regions, *inputs)

    def _multiplier(self, index: int, modulations: Sequence[Tensor]) -> Tensor | None:
        """Return what multiplies light on a plane, or None where nothing does."""
        product: Tensor | None = getattr(self, f"factor{index}")
        for number in self.planes[index].modulations:
            product = modulations[number] if product is None else product * modulations[number]
        return product

    def maps(self) -> tuple[list[Hop], list[Hop]]:
        """Return the maps between planes, and their transposes."""
        return cast("list[Hop]", list(self.hops)), cast("list[Hop]", list(self.transposes))


class _Light(torch.autograd.Function):
    """What is read of the light on the detector: its field, or sums."""

    @staticmethod
    def forward(
        ctx: Any, executor: CudaExecutor, keep: bool, regions: Regions | None, images: Tensor, *factors: Tensor | None
    ) -> Tensor:
        hops, _ = executor.maps()
        batch = len(images)
        ctx.executor, ctx.regions, ctx.batch = executor, regions, batch
        ctx.real, ctx.tf32 = not images.is_complex(), executor.tf32 and executor.training
        factors = tuple(None if factor is None else _plain(factor) for factor in factors)
        # A plane's field is needed for the gradient of what multiplies it, the detector's for that of all.
        kept = [keep and wanted for wanted in (*ctx.needs_input_grad[4:], True)]
        fields: list[Tensor | None] = []
        field, layout = _plain(images), Images(hops[0].source.shape)
        with _running(images, tf32=ctx.tf32):
            here, there = _buffers(hops, batch, images)
            for hop, factor, keeping in zip(hops, (None, *factors), kept, strict=True):
                packed = hop.source.view(here, batch)
                modulate(field, layout, packed, hop.source, factor=factor)
                field = here.new_empty(hop.target.sizes(batch)) if keeping else hop.target.view(here, batch)
                hop(packed, there, field)
                fields.append(field if keeping else None)
                if not keeping:
                    here, there = there, here
                layout = hop.target
            found = _read(field, layout, regions)
        if keep:
            ctx.save_for_backward(*factors, *fields)
        return found

    @staticmethod
    @checks.first_order
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        executor: CudaExecutor = ctx.executor
        _, transposes = executor.maps()
        _, _, _, wants_images, *wanted = ctx.needs_input_grad
        factors, fields = ctx.saved_tensors[: len(wanted)], ctx.saved_tensors[len(wanted) :]
        found: list[Tensor | None] = [None] * len(wanted)
        images: Tensor | None = None
        with _running(gradients[0], tf32=ctx.tf32):
            here, there = _buffers(transposes, ctx.batch, gradients[0])
            # Gradients travel as their conjugates: then the adjoint of a kernel is its transpose, that of a modulation
            # is the modulation, and nothing is conjugated on the way.
            _seed(_plain(gradients[0]), fields[-1], transposes[-1].source.view(here, ctx.batch), ctx, transposes[-1])
            for index in reversed(range(len(transposes))):
                hop = transposes[index]
                arrived = hop.target.view(here, ctx.batch)
                hop(hop.source.view(here, ctx.batch), there, arrived)
                if index == 0:  # which is only come to if the images' gradient is wanted
                    images = here.new_empty((ctx.batch, *hop.target.shape))
                    modulate(arrived, hop.target, images, Images(hop.target.shape), conjugate=True)
                    break
                layout = transposes[index - 1].source
                onward = wants_images or any(wanted[: index - 1])
                found[index - 1] = modulate(
                    arrived,
                    hop.target,
                    layout.view(there, ctx.batch) if onward else None,
                    layout,
                    factor=factors[index - 1],
                    field=fields[index - 1] if wanted[index - 1] else None,
                )
                if not onward:
                    break
                here, there = there, here
        return None, None, None, (images.real if ctx.real and images is not None else images), *found


def _read(field: Tensor, layout: Any, regions: Regions | None) -> Tensor:
    if regions is not None:
        return region_sums(field, layout, regions.rows, regions.columns, amplitude=regions.amplitude)
    found = field.new_empty((field.shape[3], *layout.shape))
    modulate(field, layout, found, Images(layout.shape))
    return found


def _seed(gradient: Tensor, field: Tensor, out: Tensor, ctx: Any, hop: Hop) -> None:
    """Write the conjugate of the gradient of the detector's field."""
    layout, regions = hop.source, ctx.regions
    if regions is None:
        modulate(gradient, Images(layout.shape), out, layout, conjugate=True)
    else:
        region_gradient(field, layout, regions.rows, regions.columns, gradient, out, amplitude=regions.amplitude)


def _buffers(hops: Sequence[Hop], batch: int, like: Tensor) -> tuple[Tensor, Tensor]:
    """Return two flat buffers that hold a batch wherever it is."""
    scratch = max(hop.scratch for hop in hops)
    one, other = torch.empty((2, batch * scratch), dtype=hops[0].rows.dtype, device=like.device)
    return one, other


@contextmanager
def _running(like: Tensor, *, tf32: bool) -> Iterator[None]:
    """Let kernels start on a tensor's device, and matrix products round to TF32 or not."""
    with torch.cuda.device_of(like), matrix_products(like.device, tf32=tf32):
        yield


def _plain(tensor: Tensor) -> Tensor:
    """Return a tensor as its memory shows it."""
    return tensor.resolve_conj().resolve_neg().contiguous()
