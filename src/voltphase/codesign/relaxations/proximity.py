"""One point of the complex plane per pixel, and the states near it: a design whose size does not grow with the levels.

A score for each level costs memory, and a step of the optimizer, for each of them. Here a pixel learns two reals, and
a state's score is its nearness to that point.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from voltphase.codesign.relaxations.base import RELAXATIONS, Relaxation
from voltphase.codesign.relaxations.sample_states import by_kernel, first_argmax, pixel_blocks
from voltphase.codesign.state_table import StateTable
from voltphase.core import checks
from voltphase.core.dtypes import exact_products
from voltphase.core.errors import ConfigError

# Logarithm of the smallest weight: exp takes 25 times longer where its result is not a normal float32 number.
_FAINTEST = -64.0


@RELAXATIONS.register("proximity")
@dataclass(frozen=True)
class Proximity(Relaxation):
    """A point of the complex plane per pixel; states are weighed by how near they are to it.

    The design is a point ``z`` of the complex plane for each pixel, a ``2 x rows x columns`` tensor of its real and
    imaginary parts. State ``s_k`` scores ``-|z - s_k|^2 / (2 width^2)`` with the ``width`` of :func:`spacing`, and
    the weights are ``w = softmax(score / temperature)``. With ``hard``, light sees the nearest state, as in
    evaluation, else the mix ``w . s``; the gradient is that of the mix.

    At several wavelengths the point is one of as many complex planes, ``2 wavelengths x rows x columns``, and the
    square of its distance from a level's states is the sum over them: levels that are alike at one wavelength are not
    taken for one another, and one set of weights mixes the states at each.

    Three numbers a pixel are kept for the backward pass, however many levels there are; at several wavelengths one for
    each level, but on a GPU with Triton none.

    The mix as light's modulation, under a temperature that falls by the same factor in equal times and ends where the
    weights are all but one-hot, trains better than the nearest state (``voltphase reproduce study --only alternatives``
    compares them). There is no noise, which made it worse, and a point is free to leave the states behind, where its
    gradient fades: to confine it changed nothing.

    With ``spread``, a state counts as farther away the less its repeated readings agree: by ``|z - s_k|^2 +
    spread_k^2``, what the square of the distance is on average where a setting of the level is off by as much as one
    reading is. So a level that noise put into a good place is the best for fewer pixels (six levels of 256 read four
    times with a spread of 0.3, the others of 0.02, digits at 48 x 48: 0.2 % of all pixels instead of 5.7 %). Where all
    levels spread alike it changes nothing: smooth such a table. To widen the score of an unsteady state instead,
    ``-|z - s_k|^2 / (2 (width^2 temperature + spread_k^2))``, made it win more pixels, not fewer.

    Args:
        hard: Whether light sees the nearest state in training or the weighted mix of all states.
        spread: Whether the spread of a state's repeated readings counts against it, for devices whose tables have it.

    Raises:
        ConfigError: if an argument is of another kind.

    Examples:
        >>> Proximity()
        Proximity(hard=False, spread=False)

    Prior art: S. Choi, M. Gopakumar, Y. Peng, J. Kim, M. O'Toole, G. Wetzstein, "Time-multiplexed Neural Holography: A
    Flexible Framework for Holographic Near-eye Displays with Fast Heavily-quantized Spatial Light Modulators", SIGGRAPH
    2022. Its code (github.com/computational-imaging/time-multiplexed-neural-holography) passes the circular distance of
    one phase to each level through Gumbel-Softmax; here amplitudes count too, and there is no noise.
    """

    hard: bool = False
    spread: bool = False

    def __post_init__(self) -> None:
        checks.flag(self.hard, "hard")
        checks.flag(self.spread, "spread")

    def initial(self, table: StateTable, shape: tuple[int, int], generator: torch.Generator) -> Tensor:
        """Return a point near a state drawn for each pixel, off by about half the way to its neighbour."""
        levels = torch.randint(len(table), shape, generator=generator, device="cpu")
        points = _points(levels, table)
        noise = torch.randn(points.shape, generator=generator, dtype=points.dtype, device="cpu")
        return points + 0.5 * _spacing_of(table) * noise

    def modulation(
        self, design: Tensor, table: StateTable, temperature: float | Tensor, generator: torch.Generator
    ) -> Tensor:
        temperature = checks.softness(temperature)
        checks.require_plain("a relaxation")
        excess = self._excess(table)
        if table.others:
            near: type[torch.autograd.Function] = NearAtEach
            if by_kernel(design.device):
                from voltphase.codesign.kernels import near_at_each

                near = near_at_each.NearAtEach
            return near.apply(design, _planes(table), _spacing_of(table), temperature, self.hard, excess)
        if by_kernel(design.device):
            from voltphase.codesign.kernels.near import Near

            return Near.apply(design, table.values, temperature, self.hard, excess)
        return _Near.apply(design, table.values, spacing(table.values), temperature, self.hard, excess)

    def chosen_levels(self, design: Tensor, table: StateTable) -> Tensor:
        flat, excess = design.detach().flatten(1), self._excess(table)
        if by_kernel(flat.device):
            if table.others:
                from voltphase.codesign.kernels.near_at_each import nearest_levels_at_each

                return nearest_levels_at_each(flat, _planes(table), excess).view(design.shape[1:])
            from voltphase.codesign.kernels.near import nearest_levels

            return nearest_levels(flat, table.values, excess).view(design.shape[1:])
        levels = torch.empty(flat.shape[1], dtype=torch.int64, device=flat.device)
        for part in pixel_blocks(len(table), flat.shape[1], flat.device):
            nearness = _square_distances(flat[:, part], _planes(table), excess).neg_()
            levels[part] = first_argmax(nearness, nearness.amax(0), nearness)
        return levels.view(design.shape[1:])

    def lr_unit(self, table: StateTable) -> float:
        """Return the :func:`spacing`: one learning rate suits bright devices and dim ones, few levels and many."""
        return float(_spacing_of(table))

    def design_for(self, levels: Tensor, table: StateTable) -> Tensor:
        """Return points on the levels' states; see :meth:`Relaxation.design_for`."""
        points = _points(levels, table)
        if not self.spread:
            return points
        # A point on a state may be nearer to another one that is steadier.
        chosen = self.chosen_levels(points, table)
        lost = table.over(lambda one: one.values[chosen] != one.values[levels])
        lost = lost.any(0) if table.others else lost
        return points.masked_fill(lost, torch.nan)

    def _excess(self, table: StateTable) -> Tensor | None:
        if not self.spread:
            return None
        spreads = [one.spread for one in table.each if one.spread is not None]
        if len(spreads) < len(table.each):
            raise ConfigError(
                "expected a device with the spread of repeated readings for proximity with spread, but got one "
                "without: give its table a column repeat or spread, or leave spread false"
            )
        return sum((spread.square() for spread in spreads[1:]), spreads[0].square())


