"""A stack on a GPU as one function of images and modulations, with its adjoint in closed form."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar, Final, NamedTuple, cast

import torch
from torch import Tensor, nn

from voltphase.core import checks
from voltphase.core.dtypes import matrix_products
from voltphase.optics.backends.base import Executor, Options, checkpoint_stride
from voltphase.optics.backends.cuda.fused import InputPrecision, modulated_columns, rows_product
from voltphase.optics.backends.cuda.hops import Hop, Plane
from voltphase.optics.backends.cuda.kernels import modulate
from voltphase.optics.backends.cuda.layout import Images, Packed
from voltphase.optics.backends.cuda.region_sums import region_gradient, region_sums
from voltphase.optics.kernels.kernel import Separable
from voltphase.optics.stack import Stack

#: Whether modulating and multiplying along the columns are one kernel where they can be: not before it is measured.
FUSED: Final = False


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
    the backward pass is the field on each plane whose modulation is learned, in halves, and the detector's; or, with
    checkpointed fields, that on one plane of several. Nothing waits for the device and no size depends on data: a CUDA
    graph can hold it, whose memory is PyTorch's to manage.

    Args:
        stack: Kernels between the planes.
        options: Precision.
        hops: The separable kernels that light meets.
        planes: What multiplies light between them.
        fused: Whether planes are modulated in the same kernel as the products along the columns, where columns are in
            halves and multiplied first; see :mod:`voltphase.optics.backends.cuda.fused`.

    Attributes:
        rounding: How the products of fused kernels round, without TF32 and with it.
    """

    rounding: ClassVar[dict[bool, InputPrecision]] = {False: "ieee", True: "tf32"}

    def __init__(
        self,
        stack: Stack,
        options: Options,
        hops: Sequence[Separable],
        planes: Sequence[Plane],
        *,
        fused: bool = FUSED,
    ) -> None:
        super().__init__(stack, options)
        self.engines = ("matrix",) * len(stack.gaps)
        made = {kernel: Hop.there_and_back(kernel, self.dtype) for kernel in dict.fromkeys(hops)}
        self.hops = nn.ModuleList(made[kernel][0] for kernel in hops)
        self.transposes = nn.ModuleList(made[kernel][1] for kernel in hops)
        self.planes, self.fused = planes, fused
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

    def cross(
        self,
        hop: Hop,
        field: Tensor,
        layout: Packed,
        buffers: list[Tensor],
        *,
        factor: Tensor | None,
        light: Tensor | None = None,
        keep: bool = False,
        tf32: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """Modulate the fields on a plane and take them across a hop.

        Args:
            hop: Hop to the next plane.
            field: Fields on the plane.
            layout: Where they lie.
            buffers: Two flat buffers, of which the second may hold the fields; afterwards it may hold what arrives.
            factor: Factor of each sample; None for 1.
            light: Fields in the layout of the hop's source, with which the factor's gradient is summed.
            keep: Whether the fields that arrive are kept, in memory of their own.
            tf32: Whether fused kernels round to TF32.

        Returns:
            The fields that arrive, and the gradient of the factor, or None without ``light``.
        """
        free, busy = buffers
        batch = field.shape[3]
        fused = self.fused and factor is not None and hop.source.split[1] and hop.columns_first
        arrived = free.new_empty(hop.target.sizes(batch)) if keep else hop.target.view(busy if fused else free, batch)
        if fused:
            between, precision = hop.view_between(free, batch), self.rounding[tf32]
            gradient = modulated_columns(
                field, layout, hop, between, factor=cast(Tensor, factor), field=light, precision=precision
            )
            rows_product(hop, between, arrived, precision=precision)
        else:
            packed = hop.source.view(free, batch)
            gradient = modulate(field, layout, packed, hop.source, factor=factor, field=light)
            hop(packed, busy, arrived)
            if not keep:
                buffers.reverse()
        return arrived, gradient

    def walk(
        self,
        light: Tensor,
        factors: Sequence[Tensor | None],
        buffers: list[Tensor],
        kept: Sequence[bool],
        *,
        start: int = 0,
        tf32: bool = False,
    ) -> list[Tensor]:
        """Take light across some hops in a row, and return the fields behind each.

        Args:
            light: Images, or the fields in front of a hop that is not the first.
            factors: Factor of each plane, as for :meth:`cross`.
            buffers: Two flat buffers, as for :meth:`cross`; of images, both are free.
            kept: Of each of these hops, whether the fields behind it are kept, in memory of their own.
            start: Number of the first of these hops.
            tf32: Whether fused kernels round to TF32.
        """
        hops, _ = self.maps()
        fields = []
        for number, keep in enumerate(kept, start=start):
            hop = hops[number]
            if number == 0:
                batch = len(light)
                packed = hop.source.view(buffers[1], batch)
                modulate(_plain(light), Images(hop.source.shape), packed, hop.source)
                light = packed.new_empty(hop.target.sizes(batch)) if keep else hop.target.view(buffers[1], batch)
                hop(packed, buffers[0], light)
            else:
                before, factor = hops[number - 1].target, factors[number - 1]
                light, _ = self.cross(hop, light, before, buffers, factor=factor, keep=keep, tf32=tf32)
            fields.append(light)
        return fields

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
        ctx.executor, ctx.regions, ctx.batch = executor, regions, len(images)
        ctx.real, ctx.tf32 = not images.is_complex(), executor.tf32 and executor.training
        factors = tuple(None if factor is None else _plain(factor) for factor in factors)
        # A plane's field is needed for the gradient of what multiplies it, the detector's for that of all.
        kept = [keep and wanted for wanted in (*ctx.needs_input_grad[4:], True)]
        ctx.stride = checkpoint_stride(len(hops), 1) if executor.checkpoint_fields else 1
        if ctx.stride > 1:
            kept = [keep and number % ctx.stride == 0 for number in range(1, len(hops))] + [False]
        with _running(images, tf32=ctx.tf32):
            fields = executor.walk(images, factors, _buffers(hops, images), kept, tf32=ctx.tf32)
            found = _read(fields[-1], hops[-1].target, regions)
        if keep:
            needed = (one if keeping else None for one, keeping in zip(fields, kept, strict=True))
            ctx.save_for_backward(*factors, images if ctx.stride > 1 else None, *needed)
        return found

    @staticmethod
    @checks.first_order
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        executor: CudaExecutor = ctx.executor
        _, transposes = executor.maps()
        _, _, _, wants_images, *wanted = ctx.needs_input_grad
        factors, (source, *fields) = ctx.saved_tensors[: len(wanted)], ctx.saved_tensors[len(wanted) :]
        found: list[Tensor | None] = [None] * len(wanted)
        images: Tensor | None = None
        with _running(gradients[0], tf32=ctx.tf32):
            # Gradients travel as their conjugates: then the adjoint of a kernel is its transpose, that of a modulation
            # is the modulation, and nothing is conjugated on the way.
            # Light that crosses hops again needs a buffer of its own beside the gradient, which is in the second.
            first, second, *third = _buffers(transposes, gradients[0], 3 if ctx.stride > 1 else 2)
            buffers, last = [first, second], transposes[-1]

            def field_behind(number: int) -> Tensor:
                if fields[number] is None:
                    start = number // ctx.stride * ctx.stride
                    light, kept = source if start == 0 else fields[start - 1], [True] * (number + 1 - start)
                    fields[start : number + 1] = executor.walk(
                        light, factors, [buffers[0], *third], kept, start=start, tf32=ctx.tf32
                    )
                return fields.pop(number)

            detected = field_behind(len(wanted))
            packed, field = (layout.view(buffers[1], ctx.batch) for layout in (last.source, last.target))
            _seed(_plain(gradients[0]), detected, last.source, packed, ctx.regions)
            last(packed, buffers[0], field)
            for index in reversed(range(len(wanted))):
                hop, layout = transposes[index], transposes[index + 1].target
                factor, light = factors[index], field_behind(index) if wanted[index] else None
                if not (wants_images or any(wanted[:index])):
                    found[index] = modulate(field, layout, None, hop.source, factor=factor, field=light)
                    break
                field, found[index] = executor.cross(
                    hop, field, layout, buffers, factor=factor, light=light, tf32=ctx.tf32
                )
            else:
                shape = transposes[0].target.shape
                images = field.new_empty((ctx.batch, *shape))
                modulate(field, transposes[0].target, images, Images(shape), conjugate=True)
        return None, None, None, (images.real if ctx.real and images is not None else images), *found


def _read(field: Tensor, layout: Packed, regions: Regions | None) -> Tensor:
    if regions is not None:
        return region_sums(field, layout, regions.rows, regions.columns, amplitude=regions.amplitude)
    found = field.new_empty((field.shape[3], *layout.shape))
    modulate(field, layout, found, Images(layout.shape))
    return found


def _seed(gradient: Tensor, field: Tensor, layout: Packed, out: Tensor, regions: Regions | None) -> None:
    """Write the conjugate of the gradient of the detector's field."""
    if regions is None:
        modulate(gradient, Images(layout.shape), out, layout, conjugate=True)
    else:
        region_gradient(field, layout, regions.rows, regions.columns, gradient, out, amplitude=regions.amplitude)


def _buffers(hops: Sequence[Hop], like: Tensor, count: int = 2) -> list[Tensor]:
    """Return flat buffers that hold a batch wherever it is."""
    scratch = max(hop.scratch for hop in hops)
    return [*torch.empty((count, len(like) * scratch), dtype=hops[0].rows.dtype, device=like.device)]


@contextmanager
def _running(like: Tensor, *, tf32: bool) -> Iterator[None]:
    """Let kernels start on a tensor's device, and matrix products round to TF32 or not."""
    with torch.cuda.device_of(like), matrix_products(like.device, tf32=tf32):
        yield


def _plain(tensor: Tensor) -> Tensor:
    """Return a tensor as its memory shows it."""
    return tensor.resolve_conj().resolve_neg().contiguous()
