"""Light that wraps around the edges of an unpadded DFT. Not physical: to compare with code that lets it."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from voltphase.core.errors import GeometryError
from voltphase.optics.common_grid import CommonGrid, common_grid
from voltphase.optics.cost import convolution_cost
from voltphase.optics.maps import ConvolutionEngine, Engine
from voltphase.optics.methods import formulas as kernels
from voltphase.optics.methods.accuracy.sample_pairs import Pairs
from voltphase.optics.methods.base import Method, Plan, paraxial_limit
from voltphase.optics.methods.geometry import Geometry
from voltphase.optics.sampling import Limit


class WrappedMethod(Method):
    """A transfer function at the frequencies of an unpadded DFT, which makes both planes periodic."""

    @abstractmethod
    def transfer(self, frequency_y: Tensor, frequency_x: Tensor, geometry: Geometry) -> Tensor:
        """Without the carrier, complex128; frequencies in cycles per metre."""

    def response(self, geometry: Geometry, rows: Pairs, columns: Pairs) -> Tensor:
        # Light that wraps around is what the error of a method that lets it is made of.
        kernel = torch.fft.ifft2(self._sampled(geometry))
        y, x = (
            torch.round(pairs.displacement / pitch).long() % n
            for pairs, pitch, n in zip((rows, columns), geometry.source.pitch, geometry.source.shape, strict=True)
        )
        return kernel[y][:, x]

    def plans(self, geometry: Geometry) -> list[Plan]:
        points = (common_grid(geometry.source, geometry.target, 0), common_grid(geometry.source, geometry.target, 1))
        if geometry.source != geometry.target or points[0] is None or points[1] is None:
            raise GeometryError("expected equal grids on both planes for light that wraps around, but they differ")
        both: tuple[CommonGrid, CommonGrid] = (points[0], points[1])

        def build(dtype: torch.dtype) -> Engine:
            carrier = kernels.carrier(geometry.wavelength, geometry.distance)
            return ConvolutionEngine(carrier * self._sampled(geometry), both, dtype)

        return [Plan("fft", convolution_cost(geometry.source.shape), "unpadded", build)]

    def _sampled(self, geometry: Geometry) -> Tensor:
        y, x = (
            torch.fft.fftfreq(n, pitch, dtype=torch.float64)
            for n, pitch in zip(geometry.source.shape, geometry.source.pitch, strict=True)
        )
        return self.transfer(y[:, None], x[None, :], geometry)


@dataclass(frozen=True)
class WrappedFresnel(WrappedMethod):
    """The Fresnel transfer function, wrapping around."""

    name: ClassVar[str] = "fresnel-wrapped"
    title: ClassVar[str] = "Fresnel transfer function on an unpadded DFT, wrapping around"

    def limits(self, geometry: Geometry) -> tuple[Limit, ...]:
        return (paraxial_limit(geometry),)

    def transfer(self, frequency_y: Tensor, frequency_x: Tensor, geometry: Geometry) -> Tensor:
        return kernels.fresnel_transfer_function(
            frequency_y, geometry.wavelength, geometry.distance
        ) * kernels.fresnel_transfer_function(frequency_x, geometry.wavelength, geometry.distance)


@dataclass(frozen=True)
class WrappedAngularSpectrum(WrappedMethod):
    """The angular spectrum of plane waves, wrapping around."""

    name: ClassVar[str] = "angular-spectrum-wrapped"
    title: ClassVar[str] = "angular spectrum on an unpadded DFT, wrapping around"

    def limits(self, geometry: Geometry) -> tuple[Limit, ...]:
        return ()

    def transfer(self, frequency_y: Tensor, frequency_x: Tensor, geometry: Geometry) -> Tensor:
        return kernels.angular_spectrum(frequency_y, frequency_x, geometry.wavelength, geometry.distance)
