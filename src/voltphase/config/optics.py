"""The section ``optics`` of a configuration: planes, what is between them, and the light."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from annotated_types import Ge, Gt, Le, Len, Lt, Unit
from pydantic import model_validator

from voltphase.config.distances import Distance, Distances, EachGap, built
from voltphase.config.light import CoherenceConfig, SpectrumConfig
from voltphase.config.masks import read_mask
from voltphase.config.panels import with_pitch_of_panel
from voltphase.core.errors import VoltphaseError
from voltphase.core.units import (
    LARGEST_PITCH,
    LONGEST_WAVELENGTH,
    SHORTEST_WAVELENGTH,
    SMALLEST_PITCH,
)
from voltphase.network.areas import Combination, Combine
from voltphase.network.detectors import Detectors, require_one_combination
from voltphase.network.networks import Networks
from voltphase.optics.backends.base import BACKENDS, Engine
from voltphase.optics.elements import MaskFile
from voltphase.optics.grid import Grid
from voltphase.optics.light import Spectrum
from voltphase.optics.masks import Mask
from voltphase.optics.methods import METHODS
from voltphase.optics.paths import Placed, Span, length_of, masks_in, placed
from voltphase.optics.precision import Precision
from voltphase.optics.skips import Skip
from voltphase.optics.sources import Encoding, SourceLight
from voltphase.settings.fields import (
    Name,
    OfPlanes,
    OneOrEach,
    Section,
    misfit,
    which_planes,
)
from voltphase.tasks.background_light import BRIGHTEST

_Size = Annotated[int, Ge(10), Le(8192)]
_Pitch = Annotated[float, Unit("m"), Ge(SMALLEST_PITCH), Lt(LARGEST_PITCH)]
_Wavelength = Annotated[float, Unit("m"), Ge(SHORTEST_WAVELENGTH), Le(LONGEST_WAVELENGTH)]


class SourceConfig(Section):
    """How the light on the source carries an image.

    Attributes:
        encoding: Whether the image is the light's ``amplitude``, its ``phase``, or ``both``.
        phase_range: Phase of the brightest pixel in radians, where the phase carries the image; null for pi.
        waist: Radius at 1/e of the amplitude of a Gaussian beam that lights the source, in metres; null for a plane
            wave.
        background: Amplitude of a black pixel, where the amplitude carries the image: amplitudes are from there to 1.
        centre: Where the middle of the Gaussian beam is, [y, x] in metres from the axis.
        mask: File of a mask, a filter or a measured illumination in front of the source, a number for each of its
            samples that multiplies the field: amplitudes from a grey picture (PNG, TIFF, BMP; white is 1) or a table
            (CSV), or amplitudes or complex numbers from an array (NPY); null for none.
    """

    encoding: Encoding = "amplitude"
    phase_range: float | None = None
    waist: Annotated[float, Unit("m"), Gt(0), Le(1)] | None = None
    background: Annotated[float, Ge(0), Lt(1)] = 0.0
    centre: Annotated[list[Annotated[float, Unit("m")]], Len(2, 2)] = [0.0, 0.0]  # noqa: RUF012 - pydantic copies it
    mask: str | None = None

    def build(self, mask: Mask | None = None) -> SourceLight:
        """Return what the settings describe.

        Args:
            mask: What is in the file of the mask; it is read by default.

        Raises:
            DataError: if the file of the mask cannot be read, or holds none.
        """
        if mask is None and self.mask is not None:
            mask = read_mask(self.mask)
        return self._light(mask)

    @model_validator(mode="after")
    def _can_be_built(self) -> SourceConfig:
        try:
            self._light(None)  # the file of the mask is read when it is needed
        except VoltphaseError as error:
            raise misfit(str(error), named=False) from error
        return self

    def _light(self, mask: Mask | None) -> SourceLight:
        y, x = self.centre
        return SourceLight(self.encoding, self.phase_range, self.waist, self.background, (y, x), mask)


class NetworksConfig(Section):
    """Networks side by side, with planes alike and layers of their own, each lit by an equal share of the light.

    Attributes:
        count: Number of networks, each of ``optics.depth`` layers; ``devices`` and ``codesign.gain`` list those of the
            first network, then those of the next.
        combine: How they make one answer. ``sum``: the light of all falls on one detector, where intensities add. With
            ``classes`` and ``difference`` the detector has a part of ``optics.size`` for each, side by side: a network
            reads its share of the classes, or the first of two speaks for the classes and the second against them.
    """

    count: Annotated[int, Ge(1), Le(1000)] = 1
    combine: Combine = "sum"

    def build(self) -> Networks:
        """Return what the settings describe."""
        return Networks(self.count, self.combine)

    @model_validator(mode="after")
    def _can_be_built(self) -> NetworksConfig:
        try:
            self.build()
        except VoltphaseError as error:
            raise misfit(str(error), named=False) from error
        return self


class DetectorsConfig(Section):
    """Several detectors that share the light behind the last layer, cameras by themselves with samples alike.

    Attributes:
        distances: Last layer to each detector, in metres, or a list of distances and elements as in
            ``optics.distances``, which then ends at the last layer; none for a single detector at its end.
        combine: How they make one answer. ``sum``: their pictures are added. ``classes``: each reads its share of the
            classes. ``difference``: the first of two speaks for the classes, and the second against them.
        shares: Part of the light that each gets, which add up to 1; null for equal ones.
    """

    distances: EachGap = []  # noqa: RUF012 - pydantic copies it
    combine: Combine = "sum"
    shares: list[Annotated[float, Gt(0), Lt(1)]] | None = None

    def build(self, spans: Sequence[Span] | None = None) -> Detectors | None:
        """Return what the settings describe, None of a single detector.

        Args:
            spans: Ways to the detectors in place of ``distances``, the same with what is in files.
        """
        if not self.distances:
            return None
        given = [built(span) for span in self.distances]
        return Detectors(given if spans is None else spans, self.combine, self.shares)

    @model_validator(mode="after")
    def _can_be_built(self) -> DetectorsConfig:
        if not self.distances and (self.combine != "sum" or self.shares is not None):
            raise misfit("expected the distances of several detectors to combine or share light, but got none")
        try:
            self.build()
        except VoltphaseError as error:
            raise misfit(str(error), named=False) from error
        return self


class SkipConfig(Section):
    """A way past layers from a beam splitter behind one plane to another in front of a later one.

    Attributes:
        start: Plane behind which the first splitter stands, counted from the source, which is 0.
        end: Plane in front of which the second stands; the detector is behind the last layer.
        share: Part of the power that each splitter reflects onto the way past.
        distance: Length of the way past in metres; null for that of the way through.
    """

    start: Annotated[int, Ge(0)]
    end: Annotated[int, Ge(0)]
    share: Annotated[float, Gt(0), Lt(1)] = 0.5
    distance: Distance | None = None

    def build(self) -> Skip:
        """Return what the settings describe."""
        return Skip(self.start, self.end, self.share, self.distance)

    @model_validator(mode="after")
    def _can_be_built(self) -> SkipConfig:
        try:
            self.build()
        except VoltphaseError as error:
            raise misfit(str(error), named=False) from error
        return self


class OpticsConfig(Section):
    """The bench: planes and the space between them.

    Attributes:
        size: Samples along each side of every plane, or [rows, columns]; or a list with either for each plane in the
            order light meets them: source, layers, detector.
        pitch: Distance between samples, in metres, or [y, x], that from row to row and that from column to column; for
            all planes or in a list for each, likewise. A panel settles it.
        panel: Panel that is to show the layers, see ``voltphase panel list``, or a YAML file of your own; or null.
        panel_pixels: Pixels of the panel along each side of a sample.
        wavelength: Wavelength of the light in vacuum, in metres; or a list of them, whose intensities add on the
            detector, or which it tells apart where ``task.differential`` is ``wavelength``.
        spectrum: How much light has each wavelength, and how wide it is.
        coherence: How far the waves of the source know of each other.
        distances: Source to first layer, between layers and last layer to detector, in metres: one number for
            all, or one more than there are layers. Where something stands in between, a list of distances and elements
            in the order light meets them, such as [0.2, {name: lens, focal_length: 0.2}, 0.2], in place of a number.
            Where there are several detectors, those up to the last layer.
        depth: Number of layers that light passes.
        networks: Networks side by side, in place of one.
        detectors: Several detectors behind the last layer, in place of one.
        skips: Ways past layers by beam splitters, a list of start, end, share and distance.
        source: How the light on the source carries an image.
        background_light: Intensity of even, incoherent light on each sample of the detector that is counted with the
            beam's, in parts of that of a white pixel on the source in a plane wave.
        method: How light is propagated.
        backend: What runs the network: the name of a back end, or ``auto``, the cheapest that can by estimate.
        engine: What applies the kernels: ``matrix``, ``fft``, or ``auto``, the cheapest by estimate; the result is the
            same to rounding.
        precision: ``single`` (complex64), ``double`` (complex128), or ``tf32``: training on a CUDA GPU rounds what it
            multiplies to 10 bits, evaluation does not. ``auto`` is ``tf32`` on a CUDA GPU and ``single`` on a CPU.
    """

    size: OfPlanes[_Size] = 64
    pitch: OfPlanes[_Pitch] = 36e-6
    panel: str | None = None
    panel_pixels: Annotated[int, Ge(1), Le(8192)] = 1
    wavelength: OneOrEach[_Wavelength] = 532e-9
    spectrum: SpectrumConfig = SpectrumConfig()
    coherence: CoherenceConfig = CoherenceConfig()
    distances: Distances = 0.096
    depth: Annotated[int, Ge(1), Le(1000)] = 5
    networks: NetworksConfig = NetworksConfig()
    detectors: DetectorsConfig = DetectorsConfig()
    skips: list[SkipConfig] = []  # noqa: RUF012 - pydantic copies it
    source: SourceConfig = SourceConfig()
    background_light: Annotated[float, Ge(0), Le(BRIGHTEST)] = 0.0
    method: Annotated[str, Name(METHODS, "auto")] = "fresnel"
    backend: Annotated[str, Name(BACKENDS, "auto")] = "auto"
    engine: Engine = "auto"
    precision: Precision = "single"

    @model_validator(mode="before")
    @classmethod
    def _settle_pitch(cls, values: Any) -> Any:
        return with_pitch_of_panel(values) if isinstance(values, dict) else values

    @model_validator(mode="after")
    def _is_light(self) -> OpticsConfig:
        for key, make in (
            ("wavelength", lambda: Spectrum(tuple(self.wavelengths))),
            ("spectrum", lambda: self.light),
            ("detectors", lambda: require_one_combination(self.networks.build(), self.detectors.build())),
        ):
            try:
                make()
            except VoltphaseError as error:
                raise misfit(f"optics.{key}: {error}") from error
        return self

    @property
    def wavelengths(self) -> list[float]:
        """The wavelengths of the light."""
        return self.wavelength if isinstance(self.wavelength, list) else [self.wavelength]

    @property
    def light(self) -> Spectrum:
        """The spectrum of the light."""
        about, weights = self.spectrum, self.spectrum.weights
        given = None if weights is None else tuple(weights)
        return Spectrum(tuple(self.wavelengths), given, about.bandwidth, about.lines)

    @property
    def layers(self) -> int:
        """Number of layers of all networks."""
        return self.depth * self.networks.count

    @property
    def sizes(self) -> list[tuple[int, int]]:
        """(rows, columns) of each plane on the way of one network: source, layers, detector."""
        return _for_planes(self.size, self.depth + 2)

    @property
    def pitches(self) -> list[tuple[float, float]]:
        """The pitch (y, x) of each plane on the way of one network: source, layers, detector."""
        return _for_planes(self.pitch, self.depth + 2)

    @property
    def combination(self) -> Combination:
        """How networks, or else detectors, make one answer."""
        return (self.detectors.build() or self.networks.build()).combination

    @property
    def gaps(self) -> int:
        """Number of gaps that ``distances`` is for: up to the detector, or to the last layer before several."""
        return self.depth + (0 if self.detectors.distances else 1)

    @property
    def spans(self) -> list[Span]:
        """What is from each plane to the next: source, layers, and a single detector or, from the last layer, each."""
        each = self.distances if isinstance(self.distances, list) else [self.distances] * self.gaps
        return [built(span) for span in (*each, *self.detectors.distances)]

    @property
    def lengths(self) -> list[float]:
        """The distance from each plane to the next in metres, elements included; to the first of several detectors."""
        return list(map(length_of, placed(self.planes, self.spans, None)))[: self.depth + 1]

    @property
    def planes(self) -> list[Grid]:
        """The samples of each plane on the way of one network: source, layers, detector."""
        return [Grid(size, pitch) for size, pitch in zip(self.sizes, self.pitches, strict=True)]

    @property
    def masks(self) -> int:
        """Number of masks between the planes."""
        return sum(isinstance(part, MaskFile) for span in self.spans if isinstance(span, Sequence) for part in span)

    def read_masks(self) -> list[Mask]:
        """Return what is in the files of the masks between the planes, once all elements there are known to fit.

        Returns:
            The masks in the order light meets them.

        Raises:
            DataError: if a file cannot be read, or holds no mask.
            GeometryError: if an element does not fit its plane.
        """
        spans = placed(self.planes, self.spans, None)
        for number, steps in enumerate(spans):
            try:
                for one in (step for step in steps if isinstance(step, Placed)):
                    one.transmission(self.wavelengths[0])
            except VoltphaseError as error:
                key = "optics.distances" if number < self.gaps else "optics.detectors.distances"
                raise type(error)(f"{key}: {error}") from error
        return masks_in(spans)

    def spans_with(self, masks: Sequence[Mask]) -> list[Span]:
        """Return :attr:`spans` with what was in the files of masks."""
        left = iter(masks)
        return [
            tuple(part.holding(next(left)) if isinstance(part, MaskFile) else part for part in span)
            if isinstance(span, Sequence)
            else span
            for span in self.spans
        ]


def _for_planes(given: Any, count: int) -> list[tuple[Any, Any]]:
    each = given if which_planes(given) == "each" else [given] * count
    return [(one[0], one[1]) if isinstance(one, list) else (one, one) for one in each]
