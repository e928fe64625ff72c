"""What the light of a run is besides one plane wave of one wavelength."""

from __future__ import annotations

from typing import Annotated

from annotated_types import Ge, Gt, Le, Lt, Unit
from pydantic import model_validator

from voltphase.core.errors import VoltphaseError
from voltphase.optics.light.coherence import MOST_MODES, Coherence
from voltphase.optics.light.spectrum import MOST_LINES
from voltphase.settings.fields import Section, misfit


class SpectrumConfig(Section):
    """How much light has each wavelength, and how wide it is.

    Attributes:
        weights: How much light has each of ``optics.wavelength``, of which only the ratios matter; null for as much of
            each.
        bandwidth: Full width of each wavelength's band at half of its maximum, in metres; 0 for a sharp line.
        lines: Number of lines that a band is computed as, each at the cost of a wavelength.
    """

    weights: list[Annotated[float, Gt(0)]] | None = None
    bandwidth: Annotated[float, Unit("m"), Ge(0)] = 0.0
    lines: Annotated[int, Ge(1), Le(MOST_LINES)] = 5

    @model_validator(mode="after")
    def _is_band(self) -> SpectrumConfig:
        if "lines" in self.model_fields_set and "bandwidth" not in self.model_fields_set:
            raise misfit("expected the bandwidth that lines stand for, but got none: set optics.spectrum.bandwidth")
        return self


class CoherenceConfig(Section):
    """How far the waves of the source know of each other.

    Attributes:
        modes: Number of random screens whose intensities are added, each at the cost of a beam; null for light that is
            coherent all over.
        length: Coherence length in metres: the degree of coherence over a distance d is exp(-d^2 / (2 length^2)).
        seed: Seed of the screens.
    """

    modes: Annotated[int, Ge(2), Le(MOST_MODES)] | None = None
    length: Annotated[float, Unit("m"), Gt(0)] = 100e-6
    seed: Annotated[int, Ge(0), Lt(2**31)] = 0

    def build(self) -> Coherence | None:
        """Return what the settings describe, None where light is coherent all over."""
        return None if self.modes is None else Coherence(self.modes, self.length, self.seed)

    @model_validator(mode="after")
    def _can_be_built(self) -> CoherenceConfig:
        # A run's own configuration says that there are none.
        if self.model_fields_set and "modes" not in self.model_fields_set:
            raise misfit(
                "expected the number of modes that partly coherent light is computed as, but got none: set "
                "optics.coherence.modes, such as 16"
            )
        try:
            self.build()
        except VoltphaseError as error:
            raise misfit(str(error), named=False) from error
        return self