def _points(levels: Tensor, table: StateTable) -> Tensor:
    points = [torch.view_as_real(one.values[levels]).movedim(-1, 0) for one in table.each]
    return torch.cat(points).contiguous()


def _planes(table: StateTable) -> Tensor:
    """Return the states at each wavelength, complex ``wavelengths x levels``; of one wavelength the states alone."""
    return table.over(lambda one: one.values)


def _spacing_of(table: StateTable) -> Tensor:
    """Return the spacing of the states at a wavelength; of several, the root mean square of theirs."""
    if not table.others:
        return spacing(table.values)
    return torch.stack([spacing(one.values).square() for one in table.each]).mean().sqrt()


def spacing(values: Tensor) -> Tensor:
    """Return about how far states lie apart: the rms of their distances from their mean, over the root of K.

    In these units one schedule of the temperature suits few levels and many. In units of the distance to the nearest
    neighbour, which falls with 1 / K along the curve of a liquid crystal, it gets too cold for many: MNIST, 64 levels,
    two epochs of 10,000 images, 0.888 against 0.902. It is 1 if all states are equal, or so nearly that the inverse
    square of it would overflow.
    """
    variance = (values - values.mean()).abs().square().mean()
    about = torch.finfo(variance.dtype)
    apart = variance > about.tiny / about.eps
    return torch.where(apart, variance / len(values), torch.ones_like(variance)).sqrt()


def _square_distances(points: Tensor, values: Tensor, excess: Tensor | None = None) -> Tensor:
    # Not by the binomial theorem: a point that lies on a state is at 0 from it and at more from every other.
    apart: Tensor | None = None
    for (real, imag), states in zip(points.split(2), values.view(-1, values.shape[-1]), strict=True):
        along = (real[None] - states.real[:, None]).square_()
        apart = along if apart is None else apart.add_(along)
        across = imag[None] - states.imag[:, None]
        apart.addcmul_(across, across)
    assert apart is not None
    return apart if excess is None else apart.add_(excess[:, None])


