"""Baselines for the choice of states: continuous control values that are rounded to a state.

They learn through the same model, loss and schedule as every other relaxation, and ignore the temperature.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Annotated, Literal, get_args

import torch
from annotated_types import Ge
from torch import Tensor

from voltphase.codesign.relaxations.base import RELAXATIONS, Relaxation, weighted_sums
from voltphase.codesign.relaxations.sample_states import pixel_blocks
from voltphase.codesign.state_table import StateTable
from voltphase.core import checks
from voltphase.core.dtypes import standard_torch
from voltphase.devices import DeviceStates, FittedResponse, fit_response

Nearest = Literal["control", "complex"]

# States are equally near if their distances differ by no more than rounding, of which a few operations make this much.
_ROUNDING = 16
# Where along the control range to look for what comes nearest to a state that is not nearest at its own control value.
_LOOKED_AT = 4096


@dataclass(frozen=True)
class _Rounded(Relaxation):
    """The parent of relaxations whose design is a continuous control value that stands for a state nearby.

    The design, ``1 x rows x columns``, is the control value in units that make the device's range -1 to 1. Beyond an
    end the range is folded back, again and again: at 1.2 a pixel is where it is at 0.8. So there is no control value
    the device does not take, the gradient is exact and has its full size everywhere, at the ends too, where a clamp
    would freeze a pixel and a sigmoid slow it down, and a learning rate means the same at every control value.
    """

    nearest: Nearest = "control"
    order: Annotated[int, Ge(1)] | None = None

    def __post_init__(self) -> None:
        checks.word(self.nearest, "nearest", get_args(Nearest))
        if self.order is not None:
            object.__setattr__(self, "order", checks.whole(self.order, "an order", least=1))

    def response(self, table: StateTable) -> FittedResponse:
        """Return the continuous response that pixels are trained with."""
        return _curve(_Table.of(table), self.order).response

    def initial(self, table: StateTable, shape: tuple[int, int], generator: torch.Generator) -> Tensor:
        """Return random control values, spread evenly over the range."""
        return 2 * torch.rand((1, *shape), generator=generator, dtype=table.amplitude.dtype, device="cpu") - 1

    @torch.no_grad()
    def chosen_levels(self, design: Tensor, table: StateTable) -> Tensor:
        """Return the level whose state is nearest to each pixel.

        Of states equally near on the complex plane it is the one nearest in control value; of two equally near in
        control value the lower one.
        """
        x, curve = _folded(design[0]), _curve(_Table.of(table), self.order)
        if self.nearest == "control":
            return curve.sorting[torch.searchsorted(curve.midpoints, x.contiguous())]
        parts = (x.flatten()[part] for part in pixel_blocks(len(table), x.numel(), x.device))
        return torch.cat([self._on_the_plane(part, table, curve) for part in parts]).view(x.shape)

    @torch.no_grad()
    def design_for(self, levels: Tensor, table: StateTable) -> Tensor:
        """Return control values that stand for the levels, their own where they do; NaN where there is none.

        There is none where the fitted response comes nearest to a level's state nowhere on the complex plane, or where
        in the precision of the table three control values are one.
        """
        curve = _curve(_Table.of(table), self.order)
        own = self.chosen_levels(curve.control[None], table)
        held = torch.where(own == torch.arange(len(own), device=own.device), curve.control, torch.nan)
        x = torch.linspace(-1, 1, _LOOKED_AT, dtype=held.dtype, device=held.device)
        there, at = self.chosen_levels(x[None], table), curve.at(x)
        for level in held.isnan().nonzero().flatten().tolist():
            places = (there == level).nonzero().flatten()
            if len(places):
                held[level] = x[places[(at[places] - table.values[level]).abs().argmin()]]
        return held[levels][None]

    def _seen(self, design: Tensor, table: StateTable) -> Tensor:
        """Return what light sees of the fitted response."""
        x = _folded(design[0])
        return table.over(lambda one: _curve(_Table.of(one), self.order).at(x))

    def _on_the_plane(self, x: Tensor, table: StateTable, curve: _Curve) -> Tensor:
        apart = (table.values[:, None] - curve.at(x)).abs()
        for one in table.others:
            apart = torch.hypot(apart, (one.values[:, None] - _curve(_Table.of(one), self.order).at(x)).abs())
        rounding = _ROUNDING * torch.finfo(apart.dtype).eps * table.amplitude.max()
        along = (curve.control[:, None] - x).abs()
        return torch.where(apart <= apart.amin(0) + rounding, along, torch.inf).argmin(0)


@RELAXATIONS.register("ptq")
@dataclass(frozen=True)
class PostTraining(_Rounded):
    """A control value that is continuous in training and rounded to a state afterwards (PTQ).

    Light in training sees the response that :func:`voltphase.devices.fit_response` puts through the states.

    Args:
        nearest: What a pixel is rounded to: the state nearest in ``control`` value (the paper), or nearest on the
            ``complex`` plane to what light saw in training.
        order: Order of the polynomials fitted to the states; None chooses it by cross-validation.

    Raises:
        ConfigError: if an argument is of another kind.

    Examples:
        >>> PostTraining()
        PostTraining(nearest='control', order=None)

    Source: the baseline of "Differentiable Discrete Device-to-System Codesign for Optical Neural Networks via
    Gumbel-Softmax"; folding instead of a clamp, and the complex plane, are ours.
    """

    def modulation(
        self, design: Tensor, table: StateTable, temperature: float | Tensor, generator: torch.Generator
    ) -> Tensor:
        checks.softness(temperature)
        return self._seen(design, table)


@RELAXATIONS.register("qat")
@dataclass(frozen=True)
class QuantizationAware(_Rounded):
    """A control value that is rounded in every step, with the gradient of a continuous response (QAT).

    Light in training sees the measured state itself; its gradient by the control value is that of the response that
    :func:`voltphase.devices.fit_response` puts through the states, at the control value before rounding
    (straight-through).

    Args:
        nearest: What a pixel is rounded to: the state nearest in ``control`` value (the paper), or nearest on the
            ``complex`` plane to the fitted response.
        order: Order of the polynomials fitted to the states; None chooses it by cross-validation.

    Raises:
        ConfigError: if an argument is of another kind.

    Examples:
        >>> QuantizationAware(order=3)
        QuantizationAware(nearest='control', order=3)

    Source: the baseline of the paper, see :class:`PostTraining`.
    """

    def modulation(
        self, design: Tensor, table: StateTable, temperature: float | Tensor, generator: torch.Generator
    ) -> Tensor:
        checks.softness(temperature)
        response, levels = self._seen(design, table), self.chosen_levels(design, table)
        # The difference is zero, exactly, and carries the gradient.
        return table.over(lambda one: one.values[levels]) + (response - response.detach())


@dataclass(frozen=True, eq=False)
class _Curve:
    """A fitted response as tensors, on the device and in the precision of a table."""

    response: FittedResponse
    coefficients: Tensor  # of the Chebyshev polynomials, 2 x (order + 1): amplitude, phase
    control: Tensor  # of each level, the range being -1 to 1
    sorting: Tensor  # the levels by ascending control value
    midpoints: Tensor  # halfway between neighbouring control values, levels - 1

    def at(self, x: Tensor) -> Tensor:
        terms = [torch.ones_like(x), x]
        while len(terms) < self.coefficients.shape[1]:
            terms.append(2 * x * terms[-1] - terms[-2])
        amplitude, phase = weighted_sums(self.coefficients, torch.stack(terms))
        # Not by torch.polar, whose gradient has the wrong sign where a fitted amplitude dips below zero.
        return torch.complex(amplitude * phase.cos(), amplitude * phase.sin())


@dataclass(frozen=True)
class _Table:
    """A table as a key: equal to another one over the same numbers in the same memory, without reading them."""

    # Kept, so that its memory cannot become another table's.
    table: StateTable = field(compare=False)
    identity: tuple[object, ...]

    @classmethod
    def of(cls, table: StateTable) -> _Table:
        columns = (table.control, table.amplitude, table.phase)
        changes = [0 if column.is_inference() else column._version for column in columns]
        return cls(table, (*changes, *((c.data_ptr(), len(c), c.dtype, c.device) for c in columns)))


@lru_cache(maxsize=256)
def _curve(key: _Table, order: int | None) -> _Curve:
    table = key.table
    control, amplitude, phase = (
        column.detach().double().cpu().numpy() for column in (table.control, table.amplitude, table.phase)
    )
    response = fit_response(DeviceStates(control, amplitude, phase, "this device"), order)
    low, high = response.control_range
    # What is made in inference mode could never be used in training.
    with standard_torch():
        normalised = torch.tensor(2 * (control - low) / (high - low) - 1)
        ascending, sorting = normalised.sort()
        coefficients = torch.tensor([response.amplitude.tolist(), response.phase.tolist()], dtype=torch.float64)
        coefficients, normalised, midpoints = (
            column.to(table.amplitude) for column in (coefficients, normalised, (ascending[1:] + ascending[:-1]) / 2)
        )
        return _Curve(response, coefficients, normalised, sorting.to(table.amplitude.device), midpoints)


def _folded(x: Tensor) -> Tensor:
    """``x`` from -1 to 1, and beyond folded back at both ends as often as it takes: a triangle of slope 1 and -1."""
    along = torch.remainder(x + 1, 4)
    # Not by abs, which has no slope at the end itself.
    return torch.where(along <= 2, along - 1, 3 - along)
