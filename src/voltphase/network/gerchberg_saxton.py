"""Gerchberg and Saxton's way to a picture, on the states of a device: what a trained network is held against."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from voltphase.core import checks
from voltphase.core.errors import ConfigError, DataError
from voltphase.network.describe import light_of
from voltphase.network.donn import DONN
from voltphase.tasks import WindowReadout, loss_of
from voltphase.tasks.background_light import with_background

#: Of a flat beam, a ring and letters of 64 x 64 samples on eight states the loss goes up and down by a third from 100
#: to 400 iterations, with no trend.
ITERATIONS: Final = 200
# A sample of the signal that is all but dark is asked for no more than so many times the light at once.
_MOST_WEIGHT: Final = 1e3
# Common phases that are tried at last: a state is nearest to a phase within an angle of many of these.
_TURNS: Final = 64


@dataclass(frozen=True, eq=False)
class Design:
    """The best levels that were found.

    Attributes:
        levels: Level of each pixel of the layer, an int64 ``rows x columns`` tensor.
        outputs: What the readout makes of the light of these levels, a ``1 x rows x columns`` tensor.
        errors: How far the amplitude in the window was from the target in each iteration, squared, in parts of the
            light in the window.
    """

    levels: Tensor
    outputs: Tensor
    errors: list[float]


def gerchberg_saxton(
    model: DONN,
    images: Tensor,
    target: Tensor,
    *,
    iterations: int = ITERATIONS,
    weighted: bool = False,
) -> Design:
    """Return levels of the one layer of a network whose light has the shape of a picture, as nearly as this finds.

    In each iteration the light goes to the detector, gets the amplitude of the target there and keeps its phase, goes
    back, and each pixel takes the phase that is then wanted of it: any, in the first half of the iterations, and from
    there on the state that is nearest to a factor of this phase. The network's own propagation does both ways, the way
    back as its adjoint, which is its inverse where no light is lost; then the error never grows in the first half.
    Beside the window the light is left as it is. Of the nearest states of all iterations, and of the last with all
    phases turned by a common one, those with the lowest loss of the task are returned.

    Gerchberg and Saxton, Optik 35, 1972; the weights of Di Leonardo, Ianni and Ruocco, Optics Express 15(4), 2007, eq.
    17, of each sample of the target in place of each trap.

    Args:
        model: Network of one layer with the task ``image``, an ``intensity`` or an ``amplitude``, a pixel each sample.
        images: The one image that the light carries, a ``1 x height x width`` tensor.
        target: Its target, a ``1 x rows x columns`` tensor.
        iterations: Number of iterations.
        weighted: Whether samples that were too dark are asked for more light, which makes it more even.

    Raises:
        ConfigError: if the network has more layers, another task, or pixels of several samples.
        DataError: if it is more than one image, or the target has another size.

    Examples:
        >>> import voltphase as vp
        >>> task, spot = vp.tasks.Image(window=(4, 4, 8, 8)), torch.zeros(1, 8, 8)
        >>> spot[:, 3:5, 3:5] = 1
        >>> model = vp.DONN(
        ...     grid=vp.Grid(16, 36e-6), wavelength=532e-9, distances=0.05, devices=[vp.devices.tn_slm(8)], task=task
        ... )
        >>> gerchberg_saxton(model, torch.ones(1, 28, 28), spot, iterations=5).levels.shape
        torch.Size([16, 16])
    """
    readout, layer = _checked(model, images, target), model.layers[0]
    device = layer.design.device
    images, target = images.to(device), target.to(device, layer.table.values.dtype.to_real())
    amplitude = target if readout.measure == "amplitude" else target.sqrt()
    amplitude = amplitude / amplitude.norm()
    row, column, height, width = readout.box
    window = (slice(None), slice(row, row + height), slice(column, column + width))
    shape = tuple(layer.design.shape[1:])
    every = [torch.full(shape, level, device=device) for level in range(len(layer.device_states))]
    states = torch.stack([layer.states_at(level) for level in every])
    tried: list[tuple[float, Tensor, Tensor]] = []

    @torch.no_grad()
    def settle(wanted: Tensor) -> Tensor:
        """Return the states nearest to the phases that are wanted, and try them."""
        levels = (states - states.abs().mean() * wanted.sgn()).abs().argmin(0)
        found = layer.states_at(levels)
        outputs = readout(with_background(model.executor(images, [found]), model.background_light * layer.gain**2))
        tried.append((float(loss_of(model.task, outputs, target)), levels, outputs))
        if len(tried) > 1:
            tried.remove(max(tried, key=lambda one: one[0]))
        return found

    modulation, weights, errors = torch.ones_like(states[0]), torch.ones_like(amplitude), []
    wanted = modulation
    checks.flag(weighted, "weighted")
    for iteration in range(checks.whole(iterations, "a number of iterations", least=2)):
        modulation.requires_grad_()
        field = model.executor(images, [modulation])
        with torch.no_grad():
            arrived = field[window]
            found = arrived.abs() / arrived.norm()
            errors.append(float((found - amplitude).square().sum()))
            if weighted:
                weights *= torch.where(amplitude > 0, (amplitude / found).clamp_max(_MOST_WEIGHT), 1)
                weights /= (weights * amplitude).norm()
            goal = field.clone()
            goal[window] = torch.polar(weights * amplitude * arrived.norm(), arrived.angle())
        (wanted,) = torch.autograd.grad(field, modulation, goal)
        settled = settle(wanted)
        modulation = wanted.sgn() if iteration < iterations // 2 else settled
    for turn in range(_TURNS):
        angle = math.tau * turn / _TURNS
        settle(wanted * complex(math.cos(angle), math.sin(angle)))
    _, levels, outputs = tried[0]
    return Design(levels, outputs, errors)


def _checked(model: DONN, images: Tensor, target: Tensor) -> WindowReadout:
    readout = model.readout
    if not isinstance(readout, WindowReadout) or readout.measure == "field" or readout.pixels != readout.box[2:]:
        raise ConfigError(
            f"expected a network with the task image, of an intensity or an amplitude with a pixel each sample, but "
            f"got {readout!r:.120}"
        )
    if not model.beams.single:
        several = " on several detectors" if model.layout.detectors else ""
        raise ConfigError(
            f"expected coherent light of one wavelength on one detector, which alone has a phase to keep, but got "
            f"light of {light_of(model)}{several}: train a network in place of it"
        )
    if len(model.layers) != 1:
        raise ConfigError(f"expected a network of one layer, but got {len(model.layers)}: it shapes light once")
    for one, what, size in ((images, "image", model.source.image_shape), (target, "target", readout.pixels)):
        if tuple(one.shape) != (1, *size):
            got = " x ".join(map(str, one.shape))
            raise DataError(f"expected one {what} as a tensor of 1 x {size[0]} x {size[1]}, but got {got}")
    return readout