class _Near(torch.autograd.Function):
    """The state or the mix of states forward; backward the Jacobian of the mix, three numbers a pixel.

    The mix is the mean of the states under their weights, and the weights are exponential in ``z . s_k``, so its
    Jacobian is the covariance of the states over ``width^2 temperature``. What is added to the squares of the
    distances is constant, and enters by the weights alone.
    """

    @staticmethod
    def forward(
        ctx: Any,
        design: Tensor,
        values: Tensor,
        width: Tensor,
        temperature: float | Tensor,
        hard: bool,
        excess: Tensor | None,
    ) -> Tensor:
        flat = design.flatten(1)
        re, im = values.real, values.imag
        powers = torch.stack((torch.ones_like(re), re, im, re * re, re * im, im * im))
        modulation = torch.empty(flat.shape[1], dtype=values.dtype, device=flat.device)
        jacobian = torch.empty((3, flat.shape[1]), dtype=flat.dtype, device=flat.device)
        steepness = 1 / (2 * width.square())
        for part in pixel_blocks(len(values), flat.shape[1], flat.device):
            scores = _square_distances(flat[:, part], values, excess).mul_(-steepness)
            best = scores.amax(0)
            choice = first_argmax(scores, best, torch.empty_like(scores))
            chosen = values[choice]
            weights = scores.sub_(best).mul_(1 / temperature).clamp_(min=_FAINTEST).exp_()
            # Moments about the chosen state, from the others alone: what they add may be far below the rounding of 1.
            weights.scatter_(0, choice[None], 0.0)
            with exact_products(flat.device):
                others, first, second, *squares = powers @ weights
            x, y = chosen.real, chosen.imag
            total = others + 1
            mean_x, mean_y = (first - others * x) / total, (second - others * y) / total
            xx = (squares[0] - x * (2 * first - others * x)) / total - mean_x * mean_x
            xy = (squares[1] - x * second - y * first + others * x * y) / total - mean_x * mean_y
            yy = (squares[2] - y * (2 * second - others * y)) / total - mean_y * mean_y
            modulation[part] = chosen if hard else chosen + torch.complex(mean_x, mean_y)
            torch.stack((xx, xy, yy), out=jacobian[:, part])
        ctx.save_for_backward(jacobian.mul_(2 * steepness / temperature))
        return modulation.view(design.shape[1:])

    @staticmethod
    @checks.first_order
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (jacobian,) = ctx.saved_tensors
        xx, xy, yy = jacobian.view(3, *gradients[0].shape)
        by_real, by_imag = gradients[0].real, gradients[0].imag
        return torch.stack((xx * by_real + xy * by_imag, xy * by_real + yy * by_imag)), *(None,) * 5


class NearAtEach(torch.autograd.Function):
    """As :class:`_Near` at several wavelengths; the weights of all levels are kept for the backward pass.

    Its Jacobian is a covariance, too. As there, moments are about the chosen state and from the others alone, as what
    they add may be far below the rounding of 1.
    """

    @staticmethod
    def forward(
        ctx: Any,
        design: Tensor,
        values: Tensor,
        width: Tensor,
        temperature: float | Tensor,
        hard: bool,
        excess: Tensor | None,
    ) -> Tensor:
        flat = design.flatten(1)
        count, levels = values.shape
        modulation = torch.empty((count, flat.shape[1]), dtype=values.dtype, device=flat.device)
        choice = torch.empty(flat.shape[1], dtype=torch.int64, device=flat.device)
        weights = torch.empty((levels, flat.shape[1]), dtype=flat.dtype, device=flat.device)
        steepness = 1 / (2 * count * width.square())
        for part in pixel_blocks(2 * levels, flat.shape[1], flat.device):
            scores = _square_distances(flat[:, part], values, excess).mul_(-steepness)
            best = scores.amax(0)
            choice[part] = first_argmax(scores, best, torch.empty_like(scores))
            scores = scores.sub_(best).mul_(1 / temperature).clamp_(min=_FAINTEST).exp_()
            weights[:, part] = scores.scatter_(0, choice[None, part], 0.0)
            chosen = values[:, choice[part]]
            if not hard:
                with exact_products(flat.device):
                    others, first = weights[:, part].sum(0), values @ weights[:, part].to(values.dtype)
                chosen = chosen + (first - others * chosen) / (others + 1)
            modulation[:, part] = chosen
        ctx.save_for_backward(values, choice, weights, 2 * steepness / temperature)
        return modulation.view(count, *design.shape[1:])

    @staticmethod
    @checks.first_order
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        values, choice, weights, sharpness = ctx.saved_tensors
        states = torch.view_as_real(values).movedim(-1, 1).flatten(0, 1)
        slopes = torch.view_as_real(gradients[0].resolve_conj()).movedim(-1, 1).flatten(0, 1).flatten(1)
        gradient = torch.empty_like(slopes)
        with exact_products(weights.device):
            for part in pixel_blocks(3 * len(weights), len(choice), weights.device):
                weight, chosen, gained = weights[:, part], states[:, choice[part]], states.T @ slopes[:, part]
                # What a level adds to the loss beyond the chosen one, to first order.
                gained -= gained.gather(0, choice[None, part])
                weighted = weight * gained
                others, mean = weight.sum(0), weighted.sum(0)
                total = others + 1
                apart = (states @ weight - others * chosen) / total
                gradient[:, part] = (states @ weighted - mean * chosen) / total - mean / total * apart
        gradient *= sharpness
        return gradient.view(-1, *gradients[0].shape[1:]), *(None,) * 5
