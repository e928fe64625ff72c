"""Beams: systems that are coherent each in itself, and whose intensities add on the detector.

A network is a list of them. One wavelength through all layers is a single beam of weight 1. Further wavelengths are
beams over other paths, which meet other states of the same levels; modes of partly coherent light are beams of other
sources through the same kernels; a network beside the first is a beam through other layers; and a second detector is
at the end of a beam over another last path. What tells them apart is all in :class:`Beam`; that their fields do not
interfere is all in :class:`Beams`.

Parts of a detector that lie side by side, :class:`voltphase.network.areas.Areas`, are one detector to whatever reads
it: regions of the whole detector read what they lie on. Channels are what a detector tells apart in one and the same
place.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, cast

import torch
from torch import Tensor, nn

from voltphase.core import checks
from voltphase.core.advice import advise
from voltphase.core.errors import GeometryError
from voltphase.core.units import metres
from voltphase.network.areas import Areas
from voltphase.network.arguments import require_few
from voltphase.network.detectors import Layout
from voltphase.network.footprint import require
from voltphase.optics import ImageSource
from voltphase.optics.backends.base import Engine, Executor, Options
from voltphase.optics.backends.composed import ForkedExecutor, made_ready
from voltphase.optics.backends.reference import summed
from voltphase.optics.backends.select import Selected
from voltphase.optics.explain import RunExplanation
from voltphase.optics.grid import Grid
from voltphase.optics.light import Coherence, Spectrum
from voltphase.optics.methods.base import Method
from voltphase.optics.paths import Path, kernels_of, length_of, paths_between, warn_of_images, ways_past
from voltphase.optics.sampling import SamplingWarning
from voltphase.optics.skips import BranchedStack, Skip, branched
from voltphase.optics.stack import Stack
from voltphase.tasks import Readout, RegionSums
from voltphase.tasks.background_light import as_field


@dataclass(frozen=True, eq=False)
class Beam:
    """One coherent system from the source to the detector.

    Args:
        wavelength: Wavelength in metres.
        paths: What light meets from plane to plane, see :func:`voltphase.optics.paths.paths_between`. Beams with the
            same paths share their kernels.
        layers: Numbers of the network's layers that it passes, in turn, counted from 0.
        weight: Part of all light; those of a network add up to 1.
        states: Which of the states of a level it meets, where the layers have one at each of several wavelengths.
        channel: Channel of the detector that it is counted in.
        area: Part of the detector that it falls on, counted from the left.
        past: What light meets on each way past some of the layers, see :class:`voltphase.optics.Skip`.
        screen: Factor on the light of the source, a complex ``rows x columns`` tensor; None for none.
    """

    wavelength: float
    paths: tuple[Path, ...]
    layers: tuple[int, ...]
    weight: float = 1.0
    states: int = 0
    channel: int = 0
    area: int = 0
    past: tuple[Path, ...] = ()
    screen: Tensor | None = None


@dataclass(frozen=True)
class Light:
    """What is sent through a network.

    Args:
        spectrum: Wavelengths of the light.
        coherence: How far its waves know of each other; None if all of the source do.
        apart: Whether the detector tells wavelengths apart.
    """

    spectrum: Spectrum
    coherence: Coherence | None = None
    apart: bool = False

    def __post_init__(self) -> None:
        if self.coherence is not None:
            advice = "use voltphase.optics.Coherence(modes, length)"
            checks.instance(self.coherence, Coherence, "a coherence", advice=advice)

    def screens(self, grid: Grid) -> list[Tensor | None]:
        """Return the screens that stand in the source's plane, one in turn for each mode; None for none.

        Raises:
            ConfigError: if there is not the memory for them.
        """
        if self.coherence is None:
            return [None]
        self.coherence.warn_of(grid)
        what = f"light of {self.coherence.modes} modes on a source of {grid.rows} x {grid.columns} samples"
        require(self.coherence.screens_bytes(grid), what, "take fewer modes, optics.coherence.modes, or samples")
        return [torch.from_numpy(screen) for screen in self.coherence.screens(grid)]


class Beams(nn.Module):
    """Runs the beams of a network, and adds intensities with their weights on each part and channel of the detector.

    A single beam of weight 1 is run as it is, and nothing is added.

    Args:
        beams: The beams.
        stacks: Kernels of the paths of each beam, from images or fields to the readout's window; the same object for
            beams that share them.
        options: Precision and engine.
        backend: Name of a back end, or ``"auto"``.
        areas: Parts of the detector.

    Attributes:
        selected: Back end of the first beam, and why it is that one.
        channels: Number of channels of the detector.
    """

    screens: Tensor | None

    def __init__(
        self,
        beams: Sequence[Beam],
        stacks: Sequence[Stack | BranchedStack],
        options: Options,
        backend: str,
        areas: Areas,
    ) -> None:
        super().__init__()
        self.beams, self.areas = tuple(beams), areas
        self.channels = 1 + max(beam.channel for beam in self.beams)
        self._layers = 1 + max(layer for beam in self.beams for layer in beam.layers)
        self._bands = 1 + max(beam.states for beam in self.beams)
        self._walks = walks_of(self.beams)
        each = [tuple(stacks[number] for number in walk) for walk in self._walks]
        different = list(dict.fromkeys(each))
        self._runs_on = [different.index(one) for one in each]
        made: list[tuple[Selected, Executor]] = [
            made_ready(first, options, backend, others) for first, *others in different
        ]
        self.selected = made[0][0]
        self._executors = nn.ModuleList(executor for _, executor in made)
        given = {id(beam.screen): beam.screen for beam in self.beams if beam.screen is not None}
        places = {screen: place for place, screen in enumerate(given)}
        self._screen_of = [places.get(id(beam.screen)) for beam in self.beams]
        screens = torch.stack(list(given.values())).to(options.dtype) if given else None
        self.register_buffer("screens", screens, persistent=False)

    @property
    def executors(self) -> list[Executor]:
        """What runs the beams, each once."""
        return cast("list[Executor]", list(self._executors))

    @property
    def single(self) -> bool:
        """Whether there is one beam, whose field is all there is."""
        return len(self.beams) == 1 and self.beams[0].weight == 1.0 and self.screens is None

    def explain(self) -> RunExplanation:
        """Return what runs the first beam; the ways to further detectors are as further gaps."""
        first = self.beams[0]
        paths = *first.paths, *first.past, *(self.beams[number].paths[-1] for number in self._walks[0][1:])
        return RunExplanation.of(self.selected.name, self.selected.reason, self.executors, paths, beams=len(self.beams))

    def detected(
        self,
        readout: Readout,
        light: Tensor,
        modulations: Sequence[Tensor],
        background: bool,
        amplitude: bool | None = None,
    ) -> Tensor:
        """Return what a readout asks for: sums over its regions, or the field; of an intensity's amplitude the field.

        Args:
            readout: Readout of the network.
            light: Images or fields on the source, as the stacks take them.
            modulations: Modulation of each layer, as for :meth:`field`.
            background: Whether there is light besides, which is added to the intensity.
            amplitude: False for sums of the intensity, whatever the readout measures.
        """
        of_intensity = background or not self.single
        if not isinstance(readout, RegionSums) or (amplitude is None and of_intensity and not readout.uses_intensity):
            return self.field(light, modulations)
        masks, amplitude = (readout.row_masks, readout.column_masks), amplitude is None and not readout.uses_intensity
        return self.sums(light, modulations, masks, amplitude=amplitude)

    def field(self, light: Tensor, modulations: Sequence[Tensor]) -> Tensor:
        """Return the field on the readout's window, complex ``batch x rows x columns``.

        Several beams have no field in common, but an intensity: its root stands for it, with no phase. Where the
        detector has several channels, they are the axis behind that of the images.

        Args:
            light: Images or fields on the source, as the stacks take them.
            modulations: Modulation of each layer, complex ``rows x columns`` tensors; with a first axis of wavelengths
                where there are several.
        """
        if self.single:
            return self.executors[0](light, self.met(0, modulations))
        each = self._each(light, modulations)
        return as_field(self.areas.windowed(self.added(each)))

    def sums(
        self, light: Tensor, modulations: Sequence[Tensor], masks: tuple[Tensor, Tensor], *, amplitude: bool = False
    ) -> Tensor:
        """Return the intensity summed over regions, real ``batch x regions``, or ``batch x channels x regions``.

        Args:
            light: Images or fields on the source, as the stacks take them.
            modulations: Modulation of each layer, as for :meth:`field`.
            masks: Weights of the window's rows and of its columns in each region.
            amplitude: Whether to sum the amplitude in place of the intensity, of a single beam.
        """
        if self.single:
            return self.executors[0].sums(light, self.met(0, modulations), *masks, amplitude=amplitude)
        each = self._each(light, modulations, [(masks[0], columns) for columns in self.areas.masks(masks[1])])
        found = self._gathered(each, [(beam.channel, 0) for beam in self.beams])
        return self._told_apart([found[channel, 0] for channel in range(self.channels)])

    def met(self, number: int, modulations: Sequence[Tensor]) -> list[Tensor]:
        """Return the modulations that a beam meets, in turn, out of those of all layers.

        Raises:
            GeometryError: if there is not one for each layer, of as many wavelengths as the light has.
        """
        beam, what = self.beams[number], f"{self._layers} modulations, one for each layer"
        given = checks.items(modulations, what, error=GeometryError)
        if len(given) != self._layers:
            raise GeometryError(f"expected {what}, but got {len(given)}")
        return [self._at(beam.states, given[layer]) for layer in beam.layers]

    def _at(self, band: int, modulation: Any) -> Any:
        """Return the states of a band; what is none of several is left for the executor to refuse, or to take."""
        several = self._bands > 1 and isinstance(modulation, Tensor) and modulation.ndim == 3
        if several and len(modulation) != self._bands:
            raise GeometryError(
                f"expected a modulation at each of {self._bands} wavelengths, but got one at {len(modulation)}"
            )
        return modulation[band] if several else modulation

    def lit(self, number: int, light: Tensor) -> Tensor:
        """Return the light of a beam behind its screen, if it has one."""
        place = self._screen_of[number]
        return light if place is None or self.screens is None else self.screens[place] * light

    def added(self, measured: Iterable[Tensor]) -> Tensor:
        """Return the intensity on the detector, its parts side by side, of that of each beam on its part.

        Where the detector has several channels, they are the axis behind that of the images.
        """
        found = self._gathered(measured, [(beam.channel, beam.area) for beam in self.beams])
        parts = [[found[channel, area] for area in range(self.areas.count)] for channel in range(self.channels)]
        return self._told_apart([each[0] if len(each) == 1 else torch.cat(each, -1) for each in parts])

    def _gathered(self, measured: Iterable[Tensor], places: Sequence[tuple[int, int]]) -> dict[tuple[int, int], Tensor]:
        """Return what was measured of the beams, added with their weights where their places are the same."""
        found: dict[tuple[int, int], Tensor] = {}
        for beam, place, one in zip(self.beams, places, measured, strict=True):
            weighted = beam.weight * one
            found[place] = found[place] + weighted if place in found else weighted
        return found

    def _told_apart(self, channels: list[Tensor]) -> Tensor:
        return channels[0] if self.channels == 1 else torch.stack(channels, 1)

    def _each(
        self, light: Tensor, modulations: Sequence[Tensor], masks: Sequence[tuple[Tensor, Tensor]] | None = None
    ) -> Iterator[Tensor]:
        """Yield the intensity that each beam leaves on its part of the detector, summed over masks if any are given."""
        for walk, place in zip(self._walks, self._runs_on, strict=True):
            runs, areas = self.executors[place], [self.beams[number].area for number in walk]
            given = self.lit(walk[0], light), self.met(walk[0], modulations)
            if not isinstance(runs, ForkedExecutor):
                yield intensity(runs(*given)) if masks is None else runs.sums(*given, *masks[areas[0]])
                continue
            for area, field in zip(areas, runs.fields(*given), strict=True):
                yield intensity(field) if masks is None else summed(field, masks[area], amplitude=False)


def walks_of(beams: Sequence[Beam]) -> list[list[int]]:
    """Return the numbers of the beams that each walk through the layers is for: those that part behind the last one."""
    numbers = range(len(beams))
    walks = groupby(numbers, lambda number: _until_last_layer(beams[number]))
    return [list(walk) for _, walk in walks]


def _until_last_layer(beam: Beam) -> tuple[Any, ...]:
    return beam.paths[:-1], beam.past, beam.layers, beam.states, id(beam.screen)


def beams_of(
    layout: Layout,
    light: Light,
    skips: Sequence[Skip],
    *,
    method: str | Method,
    engine: Engine,
) -> list[Beam]:
    """Return the beams of networks side by side, each with its equal share of the light, to each of their detectors.

    Args:
        layout: Planes of the networks, and what light meets between them.
        light: What is sent through each of them.
        skips: Ways past planes.
        method: Mathematics of the propagation.
        engine: What applies the kernels.

    Raises:
        ConfigError: if there are more of them than anybody waits for, or not the memory for the screens of modes.

    Warns:
        SamplingWarning: if the ways of a skip differ by more than the lines of a band stand for.
    """
    networks, way, depth = layout.networks, layout.way, len(layout.way) - 2
    modes = 1 if light.coherence is None else light.coherence.modes
    require_few(len(light.spectrum.each), networks.count, modes, len(layout.ends))
    warn_of_images(way, layout.every_span)
    screens = light.screens(way[0])
    lengths, beams = list(map(length_of, layout.spans)), []
    for skip in skips:
        _warn_of_ways(skip, sum(lengths[skip.start : skip.end]), light.spectrum)
    for line in light.spectrum.each:
        about = {"wavelength": line.wavelength, "method": method, "engine": engine}
        paths = paths_between(way, layout.every_span, **about)
        ends = [(*paths[:depth], last) for last in paths[depth:]]
        past = ways_past(skips, way, lengths, **about)
        beams += [
            Beam(
                line.wavelength,
                path,
                networks.layers(number, depth),
                line.weight / (networks.count * len(screens)) * share,
                states=line.band,
                channel=line.band if light.apart else 0,
                area=layout.area(number, detector),
                past=tuple(past),
                screen=screen,
            )
            for number in range(networks.count)
            for screen in screens
            for detector, (path, share) in enumerate(zip(ends, layout.light, strict=True))
        ]
    return beams


def _warn_of_ways(skip: Skip, through: float, spectrum: Spectrum) -> None:
    apart = 0.0 if skip.distance is None else abs(skip.distance - through)
    if apart > spectrum.reach:
        enough, advice = spectrum.reaching(apart), "make the ways more alike"
        if enough is not None:
            advice = f"set optics.spectrum.lines to {enough.lines}, or {advice}"
        advise(
            f"The ways past and through the layers from plane {skip.start} to {skip.end} differ by {metres(apart)}, "
            f"but {spectrum.lines} lines interfere as a band {metres(spectrum.bandwidth)} wide does up to "
            f"{metres(spectrum.reach)} alone: {advice}",
            SamplingWarning,
        )


def stacks_of(
    beams: Sequence[Beam], skips: Sequence[Skip], areas: Areas, source: ImageSource | None
) -> list[Stack | BranchedStack]:
    """Return the kernels of each beam onto the readout's window; beams with the same paths have the same object.

    Args:
        beams: The beams.
        skips: Ways past planes.
        areas: Parts of the detector.
        source: Source whose images they begin with; None where they begin with its field.
    """
    met = list(dict.fromkeys(path for beam in beams for path in beam.paths))
    kernels = dict(zip(met, kernels_of(met), strict=True))
    stacks = {beam.paths: Stack(tuple(kernels[path] for path in beam.paths)) for beam in beams}
    ways = {beam.paths: branched(stacks[beam.paths], skips, kernels_of(beam.past)) for beam in beams}
    made = {paths: stack.onto(*areas.window) for paths, stack in ways.items()}
    if source is not None:
        made = {paths: stack.behind(source.kernel()) for paths, stack in made.items()}
    return [made[beam.paths] for beam in beams]


def intensity(field: Tensor) -> Tensor:
    """Return the intensity of a field."""
    return field.real.square() + field.imag.square()
