"""A plane of pixels, each in one of the states of a device."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from voltphase.codesign.draw_seeds import draw_seed
from voltphase.codesign.pixels import Pixels
from voltphase.codesign.relaxations import Proximity, Relaxation
from voltphase.codesign.state_table import StateTable
from voltphase.core import checks
from voltphase.core.dtypes import FixedDtype, exact_products, uncompiled, with_standard_torch
from voltphase.core.errors import ConfigError, GeometryError
from voltphase.devices import Device
from voltphase.devices.spectrum import plain

# A gain is far from 1 in the paper already, at 90; amplitudes of a whole network are checked where it is made.
FACTORS = (1e-6, 1e6)
_WHOLE = (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8)


@dataclass(frozen=True, eq=False)
class DrawInputs:
    """What a draw takes beside the design, where a recorded step finds it again with other values.

    Attributes:
        temperature: A real tensor without axes, where the design is.
        generator: Random generator there.
    """

    temperature: Tensor
    generator: torch.Generator


class CodesignLayer(FixedDtype):
    """A device in the beam, its state per pixel chosen by training.

    ``design`` (a real ``numbers x rows x columns`` parameter, for most relaxations a score for each level) is what
    training moves. In training mode the modulation is the relaxation's; in evaluation mode it is the states of the
    levels that the design stands for, always the same.

    Args:
        shape: (rows, columns) of pixels.
        device_states: Table of the states that a pixel can take, or a panel, which says it of each pixel. Inactive
            pixels of a panel have its fixed value and level 0, always.
        relaxation: Differentiable stand-in for the choice of a state; `Proximity()` if None.
        gain: The paper's regularisation factor lambda (eq. 5), multiplying the amplitude. Emulation only: hardware
            has none, and a common factor cannot change which detector region is brightest.
        amplitude_grad_scale: The other reading of eq. 5: a factor (the paper's 1 / lambda) on the part of the
            gradient that changes the amplitude, against the part that changes the phase. The forward pass does not
            know it.
        seed: Seed of the initial design and of every draw.
        dtype: Complex type of the modulation.

    Attributes:
        temperature: How soft the choice of states is in training, 1 at first.
        gain: The factor on the amplitude in emulation.
        amplitude_grad_scale: The factor on the amplitude's part of the gradient.
        draw_inputs: In training, what takes the place of the temperature and of a new generator seeded by
            :meth:`next_draw`, which then is for whoever set it to call; None, as it is at first, for these.

    Raises:
        ConfigError: if an argument is of another type, the gain or the scale of the amplitude's gradient is not from
            1e-6 to 1e6, the seed is not a whole number of at least zero, or a panel has another shape; and if the
            ``temperature``, the ``gain`` or the ``amplitude_grad_scale`` is set to anything out of its bounds later.

    Examples:
        >>> import voltphase as vp
        >>> layer = CodesignLayer((2, 3), vp.devices.tn_slm().pick(8))
        >>> layer.levels().shape, layer.modulation().dtype
        (torch.Size([2, 3]), torch.complex64)
    """

    temperature: float
    gain: float
    amplitude_grad_scale: float

    @with_standard_torch
    def __init__(
        self,
        shape: tuple[int, int],
        device_states: Device,
        *,
        relaxation: Relaxation | None = None,
        gain: float = 1.0,
        amplitude_grad_scale: float = 1.0,
        seed: int = 0,
        dtype: torch.dtype = torch.complex64,
    ) -> None:
        super().__init__()
        shape = checks.size(shape, "the shape of a layer", error=ConfigError)
        self.gain = gain
        self.amplitude_grad_scale = amplitude_grad_scale
        if not isinstance(dtype, torch.dtype) or dtype not in (torch.complex64, torch.complex128):
            raise ConfigError(f"expected dtype torch.complex64 or torch.complex128, but got {checks.shown(dtype)}")
        advice = (
            "read a table with voltphase.devices.load(path), or take a modelled one with voltphase.devices.model(name)"
        )
        device = checks.instance(device_states, Device, "the states of a device or its panel", advice=advice)
        if device.regions is not None:
            rows, columns = device.regions.shape
            if (rows, columns) != shape:
                raise ConfigError(
                    f"expected a panel of {shape[0]} x {shape[1]} pixels as its plane has, but {device.name} has "
                    f"{rows} x {columns}: change the size of the plane, or use another panel"
                )
            if not device.regions.any():
                device = plain(device)
        self.device_states = device
        advice = "use one of voltphase.codesign, such as Proximity()"
        relaxation = Proximity() if relaxation is None else relaxation
        self.relaxation = checks.instance(relaxation, Relaxation, "a relaxation", advice=advice)
        self.temperature = 1.0
        self.seed = checks.seed(seed)
        self.draws = 0
        self.draw_inputs: DrawInputs | None = None
        self.pixels = Pixels(device, shape, dtype)
        generator = torch.Generator().manual_seed(self._stream(0))
        self.design = nn.Parameter(self.pixels.initial(self.relaxation, generator))

    def __setattr__(self, name: str, value: Any) -> None:
        # Checked whenever they are set: a schedule and a refinement set them long after the layer is made.
        if name == "temperature":
            value = checks.temperature(value)
        elif name == "gain":
            value = checks.positive(value, "a gain", FACTORS)
        elif name == "amplitude_grad_scale":
            value = checks.positive(value, "an amplitude_grad_scale", FACTORS)
        super().__setattr__(name, value)

    @property
    def table(self) -> StateTable:
        """The states of the device (of a panel, those of its first table) as tensors like the layer's own."""
        return self.pixels.table

    def levels(self) -> Tensor:
        """Return the level of each pixel, an int64 ``rows x columns`` tensor; 0 where a panel is inactive."""
        return self.pixels.levels(self.relaxation, self.design.detach())

    def states_at(self, levels: Tensor) -> Tensor:
        """Return the complex ``rows x columns`` modulation that some levels give, before the gain.

        Of a device at several wavelengths these are the first axis.

        Args:
            levels: An int64 ``rows x columns`` tensor; what it says of inactive pixels does not matter.
        """
        return self.pixels.states_at(levels)

    @torch.no_grad()
    def set_levels(self, levels: Tensor) -> None:
        """Put each pixel into a state: the design becomes one that stands for ``levels``, except at inactive pixels.

        Where several levels have the same state, it may stand for another of these.

        Raises:
            ConfigError: if they are not whole numbers of the device's levels, one for each pixel, or one of them is not
                :meth:`attainable` and its pixel is not there already.
        """
        shape = tuple(self.design.shape[1:])
        levels = checks.array(levels, "levels")
        if tuple(levels.shape) != shape or levels.dtype not in _WHOLE:
            raise ConfigError(
                f"expected {shape[0]} x {shape[1]} whole numbers as levels, but got {levels.dtype} of "
                f"shape {tuple(levels.shape)}"
            )
        if int(levels.min()) < 0 or int(levels.max()) >= len(self.device_states):
            raise ConfigError(
                f"expected levels from 0 to {len(self.device_states) - 1}, but got {int(levels.min())} to "
                f"{int(levels.max())}"
            )
        levels = levels.to(self.design.device, torch.int64)
        held = self.pixels.holding(self.relaxation, levels)
        unknown = held.isnan().any(0)
        if len(lost := levels[unknown & (levels != self.levels())]):
            raise ConfigError(
                f"expected levels that a design can stand for, but {self.relaxation} finds none for level "
                f"{int(lost[0])}: set other levels, or train with another relaxation"
            )
        self.design.copy_(torch.where(unknown, self.design, held))

    def attainable(self) -> Tensor:
        """Return which levels each pixel can be set to from any other, a boolean ``levels x rows x columns`` tensor."""
        return self.pixels.attainable(self.relaxation)

    @uncompiled
    def modulation(self) -> Tensor:
        """Return the complex ``rows x columns`` map the light is multiplied by, gain included.

        Of a device at several wavelengths these are the first axis.
        """
        with exact_products(self.design.device):
            if self.training or not self.relaxation.discrete:
                modulation = self.pixels.modulation(self.relaxation, self.design, *self._drawn_with())
                if self.amplitude_grad_scale != 1.0 and modulation.requires_grad:
                    modulation.register_hook(_amplitude_scaler(modulation.detach(), self.amplitude_grad_scale))
            else:
                modulation = self.states_at(self.levels())
            return modulation if self.gain == 1.0 else self.gain * modulation

    def next_draw(self) -> int:
        """Count a draw, and return the seed of its generator."""
        self.count_draw()
        return self._stream(self.draws)

    def count_draw(self) -> None:
        """Count a draw."""
        # To set an attribute of a module takes the host as long as to launch a kernel.
        self.__dict__["draws"] += 1

    def _drawn_with(self) -> tuple[float | Tensor, torch.Generator]:
        if self.training and self.draw_inputs is not None:
            return self.draw_inputs.temperature, self.draw_inputs.generator
        seed = self.next_draw() if self.training else self._stream(self.draws)
        return self.temperature, torch.Generator(self.design.device).manual_seed(seed)

    def forward(self, field: Tensor, states: int = 0) -> Tensor:
        """Modulate a complex ``... x rows x columns`` field.

        Args:
            field: Field in front of the layer.
            states: Number of the wavelength whose states it meets, where the device has some at several.

        Raises:
            GeometryError: if the field has another shape.
        """
        shape = tuple(self.design.shape[1:])
        if not isinstance(field, Tensor) or tuple(field.shape[-2:]) != shape:
            given = " x ".join(map(str, field.shape)) if isinstance(field, Tensor) else checks.shown(field)
            raise GeometryError(f"expected a field of {shape[0]} x {shape[1]} samples, but got {given}")
        modulation = self.modulation()
        return (modulation if modulation.ndim == 2 else modulation[states]) * field

    def get_extra_state(self) -> Tensor:
        """Return the number of draws so far, so that resumed training draws what it would have drawn."""
        return torch.tensor(self.draws)

    def set_extra_state(self, state: Tensor) -> None:
        self.draws = int(state)

    def extra_repr(self) -> str:
        return f"{self.device_states.name!r}, levels={len(self.device_states)}, gain={self.gain:g}"

    def _stream(self, draw: int) -> int:
        # A generator seeded anew for each draw needs no state in a checkpoint; SeedSequence keeps streams apart,
        # which neighbouring seeds of the Mersenne twister would not promise. Not from those of the batches: with the
        # seed 0, draw e and the shuffle of epoch e make different things out of the same stream.
        return draw_seed(self.seed, draw)


def _amplitude_scaler(modulation: Tensor, scale: float) -> Callable[[Tensor], Tensor]:
    def scaled(gradient: Tensor) -> Tensor:
        # In the direction of the modulation itself a gradient changes the amplitude, across it the phase. Where the
        # amplitude is zero there is no such direction, sgn gives 0, and the gradient stays as it is.
        direction = modulation.sgn().nan_to_num_(0.0, 0.0, 0.0)
        along = (direction.conj() * gradient).real
        return gradient + (scale - 1) * along * direction

    return scaled
