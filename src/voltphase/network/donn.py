"""A diffractive optical neural network: source, layers and readout in the order light meets them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TypeVar, cast, get_args

import numpy as np
import torch
from torch import Tensor, nn

from voltphase.codesign import CodesignLayer, GumbelSoftmax, Relaxation
from voltphase.codesign.state_table import StateTable
from voltphase.core import checks
from voltphase.core.dtypes import no_autocast, uncompiled, with_standard_torch
from voltphase.core.errors import ConfigError, GeometryError
from voltphase.core.units import require_wavelength
from voltphase.devices import Device
from voltphase.devices.summary import warn_of
from voltphase.network import footprint
from voltphase.optics import Cascade, ImageSource, image_interpolation
from voltphase.optics.backends.base import Engine
from voltphase.optics.backends.cpu.cascade import joined
from voltphase.optics.grid import Grid
from voltphase.optics.images import checked_images, require_batch
from voltphase.optics.methods.base import Method
from voltphase.optics.precision import require_complex
from voltphase.optics.propagator import propagators_between
from voltphase.tasks import Classification, Readout, RegionSums, Task

ModuleT = TypeVar("ModuleT", bound=nn.Module)

# Amplitudes that all layers together may multiply light by, above and below 1: intensities, summed over a detector and
# focused on a region of it, then are numbers of the dtype's range.
_BRIGHTEST = {torch.complex64: 1e12, torch.complex128: 1e100}


class DONN(nn.Module):
    """Images in, logits out, through planes of discrete devices.

    Light carries the image as its amplitude, travels to the first layer, is modulated, travels to the next, and so
    on to the detector, whose regions are read out::

        source -> propagate -> modulate -> ... -> propagate -> read out

    In training mode each layer modulates light as its relaxation says; in evaluation mode (``model.eval()``) each pixel
    has the state of the level its design stands for, unless it stands for none (:class:`Unconstrained`), and the same
    images always give the same logits.

    Args:
        grid: Samples of the planes: one grid for all, or one for each in the order light meets them, that is source,
            layers and detector. Sizes, pitches and offsets may all differ.
        wavelength: In metres.
        distances: Source to first layer, between layers, and last layer to detector, in metres: one number for
            all, or one more than there are layers.
        devices: The states of each layer's device, or its panel, one per layer; they need not be alike.
        task: What is asked of the light: how the detector is read out, and what is learned and judged by.
        image_shape: (rows, columns) of the images, interpolated bilinearly to the source's grid.
        method: Of propagation, by name or as an object with parameters of its own, see
            :class:`voltphase.optics.Propagator`.
        relaxation: How states are chosen differentiably; the paper's hard Gumbel-Softmax by default.
        gain: The paper's lambda, one for all layers or one each.
        amplitude_grad_scale: Its other reading, see :class:`CodesignLayer`; one for all layers or one each.
        seed: Of initial designs and draws, a whole number of at least zero. PyTorch's global generator is neither used
            nor changed.
        dtype: ``torch.complex64`` or ``torch.complex128``.
        engine: What applies the kernels, ``"matrix"``, ``"fft"`` or ``"auto"``, the cheapest by estimate; the result is
            the same to rounding.
        tf32: Whether training on a CUDA GPU may round what its matrix products multiply, see
            :class:`voltphase.optics.Cascade`.

    Made on the CPU, whatever PyTorch's default device and dtype are; ``.to("cuda")`` moves it.

    Raises:
        ConfigError: if there is no device, or the number of grids, distances or gains does not fit it, or a panel has
            another shape than its layer's grid; if an argument is of another type or out of its range, or gains and
            amplitudes together are beyond what the dtype holds.
        GeometryError: if the task does not fit the detector.
        SamplingError: if the method is wrong for a gap, or a layer's plane too coarse for the light that arrives.

    Warns:
        DeviceWarning: if a table looks wrong: amplitudes above 1, phases in another unit, spikes.
        UnitWarning: if lengths look to be in different units.
    """

    @with_standard_torch
    def __init__(
        self,
        *,
        grid: Grid | Sequence[Grid],
        wavelength: float,
        distances: float | Sequence[float],
        devices: Sequence[Device],
        task: Task | None = None,
        image_shape: tuple[int, int] = (28, 28),
        method: str | Method = "fresnel",
        relaxation: Relaxation | None = None,
        gain: float | Sequence[float] = 1.0,
        amplitude_grad_scale: float | Sequence[float] = 1.0,
        seed: int = 0,
        dtype: torch.dtype = torch.complex64,
        engine: Engine = "auto",
        tf32: bool = False,
    ) -> None:
        super().__init__()
        devices = _devices(devices)
        depth = len(devices)
        advice = "use voltphase.Grid"
        self.grids = (
            [grid] * (depth + 2)
            if isinstance(grid, Grid)
            else [
                checks.instance(plane, Grid, "each plane as a grid", error=GeometryError, advice=advice)
                for plane in checks.items(grid, "a grid, or a list of them", error=GeometryError, advice=advice)
            ]
        )
        if len(self.grids) != depth + 2:
            raise ConfigError(
                f"expected {depth + 2} grids (source, {depth} layers, detector) or a single one, but got "
                f"{len(self.grids)}"
            )
        detector = self.grids[-1]
        self.task = Classification() if task is None else task
        checks.instance(self.task, Task, "a task", advice="use voltphase.tasks.Classification() or another one")
        readout = self.task.make_readout(detector.shape)
        require_wavelength(wavelength)
        self.wavelength = float(wavelength)
        self.distances = _one_each(distances, depth + 1, "distances", "one for each gap, source to detector")
        self.method = method
        gains = _one_each(gain, depth, "gains", "one for each layer")
        grad_scales = _one_each(amplitude_grad_scale, depth, "scales of the amplitude's gradient", "one for each layer")
        require_complex(dtype)
        _check_brightness(gains, devices, dtype)
        checks.word(engine, "an engine", get_args(Engine))
        checks.flag(tf32, "tf32")
        seed = checks.seed(seed)
        self.source = ImageSource(self.grids[0], image_shape, dtype=dtype)
        relaxation = GumbelSoftmax() if relaxation is None else relaxation
        checks.instance(relaxation, Relaxation, "a relaxation", advice="use voltphase.GumbelSoftmax() or another one")
        self.footprint = self._footprint(devices, relaxation, readout, engine)
        rows, columns = max(plane.shape for plane in self.grids)
        footprint.require(
            self.footprint.network,
            f"a network of {depth} layer{'' if depth == 1 else 's'} on planes of up to {rows} x {columns} samples",
            "take fewer samples or layers",
        )
        for device in {device.digest: device for device in devices}.values():
            warn_of(device, self.wavelength, doubtful_only=True)
        self.layers = _modules(
            CodesignLayer(
                plane.shape,
                device,
                relaxation=relaxation,
                gain=gains[index],
                amplitude_grad_scale=grad_scales[index],
                seed=seed * 1000 + index,
                dtype=dtype,
            )
            for index, (plane, device) in enumerate(zip(self.grids[1:-1], devices, strict=True))
        )
        self.propagators = _modules(
            propagators_between(
                self.grids, self.distances, wavelength=self.wavelength, method=method, engine=engine, dtype=dtype
            )
        )
        self.readout = readout
        self.cascade = self._cascade(image_shape, dtype, engine, tf32)

    @uncompiled
    def forward(self, images: Tensor) -> Tensor:
        """Return the outputs of the task's readout, such as ``batch x classes`` logits.

        Args:
            images: A ``batch x height x width`` tensor, uint8 or real in 0 to 1, where the network is; or an array.

        Raises:
            GeometryError: if the images are of another shape.
            ConfigError: if they are of another type or on another device, or ``torch.func`` transforms the network.
            DataError: if they are not finite.
            TrainingError: if there is no light to calibrate the readout's scale with.
        """
        images = self._checked(images)
        measured = self.measure(images)
        if self.training and not self.readout.calibrated and not bool(images.any()):
            return measured  # black images alone are nothing to calibrate by: the next ones are
        return self.readout.outputs(measured)

    @uncompiled
    def measure(self, images: Tensor, modulations: Sequence[Tensor] | None = None) -> Tensor:
        """Return what the readout measures of the light, such as a real ``batch x classes`` tensor.

        Args:
            images: As for :meth:`forward`.
            modulations: A complex ``rows x columns`` tensor for each layer in place of its own, gain included.

        Raises: as :meth:`forward`, and
            GeometryError: if modulations do not fit.
        """
        images = self._checked(images)
        with no_autocast(images.device.type):
            return self._measure(images, modulations)

    def _checked(self, images: Tensor) -> Tensor:
        images = checked_images(images, self.source.image_shape, self.source.rows.device)
        require_batch(images)
        return images

    def _measure(self, images: Tensor, modulations: Sequence[Tensor] | None) -> Tensor:
        if modulations is None:
            modulations = [layer.modulation() for layer in self.layers]
        if self.cascade is None or not isinstance(self.readout, RegionSums):
            field = self.source(images)
            for propagate, modulation in zip(self.propagators, modulations, strict=False):
                field = modulation * propagate(field)
            return self.readout.read(self.readout.window(self.propagators[-1](field)))
        sums = self.cascade.intensities if self.readout.uses_intensity else self.cascade.amplitudes
        return self.readout.from_region_sums(
            sums(images, modulations, self.readout.row_masks, self.readout.column_masks)
        )

    @torch.no_grad()
    def planes(self, images: Tensor) -> dict[str, Tensor]:
        """The complex field on each plane in the order light meets them, by name, to look at.

        Raises: as :meth:`forward`.
        """
        field = self.source(self._checked(images))
        planes = {"source": field}
        for index, (propagate, layer) in enumerate(zip(self.propagators, self.layers, strict=False), start=1):
            planes[f"layer {index} in"] = propagate(field)
            planes[f"layer {index} out"] = field = layer(planes[f"layer {index} in"])
        planes["detector"] = self.propagators[-1](field)
        return planes

    def _footprint(
        self,
        devices: Sequence[Device],
        relaxation: Relaxation,
        readout: Readout,
        engine: Engine,
    ) -> footprint.Footprint:
        """How much memory this will take, before it does."""
        # What is learned of one pixel, by its table.
        tables = [device.tables[0] for device in devices]
        one = {
            table: relaxation.initial(StateTable.of(table, self.source.dtype), (1, 1), torch.Generator()).numel()
            for table in dict.fromkeys(tables)
        }
        pixels = [plane.rows * plane.columns for plane in self.grids[1:-1]]
        gaps = footprint.gaps_between(
            self.grids,
            self.distances,
            wavelength=self.wavelength,
            method=self.method,
            engine=engine,
            image_shape=self.source.image_shape,
            window=(len(readout.window_rows), len(readout.window_columns)),
        )
        # A draw in closed form keeps one number of each score, autograd two to four.
        kept = 1 if getattr(relaxation, "hard", False) else 3
        return footprint.Footprint(
            gaps,
            numbers=tuple(one[table] * count for table, count in zip(tables, pixels, strict=True)),
            scores=tuple(max(3, kept * one[table]) * count for table, count in zip(tables, pixels, strict=True)),
            itemsize=self.source.dtype.itemsize,
            choosing=engine == "auto",
        )

    def _cascade(self, image_shape: tuple[int, int], dtype: torch.dtype, engine: Engine, tf32: bool) -> Cascade | None:
        """All of it as one function, where every propagation allows it: several times faster than step by step.

        The interpolation of the images is joined to the first propagation, the choice of the detector's rows and
        columns to the last.
        """
        kernels = {propagator: propagator.kernel() for propagator in set(self.propagators)}
        steps = [kernels[propagator] for propagator in self.propagators]
        known = [step for step in steps if step is not None]
        if len(known) < len(steps) or not isinstance(self.readout, RegionSums):
            return None
        source, detector = self.grids[0].shape, self.grids[-1].shape
        rows, columns = (
            image_interpolation(n, m).to(torch.complex128) for n, m in zip(image_shape, source, strict=True)
        )
        window_rows, window_columns = (
            torch.eye(n, dtype=torch.complex128)[chosen.cpu()]
            for n, chosen in zip(detector, (self.readout.window_rows, self.readout.window_columns), strict=True)
        )
        whole = (len(window_rows), len(window_columns)) == detector
        return Cascade(
            first=joined((rows, columns), known[0]),
            between=known[1:-1],
            last=known[-1] if whole else joined(known[-1], (window_rows, window_columns)),
            dtype=dtype,
            engine=engine,
            tf32=tf32,
        )

    def levels(self) -> list[Tensor]:
        """The level of each pixel of each layer: int64 ``rows x columns`` tensors."""
        return [layer.levels() for layer in self.layers]

    def set_temperature(self, temperature: float) -> None:
        """Set how soft the choice of states is in training, for every layer.

        Raises:
            ConfigError: if it is not a number above zero.
        """
        temperature = checks.temperature(temperature)
        for layer in self.layers:
            layer.temperature = temperature


def _modules(modules: Iterable[ModuleT]) -> Sequence[ModuleT]:
    # A ModuleList for torch, and for type checkers a sequence of what is in it.
    return cast("Sequence[ModuleT]", nn.ModuleList(modules))


def _devices(given: Sequence[Device]) -> list[Device]:
    if isinstance(given, Device):
        raise ConfigError(
            f"expected a list of devices, one for each layer, but got {given!r} alone: write [device] * 5 for five "
            "layers of it"
        )
    advice = "read a table with voltphase.devices.load(path), or take a modelled one with voltphase.devices.model(name)"
    devices = checks.items(given, "a list of devices, one for each layer", advice=advice)
    if not devices:
        raise ConfigError("expected at least one device, but got none: a network needs a layer")
    return [checks.instance(device, Device, "the states of a device or its panel", advice=advice) for device in devices]


def _check_brightness(gains: list[float], devices: list[Device], dtype: torch.dtype) -> None:
    """Refuse what light behind all layers would be no number of."""
    limit = _BRIGHTEST[dtype]
    factors = [checks.number(gain, "a gain", above=0) for gain in gains]
    factors += [max(float(table.amplitude.max()) for table in device.tables) for device in devices]
    exponent = sum(math.log10(factor) for factor in factors)
    if abs(exponent) > math.log10(limit):
        raise ConfigError(
            f"expected gains and amplitudes that multiply light by {1 / limit:g} to {limit:g} altogether, which "
            f"{str(dtype).removeprefix('torch.')} holds, but got about 1e{exponent:+.0f}: bring them nearer to 1"
        )


def _one_each(values: float | Sequence[float], count: int, what: str, meaning: str) -> list[float]:
    if not isinstance(values, Sequence | np.ndarray | Tensor) or isinstance(values, str):
        return [checks.number(values, f"a number as {what}")] * count
    numbers = checks.items(values, f"{count} {what} ({meaning}) or a single number")
    if len(numbers) != count:
        raise ConfigError(f"expected {count} {what} ({meaning}) or a single number, but got {len(numbers)}")
    return [checks.number(value, f"numbers as {what}") for value in numbers]
