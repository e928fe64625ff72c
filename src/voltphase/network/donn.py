"""A diffractive optical neural network: source, layers and readout in the order light meets them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Self

import torch
from torch import Tensor, nn

from voltphase.codesign import Relaxation
from voltphase.core import checks
from voltphase.core.dtypes import no_autocast, uncompiled, with_standard_torch
from voltphase.devices import Device
from voltphase.network import footprint
from voltphase.network.areas import Areas
from voltphase.network.arguments import (
    LARGEST_SEED,
    checked_devices,
    checked_relaxation,
    has_hooks,
    layers_of,
    one_each,
    require_brightness,
    require_no_gain,
    require_readable,
    warn_of_devices,
)
from voltphase.network.beams import Beam, Beams, Light, beams_of, stacks_of, walks_of
from voltphase.network.describe import html_of, text_of
from voltphase.network.detectors import Detectors, Layout
from voltphase.network.networks import Networks
from voltphase.network.planes import detector_field_of
from voltphase.network.reading import Reading, crossings, light_on_planes, light_units, sent_light
from voltphase.optics import ImageSource, SourceLight
from voltphase.optics.backends import Options
from voltphase.optics.backends.base import Engine, Executor
from voltphase.optics.backends.select import AUTO
from voltphase.optics.explain import RunExplanation
from voltphase.optics.grid import Grid
from voltphase.optics.images import checked_images, require_batch
from voltphase.optics.light import Coherence, Spectrum
from voltphase.optics.methods.base import Method
from voltphase.optics.paths import Span, length_of
from voltphase.optics.skips import BranchedStack, Skip, checked_skips
from voltphase.optics.stack import Stack
from voltphase.tasks import Classification, RegionSums, Task, readout_of
from voltphase.tasks.background_light import checked_background, measured_with, with_background
from voltphase.tasks.region_readout import share


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
            layers and detector. Sizes, pitches and offsets may all differ. Networks side by side have alike ones.
        wavelength: Wavelength in metres; or a list of them, or a spectrum: wavelengths add as intensities, and each
            level has a state at each of them.
        distances: Distances from source to first layer, between layers, and from last layer to detector in metres: one
            number for all, or one more than there are layers. Where a lens, an aperture or a relay stands between two
            planes, it is distances and elements in the order light meets them: ``(0.1, Lens(0.2), 0.2)``. Where there
            are ``detectors``, those up to the last layer, as many as there are layers.
        devices: States of each layer's device, or its panel, one for each layer; they need not be alike. Of networks
            side by side they are those of the first network, then those of the next.
        task: What is asked of the light: how the detector is read out, and what is learned and judged by.
        image_shape: (rows, columns) of the images, interpolated bilinearly to the source's grid.
        source: How light carries an image; as the amplitude of a plane wave if None.
        coherence: How far the waves of the source know of each other, if not all of them do.
        background_light: Intensity of even, incoherent light on each sample of the detector that is counted with the
            beam's, in parts of that of a white pixel on the source in a plane wave.
        networks: Networks side by side that make one answer together; one if None.
        detectors: Several detectors that share the light behind the last layer; one if None.
        skips: Ways past layers, of each network alike.
        method: Method of propagation, a name or an object with parameters, see :class:`voltphase.optics.Propagator`.
        relaxation: How states are chosen differentiably; `Proximity()` if None.
        gain: Factor of the light in each layer, the paper's lambda, one for all layers or one each.
        amplitude_grad_scale: The other reading of the paper's lambda, see :class:`CodesignLayer`; one for all layers or
            one each.
        seed: Seed of the initial designs and of every random draw, a whole number from 0 to 2**31 - 1. PyTorch's global
            generator is neither used nor changed.
        dtype: Complex type of the light, ``torch.complex64`` or ``torch.complex128``.
        backend: What runs the network, a name of :data:`voltphase.optics.backends.BACKENDS`, or ``"auto"`` for the one
            that is estimated to cost least. :meth:`explain` says which it is.
        engine: What applies the kernels: ``"matrix"``, ``"fft"`` or ``"auto"``, the cheapest by estimate; the result is
            the same to rounding.
        tf32: Whether training on a CUDA GPU may round what its matrix products multiply, see
            :func:`voltphase.core.dtypes.matrix_products`.
        checkpoint_fields: Whether training keeps the fields of few planes and computes those of the others again, for
            about half more time and much less memory where there are many layers; gradients are the same.

    A loss of one's own may be of the light on any plane, see :meth:`planes`; :meth:`parameter_groups` has the learning
    rates of the command line. Where the source, a layer or the readout has hooks of PyTorch, light goes through them
    one after the other, the same to rounding and slower, so that the hooks run.

    Made on the CPU, whatever PyTorch's default device and dtype are; ``.to("cuda")`` moves it, and selects the back end
    anew.

    Raises:
        ConfigError: if the back end cannot run the network; if there is no device, or the number of grids, distances,
            gains or networks does not fit it, or a panel has another shape than its layer's grid; if an argument is of
            another type or out of its range, or gains and amplitudes together are beyond what the dtype holds.
        GeometryError: if the task does not fit the detector.
        SamplingError: if the method is wrong for a gap, or a layer's plane too coarse for the light that arrives.

    Warns:
        DeviceWarning: if a table looks wrong: amplitudes above 1, phases in another unit, spikes.
        LensWarning: if a lens was made for another wavelength.
        SamplingWarning: if the ways of a skip differ by more than the lines of a band stand for.
        UnitWarning: if lengths look to be in different units.

    Examples:
        >>> import voltphase as vp
        >>> states = vp.devices.model("tn-slm")
        >>> model = vp.DONN(grid=vp.Grid(16, 36e-6), wavelength=532e-9, distances=0.02, devices=[states] * 2)
        >>> model(torch.zeros(3, 28, 28)).shape
        torch.Size([3, 10])
    """

    @with_standard_torch
    def __init__(
        self,
        *,
        grid: Grid | Sequence[Grid],
        wavelength: float | Sequence[float] | Spectrum,
        distances: float | Sequence[Span],
        devices: Sequence[Device],
        task: Task | None = None,
        image_shape: tuple[int, int] = (28, 28),
        source: SourceLight | None = None,
        coherence: Coherence | None = None,
        background_light: float = 0.0,
        networks: Networks | None = None,
        detectors: Detectors | None = None,
        skips: Sequence[Skip] = (),
        method: str | Method = "fresnel",
        relaxation: Relaxation | None = None,
        gain: float | Sequence[float] = 1.0,
        amplitude_grad_scale: float | Sequence[float] = 1.0,
        seed: int = 0,
        dtype: torch.dtype = torch.complex64,
        backend: str = AUTO,
        engine: Engine = "auto",
        tf32: bool = False,
        checkpoint_fields: bool = False,
    ) -> None:
        super().__init__()
        self.options, self.asked_backend = Options(dtype, engine, tf32, checkpoint_fields=checkpoint_fields), backend
        self.spectrum, self.coherence, self.method = Spectrum.of(wavelength), coherence, method
        self.wavelength = self.spectrum.wavelengths[0]
        devices = checked_devices(devices, self.spectrum)
        self.networks = checks.instance(networks or Networks(), Networks, "networks side by side")
        about = {"layers": len(devices), "wavelength": None if len(self.spectrum.each) > 1 else self.wavelength}
        self.layout = layout = Layout.of(self.networks, detectors, grid, distances, **about)
        self.way, self.grids, self.spans = layout.way, layout.grids, layout.spans
        self.distances = list(map(length_of, self.spans))
        self.task = Classification() if task is None else task
        checks.instance(self.task, Task, "a task", advice="use voltphase.tasks.Classification() or another one")
        readout = layout.combination.read_by(readout_of(self.task, self.way[-1].shape))
        self.background_light = checked_background(background_light, readout)
        require_readable(readout, self.spectrum, self.coherence, self.networks.count * len(layout.ends))
        relaxation = checked_relaxation(relaxation)
        gains = one_each(gain, len(devices), "gains", "one for each layer")
        scales = one_each(amplitude_grad_scale, len(devices), "amplitude_grad_scales", "one for each layer")
        require_brightness(gains, devices, self.networks.count, dtype)
        self.seed = checks.whole(seed, "a seed", least=0, most=LARGEST_SEED)
        self.source = ImageSource(self.grids[0], image_shape, light=source, dtype=dtype)
        self.skips = checked_skips(skips, len(self.way) - 2, len(layout.ends))
        require_no_gain(gains, self.skips)
        sent = Light(self.spectrum, coherence, readout.channels > 1)
        beams = beams_of(layout, sent, self.skips, method=method, engine=engine)
        self.paths = list(beams[0].paths)
        areas = Areas(readout, layout.combination.areas)
        stacks = self._stacks(beams, areas)
        self.footprint = footprint.checked(stacks, len(walks_of(beams)), self.grids, devices, relaxation, self.options)
        warn_of_devices(devices, self.spectrum)
        self.layers = layers_of(self.grids[1:-1], devices, gains, scales, relaxation, self.seed, dtype)
        self.beams, self.readout = self._run(beams, stacks, areas), readout

    def _stacks(self, beams: Sequence[Beam], areas: Areas) -> list[Stack | BranchedStack]:
        return stacks_of(beams, self.skips, areas, self.source if self._takes_images else None)

    @with_standard_torch
    def _run(self, beams: Sequence[Beam], stacks: Sequence[Stack | BranchedStack], areas: Areas) -> Beams:
        return Beams(beams, stacks, self.options, self.asked_backend, areas).train(self.training)

    @property
    def _takes_images(self) -> bool:
        # A kernel makes the image's field with the first propagation; screens stand between the two.
        return self.source.light.linear and self.coherence is None

    @property
    def gain(self) -> float:
        """Gain of all layers that light passes, a factor of the field that no hardware has."""
        return math.prod(self.layers[number].gain for number in self.beams.beams[0].layers)

    @property
    def executor(self) -> Executor:
        """What runs the first beam."""
        return self.beams.executors[0]

    @property
    def backend(self) -> str:
        """Name of the back end that runs the network."""
        return self.beams.selected.name

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        device = fn(torch.empty(0)).device.type
        if device != self.options.device:
            # What runs fastest there is another back end, or there is none: known before anything has moved.
            self.options = replace(self.options, device=device)
            beams, areas = self.beams.beams, self.beams.areas
            self.beams = self._run(beams, self._stacks(beams, areas), areas)
        return super()._apply(fn, recurse)

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
        if any(map(has_hooks, (self.source, *self.layers, self.readout))) and not self.unsettled_by(images):
            return self.readout(with_background(self.detector_field(images), self._background))
        return self._outputs(images, self._measure(images))

    @uncompiled
    def read(self, images: Tensor, modulations: Sequence[Tensor] | None = None) -> Reading:
        """Return the outputs together with what was measured and how much light it was, with gradients.

        Args:
            images: As for :meth:`forward`.
            modulations: As for :meth:`measure`.
        """
        images, readout = self._checked(images), self.readout
        with no_autocast(images.device.type):
            sent = sent_light(self, images)
            images_or_field = images if self._takes_images else self.source(images)
            modulations = [layer.modulation() for layer in self.layers] if modulations is None else modulations
            detected = self._detected(images_or_field, modulations)
            measured = measured_with(readout, detected, self._background)
            if isinstance(readout, RegionSums) and not readout.uses_intensity:
                detected = self._detected(images_or_field, modulations, amplitude=False)
            light_share = share(readout.collected(detected) * light_units(self)["detector"], sent)
        return Reading(self._outputs(images, measured), measured, light_share)

    @uncompiled
    def measure(self, images: Tensor, modulations: Sequence[Tensor] | None = None) -> Tensor:
        """Return what the readout measures of the light, such as a real ``batch x classes`` tensor.

        Args:
            images: As for :meth:`forward`.
            modulations: A complex ``rows x columns`` tensor for each layer in place of its own, gain included.

        Raises:
            GeometryError: if the images are of another shape, or modulations do not fit.
            ConfigError: if the images are of another type or on another device.
            DataError: if they are not finite.
        """
        return self._measure(self._checked(images), modulations)

    def _checked(self, images: Tensor) -> Tensor:
        checks.require_plain("a network")
        images = checked_images(images, self.source.image_shape, self.source.rows.device)
        require_batch(images)
        return images

    def _measure(self, images: Tensor, modulations: Sequence[Tensor] | None = None) -> Tensor:
        with no_autocast(images.device.type):
            if not self._takes_images:
                images = self.source(images)
            if modulations is None:
                modulations = [layer.modulation() for layer in self.layers]
            return measured_with(self.readout, self._detected(images, modulations), self._background)

    def _detected(self, light: Tensor, modulations: Sequence[Tensor], *, amplitude: bool | None = None) -> Tensor:
        return self.beams.detected(self.readout, light, modulations, self.background_light > 0, amplitude)

    @property
    def _background(self) -> float:
        # The gain of emulation, which no hardware has, is all light's.
        return self.background_light * self.gain**2

    def outputs_of(self, images: Tensor, modulations: Sequence[Tensor]) -> Tensor:
        """Return what :meth:`forward` does, with other modulations; for the arguments see :meth:`measure`."""
        return self._outputs(images, self.measure(images, modulations))

    def _outputs(self, images: Tensor, measured: Tensor) -> Tensor:
        return measured if self.unsettled_by(images) else self.readout.outputs(measured)

    def unsettled_by(self, images: Tensor) -> bool:
        """Return whether nothing of the readout is settled yet, nor can be by these images: all of them are black."""
        return self.training and not self.readout.calibrated and self.source.light.dark and not bool(images.any())

    @property
    def propagators(self) -> list[nn.Module]:
        """What takes light across each gap by itself, step by step, made anew and where the network is."""
        return crossings(self, self.paths)

    @uncompiled
    def planes(self, images: Tensor, beam: int = 0) -> dict[str, Tensor]:
        """Return the complex field on each plane in the order light meets them, by name, with gradients.

        Each is ``batch x rows x columns``: ``source``, ``layer 1 in``, ``layer 1 out`` and so on, ``detector``. Layers
        have the numbers that they have among all layers of the network.

        Args:
            images: Images as for :meth:`forward`.
            beam: Number of the beam whose field it is, out of ``model.beams.beams``; it has the light of the whole
                source.

        Examples:
            >>> import voltphase as vp
            >>> device, plane = vp.devices.tn_slm(), vp.Grid(16, 36e-6)
            >>> model = vp.DONN(grid=plane, wavelength=532e-9, distances=0.02, devices=[device])
            >>> light = model.planes(torch.ones(3, 28, 28))["detector"].abs().square().sum()
            >>> light.backward()  # a loss of one's own, of any plane
        """
        return light_on_planes(self, self._checked(images), beam)

    def detector_field(self, images: Tensor) -> Tensor:
        """Return the field on the whole detector, step by step; of several beams, what stands for it.

        Args:
            images: Images as for :meth:`forward`.
        """
        return detector_field_of(self, self._checked(images))

    def parameter_groups(self, learning_rate: float = 0.25, scale_learning_rate: float = 0.02) -> list[dict[str, Any]]:
        """Return the parameters for an optimizer of PyTorch, each at a learning rate in its own unit.

        These are the rates of ``training.learning_rate`` and ``training.scale_learning_rate`` in a configuration.

        Args:
            learning_rate: Learning rate of the designs, in the unit of each layer's relaxation and device.
            scale_learning_rate: Learning rate of whatever else is learned, such as the readout's scale.

        Raises:
            ConfigError: if a rate is not a finite number, of at least zero.

        Examples:
            >>> import voltphase as vp
            >>> device, plane = vp.devices.tn_slm(), vp.Grid(16, 36e-6)
            >>> model = vp.DONN(grid=plane, wavelength=532e-9, distances=0.02, devices=[device])
            >>> optimizer = torch.optim.Adam(model.parameter_groups(learning_rate=0.25))
        """
        rate = checks.number(learning_rate, "a learning rate", least=0)
        groups: list[dict[str, Any]] = [
            {"params": [layer.design], "lr": rate * layer.relaxation.lr_unit(layer.table)} for layer in self.layers
        ]
        designs = {id(layer.design) for layer in self.layers}
        others = [parameter for parameter in self.parameters() if id(parameter) not in designs]
        scale_rate = checks.number(scale_learning_rate, "a learning rate of the scale", least=0)
        return [*groups, {"params": others, "lr": scale_rate}] if others else groups

    def explain(self) -> RunExplanation:
        """Return what the network really runs on, and why: back end, precision, and the engine of each gap."""
        return self.beams.explain()

    def __repr__(self) -> str:
        return text_of(self)

    def _repr_html_(self) -> str:
        return html_of(self)

    def levels(self) -> list[Tensor]:
        """Return the level of each pixel of each layer: int64 ``rows x columns`` tensors."""
        return [layer.levels() for layer in self.layers]

    def set_temperature(self, temperature: float) -> None:
        """Set how soft the choice of states is in training, for every layer.

        Args:
            temperature: Temperature of the relaxation.

        Raises:
            ConfigError: if it is not a number above zero.
        """
        temperature = checks.temperature(temperature)
        for layer in self.layers:
            layer.temperature = temperature
