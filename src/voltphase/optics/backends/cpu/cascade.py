"""The whole system, from images to the light on the detector, as one function with its adjoint in closed form."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from voltphase.core import checks
from voltphase.core.buffers import borrow
from voltphase.core.dtypes import FixedDtype, uncompiled, with_standard_torch
from voltphase.core.errors import GeometryError
from voltphase.optics.backends.cpu.executor import Pass
from voltphase.optics.backends.cpu.layout import Plane
from voltphase.optics.backends.cpu.matrix import Hop
from voltphase.optics.backends.cpu.planner import Engine, Step, make_plan
from voltphase.optics.backends.cpu.region_sums import AmplitudeMasks, IntensityMasks, Masks
from voltphase.optics.images import checked_images, require_batch
from voltphase.optics.precision import matrix_products


class Cascade(FixedDtype):
    """Images through modulated planes to a detector, at once.

    Computes ``u = first(images)``, then ``u = between[l](modulations[l] * u)`` from plane to plane, and at the end
    ``last(modulations[-1] * u)``. Gradients reach the modulations and, if asked for, the images. What is kept for the
    backward pass is the field on each plane and nothing else; the batch is worked through in micro-batches.

    A kernel is a pair ``(Ky, Kx)`` standing for ``Ky @ u @ Kx.T``, rectangular where the planes differ; a
    ``Transfer`` where it is not separable; or a list of such, applied in order.
    Pairs are best given in complex128, from which the parts in ``dtype`` are rounded once.

    Args:
        first: From images to the first modulated plane. Matrices of interpolation and propagation are best multiplied.
        between: From each modulated plane to the next: one fewer than there are planes.
        last: From the last modulated plane to the detector, or to those of its rows and columns that matter.
        dtype: ``torch.complex64`` or ``torch.complex128``.
        engine: ``"matrix"``, ``"fft"``, or ``"auto"`` for whichever is estimated to cost less.
        tf32: Whether matrix products on a CUDA GPU may round to TF32 in training mode; never in evaluation, and a CPU
            has no such products. See :func:`~voltphase.optics.precision.matrix_products` for what it costs.

    Raises:
        GeometryError: if the kernels do not fit one another.
        ConfigError: for a dtype that is not complex or an unknown engine.
    """

    @with_standard_torch
    def __init__(
        self,
        *,
        first: Step,
        between: Sequence[Step],
        last: Step,
        dtype: torch.dtype = torch.complex64,
        engine: Engine = "auto",
        tf32: bool = False,
    ) -> None:
        super().__init__()
        self.tf32 = checks.flag(tf32, "tf32")
        between = checks.items(between, "a list of the kernels between the planes", error=GeometryError)
        plan = make_plan([first, *between, last], dtype, engine)
        self.dtype, self.depth, self.cost = dtype, len(between) + 1, plan.cost
        self.hops, self.adjoints = nn.ModuleList(plan.hops), nn.ModuleList(plan.adjoints)
        self.planes: list[Plane] = [hop.target for hop in plan.hops]
        self.image_shape = plan.hops[0].source.natural_shape
        self.shapes = [plane.natural_shape for plane in self.planes]

    @uncompiled
    def forward(self, images: Tensor, modulations: Sequence[Tensor]) -> Tensor:
        """The field on the detector, a complex ``batch x rows x columns`` tensor.

        Args:
            images: ``batch x rows x columns``, real (an amplitude), uint8 (255 is amplitude 1) or complex (a field); a
                tensor where the cascade is, or an array.
            modulations: A complex ``rows x columns`` tensor for each plane.

        Raises:
            GeometryError: if images or modulations do not fit.
            ConfigError: if the images are of another type or on another device, or ``torch.func`` transforms the
                cascade.
            DataError: if the images are not finite.
        """
        inputs = self._checked(images, modulations)
        return _Field.apply(self, _keep(inputs), *inputs)

    def intensities(
        self, images: Tensor, modulations: Sequence[Tensor], row_masks: Tensor, column_masks: Tensor
    ) -> Tensor:
        """Intensity on the detector, ``abs(field)**2``, summed over regions: a real ``batch x regions`` tensor.

        Never holds the detector field of the whole batch, which the same through :meth:`forward` does several times.

        Args:
            images: As for :meth:`forward`.
            modulations: As for :meth:`forward`.
            row_masks: ``rows x regions``, the weight of each detector row in each region.
            column_masks: ``columns x regions``, likewise; a sample's weight is the product of both.

        Raises:
            GeometryError: if images, modulations or masks do not fit.
        """
        return self._sums(IntensityMasks, images, modulations, row_masks, column_masks)

    def amplitudes(
        self, images: Tensor, modulations: Sequence[Tensor], row_masks: Tensor, column_masks: Tensor
    ) -> Tensor:
        """As :meth:`intensities`, of ``abs(field)``."""
        return self._sums(AmplitudeMasks, images, modulations, row_masks, column_masks)

    @uncompiled
    def _sums(
        self, kind: type[Masks], images: Tensor, modulations: Sequence[Tensor], row_masks: Tensor, column_masks: Tensor
    ) -> Tensor:
        inputs = self._checked(images, modulations)
        rows, columns = self.shapes[-1]
        for mask in (row_masks, column_masks):
            checks.instance(mask, Tensor, "masks as tensors", error=GeometryError)
        if row_masks.ndim != 2 or row_masks.shape[0] != rows or column_masks.shape != (columns, row_masks.shape[1]):
            raise GeometryError(
                f"expected masks of {rows} x regions and {columns} x regions, but got "
                f"{' x '.join(map(str, row_masks.shape))} and {' x '.join(map(str, column_masks.shape))}"
            )
        masks = kind(self.planes[-1], row_masks, column_masks, self.dtype.to_real())
        return _Sums.apply(self, _keep(inputs), masks, *inputs)

    def go(self, modulations: Sequence[Tensor], batch: int) -> Pass:
        """A pass of ``batch`` images with modulations as the planes hold them."""
        return Pass(cast(list[Hop], list(self.hops)), cast(list[Hop], list(self.adjoints)), modulations, batch)

    def _checked(self, images: Tensor, modulations: Sequence[Tensor]) -> tuple[Tensor, ...]:
        checks.require_plain("a cascade")
        device = next(self.buffers()).device
        images = checked_images(images, self.image_shape, device, fields=True)
        require_batch(images)
        what = f"{self.depth} modulations, one for each plane"
        modulations = checks.items(modulations, what, error=GeometryError)
        if len(modulations) != self.depth:
            raise GeometryError(f"expected {what}, but got {len(modulations)}")
        for index, (modulation, shape) in enumerate(zip(modulations, self.shapes, strict=False)):
            checks.instance(modulation, Tensor, f"modulation {index} as a tensor", error=GeometryError)
            if tuple(modulation.shape) != shape or modulation.dtype != self.dtype:
                raise GeometryError(
                    f"expected modulation {index} to be {shape[0]} x {shape[1]} {self.dtype}, but got "
                    f"{' x '.join(map(str, modulation.shape))} {modulation.dtype}"
                )
            if modulation.device != device:
                raise GeometryError(
                    f"expected modulation {index} on {device}, where the cascade is, but got it on {modulation.device}"
                )
        if images.dtype == torch.uint8:
            images = images.to(self.dtype.to_real()) / 255
        return images.to(self.dtype if images.is_complex() else self.dtype.to_real()), *modulations


def _keep(inputs: Sequence[Tensor]) -> bool:
    return torch.is_grad_enabled() and any(tensor.requires_grad for tensor in inputs)


class _Field(torch.autograd.Function):
    """The detector field."""

    @staticmethod
    def forward(ctx: Any, plan: Cascade, keep: bool, images: Tensor, *modulations: Tensor) -> Tensor:
        run, kept = _begin(ctx, plan, keep, images, modulations)
        fields = borrow((len(images), *plan.shapes[-1]), plan.dtype, images.device)
        with matrix_products(images.device, tf32=ctx.tf32):
            for part, field, _ in run.forward(images, kept):
                fields[part] = plan.planes[-1].release(field)
        _finish(ctx, run, kept)
        return fields

    @staticmethod
    @checks.first_order
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        def seed(part: slice, field: Tensor, out: Tensor) -> None:
            out.copy_(ctx.plan.planes[-1].hold(gradients[0][part]).conj())

        return None, None, *_backward(ctx, seed, ctx.needs_input_grad[2:])


class _Sums(torch.autograd.Function):
    """Sums of light on the detector."""

    @staticmethod
    def forward(ctx: Any, plan: Cascade, keep: bool, masks: Masks, images: Tensor, *modulations: Tensor) -> Tensor:
        run, kept = _begin(ctx, plan, keep, images, modulations)
        ctx.masks = masks
        sums = images.new_empty(len(images), masks.rows.shape[2], dtype=plan.dtype.to_real())
        with matrix_products(images.device, tf32=ctx.tf32):
            for part, field, free in run.forward(images, kept):
                sums[part] = masks.sums(field, free)
        _finish(ctx, run, kept)
        return sums

    @staticmethod
    @checks.first_order
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        def seed(part: slice, field: Tensor, out: Tensor) -> None:
            ctx.masks.conjugate_gradient(gradients[0][part], field, out)

        return None, None, None, *_backward(ctx, seed, ctx.needs_input_grad[3:])


def _begin(
    ctx: Any, plan: Cascade, keep: bool, images: Tensor, modulations: tuple[Tensor, ...]
) -> tuple[Pass, list[Tensor] | None]:
    held = [plane.hold(m[None]) for plane, m in zip(plan.planes, modulations, strict=False)]
    ctx.plan, ctx.batch, ctx.real = plan, len(images), not images.is_complex()
    ctx.tf32 = plan.tf32 and plan.training
    return plan.go(held, ctx.batch), [] if keep else None


def _finish(ctx: Any, run: Pass, kept: list[Tensor] | None) -> None:
    if kept is not None:
        ctx.save_for_backward(*run.modulations, *kept)


def _backward(
    ctx: Any, seed: Callable[[slice, Tensor, Tensor], None], wanted: Sequence[bool]
) -> tuple[Tensor | None, ...]:
    plan: Cascade = ctx.plan
    modulations, kept = ctx.saved_tensors[: plan.depth], ctx.saved_tensors[plan.depth :]
    with matrix_products(modulations[0].device, tf32=ctx.tf32):
        images, gradients = plan.go(modulations, ctx.batch).backward(kept, seed, wanted)
    return (images.real if ctx.real and images is not None else images), *gradients
