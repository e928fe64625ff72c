"""What runs a stack: the protocol of a back end, and of what it makes of a stack."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from voltphase.core import checks
from voltphase.core.dtypes import FixedDtype, uncompiled
from voltphase.core.errors import ConfigError, GeometryError
from voltphase.core.registry import Registry
from voltphase.optics.images import amplitudes, checked_images, require_batch
from voltphase.optics.precision import require_complex
from voltphase.optics.stack import Stack

Engine = Literal["auto", "matrix", "fft"]


@dataclass(frozen=True)
class Options:
    """How a stack is to be computed.

    Args:
        dtype: ``torch.complex64`` or ``torch.complex128``.
        engine: What applies separable kernels: ``"matrix"`` (a matrix for each axis), ``"fft"`` (Fourier transforms,
            where the kernel depends on displacements alone), or ``"auto"``, whichever is estimated to cost less.
        tf32: Whether matrix products on a CUDA GPU may round to TF32 in training mode; never in evaluation, and a CPU
            has no such products. See :func:`~voltphase.core.dtypes.matrix_products` for what it costs.
        device: Type of device that it is to run on, such as ``"cpu"`` or ``"cuda"``.
        checkpoint_fields: Whether the fields of few planes are kept for the backward pass and the others computed again
            from them, see :func:`checkpoint_stride`. Gradients are the same; a back end may take no notice.

    Raises:
        ConfigError: for a dtype that is not complex, an unknown engine, a ``tf32`` or ``checkpoint_fields`` that is
            neither true nor false, or a type of device that PyTorch does not know.
    """

    dtype: torch.dtype = torch.complex64
    engine: Engine = "auto"
    tf32: bool = False
    device: str = "cpu"
    checkpoint_fields: bool = False

    def __post_init__(self) -> None:
        require_complex(self.dtype)
        checks.word(self.engine, "an engine", get_args(Engine))
        checks.flag(self.tf32, "tf32")
        checks.flag(self.checkpoint_fields, "checkpoint_fields")
        try:
            known = torch.device(self.device).type == self.device
        except (RuntimeError, TypeError):
            known = False
        if not known:
            raise ConfigError(f'expected a type of device such as "cpu" or "cuda", but got {checks.shown(self.device)}')


def checkpoint_stride(planes: int, parts: int) -> int:
    """Return of how many planes in a row one keeps its fields, where the others are computed again from it.

    A step then holds ``planes / stride`` fields of all images and ``stride`` more of those that are in work, which is
    least for the root of ``planes * parts``. All in all light goes forward twice.

    Args:
        planes: Number of planes that light arrives on.
        parts: Number of parts, one after the other, that a batch is taken in.

    Examples:
        >>> checkpoint_stride(21, 1), checkpoint_stride(6, 50)
        (5, 6)
    """
    return max(1, min(planes, round(math.sqrt(planes * parts))))


class Executor(FixedDtype, ABC):
    """A stack made ready to run, with gradients for images and modulations.

    Args:
        stack: Kernels between the planes.
        options: Precision and engine.

    Attributes:
        engines: What applies the kernel of each gap: ``"matrix"``, ``"fft"``, or both for kernels of several parts.
    """

    engines: tuple[str, ...]

    def __init__(self, stack: Stack, options: Options) -> None:
        super().__init__()
        self.dtype, self.tf32, self.checkpoint_fields = options.dtype, options.tf32, options.checkpoint_fields
        self.image_shape, self.shapes = stack.source_shape, stack.shapes

    @abstractmethod
    def _field(self, images: Tensor, modulations: tuple[Tensor, ...]) -> Tensor:
        """Return the field on the detector, of images that are real or complex in the executor's precision."""

    @abstractmethod
    def _sums(
        self, images: Tensor, modulations: tuple[Tensor, ...], masks: tuple[Tensor, Tensor], *, amplitude: bool
    ) -> Tensor:
        """Return the sums of light over masks, of images as for :meth:`_field`."""

    @uncompiled
    def forward(self, images: Tensor, modulations: Sequence[Tensor]) -> Tensor:
        """Return the field on the detector, a complex ``batch x rows x columns`` tensor.

        Args:
            images: ``batch x rows x columns``, real (an amplitude), uint8 (255 is amplitude 1) or complex (a field); a
                tensor where the executor is, or an array.
            modulations: A complex ``rows x columns`` tensor for each modulated plane.

        Raises:
            GeometryError: if images or modulations do not fit.
            ConfigError: if the images are of another type or on another device, or ``torch.func`` transforms the
                executor.
            DataError: if the images are not finite.
        """
        return self._field(*self._checked(images, modulations))

    @uncompiled
    def sums(
        self,
        images: Tensor,
        modulations: Sequence[Tensor],
        row_masks: Tensor,
        column_masks: Tensor,
        *,
        amplitude: bool = False,
    ) -> Tensor:
        """Return the intensity on the detector, summed over regions: a real ``batch x regions`` tensor.

        Args:
            images: Images or fields, as for :meth:`forward`.
            modulations: A complex ``rows x columns`` tensor for each modulated plane.
            row_masks: ``rows x regions``, the weight of each detector row in each region.
            column_masks: ``columns x regions``, the weight of each column; a sample's weight is the product of both.
            amplitude: Whether to sum the amplitude ``abs(field)`` instead of the intensity ``abs(field)**2``.

        Raises:
            GeometryError: if images, modulations or masks do not fit.
            ConfigError: as :meth:`forward`.
            DataError: if the images are not finite.
        """
        checked = self._checked(images, modulations)
        rows, columns = self.shapes[-1]
        for mask in (row_masks, column_masks):
            checks.instance(mask, Tensor, "masks as tensors", error=GeometryError)
        if row_masks.ndim != 2 or row_masks.shape[0] != rows or column_masks.shape != (columns, row_masks.shape[1]):
            raise GeometryError(
                f"expected masks of {rows} x regions and {columns} x regions, but got "
                f"{' x '.join(map(str, row_masks.shape))} and {' x '.join(map(str, column_masks.shape))}"
            )
        return self._sums(*checked, (row_masks, column_masks), amplitude=amplitude)

    def _checked(self, images: Tensor, modulations: Sequence[Tensor]) -> tuple[Tensor, tuple[Tensor, ...]]:
        checks.require_plain("an executor")
        device = next(self.buffers()).device
        images = checked_images(images, self.image_shape, device, fields=True)
        require_batch(images)
        depth = len(self.shapes) - 1
        what = f"{depth} modulations, one for each plane"
        modulations = checks.items(modulations, what, error=GeometryError)
        if len(modulations) != depth:
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
                    f"expected modulation {index} on {device}, where the network is, but got it on {modulation.device}"
                )
        return amplitudes(images, self.dtype), tuple(modulations)


class Backend(ABC):
    """What can run stacks. A back end is one class with its own cost model, registered in :data:`BACKENDS`."""

    @abstractmethod
    def obstacle(self, stack: Stack, options: Options) -> str | None:
        """Return why it cannot run a stack, as the part of a sentence after "because", or None if it can.

        Args:
            stack: Kernels between the planes.
            options: Precision and engine.
        """

    @abstractmethod
    def cost(self, stack: Stack, options: Options) -> float:
        """Return the estimated nanoseconds for one image, forward and backward, on a CPU core or on a GPU.

        From shapes alone, and as if fields of all planes were kept. Infinite is what nobody should wait for: such a
        back end only runs if it is asked for.

        Args:
            stack: Kernels between the planes, which it can run.
            options: Precision and engine.
        """

    @abstractmethod
    def compile(self, stack: Stack, options: Options) -> Executor:
        """Return what runs a stack.

        Args:
            stack: Kernels between the planes, which it can run.
            options: Precision and engine.
        """


#: Back ends by name; other packages add theirs by entry points of "voltphase.backends".
BACKENDS: Registry[type[Backend]] = Registry("a back end", "voltphase.backends", kind=Backend)
