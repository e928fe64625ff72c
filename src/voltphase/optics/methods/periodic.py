"""Light that wraps around the edges of an unpadded DFT. Not physical: to compare with code that lets it."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import torch
from torch import Tensor

from voltphase.core.errors import GeometryError
from voltphase.optics.kernels.common_grid import common_grids
from voltphase.optics.kernels.kernel import Convolution
from voltphase.optics.methods import formulas
from voltphase.optics.methods.accuracy.sample_pairs import Pairs
from voltphase.optics.methods.base import METHODS, Method, paraxial_limit
from voltphase.optics.methods.geometry import Geometry
from voltphase.optics.sampling import Limit


class PeriodicMethod(Method):
    """A transfer function at the frequencies of an unpadded DFT, which makes both planes periodic."""

    free_space: ClassVar[bool] = False

    @abstractmethod
    def transfer(self, frequency_y: Tensor, frequency_x: Tensor, geometry: Geometry) -> Tensor:
        """Return the transfer function of frequencies in cycles per metre without the carrier, complex128."""

    def response(self, geometry: Geometry, rows: Pairs, columns: Pairs) -> Tensor:
        # Light that wraps around is what the error of a method that lets it is made of.
        kernel = torch.fft.ifft2(self._sampled(geometry))
        y, x = (
            torch.round(pairs.displacement / pitch).long() % n
            for pairs, pitch, n in zip((rows, columns), geometry.source.pitch, geometry.source.shape, strict=True)
        )
        return kernel[y][:, x]

    def kernel(self, geometry: Geometry) -> Convolution:
        points = common_grids(geometry.source, geometry.target)
        if geometry.source != geometry.target or points is None:
            raise GeometryError("expected equal grids on both planes for light that wraps around, but they differ")
        return Convolution(*points, geometry.source.shape, partial(self._with_carrier, geometry))

    def _with_carrier(self, geometry: Geometry) -> Tensor:
        return formulas.carrier(geometry.wavelength, geometry.distance) * self._sampled(geometry)

    def _sampled(self, geometry: Geometry) -> Tensor:
        y, x = (
            torch.fft.fftfreq(n, pitch, dtype=torch.float64)
            for n, pitch in zip(geometry.source.shape, geometry.source.pitch, strict=True)
        )
        return self.transfer(y[:, None], x[None, :], geometry)


@METHODS.register("fresnel-wrapped")
@dataclass(frozen=True)
class PeriodicFresnel(PeriodicMethod):
    """The Fresnel transfer function, wrapping around."""

    name: ClassVar[str] = "fresnel-wrapped"
    title: ClassVar[str] = "Fresnel transfer function on an unpadded DFT, wrapping around"

    def limits(self, geometry: Geometry) -> tuple[Limit, ...]:
        return (paraxial_limit(geometry),)

    def transfer(self, frequency_y: Tensor, frequency_x: Tensor, geometry: Geometry) -> Tensor:
        return formulas.fresnel_transfer_function(
            frequency_y, geometry.wavelength, geometry.distance
        ) * formulas.fresnel_transfer_function(frequency_x, geometry.wavelength, geometry.distance)


@METHODS.register("angular-spectrum-wrapped")
@dataclass(frozen=True)
class PeriodicAngularSpectrum(PeriodicMethod):
    """The angular spectrum of plane waves, wrapping around."""

    name: ClassVar[str] = "angular-spectrum-wrapped"
    title: ClassVar[str] = "angular spectrum on an unpadded DFT, wrapping around"

    def limits(self, geometry: Geometry) -> tuple[Limit, ...]:
        return ()

    def transfer(self, frequency_y: Tensor, frequency_x: Tensor, geometry: Geometry) -> Tensor:
        return formulas.angular_spectrum(frequency_y, frequency_x, geometry.wavelength, geometry.distance)
